//! What is on disk about a container, and what is true about it.
//!
//! `<root>/<id>/` is made exclusively: that is the lock against a second create. `state.json` is written before
//! anything else is made, and again once the first process is there: whoever is killed in between leaves what
//! `delete --force` needs. It never says what the kernel knows better: [`status::observe`] asks.
#![forbid(unsafe_code)]

pub(crate) mod directory;
pub(crate) mod file;
pub(crate) mod status;
pub(crate) mod time;

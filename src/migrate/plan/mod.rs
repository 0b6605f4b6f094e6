//! What is decided without looking at anything: `frame.rs`, the messages and their bytes; `names.rs`, what a stranger may
//! call a file; `precopy.rs`, whether another round is worth its time.
#![forbid(unsafe_code)]

pub(crate) mod frame;
pub(crate) mod names;
pub(crate) mod precopy;

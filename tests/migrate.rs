//! Migration with a real CRIU, between two state roots of one machine: what goes on at the target, and that at no time two
//! copies run, whoever ends and whatever gets lost in between.
#![allow(clippy::unwrap_used, reason = "a test panics when it is wrong")]

#[path = "migrate/behind.rs"]
mod behind;
#[path = "checkpoint/criu.rs"]
mod criu;
#[path = "migrate/hostile.rs"]
mod hostile;
#[path = "migrate/hosts.rs"]
mod hosts;
#[path = "migrate/kinds.rs"]
mod kinds;
#[path = "migrate/losses.rs"]
mod losses;
#[path = "migrate/moves.rs"]
mod moves;
#[path = "migrate/pair.rs"]
mod pair;
#[path = "migrate/proxy.rs"]
mod proxy;
#[path = "checkpoint/scene.rs"]
mod scene;
mod support;
#[path = "checkpoint/terminal.rs"]
mod terminal;

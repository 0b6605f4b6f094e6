//! Checkpoint and restore with a real CRIU (tests/peers/get-peer brings one): what goes on, what is refused, what is left.
//!
//! One at a time, since a dump freezes and a restore wants pids of its own; a file's lock sees to that, also between the
//! test programs of this folder.
#![allow(clippy::unwrap_used, reason = "a test panics when it is wrong")]

#[path = "checkpoint/broken.rs"]
mod broken;
#[path = "checkpoint/criu.rs"]
mod criu;
#[path = "checkpoint/elsewhere.rs"]
mod elsewhere;
#[path = "checkpoint/failing.rs"]
mod failing;
#[path = "checkpoint/kept.rs"]
mod kept;
#[path = "checkpoint/life.rs"]
mod life;
#[path = "checkpoint/memory.rs"]
mod memory;
#[path = "checkpoint/network.rs"]
mod network;
#[path = "checkpoint/notified.rs"]
mod notified;
#[path = "checkpoint/options.rs"]
mod options;
#[path = "checkpoint/peers.rs"]
mod peers;
#[path = "checkpoint/scene.rs"]
mod scene;
#[path = "checkpoint/spaces.rs"]
mod spaces;
mod support;
#[path = "checkpoint/terminal.rs"]
mod terminal;

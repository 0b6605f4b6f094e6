//! The command line, held to what callers of runc type, read and match: by running the program, not its functions.
//!
//! Tests that need a container need root and a static busybox; without them they say so and pass. Where runc
//! is, old or new, the same lines are typed to it and the answers compared.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test may panic")]

#[path = "cli/cancelled.rs"]
mod cancelled;
#[path = "cli/contract.rs"]
mod contract;
#[path = "cli/debug.rs"]
mod debug;
#[path = "cli/exec.rs"]
mod exec;
#[path = "cli/foreground.rs"]
mod foreground;
#[path = "cli/in_tmux.rs"]
mod in_tmux;
#[path = "cli/lifecycle.rs"]
mod lifecycle;
#[path = "cli/notify.rs"]
mod notify;
#[path = "cli/refusals.rs"]
mod refusals;
#[path = "cli/rootless.rs"]
mod rootless;
#[path = "cli/rows.rs"]
mod rows;
#[path = "cli/rows_of_limits.rs"]
mod rows_of_limits;
#[path = "cli/sandbox.rs"]
mod sandbox;
#[path = "cli/streams.rs"]
mod streams;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/usage.rs"]
mod usage;
#[path = "cli/volume.rs"]
mod volume;

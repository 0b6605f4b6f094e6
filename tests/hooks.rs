//! Hooks: when each runs and what it sees, what follows when one fails, hangs, floods or does not read. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test panics when it is wrong, and sets its children up by hand"
)]

#[path = "hooks/failure.rs"]
mod failure;
#[path = "hooks/moments.rs"]
mod moments;
#[path = "hooks/peers.rs"]
mod peers;
#[path = "hooks/scene.rs"]
mod scene;
mod support;
#[path = "hooks/trouble.rs"]
mod trouble;

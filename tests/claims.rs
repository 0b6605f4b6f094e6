//! The claims of bindings/claims.txt, through every door: that none lacks one (`table.rs`), and those that the tests of the
//! Rust API and of the command line do not keep anyhow (`rust.rs`, `streams.rs`, `cli.rs`).
//!
//! A test keeps a claim if it has its name and is in this folder, or says so in its documentation: `Keeps for rust: NAME, NAME.`
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test panics when it is wrong"
)]

#[path = "claims/cli.rs"]
mod cli;
#[path = "checkpoint/criu.rs"]
mod criu;
#[path = "abi/host.rs"]
mod host;
#[path = "claims/rust.rs"]
mod rust;
#[path = "cli/sandbox.rs"]
#[allow(dead_code, reason = "each suite has its own use of it")]
mod sandbox;
#[path = "claims/streams.rs"]
mod streams;
mod support;
#[path = "claims/table.rs"]
mod table;

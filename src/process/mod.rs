//! The process of the container: who it is and what it may (config.md#process).
//!
//! Deciding is here; the init program acts (`../init/identity.rs`, `../init/execute.rs`).
#![forbid(unsafe_code)]

pub(crate) mod plan;

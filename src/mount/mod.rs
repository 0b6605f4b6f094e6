//! Mounts of the container: the options of the runtime-spec (config.md#mounts) and what they mean to the kernel.
//!
//! Deciding is here (`plan.rs`, `options.rs`); the init program acts (`../init/mount.rs`).
#![forbid(unsafe_code)]

pub(crate) mod options;
pub(crate) mod plan;

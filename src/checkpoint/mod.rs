//! Checkpoint and restore by CRIU (criu.org): what it is asked for, how it is asked, what its log says.
//!
//! `options.rs` is what callers wish; `plan.rs` makes CRIU's options of that, the configuration and the container's
//! mounts; `apply.rs` speaks with `criu swrk` over a socket; `rpc.rs` holds the messages of that (CRIU's
//! `images/rpc.proto`); `pages.rs` looks for images that were cut off; `log.rs` finds the lines that tell why it did not
//! succeed. CRIU itself is a program of the host: `runtime/criu.rs` starts it through the init program, like everything
//! that this library starts.
#![forbid(unsafe_code)]

pub(crate) mod apply;
pub(crate) mod log;
mod mounts;
mod options;
pub(crate) mod pages;
pub(crate) mod plan;
pub(crate) mod rpc;

pub(crate) use mounts::{Mounted, Submounts, claims, mount_points};
pub use options::{
    CheckpointOptions, CriuOptions, ImageDirectory, ManageCgroups, NetworkLock, RestoreOptions,
};

//! Cgroups of the container (config-linux.md#control-groups): which directories, which values.
//!
//! `plan.rs` decides from the configuration and the host's layout; `apply.rs` makes, sets and removes.
#![forbid(unsafe_code)]

pub(crate) mod apply;
pub(crate) mod plan;
pub(crate) mod resources;

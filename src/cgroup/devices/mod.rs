//! Which devices a container may use (config-linux.md#allowed-device-list): rules, and what the kernel takes of them.
//!
//! `rules.rs` reads the configuration; `list.rs` makes the exceptions of cgroup v1 of the rules, `program.rs` the
//! program that cgroup v2 runs at every open and mknod. All of them are pure. `attach.rs` is for the second.
#![forbid(unsafe_code)]

pub(crate) mod attach;
pub(crate) mod list;
pub(crate) mod program;
pub(crate) mod rules;

#[cfg(test)]
mod interpreter;

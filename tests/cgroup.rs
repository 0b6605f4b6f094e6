//! Cgroups of containers: where they are, who is in them, who rules them, and that nothing of them stays.
//!
//! Each claim is made for every layout that can be had: cgroup v1 with a cgroup2 beside it, and cgroup2 alone, which a
//! hybrid machine shows to the command line in a mount namespace of its own.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::zombie_processes,
    reason = "a test panics when it is wrong"
)]

mod support;

#[path = "cgroup/exec.rs"]
mod exec;
#[path = "cgroup/hierarchy.rs"]
mod hierarchy;
#[path = "cgroup/life.rs"]
mod life;
#[path = "cgroup/mounts.rs"]
mod mounts;
#[path = "cgroup/programs.rs"]
mod programs;
#[path = "cgroup/refusals.rs"]
mod refusals;
#[path = "cgroup/rootless.rs"]
mod rootless;
#[path = "cgroup/scene.rs"]
mod scene;

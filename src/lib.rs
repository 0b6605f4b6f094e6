//! riverrun: an OCI container runtime that programs link instead of spawning.
//!
//! ```no_run
//! use riverrun::{Call, Context, ContextOptions, CreateOptions};
//!
//! let context = Context::new(ContextOptions::default())?;
//! let container = context.run("web", CreateOptions { bundle: Some("/bundles/web".into()), ..Default::default() })?;
//! let exit = container.init_process()?.wait(Call::default())?;
//! container.delete(false, Call::default())?;
//! println!("{exit:?}");
//! # Ok::<(), riverrun::Error>(())
//! ```
//!
//! The C door is `include/riverrun.h`; `ARCHITECTURE.md` says which room is where. The layers, from the floor up:
//! `sys` (system calls) · `spec`, `host` (what is asked, what is there) · `*/plan` and `plan` (pure decisions) ·
//! `wire` (the plan as bytes) · `init` (a program of its own) · `state` · `runtime` (one verb a file) · `ffi`.

extern crate alloc;

mod cgroup;
mod checkpoint;
mod device;
mod error;
pub mod ffi;
mod hook;
mod host;
mod intel_rdt;
mod migrate;
mod mount;
mod namespace;
mod net_device;
#[path = "init/passwd.rs"]
mod passwd;
mod plan;
mod process;
mod runtime;
mod seccomp;
mod spec;
mod state;
mod sys;
mod sysctl;
mod wire;
mod wording;

pub use cgroup::stats::{
    CgroupStats, CpuStats, CpusetStats, HugetlbStats, IoEntry, IoStats, MemoryEntry, MemoryStats, PidsStats,
    Pressure as PressureStats, RdmaStats, Stall, StatsSet, Usage,
};
pub use cgroup::watch::{Pressure, Resource};
pub use checkpoint::{
    CheckpointOptions, CriuOptions, ImageDirectory, ManageCgroups, NetworkLock, RestoreOptions,
};
pub use error::{Error, Kind, Result};
pub use intel_rdt::stats::{IntelRdtStats, L3CacheInfo, MemBwInfo};
pub use runtime::{
    Call, CgroupManager, Container, Context, ContextOptions, CreateOptions, ExecOptions, Exit, FdMap,
    HookMoment, HostHook, Io, Level, Listing, LogSink, Namespace, Process, State, Status, Stdio,
    UpdateOptions, WindowSize, features,
};
pub use runtime::{Event, EventStream, EventsOptions, Stats};
pub use runtime::{MigrateOptions, Migrated, MigrationEvent, ReceiveOptions, RootfsTransfer, TransferTotals};
pub use spec::{check as check_config, default_config};

/// The version of this library, as in `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The version of the runtime specification that this library implements.
pub const OCI_VERSION: &str = "1.3.0";

//! The parent: one verb a file, over the plans, the state and the floor.
//!
//! `context.rs` finds containers, `create.rs` makes them, `spawn.rs` is the handshake with the init program. Nothing
//! here changes the host process: no thread, signal, descriptor that outlives its handle, umask, cwd, or child but those
//! that were asked for.
#![forbid(unsafe_code)]

mod bundle;
mod cgroups;
mod channel;
mod checkpoint;
mod context;
mod create;
mod criu;
mod deadline;
mod delete;
mod events;
mod exec;
mod features;
mod hooks;
mod inside;
mod io;
mod joined;
mod journal;
mod kill;
mod list;
mod migrate;
mod net_device;
mod notify;
mod options;
mod pause;
mod process;
mod restore;
mod resume;
mod spawn;
mod start;
mod state;
mod stats;
mod stats_json;
mod trace;
mod trees;
mod undo;
mod update;
#[cfg(test)]
mod with_resctrl;

pub use self::context::{Container, Context};
pub use self::events::{Event, EventStream, EventsOptions};
pub use self::features::features;
pub use self::inside::Namespace;
pub use self::list::Listing;
pub use self::migrate::{
    MigrateOptions, Migrated, MigrationEvent, ReceiveOptions, RootfsTransfer, TransferTotals,
};
pub use self::options::{
    Call, ContextOptions, CreateOptions, ExecOptions, FdMap, HookMoment, HostHook, Io, Level, LogSink, Stdio,
    WindowSize,
};
pub use self::process::{Exit, Process};
pub use self::state::State;
pub use self::stats::Stats;
pub use self::update::UpdateOptions;
pub use crate::cgroup::plan::CgroupManager;
pub use crate::state::status::Status;

//! migrate: a running container to another host. The order of things and its reasons are in `crate::migrate`; `source.rs`
//! is who sends it away, `outflow.rs` its memory on the way out, `target.rs` who receives it, `options.rs` what callers say
//! and hear; `memory.rs` stores memory that comes apart from images, `lazy.rs` brings it behind a container that runs, both
//! by a CRIU that `tool.rs` starts.
#![forbid(unsafe_code)]

mod lazy;
mod memory;
mod options;
mod outflow;
mod source;
mod target;
mod tool;

pub use options::{MigrateOptions, Migrated, MigrationEvent, ReceiveOptions, RootfsTransfer, TransferTotals};

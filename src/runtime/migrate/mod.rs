//! migrate: a running container to another host. The order of things and its reasons are in `crate::migrate`; `source.rs`
//! is who sends it away, `target.rs` who receives it, `options.rs` what callers say and hear.
#![forbid(unsafe_code)]

mod options;
mod source;
mod target;

pub use options::{MigrateOptions, Migrated, MigrationEvent, ReceiveOptions, RootfsTransfer, TransferTotals};

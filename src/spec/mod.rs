//! `config.json` as the user wrote it, and whether it makes sense (runtime-spec, config.md and config-linux.md).
//!
//! Types are those of the `oci-spec` crate; they go no further than the plans. Nothing here looks at the host.
#![forbid(unsafe_code)]

mod example;
mod hooks;
pub(crate) mod list;
mod load;
pub(crate) mod net_device;
mod repair;
mod schedule;
mod seccomp;
mod validate;

pub use example::default_config;
pub(crate) use hooks::Moment;
pub(crate) use load::{parse, parse_process, parse_resources, parse_telling};
pub(crate) use validate::{exec as validate_exec, validate};

use crate::error::Result;

/// Checks the bytes of a `config.json` without touching the host.
///
/// # Errors
/// [`Kind::InvalidSpec`](crate::Kind::InvalidSpec) for what the specification forbids,
/// [`Kind::Unsupported`](crate::Kind::Unsupported) for what this version cannot do yet; both name the property.
pub fn check(config: &[u8]) -> Result<()> {
    validate(&parse(config)?)
}

//! The table of bundles, one file a theme. Each case is one expression: the default bundle and what is different.
//!
//! A new case belongs to the theme whose field it changes; its name says what is special, not what should come out.
#![forbid(unsafe_code)]

mod cgroups;
mod exec;
mod hostile;
mod mounts;
mod namespaces;
mod paths;
mod process;
mod refused;
mod terminals;

pub(crate) use cgroups::cgroups;
pub(crate) use exec::exec;
pub(crate) use hostile::hostile;
pub(crate) use mounts::mounts;
pub(crate) use namespaces::namespaces;
pub(crate) use paths::paths;
pub(crate) use process::process;
pub(crate) use refused::refused;
pub(crate) use terminals::terminals;

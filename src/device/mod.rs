//! Device nodes and links below /dev (config-linux.md#devices, #default-devices, "Dev symbolic links").
//!
//! Deciding is here; the init program acts (`../init/device.rs`).
#![forbid(unsafe_code)]

pub(crate) mod plan;

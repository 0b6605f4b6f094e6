//! Cache and memory bandwidth by the kernel's resctrl (config-linux.md#intelrdt; Documentation/filesystems/resctrl.rst):
//! a group of its own for the container, or one that somebody else made.
#![forbid(unsafe_code)]

pub(crate) mod apply;
pub(crate) mod plan;
pub(crate) mod stats;

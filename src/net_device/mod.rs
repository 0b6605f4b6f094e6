//! `linux.netDevices`: network devices of the host that move into the container's network namespace.
#![forbid(unsafe_code)]

pub(crate) mod apply;
pub(crate) mod plan;

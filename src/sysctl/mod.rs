//! Kernel parameters of the container's namespaces (config-linux.md#sysctl). Written by the init program.
#![forbid(unsafe_code)]

pub(crate) mod plan;

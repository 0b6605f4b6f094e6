//! Namespaces of the container (config-linux.md#namespaces) and the id maps of its user namespace.
#![forbid(unsafe_code)]

pub(crate) mod apply;
pub(crate) mod plan;

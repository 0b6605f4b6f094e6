//! systemd as the manager of a container's cgroups: a transient unit, asked for over D-Bus
//! (org.freedesktop.systemd1(5), systemd.resource-control(5), <https://systemd.io/CGROUP_DELEGATION>).
//!
//! Pure: `unit.rs` names the unit and reads annotations, `properties.rs` and `devices.rs` turn limits into properties,
//! `value.rs`, `parse.rs` and `message.rs` are the types, texts and bytes of D-Bus. `bus.rs` speaks it;
//! `manager.rs` is the sibling of those of the cgroup filesystems, over one of them.
#![forbid(unsafe_code)]

mod bus;
pub(crate) mod devices;
pub(crate) mod manager;
mod message;
mod parse;
pub(crate) mod properties;
pub(crate) mod unit;
mod value;

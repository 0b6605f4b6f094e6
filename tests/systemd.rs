//! systemd as the manager of cgroups, and as the one that starts containers: real units where systemd is pid 1 (the guest of
//! tests/vm; as root and as an ordinary user), buses that are none everywhere.
#![allow(clippy::unwrap_used, reason = "a test panics when it is wrong")]

mod support;

#[path = "systemd/devices.rs"]
mod devices;
#[path = "systemd/no_bus.rs"]
mod no_bus;
#[path = "systemd/scene.rs"]
mod scene;
#[path = "systemd/service.rs"]
mod service;
#[path = "systemd/session.rs"]
mod session;
#[path = "systemd/told.rs"]
mod told;
#[path = "systemd/unit.rs"]
mod unit;
#[path = "systemd/verbs.rs"]
mod verbs;

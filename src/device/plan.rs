//! From `linux.devices` and the defaults to steps. Pure.
#![forbid(unsafe_code)]

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType, Spec};

use crate::wire::{Device, Step};

/// Made in every container (config-linux.md#default-devices).
const DEFAULTS: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];

/// path, target (runtime-linux.md#dev-symbolic-links).
const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

const S_IFIFO: u32 = 0o1_0000;
const S_IFCHR: u32 = 0o2_0000;
const S_IFBLK: u32 = 0o6_0000;

/// All nodes, then the links. `bind`: nodes of the host are bound, since a user namespace may make none. `core`: the
/// host has /proc/kcore.
pub(crate) fn devices(spec: &Spec, bind: bool, core: bool, steps: &mut Vec<Step>) {
    let configured = spec.linux().as_ref().and_then(|linux| linux.devices().as_deref()).unwrap_or_default();
    for (path, major, minor) in DEFAULTS {
        if !configured.iter().any(|device| device.path().as_os_str() == path) {
            let (path, kind) = (path.to_owned(), S_IFCHR);
            let (permissions, uid, gid) = (None, None, None);
            steps.push(Step::Device(Device { path, kind, major, minor, permissions, uid, gid, bind }));
        }
    }
    steps.extend(configured.iter().map(|device| Step::Device(node(device, bind))));
    for (path, target) in LINKS {
        steps.push(Step::Symlink { target: target.to_owned(), path: path.to_owned(), replace: false });
    }
    if core {
        steps.push(Step::Symlink { target: "/proc/kcore".into(), path: "/dev/core".into(), replace: false });
    }
    steps.push(Step::Symlink { target: "pts/ptmx".into(), path: "/dev/ptmx".into(), replace: true });
}

fn node(device: &LinuxDevice, bind: bool) -> Device {
    let kind = match device.typ() {
        LinuxDeviceType::B => S_IFBLK,
        LinuxDeviceType::P => S_IFIFO,
        LinuxDeviceType::C | LinuxDeviceType::U | LinuxDeviceType::A => S_IFCHR,
    };
    // The ranges were validated.
    let number = |value: i64| u32::try_from(value).unwrap_or_default();
    Device {
        path: device.path().to_string_lossy().into_owned(),
        kind,
        major: number(device.major()),
        minor: number(device.minor()),
        permissions: device.file_mode().map(|mode| mode & 0o7777),
        uid: device.uid(),
        gid: device.gid(),
        bind: bind && kind != S_IFIFO,
    }
}

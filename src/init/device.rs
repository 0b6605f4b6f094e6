//! Device nodes, directories and links below /dev.
//!
//! Runs in: the init program, in the container's mount namespace, before pivot_root, umask 0. Parents are resolved in
//! root (CVE-2026-41579: an image whose /dev is a link), the last name never follows a link.

use alloc::format;
use alloc::string::String;

use linux_raw_sys::general as k;

use crate::channel::{Doing, Outcome};
use crate::mount;
use crate::root::{Root, split};
use crate::sys::{self, EEXIST, Fd, Text, call};
use crate::wire::{Class, Device, Failure};

/// The directory of the last node or link: one after the other is made in /dev. Nothing is mounted between them.
#[derive(Default)]
pub(crate) struct Parent(Option<(String, Fd)>);

impl Parent {
    /// The directory that holds `path`, and its last name.
    fn of<'p>(&mut self, root: &Root, path: &'p str) -> Outcome<(i32, &'p str)> {
        let (parent, name) = split(path).doing(Class::Device, "make parent of", path)?;
        match &self.0 {
            Some((known, fd)) if known == parent => Ok((fd.number(), name)),
            _ => {
                let (fd, _) = root.make_directory(parent).doing(Class::Device, "make parent of", path)?;
                let number = fd.number();
                self.0 = Some((String::from(parent), fd));
                Ok((number, name))
            }
        }
    }

    /// A mount may have covered it.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}

/// Makes the node, or finds that it is there already, the same.
pub(crate) fn make(root: &Root, parent: &mut Parent, device: &Device) -> Outcome {
    if device.bind {
        return bind(root, device);
    }
    let (parent, name) = parent.of(root, &device.path)?;
    let text = Text::new(name);
    let mode = device.kind | device.permissions.unwrap_or(0o666);
    match call!(__NR_mknodat, parent, text.as_ptr(), mode, kernel_device(device.major, device.minor)) {
        Err(EEXIST) => return found(parent, &text, device),
        made => drop(made.doing(Class::Device, "make device", &device.path)?),
    }
    let (uid, gid) = (device.uid.unwrap_or_default(), device.gid.unwrap_or_default());
    if (uid, gid) != (0, 0) {
        call!(__NR_fchownat, parent, text.as_ptr(), uid, gid, k::AT_SYMLINK_NOFOLLOW).doing(
            Class::Device,
            "change owner of",
            &device.path,
        )?;
    }
    Ok(())
}

/// A file is there already: it must be what is asked for (config-linux.md#devices), and is not changed.
fn found(parent: i32, name: &Text, device: &Device) -> Outcome {
    let there =
        sys::stat_at(parent, name, k::AT_SYMLINK_NOFOLLOW).doing(Class::Device, "stat", &device.path)?;
    let same = there.kind() == device.kind
        && (there.kind() == k::S_IFIFO || (there.major, there.minor) == (device.major, device.minor));
    let is = |wanted: Option<u32>, found: u32| wanted.is_none_or(|wanted| wanted == found);
    let why = if !same {
        "another file is there"
    } else if !is(device.permissions, there.mode & 0o7777) {
        "it is there with another mode"
    } else if !is(device.uid, there.uid) || !is(device.gid, there.gid) {
        "it is there with another owner"
    } else {
        return Ok(());
    };
    let object = format!("{}: {why}", device.path);
    Err(Failure { class: Class::Device, verb: "make device".into(), object, errno: 0 })
}

/// A user namespace may not make nodes: the host's is bound there, if it is the device that was asked for.
fn bind(root: &Root, device: &Device) -> Outcome {
    let host = sys::open_at(k::AT_FDCWD, &Text::new(&device.path), k::O_PATH, 0).doing(
        Class::Device,
        "open on the host",
        &device.path,
    )?;
    let there = sys::stat(&host).doing(Class::Device, "stat", &device.path)?;
    if there.kind() != device.kind || (there.major, there.minor) != (device.major, device.minor) {
        let object = format!("{}: the host has another device there", device.path);
        return Err(Failure { class: Class::Device, verb: "bind device".into(), object, errno: 0 });
    }
    let target = root.make_file(&device.path).doing(Class::Device, "make", &device.path)?;
    mount::bind_descriptor(&host, &target).map(drop).doing(Class::Device, "bind device", &device.path)
}

/// The number as mknod(2) takes it: 12 bits of major, 20 of minor, folded.
pub(crate) const fn kernel_device(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12)
}

/// symlinkat(2).
pub(crate) fn symlink(root: &Root, parent: &mut Parent, target: &str, path: &str, replace: bool) -> Outcome {
    let (parent, name) = parent.of(root, path)?;
    let (name, target) = (Text::new(name), Text::new(target));
    if replace {
        // Nothing there is as good as something removed; what cannot be removed is told by symlinkat.
        let _ = call!(__NR_unlinkat, parent, name.as_ptr(), 0);
    }
    match call!(__NR_symlinkat, target.as_ptr(), parent, name.as_ptr()) {
        Err(EEXIST) if !replace => Ok(()),
        made => made.map(drop).doing(Class::Device, "make link", path),
    }
}

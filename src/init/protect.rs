//! What is hidden or made read-only: masked paths, read-only paths, attributes of mounts that are there.
//!
//! Runs in: the init program, in the container's mount namespace, before pivot_root, after all mounts: this covers what
//! they brought. Every path is resolved in root, and what is missing is none of our business.

use alloc::string::String;

use linux_raw_sys::general as k;

use crate::channel::{Doing, Outcome};
use crate::mount::{attach, classic, classic_filesystem, make_filesystem, proc_path, set_attributes};
use crate::root::Root;
use crate::sys::{self, ENOENT, ENOSYS, ENOTDIR, EPERM, Fd, Text};
use crate::tree::clone as clone_tree;
use crate::wire::{Class, Failure, Filesystem};

/// Hides paths; the empty tmpfs behind all masked directories is one superblock.
#[derive(Default)]
pub(crate) struct Masks {
    empty: Option<Fd>,
    null: Option<Fd>,
}

impl Masks {
    /// Hides `path`, if it is there.
    pub(crate) fn mask(&mut self, root: &Root, path: &str) -> Outcome {
        let target = match root.open(path, k::O_PATH) {
            Err(ENOENT | ENOTDIR) => return Ok(()),
            opened => opened.doing(Class::Mount, "mask", path)?,
        };
        let directory = sys::stat(&target).doing(Class::Mount, "stat", path)?.is_directory();
        let mounted = if directory { self.cover_directory(&target) } else { self.cover_file(root, &target)? };
        mounted.map(drop).doing(Class::Mount, "mask", path)
    }

    fn cover_directory(&mut self, target: &Fd) -> sys::Result {
        // The first mount is moved into place and the others are copies of it: only an attached mount can be copied
        // before KERNEL(6.15).
        if let Some(first) = &self.empty {
            return attach(&clone_tree(first.number(), &Text::new(""), false)?, target);
        }
        let fs = Filesystem {
            fstype: String::from("tmpfs"),
            source: String::from("tmpfs"),
            target: String::new(),
            options: [("nr_blocks", Some("1")), ("nr_inodes", Some("1")), ("ro", None)]
                .map(|(key, value)| (String::from(key), value.map(String::from)))
                .to_vec(),
            attributes: u64::from(k::MOUNT_ATTR_RDONLY),
            ..Filesystem::default()
        };
        match make_filesystem(&fs, &fs.options) {
            Ok(mount) => {
                let attached = attach(&mount, target);
                self.empty = Some(mount);
                attached
            }
            Err(ENOSYS | EPERM) => classic_filesystem(&fs, &fs.options, target).map(|()| 0),
            Err(errno) => Err(errno),
        }
    }

    /// /dev/null of the container, if it is the true one (CVE-2025-31133).
    fn cover_file(&mut self, root: &Root, target: &Fd) -> Outcome<sys::Result> {
        if self.null.is_none() {
            let null = root.open("/dev/null", k::O_PATH).doing(Class::Mount, "open", "/dev/null")?;
            if !sys::stat(&null).doing(Class::Mount, "stat", "/dev/null")?.is_null() {
                return Err(not_null());
            }
            self.null = Some(null);
        }
        let Some(null) = &self.null else { return Err(not_null()) };
        Ok(clone_tree(null.number(), &Text::new(""), false).and_then(|mount| attach(&mount, target)))
    }
}

fn not_null() -> Failure {
    Failure {
        class: Class::UnsafePath,
        verb: "use".into(),
        object: "/dev/null of the container: not the null device".into(),
        errno: 0,
    }
}

/// Makes `path` read-only, if it is there; its other flags and what is mounted below stay.
pub(crate) fn read_only(root: &Root, path: &str) -> Outcome {
    let target = match root.open(path, k::O_PATH) {
        Err(ENOENT | ENOTDIR) => return Ok(()),
        opened => opened.doing(Class::Mount, "make read-only", path)?,
    };
    let read_only = || -> sys::Result<()> {
        let mount = clone_tree(target.number(), &Text::new(""), true)?;
        let set = set_attributes(&mount, false, u64::from(k::MOUNT_ATTR_RDONLY), 0, 0);
        attach(&mount, &target)?;
        match set {
            Err(ENOSYS) => classic_read_only(&mount),
            set => set.map(drop),
        }
    };
    read_only().doing(Class::Mount, "make read-only", path)
}

/// A remount by mount(2) states all flags anew: those that are there are read first (statfs(2)).
fn classic_read_only(mount: &Fd) -> sys::Result<()> {
    /// ST_NOSUID, ST_NODEV, ST_NOEXEC, ST_NOATIME, ST_NODIRATIME, ST_RELATIME as the kernel reports them.
    const KEPT: [(u64, u32); 6] = [
        (2, k::MS_NOSUID),
        (4, k::MS_NODEV),
        (8, k::MS_NOEXEC),
        (1024, k::MS_NOATIME),
        (2048, k::MS_NODIRATIME),
        (4096, k::MS_RELATIME),
    ];
    let (_, reported) = sys::filesystem_of(mount)?;
    let kept: u32 = KEPT.iter().filter(|(reports, _)| reported & reports != 0).map(|(_, flag)| *flag).sum();
    let flags = u64::from(kept | k::MS_RDONLY | k::MS_REMOUNT | k::MS_BIND);
    classic("", &proc_path(mount), "", flags, "").map(drop)
}

/// Sets attributes of the mount at `path`.
pub(crate) fn attributes(root: &Root, path: &str, set: u64) -> Outcome {
    let mount = root.open(path, k::O_PATH).doing(Class::Mount, "open", path)?;
    match set_attributes(&mount, false, set, 0, 0) {
        Err(ENOSYS) => classic_read_only(&mount),
        done => done.map(drop),
    }
    .doing(Class::Mount, "change attributes of", path)
}

/// Changes the root mount itself.
pub(crate) fn root_attributes(root: &Root, set: u64) -> Outcome {
    match set_attributes(root.fd(), false, set, 0, 0) {
        Err(ENOSYS) => classic_read_only(root.fd()),
        done => done.map(drop),
    }
    .doing(Class::Rootfs, "change attributes of", "root filesystem")
}

//! Mounts, masks, read-only paths, propagation, pivot_root.
//!
//! Runs in: the init program, in the container's mount namespace, before the ids change. Filesystems are made detached
//! (fsopen(2), open_tree(2)), get their attributes while nobody can see them, and are moved onto a descriptor that
//! `root.rs` vouches for. Where the kernel lacks a call of the new mount API, mount(2) on /proc/self/fd/N does the same
//! in more than one step: that is why all of this happens before pivot_root, while the host's /proc is there.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use linux_raw_sys::general as k;

use crate::channel::{Doing, Outcome};
use crate::root::Root;
use crate::sys::{self, ENOENT, ENOSYS, ENOTDIR, EPERM, Fd, Text, call};
use crate::wire::{Attributes, Bind, Class, Failure, Filesystem};

/// mount_setattr(2) and fsmount(2) know a string parameter of up to this many bytes (fsconfig(2)).
const LONGEST_PARAMETER: usize = 255;

/// MS_* of mount(2) for MOUNT_ATTR_*, for the fallback. Unknown to the old call: nothing that the plans use.
const CLASSIC: [(u32, u32); 8] = [
    (k::MOUNT_ATTR_RDONLY, k::MS_RDONLY),
    (k::MOUNT_ATTR_NOSUID, k::MS_NOSUID),
    (k::MOUNT_ATTR_NODEV, k::MS_NODEV),
    (k::MOUNT_ATTR_NOEXEC, k::MS_NOEXEC),
    (k::MOUNT_ATTR_NOATIME, k::MS_NOATIME),
    (k::MOUNT_ATTR_STRICTATIME, k::MS_STRICTATIME),
    (k::MOUNT_ATTR_NODIRATIME, k::MS_NODIRATIME),
    (k::MOUNT_ATTR_NOSYMFOLLOW, k::MS_NOSYMFOLLOW),
];

pub(crate) fn classic_flags(attributes: u64) -> u64 {
    CLASSIC.iter().filter(|(new, _)| attributes & u64::from(*new) != 0).map(|(_, old)| u64::from(*old)).sum()
}

/// The name by which mount(2) finds a descriptor.
fn proc_path(fd: &Fd) -> Text {
    Text::new(&format!("/proc/self/fd/{}", fd.number()))
}

/// mount(2). Empty texts are passed as NULL.
pub(crate) fn classic(source: &str, target: &Text, fstype: &str, flags: u64, data: &str) -> sys::Result {
    let (source, fstype, data) = (optional(source), optional(fstype), optional(data));
    let pointer = |text: &Option<Text>| text.as_ref().map_or(core::ptr::null(), Text::as_ptr);
    call!(__NR_mount, pointer(&source), target.as_ptr(), pointer(&fstype), flags, pointer(&data))
}

fn optional(text: &str) -> Option<Text> {
    (!text.is_empty()).then(|| Text::new(text))
}

/// mount(2) that only changes the propagation of `path`.
pub(crate) fn propagate(path: &str, flags: u64) -> Outcome {
    classic("", &Text::new(path), "", flags, "").doing(Class::Mount, "change propagation of", path)?;
    Ok(())
}

/// Binds the root filesystem on itself: pivot_root(2) wants a mount point.
pub(crate) fn open_root(path: &str) -> Outcome<Root> {
    let name = Text::new(path);
    let tree = clone_tree(k::AT_FDCWD, &name, true).doing(Class::Rootfs, "bind root filesystem", path)?;
    call!(
        __NR_move_mount,
        tree.number(),
        Text::new("").as_ptr(),
        k::AT_FDCWD,
        name.as_ptr(),
        k::MOVE_MOUNT_F_EMPTY_PATH
    )
    .doing(Class::Rootfs, "mount root filesystem on", path)?;
    Ok(Root::new(tree))
}

/// open_tree(2): a detached copy of a mount, or of the tree below it.
fn clone_tree(dir: i32, path: &Text, recursive: bool) -> sys::Result<Fd> {
    let tree = if recursive { k::AT_RECURSIVE } else { 0 };
    let flags = k::OPEN_TREE_CLONE | k::OPEN_TREE_CLOEXEC | k::AT_EMPTY_PATH | tree;
    call!(__NR_open_tree, dir, path.as_ptr(), flags).map(Fd::own)
}

/// move_mount(2): attaches a detached mount on the file or directory behind a descriptor.
fn attach(mount: &Fd, target: &Fd) -> sys::Result {
    let (empty, flags) = (Text::new(""), k::MOVE_MOUNT_F_EMPTY_PATH | k::MOVE_MOUNT_T_EMPTY_PATH);
    call!(__NR_move_mount, mount.number(), empty.as_ptr(), target.number(), empty.as_ptr(), flags)
}

/// mount_setattr(2), KERNEL(5.12).
pub(crate) fn set_attributes(
    mount: &Fd,
    recursive: bool,
    set: u64,
    clear: u64,
    propagation: u64,
) -> sys::Result {
    let tree = if recursive { k::AT_RECURSIVE } else { 0 };
    // The access time modes are one field of three values: it is cleared as a whole whenever one is set.
    let atime = u64::from(k::MOUNT_ATTR_NOATIME | k::MOUNT_ATTR_STRICTATIME);
    let clear = if (set | clear) & atime == 0 { clear } else { clear | u64::from(k::MOUNT_ATTR__ATIME) };
    let change = k::mount_attr { attr_set: set, attr_clr: clear, propagation, userns_fd: 0 };
    let (empty, size) = (Text::new(""), size_of::<k::mount_attr>());
    call!(
        __NR_mount_setattr,
        mount.number(),
        empty.as_ptr(),
        k::AT_EMPTY_PATH | tree,
        &raw const change,
        size
    )
}

/// Makes a filesystem and mounts it on its target.
pub(crate) fn filesystem(root: &Root, fs: &Filesystem) -> Outcome {
    let object = format!("{} on {}", fs.source, fs.target);
    let (target, existed) = if fs.real_directory {
        // A proc or sysfs behind a link of the image would be a fake (CVE-2019-19921, CVE-2023-27561).
        let open = || root.open_real(&fs.target, k::O_PATH | k::O_DIRECTORY);
        let real = match open() {
            Err(ENOENT) => {
                root.make_directory(&fs.target).doing(Class::Mount, "make mount point", &fs.target)?;
                open()
            }
            opened => opened,
        };
        (real.doing(Class::UnsafePath, "mount", &format!("{object}: not an ordinary directory"))?, true)
    } else {
        root.make_directory(&fs.target).doing(Class::Mount, "make mount point", &fs.target)?
    };
    let mut options = fs.options.clone();
    if fs.inherit_mode && existed {
        let mode = sys::stat(&target).doing(Class::Mount, "stat", &fs.target)?.mode & 0o7777;
        options.push((String::from("mode"), Some(format!("{mode:o}"))));
    }
    match make_filesystem(fs, &options) {
        Ok(mount) => attach(&mount, &target).map(drop),
        // No new mount API here (an old kernel, or a filter around us), or a parameter that is too long for it.
        Err(ENOSYS | EPERM | sys::EINVAL) => classic_filesystem(fs, &options, &target),
        Err(errno) => Err(errno),
    }
    .doing(Class::Mount, "mount", &object)?;
    after_mount(root, &fs.target, &fs.propagation)
}

/// fsopen(2), fsconfig(2), fsmount(2).
fn make_filesystem(fs: &Filesystem, options: &[(String, Option<String>)]) -> sys::Result<Fd> {
    if options.iter().any(|(_, value)| value.as_ref().is_some_and(|v| v.len() > LONGEST_PARAMETER)) {
        return Err(ENOSYS);
    }
    let context = call!(__NR_fsopen, Text::new(&fs.fstype).as_ptr(), k::FSOPEN_CLOEXEC).map(Fd::own)?;
    configure(&context, "source", Some(&fs.source))?;
    for (key, value) in options {
        configure(&context, key, value.as_deref())?;
    }
    let create = k::fsconfig_command::FSCONFIG_CMD_CREATE;
    call!(__NR_fsconfig, context.number(), create as u32, 0, 0, 0)?;
    call!(__NR_fsmount, context.number(), k::FSMOUNT_CLOEXEC, fs.attributes).map(Fd::own)
}

/// fsconfig(2): one flag or one pair.
fn configure(context: &Fd, key: &str, value: Option<&str>) -> sys::Result {
    let key = Text::new(key);
    match value.map(Text::new) {
        None => call!(
            __NR_fsconfig,
            context.number(),
            k::fsconfig_command::FSCONFIG_SET_FLAG as u32,
            key.as_ptr(),
            0,
            0
        ),
        Some(value) => {
            let command = k::fsconfig_command::FSCONFIG_SET_STRING as u32;
            call!(__NR_fsconfig, context.number(), command, key.as_ptr(), value.as_ptr(), 0)
        }
    }
}

/// The same by mount(2): flags of the superblock go with those of the mount.
fn classic_filesystem(fs: &Filesystem, options: &[(String, Option<String>)], target: &Fd) -> sys::Result<()> {
    const FLAGS: [(&str, u32); 5] = [
        ("ro", k::MS_RDONLY),
        ("sync", k::MS_SYNCHRONOUS),
        ("dirsync", k::MS_DIRSYNC),
        ("mand", k::MS_MANDLOCK),
        ("lazytime", k::MS_LAZYTIME),
    ];
    let mut flags = classic_flags(fs.attributes);
    let mut data: Vec<String> = Vec::new();
    for (key, value) in options {
        match (value, FLAGS.iter().find(|(name, _)| name == key)) {
            (None, Some((_, flag))) => flags |= u64::from(*flag),
            (None, None) => data.push(key.clone()),
            (Some(value), _) => data.push(format!("{key}={value}")),
        }
    }
    classic(&fs.source, &proc_path(target), &fs.fstype, flags, &data.join(",")).map(drop)
}

/// Binds a file or a tree of the host.
pub(crate) fn bind(root: &Root, bind: &Bind) -> Outcome {
    let object = format!("{} on {}", bind.source, bind.target);
    let tree = clone_tree(k::AT_FDCWD, &Text::new(&bind.source), bind.recursive).doing(
        Class::Mount,
        "bind",
        &object,
    )?;
    let source = sys::stat(&tree).doing(Class::Mount, "stat", &bind.source)?;
    let target = if source.is_directory() {
        root.make_directory(&bind.target).map(|(fd, _)| fd)
    } else {
        root.make_file(&bind.target)
    }
    .doing(Class::Mount, "make mount point", &bind.target)?;
    let mut remount = false;
    for (attributes, whole) in [(&bind.attributes, false), (&bind.tree_attributes, true)] {
        if *attributes != Attributes::default() {
            remount |= change(&tree, whole, attributes, &object)? == Changed::OnceAttached;
        }
    }
    attach(&tree, &target).doing(Class::Mount, "bind", &object)?;
    if remount {
        classic_remount(&tree, &bind.attributes).doing(Class::Mount, "remount", &object)?;
    }
    after_mount(root, &bind.target, &bind.propagation)
}

/// Whether a change is done.
#[derive(PartialEq, Eq)]
enum Changed {
    Now,
    /// KERNEL(5.12): without mount_setattr(2) the mount is remounted, which it can be once it is attached.
    OnceAttached,
}

/// Changes attributes of a detached bind mount. In a user namespace some flags of the source are locked: those that the
/// configuration does not name stay as they are.
fn change(tree: &Fd, recursive: bool, wanted: &Attributes, object: &str) -> Outcome<Changed> {
    let done = match set_attributes(
        tree,
        recursive,
        wanted.set,
        (wanted.clear | wanted.must_clear) & !wanted.set,
        0,
    ) {
        Err(EPERM) => set_attributes(tree, recursive, wanted.set, wanted.must_clear & !wanted.set, 0),
        done => done,
    };
    match done {
        Err(ENOSYS) if !recursive => Ok(Changed::OnceAttached),
        done => done.map(|_| Changed::Now).doing(Class::Mount, "change attributes of", object),
    }
}

/// Where mount_setattr(2) is missing: a second mount(2) on the attached mount.
fn classic_remount(tree: &Fd, wanted: &Attributes) -> sys::Result<()> {
    let flags = classic_flags(wanted.set) | u64::from(k::MS_REMOUNT | k::MS_BIND);
    classic("", &proc_path(tree), "", flags, "").map(drop)
}

/// Propagation is changed once the mount is where it belongs (config.md: separate calls).
fn after_mount(root: &Root, target: &str, propagation: &[u64]) -> Outcome {
    if propagation.is_empty() {
        return Ok(());
    }
    let mount = root.open(target, k::O_PATH).doing(Class::Mount, "open", target)?;
    for flags in propagation {
        classic("", &proc_path(&mount), "", *flags, "").doing(
            Class::Mount,
            "change propagation of",
            target,
        )?;
    }
    Ok(())
}

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
            propagation: Vec::new(),
            inherit_mode: false,
            real_directory: false,
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
    let mut statfs = core::mem::MaybeUninit::<k::statfs>::zeroed();
    call!(__NR_fstatfs, mount.number(), statfs.as_mut_ptr())?;
    // SAFETY: zeroed is a valid statfs, and the kernel filled it.
    let reported = unsafe { statfs.assume_init() }.f_flags as u64;
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

/// pivot_root(2) onto itself: the old root lies over the new one and is taken off.
pub(crate) fn pivot_root(root: &Root) -> Outcome {
    let pivot = || -> sys::Result<()> {
        let old = sys::open_at(k::AT_FDCWD, &Text::new("/"), k::O_PATH | k::O_DIRECTORY, 0)?;
        call!(__NR_fchdir, root.fd().number())?;
        let here = Text::new(".");
        call!(__NR_pivot_root, here.as_ptr(), here.as_ptr())?;
        call!(__NR_fchdir, old.number())?;
        // What is unmounted here must not be unmounted on the host.
        classic("", &here, "", u64::from(k::MS_SLAVE | k::MS_REC), "")?;
        call!(__NR_umount2, here.as_ptr(), k::MNT_DETACH)?;
        call!(__NR_chdir, Text::new("/").as_ptr())?;
        Ok(())
    };
    pivot().doing(Class::Rootfs, "pivot_root to", "root filesystem")
}

/// mount(2) with MS_MOVE, then chroot(2): for a host root that pivot_root(2) refuses. The old root stays mounted
/// beneath, out of reach for whoever lacks CAP_SYS_CHROOT in it.
pub(crate) fn move_root(root: &Root) -> Outcome {
    let moved = || -> sys::Result<()> {
        call!(__NR_fchdir, root.fd().number())?;
        let here = Text::new(".");
        classic(".", &Text::new("/"), "", u64::from(k::MS_MOVE), "")?;
        call!(__NR_chroot, here.as_ptr())?;
        call!(__NR_chdir, Text::new("/").as_ptr())?;
        Ok(())
    };
    moved().doing(Class::Rootfs, "move root filesystem to", "/")
}

/// Binds the object behind a descriptor (a device of the host, the slave of a pty) onto another.
pub(crate) fn bind_descriptor(source: &Fd, target: &Fd) -> sys::Result {
    attach(&clone_tree(source.number(), &Text::new(""), false)?, target)
}

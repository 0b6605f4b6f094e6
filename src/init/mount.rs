//! Mounts, propagation, pivot_root.
//!
//! Runs in: the init program, in the container's mount namespace, before the ids change. Filesystems are made detached
//! (fsopen(2), open_tree(2)), get their attributes while nobody can see them, and are moved onto a descriptor that
//! `root.rs` vouches for. Where the kernel lacks a call of the new mount API, mount(2) on /proc/self/fd/N does the same
//! in more than one step: that is why all of this happens before pivot_root, while the host's /proc is there.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use linux_raw_sys::general as k;

use crate::channel::{Channel, Doing, Outcome};
use crate::copyup;
use crate::root::Root;
use crate::sys::{self, E2BIG, EACCES, ENOENT, ENOSYS, EPERM, Fd, Text, call};
use crate::tree::{self, clone as clone_tree};
use crate::wire::{Attributes, Bind, Class, Failure, Filesystem, OpenedBy, Remount};

/// fsconfig(2) knows a string parameter of up to this many bytes,
const LONGEST_PARAMETER: usize = 255;
/// and mount(2) all of them together, in one page with a NUL; what is longer it would cut.
const LONGEST_DATA: usize = 4095;

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
pub(crate) fn proc_path(fd: &Fd) -> Text {
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

/// Makes the mount private that holds `path`, which is the first on the way up that is a mount at all.
pub(crate) fn part_from_host(path: &str) -> Outcome {
    let mut here = path.trim_end_matches('/');
    loop {
        let place = if here.is_empty() { "/" } else { here };
        match classic("", &Text::new(place), "", u64::from(k::MS_PRIVATE), "") {
            Err(sys::EINVAL) if !here.is_empty() => here = here.rsplit_once('/').map_or("", |(above, _)| above),
            done => return done.map(drop).doing(Class::Mount, "make private", place),
        }
    }
}

/// Binds the root filesystem on itself: pivot_root(2) wants a mount point.
pub(crate) fn open_root(path: &str, opened_by: OpenedBy, channel: &Channel, step: u32) -> Outcome<Root> {
    let (tree, place) = match clone_tree(k::AT_FDCWD, &Text::new(path), true) {
        // Its own place cannot be reached, so it goes over the old root, which it will take the place of: a path from
        // `/` still begins below it.
        Err(EACCES) if opened_by == OpenedBy::EitherOne => (tree::ask(channel, step)?, "/"),
        opened => (opened.doing(Class::Rootfs, "bind root filesystem", path)?, path),
    };
    call!(
        __NR_move_mount,
        tree.number(),
        Text::new("").as_ptr(),
        k::AT_FDCWD,
        Text::new(place).as_ptr(),
        k::MOVE_MOUNT_F_EMPTY_PATH
    )
    .doing(Class::Rootfs, "mount root filesystem on", place)?;
    Ok(Root::new(tree))
}

/// move_mount(2): attaches a detached mount on the file or directory behind a descriptor.
pub(crate) fn attach(mount: &Fd, target: &Fd) -> sys::Result {
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
    new_filesystem(root, fs)?;
    root.mounted_fresh(&fs.target, fs.fstype == "tmpfs");
    Ok(())
}

fn new_filesystem(root: &Root, fs: &Filesystem) -> Outcome {
    let object = format!("{} on {}", fs.source, fs.target);
    let (target, existed) = if fs.real_directory {
        (real_directory(root, &fs.target, &object)?, true)
    } else {
        let made = root.make_directory(&fs.target).doing(Class::Mount, "make mount point", &fs.target)?;
        not_in_proc(root, &made.0, &object)?;
        made
    };
    let mut options = fs.options.clone();
    if fs.inherit_mode && existed {
        let mode = sys::stat(&target).doing(Class::Mount, "stat", &fs.target)?.mode & 0o7777;
        options.push((String::from("mode"), Some(format!("{mode:o}"))));
    }
    if one_call_will_do(fs, &options) && classic_filesystem(fs, &options, &target).is_ok() {
        return after_mount(root, &fs.target, &fs.propagation);
    }
    match make_filesystem(fs, &options) {
        Ok(mount) => {
            if fs.copy_up {
                copyup::copy(&target, &mount, &fs.target)?;
            }
            tree::map_ids(&mount, fs.idmap.as_ref(), &object)?;
            attach(&mount, &target).map(drop)
        }
        // No new mount API here (an old kernel, or a filter around us), or a parameter that is too long for it.
        Err(ENOSYS | EPERM | sys::EINVAL) if fs.idmap.is_none() => {
            classic_filesystem(fs, &options, &target).doing(Class::Mount, "mount", &object)?;
            if fs.copy_up {
                let mount = root.open(&fs.target, k::O_PATH | k::O_DIRECTORY);
                copyup::copy(&target, &mount.doing(Class::Mount, "open", &fs.target)?, &fs.target)?;
            }
            Ok(())
        }
        Err(errno) => Err(errno),
    }
    .doing(Class::Mount, "mount", &object)?;
    after_mount(root, &fs.target, &fs.propagation)
}

/// mount(2) is one call where the new mount API takes eight, and makes no mount namespace for a detached mount: half of
/// the time of a mount. It is left to the new one to change ids, to copy before anybody looks, to take any character in
/// a value, and to say what is wrong.
fn one_call_will_do(fs: &Filesystem, options: &[(String, Option<String>)]) -> bool {
    fs.idmap.is_none()
        && !fs.copy_up
        && options.iter().all(|(_, value)| value.as_ref().is_none_or(|value| !value.contains([',', '\\', '"'])))
}

/// A directory that no link leads to: a proc or sysfs behind a link of the image would be a fake (CVE-2019-19921,
/// CVE-2023-27561).
fn real_directory(root: &Root, path: &str, object: &str) -> Outcome<Fd> {
    let open = || root.open_real(path, k::O_PATH | k::O_DIRECTORY);
    let real = match open() {
        Err(ENOENT) => {
            root.make_directory(path).doing(Class::Mount, "make mount point", path)?;
            open()
        }
        opened => opened,
    };
    real.doing(Class::UnsafePath, "mount", &format!("{object}: not an ordinary directory"))
}

/// The plan holds no path below /proc but the few that are allowed; a link of the image must not lead there, either.
fn not_in_proc(root: &Root, target: &Fd, object: &str) -> Outcome {
    if !root.followed_links() {
        return Ok(());
    }
    let (magic, _) = sys::filesystem_of(target).doing(Class::Mount, "stat", object)?;
    if magic != u64::from(k::PROC_SUPER_MAGIC) {
        return Ok(());
    }
    let object = format!("{object}: a link leads into /proc");
    Err(Failure { class: Class::UnsafePath, verb: "mount".into(), object, errno: 0 })
}

/// fsopen(2), fsconfig(2), fsmount(2).
pub(crate) fn make_filesystem(fs: &Filesystem, options: &[(String, Option<String>)]) -> sys::Result<Fd> {
    let long = |value: &String| value.len() > LONGEST_PARAMETER;
    // KERNEL(6.7): the layers of an overlay one by one, as many as there are. Escaped colons are for the old way.
    let layers = |key: &str, value: &String| {
        fs.fstype == "overlay" && key == "lowerdir" && !value.contains('\\') && !value.contains("::")
    };
    let too_long = |(key, value): &(String, Option<String>)| {
        value.as_ref().is_some_and(|value| {
            if layers(key, value) {
                value.split(':').any(|layer| layer.len() > LONGEST_PARAMETER)
            } else {
                long(value)
            }
        })
    };
    if options.iter().any(too_long) {
        return Err(ENOSYS);
    }
    let context = call!(__NR_fsopen, Text::new(&fs.fstype).as_ptr(), k::FSOPEN_CLOEXEC).map(Fd::own)?;
    configure(&context, "source", Some(&fs.source))?;
    for (key, value) in options {
        match value {
            Some(value) if long(value) => {
                for layer in value.split(':') {
                    configure(&context, "lowerdir+", Some(layer))?;
                }
            }
            value => drop(configure(&context, key, value.as_deref())?),
        }
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
pub(crate) fn classic_filesystem(
    fs: &Filesystem,
    options: &[(String, Option<String>)],
    target: &Fd,
) -> sys::Result<()> {
    let (flags, data) = classic_options(options)?;
    classic(&fs.source, &proc_path(target), &fs.fstype, flags | classic_flags(fs.attributes), &data).map(drop)
}

/// Options of a superblock as mount(2) takes them.
fn classic_options(options: &[(String, Option<String>)]) -> sys::Result<(u64, String)> {
    const FLAGS: [(&str, u32); 6] = [
        ("ro", k::MS_RDONLY),
        ("sync", k::MS_SYNCHRONOUS),
        ("dirsync", k::MS_DIRSYNC),
        ("mand", k::MS_MANDLOCK),
        ("lazytime", k::MS_LAZYTIME),
        ("iversion", k::MS_I_VERSION),
    ];
    let mut flags = 0;
    let mut data: Vec<String> = Vec::new();
    for (key, value) in options {
        match (value, FLAGS.iter().find(|(name, _)| name == key)) {
            (None, Some((_, flag))) => flags |= u64::from(*flag),
            (None, None) => data.push(key.clone()),
            // A label of SELinux has commas of its own.
            (Some(value), _) if key.ends_with("context") => data.push(format!("{key}=\"{value}\"")),
            (Some(value), _) => data.push(format!("{key}={value}")),
        }
    }
    let data = data.join(",");
    if data.len() > LONGEST_DATA { Err(E2BIG) } else { Ok((flags, data)) }
}

/// Binds a file or a tree of the host.
pub(crate) fn bind(root: &Root, bind: &Bind, channel: &Channel, step: u32) -> Outcome {
    let object = format!("{} on {}", bind.source, bind.target);
    let tree = tree::source(channel, step, bind, &object)?;
    let source = sys::stat(&tree).doing(Class::Mount, "stat", &bind.source)?;
    let target = if bind.procfs {
        is_procfs(&tree, &object)?;
        real_directory(root, &bind.target, &object)?
    } else {
        let made = if source.is_directory() {
            root.make_directory(&bind.target).map(|(fd, _)| fd)
        } else {
            root.make_file(&bind.target)
        };
        let made = made.doing(Class::Mount, "make mount point", &bind.target)?;
        not_in_proc(root, &made, &object)?;
        made
    };
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

/// Nothing else may be bound over /proc.
fn is_procfs(tree: &Fd, object: &str) -> Outcome {
    if sys::filesystem_of(tree).doing(Class::Mount, "stat", object)?.0 == u64::from(k::PROC_SUPER_MAGIC) {
        return Ok(());
    }
    let object = format!("{object}: it is not of type proc");
    Err(Failure { class: Class::UnsafePath, verb: "bind".into(), object, errno: 0 })
}

/// Changes the mount that is at a path.
pub(crate) fn remount(root: &Root, wanted: &Remount) -> Outcome {
    let mount = root.open(&wanted.target, k::O_PATH).doing(Class::Mount, "open", &wanted.target)?;
    if !wanted.bind {
        let remount = || -> sys::Result<()> {
            let (flags, data) = classic_options(&wanted.options)?;
            let flags = flags | classic_flags(wanted.attributes.set) | u64::from(k::MS_REMOUNT);
            classic("", &proc_path(&mount), "", flags, &data).map(drop)
        };
        remount().doing(Class::Mount, "remount", &wanted.target)?;
    } else if change(&mount, false, &wanted.attributes, &wanted.target)? == Changed::OnceAttached {
        classic_remount(&mount, &wanted.attributes).doing(Class::Mount, "remount", &wanted.target)?;
    }
    after_mount(root, &wanted.target, &wanted.propagation)
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
        Err(EPERM) => Err(EPERM).doing(
            Class::Mount,
            "change attributes of",
            &format!("{object}: {}", locked(tree, recursive, wanted)),
        ),
        done => done.map(|_| Changed::Now).doing(Class::Mount, "change attributes of", object),
    }
}

/// Which of the wanted changes the kernel does not allow: those of the access time mode, if the others alone are.
fn locked(tree: &Fd, recursive: bool, wanted: &Attributes) -> &'static str {
    let atime = u64::from(k::MOUNT_ATTR_NOATIME | k::MOUNT_ATTR_STRICTATIME | k::MOUNT_ATTR_NODIRATIME);
    let (set, clear) = (wanted.set & !atime, wanted.must_clear & !wanted.set & !atime);
    if set_attributes(tree, recursive, set, clear, 0).is_ok() {
        "cannot change locked atime flags"
    } else {
        "cannot clear locked flags"
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

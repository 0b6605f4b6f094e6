//! Labels of security modules, for the coming execve and for new keys.
//!
//! Runs in: the init program. The files are in a procfs, and a label that went into a look-alike would leave the program
//! unconfined (CVE-2019-16884, CVE-2025-52881): the container's own `/proc` is never used. [`open_proc`] comes before any
//! of the container's mounts is in reach, and what it opens is held by descriptor.

use alloc::format;
use alloc::string::String;

use linux_raw_sys::general as k;

use crate::channel::{Doing, Outcome};
use crate::sys::{self, ENOENT, Fd, Text, call};
use crate::wire::{Class, Failure};

const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// A procfs that is mounted nowhere, with nothing but processes in it; where the kernel refuses that (before 5.2, or in a
/// user namespace below a procfs with masks), the host's.
pub(crate) fn open_proc() -> Outcome<Fd> {
    match detached() {
        Ok(proc) => Ok(proc),
        Err(_) => hosts().doing(Class::Label, "open", "procfs"),
    }
}

/// fsopen(2), fsconfig(2), fsmount(2).
fn detached() -> sys::Result<Fd> {
    use k::fsconfig_command::{FSCONFIG_CMD_CREATE, FSCONFIG_SET_STRING};
    let context = call!(__NR_fsopen, c"proc".as_ptr(), k::FSOPEN_CLOEXEC).map(Fd::own)?;
    // KERNEL(5.8); without it there is more in the procfs than we look at.
    let _ = call!(
        __NR_fsconfig,
        context.number(),
        FSCONFIG_SET_STRING as u32,
        c"subset".as_ptr(),
        c"pid".as_ptr(),
        0
    );
    call!(__NR_fsconfig, context.number(), FSCONFIG_CMD_CREATE as u32, 0, 0, 0)?;
    let attributes = k::MOUNT_ATTR_NOSUID | k::MOUNT_ATTR_NODEV | k::MOUNT_ATTR_NOEXEC;
    call!(__NR_fsmount, context.number(), k::FSMOUNT_CLOEXEC, attributes).map(Fd::own)
}

/// The directory, if it is the root of a procfs indeed.
fn hosts() -> sys::Result<Fd> {
    let flags = k::O_PATH | k::O_DIRECTORY | k::O_NOFOLLOW;
    let proc = sys::open_at(k::AT_FDCWD, &Text::new("/proc"), flags, 0)?;
    let mut about = core::mem::MaybeUninit::<k::statfs64>::zeroed();
    call!(__NR_fstatfs, proc.number(), about.as_mut_ptr())?;
    // SAFETY: zeroed is a valid statfs, and the kernel filled it.
    let about = unsafe { about.assume_init() };
    if about.f_type as i64 == PROC_SUPER_MAGIC { Ok(proc) } else { Err(ENOENT) }
}

/// Writes `value` into the first of `files` that this kernel has, in `attr` of this process.
pub(crate) fn set(proc: Option<&Fd>, property: &str, files: &[String], value: &str) -> Outcome {
    let file = open_attribute(proc, files).doing(Class::Label, "open file of", property)?;
    let written = call!(__NR_write, file.number(), value.as_ptr(), value.len());
    match written.doing(Class::Label, "set", property)? {
        n if n == value.len() => Ok(()),
        _ => Err(Failure {
            class: Class::Label,
            verb: "set".into(),
            object: format!("{property}: written in part"),
            errno: 0,
        }),
    }
}

fn open_attribute(proc: Option<&Fd>, files: &[String]) -> sys::Result<Fd> {
    let proc = proc.ok_or(ENOENT)?;
    let mut missing = ENOENT;
    for file in files {
        let path = Text::new(&format!("self/attr/{file}"));
        // Nothing below is another filesystem's: a mount over a part of the host's procfs is refused.
        let resolve = k::RESOLVE_BENEATH | k::RESOLVE_NO_XDEV | k::RESOLVE_NO_MAGICLINKS;
        match sys::open_at2(proc.number(), &path, k::O_WRONLY, 0, resolve) {
            Err(ENOENT) => {}
            Ok(file) => return Ok(file),
            Err(errno) => missing = errno,
        }
    }
    Err(missing)
}

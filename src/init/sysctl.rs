//! Kernel parameters of the container's namespaces, as files below /proc/sys.
//!
//! Runs in: the init program, in all of the container's namespaces, before pivot_root, with the privilege of their root.
//! Which namespace a file speaks of is decided by who opens it. The files are those of a procfs that is made for this
//! and never attached: nobody can have put anything over it, and the container's own /proc is never trusted
//! (CVE-2025-52881 and its kin).

use alloc::format;

use linux_raw_sys::general as k;

use crate::channel::{Doing, Outcome};
use crate::procfs;
use crate::sys::{self, ENOSYS, EPERM, Fd, Text};
use crate::wire::Class;

/// Writes all values, in order, one write each: the kernel takes no second one for the rest.
pub(crate) fn write(settings: &[(alloc::string::String, alloc::string::String)]) -> Outcome {
    let parameters = open_parameters().doing(Class::System, "open", "kernel parameters")?;
    for (path, value) in settings {
        let object = format!("sysctl {path}");
        let flags = k::O_WRONLY | k::O_NOFOLLOW;
        let resolve =
            k::RESOLVE_BENEATH | k::RESOLVE_NO_SYMLINKS | k::RESOLVE_NO_MAGICLINKS | k::RESOLVE_NO_XDEV;
        let file = sys::open_at2(parameters.number(), &Text::new(path), flags, 0, resolve);
        let file = file.doing(Class::System, "open", &object)?;
        sys::write(&file, value.as_bytes()).doing(Class::System, "write", &object)?;
    }
    Ok(())
}

/// The directory `sys` of a procfs.
fn open_parameters() -> sys::Result<Fd> {
    match procfs::detached(false).and_then(|proc| below(&proc)) {
        // No new mount API here; or the pid namespace is not ours to make a procfs of, or the host hides parts of its
        // own: the host's, then, which is still at /proc, and not the container's to change.
        Err(ENOSYS | EPERM) => below(&procfs::of_host()?),
        opened => opened,
    }
}

fn below(proc: &Fd) -> sys::Result<Fd> {
    let resolve = k::RESOLVE_BENEATH | k::RESOLVE_NO_SYMLINKS | k::RESOLVE_NO_XDEV;
    sys::open_at2(proc.number(), &Text::new("sys"), k::O_PATH | k::O_DIRECTORY, 0, resolve)
}

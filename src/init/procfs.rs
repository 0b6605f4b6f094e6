//! A procfs to trust: one that nobody can have put anything over, and never the container's own.
//!
//! Runs in: the init program, in the container's pid namespace, before pivot_root. What is opened here is held by
//! descriptor; writing through a look-alike is CVE-2019-16884, CVE-2025-52881 and their kin.

use linux_raw_sys::general as k;

use crate::sys::{self, ENOENT, Fd, Text, call};

/// One that is mounted nowhere: fsopen(2), fsconfig(2), fsmount(2), KERNEL(5.2). Refused where the pid namespace is
/// another user namespace's, and below a procfs with masks.
pub(crate) fn detached(only_processes: bool) -> sys::Result<Fd> {
    use k::fsconfig_command::{FSCONFIG_CMD_CREATE, FSCONFIG_SET_STRING};
    let context = call!(__NR_fsopen, c"proc".as_ptr(), k::FSOPEN_CLOEXEC).map(Fd::own)?;
    if only_processes {
        // KERNEL(5.8); without it there is more in the procfs than we look at.
        let _ = call!(
            __NR_fsconfig,
            context.number(),
            FSCONFIG_SET_STRING as u32,
            c"subset".as_ptr(),
            c"pid".as_ptr(),
            0
        );
    }
    call!(__NR_fsconfig, context.number(), FSCONFIG_CMD_CREATE as u32, 0, 0, 0)?;
    let attributes = k::MOUNT_ATTR_NOSUID | k::MOUNT_ATTR_NODEV | k::MOUNT_ATTR_NOEXEC;
    call!(__NR_fsmount, context.number(), k::FSMOUNT_CLOEXEC, attributes).map(Fd::own)
}

/// The host's, which is at /proc until pivot_root, where no container can have changed it.
pub(crate) fn of_host() -> sys::Result<Fd> {
    const PROC_SUPER_MAGIC: i64 = 0x9fa0;
    let flags = k::O_PATH | k::O_DIRECTORY | k::O_NOFOLLOW;
    let proc = sys::open_at(k::AT_FDCWD, &Text::new("/proc"), flags, 0)?;
    let mut about = core::mem::MaybeUninit::<k::statfs64>::zeroed();
    call!(__NR_fstatfs, proc.number(), about.as_mut_ptr())?;
    // SAFETY: zeroed is a valid statfs, and the kernel filled it.
    let about = unsafe { about.assume_init() };
    if about.f_type as i64 == PROC_SUPER_MAGIC { Ok(proc) } else { Err(ENOENT) }
}

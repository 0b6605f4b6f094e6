//! The child between the clone and the execution, in the host's memory.

use std::ffi::CStr;

use libc::{c_char, c_int, c_long};

use super::{Foreign, raw};
use crate::sys::{Errno, Result};

/// Everything the child reads and the one thing it writes, laid out before the clone.
pub(super) struct Layout<'a> {
    pub(super) program: c_int,
    pub(super) foreign: Option<Foreign<'a>>,
    pub(super) argv: *const *const c_char,
    pub(super) envp: *const *const c_char,
    pub(super) affinity: &'a [u64],
    pub(super) tasks: &'a [c_int],
    /// Triples: source, target, room for the copy that no target can hit.
    pub(super) descriptors: &'a mut [[c_int; 3]],
    pub(super) above: c_int,
    pub(super) descriptor_limit: c_int,
    pub(super) keep_capabilities: bool,
    pub(super) oom_score_adj: *const c_char,
    pub(super) cgroup: c_int,
    /// Written by the child before it ends: 0 while all is well.
    pub(super) failed_stage: i32,
    pub(super) failed_index: usize,
    pub(super) failed_errno: c_int,
}

/// The child, on its own stack in the host's memory.
///
/// # Safety
/// Runs between the clone and execve: raw system calls only, on memory that `layout` points to, which the parent keeps
/// alive and does not touch. Nothing here uses thread-local memory: it is that of a thread that may run.
pub(super) unsafe extern "C" fn child(layout: *mut Layout<'_>) -> ! {
    // SAFETY: the parent passed a live layout and leaves it alone.
    let layout = unsafe { &mut *layout };
    let (stage, index, errno) = match prepare(layout) {
        Err((stage, index, errno)) => (stage, index, errno),
        Ok(()) => {
            let (directory, path, flags) = match &layout.foreign {
                None => (layout.program, c"", libc::AT_EMPTY_PATH),
                Some(foreign) => (libc::AT_FDCWD, foreign.path, 0),
            };
            let (argv, envp) = (layout.argv as usize, layout.envp as usize);
            // Both are NULL-terminated arrays of NUL-terminated strings, the path is one of those.
            let arguments = [directory as usize, path.as_ptr() as usize, argv, envp, flags as usize];
            // SAFETY: as said; a success does not come back.
            let failed = unsafe { raw::checked(libc::SYS_execveat, arguments) };
            (4, 0, failed.err().unwrap_or(Errno::EINVAL))
        }
    };
    layout.failed_errno = errno as c_int;
    layout.failed_index = index;
    layout.failed_stage = stage;
    loop {
        let _ = raw(libc::SYS_exit_group, 127, 0, 0, 0);
    }
}

/// One system call in the child.
fn raw(number: c_long, a: usize, b: usize, c: usize, d: usize) -> Result<usize> {
    // SAFETY: every caller below passes numbers, or pointers into the layout that are valid for the call.
    unsafe { raw::checked(number, [a, b, c, d, 0]) }
}

/// Where it failed, and why.
fn at(stage: i32, index: usize) -> impl FnOnce(Errno) -> (i32, usize, Errno) {
    move |errno| (stage, index, errno)
}

/// Cgroups, the OOM score, descriptors, capabilities. On failure: the stage and which.
fn prepare(layout: &mut Layout<'_>) -> std::result::Result<(), (i32, usize, Errno)> {
    if !layout.affinity.is_empty() {
        let (size, cpus) = (size_of_val(layout.affinity), layout.affinity.as_ptr() as usize);
        raw(libc::SYS_sched_setaffinity, 0, size, cpus, 0).map_err(at(5, 0))?;
    }
    for (index, file) in layout.tasks.iter().enumerate() {
        raw(libc::SYS_write, *file as usize, c"0".as_ptr() as usize, 1, 0).map_err(at(1, index))?;
    }
    if layout.cgroup >= 0 {
        let procs = open_at(layout.cgroup, c"cgroup.procs").map_err(at(1, layout.tasks.len()))?;
        raw(libc::SYS_write, procs, c"0".as_ptr() as usize, 1, 0).map_err(at(1, layout.tasks.len()))?;
    }
    if !layout.oom_score_adj.is_null() {
        let file = open_at(libc::AT_FDCWD, c"/proc/self/oom_score_adj").map_err(at(2, 0))?;
        // SAFETY: not NULL here, and a CStr in the parent.
        let length = unsafe { libc::strlen(layout.oom_score_adj) };
        raw(libc::SYS_write, file, layout.oom_score_adj as usize, length, 0).map_err(at(2, 0))?;
    }
    place_descriptors(layout).map_err(at(3, 0))?;
    if layout.keep_capabilities {
        raise_ambient();
    }
    if let Some(foreign) = &layout.foreign {
        be_foreign(foreign);
    }
    Ok(())
}

/// What [`Program::Foreign`] promises. None of it can fail but the change of directory.
fn be_foreign(foreign: &Foreign<'_>) {
    let _ = raw(libc::SYS_setpgid, 0, 0, 0, 0);
    if foreign.dies_with_caller {
        let _ = raw(libc::SYS_prctl, libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0);
    }
    if raw(libc::SYS_chdir, foreign.directory.as_ptr() as usize, 0, 0, 0).is_err() {
        let _ = raw(libc::SYS_chdir, c"/".as_ptr() as usize, 0, 0, 0);
    }
    // The kernel's struct sigaction, all zeroes: SIG_DFL. CLONE_CLEAR_SIGHAND leaves what the host ignores.
    let default = [0_usize; 4];
    for signal in 1..=64 {
        let _ = raw(libc::SYS_rt_sigaction, signal, default.as_ptr() as usize, 0, 8);
    }
    // No handler is left that could run in the host's memory.
    let none = 0_u64;
    let _ = raw(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK as usize, &raw const none as usize, 0, 8);
}

fn open_at(directory: c_int, path: &CStr) -> Result<usize> {
    raw(
        libc::SYS_openat,
        directory as usize,
        path.as_ptr() as usize,
        (libc::O_WRONLY | libc::O_CLOEXEC) as usize,
        0,
    )
}

/// Everything close-on-exec; then the wanted ones, first out of each other's way, then to their numbers.
fn place_descriptors(layout: &mut Layout<'_>) -> Result {
    const CLOSE_RANGE_CLOEXEC: usize = 4;
    if raw(libc::SYS_close_range, 0, u32::MAX as usize, CLOSE_RANGE_CLOEXEC, 0).is_err() {
        // KERNEL(5.11), or a filter: one by one. A number that is not open answers EBADF, which is as well.
        for number in 0..layout.descriptor_limit {
            let _ =
                raw(libc::SYS_fcntl, number as usize, libc::F_SETFD as usize, libc::FD_CLOEXEC as usize, 0);
        }
    }
    let (duplicate, above) = (libc::F_DUPFD_CLOEXEC as usize, layout.above as usize);
    if layout.foreign.is_none() {
        layout.program = raw(libc::SYS_fcntl, layout.program as usize, duplicate, above, 0)? as c_int;
    }
    for entry in layout.descriptors.iter_mut() {
        entry[2] = raw(libc::SYS_fcntl, entry[0] as usize, duplicate, above, 0)? as c_int;
    }
    for entry in layout.descriptors.iter() {
        raw(libc::SYS_dup3, entry[2] as usize, entry[1] as usize, 0, 0)?;
    }
    Ok(())
}

/// Makes all permitted capabilities inheritable and ambient. What the kernel refuses here, the init program misses
/// when it needs it, and says so.
fn raise_ambient() {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let mut data = [0_u32; 6];
    if raw(libc::SYS_capget, header.as_ptr() as usize, data.as_mut_ptr() as usize, 0, 0).is_err() {
        return;
    }
    (data[2], data[5]) = (data[1], data[4]);
    let _ = raw(libc::SYS_capset, header.as_ptr() as usize, data.as_ptr() as usize, 0, 0);
    for capability in 0..64_usize {
        let raise = libc::PR_CAP_AMBIENT_RAISE as usize;
        if raw(libc::SYS_prctl, libc::PR_CAP_AMBIENT as usize, raise, capability, 0).is_err() {
            let known = raw(libc::SYS_prctl, libc::PR_CAPBSET_READ as usize, capability, 0, 0).is_ok();
            if !known {
                break;
            }
        }
    }
}

//! One vfork-style clone3(2), then execveat(2): how a process starts in a host with many threads.
//!
//! The child shares the host's memory until it executes, and the calling thread sleeps meanwhile (CLONE_VM |
//! CLONE_VFORK): the cost does not grow with the host. Between the two calls the child makes raw system calls on
//! memory that was laid out before. It enters no existing namespace: neither the host's memory nor its descriptors are
//! ever visible to a container.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{c_char, c_int, c_long, c_void};

use super::{Errno, Result};

/// What the child does before it executes the program, and which.
#[derive(Debug)]
pub(crate) struct Spawn<'a> {
    pub(crate) program: Program<'a>,
    pub(crate) arguments: &'a [CString],
    /// All of it: nothing of the host's own is handed down.
    pub(crate) environment: &'a [CString],
    /// `CLONE_NEW*`.
    pub(crate) namespaces: u64,
    /// A cgroup2 directory in which the child is born, KERNEL(5.7); an older kernel gets the write below instead.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// `tasks` files of cgroup v1: the child writes itself to each while it has one thread, which spares the kernel's
    /// global lock that a write of a pid to `cgroup.procs` takes.
    pub(crate) tasks: &'a [BorrowedFd<'a>],
    /// CPUs that the child is bound to before it joins a cgroup: number n is bit n % 64 of word n / 64. None: as ours.
    pub(crate) affinity: &'a [u64],
    /// (number in the host, number in the child). All others are closed by the execution.
    pub(crate) descriptors: &'a [(RawFd, RawFd)],
    /// Carry all capabilities over the execution as ambient ones: the child's user namespace has no map yet, and
    /// execve(2) takes the capabilities of whoever is not its root.
    pub(crate) keep_capabilities: bool,
    /// What is written to the child's oom_score_adj.
    pub(crate) oom_score_adj: Option<&'a CStr>,
    /// Its parent is a process that ends at once: it goes to the nearest subreaper, or to the first process of our pid
    /// namespace.
    pub(crate) orphan: bool,
}

/// What is executed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program<'a> {
    /// Ours, by descriptor: it sees to its own signals and its own session.
    Ours(BorrowedFd<'a>),
    /// Somebody else's, by path, since the interpreter of a script opens it again.
    Foreign(Foreign<'a>),
}

/// A program that gets a process group of its own, default signal handlers and an empty signal mask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Foreign<'a> {
    pub(crate) path: &'a CStr,
    /// Where it starts, or in `/` if that is not there any more.
    pub(crate) directory: &'a CStr,
    /// Killed when the calling thread ends before it does.
    pub(crate) dies_with_caller: bool,
}

/// A process that was just started.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
}

/// Where the child stopped; the parent reads it after the child is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Clone,
    Affinity,
    /// The nth `tasks` file.
    Tasks(usize),
    OomScoreAdj,
    Descriptors,
    Execute,
}

/// Why no process was started.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) stage: Stage,
    pub(crate) errno: Errno,
}

/// Everything the child reads and the one thing it writes, laid out before the clone.
struct Layout<'a> {
    program: c_int,
    foreign: Option<Foreign<'a>>,
    argv: *const *const c_char,
    envp: *const *const c_char,
    affinity: &'a [u64],
    tasks: &'a [c_int],
    /// Triples: source, target, room for the copy that no target can hit.
    descriptors: &'a mut [[c_int; 3]],
    above: c_int,
    descriptor_limit: c_int,
    keep_capabilities: bool,
    oom_score_adj: *const c_char,
    cgroup: c_int,
    /// Written by the child before it ends: 0 while all is well.
    failed_stage: i32,
    failed_index: usize,
    failed_errno: c_int,
}

const STACK: usize = 32 * 1024;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// struct clone_args (clone3(2)).
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Starts the process; returns once it executes its program, or never will.
pub(crate) fn spawn(wanted: &Spawn<'_>) -> std::result::Result<Child, Failure> {
    let argv: Vec<*const c_char> =
        wanted.arguments.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
    let envp: Vec<*const c_char> =
        wanted.environment.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
    let tasks: Vec<c_int> = wanted.tasks.iter().map(AsRawFd::as_raw_fd).collect();
    let mut descriptors: Vec<[c_int; 3]> =
        wanted.descriptors.iter().map(|(from, to)| [*from, *to, -1]).collect();
    let above = wanted.descriptors.iter().map(|(_, to)| *to).max().unwrap_or(2) + 1;
    let mut layout = Layout {
        program: match wanted.program {
            Program::Ours(fd) => fd.as_raw_fd(),
            Program::Foreign(_) => -1,
        },
        foreign: match wanted.program {
            Program::Ours(_) => None,
            Program::Foreign(foreign) => Some(foreign),
        },
        argv: argv.as_ptr(),
        envp: envp.as_ptr(),
        affinity: wanted.affinity,
        tasks: &tasks,
        descriptors: &mut descriptors,
        above,
        descriptor_limit: descriptor_limit(),
        keep_capabilities: wanted.keep_capabilities,
        oom_score_adj: wanted.oom_score_adj.map_or(ptr::null(), CStr::as_ptr),
        cgroup: -1,
        failed_stage: 0,
        failed_index: 0,
        failed_errno: 0,
    };
    let (pid, pidfd) = clone(&mut layout, wanted).map_err(|errno| Failure { stage: Stage::Clone, errno })?;
    // SAFETY: the kernel just made this descriptor for us (CLONE_PIDFD), close-on-exec.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    if layout.failed_stage == 0 {
        return Ok(Child { pid, pidfd });
    }
    super::pidfd::reap(&pidfd);
    let stage = match layout.failed_stage {
        1 => Stage::Tasks(layout.failed_index),
        2 => Stage::OomScoreAdj,
        3 => Stage::Descriptors,
        5 => Stage::Affinity,
        _ => Stage::Execute,
    };
    Err(Failure { stage, errno: Errno::from_raw(layout.failed_errno) })
}

/// A clone, its memory laid out.
struct Birth<'l, 'a> {
    arguments: CloneArguments,
    layout: &'l mut Layout<'a>,
    cgroup: c_int,
    pidfd: c_int,
    /// What became of it; written by whoever calls clone3.
    result: Result<i32>,
}

/// All signals are blocked meanwhile, so that no handler of the host runs in the child.
fn clone(layout: &mut Layout<'_>, wanted: &Spawn<'_>) -> Result<(i32, c_int)> {
    let mut stack: Vec<u128> = Vec::with_capacity(STACK / size_of::<u128>());
    let mut arguments = CloneArguments {
        flags: wanted.namespaces
            | (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64
            | CLONE_CLEAR_SIGHAND,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.as_mut_ptr() as u64,
        stack_size: STACK as u64,
        ..CloneArguments::default()
    };
    match wanted.cgroup.map(|cgroup| cgroup.as_raw_fd()) {
        Some(cgroup) if wanted.affinity.is_empty() => {
            arguments.flags |= CLONE_INTO_CGROUP;
            arguments.cgroup = cgroup as u64;
        }
        // The affinity comes before the cgroup.
        later => layout.cgroup = later.unwrap_or(-1),
    }
    let cgroup = wanted.cgroup.map_or(-1, |cgroup| cgroup.as_raw_fd());
    let mut birth = Birth { arguments, layout, cgroup, pidfd: -1, result: Err(Errno::EAGAIN) };
    birth.arguments.pidfd = &raw mut birth.pidfd as u64;
    let blocked = AllSignalsBlocked::new();
    if wanted.orphan {
        birth.by_a_parent_that_ends()
    } else {
        birth.take_place()
    }
    drop(blocked);
    drop(stack);
    birth.result.map(|pid| (pid, birth.pidfd))
}

impl Birth<'_, '_> {
    /// clone3, or clone where an outer filter knows no clone3. System calls only: it may be a child that comes here.
    fn take_place(&mut self) {
        self.result = clone3(&self.arguments, child_entry, ptr::from_mut(self.layout).cast());
        if let (
            // E2BIG: KERNEL(5.3) to 5.6 know clone3, and no cgroup in it.
            Err(
                Errno::ENOSYS
                | Errno::EINVAL
                | Errno::E2BIG
                | Errno::EOPNOTSUPP
                | Errno::EBUSY
                | Errno::EPERM,
            ),
            0..,
        ) = (self.result, self.cgroup)
        {
            // Born here and moved there: an old kernel, a filter, a threaded cgroup.
            self.layout.cgroup = self.cgroup;
            self.arguments.flags &= !CLONE_INTO_CGROUP;
            self.arguments.cgroup = 0;
            self.result = clone3(&self.arguments, child_entry, ptr::from_mut(self.layout).cast());
        }
        if let Err(Errno::ENOSYS | Errno::EINVAL) = self.result {
            // EINVAL: KERNEL(5.5) brought CLONE_CLEAR_SIGHAND.
            let flags = (self.arguments.flags & 0xffff_ffff) as c_int | libc::SIGCHLD;
            let top = self.arguments.stack as usize + STACK;
            let layout = ptr::from_mut(self.layout).cast();
            self.result = legacy_clone(flags, top, child_entry, layout, &mut self.pidfd);
        }
    }

    /// A child that shares our memory and our descriptors, so that it finds and leaves them where we would, takes our
    /// place as the parent and ends. It has no signal to tell its end by: a host that waits for any child never sees it.
    fn by_a_parent_that_ends(&mut self) {
        let mut stack: Vec<u128> = Vec::with_capacity(STACK / size_of::<u128>());
        let mut pidfd: c_int = -1;
        let arguments = CloneArguments {
            flags: (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::CLONE_PIDFD) as u64
                | CLONE_CLEAR_SIGHAND,
            pidfd: &raw mut pidfd as u64,
            stack: stack.as_mut_ptr() as u64,
            stack_size: STACK as u64,
            ..CloneArguments::default()
        };
        let mut between = clone3(&arguments, parent_entry, ptr::from_mut(self).cast());
        if let Err(Errno::ENOSYS | Errno::EINVAL) = between {
            let flags = (arguments.flags & 0xffff_ffff) as c_int;
            let top = arguments.stack as usize + STACK;
            between = legacy_clone(flags, top, parent_entry, ptr::from_mut(self).cast(), &mut pidfd);
        }
        match between {
            Ok(_) => {
                // SAFETY: the kernel just made this descriptor for us (CLONE_PIDFD), close-on-exec.
                super::pidfd::reap(&unsafe { OwnedFd::from_raw_fd(pidfd) });
            }
            Err(errno) => self.result = Err(errno),
        }
        drop(stack);
    }
}

/// What a clone begins with: one pointer, no way back.
type Entry = unsafe extern "C" fn(*mut c_void) -> !;

/// # Safety
/// `birth` is a [`Birth`] whose owner sleeps; see [`child`].
unsafe extern "C" fn parent_entry(birth: *mut c_void) -> ! {
    // SAFETY: as above.
    unsafe { &mut *birth.cast::<Birth<'_, '_>>() }.take_place();
    loop {
        // SAFETY: _exit(2) runs nothing of the host.
        unsafe { libc::syscall(libc::SYS_exit_group, 0) };
    }
}

/// # Safety
/// `layout` is a [`Layout`]; see [`child`].
unsafe extern "C" fn child_entry(layout: *mut c_void) -> ! {
    // SAFETY: passed on.
    unsafe { child(layout.cast()) }
}

/// Blocks every signal, the C library's own two included, until dropped.
struct AllSignalsBlocked(u64);

impl AllSignalsBlocked {
    fn new() -> Self {
        let (all, mut before) = (u64::MAX, 0_u64);
        // SAFETY: rt_sigprocmask(2) reads and writes the 8 bytes that it is told of.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const all,
                &raw mut before,
                8_usize,
            );
        }
        Self(before)
    }
}

impl Drop for AllSignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: as above; the old mask is put back.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_SETMASK,
                &raw const self.0,
                ptr::null_mut::<u64>(),
                8_usize,
            );
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn clone3(arguments: &CloneArguments, entry: Entry, argument: *mut c_void) -> Result<i32> {
    let result: isize;
    // SAFETY: the child begins on the stack in `arguments`, 16-byte aligned, and calls `entry` with its argument, which
    // does not return. The parent sleeps until then (CLONE_VFORK) and finds its own stack and registers untouched but
    // for rax, rcx and r11.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") ptr::from_ref(arguments),
            in("rsi") size_of::<CloneArguments>(),
            in("r12") argument,
            in("r13") entry as *const (),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    answer(result)
}

#[cfg(target_arch = "aarch64")]
fn clone3(arguments: &CloneArguments, entry: Entry, argument: *mut c_void) -> Result<i32> {
    let result: isize;
    // SAFETY: as on x86_64; svc changes x0 only.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x21",
            "blr x22",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") ptr::from_ref(arguments) => result,
            in("x1") size_of::<CloneArguments>(),
            in("x21") argument,
            in("x22") entry as *const (),
        );
    }
    answer(result)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn clone3(_arguments: &CloneArguments, _entry: Entry, _argument: *mut c_void) -> Result<i32> {
    Err(Errno::ENOSYS)
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn answer(result: isize) -> Result<i32> {
    if result < 0 { Err(Errno::from_raw(-result as i32)) } else { Ok(result as i32) }
}

/// clone(2) of the C library: CLONE_PIDFD comes through the parent_tid pointer.
fn legacy_clone(
    flags: c_int,
    stack_top: usize,
    entry: Entry,
    argument: *mut c_void,
    pidfd: &mut c_int,
) -> Result<i32> {
    // SAFETY: both are functions of one pointer; what the other may return, this one never does.
    let entry = unsafe { std::mem::transmute::<Entry, extern "C" fn(*mut c_void) -> c_int>(entry) };
    // SAFETY: the stack is ours and large enough, `entry` ends by execution or _exit, and the parent sleeps until then.
    let pid = unsafe { libc::clone(entry, stack_top as *mut c_void, flags, argument, ptr::from_mut(pidfd)) };
    Errno::result(pid)
}

/// The child, on its own stack in the host's memory.
///
/// # Safety
/// Runs between a vfork-style clone and execve: system calls only, on memory that `layout` points to, which the parent
/// keeps alive and does not touch. libc::syscall writes errno, which belongs to the sleeping thread.
unsafe extern "C" fn child(layout: *mut Layout<'_>) -> ! {
    // SAFETY: the parent passed a live layout and sleeps.
    let layout = unsafe { &mut *layout };
    let (stage, index) = match prepare(layout) {
        Err(failed) => failed,
        Ok(()) => {
            let (directory, path, flags) = match &layout.foreign {
                None => (layout.program, c"", libc::AT_EMPTY_PATH),
                Some(foreign) => (libc::AT_FDCWD, foreign.path, 0),
            };
            // SAFETY: argv and envp are NULL-terminated arrays of NUL-terminated strings, the path is one of them.
            unsafe {
                libc::syscall(libc::SYS_execveat, directory, path.as_ptr(), layout.argv, layout.envp, flags);
            }
            (4, 0)
        }
    };
    // SAFETY: errno of the sleeping thread, written by the call that failed just now.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the C library's own, valid for the life of the thread.
    layout.failed_errno = unsafe { *errno };
    layout.failed_index = index;
    layout.failed_stage = stage;
    loop {
        // SAFETY: _exit(2) runs nothing of the host.
        unsafe { libc::syscall(libc::SYS_exit_group, 127) };
    }
}

/// One system call in the child. `Err` is "failed"; errno says why.
fn raw(number: c_long, a: usize, b: usize, c: usize, d: usize) -> std::result::Result<usize, ()> {
    // SAFETY: every caller below passes numbers, or pointers into the layout that are valid for the call.
    let result = unsafe { libc::syscall(number, a, b, c, d, 0_usize) };
    if result < 0 { Err(()) } else { Ok(result as usize) }
}

/// Cgroups, the OOM score, descriptors, capabilities. On failure: the stage and which.
fn prepare(layout: &mut Layout<'_>) -> std::result::Result<(), (i32, usize)> {
    if !layout.affinity.is_empty() {
        let (size, cpus) = (size_of_val(layout.affinity), layout.affinity.as_ptr() as usize);
        raw(libc::SYS_sched_setaffinity, 0, size, cpus, 0).map_err(|()| (5, 0))?;
    }
    for (index, file) in layout.tasks.iter().enumerate() {
        raw(libc::SYS_write, *file as usize, c"0".as_ptr() as usize, 1, 0).map_err(|()| (1, index))?;
    }
    if layout.cgroup >= 0 {
        let procs = open_at(layout.cgroup, c"cgroup.procs").map_err(|()| (1, layout.tasks.len()))?;
        raw(libc::SYS_write, procs, c"0".as_ptr() as usize, 1, 0).map_err(|()| (1, layout.tasks.len()))?;
    }
    if !layout.oom_score_adj.is_null() {
        let file = open_at(libc::AT_FDCWD, c"/proc/self/oom_score_adj").map_err(|()| (2, 0))?;
        // SAFETY: not NULL here, and a CStr in the parent.
        let length = unsafe { libc::strlen(layout.oom_score_adj) };
        raw(libc::SYS_write, file, layout.oom_score_adj as usize, length, 0).map_err(|()| (2, 0))?;
    }
    place_descriptors(layout).map_err(|()| (3, 0))?;
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

fn open_at(directory: c_int, path: &CStr) -> std::result::Result<usize, ()> {
    raw(
        libc::SYS_openat,
        directory as usize,
        path.as_ptr() as usize,
        (libc::O_WRONLY | libc::O_CLOEXEC) as usize,
        0,
    )
}

/// Everything close-on-exec; then the wanted ones, first out of each other's way, then to their numbers.
fn place_descriptors(layout: &mut Layout<'_>) -> std::result::Result<(), ()> {
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

/// How far the one-by-one fallback has to look.
fn descriptor_limit() -> c_int {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit(2) fills the struct.
    let answered = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if answered == 0 { c_int::try_from(limit.rlim_cur).unwrap_or(c_int::MAX) } else { 1024 }
}

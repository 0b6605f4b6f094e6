//! One clone3(2) without a copy, then execveat(2): how a process starts in a host with many threads.
//!
//! The child shares the host's memory until it executes (CLONE_VM): the cost does not grow with the host. The calling
//! thread sleeps meanwhile (CLONE_VFORK), or does something else and waits afterwards: a vfork's child runs where its
//! parent ran and in turn with it, a clone's goes to a CPU that has nothing to do. Between the two calls the child makes
//! raw system calls on memory that was laid out before and stays as it is until the kernel says that the child has left
//! it (CLONE_CHILD_CLEARTID). It enters no existing namespace: neither the host's memory nor its descriptors are ever
//! visible to a container.

mod child;
mod raw;

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use libc::{c_char, c_int, c_void};

use child::Layout;
use raw::{CloneArguments, Entry, clone3};

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

const STACK: usize = 32 * 1024;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Starts the process; returns once it executes its program, or never will.
pub(crate) fn spawn(wanted: &Spawn<'_>) -> std::result::Result<Child, Failure> {
    start(wanted, None)
}

/// The same, and does `work` beside it, with its pid. Not for a child with an OOM score, and not for one born in a cgroup
/// that limits memory: nobody protects us from what befalls it. It may have failed by then, which only the return tells; if there
/// is no process at all, nothing is done.
pub(crate) fn spawn_beside<T>(
    wanted: &Spawn<'_>,
    work: impl FnOnce(i32) -> T,
) -> std::result::Result<(Child, Option<T>), Failure> {
    let (mut work, mut done) = (Some(work), None);
    let mut beside = |pid| done = work.take().map(|work| work(pid));
    let child = start(wanted, Some(&mut beside))?;
    Ok((child, done))
}

/// What is done while the child is on its way.
type Beside<'w> = &'w mut dyn FnMut(i32);

fn start(wanted: &Spawn<'_>, beside: Option<Beside<'_>>) -> std::result::Result<Child, Failure> {
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
    let (pid, pidfd) =
        clone(&mut layout, wanted, beside).map_err(|errno| Failure { stage: Stage::Clone, errno })?;
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

/// Whether the child still uses our memory: the kernel clears the word when it has left (CLONE_CHILD_CLEARTID). Dropping
/// it waits for that, so that whatever was lent to the child outlives its use also where we unwind.
struct Lent<'w>(&'w AtomicU32);

impl Lent<'_> {
    fn word(&self) -> u64 {
        self.0.as_ptr() as u64
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        loop {
            let value = self.0.load(Ordering::Acquire);
            if value == 0 {
                return;
            }
            // SAFETY: futex(2) compares the word, which is ours, and sleeps; any answer leads to another look.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.0.as_ptr(),
                    libc::FUTEX_WAIT,
                    value,
                    ptr::null::<libc::timespec>(),
                );
            }
        }
    }
}

/// All signals are blocked during the clone, so that no handler of the host runs in the child.
fn clone(layout: &mut Layout<'_>, wanted: &Spawn<'_>, beside: Option<Beside<'_>>) -> Result<(i32, c_int)> {
    let mut stack: Vec<u128> = Vec::with_capacity(STACK / size_of::<u128>());
    let mut arguments = CloneArguments {
        flags: wanted.namespaces | (libc::CLONE_VM | libc::CLONE_PIDFD) as u64 | CLONE_CLEAR_SIGHAND,
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
    let word = AtomicU32::new(0);
    let lent = Lent(&word);
    match &beside {
        Some(_) if !wanted.orphan => {
            arguments.flags |= libc::CLONE_CHILD_CLEARTID as u64;
            arguments.child_tid = lent.word();
            lent.0.store(1, Ordering::Release);
        }
        _ => arguments.flags |= libc::CLONE_VFORK as u64,
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
    if birth.result.is_err() || birth.arguments.flags & libc::CLONE_VFORK as u64 != 0 {
        // Nobody has it, or not any more.
        lent.0.store(0, Ordering::Release);
    }
    if let (Ok(pid), Some(beside)) = (birth.result, beside) {
        beside(pid);
    }
    drop(lent);
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
        if let Err(Errno::ENOSYS | Errno::EINVAL | Errno::E2BIG) = self.result {
            // EINVAL: KERNEL(5.5) brought CLONE_CLEAR_SIGHAND. The C library's clone is for one who sleeps.
            self.arguments.flags |= libc::CLONE_VFORK as u64;
            self.arguments.flags &= !(libc::CLONE_CHILD_CLEARTID as u64);
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
    unsafe { child::child(layout.cast()) }
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

/// How far the one-by-one fallback has to look.
fn descriptor_limit() -> c_int {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit(2) fills the struct.
    let answered = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if answered == 0 { c_int::try_from(limit.rlim_cur).unwrap_or(c_int::MAX) } else { 1024 }
}

#[cfg(test)]
mod tests;

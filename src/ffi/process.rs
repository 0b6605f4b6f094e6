//! `rr_process`: a process of a container, the first or one that was executed later, held by its pidfd.

use super::arg::{invalid, require};
use super::call::{read_call, rr_call};
use super::code::rr_code;
use super::error::rr_error;
use super::guard::{attempt, report};
use super::handle::{self, Handle};
use super::sized::{self, Sized};
use crate::{Exit, Process, WindowSize};
use std::ffi::c_int;
use std::os::fd::AsRawFd;
use std::process;

/// The process left a core dump. Since 0.1.
pub const RR_EXIT_CORE: u64 = 1 << 1;
/// The process has ended, but its status is lost: somebody else reaped it, and this kernel does not keep it.
/// `code` and `sig` say nothing. Since 0.1.
pub const RR_EXIT_STATUS_LOST: u64 = 1 << 2;

/// How a process ended. Set `size` to `sizeof(rr_exit)` before the call; only so much is written. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_exit {
    /// `sizeof(rr_exit)`, set by the caller.
    pub size: usize,
    /// The exit code, 0 to 255, when `sig` is 0.
    pub code: i32,
    /// The signal that ended it, 0 if it exited by itself.
    pub sig: i32,
    /// `RR_EXIT_*`.
    pub flags: u64,
    /// When its end was seen: nanoseconds since 1970 UTC.
    pub exited_ns: i64,
}

// SAFETY: repr(C), size first, integers only.
unsafe impl Sized for rr_exit {
    const NAME: &'static str = "out";
}

/// A process of a container. It is held by a pidfd, so no other process is ever meant by mistake, and it
/// stays valid after the process has ended and after the container is deleted. Any number of threads may use
/// one at once. Since 0.1.
#[derive(Debug)]
pub struct rr_process {
    maker: u32,
    process: Process,
}

impl rr_process {
    pub(super) fn new(process: Process) -> Self {
        Self { maker: process::id(), process }
    }
}

impl Handle for rr_process {
    const NAME: &'static str = "p";
    fn maker(&self) -> u32 {
        self.maker
    }
}

/// One number of a process; -1 for NULL, in a forked child, and where there is none.
///
/// # Safety
/// Rule 1 of `ffi`'s list.
unsafe fn number(p: *const rr_process, read: impl FnOnce(&Process) -> Option<c_int>) -> c_int {
    attempt(|| {
        // SAFETY: rule 1 is passed on.
        let p = unsafe { handle::borrow(p)? };
        Ok(read(&p.process))
    })
    .ok()
    .flatten()
    .unwrap_or(-1)
}

/// The pid in the host's pid namespace. It may belong to another process once this one has ended: to act, use
/// `rr_process_signal`.
///
/// NULL gives -1, and so does a forked child. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_process_pid(p: *const rr_process) -> libc::pid_t {
    // SAFETY: rule 1 is passed on.
    unsafe { number(p, |process| Some(process.pid())) }
}

/// The process's pidfd, for poll, epoll or an event loop: readable once the process has ended.
///
/// Borrowed: it lives as long as `p`; do not close it. NULL gives -1, and so does a forked child. Any thread,
/// does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_process_pidfd(p: *const rr_process) -> c_int {
    // SAFETY: rule 1 is passed on.
    unsafe { number(p, |process| Some(process.pidfd().as_raw_fd())) }
}

/// The master of the process's terminal; -1 if it has none, or if it went to `rr_io.console_socket`.
///
/// Borrowed: it lives as long as `p`; do not close it. NULL gives -1, and so does a forked child. Any thread,
/// does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_process_console_fd(p: *const rr_process) -> c_int {
    // SAFETY: rule 1 is passed on.
    unsafe { number(p, |process| process.console().map(|fd| fd.as_raw_fd())) }
}

/// Waits for the end of a process and says how it ended. Any number of threads may wait, any number of times:
/// the answer stays.
///
/// A host that reaps all children (`waitpid(-1)`) or ignores `SIGCHLD` does no harm: the status comes from
/// the pidfd where the kernel keeps it, and otherwise `RR_EXIT_STATUS_LOST` is set. The status of a process
/// that is not a child of this one is known under the same condition. `call` may be NULL; `out->size` must be
/// set. Any thread. Blocks until the process ends or `call` says so. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL, a size that is none), `RR_E_TIMEOUT`, `RR_E_CANCELLED`,
/// `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_process_wait(
    p: *mut rr_process,
    call: *const rr_call,
    out: *mut rr_exit,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let p = unsafe { handle::borrow(p)? };
        require(out, "out")?;
        // SAFETY: not NULL, and readable for its size (rule 3).
        let size = unsafe { sized::size_at(out)? };
        // SAFETY: rules 3 and 5 are passed on.
        let exit = p.process.wait(unsafe { read_call(call)? })?;
        // SAFETY: rule 3 is passed on, and `size` was checked.
        unsafe { sized::write(out, size, &flat(exit)) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

fn flat(exit: Exit) -> rr_exit {
    let core = if exit.core_dumped { RR_EXIT_CORE } else { 0 };
    let lost = if exit.status_lost { RR_EXIT_STATUS_LOST } else { 0 };
    rr_exit { size: 0, code: exit.code, sig: exit.signal, flags: core | lost, exited_ns: exit.exited_ns }
}

/// Sends a signal, by its number, to this process and to no other: it goes through the pidfd.
///
/// Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL, no such signal), `RR_E_NOT_RUNNING` (it has ended),
/// `RR_E_PERMISSION`, `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_process_signal(
    p: *mut rr_process,
    sig: c_int,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let p = unsafe { handle::borrow(p)? };
        p.process.signal(sig)
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// Sets the size of the process's terminal, in characters.
///
/// Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL, zero rows or columns), `RR_E_CONSOLE` (this handle has no
/// terminal), `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_process_resize(
    p: *mut rr_process,
    rows: u16,
    cols: u16,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let p = unsafe { handle::borrow(p)? };
        if rows == 0 || cols == 0 {
            return Err(invalid("rows, cols", format!("a terminal of {rows} x {cols} is none")));
        }
        p.process.resize(WindowSize { rows, cols })
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// One more owner of a handle: returns `p`, which now needs one more `rr_process_unref`.
///
/// NULL gives NULL, and in a forked child too. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_process_ref(p: *mut rr_process) -> *mut rr_process {
    // SAFETY: rule 1 is passed on.
    unsafe { handle::retain(p) }
}

/// Gives back one ownership of a handle; the last one frees it. The process goes on; a terminal that only this handle held is closed.
///
/// NULL is fine. Any thread, once per owner, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_process_unref(p: *mut rr_process) {
    // SAFETY: rule 1 is passed on.
    unsafe { handle::release(p) };
}

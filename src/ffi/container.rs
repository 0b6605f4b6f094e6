//! `rr_container`: the verbs of a container that exists. Looking at one is `state.rs`, making one
//! `create.rs`.

use super::arg::{known_bits, require, text};
use super::call::{read_call, rr_call};
use super::code::rr_code;
use super::context::rr_context;
use super::error::rr_error;
use super::guard::{attempt, report};
use super::handle::{self, Handle};
use super::process::rr_process;
use crate::{Container, Kind};
use std::ffi::{c_char, c_int};
use std::process;

/// Signal every process of the container. Since 0.1.
pub const RR_KILL_ALL: u64 = 1 << 0;
/// Kill what still runs, and take half-made containers away too. Since 0.1.
pub const RR_DELETE_FORCE: u64 = 1 << 0;

/// A container, made here, by another process or by the command line. The handle is not the container: giving
/// it back stops and deletes nothing. Any number of threads may use one at once; calls that change a
/// container follow one another, across processes too. Since 0.1.
#[derive(Debug)]
pub struct rr_container {
    maker: u32,
    pub(super) container: Container,
}

impl rr_container {
    pub(super) fn new(container: Container) -> Self {
        Self { maker: process::id(), container }
    }
}

impl Handle for rr_container {
    const NAME: &'static str = "c";
    fn maker(&self) -> u32 {
        self.maker
    }
}

/// Finds a container of this state root by its id, whoever made it.
///
/// On success `*out` is the caller's (`rr_container_unref`). Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_INVALID_ID`, `RR_E_NOT_FOUND`, `RR_E_STATE_CORRUPT`,
/// `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_open(
    ctx: *mut rr_context,
    id: *const c_char,
    out: *mut *mut rr_container,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let ctx = unsafe { handle::borrow(ctx)? };
        require(out, "out")?;
        // SAFETY: rule 4 is passed on.
        let id = unsafe { text(id, "id", Kind::InvalidId)? };
        let container = ctx.context.open(id)?;
        // SAFETY: not NULL, so writable for one pointer (rule 3).
        unsafe { out.write(handle::into_raw(rr_container::new(container))) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// Lets a created container execute its program. When it returns `RR_OK`, the program runs, or has run
/// already.
///
/// `call` may be NULL. Any thread. Blocks until the program is executed and the hooks of the config have run.
/// Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_RUNNING` (it was started before), `RR_E_NOT_RUNNING` (it has
/// stopped), `RR_E_NOT_FOUND` (it was deleted), `RR_E_EXEC_NOT_FOUND`, `RR_E_EXEC_PERMISSION`, `RR_E_CWD`,
/// `RR_E_HOOK`, `RR_E_BUSY`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_start(
    c: *mut rr_container,
    call: *const rr_call,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        // SAFETY: rules 3 and 5 are passed on.
        c.container.start(unsafe { read_call(call)? })
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// Sends a signal, by its number, to the container's first process, or to all with `RR_KILL_ALL`.
///
/// It does not wait for the signal's effect: that is `rr_process_wait`. `call` may be NULL. Any thread. Since
/// 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL, no such signal), `RR_E_NOT_RUNNING`, `RR_E_NOT_FOUND`,
/// `RR_E_PERMISSION`, `RR_E_CANCELLED` (before anything was sent), `RR_E_FORKED`, `RR_E_UNSUPPORTED` (unknown
/// bits), `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_kill(
    c: *mut rr_container,
    sig: c_int,
    flags: u64,
    call: *const rr_call,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        known_bits(flags, RR_KILL_ALL)?;
        // SAFETY: rules 3 and 5 are passed on.
        unsafe { read_call(call)? }.not_cancelled("signal container")?;
        c.container.kill(sig, flags & RR_KILL_ALL != 0)
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// Stops all processes of a created or running container, until `rr_resume`; its status is `RR_PAUSED` then. If
/// not all can be stopped, none stays stopped.
///
/// `call` may be NULL. Any thread. Blocks until all have stopped, for ten seconds if `call` sets no deadline.
/// Since 0.1; the kernel's freezer-subsystem.rst, cgroup-v2.rst (`cgroup.freeze`).
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_RUNNING` (it has stopped), `RR_E_PAUSED` (it is paused
/// already), `RR_E_NOT_FOUND`, `RR_E_CGROUP` (it has no freezer), `RR_E_PERMISSION`, `RR_E_BUSY`,
/// `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_pause(
    c: *mut rr_container,
    call: *const rr_call,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        // SAFETY: rules 3 and 5 are passed on.
        c.container.pause(unsafe { read_call(call)? })
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// Lets the processes of a paused container go on.
///
/// `call` may be NULL. Any thread. Blocks until they do, for ten seconds if `call` sets no deadline. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_PAUSED`, `RR_E_NOT_FOUND`, `RR_E_CGROUP` (a cgroup above
/// the container's is frozen), `RR_E_PERMISSION`, `RR_E_BUSY`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`,
/// `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_resume(
    c: *mut rr_container,
    call: *const rr_call,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        // SAFETY: rules 3 and 5 are passed on.
        c.container.resume(unsafe { read_call(call)? })
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// Deletes a container that has stopped or was never started: its cgroups, its state, what its hooks undo.
/// The handle remains to be given back.
///
/// With `RR_DELETE_FORCE` what still runs is killed first, and a container that is already gone is no error.
/// `call` may be NULL. Any thread. Blocks until it is gone. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_RUNNING` (it runs and no `RR_DELETE_FORCE`),
/// `RR_E_NOT_FOUND`, `RR_E_CGROUP`, `RR_E_HOOK`, `RR_E_BUSY`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`,
/// `RR_E_FORKED`, `RR_E_UNSUPPORTED` (unknown bits), `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_delete(
    c: *mut rr_container,
    flags: u64,
    call: *const rr_call,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        known_bits(flags, RR_DELETE_FORCE)?;
        // SAFETY: rules 3 and 5 are passed on.
        let call = unsafe { read_call(call)? };
        c.container.delete(flags & RR_DELETE_FORCE != 0, call)
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// A handle on the container's first process, also of a container that another process made. Every call gives
/// another handle on the same process.
///
/// On success `*out` is the caller's (`rr_process_unref`). Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_RUNNING` (it has ended, and this process did not make
/// it), `RR_E_NOT_FOUND`, `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_init_process(
    c: *mut rr_container,
    out: *mut *mut rr_process,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        require(out, "out")?;
        let process = c.container.init_process()?;
        // SAFETY: not NULL, so writable for one pointer (rule 3).
        unsafe { out.write(handle::into_raw(rr_process::new(process))) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// One more owner of a handle: returns `c`, which now needs one more `rr_container_unref`.
///
/// NULL gives NULL, and in a forked child too. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_container_ref(c: *mut rr_container) -> *mut rr_container {
    // SAFETY: rule 1 is passed on.
    unsafe { handle::retain(c) }
}

/// Gives back one ownership of a handle; the last one frees it. Never stops or deletes anything.
///
/// NULL is fine. Any thread, once per owner, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_container_unref(c: *mut rr_container) {
    // SAFETY: rule 1 is passed on.
    unsafe { handle::release(c) };
}

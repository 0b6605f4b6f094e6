//! Looking at containers: `rr_state`, its JSON, the list, the pids. What the kernel knows is observed at each
//! call, never remembered.

use super::arg::{invalid, require};
use super::buf::rr_buf;
use super::code::rr_code;
use super::container::rr_container;
use super::context::rr_context;
use super::error::rr_error;
use super::guard::{attempt, report};
use super::handle;
use super::sized::{self, Sized};
use crate::{State, Status};

/// Status: it is being made. Since 0.1.
pub const RR_CREATING: i32 = 0;
/// Status: it is ready and waits for `rr_start`. Since 0.1.
pub const RR_CREATED: i32 = 1;
/// Status: its program runs. Since 0.1.
pub const RR_RUNNING: i32 = 2;
/// Status: its first process has ended. Since 0.1.
pub const RR_STOPPED: i32 = 3;
/// Status: its processes are frozen. Since 0.1.
pub const RR_PAUSED: i32 = 4;

const _: () = assert!(
    RR_CREATING == Status::Creating as i32
        && RR_CREATED == Status::Created as i32
        && RR_RUNNING == Status::Running as i32
        && RR_STOPPED == Status::Stopped as i32
        && RR_PAUSED == Status::Paused as i32
);

/// What a container is doing. Set `size` to `sizeof(rr_state_info)` before the call; only so much is written.
/// Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_state_info {
    /// `sizeof(rr_state_info)`, set by the caller.
    pub size: usize,
    /// `RR_CREATING` to `RR_PAUSED`.
    pub status: i32,
    /// The first process in the host's pid namespace; 0 when it has ended.
    pub pid: libc::pid_t,
    /// When the first process began: clock ticks since boot, field 22 of `/proc/PID/stat`. With `pid` it
    /// names a process for good.
    pub start_time: u64,
    /// When the container was created: nanoseconds since 1970 UTC.
    pub created_ns: i64,
}

// SAFETY: repr(C), size first, integers only.
unsafe impl Sized for rr_state_info {
    const NAME: &'static str = "out";
}

/// What a container is doing now, without JSON.
///
/// `out->size` must be set. Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL, a size that is none), `RR_E_NOT_FOUND` (it was deleted),
/// `RR_E_STATE_CORRUPT`, `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_state(
    c: *mut rr_container,
    out: *mut rr_state_info,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        require(out, "out")?;
        // SAFETY: not NULL, and readable for its size (rule 3).
        let size = unsafe { sized::size_at(out)? };
        let state = c.container.state()?;
        // SAFETY: rule 3 is passed on, and `size` was checked.
        unsafe { sized::write(out, size, &flat(&state)) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

fn flat(state: &State) -> rr_state_info {
    rr_state_info {
        size: 0,
        status: state.status as i32,
        pid: state.pid,
        start_time: state.start_time,
        created_ns: state.created_ns,
    }
}

/// What a container is doing now, as the JSON that the command line's `state` prints, byte for byte, without
/// its last line end.
///
/// On success `*out` is the caller's (`rr_buf_free`). Any thread, does not block. Since 0.1.
///
/// Errors: those of `rr_state`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_state_json(
    c: *mut rr_container,
    out: *mut rr_buf,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        require(out, "out")?;
        let json = c.container.state()?.to_json();
        // SAFETY: not NULL, so writable for one rr_buf (rule 3).
        unsafe { out.write(rr_buf::new(json)) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// The containers of a state root, as the JSON that `list --format json` prints, without its last line end:
/// an array, or `null` for none. A container whose state cannot be read is left out and told to the context's
/// log.
///
/// On success `*out` is the caller's (`rr_buf_free`). Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_FORKED`, `RR_E_PERMISSION`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_list_json(
    ctx: *mut rr_context,
    out: *mut rr_buf,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let ctx = unsafe { handle::borrow(ctx)? };
        require(out, "out")?;
        let listing = ctx.context.list()?;
        for (id, error) in &listing.broken {
            ctx.warn(&format!("list {id}: {error}"));
        }
        // SAFETY: not NULL, so writable for one rr_buf (rule 3).
        unsafe { out.write(rr_buf::new(listing.to_json())) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// The processes of a container, by their pids in the host's pid namespace.
///
/// Up to `cap` of them are written to `pids`, and how many there are to `*n`, which may be more: then call
/// again with more room. `pids` may be NULL when `cap` is 0. They may change at any time. Any thread, does
/// not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_FOUND`, `RR_E_CGROUP`, `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_pids(
    c: *mut rr_container,
    pids: *mut libc::pid_t,
    cap: usize,
    n: *mut usize,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        require(n, "n")?;
        if pids.is_null() && cap > 0 {
            return Err(invalid("pids", format!("it is NULL, and room for {cap} was announced")));
        }
        let members = c.container.pids()?;
        let fitting = members.len().min(cap);
        if fitting > 0 {
            // SAFETY: `pids` is not NULL and writable for `cap` values (rule 3), of which these are no more;
            // `members` is ours.
            unsafe { std::ptr::copy_nonoverlapping(members.as_ptr(), pids, fitting) };
        }
        // SAFETY: not NULL, so writable for one size_t (rule 3).
        unsafe { n.write(members.len()) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

//! `rr_exec`: one more process in a running container.

use super::arg::{invalid, known_bits, path, require, slice, text};
use super::call::{read_call, rr_call};
use super::code::rr_code;
use super::container::rr_container;
use super::error::rr_error;
use super::guard::{attempt, report};
use super::handle;
use super::io::{Pipes, read_io, rr_io};
use super::process::rr_process;
use super::sized::{self, Sized};
use crate::{ExecOptions, Kind, Result};
use std::ffi::c_char;

/// Execute even though the container is paused; the process begins when the container goes on. Since 0.1.
pub const RR_EXEC_IGNORE_PAUSED: u64 = 1 << 0;
/// Keep the caller's session keyring. Since 0.1.
pub const RR_EXEC_NO_NEW_KEYRING: u64 = 1 << 1;

/// How a further process is executed. Fill it with `rr_exec_options_init`; `process` is needed. Everything in
/// it is copied or duplicated before the call returns. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_exec_options {
    /// Set by `rr_exec_options_init`.
    pub size: usize,
    /// `RR_EXEC_*`.
    pub flags: u64,
    /// A `process` object of the runtime specification as JSON:
    /// `{"args": ["ps"], "cwd": "/", "user": {"uid": 0, "gid": 0}}`. Capabilities, rlimits and noNewPrivileges that
    /// it leaves out are the container's.
    pub process: *const c_char,
    /// How many bytes.
    pub process_len: usize,
    /// `n_cgroups` sub-cgroups for the process, each `[CONTROLLER[,CONTROLLER]:]PATH` below the container's
    /// own; NULL with 0: the container's own.
    pub cgroups: *const *const c_char,
    /// How many.
    pub n_cgroups: usize,
    /// A file that receives the pid, decimal digits and nothing else; NULL: none.
    pub pid_file: *const c_char,
    /// Streams, terminal, descriptors; NULL: the host's own streams. Pipes are written back into it.
    pub io: *mut rr_io,
    /// Deadline and cancellation; NULL: neither.
    pub call: *const rr_call,
}

// SAFETY: repr(C), size first, integers and pointers only.
unsafe impl Sized for rr_exec_options {
    const NAME: &'static str = "options";
}

/// Fills options with the default of everything: pass `sizeof(rr_exec_options)` as `size`.
///
/// NULL is fine. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_exec_options_init(options: *mut rr_exec_options, size: usize) {
    // SAFETY: rule 3 is passed on.
    unsafe { sized::init(options, size) };
}

/// Executes one more process in a running container. When it returns `RR_OK`, the program runs, or has run
/// already.
///
/// On success `*out` is the caller's (`rr_process_unref`, which leaves the process alone), and so are the
/// host's ends of pipes in `options->io`. The process is a child of the calling process. On failure nothing
/// of it is left.
///
/// Any thread. Blocks until the program is executed, as long as `options->call` allows. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL, no process, a descriptor that is not open), `RR_E_INVALID_SPEC`
/// (the message names the place in the JSON), `RR_E_NOT_RUNNING`, `RR_E_PAUSED`, `RR_E_NOT_FOUND`,
/// `RR_E_EXEC_NOT_FOUND`, `RR_E_EXEC_PERMISSION`, `RR_E_CWD`, `RR_E_CGROUP`, `RR_E_CONSOLE`,
/// `RR_E_PERMISSION`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`, `RR_E_UNSUPPORTED`, `RR_E_SYSTEM`, and
/// `RR_E_OOM` where the kernel has killed for lack of memory in the container meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_exec(
    c: *mut rr_container,
    options: *const rr_exec_options,
    out: *mut *mut rr_process,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        require(out, "out")?;
        // SAFETY: rules 3 to 5 are passed on.
        let (options, pipes) = unsafe { read_options(options)? };
        let process = c.container.exec(options)?;
        // SAFETY: rule 3 is passed on.
        if let Err(error) = unsafe { pipes.hand_over(&process) } {
            // It runs, but C would never get its pipes: end it. Its own error would hide the reason.
            let _ = process.signal(libc::SIGKILL);
            return Err(error);
        }
        // SAFETY: not NULL, so writable for one pointer (rule 3).
        unsafe { out.write(handle::into_raw(rr_process::new(process))) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// # Safety
/// Rules 3 to 5 of `ffi`'s list.
unsafe fn read_options<'call>(options: *const rr_exec_options) -> Result<(ExecOptions<'call>, Pipes)> {
    // SAFETY: rule 3 is passed on.
    let options = unsafe { sized::read(options)? };
    known_bits(options.flags, RR_EXEC_IGNORE_PAUSED | RR_EXEC_NO_NEW_KEYRING)?;
    if options.process.is_null() {
        return Err(invalid("process", "it is NULL"));
    }
    // SAFETY: rule 4 is passed on.
    let process = unsafe { slice(options.process.cast::<u8>(), options.process_len, "process")? };
    // SAFETY: rule 4 is passed on.
    let names = unsafe { slice(options.cgroups, options.n_cgroups, "cgroups")? };
    // SAFETY: rule 4 is passed on, for each entry.
    let name =
        |name: &*const c_char| unsafe { text(*name, "cgroups", Kind::InvalidArgument) }.map(str::to_owned);
    // SAFETY: rules 3 to 5 are passed on.
    let (io, pipes) = unsafe { read_io(options.io)? };
    let options = ExecOptions {
        process: process.to_vec(),
        cgroups: names.iter().map(name).collect::<Result<_>>()?,
        // SAFETY: rule 4 is passed on.
        pid_file: unsafe { path(options.pid_file) },
        pidfd_socket: None, // C has the pidfd itself: rr_process_pidfd
        io,
        ignore_paused: options.flags & RR_EXEC_IGNORE_PAUSED != 0,
        no_new_keyring: options.flags & RR_EXEC_NO_NEW_KEYRING != 0,
        // SAFETY: rules 3 and 5 are passed on.
        call: unsafe { read_call(options.call)? },
    };
    Ok((options, pipes))
}

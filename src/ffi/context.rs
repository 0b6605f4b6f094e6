//! `rr_context`: one per state root. It holds policy and the log; containers outlive it only by holding it.

use super::arg::{invalid, known_bits, path, require, reserved};
use super::code::rr_code;
use super::error::rr_error;
use super::guard::{attempt, report};
use super::handle::{self, Handle};
use super::log::{least, rr_log_fn, sink};
use super::sized::{self, Sized};
use crate::{CgroupManager, Context, ContextOptions, Level, LogSink, Result};
use std::ffi::{c_char, c_void};
use std::fmt;
use std::process;

/// Let systemd manage the cgroups, as the command line's `--systemd-cgroup`. Since 0.1.
pub const RR_CTX_SYSTEMD_CGROUP: u64 = 1 << 0;
/// Go on where cgroups may not be written, as `--rootless=true`. Without this and the next the library finds
/// out. Since 0.1.
pub const RR_CTX_ROOTLESS: u64 = 1 << 1;
/// Every cgroup error is one, as `--rootless=false`. Since 0.1.
pub const RR_CTX_ROOTFUL: u64 = 1 << 2;
/// Make no cgroups: containers stay in that of the host process, and limits are an error. Since 0.1.
pub const RR_CTX_NO_CGROUP: u64 = 1 << 3;

/// How a context is set up. Fill it with `rr_context_options_init` and set what differs; everything in it is
/// copied by `rr_context_new`. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct rr_context_options {
    /// Set by `rr_context_options_init`.
    pub size: usize,
    /// The state root; NULL: `/run/riverrun`, or `$XDG_RUNTIME_DIR/riverrun` when rootless. Made when the
    /// first container is.
    pub root: *const c_char,
    /// `RR_CTX_*`.
    pub flags: u64,
    /// Where log lines go; NULL: nowhere.
    pub log: rr_log_fn,
    /// The first argument of `log`, usable as long as the context is.
    pub log_data: *mut c_void,
    /// The least grave level that `log` is called for, `RR_LOG_*`; 0: `RR_LOG_INFO`.
    pub log_level: i32,
    /// Zero.
    pub reserved0: u32,
    /// An installed `riverrun-init`, for hosts where a memfd may not be executed; NULL: the embedded one.
    pub init_path: *const c_char,
}

impl fmt::Debug for rr_context_options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("rr_context_options")
            .field("size", &self.size)
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}

// SAFETY: repr(C), size first, integers and pointers only, the function pointer as an Option.
unsafe impl Sized for rr_context_options {
    const NAME: &'static str = "options";
}

/// A state root with its policy and its log. Counted: `rr_context_ref` and `rr_context_unref`; containers and
/// processes made from it keep what they need, so it may go first. Any number of threads may use one at once.
/// Since 0.1.
pub struct rr_context {
    maker: u32,
    pub(super) context: Context,
    log: Option<LogSink>,
}

impl fmt::Debug for rr_context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("rr_context").field(&self.context).finish()
    }
}

impl Handle for rr_context {
    const NAME: &'static str = "ctx";
    fn maker(&self) -> u32 {
        self.maker
    }
}

impl rr_context {
    /// A line for the context's log.
    pub(super) fn warn(&self, message: &str) {
        if let Some(log) = &self.log {
            log(Level::Warn, message);
        }
    }
}

/// Fills options with the default of everything: pass `sizeof(rr_context_options)` as `size`.
///
/// NULL is fine. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_context_options_init(options: *mut rr_context_options, size: usize) {
    // SAFETY: rule 3 is passed on.
    unsafe { sized::init(options, size) };
}

/// Makes a context. It only looks: nothing is written before the first container.
///
/// `options` may be NULL: the default of everything. On success `*out` is the caller's, given back by
/// `rr_context_unref`. Any thread; does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (`out` is NULL, a level or a pair of flags that is none),
/// `RR_E_UNSUPPORTED` (bits or fields of a newer header), `RR_E_SYSTEM` (the host cannot be looked at).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_context_new(
    options: *const rr_context_options,
    out: *mut *mut rr_context,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        require(out, "out")?;
        // SAFETY: rule 3 is passed on.
        let options = unsafe { sized::read(options)? };
        // SAFETY: rules 4 and 6 are passed on.
        let context = unsafe { new(options)? };
        // SAFETY: not NULL, so writable for one pointer (rule 3).
        unsafe { out.write(handle::into_raw(context)) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// # Safety
/// Rules 4 and 6 of `ffi`'s list.
unsafe fn new(options: rr_context_options) -> Result<rr_context> {
    known_bits(options.flags, RR_CTX_SYSTEMD_CGROUP | RR_CTX_ROOTLESS | RR_CTX_ROOTFUL | RR_CTX_NO_CGROUP)?;
    reserved(options.reserved0)?;
    let has = |flag| options.flags & flag != 0;
    let rootless = match (has(RR_CTX_ROOTLESS), has(RR_CTX_ROOTFUL)) {
        (true, true) => {
            return Err(invalid("flags", "RR_CTX_ROOTLESS and RR_CTX_ROOTFUL exclude each other"));
        }
        (false, false) => None,
        (rootless, _) => Some(rootless),
    };
    let cgroup_manager = match (has(RR_CTX_SYSTEMD_CGROUP), has(RR_CTX_NO_CGROUP)) {
        (true, true) => {
            return Err(invalid("flags", "RR_CTX_SYSTEMD_CGROUP and RR_CTX_NO_CGROUP exclude each other"));
        }
        (true, false) => CgroupManager::Systemd,
        (false, true) => CgroupManager::Disabled,
        (false, false) => CgroupManager::Cgroupfs,
    };
    let log_level = least(options.log_level)?;
    let log = sink(options.log, options.log_data, log_level);
    let context = Context::new(ContextOptions {
        // SAFETY: rule 4 is passed on.
        root: unsafe { path(options.root) },
        cgroup_manager,
        rootless,
        log: log.clone(),
        log_level,
        // SAFETY: rule 4 is passed on.
        init_path: unsafe { path(options.init_path) },
    })?;
    Ok(rr_context { maker: process::id(), context, log })
}

/// One more owner of a context: returns `ctx`, which now needs one more `rr_context_unref`.
///
/// NULL gives NULL, and in a forked child too. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_context_ref(ctx: *mut rr_context) -> *mut rr_context {
    // SAFETY: rule 1 is passed on.
    unsafe { handle::retain(ctx) }
}

/// Gives back one ownership of a context; the last one frees it. Stops nothing and deletes nothing.
///
/// NULL is fine. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_context_unref(ctx: *mut rr_context) {
    // SAFETY: rule 1 is passed on.
    unsafe { handle::release(ctx) };
}

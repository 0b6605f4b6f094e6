//! `rr_update`: other limits for a container that is there.

use super::arg::{known_bits, slice, text};
use super::call::{read_call, rr_call};
use super::code::rr_code;
use super::container::rr_container;
use super::error::rr_error;
use super::guard::{attempt, report};
use super::handle;
use super::sized::{self, Sized};
use crate::{Kind, Result, UpdateOptions};
use std::ffi::c_char;

/// What an update changes beside `linux.resources`. Fill it with `rr_update_options_init`. Everything in it is copied
/// before the call returns. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_update_options {
    /// Set by `rr_update_options_init`.
    pub size: usize,
    /// Zero.
    pub flags: u64,
    /// A line for the container's group in resctrl, `L3:0=f`; NULL: none.
    pub l3_cache_schema: *const c_char,
    /// Likewise, `MB:0=50`; NULL: none.
    pub mem_bw_schema: *const c_char,
    /// Deadline and cancellation; NULL: neither.
    pub call: *const rr_call,
}

// SAFETY: repr(C), size first, integers and pointers only.
unsafe impl Sized for rr_update_options {
    const NAME: &'static str = "options";
}

/// Fills options with the default of everything: pass `sizeof(rr_update_options)` as `size`.
///
/// NULL is fine. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_update_options_init(options: *mut rr_update_options, size: usize) {
    // SAFETY: rule 3 is passed on.
    unsafe { sized::init(options, size) };
}

/// Changes the limits of a container that has not stopped, and remembers them for the next update.
///
/// `resources` is a `linux.resources` object of the runtime specification as JSON, `len` bytes:
/// `{"memory": {"limit": 268435456}}`; NULL with 0: none. Memory is in bytes, time in microseconds. What it leaves out
/// keeps its value; where a number is asked for, 0 leaves it out and -1 lifts the limit. Device rules, where there are
/// any, take the place of all that were (cgroup-v1/devices.rst, or a `BPF_PROG_TYPE_CGROUP_DEVICE` program), without a
/// moment in which a device is gone that both allow. `options` may be NULL.
///
/// On failure everything is as it was. Any thread, does not block but for the container's lock. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_INVALID_SPEC` (the message names the place in the JSON),
/// `RR_E_NOT_RUNNING` (it has stopped), `RR_E_NOT_FOUND`, `RR_E_CGROUP` (the kernel refuses, or has no such controller),
/// `RR_E_PERMISSION`, `RR_E_BUSY`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`, `RR_E_UNSUPPORTED` (the cgroup version has no such limit; a schema
/// without a group in resctrl; unknown bits), `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_update(
    c: *mut rr_container,
    resources: *const c_char,
    len: usize,
    options: *const rr_update_options,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        // SAFETY: rule 3 is passed on.
        let options = unsafe { sized::read(options)? };
        known_bits(options.flags, 0)?;
        // SAFETY: rule 4 is passed on.
        let resources = unsafe { slice(resources.cast::<u8>(), len, "resources")? };
        c.container.update(&UpdateOptions {
            resources: resources.to_vec(),
            // SAFETY: rule 4 is passed on.
            l3_cache_schema: unsafe { schema(options.l3_cache_schema, "l3_cache_schema")? },
            // SAFETY: rule 4 is passed on.
            mem_bw_schema: unsafe { schema(options.mem_bw_schema, "mem_bw_schema")? },
            // SAFETY: rules 3 and 5 are passed on.
            call: unsafe { read_call(options.call)? },
        })
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// # Safety
/// Rule 4 of `ffi`'s list.
unsafe fn schema(schema: *const c_char, name: &str) -> Result<Option<String>> {
    if schema.is_null() {
        return Ok(None);
    }
    // SAFETY: rule 4 is passed on.
    unsafe { text(schema, name, Kind::InvalidArgument) }.map(|text| Some(text.to_owned()))
}

//! The host's function at the moments of hooks: `rr_hook_fn`, called on the thread of the call that has come to the moment.

use super::code::{RR_OK, rr_code};
use super::error::c_text;
use crate::{Error, HookMoment, HostHook, Kind};
use std::ffi::{CStr, c_char, c_int, c_void};

/// Moment: the namespaces are there, nothing in them is done yet; after the hooks `prestart` of the config. Since 0.1.
pub const RR_HOOK_PRESTART: i32 = 1;
/// Moment: right after `RR_HOOK_PRESTART` and the hooks `createRuntime`. Since 0.1.
pub const RR_HOOK_CREATE_RUNTIME: i32 = 2;
/// Moment: the program was executed; after the hooks `poststart`. Since 0.1.
pub const RR_HOOK_POSTSTART: i32 = 3;
/// Moment: the container was deleted, or could not be created; after the hooks `poststop`. Since 0.1.
pub const RR_HOOK_POSTSTOP: i32 = 4;

const _: () = assert!(
    RR_HOOK_PRESTART == HookMoment::Prestart as i32
        && RR_HOOK_CREATE_RUNTIME == HookMoment::CreateRuntime as i32
        && RR_HOOK_POSTSTART == HookMoment::Poststart as i32
        && RR_HOOK_POSTSTOP == HookMoment::Poststop as i32
);

/// A function of the host's in place of a hook program: what `createRuntime` does for a network can be done here without
/// a process. `data` is the options' `hook_data`, `kind` one of `RR_HOOK_*`, `pid` the container's first process (0 at
/// `RR_HOOK_POSTSTOP`), `state_json` the container's state as hook programs read it, `len` bytes and a closing 0.
///
/// It runs on the thread of the call that has come to the moment, during that call and never after it: the first two in
/// `rr_create` or `rr_run`, `RR_HOOK_POSTSTART` in `rr_start` or `rr_run`, `RR_HOOK_POSTSTOP` in `rr_delete`, the latter
/// two if the handle is the one that the create gave. Anything but `RR_OK` has the effect that a failed hook has: the
/// call ends with `RR_E_HOOK` and nothing is left behind; at `RR_HOOK_POSTSTOP` a line in the log.
///
/// The text is borrowed until it returns. It may call this library, but not for the container that it is called for. It
/// must not unwind (C++ exceptions), longjmp, or give away a handle that the call uses. Since 0.1.
pub type rr_hook_fn = Option<
    unsafe extern "C" fn(
        data: *mut c_void,
        kind: c_int,
        pid: libc::pid_t,
        state_json: *const c_char,
        len: usize,
    ) -> rr_code,
>;

/// C's function with its data.
struct Target {
    function: unsafe extern "C" fn(*mut c_void, c_int, libc::pid_t, *const c_char, usize) -> rr_code,
    data: *mut c_void,
}
// SAFETY: the header asks that function and data may be used from any thread that calls the library (rule 6).
unsafe impl Send for Target {}
// SAFETY: as above, at once from several.
unsafe impl Sync for Target {}

impl Target {
    fn call(&self, moment: HookMoment, pid: i32, state: &str) -> rr_code {
        let text = c_text(state);
        let len = text.as_bytes().len();
        // SAFETY: the text is NUL-terminated and outlives the call; function and data are the caller's, who keeps them
        // usable as long as the handle (rule 6).
        unsafe { (self.function)(self.data, moment as c_int, pid, text.as_ptr(), len) }
    }
}

/// What the core calls, for `hook` and `hook_data`.
pub(super) fn hook(function: rr_hook_fn, data: *mut c_void) -> Option<HostHook> {
    let target = Target { function: function?, data };
    Some(HostHook::new(move |moment, pid, state| match target.call(moment, pid, state) {
        RR_OK => Ok(()),
        code => {
            // SAFETY: a static string.
            let name = unsafe { CStr::from_ptr(super::code::rr_code_name(code)) }.to_string_lossy();
            Err(Error::new(Kind::Hook, format!("it returned {code} ({name})")))
        }
    }))
}

//! Configs without containers: the default one, the check of one, what may be in one. None touches the host.

use super::arg::{invalid, known_bits, require, slice};
use super::buf::rr_buf;
use super::code::rr_code;
use super::error::rr_error;
use super::guard::{attempt, report};
use std::ffi::c_char;

/// A config for a user without privileges: a user namespace that maps the caller's ids to root. Since 0.1.
pub const RR_SPEC_ROOTLESS: u64 = 1 << 0;

/// A default `config.json`, as the command line's `spec` writes it.
///
/// On success `*out` is the caller's (`rr_buf_free`). Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_UNSUPPORTED` (unknown bits).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_spec_json(flags: u64, out: *mut rr_buf, err: *mut *mut rr_error) -> rr_code {
    let outcome = attempt(|| {
        require(out, "out")?;
        known_bits(flags, RR_SPEC_ROOTLESS)?;
        let ids = || (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let config = crate::default_config((flags & RR_SPEC_ROOTLESS != 0).then(ids));
        // SAFETY: not NULL, so writable for one rr_buf (rule 3).
        unsafe { out.write(rr_buf::new(config)) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// The features document: what this build can do, on any host, as the command line's `features` prints it
/// (runtime-spec, features.md).
///
/// On success `*out` is the caller's (`rr_buf_free`). Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_features_json(out: *mut rr_buf, err: *mut *mut rr_error) -> rr_code {
    let outcome = attempt(|| {
        require(out, "out")?;
        // SAFETY: not NULL, so writable for one rr_buf (rule 3).
        unsafe { out.write(rr_buf::new(crate::features())) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// Whether the bytes of a `config.json` are one that a container can be created from, as far as that can be
/// said without looking at the host: `RR_OK`, or why not.
///
/// The bytes are borrowed for the call. Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_INVALID_SPEC` (the message names the place in the JSON),
/// `RR_E_UNSUPPORTED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_config_check(
    config: *const c_char,
    len: usize,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        if config.is_null() {
            return Err(invalid("config", "it is NULL"));
        }
        // SAFETY: rule 4 is passed on.
        let bytes = unsafe { slice(config.cast::<u8>(), len, "config")? };
        crate::check_config(bytes)
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

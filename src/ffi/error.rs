//! `rr_error`: why a call did not succeed, as an object that the caller owns. Not thread-local and not an id
//! in a table: hosts that move work between threads (Go, async runtimes) may carry it anywhere, and a host
//! that drops it leaks its own memory only.

use super::code::{RR_OK, rr_code};
use super::guard::attempt;
use crate::Error;
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;

/// Why a call did not succeed: a code, the kernel's errno where there is one, and what was being done.
///
/// The caller owns it and frees it with `rr_error_free`. It never changes, so any number of threads may read
/// it at once. It is independent of the context and the container that it came from. Since 0.1.
#[derive(Debug)]
pub struct rr_error {
    code: rr_code,
    errno: c_int,
    message: CString,
    chain: Vec<CString>,
    details: Vec<(&'static str, CString)>,
}

/// The keys that `rr_error_detail` answers; a test compares them with the sources.
const DETAIL_KEYS: &[&str] = &["criu-log", "hook", "migration", "path", "phase", "step", "syscall"];

impl rr_error {
    /// Makes the object that C gets.
    pub(super) fn into_raw(error: Error) -> *mut Self {
        let detail = |key: &&'static str| error.detail(key).map(|value| (*key, c_text(value)));
        Box::into_raw(Box::new(Self {
            code: error.kind().code(),
            errno: error.errno().unwrap_or(0),
            message: c_text(&error.to_string()),
            chain: error.chain().iter().map(|text| c_text(text)).collect(),
            details: DETAIL_KEYS.iter().filter_map(detail).collect(),
        }))
    }
}

/// Text for C. A NUL inside (a name from a hostile image, say) becomes U+FFFD, so that nothing is cut off.
pub(super) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// The reader of one error field; `otherwise` for NULL.
///
/// # Safety
/// Rule 1 of `ffi`'s list.
unsafe fn field<T>(err: *const rr_error, otherwise: T, read: impl FnOnce(&rr_error) -> T) -> T {
    // SAFETY: NULL, or an error of ours that is not freed during the call and never changes (rule 1).
    match unsafe { err.as_ref() } {
        Some(error) => read(error),
        None => otherwise,
    }
}

/// The code that the failed call returned. NULL gives `RR_OK`. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_error_code(err: *const rr_error) -> rr_code {
    // SAFETY: rule 1 is passed on.
    unsafe { field(err, RR_OK, |error| error.code) }
}

/// The errno of the system call that did not succeed, 0 if none is the cause. NULL gives 0. Any thread, does
/// not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_error_errno(err: *const rr_error) -> c_int {
    // SAFETY: rule 1 is passed on.
    unsafe { field(err, 0, |error| error.errno) }
}

/// The whole story in one line, as the command line would print it: `mount proc on /proc: operation not
/// permitted`.
///
/// UTF-8, borrowed: it lives as long as `err`. Never NULL; NULL gives `""`. Any thread, does not block. Since
/// 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_error_message(err: *const rr_error) -> *const c_char {
    // SAFETY: rule 1 is passed on.
    unsafe { field(err, c"".as_ptr(), |error| error.message.as_ptr()) }
}

/// How many parts the message has: what was being done, outermost first, and last the cause. NULL gives 0.
/// Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_error_chain_len(err: *const rr_error) -> usize {
    // SAFETY: rule 1 is passed on.
    unsafe { field(err, 0, |error| error.chain.len()) }
}

/// Part `i` of the message, 0 being the outermost; NULL past the end.
///
/// Borrowed: it lives as long as `err`. NULL gives NULL. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_error_chain(err: *const rr_error, i: usize) -> *const c_char {
    // SAFETY: rule 1 is passed on.
    unsafe { field(err, ptr::null(), |error| error.chain.get(i).map_or(ptr::null(), |part| part.as_ptr())) }
}

/// A fact about the failure by its name, NULL if this error does not have it. The names are `"phase"`
/// (`host`, `init` or `exec`), `"step"`, `"path"`, `"syscall"`, `"hook"`, `"criu-log"` and `"migration"` (`undecided`:
/// which of the two hosts has the container must be looked up); later versions may know more.
///
/// Borrowed: it lives as long as `err`. NULL for either argument gives NULL. Any thread, does not block.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_error_detail(err: *const rr_error, key: *const c_char) -> *const c_char {
    if key.is_null() {
        return ptr::null();
    }
    // SAFETY: not NULL, so NUL-terminated and unchanged during the call (rule 4).
    let key = unsafe { CStr::from_ptr(key) };
    let find = |error: &rr_error| {
        let mut known = error.details.iter();
        known
            .find(|(name, _)| name.as_bytes() == key.to_bytes())
            .map_or(ptr::null(), |(_, value)| value.as_ptr())
    };
    // SAFETY: rule 1 is passed on.
    unsafe { field(err, ptr::null(), find) }
}

/// Frees an error and every string that came from it. NULL is fine. Any thread, once per error. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_error_free(err: *mut rr_error) {
    if err.is_null() {
        return;
    }
    // SAFETY: it came from `into_raw`, and the caller gives it away once (rule 1).
    let owned = unsafe { Box::from_raw(err) };
    let _ = attempt(move || {
        drop(owned);
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use std::fs;
    use std::path::Path;

    #[test]
    fn error_tells_c_the_same_story() {
        let error = Error::os(Kind::Mount, "mount proc on /proc", libc::EPERM).during("create web");
        let raw = rr_error::into_raw(error.detailed("phase", "init"));
        // SAFETY: an error that was made just now and is freed below.
        let seen = unsafe { &*raw };
        let text = |got: *const c_char| {
            // SAFETY: every string of an error is NUL-terminated, and this one is alive.
            unsafe { CStr::from_ptr(got) }.to_str().unwrap()
        };
        assert_eq!((seen.code, seen.errno, seen.chain.len()), (Kind::Mount.code(), libc::EPERM, 3));
        // SAFETY: `raw` is alive.
        let message = unsafe { rr_error_message(raw) };
        assert_eq!(text(message), "create web: mount proc on /proc: operation not permitted");
        // SAFETY: `raw` is alive.
        let first = unsafe { rr_error_chain(raw, 0) };
        assert_eq!(text(first), "create web");
        // SAFETY: `raw` is alive.
        let past = unsafe { rr_error_chain(raw, 3) };
        assert!(past.is_null());
        // SAFETY: `raw` is alive, the key a literal.
        let phase = unsafe { rr_error_detail(raw, c"phase".as_ptr()) };
        assert_eq!(text(phase), "init");
        // SAFETY: `raw` is alive, the key a literal.
        let hook = unsafe { rr_error_detail(raw, c"hook".as_ptr()) };
        assert!(hook.is_null());
        // SAFETY: freed once, not used afterwards.
        unsafe { rr_error_free(raw) };
    }

    #[test]
    fn nul_in_a_message_cuts_nothing_off() {
        assert_eq!(c_text("a\0b").as_bytes(), "a\u{fffd}b".as_bytes());
    }

    /// A key that some module attaches and that is missing in DETAIL_KEYS would be lost to C.
    #[test]
    fn every_detail_of_the_sources_reaches_c() {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry);
                } else if entry.extension().is_some_and(|kind| kind == "rs") {
                    let source = fs::read_to_string(&entry).unwrap();
                    for rest in source.split(".detailed(\"").skip(1) {
                        let key = rest.split('"').next().unwrap();
                        assert!(DETAIL_KEYS.contains(&key), "{key:?} in {}", entry.display());
                    }
                }
            }
        }
    }
}

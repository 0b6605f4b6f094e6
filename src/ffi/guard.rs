//! What stands between C and the library: one call in, one code out, and no panic through.
//!
//! A panic is a bug of ours, and the engine must survive it: [`attempt`] catches it and makes it an error
//! that names the place. Rust's default hook would first print to descriptor 2, which in a daemon may be
//! anything, a client's socket too. So the first C call installs a hook that stays silent for panics inside
//! an `rr_*` call and hands every other panic to the hook before it. A hook belongs to a copy of the Rust
//! library: the shared and the static library bring their own, so no host notices, and a Rust program that
//! uses the crate never comes here, so its hook is never touched. It is *not* a place for policy: errors pass
//! unchanged.

use super::code::{RR_OK, rr_code};
use super::error::rr_error;
use crate::{Error, Kind, Result};
use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

static HOOK: Once = Once::new();

thread_local! {
    /// Whether this thread is inside an `rr_*` call.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// Where the last caught panic of this thread began. First touched by a panic, so that a thread of the
    /// host that never sees one has nothing to be torn down.
    static PLACE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Runs the body of one C call; a panic in it comes back as [`Kind::Internal`].
pub(super) fn attempt<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    HOOK.call_once(install_hook);
    let outer = INSIDE.replace(true); // a log callback may call us again
    // A half-changed value cannot be seen afterwards: the bodies own what they build, and the core's locks
    // heal themselves.
    let outcome = panic::catch_unwind(AssertUnwindSafe(body));
    INSIDE.set(outer);
    outcome.unwrap_or_else(|payload| Err(panicked(payload.as_ref())))
}

/// Turns an outcome into a code, and hands the error to `err` unless that is NULL.
///
/// # Safety
/// Rule 2 of this module's list.
pub(super) unsafe fn report(outcome: Result<()>, err: *mut *mut rr_error) -> rr_code {
    let Err(error) = outcome else { return RR_OK };
    let code = error.kind().code();
    if !err.is_null() {
        // SAFETY: `err` is not NULL, so it points to a writable pointer (rule 2).
        unsafe { err.write(rr_error::into_raw(error)) };
    }
    code
}

fn install_hook() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if INSIDE.get() {
            PLACE.set(info.location().map(|place| format!("{}:{}", place.file(), place.line())));
        } else {
            before(info);
        }
    }));
}

fn panicked(payload: &(dyn Any + Send)) -> Error {
    let said = payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let place = PLACE.take().unwrap_or_else(|| "an unknown place".to_owned());
    Error::new(Kind::Internal, said).during(format!("panic at {place}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_becomes_an_internal_error_that_names_its_place() {
        let error = attempt::<()>(|| panic!("the {} is gone", "floor")).unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        let text = error.to_string();
        assert!(text.starts_with("panic at src/ffi/guard.rs:"), "{text}");
        assert!(text.ends_with(": the floor is gone"), "{text}");
    }

    #[test]
    fn an_inner_call_leaves_the_outer_one_guarded() {
        let outer = attempt(|| {
            attempt(|| Ok(()))?;
            Ok(INSIDE.get())
        });
        assert_eq!((outer, INSIDE.get()), (Ok(true), false));
    }
}

//! Handles: what C holds a pointer to. Each remembers the process that made it, since a fork copies the
//! memory but not the threads, and the descriptors would be shared with the parent: in a forked child a
//! handle answers `RR_E_FORKED`.

use crate::{Error, Kind, Result};
use std::process;
use std::sync::Arc;

/// A type that C sees as an opaque pointer.
pub(super) trait Handle: Send + Sync {
    /// The name of the argument in the header, for errors.
    const NAME: &'static str;
    /// The pid of the process that made it.
    fn maker(&self) -> u32;
}

/// The value behind a handle.
///
/// # Safety
/// Rule 1 of this module's list; the reference is not kept beyond the call.
pub(super) unsafe fn borrow<'call, H: Handle>(handle: *const H) -> Result<&'call H> {
    // SAFETY: a handle that is not NULL is one of ours and alive (rule 1), so it points to a valid H that
    // nobody mutates: all changes behind a handle are behind its own locks.
    let Some(value) = (unsafe { handle.as_ref() }) else {
        return Err(Error::new(Kind::InvalidArgument, format!("read argument {}: it is NULL", H::NAME)));
    };
    if value.maker() != process::id() {
        let text = format!("use {}: it was made before a fork, by process {}", H::NAME, value.maker());
        return Err(Error::new(Kind::Forked, text));
    }
    Ok(value)
}

/// Hands `value` to C, counted: it begins with one owner.
pub(super) fn into_raw<H: Handle>(value: H) -> *mut H {
    Arc::into_raw(Arc::new(value)).cast_mut()
}

/// One more owner of what [`into_raw`] handed out; NULL for NULL and in a forked child.
///
/// # Safety
/// Rule 1 of this module's list.
pub(super) unsafe fn retain<H: Handle>(handle: *mut H) -> *mut H {
    // SAFETY: rule 1 is passed on.
    let usable = super::guard::attempt(|| unsafe { borrow(handle) }.map(drop)).is_ok();
    if !usable {
        return std::ptr::null_mut();
    }
    // SAFETY: a live handle (rule 1), and `into_raw` made it from an Arc.
    unsafe { Arc::increment_strong_count(handle) };
    handle
}

/// Gives back one ownership of what [`into_raw`] handed out. NULL is fine.
///
/// # Safety
/// Rule 1, and this owner does not use the handle afterwards.
pub(super) unsafe fn release<H: Handle>(handle: *mut H) {
    if handle.is_null() {
        return;
    }
    // SAFETY: it came from `into_raw`, and this caller owns one count of it (rule 1).
    let owned = unsafe { Arc::from_raw(handle) };
    // A destructor that panics must not unwind into C, and there is nobody to tell.
    let _ = super::guard::attempt(move || {
        drop(owned);
        Ok(())
    });
}

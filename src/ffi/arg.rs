//! Arguments: C's pointers, lengths, flags and descriptors turned into checked Rust values. Nothing is kept
//! beyond the call: strings are copied, descriptors are borrowed or duplicated by the caller of these
//! functions.

use crate::{Error, Kind, Result};
use std::ffi::{CStr, OsStr, c_char};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// An `RR_E_INVALID_ARGUMENT`.
pub(super) fn invalid(name: &str, cause: impl AsRef<str>) -> Error {
    Error::new(Kind::InvalidArgument, format!("read argument {name}: {}", cause.as_ref()))
}

/// An `RR_E_UNSUPPORTED`: something that a newer header has.
pub(super) fn unsupported(name: &str, cause: impl AsRef<str>) -> Error {
    Error::new(Kind::Unsupported, format!("read argument {name}: {}", cause.as_ref()))
}

/// That an out-parameter is there; asked before anything is done.
pub(super) fn require<T>(out: *mut T, name: &str) -> Result<()> {
    if out.is_null() { Err(invalid(name, "it is NULL")) } else { Ok(()) }
}

/// That no bit is set which this library does not know.
pub(super) fn known_bits(flags: u64, known: u64) -> Result<()> {
    match flags & !known {
        0 => Ok(()),
        unknown => Err(unsupported("flags", format!("unknown bits {unknown:#x}"))),
    }
}

/// That a field kept for later is zero.
pub(super) fn reserved(value: u32) -> Result<()> {
    if value == 0 { Ok(()) } else { Err(unsupported("reserved0", "it is not zero")) }
}

/// Bytes up to the NUL; `None` for NULL.
///
/// # Safety
/// Rule 4 of this module's list.
unsafe fn bytes<'call>(text: *const c_char) -> Option<&'call [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: it is not NULL, so it is NUL-terminated and stays as it is during the call (rule 4).
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A string that must be there. `kind` is what bad UTF-8 means here.
///
/// # Safety
/// Rule 4.
pub(super) unsafe fn text<'call>(text: *const c_char, name: &str, kind: Kind) -> Result<&'call str> {
    // SAFETY: rule 4 is passed on.
    let bytes = unsafe { bytes(text) }.ok_or_else(|| invalid(name, "it is NULL"))?;
    str::from_utf8(bytes).map_err(|_| Error::new(kind, format!("read argument {name}: it is not UTF-8")))
}

/// A path; `None` for NULL.
///
/// # Safety
/// Rule 4.
pub(super) unsafe fn path(path: *const c_char) -> Option<PathBuf> {
    // SAFETY: rule 4 is passed on.
    let bytes = unsafe { bytes(path) }?;
    Some(PathBuf::from(OsStr::from_bytes(bytes)))
}

/// `len` values; none for NULL with length 0.
///
/// # Safety
/// Rule 4, for values of T.
pub(super) unsafe fn slice<'call, T>(start: *const T, len: usize, name: &str) -> Result<&'call [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    if start.is_null() {
        return Err(invalid(name, format!("it is NULL, and {len} entries were announced")));
    }
    if len > isize::MAX as usize / size_of::<T>().max(1) {
        return Err(invalid(name, "its length is larger than memory"));
    }
    // SAFETY: not NULL, readable for `len` values that do not change during the call (rule 4), and within
    // isize::MAX bytes.
    Ok(unsafe { std::slice::from_raw_parts(start, len) })
}

/// An open descriptor.
///
/// # Safety
/// Rule 5.
pub(super) unsafe fn descriptor<'call>(fd: RawFd, name: &str) -> Result<BorrowedFd<'call>> {
    // SAFETY: fcntl(F_GETFD) takes any number and touches no memory.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    if fd < 0 || flags < 0 {
        return Err(Error::os(
            Kind::InvalidArgument,
            format!("read argument {name}: descriptor {fd}"),
            libc::EBADF,
        ));
    }
    // SAFETY: it is not -1, it was open just now, and nobody closes it during the call (rule 5).
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// A descriptor of our own for the same open file.
///
/// # Safety
/// Rule 5.
pub(super) unsafe fn duplicate(fd: RawFd, name: &str) -> Result<OwnedFd> {
    // SAFETY: rule 5 is passed on.
    let lent = unsafe { descriptor(fd, name)? };
    lent.try_clone_to_owned().map_err(|error| {
        let doing = format!("duplicate descriptor {fd} for {name}");
        Error::os(Kind::System, doing, error.raw_os_error().unwrap_or(libc::EMFILE))
    })
}

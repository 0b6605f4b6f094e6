//! `rr_buf`: bytes that the library made and the caller owns. Not a string builder: it is filled once and
//! freed.

use super::guard::attempt;
use std::ffi::c_char;
use std::ptr;

/// Bytes from the library, owned by the caller until `rr_buf_free`.
///
/// `data[len]` is 0, so text can be used as a C string. Begin with `{NULL, 0, 0}`: a function that fills one
/// does not free what was in it. `reserved` is the library's; leave it as it is. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_buf {
    /// The bytes; NULL when there are none.
    pub data: *mut c_char,
    /// How many, without the closing 0.
    pub len: usize,
    /// The library's own.
    pub reserved: usize,
}

impl rr_buf {
    const EMPTY: Self = Self { data: ptr::null_mut(), len: 0, reserved: 0 };

    pub(super) fn new(text: impl Into<Vec<u8>>) -> Self {
        let mut bytes: Vec<u8> = text.into();
        let len = bytes.len();
        bytes.push(0);
        let bytes = Box::leak(bytes.into_boxed_slice());
        Self { reserved: bytes.len(), data: bytes.as_mut_ptr().cast(), len }
    }
}

/// Frees the bytes and resets the struct to `{NULL, 0, 0}`, so that a second call does no harm. NULL and an
/// empty struct are fine. Any thread, one at a time per struct. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_buf_free(buf: *mut rr_buf) {
    if buf.is_null() {
        return;
    }
    // SAFETY: not NULL, so it points to one rr_buf that nobody else uses now (rule 3).
    let old = unsafe { buf.replace(rr_buf::EMPTY) };
    if old.data.is_null() {
        return;
    }
    let bytes = ptr::slice_from_raw_parts_mut(old.data.cast::<u8>(), old.reserved);
    // SAFETY: `new` leaked a box of exactly `reserved` bytes at `data`; C changes neither, and the reset
    // above makes this the only free.
    let owned = unsafe { Box::from_raw(bytes) };
    let _ = attempt(move || {
        drop(owned);
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_is_closed_by_a_nul_and_may_be_freed_twice() {
        let mut buf = rr_buf::new("null");
        assert_eq!((buf.len, buf.reserved), (4, 5));
        // SAFETY: `reserved` bytes are there.
        assert_eq!(unsafe { std::slice::from_raw_parts(buf.data.cast::<u8>(), 5) }, b"null\0");
        // SAFETY: ours, and reset by the first call.
        unsafe { rr_buf_free(&raw mut buf) };
        assert!(buf.data.is_null());
        // SAFETY: as above.
        unsafe { rr_buf_free(&raw mut buf) };
    }
}

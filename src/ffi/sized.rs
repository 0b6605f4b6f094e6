//! Sized structs: how a struct grows without breaking a program compiled against an older or a newer header.
//!
//! Each begins with its `size` as the caller's compiler saw it. A shorter one reads as if the rest were zero,
//! and a result is cut to it; a longer one is fine as long as the part that this library does not know is
//! zero. Zero is every field's default. Sized structs hold each other by pointer only, so that each can grow
//! on its own.

use super::arg::{invalid, unsupported};
use crate::Result;
use std::ptr;

/// More than any struct here will ever have: a larger size is memory that nobody set up.
const BELIEVABLE: usize = 4096;

/// A struct of the header that begins with `size`.
///
/// # Safety
/// The type is `repr(C)`, its first field is `size: usize`, it holds only integers and pointers (function
/// pointers as `Option`), and hence any bytes a C caller can put there, zeros above all, are a value of it.
pub(super) unsafe trait Sized: Copy {
    /// The name in the header, for errors.
    const NAME: &'static str;
    /// All zero.
    fn zeroed() -> Self {
        // SAFETY: zeros are a value of every implementing type (the trait's contract).
        unsafe { std::mem::zeroed() }
    }
}

/// What `rr_*_init` does: `size` zero bytes, then the size. NULL is fine, and a size too small to say itself
/// does nothing.
///
/// # Safety
/// Rule 3 of this module's list, for `size` bytes.
pub(super) unsafe fn init<T: Sized>(target: *mut T, size: usize) {
    if target.is_null() || size < size_of::<usize>() {
        return;
    }
    // SAFETY: `target` is writable for `size` bytes (rule 3); bytes need no alignment.
    unsafe { ptr::write_bytes(target.cast::<u8>(), 0, size) };
    // SAFETY: as above, and `size` has room for a usize; unaligned is allowed.
    unsafe { target.cast::<usize>().write_unaligned(size) };
}

/// Copies an options struct in; NULL is the default of everything.
///
/// # Safety
/// Rule 3, for reading.
pub(super) unsafe fn read<T: Sized>(source: *const T) -> Result<T> {
    let mut value = T::zeroed();
    if source.is_null() {
        return Ok(value);
    }
    // SAFETY: `source` is readable for its size (rule 3).
    let size = unsafe { size_at(source)? };
    let known = size.min(size_of::<T>());
    let bytes = source.cast::<u8>();
    // SAFETY: `known` bytes are readable at `source` (rule 3) and fit in `value`; the two do not overlap,
    // `value` being ours.
    unsafe { ptr::copy_nonoverlapping(bytes, (&raw mut value).cast::<u8>(), known) };
    // SAFETY: known <= size, so the start of the rest is inside or one past the caller's struct.
    let tail = unsafe { bytes.add(known) };
    // SAFETY: the bytes from `known` to `size` belong to the caller's struct (rule 3) and do not change
    // during the call.
    let rest = unsafe { std::slice::from_raw_parts(tail, size - known) };
    match rest.iter().position(|byte| *byte != 0) {
        None => Ok(value),
        Some(at) => Err(unsupported(T::NAME, format!("the field at byte {} is not known here", known + at))),
    }
}

/// The size that a struct says it has, checked. For results it is asked before anything is done.
///
/// # Safety
/// Rule 3, for reading; not NULL.
pub(super) unsafe fn size_at<T: Sized>(source: *const T) -> Result<usize> {
    // SAFETY: not NULL, so at least the size is readable (rule 3); unaligned is allowed.
    let size = unsafe { source.cast::<usize>().read_unaligned() };
    match size {
        size if size < size_of::<usize>() => {
            Err(invalid(T::NAME, format!("its size is {size}: set it first")))
        }
        size if size > BELIEVABLE => {
            Err(invalid(T::NAME, format!("its size {size} is not believable: set it first")))
        }
        size => Ok(size),
    }
}

/// Copies a result out: cut to the caller's size, which stays as it is; what the caller has beyond it becomes
/// zero.
///
/// # Safety
/// Rule 3; not NULL, and `size` came from [`size_at`].
pub(super) unsafe fn write<T: Sized>(target: *mut T, size: usize, value: &T) {
    // SAFETY: writable for `size` bytes (rule 3).
    unsafe { init(target, size) };
    let head = size_of::<usize>();
    let fields = size.min(size_of::<T>()) - head;
    // SAFETY: `value` is at least `head` long, since it begins with its size.
    let from = unsafe { ptr::from_ref(value).cast::<u8>().add(head) };
    // SAFETY: the caller's struct is at least `head` long (size_at).
    let to = unsafe { target.cast::<u8>().add(head) };
    // SAFETY: `fields` bytes follow the size on both sides, and `value` is ours, so they do not overlap.
    unsafe { ptr::copy_nonoverlapping(from, to, fields) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Small {
        size: usize,
        a: u64,
        b: u64,
    }
    // SAFETY: repr(C), size first, integers only.
    unsafe impl Sized for Small {
        const NAME: &'static str = "small";
    }

    fn read_words(words: &[usize]) -> Result<Small> {
        // SAFETY: the words are as long as the first one says in every test below that gets past the size
        // check.
        unsafe { read(words.as_ptr().cast::<Small>()) }
    }

    #[test]
    fn shorter_struct_reads_as_zeros() {
        assert_eq!(read_words(&[16, 7, 99]), Ok(Small { size: 16, a: 7, b: 0 }));
        assert_eq!(read_words(&[8, 7, 99]), Ok(Small { size: 8, a: 0, b: 0 }));
    }

    #[test]
    fn longer_struct_needs_a_zero_tail() {
        assert_eq!(read_words(&[32, 7, 8, 0]), Ok(Small { size: 32, a: 7, b: 8 }));
        let error = read_words(&[32, 7, 8, 1]).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().contains("byte 24"), "{error}");
    }

    #[test]
    fn size_that_nobody_set_is_refused() {
        for size in [0, 7, 5000, usize::MAX] {
            assert_eq!(read_words(&[size]).unwrap_err().kind(), Kind::InvalidArgument, "{size}");
        }
    }

    #[test]
    fn result_is_cut_to_the_callers_size_and_its_tail_zeroed() {
        let value = Small { size: 0, a: 7, b: 8 };
        let mut words: [usize; 4] = [16, 1, 2, 3];
        // SAFETY: four words are more than the 16 bytes.
        unsafe { write(words.as_mut_ptr().cast::<Small>(), 16, &value) };
        assert_eq!(words, [16, 7, 2, 3]);
        let mut words: [usize; 4] = [32, 1, 2, 3];
        // SAFETY: four words are the 32 bytes.
        unsafe { write(words.as_mut_ptr().cast::<Small>(), 32, &value) };
        assert_eq!(words, [32, 7, 8, 0]);
    }
}

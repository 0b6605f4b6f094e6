//! The ground that a program without a C library stands on: entry, memory functions, allocator, panic.
//!
//! Runs in: the init program, from its first instruction. Nothing here knows what a container is.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr;

use crate::sys;

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp", // argc, then argv, as the kernel left them
    "and rsp, -16",
    "call {entry}",
    "ud2",
    entry = sym entry,
);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, #0",
    "mov x0, sp",
    "bl {entry}",
    "brk #1",
    entry = sym entry,
);

/// `stack` is where the kernel left argc and argv (execve(2), System V ABI).
unsafe extern "C" fn entry(stack: *const usize) -> ! {
    // SAFETY: the kernel put argc at the initial stack pointer.
    let argc = unsafe { *stack };
    let first = if argc > 1 {
        // SAFETY: argv follows argc and has argc entries; the second is entry 2 of the stack.
        let argument = unsafe { *stack.add(2) } as *const core::ffi::c_char;
        // SAFETY: argv entries are NUL-terminated strings that live as long as the process.
        Some(unsafe { core::ffi::CStr::from_ptr(argument) })
    } else {
        None
    };
    crate::main(first)
}

/// Hands memory out and takes none back: the program lives for milliseconds or sleeps with what it has.
struct Bump {
    next: Cell<usize>,
    end: Cell<usize>,
}

// SAFETY: the program has one thread, always.
unsafe impl Sync for Bump {}

#[global_allocator]
static HEAP: Bump = Bump { next: Cell::new(0), end: Cell::new(0) };

const CHUNK: usize = 64 * 1024;

/// What is allocated next, a few KiB of it, is not asked of the kernel: a filter may refuse mmap(2).
pub(crate) fn reserve() {
    if HEAP.end.get() - HEAP.next.get() < CHUNK / 8
        && let Ok(start) = sys::map_anonymous(CHUNK)
    {
        HEAP.next.set(start);
        HEAP.end.set(start + CHUNK);
    }
}

// SAFETY: every block is fresh anonymous memory of at least the layout's size, aligned, and never handed out twice.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let aligned = (self.next.get() + layout.align() - 1) & !(layout.align() - 1);
        if let Some(end) = aligned.checked_add(layout.size())
            && aligned != 0
            && end <= self.end.get()
        {
            self.next.set(end);
            return aligned as *mut u8;
        }
        let size = layout.size().saturating_add(layout.align()).max(CHUNK);
        match sys::map_anonymous(size) {
            Ok(start) => {
                let aligned = (start + layout.align() - 1) & !(layout.align() - 1);
                self.next.set(aligned + layout.size());
                self.end.set(start + size);
                aligned as *mut u8
            }
            Err(_) => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, _block: *mut u8, _layout: Layout) {}
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The runtime sees the end of the socket and says that init died; there is nobody else to tell.
    sys::exit(134)
}

// The compiler calls these four by name. `rep` keeps the bodies from being compiled into calls of themselves.

#[cfg(target_arch = "x86_64")]
mod memory {
    use core::arch::asm;

    /// memcpy(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        // SAFETY: the caller vouches for n bytes at both ends; the direction flag is clear by the ABI.
        unsafe {
            asm!("rep movsb", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack))
        };
        to
    }

    /// memmove(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        if (to as usize).wrapping_sub(from as usize) >= n {
            // SAFETY: forward copying is right when the target does not begin inside the source.
            return unsafe { memcpy(to, from, n) };
        }
        // SAFETY: backwards from the last byte; n > 0 here; the direction flag is put back.
        unsafe {
            asm!("std", "rep movsb", "cld",
                inout("rcx") n => _, inout("rdi") to.add(n).sub(1) => _, inout("rsi") from.add(n).sub(1) => _,
                options(nostack));
        }
        to
    }

    /// memset(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
        // SAFETY: the caller vouches for n bytes.
        unsafe {
            asm!("rep stosb", inout("rcx") n => _, inout("rdi") to => _, in("al") byte as u8, options(nostack))
        };
        to
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod memory {
    use core::ptr::{read_volatile, write_volatile};

    /// memcpy(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        for i in 0..n {
            // SAFETY: i < n, and the caller vouches for n bytes at both ends.
            unsafe { write_volatile(to.add(i), read_volatile(from.add(i))) };
        }
        to
    }

    /// memmove(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        if (to as usize) < from as usize {
            // SAFETY: forward copying is right when the target lies before the source.
            return unsafe { memcpy(to, from, n) };
        }
        for i in (0..n).rev() {
            // SAFETY: i < n, and the caller vouches for n bytes at both ends.
            unsafe { write_volatile(to.add(i), read_volatile(from.add(i))) };
        }
        to
    }

    /// memset(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
        for i in 0..n {
            // SAFETY: i < n, and the caller vouches for n bytes.
            unsafe { write_volatile(to.add(i), byte as u8) };
        }
        to
    }
}

/// memcmp(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    for i in 0..n {
        // SAFETY: i < n, and the caller vouches for n bytes at both ends.
        let (x, y) = unsafe { (ptr::read_volatile(a.add(i)), ptr::read_volatile(b.add(i))) };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
    }
    0
}

/// bcmp(3): memcmp without the order.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(a, b, n) }
}

/// strlen(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const core::ffi::c_char) -> usize {
    let mut n = 0;
    // SAFETY: the caller vouches for a NUL; every byte before it may be read.
    while unsafe { ptr::read_volatile(text.add(n)) } != 0 {
        n += 1;
    }
    n
}

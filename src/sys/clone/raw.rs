//! System calls that touch nothing of the C library's: of a child that shares the memory of a thread that runs on,
//! whose errno is not ours to write.

use std::ptr;

use libc::{c_int, c_long, c_void};

use crate::sys::{Errno, Result};

/// struct clone_args (clone3(2)).
#[repr(C)]
#[derive(Default)]
pub(super) struct CloneArguments {
    pub(super) flags: u64,
    pub(super) pidfd: u64,
    pub(super) child_tid: u64,
    pub(super) parent_tid: u64,
    pub(super) exit_signal: u64,
    pub(super) stack: u64,
    pub(super) stack_size: u64,
    pub(super) tls: u64,
    pub(super) set_tid: u64,
    pub(super) set_tid_size: u64,
    pub(super) cgroup: u64,
}

/// What a clone begins with: one pointer, no way back.
pub(super) type Entry = unsafe extern "C" fn(*mut c_void) -> !;

#[cfg(target_arch = "x86_64")]
pub(super) fn clone3(arguments: &CloneArguments, entry: Entry, argument: *mut c_void) -> Result<i32> {
    let result: isize;
    // SAFETY: the child begins on the stack in `arguments`, 16-byte aligned, and calls `entry` with its argument, which
    // does not return. The parent finds its own stack and registers untouched but for rax, rcx and r11.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") ptr::from_ref(arguments),
            in("rsi") size_of::<CloneArguments>(),
            in("r12") argument,
            in("r13") entry as *const (),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    answer(result)
}

#[cfg(target_arch = "aarch64")]
pub(super) fn clone3(arguments: &CloneArguments, entry: Entry, argument: *mut c_void) -> Result<i32> {
    let result: isize;
    // SAFETY: as on x86_64; svc changes x0 only.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x21",
            "blr x22",
            "brk #1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") ptr::from_ref(arguments) => result,
            in("x1") size_of::<CloneArguments>(),
            in("x21") argument,
            in("x22") entry as *const (),
        );
    }
    answer(result)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn clone3(_arguments: &CloneArguments, _entry: Entry, _argument: *mut c_void) -> Result<i32> {
    Err(Errno::ENOSYS)
}

fn answer(result: isize) -> Result<i32> {
    if result < 0 { Err(Errno::from_raw(-result as i32)) } else { Ok(result as i32) }
}

/// One system call.
///
/// # Safety
/// That of the call: pointers among its arguments are valid for it.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn call(number: c_long, arguments: [usize; 5]) -> isize {
    let result: isize;
    let [a, b, c, d, e] = arguments;
    // SAFETY: the call's is the caller's promise; the kernel changes rax, rcx and r11 alone.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// The same.
///
/// # Safety
/// As there.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn call(number: c_long, arguments: [usize; 5]) -> isize {
    let result: isize;
    let [a, b, c, d, e] = arguments;
    // SAFETY: as on x86_64; svc changes x0 only.
    unsafe {
        std::arch::asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            in("x4") e,
            options(nostack),
        );
    }
    result
}

/// Elsewhere there is no clone3 of ours, so that the thread whose errno this writes sleeps.
///
/// # Safety
/// As there.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) unsafe fn call(number: c_long, arguments: [usize; 5]) -> isize {
    let [a, b, c, d, e] = arguments;
    // SAFETY: the caller's promise.
    let result = unsafe { libc::syscall(number, a, b, c, d, e) };
    if result < 0 { -(Errno::last() as isize) } else { result as isize }
}

/// The same, with an errno for a failure.
///
/// # Safety
/// As there.
pub(super) unsafe fn checked(number: c_long, arguments: [usize; 5]) -> Result<usize> {
    // SAFETY: the caller's promise.
    match unsafe { call(number, arguments) } {
        result if result < 0 => Err(Errno::from_raw(-result as c_int)),
        result => Ok(result as usize),
    }
}

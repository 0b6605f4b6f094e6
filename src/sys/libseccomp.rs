//! libseccomp, found at run time: the compiler that ours is compared with. For tests alone; the product does not know it.

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::io::{Read, Seek};
use std::mem::transmute_copy;
use std::os::fd::AsRawFd;

/// The loaded library.
pub(crate) struct Library(*mut c_void);

/// `struct scmp_arg_cmp`: index, operator, two values.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Argument {
    pub(crate) index: c_uint,
    pub(crate) operator: c_int,
    pub(crate) values: [u64; 2],
}

/// Action, name, conditions.
pub(crate) type Rule<'a> = (u32, &'a str, Vec<Argument>);

impl Library {
    /// `None`: not on this machine.
    pub(crate) fn open() -> Option<Self> {
        // SAFETY: a constant name; the library's constructors do nothing.
        let library = unsafe { libc::dlopen(c"libseccomp.so.2".as_ptr(), libc::RTLD_NOW) };
        (!library.is_null()).then_some(Self(library))
    }

    /// `F` must be the C type of the function.
    fn function<F: Copy>(&self, name: &CStr) -> F {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        // SAFETY: the library stays open, the name is constant.
        let found = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        assert!(!found.is_null(), "{name:?}");
        // SAFETY: of the size of a pointer, and of the type that seccomp.h declares.
        unsafe { transmute_copy(&found) }
    }

    /// The number of a call on an architecture; negative: none of its own.
    pub(crate) fn number(&self, architecture: u32, name: &str) -> i32 {
        let resolve: unsafe extern "C" fn(u32, *const c_char) -> c_int =
            self.function(c"seccomp_syscall_resolve_name_arch");
        let name = CString::new(name).unwrap_or_default();
        // SAFETY: a NUL-terminated name.
        unsafe { resolve(architecture, name.as_ptr()) }
    }

    /// Rules in order, for the native architecture and these; `None`: it refuses.
    pub(crate) fn compile(
        &self,
        default: u32,
        architectures: &[u32],
        rules: &[Rule<'_>],
    ) -> Option<Vec<(u16, u8, u8, u32)>> {
        let init: unsafe extern "C" fn(u32) -> *mut c_void = self.function(c"seccomp_init");
        let arch_add: unsafe extern "C" fn(*mut c_void, u32) -> c_int = self.function(c"seccomp_arch_add");
        let resolve: unsafe extern "C" fn(*const c_char) -> c_int =
            self.function(c"seccomp_syscall_resolve_name");
        let add: unsafe extern "C" fn(*mut c_void, u32, c_int, c_uint, *const Argument) -> c_int =
            self.function(c"seccomp_rule_add_array");
        let export: unsafe extern "C" fn(*mut c_void, c_int) -> c_int = self.function(c"seccomp_export_bpf");
        let release: unsafe extern "C" fn(*mut c_void) = self.function(c"seccomp_release");
        // SAFETY: an action.
        let context = unsafe { init(default) };
        let mut ok = !context.is_null();
        for architecture in architectures {
            // SAFETY: the context is live.
            ok &= matches!(unsafe { arch_add(context, *architecture) }, 0 | -17);
        }
        for (action, name, arguments) in rules {
            let name = CString::new(*name).unwrap_or_default();
            // SAFETY: a NUL-terminated name.
            let number = unsafe { resolve(name.as_ptr()) };
            // SAFETY: the context is live, and the list as long as it says.
            ok &= number == -1
                || unsafe { add(context, *action, number, arguments.len() as c_uint, arguments.as_ptr()) }
                    == 0;
        }
        let mut file = File::from(memfd());
        // SAFETY: the context is live, the descriptor open.
        ok &= unsafe { export(context, file.as_raw_fd()) } == 0;
        // SAFETY: not used any more.
        unsafe { release(context) };
        let mut bytes = Vec::new();
        ok &= file.rewind().and_then(|()| file.read_to_end(&mut bytes)).is_ok();
        let instruction = |b: &[u8]| {
            (u16::from_ne_bytes([b[0], b[1]]), b[2], b[3], u32::from_ne_bytes([b[4], b[5], b[6], b[7]]))
        };
        ok.then(|| bytes.chunks_exact(8).map(instruction).collect())
    }
}

fn memfd() -> std::os::fd::OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: a constant name.
    let fd = unsafe { libc::memfd_create(c"bpf".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0);
    // SAFETY: the kernel just made it.
    unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) }
}

//! The floor: system calls and procfs, typed. No OCI word, no policy, no log in it.
//!
//! Wrappers promise that descriptors are owned and close-on-exec from birth, and that an `Err` is the kernel's errno.
//! They do not promise atomicity beyond the one call. `unsafe` lives here and in `ffi/`.

pub(crate) mod bpf;
pub(crate) mod clone;
pub(crate) mod event;
pub(crate) mod file;
#[cfg(test)]
pub(crate) mod libseccomp;
pub(crate) mod memfd;
pub(crate) mod namespace;
pub(crate) mod pidfd;
pub(crate) mod pipe;
pub(crate) mod poll;
pub(crate) mod process;
pub(crate) mod socket;
pub(crate) mod tree;
pub(crate) mod tty;

pub(crate) use nix::errno::Errno;

/// What the kernel answers.
pub(crate) type Result<T = ()> = std::result::Result<T, Errno>;

/// The errno behind an I/O error of std; its own inventions count as EIO.
pub(crate) fn errno_of(error: &std::io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

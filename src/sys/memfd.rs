//! Sealed memfds: a program that nobody can change, whoever can open /proc/PID/exe (CVE-2019-5736); bytes to be read.

use std::ffi::CStr;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::{Errno, Result};

/// memfd_create(2) of `bytes`, executable, then sealed against every change.
pub(crate) fn sealed_program(bytes: &[u8]) -> Result<OwnedFd> {
    const MFD_EXEC: libc::c_uint = 0x10; // KERNEL(6.3); older ones say EINVAL and need no word
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let memfd = create(c"riverrun-init", flags | MFD_EXEC).or_else(|_| create(c"riverrun-init", flags))?;
    sealed(memfd, bytes)
}

/// The same of bytes that are only to be read, from their beginning.
pub(crate) fn sealed_bytes(bytes: &[u8]) -> Result<OwnedFd> {
    const MFD_NOEXEC_SEAL: libc::c_uint = 0x8; // KERNEL(6.3)
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    let memfd = create(c"riverrun", flags | MFD_NOEXEC_SEAL).or_else(|_| create(c"riverrun", flags))?;
    let mut file = File::from(sealed(memfd, bytes)?);
    file.rewind().map_err(|error| Errno::from_raw(super::errno_of(&error)))?;
    Ok(file.into())
}

fn sealed(memfd: OwnedFd, bytes: &[u8]) -> Result<OwnedFd> {
    let mut file = File::from(memfd);
    file.write_all(bytes).map_err(|error| Errno::from_raw(super::errno_of(&error)))?;
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: numbers only.
    Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(file.into())
}

fn create(name: &CStr, flags: libc::c_uint) -> Result<OwnedFd> {
    // SAFETY: the name is NUL-terminated.
    let fd = Errno::result(unsafe { libc::memfd_create(name.as_ptr(), flags) })?;
    // SAFETY: the kernel just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

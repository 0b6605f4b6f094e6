//! Namespaces by descriptor: what a path leads to, and whether it is the caller's own (ioctl_nsfs(2)).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, open as open_file};
use nix::sys::stat::{Mode, fstat, stat};

use super::{Errno, Result};

/// linux/magic.h
const NSFS_MAGIC: i64 = 0x6e73_6673;
/// `_IO(0xb7, 3)`, KERNEL(4.11).
const NS_GET_NSTYPE: libc::c_ulong = 0xb703;

/// open(2) of whatever is there: a fifo does not block, a terminal does not become ours.
pub(crate) fn open(path: &Path) -> Result<OwnedFd> {
    open_file(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY, Mode::empty())
}

/// The `CLONE_NEW*` flag of the namespace behind a descriptor; `None` if it is no namespace.
pub(crate) fn kind(file: BorrowedFd<'_>) -> Result<Option<u64>> {
    // SAFETY: statfs is plain data.
    let mut statfs: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the struct is filled.
    Errno::result(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut statfs) })?;
    #[allow(clippy::unnecessary_cast, reason = "the field's type differs between architectures")]
    if statfs.f_type as i64 != NSFS_MAGIC {
        return Ok(None);
    }
    // SAFETY: a request without an argument, which nsfs answers for every file of its own.
    let answer = Errno::result(unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE as _) });
    match answer {
        Ok(flag) => Ok(Some(u64::from(flag.unsigned_abs()))),
        // A pidfd is of nsfs's kin on some kernels, and no namespace.
        Err(Errno::ENOTTY) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Which namespace a descriptor leads to: no two that exist at a time have the same (namespaces(7)).
pub(crate) fn identity(file: BorrowedFd<'_>) -> Result<(u64, u64)> {
    let there = fstat(file.as_fd())?;
    Ok((there.st_dev, there.st_ino))
}

/// The same for a namespace of the calling thread, whose child will be in it; `name` as below /proc/PID/ns.
pub(crate) fn own_identity(name: &str) -> Result<(u64, u64)> {
    let there = stat(Path::new("/proc/thread-self/ns").join(name).as_path())?;
    Ok((there.st_dev, there.st_ino))
}

/// The same for a namespace of another process.
pub(crate) fn identity_of(pid: i32, name: &str) -> Result<(u64, u64)> {
    let there = stat(format!("/proc/{pid}/ns/{name}").as_str())?;
    Ok((there.st_dev, there.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_namespace_is_told_apart() {
        let own = open(Path::new("/proc/self/ns/uts")).unwrap();
        assert_eq!(kind(own.as_fd()).unwrap(), Some(libc::CLONE_NEWUTS as u64));
        assert_eq!(identity(own.as_fd()).unwrap(), own_identity("uts").unwrap());
        let plain = open(Path::new("/proc/self/status")).unwrap();
        assert_eq!(kind(plain.as_fd()).unwrap(), None);
        let directory = open(Path::new("/")).unwrap();
        assert_eq!(kind(directory.as_fd()).unwrap(), None);
    }
}

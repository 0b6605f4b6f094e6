//! Files and directories by descriptor: locks, atomic replacement, what kind of filesystem.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use super::{Errno, Result};

/// open(2) of a directory, close-on-exec.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
}

/// openat2(2) of whatever is at `path` below `root`, links and all, without touching it. KERNEL(5.6).
pub(crate) fn open_path_in(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd> {
    use nix::fcntl::{OpenHow, ResolveFlag, openat2};
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    openat2(root, path, how)
}

/// The mount that a descriptor is on, as mountinfo numbers it (proc_pid_fdinfo(5)).
pub(crate) fn mount_of(fd: BorrowedFd<'_>) -> Option<u64> {
    mount_in(&std::fs::read_to_string(format!("/proc/thread-self/fdinfo/{}", fd.as_raw_fd())).ok()?)
}

/// The same, from the text of a process's fdinfo.
pub(crate) fn mount_in(fdinfo: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
}

/// open(2) for reading.
pub(crate) fn open_readable(path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
}

/// openat(2) of a file in a directory, for reading.
pub(crate) fn open_readable_in(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    openat(directory, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
}

/// open(2) for writing.
pub(crate) fn open_writable(path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
}

/// Where a file is, and which.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its path, as long as that leads to it.
    pub(crate) place: Option<PathBuf>,
    /// Device and inode.
    pub(crate) identity: (u64, u64),
    pub(crate) is_directory: bool,
}

/// What /proc says of a descriptor's place, and whether that is so.
pub(crate) fn place_of(descriptor: BorrowedFd<'_>) -> Result<Place> {
    let identity = |stat: &nix::sys::stat::FileStat| (stat.st_dev, stat.st_ino);
    let own = nix::sys::stat::fstat(descriptor)?;
    let path = std::fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
        .map_err(|error| Errno::from_raw(super::errno_of(&error)))?;
    let there = nix::sys::stat::lstat(&path).ok().filter(|there| identity(there) == identity(&own));
    Ok(Place {
        place: there.map(|_| path),
        identity: identity(&own),
        is_directory: own.st_mode & libc::S_IFMT == libc::S_IFDIR,
    })
}

/// open(2) for both, without waiting for anything.
pub(crate) fn open_for_both(path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty())
}

/// `/dev/null` of the host, if it is the null device.
pub(crate) fn open_null() -> Result<OwnedFd> {
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    let there = nix::sys::stat::fstat(&null)?;
    if there.st_mode & libc::S_IFMT == libc::S_IFCHR && there.st_rdev == libc::makedev(1, 3) {
        return Ok(null);
    }
    Err(Errno::ENODEV)
}

/// flock(2). `Ok(false)`: somebody else holds it.
pub(crate) fn try_lock(directory: BorrowedFd<'_>) -> Result<bool> {
    // SAFETY: numbers only.
    match Errno::result(unsafe { libc::flock(directory.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
        Ok(_) => Ok(true),
        Err(Errno::EWOULDBLOCK | Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Writes `name` in `directory` as a whole or not at all: a temporary file, then rename(2).
pub(crate) fn replace(directory: BorrowedFd<'_>, name: &str, bytes: &[u8], mode: u32) -> Result {
    let written = prepare(directory, name, bytes, mode).and_then(|()| commit(directory, name));
    if written.is_err() {
        // The first error is the one worth telling.
        let _ = remove_in(directory, &temporary(name));
    }
    written
}

/// The first half of [`replace`]: nobody sees it yet.
pub(crate) fn prepare(directory: BorrowedFd<'_>, name: &str, bytes: &[u8], mode: u32) -> Result {
    create(directory, &temporary(name), bytes, mode)
}

/// The second half.
pub(crate) fn commit(directory: BorrowedFd<'_>, name: &str) -> Result {
    nix::fcntl::renameat(directory, temporary(name).as_str(), directory, name)
}

fn temporary(name: &str) -> String {
    format!(".{name}.new")
}

/// unlinkat(2) of a file in a directory.
pub(crate) fn remove_in(directory: BorrowedFd<'_>, name: &str) -> Result {
    nix::unistd::unlinkat(directory, name, nix::unistd::UnlinkatFlags::NoRemoveDir)
}

/// Writes a new file `name`; one that a killed predecessor left is replaced.
pub(crate) fn create(directory: BorrowedFd<'_>, name: &str, bytes: &[u8], mode: u32) -> Result {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let open = || openat(directory, name, flags, Mode::from_bits_truncate(mode));
    let file = match open() {
        Err(Errno::EEXIST) => {
            remove_in(directory, name)?;
            open()?
        }
        file => file?,
    };
    write_all(file.as_fd(), bytes)
}

/// A new file for writing; EEXIST if there is something of that name.
pub(crate) fn create_new(directory: &OwnedFd, name: &str, mode: u32) -> Result<OwnedFd> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    openat(directory, name, flags, Mode::from_bits_truncate(mode))
}

/// write(2) until all is written.
pub(crate) fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result {
    while !bytes.is_empty() {
        match nix::unistd::write(file, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// One write(2) of a whole value to a file of a kernel filesystem.
pub(crate) fn write_value(path: &Path, value: &str) -> Result {
    let file = open_writable(path)?;
    nix::unistd::write(&file, value.as_bytes()).map(drop)
}

/// The magic number of the filesystem at `path` (statfs(2)); `None` if there is nothing.
pub(crate) fn filesystem_type(path: &Path) -> Option<i64> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: statfs is plain data.
    let mut statfs: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is NUL-terminated, the struct is filled.
    let answered = unsafe { libc::statfs(path.as_ptr(), &raw mut statfs) };
    #[allow(clippy::unnecessary_cast, reason = "the field's type differs between architectures")]
    (answered == 0).then_some(statfs.f_type as i64)
}

/// fchown(2) of a pipe, a socket or a terminal; the group stays.
pub(crate) fn give_stream(fd: i32, uid: u32) -> Result {
    // SAFETY: stat is plain data.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the struct is filled.
    Errno::result(unsafe { libc::fstat(fd, &raw mut stat) })?;
    let kind = stat.st_mode & libc::S_IFMT;
    // SAFETY: a number; nothing is changed.
    let terminal = || kind == libc::S_IFCHR && unsafe { libc::isatty(fd) } == 1;
    if stat.st_uid != uid && (kind == libc::S_IFIFO || kind == libc::S_IFSOCK || terminal()) {
        // SAFETY: numbers only.
        Errno::result(unsafe { libc::fchown(fd, uid, u32::MAX) })?;
    }
    Ok(())
}

//! Trees of files, by the descriptor of their root: what is in them, made and taken away, with owner, mode, time and
//! extended attributes. No path leaves its root, and no link is followed. KERNEL(5.6): openat2(2).

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    self, AtFlags, Dir, FileType, Mode, OFlags, RawMode, ResolveFlags, SeekFrom, Timespec, Timestamps,
};

use super::{Errno, Result};

/// What stat(2) says, as far as it tells two files, or two states of one, from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) links: u64,
    pub(crate) size: u64,
    /// The number of a device.
    pub(crate) number: u64,
    pub(crate) modified: (i64, u32),
    pub(crate) changed: (i64, u32),
}

impl Stat {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "the types differ between architectures"
    )]
    fn of(stat: &fs::Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            mode: stat.st_mode as u32,
            uid: stat.st_uid,
            gid: stat.st_gid,
            links: stat.st_nlink as u64,
            size: stat.st_size as u64,
            number: stat.st_rdev as u64,
            modified: (stat.st_mtime as i64, u32::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            changed: (stat.st_ctime as i64, u32::try_from(stat.st_ctime_nsec).unwrap_or(0)),
        }
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.kind() == FileType::Directory
    }

    pub(crate) fn is_file(&self) -> bool {
        self.kind() == FileType::RegularFile
    }

    pub(crate) fn is_link(&self) -> bool {
        self.kind() == FileType::Symlink
    }

    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode as RawMode)
    }
}

/// A directory in a tree, and the name of something in it.
#[derive(Debug)]
pub(crate) struct Place<'name> {
    directory: OwnedFd,
    name: &'name [u8],
}

fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

fn open_below(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    loop {
        match fs::openat2(root, path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty(), resolve) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            opened => return opened.map_err(errno),
        }
    }
}

/// What is in a directory, without `.` and `..`.
pub(crate) fn names(root: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<Vec<u8>>> {
    let directory = open_below(root, path, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&directory).map_err(errno)? {
        let name = entry.map_err(errno)?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// A file for reading, without waiting for anything, and what it is.
pub(crate) fn open_file(root: BorrowedFd<'_>, path: &[u8]) -> Result<(OwnedFd, Stat)> {
    let file = open_below(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    let stat = fs::fstat(&file).map_err(errno)?;
    Ok((file, Stat::of(&stat)))
}

impl<'name> Place<'name> {
    /// Where `path` is, or would be, below `root`; empty: the root itself.
    pub(crate) fn find(root: BorrowedFd<'_>, path: &'name [u8]) -> Result<Self> {
        let (directory, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], path),
        };
        let directory = open_below(root, directory, OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(Self { directory, name: if name.is_empty() { b"." } else { name } })
    }

    /// What is there.
    pub(crate) fn stat(&self) -> Result<Stat> {
        let stat = fs::statat(&self.directory, self.name, AtFlags::SYMLINK_NOFOLLOW).map_err(errno)?;
        Ok(Stat::of(&stat))
    }

    /// Where a link leads.
    pub(crate) fn target(&self) -> Result<Vec<u8>> {
        fs::readlinkat(&self.directory, self.name, Vec::new()).map(CString::into_bytes).map_err(errno)
    }

    /// A path to it that is good for calls which follow no link at its end.
    fn path(&self) -> std::path::PathBuf {
        let directory = format!("/proc/self/fd/{}", self.directory.as_raw_fd());
        Path::new(&directory).join(std::ffi::OsStr::from_bytes(self.name))
    }

    /// All extended attributes that may be read.
    pub(crate) fn xattrs(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        const MOST: usize = 64 << 10;
        let path = self.path();
        let mut list = vec![0_u8; MOST];
        let length = match fs::llistxattr(&path, &mut list[..]) {
            Err(rustix::io::Errno::NOTSUP) => return Ok(Vec::new()),
            length => length.map_err(errno)?,
        };
        let mut all = Vec::new();
        let mut value = vec![0_u8; MOST];
        for name in list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            match fs::lgetxattr(&path, name, &mut value[..]) {
                Ok(length) => all.push((name.to_vec(), value[..length].to_vec())),
                Err(rustix::io::Errno::NODATA) => {} // gone since
                Err(error) => return Err(errno(error)),
            }
        }
        Ok(all)
    }

    /// Takes it away: a file, or an empty directory. What is not there is no error.
    pub(crate) fn remove(&self) -> Result {
        let removed = match fs::unlinkat(&self.directory, self.name, AtFlags::empty()) {
            Err(rustix::io::Errno::ISDIR) => fs::unlinkat(&self.directory, self.name, AtFlags::REMOVEDIR),
            removed => removed,
        };
        match removed {
            Err(rustix::io::Errno::NOENT) => Ok(()),
            removed => removed.map_err(errno),
        }
    }

    pub(crate) fn make_directory(&self) -> Result {
        fs::mkdirat(&self.directory, self.name, Mode::RWXU).map_err(errno)
    }

    pub(crate) fn make_file(&self) -> Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(&self.directory, self.name, flags, Mode::RUSR | Mode::WUSR).map_err(errno)
    }

    pub(crate) fn make_link(&self, target: &[u8]) -> Result {
        fs::symlinkat(target, &self.directory, self.name).map_err(errno)
    }

    /// Another name of what is at `first`.
    pub(crate) fn make_name_of(&self, first: &Place<'_>) -> Result {
        let to = (&self.directory, self.name);
        fs::linkat(&first.directory, first.name, to.0, to.1, AtFlags::empty()).map_err(errno)
    }

    /// A device, a fifo, a socket.
    pub(crate) fn make_node(&self, mode: u32, number: u64) -> Result {
        let kind = FileType::from_raw_mode(mode as RawMode);
        let known = [FileType::CharacterDevice, FileType::BlockDevice, FileType::Fifo, FileType::Socket];
        if !known.contains(&kind) {
            return Err(Errno::EINVAL);
        }
        fs::mknodat(&self.directory, self.name, kind, Mode::RUSR | Mode::WUSR, number).map_err(errno)
    }

    /// Owner, then attributes, then mode, which a change of the owner takes away in part, then time.
    pub(crate) fn set(&self, meta: &Stat, xattrs: &[(Vec<u8>, Vec<u8>)]) -> Result {
        let there = self.stat()?;
        let at = (&self.directory, self.name);
        let (uid, gid) = (fs::Uid::from_raw(meta.uid), fs::Gid::from_raw(meta.gid));
        fs::chownat(at.0, at.1, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(errno)?;
        let path = self.path();
        for (name, value) in xattrs {
            match fs::lsetxattr(&path, name.as_slice(), value, fs::XattrFlags::empty()) {
                // A label of a module that is not there.
                Err(rustix::io::Errno::NOTSUP) if name.starts_with(b"security.") => {}
                set => set.map_err(errno)?,
            }
        }
        if !there.is_link() {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let held = fs::openat(at.0, at.1, flags, Mode::empty()).map_err(errno)?;
            let held = format!("/proc/self/fd/{}", held.as_fd().as_raw_fd());
            fs::chmod(held, Mode::from_raw_mode((meta.mode & 0o7777) as RawMode)).map_err(errno)?;
        }
        let time = Timespec { tv_sec: meta.modified.0, tv_nsec: meta.modified.1.into() };
        let times = Timestamps { last_access: time, last_modification: time };
        fs::utimensat(at.0, at.1, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(errno)
    }
}

/// Where data begins at or after `at`; `None` if only a hole is left, or the filesystem does not say.
pub(crate) fn next_data(file: BorrowedFd<'_>, at: u64) -> Option<u64> {
    match fs::seek(file, SeekFrom::Data(at)) {
        Ok(data) => Some(data),
        Err(rustix::io::Errno::NXIO) => None,
        Err(_) => Some(at),
    }
}

/// Where it ends.
pub(crate) fn next_hole(file: BorrowedFd<'_>, at: u64) -> Option<u64> {
    fs::seek(file, SeekFrom::Hole(at)).ok()
}

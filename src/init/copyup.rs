//! `tmpcopyup`: what the image has in a directory is copied into the tmpfs that will cover it.
//!
//! Runs in: the init program, before the tmpfs is mounted (or, without the new mount API, right after), umask 0. The
//! image may be hostile: no link is followed, a file is looked at again once it is open, and directories are opened from
//! the two roots anew, so that neither depth nor breadth costs descriptors or stack.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use linux_raw_sys::general as k;

use crate::channel::{Doing, Outcome};
use crate::device::kernel_device;
use crate::root::read_link_bytes;
use crate::sys::{self, EINVAL, ENODATA, EOPNOTSUPP, EPERM, ERANGE, Errno, Fd, Stat, Text, call};
use crate::wire::Class;

/// Copies the contents of the directory `source` into the mount `to`; `path` is where both are in root.
pub(crate) fn copy(source: &Fd, to: &Fd, path: &str) -> Outcome {
    let mut copy = Copy {
        source,
        to,
        waiting: vec![b".".to_vec()],
        names: Vec::new(),
        entries: vec![0; 8 * 1024],
        content: vec![0; 64 * 1024],
    };
    while let Some(directory) = copy.waiting.pop() {
        copy.directory(&directory, path)?;
    }
    Ok(())
}

struct Copy<'a> {
    source: &'a Fd,
    to: &'a Fd,
    /// Directories that are made and still empty.
    waiting: Vec<Vec<u8>>,
    /// Files with more than one name, and the name that was copied.
    names: Vec<((u32, u32, u64), Vec<u8>)>,
    entries: Vec<u8>,
    content: Vec<u8>,
}

/// Never through a link, never out.
const BELOW: u32 = k::RESOLVE_BENEATH | k::RESOLVE_NO_SYMLINKS | k::RESOLVE_NO_MAGICLINKS;

fn open_below(root: &Fd, path: &[u8]) -> sys::Result<Fd> {
    sys::open_at2(root.number(), &Text::from_bytes(path), k::O_RDONLY | k::O_DIRECTORY, 0, BELOW)
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if name.is_empty() { directory.to_vec() } else { [directory, b"/", name].concat() }
}

/// A path below the mount for a sentence.
fn said(target: &str, path: &[u8]) -> String {
    format!("{target}/{}", String::from_utf8_lossy(path.strip_prefix(b"./").unwrap_or(path)))
}

impl Copy<'_> {
    /// One directory, and last its attributes: each thing made in it changes its times.
    fn directory(&mut self, path: &[u8], target: &str) -> Outcome {
        self.contents(path).or_else(|(name, errno)| {
            Err(errno).doing(Class::Mount, "copy up", &said(target, &join(path, &name)))
        })
    }

    /// The error is with the name of the entry that it is about.
    fn contents(&mut self, path: &[u8]) -> Result<(), (Vec<u8>, Errno)> {
        let this = |errno| (Vec::new(), errno);
        let from = open_below(self.source, path).map_err(this)?;
        let to = open_below(self.to, path).map_err(this)?;
        let mut name = Text::from_bytes(&[0; 256]);
        loop {
            let (buffer, size) = (self.entries.as_mut_ptr(), self.entries.len());
            let n = call!(__NR_getdents64, from.number(), buffer, size).map_err(this)?;
            if n == 0 {
                break;
            }
            let mut at = 0;
            while at < n {
                // struct linux_dirent64: inode, offset, length of the record, type, name.
                let length = usize::from(u16::from_ne_bytes([self.entries[at + 16], self.entries[at + 17]]));
                let record = &self.entries[at + 19..at + length];
                let bytes = record.split(|byte| *byte == 0).next().unwrap_or_default();
                at += length;
                if bytes != b"." && bytes != b".." {
                    name.replace(bytes);
                    self.entry(&from, &to, &name, path).map_err(|errno| (name.bytes().to_vec(), errno))?;
                }
            }
        }
        if path == b"." {
            return Ok(());
        }
        sys::stat(&from).and_then(|stat| attributes(&from, &to, &stat)).map_err(this)
    }

    fn entry(&mut self, from: &Fd, to: &Fd, name: &Text, directory: &[u8]) -> sys::Result<()> {
        let stat = sys::stat_at(from.number(), name, k::AT_SYMLINK_NOFOLLOW)?;
        if stat.is_directory() {
            call!(__NR_mkdirat, to.number(), name.as_ptr(), 0o700)?;
            self.waiting.push(join(directory, name.bytes()));
            return Ok(());
        }
        if stat.links > 1 {
            if let Some((_, first)) = self.names.iter().find(|(file, _)| *file == stat.file) {
                let first = Text::from_bytes(first);
                call!(__NR_linkat, self.to.number(), first.as_ptr(), to.number(), name.as_ptr(), 0)?;
                return Ok(());
            }
            self.names.push((stat.file, join(directory, name.bytes())));
        }
        match stat.kind() {
            k::S_IFREG => self.file(from, to, name),
            k::S_IFLNK => {
                let target = Text::from_bytes(&read_link_bytes(from, name)?);
                call!(__NR_symlinkat, target.as_ptr(), to.number(), name.as_ptr())?;
                owner_and_times(to, name, &stat)
            }
            _ => {
                let number = kernel_device(stat.major, stat.minor);
                call!(__NR_mknodat, to.number(), name.as_ptr(), stat.mode, number)?;
                owner_and_times(to, name, &stat)
            }
        }
    }

    fn file(&mut self, from: &Fd, to: &Fd, name: &Text) -> sys::Result<()> {
        // Not to hang on a fifo that somebody puts there now.
        let from = sys::open_at(from.number(), name, k::O_RDONLY | k::O_NOFOLLOW | k::O_NONBLOCK, 0)?;
        let stat = sys::stat(&from)?;
        if stat.kind() != k::S_IFREG {
            return Err(EINVAL);
        }
        let flags = k::O_WRONLY | k::O_CREAT | k::O_EXCL | k::O_NOFOLLOW;
        let to = sys::open_at(to.number(), name, flags, 0o600)?;
        loop {
            let n = sys::read(&from, &mut self.content)?;
            if n == 0 {
                break;
            }
            let mut written = 0;
            while written < n {
                written += sys::write(&to, &self.content[written..n])?;
            }
        }
        attributes(&from, &to, &stat)
    }
}

/// Owner, then mode (a change of the owner takes set-id bits away), extended attributes, times.
fn attributes(from: &Fd, to: &Fd, stat: &Stat) -> sys::Result<()> {
    call!(__NR_fchown, to.number(), stat.uid, stat.gid)?;
    call!(__NR_fchmod, to.number(), stat.mode & 0o7777)?;
    extended_attributes(from, to)?;
    let times = times(stat);
    call!(__NR_utimensat, to.number(), 0, times.as_ptr(), 0).map(drop)
}

/// The same for what cannot be opened; its mode is that of its making.
fn owner_and_times(to: &Fd, name: &Text, stat: &Stat) -> sys::Result<()> {
    let flags = k::AT_SYMLINK_NOFOLLOW;
    call!(__NR_fchownat, to.number(), name.as_ptr(), stat.uid, stat.gid, flags)?;
    let times = times(stat);
    call!(__NR_utimensat, to.number(), name.as_ptr(), times.as_ptr(), flags).map(drop)
}

/// struct timespec, twice.
fn times(stat: &Stat) -> [i64; 4] {
    [stat.accessed.0, i64::from(stat.accessed.1), stat.modified.0, i64::from(stat.modified.1)]
}

/// Those that a tmpfs of this kernel holds and this user namespace may set.
fn extended_attributes(from: &Fd, to: &Fd) -> sys::Result<()> {
    let size = match call!(__NR_flistxattr, from.number(), 0, 0) {
        Err(EOPNOTSUPP) | Ok(0) => return Ok(()),
        size => size?,
    };
    let mut names = vec![0; size];
    let size = call!(__NR_flistxattr, from.number(), names.as_mut_ptr(), names.len())?;
    for name in names[..size].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = Text::from_bytes(name);
        let size = match call!(__NR_fgetxattr, from.number(), name.as_ptr(), 0, 0) {
            Err(ENODATA) => continue,
            size => size?,
        };
        let mut value = vec![0; size];
        let size = match call!(__NR_fgetxattr, from.number(), name.as_ptr(), value.as_mut_ptr(), value.len())
        {
            Err(ENODATA | ERANGE) => continue,
            size => size?,
        };
        match call!(__NR_fsetxattr, to.number(), name.as_ptr(), value.as_ptr(), size, 0) {
            Ok(_) | Err(EOPNOTSUPP | EPERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

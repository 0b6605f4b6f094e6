//! The files of a root filesystem, to the other side: all of them while the container runs, and what has changed since
//! once it is frozen.
//!
//! A file has changed if its time of change (ctime), inode or size has. That time is coarse, so that a file that changed
//! a moment before it was looked at counts as changed in any case; and it does not move with every write through a
//! mapping, so that files that somebody has mapped to write to them do, too.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::stream::Stream;
use crate::error::{Error, Kind, Result};
use crate::migrate::plan::frame::{Entry, Message, Meta};
use crate::sys::tree::{self, Place, Stat};
use crate::sys::{Errno, file};

/// So many seconds a time of change is not to be relied upon.
const FRESH: i64 = 2;

/// Inodes of files.
pub(crate) type Inodes = BTreeSet<u64>;

/// A tree, and what the other side has of it.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    path: PathBuf,
    /// What was sent, and whether its time of change was old enough to be believed.
    sent: BTreeMap<Vec<u8>, (Stat, bool)>,
}

impl Tree {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let root = file::open_directory(path)
            .map_err(|errno| Error::os(Kind::Rootfs, format!("open {}", path.display()), errno as i32))?;
        Ok(Self { root, path: path.to_owned(), sent: BTreeMap::new() })
    }

    /// Sends what the other side does not have: how many entries. Those of `mapped` it never has.
    pub(crate) fn send(&mut self, stream: &mut Stream<'_>, mapped: &Inodes) -> Result<u64> {
        let now = self.look()?;
        let gone: Vec<_> = self.sent.keys().filter(|path| !now.contains_key(*path)).cloned().collect();
        // What is in a directory before the directory.
        for path in gone.into_iter().rev() {
            self.sent.remove(&path);
            stream.say(&Message::Remove(path))?;
        }
        let mut count = 0;
        let mut names = HashMap::new();
        for (path, stat) in now {
            let known = self.sent.get(&path).is_some_and(|(sent, old)| *old && *sent == stat);
            if known && !mapped.contains(&stat.inode) {
                continue;
            }
            let fresh = seconds() - stat.changed.0 < FRESH;
            match self.one(stream, &path, &stat, &mut names) {
                Ok(sent) => {
                    count += 1;
                    self.sent.insert(path, (sent, !fresh));
                }
                // The container removed it, or made something else of it, meanwhile: the next time.
                Err(Failed::Read(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ESTALE)) => {}
                Err(Failed::Read(errno)) => {
                    return Err(Error::os(Kind::System, self.doing("read", &path), errno as i32));
                }
                Err(Failed::Stream(error)) => return Err(error),
            }
        }
        stream.say(&Message::TreeEnd)?;
        Ok(count)
    }

    fn doing(&self, verb: &str, path: &[u8]) -> String {
        format!("{verb} {}/{}", self.path.display(), String::from_utf8_lossy(path))
    }

    /// All that is there, but for what is mounted.
    fn look(&self) -> Result<BTreeMap<Vec<u8>, Stat>> {
        let mut found = BTreeMap::new();
        let error =
            |path: &[u8], errno: Errno| Error::os(Kind::System, self.doing("read", path), errno as i32);
        let stat = |path: &[u8]| Place::find(self.root.as_fd(), path).and_then(|place| place.stat());
        let root = stat(b"").map_err(|errno| error(b"", errno))?;
        found.insert(Vec::new(), root);
        let mut directories = vec![Vec::new()];
        while let Some(directory) = directories.pop() {
            let names = match tree::names(self.root.as_fd(), &directory) {
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EXDEV) => continue,
                names => names.map_err(|errno| error(&directory, errno))?,
            };
            for name in names {
                let path = if directory.is_empty() { name } else { [directory.clone(), name].join(&b'/') };
                let there = match stat(&path) {
                    Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => continue,
                    there => there.map_err(|errno| error(&path, errno))?,
                };
                if there.is_directory() {
                    if there.device != root.device {
                        continue;
                    }
                    directories.push(path.clone());
                }
                found.insert(path, there);
            }
        }
        Ok(found)
    }

    fn one(
        &self,
        stream: &mut Stream<'_>,
        path: &[u8],
        seen: &Stat,
        names: &mut HashMap<(u64, u64), Vec<u8>>,
    ) -> Result<Stat, Failed> {
        let root = self.root.as_fd();
        let place = Place::find(root, path)?;
        let several = seen.links > 1 && !seen.is_directory();
        let first = names.get(&(seen.device, seen.inode)).filter(|_| several).cloned();
        let opened =
            if first.is_none() && seen.is_file() { Some(tree::open_file(root, path)?) } else { None };
        let stat = opened.as_ref().map_or(*seen, |(_, stat)| *stat);
        if (stat.device, stat.inode) != (seen.device, seen.inode) {
            return Err(Failed::Read(Errno::ESTALE));
        }
        let entry = match &first {
            Some(first) => Entry::Link(first.clone()),
            None if stat.is_directory() => Entry::Directory,
            None if stat.is_file() => Entry::File(stat.size),
            None if stat.is_link() => Entry::Symlink(place.target()?),
            None => Entry::Node(stat.number),
        };
        let meta = Meta {
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            modified: stat.modified,
            xattrs: place.xattrs()?,
        };
        stream.say(&Message::Entry { path: path.to_vec(), meta, entry })?;
        if let Some((file, stat)) = opened {
            stream.send_file(&mut File::from(file), stat.size)?;
        }
        if several && first.is_none() {
            names.insert((seen.device, seen.inode), path.to_vec());
        }
        Ok(stat)
    }
}

/// Why an entry was not sent.
enum Failed {
    Read(Errno),
    Stream(Error),
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        Self::Read(errno)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Stream(error)
    }
}

fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The inodes of the files that a process has mapped to write to them (proc_pid_maps(5)), from its table.
pub(crate) fn mapped_for_writing(maps: &str) -> Inodes {
    let inode = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (permissions, inode) = (words.nth(1)?, words.nth(2)?);
        let shared = permissions.contains('w') && permissions.ends_with('s');
        inode.parse().ok().filter(|inode| shared && *inode != 0)
    };
    maps.lines().filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shared_mappings_that_may_be_written_count() {
        let maps = "5581-5582 rw-s 00000000 fd:01 4711 /data/a b\n\
            5582-5583 rw-p 00000000 fd:01 4712 /data/private\n\
            5583-5584 r--s 00000000 fd:01 4713 /data/read\n\
            5584-5585 rw-s 00000000 00:01 0\n\
            torn\n";
        assert_eq!(mapped_for_writing(maps), BTreeSet::from([4711]));
    }
}

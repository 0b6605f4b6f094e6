//! The table of mount options (config.md#linux-mount-options): a word and what it means. Pure.
#![forbid(unsafe_code)]

use crate::error::{Error, Kind, Result};
use crate::wire::Attributes;

/// `MOUNT_ATTR_*` (mount_setattr(2)).
pub(crate) const RDONLY: u64 = 0x1;
pub(crate) const NOSUID: u64 = 0x2;
pub(crate) const NODEV: u64 = 0x4;
pub(crate) const NOEXEC: u64 = 0x8;
const NOATIME: u64 = 0x10;
const STRICTATIME: u64 = 0x20;
const NODIRATIME: u64 = 0x80;
const NOSYMFOLLOW: u64 = 0x20_0000;
/// What a bind mount that names any flag clears unless it is named.
const ALL_BUT_ATIME: u64 = RDONLY | NOSUID | NODEV | NOEXEC | NOSYMFOLLOW;

/// `MS_*` (mount(2)).
pub(crate) const MS_REC: u64 = 0x4000;
pub(crate) const MS_UNBINDABLE: u64 = 0x2_0000;
pub(crate) const MS_PRIVATE: u64 = 0x4_0000;
pub(crate) const MS_SLAVE: u64 = 0x8_0000;
pub(crate) const MS_SHARED: u64 = 0x10_0000;

/// What a word means.
#[derive(Clone, Copy)]
enum Meaning {
    Nothing,
    /// An attribute of the mount.
    Set(u64),
    Clear(u64),
    /// One of the three access time modes, which exclude each other.
    AccessTime(u64),
    /// The same of the whole tree, KERNEL(5.12).
    SetTree(u64),
    ClearTree(u64),
    AccessTimeTree(u64),
    /// A flag of the superblock.
    Superblock(&'static str),
    NoSuperblock(&'static str),
    /// Both: a filesystem is read-only, or its mount is.
    ReadOnly,
    ReadWrite,
    Bind {
        recursive: bool,
    },
    Propagation(u64),
    /// Changes the mount that is there in place of making one.
    Remount,
    /// What the image has there is copied into the new tmpfs.
    CopyUp,
    IdMap {
        recursive: bool,
    },
}

use Meaning::{
    AccessTime, AccessTimeTree, Bind, Clear, ClearTree, CopyUp, IdMap, NoSuperblock, Nothing, Propagation,
    ReadOnly, ReadWrite, Remount, Set, SetTree, Superblock,
};

/// Sorted by what they do. A word that is not here goes to the filesystem.
const TABLE: &[(&str, Meaning)] = &[
    ("defaults", Nothing),
    ("ro", ReadOnly),
    ("rw", ReadWrite),
    ("nosuid", Set(NOSUID)),
    ("suid", Clear(NOSUID)),
    ("nodev", Set(NODEV)),
    ("dev", Clear(NODEV)),
    ("noexec", Set(NOEXEC)),
    ("exec", Clear(NOEXEC)),
    ("nosymfollow", Set(NOSYMFOLLOW)),
    ("symfollow", Clear(NOSYMFOLLOW)),
    ("nodiratime", Set(NODIRATIME)),
    ("diratime", Clear(NODIRATIME)),
    ("noatime", AccessTime(NOATIME)),
    ("atime", AccessTime(0)),
    ("relatime", AccessTime(0)),
    ("norelatime", Nothing),
    ("strictatime", AccessTime(STRICTATIME)),
    ("nostrictatime", AccessTime(0)),
    ("sync", Superblock("sync")),
    ("async", NoSuperblock("sync")),
    ("dirsync", Superblock("dirsync")),
    ("mand", Superblock("mand")),
    ("nomand", NoSuperblock("mand")),
    ("lazytime", Superblock("lazytime")),
    ("nolazytime", NoSuperblock("lazytime")),
    // Whether the kernel logs what is wrong: with the new mount API it goes to nobody's log.
    ("silent", Nothing),
    ("loud", Nothing),
    ("iversion", Superblock("iversion")),
    ("noiversion", NoSuperblock("iversion")),
    ("remount", Remount),
    ("tmpcopyup", CopyUp),
    ("idmap", IdMap { recursive: false }),
    ("ridmap", IdMap { recursive: true }),
    ("bind", Bind { recursive: false }),
    ("rbind", Bind { recursive: true }),
    ("private", Propagation(MS_PRIVATE)),
    ("rprivate", Propagation(MS_PRIVATE | MS_REC)),
    ("shared", Propagation(MS_SHARED)),
    ("rshared", Propagation(MS_SHARED | MS_REC)),
    ("slave", Propagation(MS_SLAVE)),
    ("rslave", Propagation(MS_SLAVE | MS_REC)),
    ("unbindable", Propagation(MS_UNBINDABLE)),
    ("runbindable", Propagation(MS_UNBINDABLE | MS_REC)),
    ("rro", SetTree(RDONLY)),
    ("rrw", ClearTree(RDONLY)),
    ("rnosuid", SetTree(NOSUID)),
    ("rsuid", ClearTree(NOSUID)),
    ("rnodev", SetTree(NODEV)),
    ("rdev", ClearTree(NODEV)),
    ("rnoexec", SetTree(NOEXEC)),
    ("rexec", ClearTree(NOEXEC)),
    ("rnodiratime", SetTree(NODIRATIME)),
    ("rdiratime", ClearTree(NODIRATIME)),
    ("rnoatime", AccessTimeTree(NOATIME)),
    ("ratime", AccessTimeTree(0)),
    ("rrelatime", AccessTimeTree(0)),
    ("rnorelatime", Nothing),
    ("rstrictatime", AccessTimeTree(STRICTATIME)),
    ("rnostrictatime", AccessTimeTree(0)),
    ("rnosymfollow", SetTree(NOSYMFOLLOW)),
    ("rsymfollow", ClearTree(NOSYMFOLLOW)),
];

/// Every word that has a meaning here.
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(word, _)| *word)
}

impl Meaning {
    /// Whether a bind mount with it states its flags, and not only its place.
    const fn is_flag_of_mount(self) -> bool {
        matches!(self, Set(_) | Clear(_) | AccessTime(_) | ReadOnly | ReadWrite)
    }
}

/// The propagation that `linux.rootfsPropagation` names.
pub(crate) fn propagation(word: &str) -> Result<u64> {
    match TABLE.iter().find(|(name, _)| *name == word) {
        Some((_, Propagation(flags))) => Ok(*flags),
        _ => Err(Error::new(Kind::InvalidSpec, format!("linux.rootfsPropagation: unknown: {word:?}"))),
    }
}

/// All options of one mount, taken together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// `Some(recursive)` for bind mounts: an option decides, not the type.
    pub(super) bind: Option<bool>,
    pub(super) mount: Attributes,
    pub(super) tree: Attributes,
    pub(super) propagation: Vec<u64>,
    /// Flags and pairs for the filesystem.
    pub(super) data: Vec<(String, Option<String>)>,
    pub(super) remount: bool,
    pub(super) copy_up: bool,
    /// `Some(recursive)` for mounts with ids of their own.
    pub(super) idmap: Option<bool>,
}

impl Options {
    pub(super) fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut options = Self::default();
        let mut flags_named = false;
        for word in words {
            let Some((_, meaning)) = TABLE.iter().find(|(name, _)| *name == word) else {
                options.filesystem_words(word);
                continue;
            };
            flags_named |= meaning.is_flag_of_mount();
            options.take(*meaning);
        }
        if options.bind.is_some() && flags_named {
            // A remount states all flags: what is not named is cleared, unless the kernel holds it locked.
            options.mount.clear |= ALL_BUT_ATIME & !options.mount.set & !options.mount.must_clear;
        }
        options
    }

    fn take(&mut self, meaning: Meaning) {
        match meaning {
            Nothing => {}
            Set(bit) => set(&mut self.mount, bit),
            Clear(bit) => clear(&mut self.mount, bit),
            AccessTime(mode) => access_time(&mut self.mount, mode),
            SetTree(bit) => set(&mut self.tree, bit),
            ClearTree(bit) => clear(&mut self.tree, bit),
            AccessTimeTree(mode) => access_time(&mut self.tree, mode),
            Superblock(flag) => self.superblock(flag),
            NoSuperblock(flag) => self.no_superblock(flag),
            ReadOnly => {
                set(&mut self.mount, RDONLY);
                self.superblock("ro");
            }
            ReadWrite => {
                clear(&mut self.mount, RDONLY);
                self.no_superblock("ro");
            }
            Bind { recursive } => self.bind = Some(recursive || self.bind == Some(true)),
            Propagation(flags) => self.propagation.push(flags),
            Remount => self.remount = true,
            CopyUp => self.copy_up = true,
            IdMap { recursive } => self.idmap = Some(recursive),
        }
    }

    fn superblock(&mut self, flag: &str) {
        self.no_superblock(flag);
        self.data.push((flag.to_owned(), None));
    }

    fn no_superblock(&mut self, flag: &str) {
        self.data.retain(|(key, value)| key != flag || value.is_some());
    }

    /// `size=64k` and the like; one entry may hold several, as in fstab(5).
    fn filesystem_words(&mut self, words: &str) {
        for word in words.split(',').filter(|word| !word.is_empty()) {
            self.data.push(match word.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (word.to_owned(), None),
            });
        }
    }
}

fn set(attributes: &mut Attributes, bit: u64) {
    attributes.set |= bit;
    attributes.must_clear &= !bit;
}

fn clear(attributes: &mut Attributes, bit: u64) {
    attributes.set &= !bit;
    attributes.must_clear |= bit;
}

fn access_time(attributes: &mut Attributes, mode: u64) {
    clear(attributes, NOATIME | STRICTATIME);
    set(attributes, mode);
}

#[cfg(test)]
mod tests;

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
    /// Known, and not done by this version.
    NotYet,
}

use Meaning::{
    AccessTime, AccessTimeTree, Bind, Clear, ClearTree, NoSuperblock, NotYet, Nothing, Propagation, ReadOnly,
    ReadWrite, Set, SetTree, Superblock,
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
    ("silent", Nothing),
    ("loud", Nothing),
    ("iversion", NotYet),
    ("noiversion", Nothing),
    ("remount", NotYet),
    ("tmpcopyup", NotYet),
    ("idmap", NotYet),
    ("ridmap", NotYet),
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
}

impl Options {
    pub(super) fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut options = Self::default();
        let mut flags_named = false;
        for word in words {
            let Some((_, meaning)) = TABLE.iter().find(|(name, _)| *name == word) else {
                options.filesystem_words(word);
                continue;
            };
            flags_named |=
                !matches!(meaning, Nothing | Bind { .. } | Propagation(_) | SetTree(_) | ClearTree(_));
            options.take(word, *meaning)?;
        }
        if options.bind.is_some() && flags_named {
            // A remount states all flags: what is not named is cleared, unless the kernel holds it locked.
            options.mount.clear |= ALL_BUT_ATIME & !options.mount.set & !options.mount.must_clear;
        }
        Ok(options)
    }

    fn take(&mut self, word: &str, meaning: Meaning) -> Result<()> {
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
            NotYet => {
                let message = format!("mounts: option {word}: not supported by this version");
                return Err(Error::new(Kind::Unsupported, message));
            }
        }
        Ok(())
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
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Options {
        Options::parse(words.iter().copied()).unwrap()
    }

    #[test]
    fn the_last_word_wins() {
        assert_eq!(parse(&["nosuid", "suid", "noexec"]).mount.set, NOEXEC);
        assert_eq!(
            parse(&["ro", "rw"]),
            Options { mount: Attributes { set: 0, clear: 0, must_clear: RDONLY }, ..Options::default() }
        );
        assert_eq!(parse(&["noatime", "strictatime"]).mount.set, STRICTATIME);
    }

    #[test]
    fn a_bind_without_flags_keeps_those_of_its_source() {
        assert_eq!(parse(&["rbind", "rprivate"]).mount, Attributes::default());
        assert_eq!(parse(&["bind", "ro"]).mount.clear, NOSUID | NODEV | NOEXEC | NOSYMFOLLOW);
    }

    #[test]
    fn unknown_words_go_to_the_filesystem() {
        let data = parse(&["mode=755", "size=65536k,newinstance", "ro"]).data;
        let keys: Vec<_> = data.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        assert_eq!(
            keys,
            [("mode", Some("755")), ("size", Some("65536k")), ("newinstance", None), ("ro", None)]
        );
    }

    #[test]
    fn no_word_is_in_the_table_twice() {
        for (index, (word, _)) in TABLE.iter().enumerate() {
            assert!(TABLE[..index].iter().all(|(other, _)| other != word), "{word}");
        }
    }
}

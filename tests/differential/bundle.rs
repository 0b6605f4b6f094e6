//! A case on the disk: the directory with `config.json` and `rootfs/`, made afresh for each runtime.
//!
//! Afresh, since a runtime leaves traces (it makes the mount points that are missing), and those are compared as well.
#![forbid(unsafe_code)]

use super::case::{Case, Seed};
use super::facts::Facts;
use super::runtime::Running;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// What is in every root file system: enough for HOME to be found, and for paths to be looked up.
const IMAGE: &[(&str, u32, &str)] = &[
    ("etc", 0o755, ""),
    ("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nwalker:x:1000:1000::/home/walker:/bin/sh\n"),
    ("etc/group", 0o644, "root:x:0:\nwalker:x:1000:\n"),
    ("home", 0o755, ""),
    ("tmp", 0o1777, ""),
    ("root", 0o700, ""),
    ("bin", 0o755, ""),
];

/// A bundle directory; gone when dropped.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// The container's id, which no other bundle has.
    pub(crate) id: String,
    scratch: PathBuf,
    /// Ends when its stdin does, with the bundle.
    #[allow(dead_code, reason = "held for its life alone")]
    companion: Option<Running>,
    /// Its pid, or nothing.
    pub(crate) company: String,
}

impl Bundle {
    /// Writes `case` down below the directory `parent`.
    pub(crate) fn write(case: &Case, parent: &Path, probe: &Path) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let id = format!("rrdiff-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let user = case.companion_user.then_some("user");
        let start = || Running::start(Command::new(probe).arg("companion").args(user));
        let companion = case.companion.then(start).transpose()?;
        let company =
            companion.as_ref().map(|process| process.first_word().trim().to_owned()).unwrap_or_default();
        let bundle = Self { scratch: parent.join(&id), id, companion, company };
        let rootfs = bundle.rootfs();
        directory(&bundle.scratch, 0o755)?;
        directory(&bundle.path(), 0o755)?;
        directory(&rootfs, 0o755)?;
        for &(name, mode, text) in IMAGE {
            let path = rootfs.join(name);
            if text.is_empty() { directory(&path, mode)? } else { file(&path, text)? }
        }
        for (name, seed) in &case.seeds {
            bundle.plant(&rootfs.join(name.trim_start_matches('/')), seed)?;
        }
        if case.owner != 0 {
            own(&rootfs, case.owner)?;
        }
        // Last, and never chowned: it is one inode for all bundles.
        let program = rootfs.join("bin/probe");
        fs::hard_link(probe, &program).or_else(|_| fs::copy(probe, &program).map(drop))?;
        bundle.document("config.json", &case.config)?;
        if let Some(process) = &case.process {
            bundle.document("process.json", process)?;
        }
        Ok(bundle)
    }

    /// The bundle's directory.
    pub(crate) fn path(&self) -> PathBuf {
        self.scratch.join("bundle")
    }

    /// The runtime's own root for this one container.
    pub(crate) fn state_root(&self) -> PathBuf {
        self.scratch.join("state")
    }

    /// A name for a socket or a file that is neither the bundle's nor the runtime's.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    fn rootfs(&self) -> PathBuf {
        self.path().join("rootfs")
    }

    /// The placeholders of a case's strings.
    pub(crate) fn fill_in(&self, text: &str) -> String {
        text.replace("{bundle}", &self.path().to_string_lossy())
            .replace("{id}", &self.id)
            .replace("{companion}", &self.company)
            .replace("{run}", &format!("rrdiff-{}", std::process::id()))
    }

    /// The same text for each runtime, whatever the directories and the container are called.
    pub(crate) fn neutral(&self, text: &str) -> String {
        text.replace(&*self.path().to_string_lossy(), "BUNDLE")
            .replace(&*self.state_root().to_string_lossy(), "STATE")
            .replace(&*self.scratch.to_string_lossy(), "SCRATCH")
            .replace(&self.id, "ID")
            .replace(&format!("rrdiff-{}", std::process::id()), "RUN")
    }

    /// What the runtime has left in the root file system, and what it has made of the things beside it.
    pub(crate) fn traces(&self, facts: &mut Facts) -> io::Result<()> {
        walk(&self.rootfs(), "left.", "", facts)?;
        for entry in fs::read_dir(self.path())? {
            let entry = entry?;
            if entry.file_name() != "rootfs" && entry.file_type()?.is_dir() {
                walk(&entry.path(), "beside.", &format!("/{}", entry.file_name().to_string_lossy()), facts)?;
            }
        }
        Ok(())
    }

    fn plant(&self, path: &Path, seed: &Seed) -> io::Result<()> {
        if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
            directory(parent, 0o755)?;
        }
        match seed {
            Seed::Dir(mode) => directory(path, *mode),
            Seed::File(text) => file(path, text),
            Seed::Link(target) => {
                if path.is_file() {
                    fs::remove_file(path)?; // the image's own
                }
                symlink(self.fill_in(target), path)
            }
        }
    }

    fn document(&self, name: &str, value: &Value) -> io::Result<()> {
        file(&self.path().join(name), &self.fill_in(&value.to_string()))
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.scratch) {
            super::say(&format!("remove {}: {error}", self.scratch.display()));
        }
    }
}

fn directory(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode)) // whatever the tester's umask is
}

fn file(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, Permissions::from_mode(0o644))
}

fn own(path: &Path, owner: u32) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path(), owner)?;
        }
        return chown(path, Some(owner), Some(owner));
    }
    lchown(path, Some(owner), Some(owner))
}

fn walk(directory: &Path, prefix: &str, name: &str, facts: &mut Facts) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        let data = entry.path().symlink_metadata()?;
        let kind = match data.file_type() {
            kind if kind.is_dir() => "dir",
            kind if kind.is_symlink() => "link",
            kind if kind.is_file() => "file",
            kind if kind.is_char_device() => "char",
            _ => "other",
        };
        let text = format!("{kind} {:04o} {}:{}", data.mode() & 0o7777, data.uid(), data.gid());
        let text = if kind == "file" { format!("{text}, {} bytes", data.len()) } else { text };
        facts.insert(format!("{prefix}{name}"), text);
        if data.is_dir() {
            walk(&entry.path(), prefix, &name, facts)?;
        }
    }
    Ok(())
}

//! Where the images of a migration are while it lasts. They hold memory, so that none is to stay, not even of one that was
//! killed: the next one removes it.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::sys::{errno_of, file};

/// How the directories' names begin.
const NAME: &str = "riverrun-migrate-";

/// A directory for the images of one migration, its owner's alone; gone with the handle.
#[derive(Debug)]
pub(crate) struct Work {
    path: PathBuf,
    /// Locked: whoever finds one that is not may remove it.
    _lock: OwnedFd,
    /// CRIU's logs stay.
    keep_logs: bool,
}

impl Work {
    /// In `place`, or that for temporary files; with a name that nobody else has.
    pub(crate) fn make(place: Option<&Path>, id: &str) -> Result<Self> {
        let place = place.map_or_else(std::env::temp_dir, Path::to_owned);
        remove_left(&place);
        let own = std::process::id();
        let mut number = 0_u32;
        loop {
            let path = place.join(format!("{NAME}{id}-{own}-{number}"));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => match locked(&path) {
                    Ok(Some(lock)) => return Ok(Self { path, _lock: lock, keep_logs: false }),
                    // Somebody has taken it for one that was left.
                    Ok(None) => number += 1,
                    Err(error) => {
                        let _ = fs::remove_dir(&path);
                        return Err(system("lock", &path, &error));
                    }
                },
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(system("make", &path, &error)),
            }
        }
    }

    /// The directory of all rounds.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of a round.
    pub(crate) fn round(&self, number: u32) -> PathBuf {
        self.path.join(number.to_string())
    }

    /// An error that quotes CRIU's log: it stays where the error says it is.
    pub(crate) fn ends_with(&mut self, error: &Error) {
        self.keep_logs = error.kind() == Kind::Criu;
    }

    /// Lets a group read the images: CRIU opens them as the root of the container's user namespace, who is somebody else.
    pub(crate) fn show_to_group(&self, group: u32) -> Result<()> {
        let show = |path: &Path, mode: u32| {
            chown(path, None, Some(group))
                .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
                .map_err(|error| system("change the group of", path, &error))
        };
        let below = |path: &Path| -> Result<Vec<PathBuf>> {
            let entries = fs::read_dir(path).map_err(|error| system("read", path, &error))?;
            let plain = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|is| !is.is_symlink()));
            Ok(plain.map(|entry| entry.path()).collect())
        };
        show(&self.path, 0o710)?;
        for round in below(&self.path)? {
            show(&round, 0o750)?;
            below(&round)?.iter().try_for_each(|file| show(file, 0o640))?;
        }
        Ok(())
    }

    /// What its parent is called in it.
    pub(crate) fn parent_of(number: u32) -> PathBuf {
        Path::new("..").join((number - 1).to_string())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // Memory of a container should not stay behind; if it does, nobody is left to be told.
        if self.keep_logs {
            let _ = remove_images(&self.path);
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// All files of the rounds but the logs.
fn remove_images(work: &Path) -> io::Result<()> {
    for file in files(work)? {
        if !is_log(&file) {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// What is in the rounds.
fn files(work: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for round in fs::read_dir(work)?.flatten().filter(|round| round.path().is_dir()) {
        files.extend(fs::read_dir(round.path())?.flatten().map(|file| file.path()));
    }
    Ok(files)
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "log")
}

/// Its lock, if it is still the directory of that name and nobody else has it.
fn locked(path: &Path) -> io::Result<Option<OwnedFd>> {
    let gone = |error: io::Error| if error.kind() == ErrorKind::NotFound { Ok(None) } else { Err(error) };
    let opened = match file::open_directory(path) {
        Ok(opened) => opened,
        Err(errno) => return gone(errno.into()),
    };
    if !file::try_lock(opened.as_fd())? {
        return Ok(None);
    }
    let ours = fs::File::from(opened.try_clone()?).metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(((there.dev(), there.ino()) == (ours.dev(), ours.ino())).then_some(opened)),
        Err(error) => gone(error),
    }
}

/// Removes what migrations have left that were killed: their images hold memory. Logs that an error has named stay where
/// nothing else is left. What cannot be removed is the next one's to try.
fn remove_left(place: &Path) {
    let own = nix::unistd::geteuid().as_raw();
    let ours = |entry: &fs::DirEntry| {
        entry.file_name().as_encoded_bytes().starts_with(NAME.as_bytes())
            && fs::symlink_metadata(entry.path()).is_ok_and(|is| is.is_dir() && is.uid() == own)
    };
    for entry in fs::read_dir(place).into_iter().flatten().flatten().filter(ours) {
        let path = entry.path();
        let Ok(Some(_lock)) = locked(&path) else { continue };
        let logs_alone = files(&path).is_ok_and(|all| !all.is_empty() && all.iter().all(|file| is_log(file)));
        if !logs_alone {
            let _ = fs::remove_dir_all(path);
        }
    }
}

pub(super) fn system(doing: &str, path: &Path, error: &io::Error) -> Error {
    Error::os(Kind::System, format!("{doing} {}", path.display()), errno_of(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(place: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(place)
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_killed_migration_has_left_goes_and_what_is_used_or_named_stays() {
        let place = std::env::temp_dir().join(format!("riverrun-work-{}", std::process::id()));
        fs::create_dir_all(place.join("riverrun-migrate-killed-1-0/2")).unwrap();
        fs::write(place.join("riverrun-migrate-killed-1-0/2/pages-1.img"), "memory").unwrap();
        fs::write(place.join("riverrun-migrate-killed-1-0/2/dump.log"), "").unwrap();
        fs::create_dir_all(place.join("riverrun-migrate-early-1-0")).unwrap();
        fs::create_dir_all(place.join("riverrun-migrate-told-1-0/1")).unwrap();
        fs::write(place.join("riverrun-migrate-told-1-0/1/dump.log"), "Error").unwrap();
        fs::create_dir(place.join("somebodys")).unwrap();
        std::os::unix::fs::symlink("somebodys", place.join("riverrun-migrate-link-1-0")).unwrap();
        let own = std::process::id();
        let first = Work::make(Some(&place), "a").unwrap();
        let second = Work::make(Some(&place), "a").unwrap();
        let used = [format!("riverrun-migrate-a-{own}-0"), format!("riverrun-migrate-a-{own}-1")];
        let others = ["riverrun-migrate-link-1-0", "riverrun-migrate-told-1-0", "somebodys"];
        assert_eq!(names(&place), [&used[0], &used[1], others[0], others[1], others[2]]);
        drop((first, second));
        assert_eq!(names(&place), others);
        fs::remove_dir_all(place).unwrap();
    }
}

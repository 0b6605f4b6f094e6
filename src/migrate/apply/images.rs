//! The files of a round of memory, or of the last dump: from one directory into another.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use super::stream::Stream;
use crate::error::{Error, Kind, Result};
use crate::migrate::plan::frame::{Frame, Message, unexpected};
use crate::migrate::plan::names;
use crate::sys::{Errno, errno_of, file};

/// CRIU makes a link of this name to the round before.
const PARENT: &str = "parent";
/// What the names of CRIU's images of memory begin with.
const PAGES: &str = "pages-";
/// So many rounds, and so many files a round.
const ROUNDS: u32 = 1000;
const FILES: u32 = 100_000;

/// A directory for the images of one migration, its owner's alone; gone with the handle.
#[derive(Debug)]
pub(crate) struct Work {
    path: PathBuf,
    /// CRIU's logs stay.
    keep_logs: bool,
}

impl Work {
    /// In `place`, or that for temporary files; with a name that nobody else has.
    pub(crate) fn make(place: Option<&Path>, id: &str) -> Result<Self> {
        let place = place.map_or_else(std::env::temp_dir, Path::to_owned);
        let own = std::process::id();
        let mut number = 0_u32;
        loop {
            let path = place.join(format!("riverrun-migrate-{id}-{own}-{number}"));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path, keep_logs: false }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
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
fn remove_images(work: &Path) -> std::io::Result<()> {
    for round in fs::read_dir(work)? {
        for file in fs::read_dir(round?.path())? {
            let path = file?.path();
            if path.extension().is_none_or(|end| end != "log") {
                fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

fn system(doing: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::os(Kind::System, format!("{doing} {}", path.display()), errno_of(error))
}

/// Sends all that is in a round's directory: how many files, and how many bytes of memory they hold.
pub(crate) fn send(stream: &mut Stream<'_>, work: &Work, number: u32, parent: bool) -> Result<(u64, u64)> {
    let directory = work.round(number);
    stream.say(&Message::Images { number, parent })?;
    let (mut files, mut memory) = (0, 0);
    let entries = fs::read_dir(&directory).map_err(|error| system("read", &directory, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| system("read", &directory, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let metadata = entry.metadata().map_err(|error| system("look at", &path, &error))?;
        if !metadata.is_file() || !names::is_image(&name) {
            continue; // the link to the parent, a socket
        }
        let mut file = File::open(&path).map_err(|error| system("open", &path, &error))?;
        if name.starts_with(PAGES) {
            memory += metadata.len();
        }
        stream.say(&Message::Image { name, size: metadata.len() })?;
        stream.send_file(&mut file, metadata.len())?;
        files += 1;
    }
    stream.say(&Message::ImagesEnd)?;
    Ok((files, memory))
}

/// The directory of a round that was announced, made if it is not there.
pub(crate) fn round(work: &Work, number: u32, parent: bool) -> Result<PathBuf> {
    if number == 0 || number > ROUNDS || (parent && !work.round(number - 1).is_dir()) {
        return Err(Error::new(
            Kind::InvalidArgument,
            format!("receive images of round {number}: out of order"),
        ));
    }
    let directory = work.round(number);
    match fs::DirBuilder::new().mode(0o700).create(&directory) {
        Ok(()) => {}
        // Its memory came before.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(directory),
        Err(error) => return Err(system("make", &directory, &error)),
    }
    if parent {
        let link = directory.join(PARENT);
        symlink(Work::parent_of(number), &link).map_err(|error| system("make", &link, &error))?;
    }
    Ok(directory)
}

/// Receives a round that was announced.
pub(crate) fn receive(
    stream: &mut Stream<'_>,
    work: &Work,
    (number, parent): (u32, bool),
    left: &mut u64,
) -> Result<()> {
    let directory = round(work, number, parent)?;
    let opened = file::open_directory(&directory)
        .map_err(|errno| Error::os(Kind::System, format!("open {}", directory.display()), errno as i32))?;
    for _ in 0..FILES {
        match stream.hear()? {
            Frame::Message(Message::ImagesEnd) => return Ok(()),
            Frame::Message(Message::Image { name, size }) => {
                let mut file = File::from(new_file(&opened, &name, &directory)?);
                stream
                    .receive_file(&mut file, size, left)
                    .map_err(|error| error.during(format!("receive {}", directory.join(&name).display())))?;
            }
            other => return Err(unexpected(&other)),
        }
    }
    Err(Error::new(Kind::InvalidArgument, format!("receive images: more than {FILES} files")))
}

/// A file that was not there.
fn new_file(directory: &OwnedFd, name: &str, path: &Path) -> Result<OwnedFd> {
    file::create_new(directory, name, 0o600).map_err(|errno: Errno| {
        Error::os(Kind::System, format!("make {}", path.join(name).display()), errno as i32)
    })
}

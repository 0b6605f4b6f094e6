//! The files of a round of memory, or of the last dump: from one directory into another.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use super::stream::Stream;
use super::work::{Work, system};
use crate::error::{Error, Kind, Result};
use crate::migrate::plan::frame::{Frame, Message, unexpected};
use crate::migrate::plan::names;
use crate::sys::{Errno, file};

/// CRIU makes a link of this name to the round before.
const PARENT: &str = "parent";
/// What the names of CRIU's images of memory begin with.
const PAGES: &str = "pages-";
/// So many rounds, and so many files a round.
const ROUNDS: u32 = 1000;
const FILES: u32 = 100_000;

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

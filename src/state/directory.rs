//! `<root>/<id>/`: made exclusively, locked by flock(2), read without a lock.
#![forbid(unsafe_code)]

use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::unistd::geteuid;

use super::file::{Settled, StateFile};
use crate::error::{Error, Kind, Result};
use crate::sys::{Errno, errno_of, file};
use crate::wording;

const STATE: &str = "state.json";
const CONFIG: &str = "config.json";
/// What a restoring CRIU is told by file.
const CRIU_CONFIG: &str = "criu.conf";
/// Where the init program listens for `start`.
pub(crate) const START_SOCKET: &str = "start.sock";

/// An open state directory.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    fd: OwnedFd,
}

impl Directory {
    /// Makes the directory of a new container, locked. One of two racing callers gets it.
    pub(crate) fn create(root: &Path, id: &str) -> Result<Self> {
        make_root(root)?;
        let path = root.join(id);
        let made = DirBuilder::new().mode(0o711).create(&path);
        made.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Error::new(Kind::Exists, wording::EXISTS).detailed("path", text(&path))
            }
            _ => system("make state directory", &path, &error),
        })?;
        let fd = match file::open_directory(&path) {
            Ok(fd) => fd,
            Err(errno) => {
                let _ = fs::remove_dir(&path);
                return Err(Error::os(Kind::System, format!("open {}", path.display()), errno as i32));
            }
        };
        let directory = Self { path, fd };
        // Whoever opened it in between looks and goes: nothing is in it yet.
        while !directory.try_lock()? {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(directory)
    }

    /// Opens the directory of a container.
    pub(crate) fn open(root: &Path, id: &str) -> Result<Self> {
        let path = root.join(id);
        match file::open_directory(&path) {
            Ok(fd) => Ok(Self { path, fd }),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Err(not_found()),
            Err(errno) => Err(Error::os(Kind::System, format!("open {}", path.display()), errno as i32)),
        }
    }

    /// Takes the lock that every changing call holds, until the directory is dropped; false if another has it.
    pub(crate) fn try_lock(&self) -> Result<bool> {
        file::try_lock(self.fd.as_fd())
            .map_err(|errno| Error::os(Kind::System, format!("lock {}", self.path.display()), errno as i32))
    }

    /// Another call has the lock, and had it for too long.
    pub(crate) fn busy(&self) -> Error {
        Error::new(Kind::Busy, format!("lock {}: another call holds it", self.path.display()))
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Reads `state.json`; `None` if it is not there (yet).
    pub(crate) fn load(&self) -> Result<Option<StateFile>> {
        let Some(bytes) = self.read(STATE)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::new(Kind::StateCorrupt, error.to_string())
                .during(format!("load {}", self.path.join(STATE).display()))
        })
    }

    /// Writes `state.json` as a whole.
    pub(crate) fn save(&self, state: &Settled) -> Result<()> {
        self.write(STATE, &state.0, file::replace)
    }

    /// Writes it where nobody looks, until [`commit`](Self::commit).
    pub(crate) fn prepare(&self, state: &Settled) -> Result<()> {
        self.write(STATE, &state.0, file::prepare)
    }

    /// Makes what was prepared the `state.json`.
    pub(crate) fn commit(&self) -> Result<()> {
        file::commit(self.fd(), STATE).map_err(|errno| {
            Error::os(Kind::System, format!("write {}", self.path.join(STATE).display()), errno as i32)
        })
    }

    /// Keeps the configuration: what happens to the bundle's later is of no consequence (runtime.md).
    pub(crate) fn keep_config(&self, config: &[u8]) -> Result<()> {
        self.write(CONFIG, config, file::create)
    }

    /// Writes CRIU's options: where they are.
    pub(crate) fn criu_config(&self, text: &str) -> Result<PathBuf> {
        self.write(CRIU_CONFIG, text.as_bytes(), file::create)?;
        Ok(self.path.join(CRIU_CONFIG))
    }

    /// Removes them.
    pub(crate) fn remove_criu_config(&self) {
        let _ = fs::remove_file(self.path.join(CRIU_CONFIG));
    }

    /// The configuration of the create.
    pub(crate) fn config(&self) -> Result<Vec<u8>> {
        self.read(CONFIG)?.ok_or_else(not_found)
    }

    fn write(
        &self,
        name: &str,
        bytes: &[u8],
        how: fn(BorrowedFd<'_>, &str, &[u8], u32) -> Result<(), Errno>,
    ) -> Result<()> {
        let written = how(self.fd(), name, bytes, 0o600);
        written.map_err(|errno| {
            Error::os(Kind::System, format!("write {}", self.path.join(name).display()), errno as i32)
        })
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        let mut bytes = Vec::new();
        match fs::File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(system("read", &path, &error)),
        }
    }

    /// The user whom the container belongs to.
    pub(crate) fn owner(&self) -> u32 {
        fs::metadata(&self.path).map(|metadata| metadata.uid()).unwrap_or_default()
    }

    /// Removes the directory with all that is in it.
    pub(crate) fn remove(&self) -> Result<()> {
        for name in [STATE, CONFIG, START_SOCKET] {
            // What is not there or cannot go is the next call's business.
            let _ = file::remove_in(self.fd(), name);
        }
        if fs::remove_dir(&self.path).is_ok() {
            return Ok(());
        }
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(system("remove state directory", &self.path, &error))
            }
            _ => Ok(()),
        }
    }
}

/// The state root: nobody but its owner may look into it. COMPAT(runc): that of an ordinary user has the sticky bit,
/// which keeps those away who tidy up in `$XDG_RUNTIME_DIR`.
fn make_root(root: &Path) -> Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    let mode = if geteuid().is_root() { 0o700 } else { 0o1700 };
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(root)
        .map_err(|error| system("make state root", root, &error))
}

pub(crate) fn not_found() -> Error {
    Error::new(Kind::NotFound, wording::DOES_NOT_EXIST)
}

fn system(doing: &str, path: &Path, error: &io::Error) -> Error {
    Error::os(Kind::System, format!("{doing} {}", path.display()), errno_of(error))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

//! Small files of a cgroup, read one after the other into one buffer.
#![forbid(unsafe_code)]

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::parse;
use crate::error::{Error, Kind, Result};
use crate::sys::{Errno, file};

/// More than any of the files has at a time; grown where one has more.
const ROOM: usize = 16 << 10;
/// Less than this comes from the kernel in one piece: nobody has to ask for the end.
const ONE_PIECE: usize = 2048;

/// Reads files.
#[derive(Debug)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    path: PathBuf,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; ROOM], path: PathBuf::new() }
    }

    /// The text of a file; `None` if this kernel does not have it, or does not fill it (EOPNOTSUPP).
    pub(super) fn text(&mut self, directory: &Path, name: &str) -> Result<Option<&str>> {
        self.path.clear();
        self.path.push(directory);
        self.path.push(name);
        let file = match file::open_readable(&self.path) {
            Ok(file) => file,
            Err(Errno::ENOENT) if directory.exists() => return Ok(None),
            Err(errno) => return Err(self.error(errno)),
        };
        let mut length = 0;
        loop {
            if length == self.buffer.len() {
                self.buffer.resize(2 * length, 0);
            }
            match nix::unistd::read(file.as_fd(), &mut self.buffer[length..]) {
                Ok(0) => break,
                Ok(n) if length == 0 && n < ONE_PIECE => {
                    length = n;
                    break;
                }
                Ok(n) => length += n,
                Err(Errno::EINTR) => {}
                Err(Errno::EOPNOTSUPP) => return Ok(None),
                Err(errno) => return Err(self.error(errno)),
            }
        }
        match str::from_utf8(&self.buffer[..length]) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(malformed(&self.path)),
        }
    }

    fn error(&self, errno: Errno) -> Error {
        let kind = if errno == Errno::EACCES { Kind::Permission } else { Kind::Cgroup };
        Error::os(kind, format!("read {}", self.path.display()), errno as i32)
    }

    /// One number, `max` being 2^64-1; 0 where there is no such file.
    pub(super) fn number(&mut self, directory: &Path, name: &str) -> Result<u64> {
        Ok(self.number_if_there(directory, name)?.unwrap_or_default())
    }

    /// The same, telling whether there is such a file.
    pub(super) fn number_if_there(&mut self, directory: &Path, name: &str) -> Result<Option<u64>> {
        let Some(text) = self.text(directory, name)? else { return Ok(None) };
        match parse::number(text.trim_end()) {
            Some(number) => Ok(Some(number)),
            None => Err(malformed(&self.path)),
        }
    }

    /// Lines of a name and a number.
    pub(super) fn pairs(
        &mut self,
        directory: &Path,
        name: &str,
        mut each: impl FnMut(&str, u64),
    ) -> Result<()> {
        if let Some(text) = self.text(directory, name)? {
            for (key, value) in parse::pairs(text) {
                each(key, value);
            }
        }
        Ok(())
    }
}

fn malformed(path: &Path) -> Error {
    Error::new(Kind::Cgroup, "not what the kernel writes there").during(format!("read {}", path.display()))
}

/// The sizes for which there is a file with this ending.
pub(super) fn page_sizes(path: &Path, ending: &str) -> Vec<String> {
    let names = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let size = |name: std::ffi::OsString| parse::page_size(name.to_str()?, ending).map(str::to_owned);
    names.filter_map(size).collect()
}

//! Standard streams, further descriptors, the console's way to the host.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use super::options::{Io, Stdio};
use crate::error::{Error, Kind, Result};
use crate::sys::{Errno, file, process, socket};

/// The descriptors of a process, open and in order.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// (number in the host, number in the process).
    pub(super) map: Vec<(RawFd, RawFd)>,
    /// Keeps what is in the map open until the process has its copies.
    held: Vec<OwnedFd>,
    /// `/dev/null`, once one of the streams is that.
    null: Option<RawFd>,
    /// The host's ends of the pipes.
    pub(super) pipes: [Option<OwnedFd>; 3],
    /// The first number above those of the process.
    pub(super) keep_below: RawFd,
}

impl Streams {
    /// Opens what the process gets. With a terminal its streams are /dev/null until the init program has the pty.
    pub(super) fn open(io: &mut Io, terminal: bool) -> Result<Self> {
        let mut streams = Self { keep_below: 3, ..Self::default() };
        let wanted = [&mut io.stdin, &mut io.stdout, &mut io.stderr].map(std::mem::take);
        for (number, wanted) in (0..).zip(wanted) {
            streams.stream(number, if terminal { Stdio::Null } else { wanted })?;
        }
        for fd in &io.fds {
            let invalid = |why: &str| {
                let message = format!("pass descriptor {} as {}: {why}", fd.host, fd.container);
                Error::new(Kind::InvalidArgument, message)
            };
            if fd.container < 3 || fd.container > 1 << 16 {
                return Err(invalid("the number must be between 3 and 65536"));
            }
            if streams.map.iter().any(|(_, number)| *number == fd.container) {
                return Err(invalid("the number is given twice"));
            }
            if !process::is_open(fd.host) {
                return Err(invalid("it is not open"));
            }
            streams.map.push((fd.host, fd.container));
            streams.keep_below = streams.keep_below.max(fd.container + 1);
        }
        Ok(streams)
    }

    fn stream(&mut self, number: RawFd, wanted: Stdio) -> Result<()> {
        let fd = match wanted {
            // A host that closed its stream passes on nothing, not whatever gets the number next.
            Stdio::Inherit if process::is_open(number) => {
                self.map.push((number, number));
                return Ok(());
            }
            Stdio::Inherit | Stdio::Null => return self.null(number),
            Stdio::Fd(fd) => fd,
            Stdio::Pipe => self.pipe(number)?,
        };
        self.map.push((fd.as_raw_fd(), number));
        self.held.push(fd);
        Ok(())
    }

    fn null(&mut self, number: RawFd) -> Result<()> {
        let null = match self.null {
            Some(null) => null,
            None => {
                let null = file::open_null()
                    .map_err(|errno| Error::os(Kind::System, "open /dev/null", errno as i32))?;
                let number = null.as_raw_fd();
                self.held.push(null);
                *self.null.insert(number)
            }
        };
        self.map.push((null, number));
        Ok(())
    }

    /// The process's end; the host's goes to `pipes`.
    fn pipe(&mut self, number: RawFd) -> Result<OwnedFd> {
        let pipe = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC);
        let (read, write) = pipe.map_err(|errno| Error::os(Kind::System, "make pipe", errno as i32))?;
        let (own, other) = if number == 0 { (write, read) } else { (read, write) };
        if let Some(slot) = usize::try_from(number).ok().and_then(|index| self.pipes.get_mut(index)) {
            *slot = Some(own);
        }
        Ok(other)
    }

    /// Gives pipes, sockets and terminals to the user of a process in a user namespace, whose init program may not: it
    /// has no power over ids that its namespace does not map. Everything else stays whose it is.
    pub(super) fn own(&self, uid: u32) {
        for (host, number) in &self.map {
            if (0..3).contains(number) {
                // Not being able to give a stream away leaves it usable all the same.
                let _ = file::give_stream(*host, uid);
            }
        }
    }

    /// Adds one of the runtime's own descriptors.
    pub(super) fn add(&mut self, fd: BorrowedFd<'_>, number: RawFd) {
        self.map.push((fd.as_raw_fd(), number));
    }
}

/// Sends a descriptor to whoever listens at `path`, with `payload` beside it.
pub(super) fn send_to_socket(path: &Path, fd: BorrowedFd<'_>, payload: &str, what: &str) -> Result<()> {
    let error =
        |errno: Errno| Error::os(Kind::Console, format!("send {what} to {}", path.display()), errno as i32);
    let peer = socket::connect_to(path).map_err(error)?;
    socket::send(peer.as_fd(), payload.as_bytes(), &[fd]).map_err(error)
}

/// Writes a pid as a whole or not at all: digits, no newline, since readers take the file as a number.
pub(super) fn write_pid_file(path: &Path, pid: i32) -> Result<()> {
    let error =
        |errno: Errno| Error::os(Kind::System, format!("write pid file {}", path.display()), errno as i32);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| error(Errno::EINVAL))?;
    let directory = file::open_directory(parent).map_err(error)?;
    file::replace(directory.as_fd(), name, pid.to_string().as_bytes(), 0o666).map_err(error)
}

//! The host's end of the socket to the init program, and the sentences for what it reports.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::deadline::Deadline;
use crate::error::{Error, Kind, Result};
use crate::hook;
use crate::sys::socket;
use crate::wire::{self, Class, Failure, ToInit, ToRuntime};
use crate::wording;

/// A connected socket with messages on it.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
}

/// What came: a message with its descriptor, or the end.
#[derive(Debug)]
pub(crate) enum Received {
    Message(ToRuntime, Option<OwnedFd>),
    End,
}

impl Channel {
    pub(crate) const fn new(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Sends bytes that `wire::encode` made. A peer that is gone is noticed at the next receive.
    pub(crate) fn send_encoded(&self, bytes: &[u8]) {
        let _ = socket::send(self.socket.as_fd(), bytes, &[]);
    }

    pub(crate) fn send(&self, word: ToInit) {
        self.send_with(word, &[]);
    }

    /// A word with descriptors.
    pub(crate) fn send_with(&self, word: ToInit, descriptors: &[BorrowedFd<'_>]) {
        if let Some(bytes) = wire::encode(&word) {
            let _ = socket::send(self.socket.as_fd(), &bytes, descriptors);
        }
    }

    /// The next message, or the end of the stream.
    pub(crate) fn receive(&self, deadline: &Deadline<'_>, doing: &str) -> Result<Received> {
        let mut bytes = Vec::new();
        let mut descriptor = None;
        let mut wanted = wire::HEADER;
        loop {
            while bytes.len() < wanted {
                deadline.before_read(self.socket.as_fd(), doing)?;
                let mut part = [0; 4096];
                let most = (wanted - bytes.len()).min(part.len());
                match socket::receive(self.socket.as_fd(), &mut part[..most]) {
                    Ok((0, _)) | Err(crate::sys::Errno::ECONNRESET) => return Ok(Received::End),
                    Ok((n, fd)) => {
                        bytes.extend_from_slice(&part[..n]);
                        descriptor = fd.or(descriptor);
                    }
                    Err(errno) => return Err(Error::os(Kind::System, doing, errno as i32)),
                }
            }
            let body = header(&bytes);
            if wanted == wire::HEADER + body {
                let message = wire::decode(&bytes[wire::HEADER..]).ok_or_else(|| malformed(doing))?;
                return Ok(Received::Message(message, descriptor));
            }
            wanted = wire::HEADER + body;
        }
    }

    /// The next message; a failure becomes the error it is, the end of the stream `None`.
    pub(crate) fn expect(
        &self,
        deadline: &Deadline<'_>,
        doing: &str,
    ) -> Result<Option<(ToRuntime, Option<OwnedFd>)>> {
        match self.receive(deadline, doing)? {
            Received::End => Ok(None),
            Received::Message(ToRuntime::Failed(failure), _) => Err(sentence(&failure)),
            Received::Message(message, descriptor) => Ok(Some((message, descriptor))),
        }
    }
}

fn header(bytes: &[u8]) -> usize {
    bytes.first_chunk::<{ wire::HEADER }>().map_or(0, |length| u32::from_le_bytes(*length) as usize)
}

fn malformed(doing: &str) -> Error {
    Error::new(Kind::Internal, "malformed message from the init program").during(doing)
}

/// A failure of the init program in words.
pub(crate) fn sentence(failure: &Failure) -> Error {
    let Failure { class, verb, object, errno } = failure;
    if let Class::Hook(_) = class {
        return hook::failed(failure).detailed("phase", "init");
    }
    let kind = match class {
        Class::Protocol => Kind::Internal,
        Class::Namespace | Class::System => Kind::System,
        Class::Userns => Kind::Userns,
        Class::Cgroup => Kind::Cgroup,
        Class::Mount | Class::Device => Kind::Mount,
        Class::Rootfs => Kind::Rootfs,
        Class::UnsafePath => Kind::UnsafePath,
        Class::Console => Kind::Console,
        Class::Capability => Kind::Capability,
        Class::Seccomp => Kind::Seccomp,
        Class::Label => Kind::Lsm,
        Class::DeadlineOnCpuset => Kind::Permission,
        Class::User => Kind::Permission,
        Class::WorkingDirectory => Kind::Cwd,
        Class::NotInPath | Class::NotFound => Kind::ExecNotFound,
        Class::NotExecutable => Kind::ExecPermission,
        Class::Hook(_) => Kind::Hook,
    };
    let error = match class {
        Class::NotInPath => {
            Error::os(kind, wording::exec(object), *errno).replace_cause(wording::NOT_IN_PATH)
        }
        Class::NotFound => Error::os(kind, wording::exec_not_found(object), *errno),
        Class::NotExecutable => Error::os(kind, wording::exec(object), *errno),
        Class::WorkingDirectory if *errno != 0 => {
            Error::os(kind, format!("{verb} ({object:?}) set in config.json failed"), *errno)
        }
        Class::DeadlineOnCpuset => {
            Error::os(kind, format!("{verb} {object}"), *errno).replace_cause(wording::DEADLINE_ON_CPUSET)
        }
        Class::Label if *errno == libc::ENOENT && verb == "set" => {
            Error::os(kind, format!("{verb} {object}"), *errno).replace_cause(wording::NO_SUCH_PROFILE)
        }
        _ if *errno == 0 => Error::new(kind, format!("{verb} {object}")),
        _ => Error::os(kind, format!("{verb} {object}"), *errno),
    };
    error.detailed("phase", "init")
}

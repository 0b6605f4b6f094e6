//! Where the two sides of a migration meet: `tcp:HOST:PORT`, `unix:PATH`, `fd:N`.
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::failure::{Failure, io_failure};
use crate::session::absolute_path;

/// An address as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// HOST:PORT.
    Tcp(String),
    /// A path.
    Unix(PathBuf),
    /// A descriptor of the caller's.
    Fd(i32),
}

impl Endpoint {
    /// What was typed for the option `option`.
    pub(crate) fn parse(option: &str, text: Option<&str>) -> Result<Self, Failure> {
        let wanted = || format!("--{option} wants tcp:HOST:PORT, unix:PATH or fd:N");
        let (kind, rest) = text.and_then(|text| text.split_once(':')).ok_or_else(wanted)?;
        match kind {
            "tcp"
                if rest
                    .rsplit_once(':')
                    .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) =>
            {
                Ok(Self::Tcp(rest.to_owned()))
            }
            "unix" if !rest.is_empty() => absolute_path(rest).map(Self::Unix),
            "fd" => rest.parse().map(Self::Fd).map_err(|_| wanted().into()),
            _ => Err(wanted().into()),
        }
    }

    /// Connects to whoever listens there.
    pub(crate) fn connect(&self) -> Result<OwnedFd, Failure> {
        let fail = |error: io::Error| io_failure(&format!("connect to {self}"), &error);
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address.as_str()).map_err(fail)?;
                lively(stream.as_fd());
                Ok(stream.into())
            }
            Self::Unix(path) => UnixStream::connect(path).map(OwnedFd::from).map_err(fail),
            Self::Fd(number) => inherited(*number).map_err(fail),
        }
    }

    /// Listens there; `ready` is told once a connection can be made.
    pub(crate) fn accept(&self, ready: impl FnOnce(&str)) -> Result<OwnedFd, Failure> {
        let fail = |error: io::Error| io_failure(&format!("listen at {self}"), &error);
        match self {
            Self::Tcp(address) => {
                let listener = TcpListener::bind(address.as_str()).map_err(fail)?;
                ready(&format!("tcp:{}", listener.local_addr().map_err(fail)?));
                let (stream, _) = listener.accept().map_err(fail)?;
                lively(stream.as_fd());
                Ok(stream.into())
            }
            Self::Unix(path) => {
                let listener = UnixListener::bind(path).map_err(fail)?;
                ready(&self.to_string());
                let accepted = listener.accept();
                // One container, one socket.
                let _ = fs::remove_file(path);
                accepted.map(|(stream, _)| stream.into()).map_err(fail)
            }
            Self::Fd(number) => {
                let socket = inherited(*number).map_err(fail)?;
                ready(&self.to_string());
                if !getsockopt(&socket, sockopt::AcceptConn).unwrap_or(false) {
                    return Ok(socket);
                }
                // The calls of a listener are the same for every family.
                UnixListener::from(socket).accept().map(|(stream, _)| stream.into()).map_err(fail)
            }
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Fd(number) => write!(f, "fd:{number}"),
        }
    }
}

/// Short messages at once; and a host that is gone without a word is noticed in time. What cannot be set is done without.
fn lively(socket: std::os::fd::BorrowedFd<'_>) {
    let _ = setsockopt(&socket, sockopt::TcpNoDelay, &true);
    let _ = setsockopt(&socket, sockopt::KeepAlive, &true);
    let _ = setsockopt(&socket, sockopt::TcpKeepIdle, &10);
    let _ = setsockopt(&socket, sockopt::TcpKeepInterval, &5);
    let _ = setsockopt(&socket, sockopt::TcpKeepCount, &4);
}

/// A copy of a descriptor that this program was started with. KERNEL(5.6).
fn inherited(number: i32) -> io::Result<OwnedFd> {
    let own: Pid = getpid();
    let pidfd = pidfd_open(own, PidfdFlags::empty())?;
    Ok(pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_kinds_of_addresses_are_read() {
        let read = |text| Endpoint::parse("to", Some(text)).unwrap();
        assert_eq!(read("tcp:host:4000"), Endpoint::Tcp("host:4000".into()));
        assert_eq!(read("tcp:[::1]:4000"), Endpoint::Tcp("[::1]:4000".into()));
        assert_eq!(read("unix:/a/../b"), Endpoint::Unix("/b".into()));
        assert_eq!(read("fd:3"), Endpoint::Fd(3));
        for wrong in ["", "tcp", "tcp:host", "tcp::1", "tcp:host:x", "unix:", "fd:x", "udp:a:1", "/a"] {
            let failure = Endpoint::parse("to", Some(wrong)).unwrap_err();
            assert!(failure.message.starts_with("--to wants"), "{wrong}");
        }
        assert!(Endpoint::parse("to", None).is_err());
    }
}

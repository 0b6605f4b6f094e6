//! Unix sockets: pairs, listeners and connections by a directory's descriptor, bytes with descriptors beside them.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, SockFlag, SockType,
    UnixAddr, bind, connect, getsockname, getsockopt, listen, recv, recvmsg, sendmsg, setsockopt, shutdown,
    socket, socketpair, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::{Errno, Result};

/// socketpair(2): a stream, close-on-exec.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
}

/// socketpair(2): packets that keep their borders, close-on-exec.
pub(crate) fn packets() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

fn stream() -> Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
}

/// The address of `name` in a directory, of any length: sun_path has 108 bytes, /proc/self/fd/N needs few.
fn address(directory: BorrowedFd<'_>, name: &str) -> Result<UnixAddr> {
    UnixAddr::new(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()).as_str())
}

/// A socket that listens at `name` in `directory`.
pub(crate) fn listen_in(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let listener = stream()?;
    bind(listener.as_raw_fd(), &address(directory, name)?)?;
    listen(&listener, Backlog::new(16)?)?;
    Ok(listener)
}

/// A connection to `name` in `directory`. ECONNREFUSED: nobody listens any more.
pub(crate) fn connect_in(directory: BorrowedFd<'_>, name: &str) -> Result<OwnedFd> {
    let peer = stream()?;
    connect(peer.as_raw_fd(), &address(directory, name)?)?;
    Ok(peer)
}

/// A connection to the socket at `path`, of any length.
pub(crate) fn connect_to(path: &Path) -> Result<OwnedFd> {
    if let Ok(address) = UnixAddr::new(path) {
        let peer = stream()?;
        connect(peer.as_raw_fd(), &address)?;
        return Ok(peer);
    }
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(Errno::EINVAL)?;
    let parent = path.parent().ok_or(Errno::EINVAL)?;
    let parent = super::file::open_directory(parent)?;
    connect_in(std::os::fd::AsFd::as_fd(&parent), name)
}

/// A connection to a socket at `path`, or of that name in the abstract namespace, for which connect(2) and every send(2)
/// wait at most `patience`: EAGAIN then.
pub(crate) fn connect_within(path: &Path, is_abstract: bool, patience: Duration) -> Result<OwnedFd> {
    let address = match path.to_str() {
        Some(name) if is_abstract => UnixAddr::new_abstract(name.as_bytes())?,
        _ => UnixAddr::new(path)?,
    };
    let peer = stream()?;
    let seconds = TimeVal::seconds(patience.as_secs().try_into().unwrap_or(i64::MAX));
    setsockopt(&peer, sockopt::SendTimeout, &seconds)?;
    connect(peer.as_raw_fd(), &address)?;
    Ok(peer)
}

/// Sends all of `bytes`, `fds` beside the first of them; no SIGPIPE.
pub(crate) fn send(socket: BorrowedFd<'_>, mut bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result {
    let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let mut control: &[ControlMessage<'_>] = if fds.is_empty() { &[] } else { &rights };
    while !bytes.is_empty() {
        let part = [IoSlice::new(bytes)];
        match sendmsg::<()>(socket.as_raw_fd(), &part, control, MsgFlags::MSG_NOSIGNAL, None) {
            Ok(n) => {
                bytes = &bytes[n..];
                control = &[];
            }
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Receives into `buffer`: how much, and a descriptor if one came along. 0 is the end of the stream.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    let mut control = nix::cmsg_space!(RawFd);
    loop {
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags) {
            Err(Errno::EINTR) => continue,
            message => message?,
        };
        let mut fd = None;
        for entry in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(fds) = entry {
                // SAFETY: the kernel just installed these for us; there is room for one.
                fd = fds.into_iter().map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }).next_back();
            }
        }
        return Ok((message.bytes, fd));
    }
}

/// Whether it is a stream socket, of whatever family.
pub(crate) fn is_stream(socket: BorrowedFd<'_>) -> bool {
    getsockopt(&socket, sockopt::SockType) == Ok(SockType::Stream)
}

/// Gives a unix socket room for `bytes` under way, so that the two sides take turns less often; TCP finds its own. It is
/// a wish: without privileges the kernel grants less.
pub(crate) fn widen(socket: BorrowedFd<'_>, bytes: usize) {
    if getsockname::<UnixAddr>(socket.as_raw_fd()).is_ok()
        && setsockopt(&socket, sockopt::SndBufForce, &bytes).is_err()
    {
        let _ = setsockopt(&socket, sockopt::SndBuf, &bytes);
    }
}

/// Sends what can be sent at once, however the socket is set: how much. EAGAIN: nothing. No SIGPIPE.
pub(crate) fn send_some(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    loop {
        match nix::sys::socket::send(socket.as_raw_fd(), bytes, flags) {
            Err(Errno::EINTR) => {}
            sent => return sent,
        }
    }
}

/// Receives what is there: how much, 0 at the end of the stream. EAGAIN: nothing.
pub(crate) fn receive_some(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EINTR) => {}
            received => return received,
        }
    }
}

/// Nothing more will be sent.
pub(crate) fn no_more(socket: BorrowedFd<'_>) -> Result {
    shutdown(socket.as_raw_fd(), Shutdown::Write)
}

/// Nothing more is sent or received, whoever else has the socket.
pub(crate) fn end(socket: BorrowedFd<'_>) {
    let _ = shutdown(socket.as_raw_fd(), Shutdown::Both);
}

/// A read that blocks ends after that time, with EAGAIN.
pub(crate) fn set_patience(socket: BorrowedFd<'_>, patience: Duration) -> Result {
    let seconds = TimeVal::seconds(patience.as_secs().max(1).try_into().unwrap_or(i64::MAX));
    setsockopt(&socket, sockopt::ReceiveTimeout, &seconds)
}

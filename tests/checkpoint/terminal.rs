//! A terminal's master, as whoever has it reads it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;

use crate::scene::until;

/// Reads from a terminal until `wanted` has come.
pub(crate) fn read_until(master: &mut File, wanted: &str) {
    let mut seen = Vec::new();
    until(wanted, || {
        let mut buffer = [0; 256];
        match master.read(&mut buffer) {
            Ok(count) => seen.extend_from_slice(&buffer[..count]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{}", String::from_utf8_lossy(&seen))
            }
        }
        String::from_utf8_lossy(&seen).contains(wanted)
    });
}

pub(crate) fn nonblocking(master: std::os::fd::BorrowedFd<'_>) -> File {
    let master = File::from(master.try_clone_to_owned().unwrap());
    let flags = nix::fcntl::OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(&master, nix::fcntl::FcntlArg::F_SETFL(flags)).unwrap();
    master
}

/// The descriptor that comes through a socket.
pub(crate) fn received(peer: &std::os::unix::net::UnixStream) -> std::os::fd::OwnedFd {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    use std::os::fd::FromRawFd;
    let mut text = [0; 512];
    let mut buffers = [std::io::IoSliceMut::new(&mut text)];
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let message =
        recvmsg::<()>(peer.as_raw_fd(), &mut buffers, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC).unwrap();
    let ControlMessageOwned::ScmRights(fds) = message.cmsgs().unwrap().next().unwrap() else {
        panic!("no descriptor")
    };
    // SAFETY: it was just received, and nobody else has it.
    unsafe { std::os::fd::OwnedFd::from_raw_fd(fds[0]) }
}

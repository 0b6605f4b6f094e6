//! Pipes: a pair, and one that holds all that will ever be read from it.

use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};

use super::{Errno, Result, memfd};

/// pipe2(2), close-on-exec: (to read from, to write to).
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
}

/// That this process may have pipes with room for so many bytes. EPERM: the kernel's limit (pipe(7), `pipe-max-size`).
pub(crate) fn may_have(bytes: i32) -> Result {
    let (read, _write) = pair()?;
    // SAFETY: numbers only.
    Errno::result(unsafe { libc::fcntl(read.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) }).map(drop)
}

/// A descriptor that these bytes can be read from, and then the end. Nobody has to write them while a reader reads, or
/// does not: a pipe that has room for them, or else a memfd.
pub(crate) fn filled(bytes: &[u8]) -> Result<OwnedFd> {
    let (read, write) = pair()?;
    // SAFETY: numbers only.
    let room = Errno::result(unsafe { libc::fcntl(write.as_raw_fd(), libc::F_GETPIPE_SZ) })?;
    if usize::try_from(room).is_ok_and(|room| bytes.len() <= room) {
        // There is a reader, ourselves: this neither blocks nor raises SIGPIPE.
        let written = std::fs::File::from(write).write_all(bytes);
        return written.map(|()| read).map_err(|error| Errno::from_raw(super::errno_of(&error)));
    }
    memfd::sealed_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    #[test]
    fn what_was_filled_in_is_read_once_whatever_its_length() {
        for length in [0, 1, 65536, 65537, 1 << 20] {
            let bytes = vec![b'x'; length];
            let mut file = std::fs::File::from(super::filled(&bytes).unwrap());
            let mut read = Vec::new();
            file.read_to_end(&mut read).unwrap();
            assert!(read == bytes, "{length}");
        }
    }
}

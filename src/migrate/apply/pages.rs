//! Our end of the socket through which a CRIU sends or asks for pages of memory. What comes out of it goes over the stream as
//! it is, and the other way round; the two CRIUs speak as if they were connected (criu.org, Page server).
//!
//! CRIU takes the end of such a connection for success in places. So it is never let see one: what ends badly ends with
//! a request that it does not know.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::stream::Stream;
use crate::error::{Error, Kind, Result};
use crate::sys::{Errno, errno_of, poll, socket};

/// Bytes in one frame, and about so many under way.
const PIECE: usize = 1 << 20;
const ROOM: usize = 4 << 20;
/// `struct page_server_iov` (`criu/page-xfer.c`), whose first four bytes are the command, has so many in CRIU's versions.
const REQUESTS: [usize; 2] = [24, 32];
/// The command that ends it, and nothing beside it.
const FORCE_CLOSE: [u8; 4] = 0x1024_u32.to_le_bytes();
const UNKNOWN: [u8; 32] = [0xff; 32];
/// What a closed side hears: that all is well.
const STATUS: [u8; 4] = [0; 4];

/// Our end.
#[derive(Debug)]
pub(crate) struct Pages {
    ours: OwnedFd,
    patience: Duration,
    open: bool,
    /// What has just come out of it.
    piece: Vec<u8>,
    /// Bytes from CRIU until now.
    sent: u64,
}

impl Pages {
    /// Both ends: ours and CRIU's, which hears that nobody is there after that time.
    pub(crate) fn pair(patience: Duration) -> Result<(Self, OwnedFd)> {
        let error = |errno: Errno| Error::os(Kind::System, "make socket pair", errno as i32);
        let (ours, theirs) = socket::pair().map_err(error)?;
        socket::set_patience(theirs.as_fd(), patience).map_err(error)?;
        socket::widen(ours.as_fd(), ROOM);
        socket::widen(theirs.as_fd(), ROOM);
        Ok((Self { ours, patience, open: true, piece: vec![0; PIECE], sent: 0 }, theirs))
    }

    /// Our end once more: who has it does not see the end of the other when we are gone.
    pub(crate) fn keeper(&self) -> Result<OwnedFd> {
        let doubled = self.ours.try_clone();
        doubled.map_err(|error| Error::os(Kind::System, "duplicate a socket", errno_of(&error)))
    }

    /// Readable when CRIU has something to say; `None` when it has closed its end.
    pub(crate) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.open.then(|| self.ours.as_fd())
    }

    /// Bytes from CRIU until now.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends what CRIU says now, if it does.
    pub(crate) fn pass_on(&mut self, stream: &mut Stream<'_>) -> Result<()> {
        match self.take()? {
            0 => Ok(()),
            n => stream.send_bytes(&self.piece[..n]),
        }
    }

    /// The same at a target whose CRIU asks for pages: the request that ends it is answered here (true), since it comes
    /// whether CRIU has got them all or not.
    pub(crate) fn pass_on_requests(&mut self, stream: &mut Stream<'_>) -> Result<bool> {
        let n = self.take()?;
        let before = before_close(&self.piece[..n]);
        if before != 0 {
            stream.send_bytes(&self.piece[..before])?;
        }
        if before < n {
            self.put(&STATUS)?;
        }
        Ok(before < n)
    }

    /// What CRIU says now, into `piece`: how many bytes.
    fn take(&mut self) -> Result<usize> {
        match socket::receive_some(self.ours.as_fd(), &mut self.piece) {
            Ok(n) => {
                self.open = n != 0;
                self.sent += n as u64;
                Ok(n)
            }
            Err(Errno::EAGAIN) => Ok(0),
            Err(Errno::ECONNRESET) => {
                self.open = false;
                Ok(0)
            }
            Err(errno) => Err(Error::os(Kind::Criu, "hear of CRIU's pages", errno as i32)),
        }
    }

    /// Gives CRIU what has come.
    pub(crate) fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        const DOING: &str = "hand CRIU its pages";
        let until = Instant::now().checked_add(self.patience);
        while !bytes.is_empty() {
            match socket::send_some(self.ours.as_fd(), bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(Errno::EAGAIN) => match poll::ready(&[], Some(self.ours.as_fd()), until) {
                    Ok(Some(_)) => {}
                    Ok(None) => return Err(Error::new(Kind::Timeout, "timed out").during(DOING)),
                    Err(errno) => return Err(Error::os(Kind::System, DOING, errno as i32)),
                },
                // Why it has ended is its to tell.
                Err(errno) => {
                    self.open = false;
                    return Err(Error::os(Kind::Criu, DOING, errno as i32));
                }
            }
        }
        Ok(())
    }

    /// It ends well: a CRIU that serves pages goes on.
    pub(crate) fn close(&mut self) {
        socket::end(self.ours.as_fd());
        self.open = false;
    }

    /// Nothing more comes for a CRIU that stores pages: one that has heard of no end fails.
    pub(crate) fn no_more(&self) {
        let _ = socket::no_more(self.ours.as_fd());
    }

    /// It ends badly: CRIU gives up.
    pub(crate) fn give_up(&mut self) {
        let _ = socket::send_some(self.ours.as_fd(), &UNKNOWN);
        socket::end(self.ours.as_fd());
        self.open = false;
    }
}

/// How many bytes are before the request that ends it, which is always the last.
fn before_close(bytes: &[u8]) -> usize {
    let is_close = |length: &usize| {
        let last = bytes.len().checked_sub(*length).map(|at| &bytes[at..]);
        last.and_then(|last| last.strip_prefix(&FORCE_CLOSE)).is_some_and(|rest| rest.iter().all(|b| *b == 0))
    };
    bytes.len() - REQUESTS.iter().find(|length| is_close(length)).unwrap_or(&0)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;
    use crate::migrate::plan::frame::Frame;

    fn scene() -> (Pages, File, Stream<'static>, Stream<'static>) {
        let (pages, theirs) = Pages::pair(Duration::from_secs(20)).unwrap();
        let (a, b) = socket::pair().unwrap();
        let stream = |fd| Stream::new(fd, Duration::from_secs(20), (None, None)).unwrap();
        (pages, File::from(theirs), stream(a), stream(b))
    }

    /// As CRIU asks for pages, in the layout of that length.
    fn get(length: usize) -> Vec<u8> {
        let mut request = vec![0; length];
        request[0] = 7;
        request[length - 24 + 4] = 1;
        request[length - 14] = 0x7f;
        request[length - 8..].copy_from_slice(&0x1024_u64.to_le_bytes());
        request
    }

    fn close(length: usize) -> Vec<u8> {
        let mut request = vec![0; length];
        request[..4].copy_from_slice(&FORCE_CLOSE);
        request
    }

    #[test]
    fn bytes_go_both_ways_as_they_are() {
        let (mut pages, mut criu, mut here, mut there) = scene();
        pages.pass_on(&mut here).unwrap();
        criu.write_all(b"memory").unwrap();
        pages.pass_on(&mut here).unwrap();
        assert_eq!(there.hear().unwrap(), Frame::Bytes(b"memory".to_vec()));
        assert_eq!(pages.sent(), 6);
        pages.put(b"status").unwrap();
        let mut heard = [0; 6];
        criu.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"status");
        drop(criu);
        pages.pass_on(&mut here).unwrap();
        assert!(pages.as_fd().is_none());
    }

    #[test]
    fn the_end_of_requests_is_answered_and_goes_no_further() {
        for length in REQUESTS {
            let (mut pages, mut criu, mut here, mut there) = scene();
            let two = [get(length), get(length)].concat();
            criu.write_all(&two).unwrap();
            assert!(!pages.pass_on_requests(&mut here).unwrap());
            assert_eq!(there.hear().unwrap(), Frame::Bytes(two));
            criu.write_all(&[get(length), close(length)].concat()).unwrap();
            assert!(pages.pass_on_requests(&mut here).unwrap());
            assert_eq!(there.hear().unwrap(), Frame::Bytes(get(length)));
            let mut status = [9; 4];
            criu.read_exact(&mut status).unwrap();
            assert_eq!(status, STATUS);
        }
    }

    #[test]
    fn who_gives_up_is_heard_before_the_end() {
        let (mut pages, mut criu, ..) = scene();
        pages.give_up();
        let mut heard = Vec::new();
        criu.read_to_end(&mut heard).unwrap();
        assert_eq!(heard, UNKNOWN);
    }
}

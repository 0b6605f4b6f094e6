//! Frames over a connected stream socket, which is never waited for longer than the other side may say nothing.
//!
//! Whoever sends looks whether the other side has given up: what it says then is the error.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::migrate::plan::frame::{self, Frame, HEAD, HELLO, Message, malformed, unexpected};
use crate::sys::{Errno, errno_of, poll, socket, tree};

/// Bytes of a file in one frame.
const PIECE: usize = 1 << 20;
/// Bytes that may be under way.
const ROOM: usize = 8 << 20;
/// How long is listened after the last word, for the other side to read it.
const FAREWELL: Duration = Duration::from_secs(5);

/// One side's end.
#[derive(Debug)]
pub(crate) struct Stream<'fd> {
    socket: OwnedFd,
    until: Option<Instant>,
    cancel: Option<BorrowedFd<'fd>>,
    patience: Duration,
    bytes: u64,
    /// Room for the next body.
    spare: Vec<u8>,
    /// Both sides may speak at once.
    duplex: bool,
    /// What was heard while something was sent.
    early: VecDeque<Frame>,
}

impl<'fd> Stream<'fd> {
    /// Over `socket`, until a deadline or until `cancel` is readable.
    pub(crate) fn new(
        socket: OwnedFd,
        patience: Duration,
        (until, cancel): (Option<Instant>, Option<BorrowedFd<'fd>>),
    ) -> Result<Self> {
        if !socket::is_stream(socket.as_fd()) {
            return Err(Error::new(
                Kind::InvalidArgument,
                "migrate over a descriptor that is no stream socket",
            ));
        }
        socket::widen(socket.as_fd(), ROOM);
        Ok(Self {
            socket,
            until,
            cancel,
            patience,
            bytes: 0,
            spare: Vec::new(),
            duplex: false,
            early: VecDeque::new(),
        })
    }

    /// Bytes both ways until now.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// From now on only the other side's silence ends it.
    pub(crate) fn see_it_through(&mut self) {
        self.until = None;
        self.cancel = None;
    }

    /// From now on, or no longer, both sides may speak at once.
    pub(crate) fn duplex(&mut self, duplex: bool) {
        self.duplex = duplex;
    }

    /// Readable when there is something to hear that was not [heard](Self::heard_early) already.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether the next frame is here already.
    pub(crate) fn heard_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// The same, or whether it has begun to come.
    pub(crate) fn has_something(&self) -> bool {
        self.heard_early()
            || matches!(poll::readable(&[self.socket.as_fd()], Some(Instant::now())), Ok(Some(_)))
    }

    /// Says HELLO.
    pub(crate) fn greet(&mut self) -> Result<()> {
        self.write(&frame::hello())
    }

    /// Hears the other side's.
    pub(crate) fn greeted(&mut self) -> Result<()> {
        let mut theirs = [0; HELLO];
        self.read(&mut theirs)?;
        frame::check_hello(&theirs)
    }

    /// Sends a message.
    pub(crate) fn say(&mut self, message: &Message) -> Result<()> {
        self.write(&frame::message(message)?)
    }

    /// Sends that it is over, and why; then listens until the other side has heard it, or is gone.
    pub(crate) fn give_up(&mut self, error: &Error) {
        self.until = Some(Instant::now() + FAREWELL);
        self.cancel = None;
        if self.say(&failed(error)).is_err() {
            return;
        }
        let _ = socket::no_more(self.socket.as_fd());
        let mut rest = vec![0; PIECE];
        while self.read_some(&mut rest).is_ok_and(|n| n != 0) {}
    }

    /// The same where the other side has still something to say: whether it gives up as well.
    pub(crate) fn give_up_together(&mut self, error: &Error) -> bool {
        if self.say(&failed(error)).is_err() {
            return false;
        }
        loop {
            match self.hear() {
                Ok(Frame::Message(Message::Failed { .. })) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Sends bytes of no file.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.write(&frame::bytes_head(bytes.len())?)?;
        self.write(bytes)
    }

    /// Waits for the next frame.
    pub(crate) fn hear(&mut self) -> Result<Frame> {
        match self.early.pop_front() {
            Some(frame) => Ok(frame),
            None => self.hear_next(),
        }
    }

    fn hear_next(&mut self) -> Result<Frame> {
        let mut head = [0; HEAD];
        self.read(&mut head)?;
        let (kind, length) = frame::head(head)?;
        let mut body = std::mem::take(&mut self.spare);
        body.resize(length, 0);
        self.read(&mut body)?;
        frame::body(kind, body)
    }

    /// Waits for a message that must be `wanted`.
    pub(crate) fn expect(&mut self, wanted: &Message) -> Result<()> {
        match self.hear()? {
            Frame::Message(message) if message == *wanted => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Sends `size` bytes of a file, and its holes as such. What is missing at its end, since somebody cut it meanwhile,
    /// is zero.
    pub(crate) fn send_file(&mut self, file: &mut File, size: u64) -> Result<()> {
        let error = |error: std::io::Error| Error::os(Kind::System, "read a file to send", errno_of(&error));
        let mut at = 0;
        let mut piece = vec![0; PIECE];
        while at < size {
            let data = tree::next_data(file.as_fd(), at).unwrap_or(size).clamp(at, size);
            if data > at {
                self.write(&frame::hole(data - at)?)?;
                at = data;
                continue;
            }
            // Looked up once: with pages that are not on the disk yet the kernel goes through all of them.
            let end = tree::next_hole(file.as_fd(), at).unwrap_or(size).clamp(at + 1, size);
            file.seek(SeekFrom::Start(at)).map_err(error)?;
            while at < end {
                self.look()?;
                let length = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
                let n = file.read(&mut piece[..length]).map_err(error)?;
                if n == 0 {
                    return self.write(&frame::hole(size - at)?);
                }
                self.write(&frame::bytes_head(n)?)?;
                self.write(&piece[..n])?;
                at += n as u64;
            }
        }
        Ok(())
    }

    /// Receives the bytes of a new file; `left` is what may still be stored.
    pub(crate) fn receive_file(&mut self, file: &mut File, size: u64, left: &mut u64) -> Result<()> {
        let error = |error: std::io::Error| Error::os(Kind::System, "write a file", errno_of(&error));
        let mut at = 0_u64;
        while at < size {
            let (length, bytes) = match self.hear()? {
                Frame::Bytes(bytes) => (bytes.len() as u64, Some(bytes)),
                Frame::Hole(length) => (length, None),
                other => return Err(unexpected(&other)),
            };
            if length == 0 || length > size - at {
                return Err(malformed("a file is longer than it is"));
            }
            at += length;
            match bytes {
                Some(bytes) => {
                    *left = left.checked_sub(length).ok_or_else(too_much)?;
                    file.write_all(&bytes).map_err(error)?;
                    self.spare = bytes;
                }
                None => {
                    file.seek(SeekFrom::Start(at)).map_err(error)?;
                }
            }
        }
        file.set_len(size).map_err(error)
    }

    /// Whether the other side has given up: while it takes what comes, and throws it away, no write waits for it.
    fn look(&mut self) -> Result<()> {
        if !self.duplex && self.has_something() {
            return Err(unexpected(&self.hear()?));
        }
        Ok(())
    }

    fn patience(&self) -> (Option<Instant>, bool) {
        let own = Instant::now().checked_add(self.patience);
        match (own, self.until) {
            (Some(own), Some(until)) => (Some(own.min(until)), until <= own),
            (own, until) => (own.or(until), own.is_none()),
        }
    }

    /// Waits until one of ours is ready; `true`: something is to be read.
    fn wait(&self, write: bool) -> Result<bool> {
        let doing = "wait for the other side of the migration";
        let (until, ours) = self.patience();
        let mut fds = vec![self.socket.as_fd()];
        fds.extend(self.cancel);
        match poll::ready(&fds, write.then(|| self.socket.as_fd()), until) {
            Ok(Some(0)) => Ok(true),
            Ok(Some(1)) if fds.len() == 2 => Err(Error::new(Kind::Cancelled, "cancelled").during(doing)),
            Ok(Some(_)) => Ok(false),
            Ok(None) if ours => Err(Error::new(Kind::Timeout, "timed out").during(doing)),
            Ok(None) => {
                let message = format!("it has said nothing for {} s", self.patience.as_secs());
                Err(Error::new(Kind::Timeout, message).during(doing))
            }
            Err(errno) => Err(Error::os(Kind::System, doing, errno as i32)),
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match socket::send_some(self.socket.as_fd(), bytes) {
                Ok(n) => {
                    bytes = &bytes[n..];
                    self.bytes += n as u64;
                }
                Err(Errno::EAGAIN) => {
                    // Nobody speaks while the other side sends, but to give up.
                    match self.wait(true)? {
                        true if self.duplex => {
                            let frame = self.hear_next()?;
                            self.early.push_back(frame);
                        }
                        true => return Err(unexpected(&self.hear()?)),
                        false => {}
                    }
                }
                Err(errno) => return Err(self.last_words(errno)),
            }
        }
        Ok(())
    }

    /// The connection is broken; what the other side said before that is the better error.
    fn last_words(&mut self, errno: Errno) -> Error {
        match self.hear() {
            Ok(frame) => unexpected(&frame),
            Err(_) => Error::os(Kind::System, "send to the other side of the migration", errno as i32),
        }
    }

    fn read(&mut self, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            let n = self.read_some(buffer)?;
            if n == 0 {
                return Err(gone());
            }
            buffer = &mut buffer[n..];
        }
        Ok(())
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match socket::receive_some(self.socket.as_fd(), buffer) {
                Ok(n) => {
                    self.bytes += n as u64;
                    return Ok(n);
                }
                Err(Errno::EAGAIN) => self.wait(false).map(drop)?,
                Err(Errno::ECONNRESET | Errno::EPIPE) => return Err(gone()),
                Err(errno) => {
                    let doing = "receive from the other side of the migration";
                    return Err(Error::os(Kind::System, doing, errno as i32));
                }
            }
        }
    }
}

fn gone() -> Error {
    Error::new(Kind::System, "the other side of the migration is gone")
}

/// More than the receiver allows.
pub(crate) fn too_much() -> Error {
    Error::new(Kind::System, "store what comes: it is more than the limit")
}

/// That it is over, and why: the text as it fits into a frame, whatever it quotes.
fn failed(error: &Error) -> Message {
    const MOST: usize = 16 << 10;
    let message = error.to_string().chars().take(MOST).collect();
    Message::Failed { code: error.kind().code(), message }
}

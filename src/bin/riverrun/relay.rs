//! Bytes between the caller's streams and the master of a container's terminal, nothing lost and nobody waited for.
//!
//! One step at a time: [`Relay::interests`] says which descriptors to poll for what, [`Relay::step`] moves what can be
//! moved. Each direction has one buffer, and is read from only when the buffer is empty; so a reader that stops
//! reading stops the writer, and there is no spinning in between.
//!
//! The end: once the process has exited, what it wrote lies in the kernel, which holds back a writer at 64 KiB and a
//! line buffer. So a bounded number of bytes more is read, or fewer if the terminal runs dry: enough for all that the
//! process wrote, and no hang on a grandchild that keeps the terminal and goes on writing.
#![forbid(unsafe_code)]

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;
use nix::unistd::{read, write};

/// A pty gives no more than this at once; and a pipe that polls writable takes this much without blocking.
const CHUNK: usize = 4096;
/// More than the kernel holds for one direction of a pty.
const LEFT_BY_THE_DEAD: usize = 256 * 1024;

/// The three ends of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The caller's standard input.
    Input,
    /// The caller's standard output.
    Output,
    /// The master of the container's terminal.
    Console,
}

/// Copies between a terminal's master and the caller's standard input and output.
#[derive(Debug)]
pub(crate) struct Relay<'a> {
    console: BorrowedFd<'a>,
    input: Option<OwnedFd>,
    output: Option<OwnedFd>,
    typed: Buffer,
    printed: Buffer,
    /// Nobody in the container has the terminal open at the moment.
    hung_up: bool,
    /// How much more to read, once the process has exited.
    budget: Option<usize>,
}

impl<'a> Relay<'a> {
    /// A relay between `console` and standard input and output.
    pub(crate) fn new(console: BorrowedFd<'a>) -> io::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(console, FcntlArg::F_GETFL)?);
        fcntl(console, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        let (input, output) = (io::stdin(), io::stdout());
        Ok(Self {
            console,
            input: Some(unblocking(input.as_fd(), input.is_terminal(), false)?),
            output: Some(unblocking(output.as_fd(), output.is_terminal(), true)?),
            typed: Buffer::new(),
            printed: Buffer::new(),
            hung_up: false,
            budget: None,
        })
    }

    /// What to poll for. An end that is not named is not to be polled: it might be ready for ever.
    pub(crate) fn interests(&self) -> Vec<(End, BorrowedFd<'_>, PollFlags)> {
        let mut interests = Vec::with_capacity(3);
        if let Some(input) = self.input.as_ref().filter(|_| self.typed.is_empty() && self.budget.is_none()) {
            interests.push((End::Input, input.as_fd(), PollFlags::POLLIN));
        }
        if let Some(output) = self.output.as_ref().filter(|_| !self.printed.is_empty()) {
            interests.push((End::Output, output.as_fd(), PollFlags::POLLOUT));
        }
        let mut events = PollFlags::empty();
        events.set(PollFlags::POLLIN, self.printed.is_empty());
        events.set(PollFlags::POLLOUT, !self.typed.is_empty());
        if !self.hung_up && !events.is_empty() {
            interests.push((End::Console, self.console, events));
        }
        interests
    }

    /// Whether to look again soon without being told: a process may open a terminal anew that all had closed, and
    /// nothing tells its master.
    pub(crate) fn must_look_again(&self) -> bool {
        self.hung_up && self.budget.is_none()
    }

    /// The process has exited: from now on only its last words count.
    pub(crate) fn process_exited(&mut self) {
        self.budget.get_or_insert(LEFT_BY_THE_DEAD);
        self.hung_up = false;
    }

    /// Whether all has been copied that there ever will be.
    pub(crate) fn finished(&self) -> bool {
        self.printed.is_empty() && (self.budget == Some(0) || (self.budget.is_some() && self.hung_up))
    }

    /// Moves what can be moved at the ends that are ready.
    pub(crate) fn step(&mut self, ready: &[End]) {
        if ready.contains(&End::Input) {
            self.read_input();
        }
        if ready.contains(&End::Console) || self.hung_up || self.budget.is_some() {
            self.write_console();
            self.read_console();
        }
        if ready.contains(&End::Output) {
            self.write_output();
        }
        if self.output.is_none() {
            self.printed.clear();
        }
    }

    fn read_input(&mut self) {
        let Some(input) = &self.input else { return };
        match self.typed.fill(input.as_fd()) {
            // The end of the input is not the end of the session: the program may have more to say.
            Ok(0) => self.input = None,
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.input = None,
        }
    }

    fn write_console(&mut self) {
        // With nobody there to read it, what was typed waits.
        if !self.typed.is_empty() && self.typed.drain(self.console).is_err_and(is_final) {
            self.hung_up = true;
        }
    }

    fn read_console(&mut self) {
        if !self.printed.is_empty() || self.budget == Some(0) {
            return;
        }
        match self.printed.fill(self.console) {
            Ok(count) if count > 0 => {
                self.hung_up = false;
                self.budget = self.budget.map(|left| left.saturating_sub(count));
            }
            Err(Errno::EINTR) => {}
            // After the exit a dry terminal is an empty one: the kernel hands all that was written to a reader
            // before it says EAGAIN.
            Err(Errno::EAGAIN) => self.budget = self.budget.map(|_| 0),
            // EIO: every other side is closed.
            Ok(_) | Err(_) => self.hung_up = true,
        }
    }

    fn write_output(&mut self) {
        let Some(output) = &self.output else { return };
        if self.printed.drain(output.as_fd()).is_err_and(is_final) {
            // Nobody reads any more; the container must not be held up by that.
            self.output = None;
        }
    }
}

fn is_final(error: Errno) -> bool {
    !matches!(error, Errno::EAGAIN | Errno::EINTR)
}

/// A descriptor for the same terminal or pipe that does not block. `O_NONBLOCK` belongs to the open file, which the
/// caller's other processes share, so it is opened anew; what cannot be is used as it is, in pieces that do not block
/// after poll.
fn unblocking(stream: BorrowedFd<'_>, terminal: bool, writable: bool) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
    // A regular file opened anew would lose its position.
    if terminal || fs::metadata(&path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        if let Ok(file) = OpenOptions::new().read(!writable).write(writable).custom_flags(flags).open(&path) {
            return Ok(file.into());
        }
    }
    stream.try_clone_to_owned()
}

/// Bytes that were read and are not yet written.
#[derive(Debug)]
struct Buffer {
    bytes: Box<[u8; CHUNK]>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: Box::new([0; CHUNK]), start: 0, end: 0 }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Reads into the empty buffer.
    fn fill(&mut self, from: BorrowedFd<'_>) -> Result<usize, Errno> {
        let count = read(from, &mut self.bytes[..])?;
        (self.start, self.end) = (0, count);
        Ok(count)
    }

    /// Writes what the other side takes.
    fn drain(&mut self, to: BorrowedFd<'_>) -> Result<(), Errno> {
        self.start += write(to, &self.bytes[self.start..self.end])?;
        Ok(())
    }
}

//! A process by its pidfd: waiting, signals, the terminal.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use super::deadline::Deadline;
use super::options::{Call, WindowSize};
use crate::error::{Error, Kind, Result};
use crate::state::time::now_ns;
use crate::sys::{self, Errno, pidfd, tty};
use crate::wording;

/// A process of a container. Every handle on it sees the same exit.
#[derive(Clone, Debug)]
pub struct Process {
    life: Arc<Life>,
    /// Closed with the last handle that a caller has: what the process writes to must not stay open without a reader.
    streams: Arc<Streams>,
}

/// What all handles share, those of the context's own list included.
#[derive(Debug)]
struct Life {
    pid: i32,
    pidfd: OwnedFd,
    exit: Mutex<Option<Exit>>,
}

#[derive(Debug, Default)]
struct Streams {
    console: Option<OwnedFd>,
    pipes: Mutex<[Option<OwnedFd>; 3]>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// What it returned, if no signal ended it.
    pub code: i32,
    /// The signal that ended it, or 0.
    pub signal: i32,
    /// Whether it left a core.
    pub core_dumped: bool,
    /// It ended, and somebody else took the status: `code` and `signal` say nothing.
    pub status_lost: bool,
    /// When its end was seen, in nanoseconds since 1970.
    pub exited_ns: i64,
}

impl Exit {
    /// The status as a shell gives it: the code, or 128 and the signal.
    #[must_use]
    pub fn shell_status(&self) -> i32 {
        if self.signal == 0 { self.code } else { 128 + self.signal }
    }
}

impl Process {
    pub(super) fn new(
        pid: i32,
        pidfd: OwnedFd,
        console: Option<OwnedFd>,
        pipes: [Option<OwnedFd>; 3],
    ) -> Self {
        let streams = Streams { console, pipes: Mutex::new(pipes) };
        Self { life: Arc::new(Life { pid, pidfd, exit: Mutex::new(None) }), streams: Arc::new(streams) }
    }

    /// The process with this number, if it is still the one that started then.
    pub(super) fn open(pid: i32, start_time: u64) -> Result<Self> {
        let not_running = || Error::new(Kind::NotRunning, wording::NOT_RUNNING);
        let pidfd = match pidfd::open(pid) {
            Err(Errno::ESRCH) => return Err(not_running()),
            opened => opened.map_err(|errno| Error::os(Kind::System, "open pidfd", errno as i32))?,
        };
        // Asked after the pidfd was opened: from here on the number cannot be somebody else's.
        match sys::process::stat(pid) {
            Some(stat) if stat.start_time == start_time => {
                Ok(Self::new(pid, pidfd, None, Default::default()))
            }
            _ => Err(not_running()),
        }
    }

    /// The pid as the host sees it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.life.pid
    }

    /// Readable once the process has ended.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.life.pidfd.as_fd()
    }

    /// The master of its terminal, if it has one and it was not sent to a console socket.
    #[must_use]
    pub fn console(&self) -> Option<BorrowedFd<'_>> {
        self.streams.console.as_ref().map(AsFd::as_fd)
    }

    /// The host's end of the pipe on stream 0, 1 or 2; the caller's from then on.
    #[must_use]
    pub fn take_pipe(&self, stream: usize) -> Option<OwnedFd> {
        self.streams.pipes.lock().unwrap_or_else(PoisonError::into_inner).get_mut(stream)?.take()
    }

    /// Waits until it has ended. Any number of threads may wait, any number of times.
    ///
    /// # Errors
    /// [`Kind::Timeout`] and [`Kind::Cancelled`] as the call says.
    pub fn wait(&self, call: Call<'_>) -> Result<Exit> {
        if let Some(exit) = self.seen() {
            return Ok(exit);
        }
        Deadline::new(call).readable(self.pidfd(), "wait for process")?;
        let mut known = self.life.exit.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(exit) = *known {
            return Ok(exit);
        }
        // Reaped here if it is our child; a host that reaps everything, or one that is not its parent, asks the kernel
        // what is left to ask.
        let ended = match pidfd::try_wait(self.pidfd()) {
            Ok(Some(ended)) => Some(ended),
            _ => self.exit_told_by_the_kernel(),
        };
        let exit = Exit {
            code: ended.map_or(0, |ended| ended.code),
            signal: ended.map_or(0, |ended| ended.signal),
            core_dumped: ended.is_some_and(|ended| ended.core_dumped),
            status_lost: ended.is_none(),
            exited_ns: now_ns(),
        };
        Ok(*known.insert(exit))
    }

    /// Without a right to wait: its parent has done so, or has not yet, or does so just now.
    fn exit_told_by_the_kernel(&self) -> Option<pidfd::Ended> {
        let reaped = || pidfd::exit_of_reaped(self.pidfd());
        reaped().or_else(|| pidfd::exit_of_zombie(self.pidfd(), self.life.pid)).or_else(reaped)
    }

    /// Takes note of the exit if there is one, without waiting: a zombie of ours is gone then.
    pub(super) fn has_ended(&self) -> bool {
        let now = Call { timeout: Some(std::time::Duration::ZERO), cancel: None };
        self.wait(now).is_ok()
    }

    /// Another handle on the same process that keeps none of its streams open.
    pub(super) fn without_streams(&self) -> Self {
        Self { life: Arc::clone(&self.life), streams: Arc::default() }
    }

    /// Whether only one handle is left.
    pub(super) fn is_last_handle(&self) -> bool {
        Arc::strong_count(&self.life) == 1
    }

    fn seen(&self) -> Option<Exit> {
        *self.life.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a signal, by pidfd.
    ///
    /// # Errors
    /// [`Kind::NotRunning`] if it has ended, [`Kind::InvalidArgument`] for a number that is no signal.
    pub fn signal(&self, signal: i32) -> Result<()> {
        match pidfd::send_signal(self.pidfd(), signal) {
            Ok(()) => Ok(()),
            Err(Errno::ESRCH) => Err(Error::new(Kind::NotRunning, wording::NOT_RUNNING)),
            Err(Errno::EINVAL) => Err(Error::new(Kind::InvalidArgument, format!("{signal} is not a signal"))),
            Err(errno) => Err(Error::os(Kind::Permission, format!("send signal {signal}"), errno as i32)),
        }
    }

    /// Sets the size of its terminal.
    ///
    /// # Errors
    /// [`Kind::Console`] if it has none here.
    pub fn resize(&self, window: WindowSize) -> Result<()> {
        let console =
            self.console().ok_or_else(|| Error::new(Kind::Console, "the process has no terminal here"))?;
        tty::set_size(console, window.rows, window.cols)
            .map_err(|errno| Error::os(Kind::Console, "resize terminal", errno as i32))
    }
}

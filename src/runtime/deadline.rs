//! How long a call may wait, and what ends it early: a [`Call`] with its clock running.
#![forbid(unsafe_code)]

use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::options::Call;
use crate::error::{Error, Kind, Result};
use crate::sys::poll;

/// A call that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline<'fd> {
    until: Option<Instant>,
    cancel: Option<BorrowedFd<'fd>>,
}

impl<'fd> Deadline<'fd> {
    pub(crate) fn new(call: Call<'fd>) -> Self {
        // A time that the clock cannot hold is for ever.
        let until = call.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Self { until, cancel: call.cancel }
    }

    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    pub(crate) fn cancel(&self) -> Option<BorrowedFd<'fd>> {
        self.cancel
    }

    /// Waits until `fd` is readable.
    pub(crate) fn readable(&self, fd: BorrowedFd<'_>, doing: &str) -> Result<()> {
        self.any_readable(vec![fd], doing).map(drop)
    }

    /// The same for a `fd` that is read next and blocks: without an end the read does the waiting.
    pub(crate) fn before_read(&self, fd: BorrowedFd<'_>, doing: &str) -> Result<()> {
        if self.until.is_none() && self.cancel.is_none() { Ok(()) } else { self.readable(fd, doing) }
    }

    /// Waits until one of `fds` is readable: its index.
    pub(crate) fn any_readable<'a>(&'a self, mut fds: Vec<BorrowedFd<'a>>, doing: &str) -> Result<usize> {
        let known = fds.len();
        fds.extend(self.cancel);
        match poll::readable(&fds, self.until) {
            Ok(Some(index)) if index < known => Ok(index),
            Ok(Some(_)) => Err(Error::new(Kind::Cancelled, "cancelled").during(doing)),
            Ok(None) => Err(Error::new(Kind::Timeout, "timed out").during(doing)),
            Err(errno) => Err(Error::os(Kind::System, doing, errno as i32)),
        }
    }
}

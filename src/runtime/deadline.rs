//! How long a call may wait, and what ends it early: a [`Call`] with its clock running.
#![forbid(unsafe_code)]

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::options::Call;
use crate::error::{Error, Kind, Result};
use crate::state::directory::Directory;
use crate::sys::poll;

/// How long a call without a deadline waits for another that holds a container's lock.
const LOCK_DEADLINE: Duration = Duration::from_secs(10);
/// How long until the lock, or whatever else tells nobody of its change, is looked at again.
const PAUSE: Duration = Duration::from_millis(1);

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

    /// The same at the beginning of a verb: one that is cancelled already does nothing.
    pub(crate) fn begin(call: Call<'fd>, doing: &str) -> Result<Self> {
        call.not_cancelled(doing)?;
        Ok(Self::new(call))
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

    /// A moment in which nothing is to be heard of; an error once the call is to end.
    pub(crate) fn pause(&self, doing: &str) -> Result<()> {
        let moment = Instant::now() + PAUSE;
        match poll::readable(
            self.cancel.as_slice(),
            Some(self.until.map_or(moment, |until| until.min(moment))),
        ) {
            Ok(Some(_)) => Err(Error::new(Kind::Cancelled, "cancelled").during(doing)),
            Ok(None) if self.until.is_some_and(|until| until <= Instant::now()) => {
                Err(Error::new(Kind::Timeout, "timed out").during(doing))
            }
            Ok(None) => Ok(()),
            Err(errno) => Err(Error::os(Kind::System, doing, errno as i32)),
        }
    }

    /// Takes the lock that every changing call holds, until the directory is dropped.
    pub(crate) fn lock(&self, directory: &Directory) -> Result<()> {
        let patience = Instant::now() + LOCK_DEADLINE;
        while !directory.try_lock()? {
            if self.until.is_none() && patience <= Instant::now() {
                return Err(directory.busy());
            }
            self.pause("wait for another call on the container")?;
        }
        Ok(())
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

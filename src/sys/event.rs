//! Descriptors that become readable: epoll(7), eventfd(2), timerfd_create(2), inotify(7). All close-on-exec and
//! non-blocking.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, WatchDescriptor};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::{Errno, Result};

/// Several descriptors behind one, which is readable as long as one of them is.
#[derive(Debug)]
pub(crate) struct Poller(Epoll);

impl Poller {
    pub(crate) fn new() -> Result<Self> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Watches `fd`, which is ready when it is readable; with `urgent`, when it has urgent data (a file of cgroupfs has
    /// when it changed since it was read).
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, token: u64, urgent: bool) -> Result {
        let flags = if urgent { EpollFlags::EPOLLPRI } else { EpollFlags::EPOLLIN };
        self.0.add(fd, EpollEvent::new(flags, token))
    }

    /// Watches it no more.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> Result {
        self.0.delete(fd)
    }

    /// The tokens of those that are ready now.
    pub(crate) fn ready(&self) -> Result<Vec<u64>> {
        let mut events = [EpollEvent::empty(); 16];
        let count = match self.0.wait(&mut events, EpollTimeout::ZERO) {
            Err(Errno::EINTR) => 0,
            count => count?,
        };
        Ok(events.iter().take(count).map(EpollEvent::data).collect())
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

/// A counter that makes itself readable.
#[derive(Debug)]
pub(crate) struct Signal(EventFd);

impl Signal {
    pub(crate) fn new() -> Result<Self> {
        EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map(Self)
    }

    pub(crate) fn raise(&self) -> Result {
        self.0.write(1).map(drop)
    }

    /// How often it was raised since.
    pub(crate) fn clear(&self) -> u64 {
        // Nothing else can go wrong than that it was not raised.
        self.0.read().unwrap_or_default()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// The number, for `cgroup.event_control`.
    pub(crate) fn number(&self) -> i32 {
        self.0.as_fd().as_raw_fd()
    }
}

/// Readable when its time has come.
#[derive(Debug)]
pub(crate) struct Timer(TimerFd);

impl Timer {
    pub(crate) fn new() -> Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map(Self)
    }

    pub(crate) fn every(&self, interval: Duration) -> Result {
        let expiration = Expiration::Interval(TimeSpec::from_duration(interval));
        self.0.set(expiration, TimerSetTimeFlags::empty())
    }

    pub(crate) fn once(&self, after: Duration) -> Result {
        self.0.set(Expiration::OneShot(TimeSpec::from_duration(after)), TimerSetTimeFlags::empty())
    }

    /// Not readable until the next time.
    pub(crate) fn clear(&self) {
        let _ = nix::unistd::read(self.fd(), &mut [0; 8]);
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Readable when somebody wrote to one of the files, or the kernel changed it.
#[derive(Debug)]
pub(crate) struct Inotify(nix::sys::inotify::Inotify);

impl Inotify {
    pub(crate) fn new() -> Result<Self> {
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        nix::sys::inotify::Inotify::init(flags).map(Self)
    }

    pub(crate) fn watch(&self, file: &Path) -> Result<WatchDescriptor> {
        self.0.add_watch(file, AddWatchFlags::IN_MODIFY)
    }

    /// Reads all that was told so far.
    pub(crate) fn clear(&self) {
        // Ends with EAGAIN; which file it was the caller looks up for itself.
        while self.0.read_events().is_ok() {}
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_descriptor_is_readable_as_long_as_one_of_many_is() {
        let (poller, signal) = (Poller::new().unwrap(), Signal::new().unwrap());
        poller.add(signal.fd(), 7, false).unwrap();
        assert_eq!(poller.ready().unwrap(), [0_u64; 0]);
        signal.raise().unwrap();
        signal.raise().unwrap();
        assert_eq!(poller.ready().unwrap(), [7]);
        assert_eq!(poller.ready().unwrap(), [7], "it is level-triggered");
        assert_eq!((signal.clear(), signal.clear()), (2, 0));
        assert_eq!(poller.ready().unwrap(), [0_u64; 0]);
    }
}

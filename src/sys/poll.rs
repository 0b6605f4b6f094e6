//! Waiting for descriptors, with a deadline.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::{Errno, Result};

/// ppoll(2) until one of `fds` is readable (or has hung up): its index. `None`: the deadline passed.
pub(crate) fn readable(fds: &[BorrowedFd<'_>], until: Option<Instant>) -> Result<Option<usize>> {
    ready(fds, None, until)
}

/// The same, or until `out` can be written to, whose index is after the others'.
pub(crate) fn ready(
    fds: &[BorrowedFd<'_>],
    out: Option<BorrowedFd<'_>>,
    until: Option<Instant>,
) -> Result<Option<usize>> {
    let entry = |fd: &BorrowedFd<'_>, events| libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    let mut polled: Vec<libc::pollfd> = fds.iter().map(|fd| entry(fd, libc::POLLIN)).collect();
    polled.extend(out.iter().map(|fd| entry(fd, libc::POLLOUT)));
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        match ppoll(&mut polled, left) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(polled.iter().position(|entry| entry.revents != 0)),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn ppoll(fds: &mut [libc::pollfd], timeout: Option<Duration>) -> Result<i32> {
    let time = timeout.map(|left| libc::timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the slice is valid for its length, the time is NULL or valid; the signal mask stays.
    Errno::result(unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as _, time, std::ptr::null()) })
}

/// Whether `fd` has urgent data now. What is gone has none.
pub(crate) fn urgent(fd: BorrowedFd<'_>) -> bool {
    let mut polled = [libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLPRI, revents: 0 }];
    ppoll(&mut polled, Some(Duration::ZERO)).is_ok()
        && polled[0].revents & (libc::POLLPRI | libc::POLLERR) == libc::POLLPRI
}

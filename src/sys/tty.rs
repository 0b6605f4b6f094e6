//! Terminals: the window size.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::{Errno, Result};

/// ioctl TIOCSWINSZ (ioctl_tty(2)).
pub(crate) fn set_size(tty: BorrowedFd<'_>, rows: u16, cols: u16) -> Result {
    let size = libc::winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request reads a winsize.
    Errno::result(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }).map(drop)
}

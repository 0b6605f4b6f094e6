//! The caller's terminal while a container's terminal is connected to it: its size, raw mode, and the way back.
//!
//! The way back is a guard: it is taken on every return and on a panic. Death by a signal cannot pass it, because the
//! signals that could kill are blocked and read as data for as long as the guard lives; see `foreground`.
#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::sys::termios::{OutputFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use riverrun::WindowSize;

use crate::failure::{Failure, io_failure};

/// The caller's terminal.
#[derive(Debug)]
pub(crate) struct HostTerminal(OwnedFd);

impl HostTerminal {
    /// The terminal behind one of the three streams, or the controlling terminal if all are redirected.
    pub(crate) fn find() -> Result<Self, Failure> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let streams = [stderr.as_fd(), stdout.as_fd(), stdin.as_fd()];
        if let Some(stream) = streams.into_iter().find(IsTerminal::is_terminal) {
            let fd =
                stream.try_clone_to_owned().map_err(|error| io_failure("duplicate the terminal", &error))?;
            return Ok(Self(fd));
        }
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open("/dev/tty")
            .map(|file| Self(file.into()))
            .map_err(|error| io_failure("open /dev/tty", &error))
    }

    /// Its size, unless it has none.
    pub(crate) fn size(&self) -> Option<WindowSize> {
        let size = rustix::termios::tcgetwinsize(&self.0).ok()?;
        (size.ws_row > 0 && size.ws_col > 0).then_some(WindowSize { rows: size.ws_row, cols: size.ws_col })
    }

    /// Lets every key through to the container, until the guard is dropped. With `line_ends` this side still makes
    /// "\r\n" of "\n".
    pub(crate) fn raw(&self, line_ends: bool) -> Result<RawMode<'_>, Failure> {
        let fail = |error: nix::Error| io_failure("set the terminal to raw mode", &error.into());
        let saved = tcgetattr(&self.0).map_err(fail)?;
        let mut raw = saved.clone();
        cfmakeraw(&mut raw);
        raw.output_flags.set(OutputFlags::OPOST, line_ends);
        tcsetattr(&self.0, SetArg::TCSANOW, &raw).map_err(fail)?;
        Ok(RawMode { terminal: self, saved })
    }
}

/// The caller's terminal is raw for as long as this lives.
#[must_use = "the terminal is put back when this is dropped"]
#[derive(Debug)]
pub(crate) struct RawMode<'a> {
    terminal: &'a HostTerminal,
    saved: Termios,
}

impl Drop for RawMode<'_> {
    fn drop(&mut self) {
        // If the terminal is gone, so is the need.
        let _ = tcsetattr(&self.terminal.0, SetArg::TCSANOW, &self.saved);
    }
}

/// Keeps the container's terminal from making "\r\n" of "\n": the caller's terminal does that already.
pub(crate) fn clear_onlcr(master: BorrowedFd<'_>) -> Result<(), Failure> {
    let fail = |error: nix::Error| io_failure("set up the container's terminal", &error.into());
    let mut modes = tcgetattr(master).map_err(fail)?;
    modes.output_flags.remove(OutputFlags::ONLCR);
    tcsetattr(master, SetArg::TCSANOW, &modes).map_err(fail)
}

//! Ctrl-C while something is being made: the call is cancelled, what it made is taken back, and the exit status is
//! that of a program which the signal killed.
//!
//! The signals are blocked and read as data, since death in the middle would leave half a container. A signal that the
//! caller ignores (nohup) is left alone: a blocked one would arrive all the same.
#![forbid(unsafe_code)]

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use riverrun::{Call, Error, Kind};

use crate::failure::{FAILED, Failure, io_failure};

const SIGNALS: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// The signals that ask a program to end, as data.
#[derive(Debug)]
pub(crate) struct Ending(SignalFd);

impl Ending {
    /// Blocks them, until the program ends.
    pub(crate) fn block() -> Result<Self, Failure> {
        let fail = |error: Errno| io_failure("block signals", &error.into());
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = ignored(&status);
        let mask: SigSet =
            SIGNALS.into_iter().filter(|signal| ignored & (1 << (*signal as i32 - 1)) == 0).collect();
        mask.thread_block().map_err(fail)?;
        SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map(Self).map_err(fail)
    }

    /// A call that one of them cancels.
    pub(crate) fn call(&self) -> Call<'_> {
        Call { cancel: Some(self.fd()), ..Call::default() }
    }

    /// Readable once there is one.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// The next one that has arrived.
    pub(crate) fn signal(&self) -> Option<i32> {
        let info = self.0.read_signal().ok().flatten()?;
        i32::try_from(info.ssi_signo).ok()
    }

    /// Why a call did not succeed; the status of a cancelled one is the signal's.
    pub(crate) fn failure(&self, error: Error) -> Failure {
        let signal = if error.kind() == Kind::Cancelled { self.signal() } else { None };
        let status = signal.and_then(|signal| u8::try_from(128 + signal).ok());
        Failure { status: status.unwrap_or(FAILED), ..error.into() }
    }
}

/// The mask of the signals that a process ignores, from its `status` in proc(5).
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status() {
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000000001\nSigCgt:\t0\n"), 1);
        assert_eq!(ignored(""), 0);
    }
}

//! Staying with a process: signals are passed on to it, its terminal is relayed, orphans are reaped, and its exit is
//! waited for. One thread, one poll loop.
//!
//! The signals are blocked before the container is made and read from a signalfd. So one that arrives while the
//! container is being made is passed on as soon as there is a process, and none can kill this program while the
//! caller's terminal is raw. They stay blocked: what is pending at the end must not replace the exit status.
#![forbid(unsafe_code)]

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::{Pid, getpid};
use riverrun::{Call, Exit, Process};

use crate::failure::{Failure, io_failure};
use crate::notify::Notify;
use crate::relay::{End, Relay};
use crate::terminal::{HostTerminal, clear_onlcr};

/// How often a terminal that everybody closed is looked at again, in milliseconds.
const LOOK_AGAIN: u8 = 100;

/// The signals of this process, as data.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks all signals. With a terminal, the two that stop a background job which touches it are left to the
    /// kernel: `riverrun run … &` is to stop like any other program.
    pub(crate) fn block(terminal: bool) -> Result<Self, Failure> {
        let fail = |error: Errno| io_failure("block signals", &error.into());
        let mut mask = SigSet::all();
        if terminal {
            mask.remove(Signal::SIGTTIN);
            mask.remove(Signal::SIGTTOU);
        }
        mask.thread_block().map_err(fail)?;
        SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map(Self).map_err(fail)
    }
}

/// Makes this process the parent of the container's orphans, which it then reaps.
pub(crate) fn become_subreaper() -> Result<(), Failure> {
    nix::sys::prctl::set_child_subreaper(true)
        .map_err(|error| io_failure("become a child subreaper", &error.into()))
}

/// Connects the process's terminal, if it has one, to the caller's, passes on what it says of itself, lets a created process `start` and follows it to
/// its end. The caller's terminal is as it was when this returns.
pub(crate) fn attend(
    signals: &Signals,
    process: &Process,
    host: Option<&HostTerminal>,
    notify: Option<Notify>,
    start: Option<&dyn Fn() -> Result<(), Failure>>,
) -> Result<Exit, Failure> {
    let start_now = || start.map_or(Ok(()), |start| start());
    let Some(host) = host else {
        start_now()?;
        let terminal = None;
        return Follower { signals, process, terminal, notify, exited: false, given_up: false }.follow();
    };
    let master = process.console().ok_or("use the process's terminal: the runtime has not kept it")?;
    // One side makes "\r\n" of "\n". COMPAT(runc): it is ours, so that output into a pipe has plain line ends. A process
    // that runs already may have saved the modes that it will restore, so its side is left alone if it can be.
    let line_ends = start.is_some() || !io::stdout().is_terminal();
    if line_ends {
        clear_onlcr(master)?;
    }
    let relay = Relay::new(master).map_err(|error| io_failure("relay the terminal", &error))?;
    let _raw = host.raw(line_ends)?;
    start_now()?;
    let terminal = Some((host, relay));
    Follower { signals, process, terminal, notify, exited: false, given_up: false }.follow()
}

/// A process that is followed to its end, with the terminals that are relayed.
#[derive(Debug)]
struct Follower<'a> {
    signals: &'a Signals,
    process: &'a Process,
    terminal: Option<(&'a HostTerminal, Relay<'a>)>,
    notify: Option<Notify>,
    exited: bool,
    given_up: bool,
}

impl Follower<'_> {
    /// Returns once the process has exited and its last words are out.
    ///
    /// The first size went with the options, where the configuration names none: no resize here, which would come while
    /// the program runs already. What changed since it was asked for is a SIGWINCH that waits in `signals`.
    fn follow(mut self) -> Result<Exit, Failure> {
        while !self.finished() {
            self.turn().map_err(|error| io_failure("follow the process", &error))?;
        }
        let exit = self.process.wait(Call::default())?;
        self.reap();
        Ok(exit)
    }

    fn finished(&self) -> bool {
        let silent = self.terminal.as_ref().is_none_or(|(_, relay)| relay.finished());
        self.exited && (silent || self.given_up)
    }

    /// One turn of the loop: wait until something is ready, then see to it.
    fn turn(&mut self) -> io::Result<()> {
        let mut interests = Vec::new();
        let mut timeout = PollTimeout::NONE;
        if let Some((_, relay)) = &self.terminal {
            interests = relay.interests();
            if relay.must_look_again() {
                timeout = PollTimeout::from(LOOK_AGAIN);
            }
        }
        if self.exited && !interests.iter().any(|(end, ..)| *end == End::Output) {
            timeout = PollTimeout::ZERO; // Nothing to wait for: what the dead process wrote is there already.
        }
        let mut fds = vec![PollFd::new(self.signals.0.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.notify.as_ref().map(|notify| PollFd::new(notify.fd(), PollFlags::POLLIN)));
        let first = fds.len();
        fds.extend(interests.iter().map(|(_, fd, events)| PollFd::new(*fd, *events)));
        if !self.exited {
            fds.push(PollFd::new(self.process.pidfd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => return Ok(()),
            other => other?,
        };
        let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        let ready: Vec<End> = interests
            .iter()
            .zip(&fds[first..])
            .filter(|(_, fd)| is_ready(fd))
            .map(|((end, ..), _)| *end)
            .collect();
        let exited = self.exited || fds.last().is_some_and(is_ready);
        let signalled = fds.first().is_some_and(is_ready);
        if let Some(notify) = &mut self.notify {
            notify.pass_on(getpid().as_raw());
        }
        if signalled {
            self.pass_signals()?;
        }
        if let Some((_, relay)) = &mut self.terminal {
            if exited {
                relay.process_exited();
            }
            relay.step(&ready);
        }
        self.exited = exited;
        Ok(())
    }

    fn pass_signals(&mut self) -> io::Result<()> {
        const SIGCHLD: i32 = Signal::SIGCHLD as i32;
        const SIGURG: i32 = Signal::SIGURG as i32;
        const SIGWINCH: i32 = Signal::SIGWINCH as i32;
        const SIGPIPE: i32 = Signal::SIGPIPE as i32;
        while let Some(info) = self.signals.0.read_signal()? {
            match i32::try_from(info.ssi_signo).unwrap_or_default() {
                SIGCHLD => self.reap(),
                SIGURG => {}
                SIGWINCH => self.resize(),
                // Our own, for a write that nobody reads; the write has told already.
                SIGPIPE if info.ssi_pid == getpid().as_raw().cast_unsigned() => {}
                signal if self.exited => self.given_up |= ends_waiting(signal),
                // The process may have gone this very moment; its exit is what is told then.
                signal => drop(self.process.signal(signal)),
            }
        }
        Ok(())
    }

    fn resize(&self) {
        if let Some((host, _)) = &self.terminal
            && let Some(size) = host.size()
        {
            drop(self.process.resize(size));
        }
    }

    /// Reaps the orphans that ended up here. The process itself is left to [`Process::wait`].
    fn reap(&self) {
        let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        while let Ok(status) = waitid(Id::All, peek) {
            match status.pid() {
                Some(pid) if pid != Pid::from_raw(self.process.pid()) => {
                    let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
                }
                _ => break,
            }
        }
    }
}

/// Whether a signal is meant to end this program where the process is gone and only its output is not out yet.
fn ends_waiting(signal: i32) -> bool {
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM].iter().any(|it| *it as i32 == signal)
}

//! sd_notify through the container: what its program tells the service manager of riverrun's own service.
//!
//! A container cannot reach the host's `$NOTIFY_SOCKET`, and systemd would not take a message from outside the unit's
//! cgroup. So the library makes a socket inside, and this reads it and says the same outside, with `MAINPID=` added to
//! `READY=1`: riverrun's own pid in the foreground, the container's otherwise. See sd_notify(3).
//!
//! COMPAT(runc): the same up to `READY=1` and the `BARRIER=1` after it. Beyond it, in the foreground, everything else that
//! a program says of its own state is passed on, so that STATUS, RELOADING, STOPPING and the watchdog work. What would
//! speak of other processes, or hands descriptors over, is not: MAINPID, NOTIFYACCESS, FDSTORE and the like. And a
//! restored program, which was ready in its former life and will not say so again, is told to be ready.
#![forbid(unsafe_code)]

use std::env;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::pipe2;
use riverrun::{Container, Process};

use crate::ending::Ending;
use crate::failure::{Failure, io_failure};

/// What a program may say of itself.
const PASSED: &[&str] = &[
    "READY",
    "RELOADING",
    "STOPPING",
    "STATUS",
    "ERRNO",
    "BUSERROR",
    "VARLINKERROR",
    "EXIT_STATUS",
    "WATCHDOG",
    "WATCHDOG_USEC",
    "EXTEND_TIMEOUT_USEC",
    "MONOTONIC_USEC",
];
/// More than systemd reads of one message.
const LONGEST: usize = 8192;
/// How long the service manager may take to read what it was sent, in milliseconds. COMPAT(runc).
const PATIENCE: u16 = 30_000;

/// Both ends.
#[derive(Debug)]
pub(crate) struct Notify {
    inside: UnixDatagram,
    outside: UnixDatagram,
    /// The program has said that it is ready.
    ready: bool,
    /// What the service manager's answer to the barrier after that is seen at.
    answer: Option<OwnedFd>,
}

/// Whether a service manager listens to this program.
pub(crate) fn wanted() -> bool {
    env::var_os("NOTIFY_SOCKET").is_some_and(|path| !path.is_empty())
}

/// `WATCHDOG_USEC` and `WATCHDOG_PID` for a program that is the first of its pid namespace, if this one is watched: only
/// in the foreground, since nobody is there otherwise who would pass a sign of life on.
pub(crate) fn watchdog(detach: bool) -> Vec<String> {
    watched()
        .filter(|_| !detach && wanted())
        .map_or_else(Vec::new, |usec| vec![format!("WATCHDOG_USEC={usec}"), "WATCHDOG_PID=1".to_owned()])
}

fn watched() -> Option<u64> {
    let usec = env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    let ours = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
    ours.then_some(usec)
}

/// The other side of the container's socket, where a service manager listens and the container has one.
pub(crate) fn between(container: &Container) -> Result<Option<Notify>, Failure> {
    Manager::find()?.map_or(Ok(None), |manager| manager.and(container))
}

/// The service manager.
#[derive(Debug)]
pub(crate) struct Manager(UnixDatagram);

impl Manager {
    /// The one that listens to this program, if there is one.
    pub(crate) fn find() -> Result<Option<Self>, Failure> {
        if !wanted() {
            return Ok(None);
        }
        let name = env::var("NOTIFY_SOCKET").map_err(|error| format!("read $NOTIFY_SOCKET: {error}"))?;
        let fail = |error| io_failure(&format!("connect to {name}"), &error);
        let outside = UnixDatagram::unbound().map_err(fail)?;
        match name.strip_prefix('@') {
            Some(abstract_name) => {
                outside.connect_addr(&SocketAddr::from_abstract_name(abstract_name).map_err(fail)?)
            }
            None => outside.connect(&name),
        }
        .map_err(fail)?;
        Ok(Some(Self(outside)))
    }

    /// Between it and a container that has a socket.
    pub(crate) fn and(self, container: &Container) -> Result<Option<Notify>, Failure> {
        let Some(inside) = container.notify_socket()? else { return Ok(None) };
        let inside = UnixDatagram::from(inside);
        inside.set_nonblocking(true).map_err(|error| io_failure("use the notify socket", &error))?;
        Ok(Some(Notify { inside, outside: self.0, ready: false, answer: None }))
    }
}

impl Notify {
    /// What to poll for reading.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.inside.as_fd()
    }

    /// Passes on until the process has said that it is ready, or has ended. COMPAT(runc): the end is no failure.
    /// Whoever wants this program to end means the service: the signal goes to the process.
    pub(crate) fn until_ready(mut self, process: &Process, ending: &Ending) -> Result<(), Failure> {
        let fail = |error: Errno| io_failure("wait for READY=1", &error.into());
        loop {
            let mut fds =
                [self.fd(), process.pidfd(), ending.fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                other => other.map_err(fail)?,
            };
            let ended = fds[1].any().unwrap_or(true);
            self.pass_on(process.pid());
            if self.ready {
                return self.until_read().map_err(fail);
            }
            if ended {
                return Ok(());
            }
            while let Some(signal) = ending.signal() {
                drop(process.signal(signal));
            }
        }
    }

    /// Passes on what is there; `main_pid` is who is told to be the service. A descriptor that comes along is closed by
    /// not being received: for a `BARRIER=1` that is the answer.
    pub(crate) fn pass_on(&mut self, main_pid: i32) {
        let mut message = [0; LONGEST];
        while let Ok(length) = self.inside.recv(&mut message) {
            let (text, ready) = passed(&message[..length], main_pid);
            if !text.is_empty() {
                // A service manager that went away is no reason to end what runs.
                let _ = self.say(&text, ready);
            }
        }
    }

    /// Says in the program's place that it is ready, and waits until that is read.
    pub(crate) fn say_ready(&mut self, main_pid: i32) -> Result<(), Failure> {
        let said = self.say(&passed(b"READY=1", main_pid).0, true);
        said.map_err(|error| io_failure("say READY=1", &error))?;
        self.until_read().map_err(|error| io_failure("wait until READY=1 is read", &error.into()))
    }

    /// COMPAT(runc): a barrier follows the first `READY=1`. Who stays with the process does not wait for the answer: it
    /// passes signals on meanwhile, and is there when the service manager reads.
    fn say(&mut self, text: &str, ready: bool) -> io::Result<()> {
        let first = ready && !self.ready;
        self.ready |= ready;
        self.outside.send(text.as_bytes())?;
        if first {
            self.answer = Some(self.barrier()?);
        }
        Ok(())
    }

    /// Waits until the service manager has read everything, since it drops what a process has sent that is gone.
    fn until_read(&self) -> Result<(), Errno> {
        let Some(answer) = &self.answer else { return Ok(()) };
        poll(&mut [PollFd::new(answer.as_fd(), PollFlags::empty())], PollTimeout::from(PATIENCE))?;
        Ok(())
    }

    /// Asks the service manager to close a descriptor when it has read everything before (sd_notify_barrier(3)): the
    /// other end of the one that is returned.
    fn barrier(&self) -> Result<OwnedFd, Errno> {
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC)?;
        let fds = [theirs.as_raw_fd()];
        let control = [ControlMessage::ScmRights(&fds)];
        sendmsg::<()>(
            self.outside.as_raw_fd(),
            &[IoSlice::new(b"BARRIER=1")],
            &control,
            MsgFlags::MSG_NOSIGNAL,
            None,
        )?;
        Ok(ours)
    }
}

/// What of a message is passed on, and whether it says that the program is ready.
fn passed(message: &[u8], main_pid: i32) -> (String, bool) {
    let message = String::from_utf8_lossy(message);
    let is_passed = |line: &&str| line.split_once('=').is_some_and(|(name, _)| PASSED.contains(&name));
    let lines: Vec<&str> = message.lines().filter(is_passed).collect();
    let mut text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let ready = lines.contains(&"READY=1");
    if ready {
        text += &format!("MAINPID={main_pid}\n");
    }
    (text, ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_program_says_of_itself_is_passed_on() {
        let (text, ready) = passed(b"STATUS=warm\nMAINPID=1\nFDSTORE=1\nREADY=1\nFDNAME=x\nnonsense", 7);
        assert_eq!((text.as_str(), ready), ("STATUS=warm\nREADY=1\nMAINPID=7\n", true));
        assert_eq!(passed(b"BARRIER=1", 7), (String::new(), false));
        assert_eq!(passed(b"WATCHDOG=1\n", 7), ("WATCHDOG=1\n".to_owned(), false));
        assert_eq!(passed(b"READY=0", 7), ("READY=0\n".to_owned(), false));
        assert_eq!(passed(b"\xff\n=\n", 7), (String::new(), false));
    }
}

//! The handshake with the init program, in types: each step consumes the one before, and dropping any of them kills.
//!
//! The protocol is drawn in `../wire.rs`. Results come over the socket and from pidfds; a host that reaps every child
//! does no harm.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::channel::Channel;
use super::context::Context;
use super::deadline::Deadline;
use super::hooks;
use super::io::Streams;
use super::options::{Call, HostHook, Level};
use super::start;
use crate::cgroup::apply::Entrances;
use crate::error::{Error, Kind, Result};
use crate::spec::Moment;
use crate::sys::clone::{self, Child, Program, Spawn, Stage};
use crate::sys::{Errno, pidfd, process, socket};
use crate::wire::{self, Hooks, InitPlan, Step, ToInit, ToRuntime};

/// What the clone needs beside the plan.
#[derive(Debug)]
pub(super) struct Birth<'a> {
    pub(super) program: BorrowedFd<'a>,
    pub(super) namespaces: u64,
    pub(super) entrances: &'a Entrances,
    pub(super) oom_score_adj: Option<i32>,
    /// The CPUs before a cgroup is joined, as in [`Spawn::affinity`].
    pub(super) affinity: &'a [u64],
    /// The user namespace has no map yet.
    pub(super) unmapped: bool,
    /// Nobody's child: as in [`Spawn::orphan`].
    pub(super) orphan: bool,
    /// Whether an ordinary user starts it, who may not lower the OOM score; and where that is told.
    pub(super) context: &'a Context,
}

/// What the init program may ask for on its way to `Ready`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// The source of this step.
    Tree(u32),
    /// The network devices.
    NetDevices,
    /// The hooks that prepare what the container will be in.
    Hooks,
    /// Somebody who answers for the seccomp listener with this number.
    Listener(i32),
}

/// Fulfils a wish of the process: the word that tells so, with a descriptor where it has one.
pub(super) type Errands<'a> = dyn FnMut(Wish, &Child) -> Result<(ToInit, Option<OwnedFd>)> + 'a;

/// As much of a plan as the socket's buffer surely takes before anybody reads.
const SURELY_BUFFERED: usize = 64 * 1024;

/// In the place of the pid of a process that nobody can be told of any more: no number that a system call takes for another.
const GONE: i32 = i32::MIN;
/// How long a killed process that is not ours may take to end.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// Executed, reading its plan.
#[must_use = "dropping it kills the process"]
#[derive(Debug)]
pub(super) struct Spawned(Guard);

/// Everything is done but the program.
#[must_use = "dropping it kills the process"]
#[derive(Debug)]
pub(super) struct Ready(Guard);

/// A message and the descriptor beside it.
type Said = (ToRuntime, Option<OwnedFd>);

/// A process that nobody has promised to keep.
#[derive(Debug)]
struct Guard {
    child: Option<Child>,
    /// It may not join its cgroup2 by itself.
    outside: bool,
    channel: Channel,
    console: Option<(OwnedFd, String)>,
    /// What was said before it was asked for.
    early: VecDeque<Said>,
    /// The plan has a hop, and the pidfd of the process that goes on has not come yet.
    moves: bool,
}

/// A process that stays.
#[derive(Debug)]
pub(super) struct Released {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
}

/// What a process is started with.
struct Birthing {
    channel: Channel,
    /// The other end, which the process has a copy of.
    theirs: Option<OwnedFd>,
    streams: Streams,
    encoded: Vec<u8>,
}

impl Birthing {
    fn new(plan: &InitPlan, mut streams: Streams, socket_number: i32) -> Result<Self> {
        let encoded =
            wire::encode(plan).ok_or_else(|| Error::new(Kind::Internal, "the plan is too long to send"))?;
        let (ours, theirs) =
            socket::pair().map_err(|errno| Error::os(Kind::System, "make socket pair", errno as i32))?;
        streams.add(theirs.as_fd(), socket_number);
        Ok(Self { channel: Channel::new(ours), theirs: Some(theirs), streams, encoded })
    }

    fn is_buffered(&self) -> bool {
        self.encoded.len() <= SURELY_BUFFERED
    }

    /// A plan that the socket holds need not wait for anybody who reads it.
    fn send_if_buffered(&self) {
        if self.is_buffered() {
            self.channel.send_encoded(&self.encoded);
        }
    }

    /// The process has its copies: whatever is still open here would hide that it closes them, and let us wait for nobody.
    fn release(&mut self) {
        self.theirs = None;
        self.streams = Streams::default();
        if !self.is_buffered() {
            self.channel.send_encoded(&self.encoded);
        }
    }

    fn born(self, (child, outside): (Child, bool), plan: &InitPlan) -> Spawned {
        let moves = plan.steps.contains(&Step::Hop);
        let early = VecDeque::new();
        Spawned(Guard { child: Some(child), outside, channel: self.channel, console: None, early, moves })
    }
}

impl Spawned {
    /// Clones and executes the init program. `streams` gets the program's socket as its last descriptor.
    pub(super) fn new(
        birth: &Birth<'_>,
        plan: &InitPlan,
        streams: Streams,
        socket_number: i32,
    ) -> Result<Self> {
        let mut birthing = Birthing::new(plan, streams, socket_number)?;
        birthing.send_if_buffered();
        let child = start(birth, &birthing.streams, socket_number)?;
        birthing.release();
        Ok(birthing.born(child, plan))
    }

    /// The same, and `work` beside it, with the new process's pid. Not for one that is told something before.
    pub(super) fn beside<T>(
        birth: &Birth<'_>,
        plan: &InitPlan,
        streams: Streams,
        socket_number: i32,
        work: impl FnOnce(i32) -> Result<T>,
    ) -> Result<(Self, T)> {
        let mut birthing = Birthing::new(plan, streams, socket_number)?;
        let resets = plan.steps.contains(&Step::ResetAffinity);
        let beside = |pid| {
            // The plan comes after this: it is what resets the affinity.
            if resets {
                process::send_to_another_cpu(pid);
            }
            birthing.send_if_buffered();
            work(pid)
        };
        let started = with_wanted(birth, &birthing.streams, socket_number, |wanted| {
            clone::spawn_beside(wanted, beside)
        });
        let (child, done) = started.map_err(|failure| told(birth, &failure))?;
        birthing.release();
        let spawned = birthing.born((child, false), plan);
        let done = done.ok_or_else(|| Error::new(Kind::Internal, "nothing was done beside the clone"))??;
        Ok((spawned, done))
    }

    pub(super) fn pid(&self) -> i32 {
        self.0.pid()
    }

    /// Whether somebody has to attach it to its cgroup2.
    pub(super) fn is_outside(&self) -> bool {
        self.0.outside
    }

    /// Waits until the init program is in its user namespace, where it is not born in it.
    pub(super) fn in_user_namespace(mut self, deadline: &Deadline<'_>) -> Result<Self> {
        match self.0.next(deadline)? {
            Some((ToRuntime::InUserNamespace, _)) => Ok(self),
            Some(_) => Err(Error::new(Kind::Internal, "unexpected message from the init program")),
            None => Err(self.0.died()),
        }
    }

    /// Waits until the process is known that goes on, where the one that was started hands over to a child.
    pub(super) fn moved(mut self, deadline: &Deadline<'_>) -> Result<Self> {
        let outcome = self.0.until_moved(deadline);
        self.0.caught(outcome)?;
        Ok(self)
    }

    /// Tells the init program that its ids are mapped.
    pub(super) fn mapped(self) -> Self {
        self.0.channel.send(ToInit::IdsMapped);
        self
    }

    /// Lets the init program join v1 cgroups.
    pub(super) fn join(self, tasks: &[OwnedFd]) -> Self {
        if !tasks.is_empty() {
            let tasks: Vec<BorrowedFd<'_>> = tasks.iter().map(AsFd::as_fd).collect();
            self.0.channel.send_with(ToInit::Cgroups, &tasks);
        }
        self
    }

    /// Lets a helping init program open the source of a step.
    pub(super) fn tree(&mut self, step: u32, deadline: &Deadline<'_>) -> Result<OwnedFd> {
        self.0.channel.send(ToInit::Open { step });
        match self.0.next(deadline)? {
            Some((ToRuntime::Opened, Some(tree))) => Ok(tree),
            _ => Err(Error::new(Kind::Internal, "unexpected message from the helping init program")),
        }
    }

    /// Waits until all is done but the program. `errands` answers what the init program asks for.
    pub(super) fn ready(mut self, deadline: &Deadline<'_>, errands: &mut Errands<'_>) -> Result<Ready> {
        let outcome = self.0.until_ready(deadline, errands);
        self.0.caught(outcome)?;
        Ok(Ready(self.0))
    }
}

impl Ready {
    pub(super) fn pid(&self) -> i32 {
        self.0.pid()
    }

    pub(super) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.0.child.as_ref().map(|child| child.pidfd.as_fd())
    }

    /// The master of the pty and the slave's name in the container.
    pub(super) fn take_console(&mut self) -> Option<(OwnedFd, String)> {
        self.0.console.take()
    }

    /// From here on the process is the container's: nothing kills it but what is asked for. It waits for `start`.
    pub(super) fn release(self) -> Result<Released> {
        self.go().disarm()
    }

    /// The same once its program is executed and `hooks` have succeeded; until then an error kills it.
    pub(super) fn execute(
        self,
        deadline: &Deadline<'_>,
        hooks: &[Hooks],
        host: Option<&HostHook>,
    ) -> Result<Released> {
        let guard = self.go();
        start::executed(&guard.channel, deadline)?;
        hooks::run(hooks, host, Moment::Poststart, guard.pid(), deadline)?;
        guard.disarm()
    }

    fn go(self) -> Guard {
        self.0.channel.send(ToInit::Go);
        self.0
    }
}

fn gone() -> Error {
    Error::new(Kind::Internal, "the process was released already")
}

impl Guard {
    fn disarm(mut self) -> Result<Released> {
        let child = self.child.take().ok_or_else(gone)?;
        Ok(Released { pid: child.pid, pidfd: child.pidfd })
    }

    fn pid(&self) -> i32 {
        self.child.as_ref().map_or(0, |child| child.pid)
    }

    fn next(&mut self, deadline: &Deadline<'_>) -> Result<Option<Said>> {
        if let Some(early) = self.early.pop_front() {
            return Ok(Some(early));
        }
        self.channel.expect(deadline, "wait for the init program")
    }

    /// The two who write may be heard in any order: `Ready` counts once `Moved` is there, too.
    fn until_ready(&mut self, deadline: &Deadline<'_>, errands: &mut Errands<'_>) -> Result<()> {
        let mut ready = false;
        let mut asked = None;
        while !ready || self.moves {
            match self.next(deadline)? {
                None => return Err(self.died()),
                Some((ToRuntime::Ready, _)) => ready = true,
                Some((ToRuntime::Console { name }, Some(master))) => self.console = Some((master, name)),
                Some((ToRuntime::Moved, Some(pidfd))) => self.moved(pidfd)?,
                Some((ToRuntime::Ask { step }, _)) => asked = Some(Wish::Tree(step)),
                Some((ToRuntime::Hooks, _)) => asked = Some(Wish::Hooks),
                Some((ToRuntime::NetDevices, _)) => asked = Some(Wish::NetDevices),
                Some((ToRuntime::Listening { fd }, _)) => asked = Some(Wish::Listener(fd)),
                Some(_) => {
                    return Err(Error::new(Kind::Internal, "unexpected message from the init program"));
                }
            }
            // Who asks is known by its pidfd, which may come later.
            if !self.moves
                && let Some(wish) = asked.take()
            {
                let child = self.child.as_ref().filter(|child| child.pid != GONE).ok_or_else(gone)?;
                let (word, descriptor) = errands(wish, child)?;
                let descriptor = descriptor.as_ref().map(AsFd::as_fd);
                self.channel.send_with(word, descriptor.as_slice());
            }
        }
        if self.pid() == GONE { Err(self.died()) } else { Ok(()) }
    }

    /// What the child that goes on says before the other has handed it over is kept for later.
    fn until_moved(&mut self, deadline: &Deadline<'_>) -> Result<()> {
        let mut early = VecDeque::new();
        while self.moves {
            match self.next(deadline)? {
                None => return Err(self.died()),
                Some((ToRuntime::Moved, Some(pidfd))) => self.moved(pidfd)?,
                Some(said) => early.push_back(said),
            }
        }
        self.early = early;
        Ok(())
    }

    /// Whatever went wrong, a child that hopped is ours to kill and to wait for: its pidfd is on the way.
    fn caught(&mut self, outcome: Result<()>) -> Result<()> {
        if outcome.is_err() && self.moves {
            let _ = self.catch();
        }
        outcome
    }

    /// Reads on to the pidfd, or to the end.
    fn catch(&mut self) -> Result<()> {
        let soon = Call { timeout: Some(Duration::from_secs(1)), cancel: None };
        let deadline = Deadline::new(soon);
        while self.moves {
            match self.next(&deadline) {
                Ok(Some((ToRuntime::Moved, Some(pidfd)))) => self.moved(pidfd)?,
                Ok(None) => break,
                Ok(Some(_)) => {}
                Err(error) if error.detail("phase") == Some("init") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The process that we started handed over to its child in another pid namespace, and ended.
    fn moved(&mut self, pidfd: OwnedFd) -> Result<()> {
        let pid = match pidfd::pid_of(pidfd.as_fd()) {
            // It has ended, and the host has waited for it already: why is what it said last, or nothing.
            Err(Errno::ESRCH) => GONE,
            found => found
                .map_err(|errno| Error::os(Kind::System, "learn the pid behind a pidfd", errno as i32))?,
        };
        self.moves = false;
        if let Some(before) = self.child.replace(Child { pid, pidfd }) {
            pidfd::reap(&before.pidfd);
        }
        Ok(())
    }

    /// The stream ended without a word.
    fn died(&mut self) -> Error {
        let how = self.child.as_ref().and_then(|child| ended(&child.pidfd));
        let how = how.unwrap_or_else(|| String::from("for an unknown reason"));
        Error::new(Kind::System, format!("the init program ended before it was ready: {how}"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = &self.child {
            // It may have ended by itself; then there is nothing to kill and only the reaping left.
            let _ = pidfd::send_signal(child.pidfd.as_fd(), libc::SIGKILL);
            // Somebody else's child cannot be waited for; that it has ended can be seen all the same.
            let _ = crate::sys::poll::readable(&[child.pidfd.as_fd()], Some(Instant::now() + KILL_PATIENCE));
            pidfd::reap(&child.pidfd);
        }
    }
}

/// How a process ended whose socket has closed, if that can be known.
fn ended(pidfd: &OwnedFd) -> Option<String> {
    let _ = crate::sys::poll::readable(&[pidfd.as_fd()], Some(Instant::now() + Duration::from_secs(1)));
    let ended = match pidfd::try_wait(pidfd.as_fd()) {
        Ok(ended) => ended,
        Err(_) => pidfd::exit_of_reaped(pidfd.as_fd()),
    }?;
    Some(match ended.signal {
        0 => format!("exit code {}", ended.code),
        signal => format!("killed by signal {signal}"),
    })
}

/// The child, and whether it is still to be attached to its cgroup2.
fn start(birth: &Birth<'_>, streams: &Streams, socket_number: i32) -> Result<(Child, bool)> {
    let started = with_wanted(birth, streams, socket_number, |wanted| {
        let mut wanted = Spawn { ..*wanted };
        let mut outside = false;
        let mut started = clone::spawn(&wanted);
        if birth.entrances.by_pid
            && let Err(clone::Failure { stage: Stage::Clone | Stage::Tasks(_), errno: Errno::EACCES }) =
                started
        {
            (wanted.cgroup, outside) = (None, true);
            started = clone::spawn(&wanted);
        }
        if birth.context.is_rootless()
            && let Err(clone::Failure { stage: Stage::OomScoreAdj, errno: Errno::EACCES | Errno::EPERM }) =
                started
        {
            birth.context.log(Level::Warn, "process.oomScoreAdj: may not be lowered: left as it is");
            wanted.oom_score_adj = None;
            started = clone::spawn(&wanted);
        }
        started.map(|child| (child, outside))
    });
    started.map_err(|failure| told(birth, &failure))
}

/// What is to be cloned, as long as `act` lasts.
fn with_wanted<T>(
    birth: &Birth<'_>,
    streams: &Streams,
    socket_number: i32,
    act: impl FnOnce(&Spawn<'_>) -> T,
) -> T {
    let arguments = [c"riverrun-init".to_owned(), number(socket_number)];
    let oom_score_adj = birth.oom_score_adj.map(number);
    let tasks: Vec<BorrowedFd<'_>> = birth.entrances.tasks.iter().map(AsFd::as_fd).collect();
    act(&Spawn {
        program: Program::Ours(birth.program),
        arguments: &arguments,
        environment: &[],
        namespaces: birth.namespaces,
        cgroup: birth.entrances.unified.as_ref().map(AsFd::as_fd),
        tasks: &tasks,
        affinity: birth.affinity,
        descriptors: &streams.map,
        keep_capabilities: birth.unmapped,
        oom_score_adj: oom_score_adj.as_deref(),
        orphan: birth.orphan,
    })
}

/// Why no process was started.
fn told(birth: &Birth<'_>, failure: &clone::Failure) -> Error {
    let (kind, doing) = match failure.stage {
        Stage::Clone if birth.unmapped => (Kind::Userns, "clone into new namespaces"),
        Stage::Clone => (Kind::System, "clone into new namespaces"),
        Stage::Affinity => (Kind::System, "set process.execCPUAffinity.initial"),
        Stage::Tasks(_) => (Kind::Cgroup, "join cgroup"),
        Stage::OomScoreAdj => (Kind::Permission, "write oom_score_adj"),
        Stage::Descriptors => (Kind::System, "place descriptors"),
        Stage::Execute => (Kind::System, "execute the init program"),
    };
    Error::os(kind, doing, failure.errno as i32).detailed("phase", "host")
}

fn number(value: i32) -> CString {
    // Digits hold no NUL.
    CString::new(value.to_string()).unwrap_or_default()
}

//! events: what happens to a container, behind one descriptor that any event loop can wait for.
//!
//! The descriptor is an epoll of a pidfd and of what `cgroup::watch` hears. It is readable as long as [`EventStream::next`]
//! has something to look at, so streams nest in the loop of the host, thousands of them, without a thread. Memory that
//! ran out is told before the end of the process that was killed for it: its counters are read once more at the end.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::context::Container;
use super::deadline::Deadline;
use super::options::Call;
use super::process::{Exit, Process};
use super::stats::{Stats, read_stats};
use super::stats_json::Line;
use crate::cgroup::watch::{self, Freezer, Freezing, Memory, Ooms, Pressure, Trigger};
use crate::error::{Error, Kind, Result};
use crate::state::directory::Directory;
use crate::state::file::StateFile;
use crate::state::status::{Status, observe};
use crate::sys::Errno;
use crate::sys::event::{Poller, Signal, Timer};

/// How often statistics come without another wish; runc's own.
const INTERVAL: Duration = Duration::from_secs(5);
/// The first look at what nothing tells of; each further one waits twice as long, up to the last.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Which events are wanted. The end of the stream always comes.
#[derive(Clone, Debug, Default)]
pub struct EventsOptions {
    /// [`Event::Exit`].
    pub exit: bool,
    /// [`Event::Oom`] and [`Event::OomKill`]; an error if nobody counts the container's memory.
    pub oom: bool,
    /// The same, without an error.
    pub oom_if_told: bool,
    /// [`Event::State`]; an error if there is no freezer.
    pub state: bool,
    /// [`Event::Stats`], so often.
    pub stats: Option<Duration>,
    /// [`Event::Pressure`] for each of these.
    pub pressure: Vec<Pressure>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Nothing after all; wait again.
    None,
    /// Memory ran out, so often since the last such event.
    Oom(u64),
    /// Processes were killed for it, so many since the last such event.
    OomKill(u64),
    /// The container was paused or resumed.
    State(Status),
    /// Processes waited for a resource: which of the options' entries.
    Pressure(usize),
    /// The time for statistics has come.
    Stats(Box<Stats>),
    /// The first process has ended, killed for lack of memory or not.
    Exit {
        /// How.
        exit: Exit,
        /// SIGKILL ended it, and processes of the container had been killed for lack of memory.
        oom_killed: bool,
    },
    /// Nothing more will come.
    End,
}

impl Event {
    /// The line that runc's `events` prints for it, without its end; `None` where it has none.
    #[must_use]
    pub fn to_json(&self, id: &str) -> Option<String> {
        match self {
            Self::Stats(stats) => Some(stats.to_event_json(id)),
            Self::Oom(_) | Self::OomKill(_) => Some(Line::oom(id).to_json()),
            _ => None,
        }
    }
}

/// The events of one container. Any number of threads may ask; each event is had by one of them.
#[derive(Debug)]
pub struct EventStream {
    poller: Poller,
    process: Process,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    queue: VecDeque<Event>,
    /// Readable as long as something is in the queue.
    more: Signal,
    ended: bool,
    wants_exit: bool,
    memory: Option<Box<dyn Memory>>,
    killed: bool,
    freezer: Option<Box<dyn Freezer>>,
    frozen: bool,
    /// Asked whether a container that goes on was started before.
    place: Option<(Directory, StateFile)>,
    triggers: Vec<Trigger>,
    stats: Option<Timer>,
    source: Source,
    /// For what is about to happen and nothing tells of.
    later: Timer,
    patience: Option<Duration>,
}

/// Where statistics come from.
#[derive(Debug)]
struct Source {
    cgroups: Vec<(String, PathBuf)>,
    resctrl: Option<(PathBuf, PathBuf)>,
}

const MORE: u64 = 0;
const PROCESS: u64 = 1;
const MEMORY: u64 = 2;
const FREEZER: u64 = 3;
const STATS: u64 = 4;
const LATER: u64 = 5;
/// And one for each trigger from here on.
const TRIGGERS: u64 = 16;

fn system(errno: Errno) -> Error {
    Error::os(Kind::System, "watch container", errno as i32)
}

impl Container {
    /// Begins to listen. What happened before is not told; of a container that has ended the end is.
    ///
    /// # Errors
    /// [`Kind::NotRunning`] if it has ended and this context did not start it; [`Kind::Cgroup`] for what the container's
    /// cgroups cannot tell; [`Kind::InvalidArgument`] and [`Kind::Unsupported`] for a trigger that the kernel refuses.
    pub fn events(&self, options: &EventsOptions) -> Result<EventStream> {
        let (directory, state) = self.load()?;
        let process = self.init_process()?;
        let cgroups = state.cgroups();
        let missing =
            |what: &str| Error::new(Kind::Cgroup, format!("the container has no {what}")).during("listen");
        let memory = match options.oom || options.oom_if_told {
            true => watch::memory(&cgroups)?,
            false => None,
        };
        if options.oom && memory.is_none() {
            return Err(missing("memory cgroup"));
        }
        let mut freezer = if options.state {
            Some(watch::freezer(&cgroups)?.ok_or_else(|| missing("freezer cgroup"))?)
        } else {
            None
        };
        let triggers = options.pressure.iter().map(|wanted| watch::trigger(&cgroups, wanted));
        let frozen = freezer.as_mut().is_some_and(|freezer| freezer.look() == Freezing::Frozen);
        let inner = Inner {
            queue: VecDeque::new(),
            more: Signal::new().map_err(system)?,
            ended: false,
            wants_exit: options.exit,
            memory,
            killed: false,
            freezer,
            frozen,
            triggers: triggers.collect::<Result<_>>()?,
            stats: options.stats.map(timer).transpose()?,
            source: Source {
                resctrl: state
                    .intel_rdt()
                    .last()
                    .map(|group| (self.context.host().resctrl.clone(), group.into())),
                cgroups,
            },
            place: options.state.then_some((directory, state)),
            later: Timer::new().map_err(system)?,
            patience: None,
        };
        let poller = Poller::new().map_err(system)?;
        inner.register(&poller, &process).map_err(system)?;
        Ok(EventStream { poller, process, inner: Mutex::new(inner) })
    }
}

fn timer(interval: Duration) -> Result<Timer> {
    let timer = Timer::new().map_err(system)?;
    timer.every(if interval.is_zero() { INTERVAL } else { interval }).map_err(system)?;
    Ok(timer)
}

impl EventStream {
    /// Readable as long as [`next`](Self::next) has something to look at, and for ever after the end.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.poller.fd()
    }

    /// The pid of the first process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// The next event. Does not wait if the descriptor was readable: then it may be [`Event::None`].
    ///
    /// # Errors
    /// [`Kind::Timeout`] and [`Kind::Cancelled`] as the call says.
    pub fn next(&self, call: Call<'_>) -> Result<Event> {
        let deadline = Deadline::new(call);
        loop {
            if let Some(event) = self.take()? {
                return Ok(event);
            }
            deadline.readable(self.fd(), "wait for an event")?;
        }
    }

    /// `None`: nothing was ready.
    fn take(&self) -> Result<Option<Event>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut event = inner.queue.pop_front();
        if event.is_none() && inner.ended {
            return Ok(Some(Event::End));
        }
        if event.is_none() {
            let ready = self.poller.ready().map_err(system)?;
            if ready.is_empty() {
                return Ok(None);
            }
            inner.look(&ready, &self.poller, &self.process)?;
            event = inner.queue.pop_front();
        }
        inner.show();
        Ok(Some(event.unwrap_or(Event::None)))
    }
}

impl Inner {
    fn register(&self, poller: &Poller, process: &Process) -> Result<(), Errno> {
        poller.add(self.more.fd(), MORE, false)?;
        poller.add(process.pidfd(), PROCESS, false)?;
        poller.add(self.later.fd(), LATER, false)?;
        if let Some((fd, urgent)) = self.memory.as_ref().map(|memory| memory.fd()) {
            poller.add(fd, MEMORY, urgent)?;
        }
        if let Some((fd, urgent)) = self.freezer.as_ref().map(|freezer| freezer.fd()) {
            poller.add(fd, FREEZER, urgent)?;
        }
        if let Some(stats) = &self.stats {
            poller.add(stats.fd(), STATS, false)?;
        }
        for (token, trigger) in (TRIGGERS..).zip(&self.triggers) {
            poller.add(trigger.fd(), token, false)?;
        }
        Ok(())
    }

    /// The descriptor is readable while something is left.
    fn show(&self) {
        if self.queue.is_empty() && !self.ended {
            self.more.clear();
        } else {
            // It cannot overflow: it is raised once an event at most.
            let _ = self.more.raise();
        }
    }

    /// Looks at what is ready, and turns it into events.
    fn look(&mut self, ready: &[u64], poller: &Poller, process: &Process) -> Result<()> {
        let is_ready = |token| ready.contains(&token);
        let later = is_ready(LATER);
        if later {
            self.later.clear();
        }
        let ended = is_ready(PROCESS);
        let mut unsettled = false;
        if is_ready(MEMORY) || ended || later {
            unsettled |= self.look_at_memory(poller);
        }
        if is_ready(FREEZER) || later {
            unsettled |= self.look_at_freezer(poller);
        }
        for token in ready.iter().filter(|token| **token >= TRIGGERS) {
            let index = usize::try_from(token - TRIGGERS).unwrap_or(usize::MAX);
            if self.triggers.get(index).is_some_and(Trigger::look) {
                self.queue.push_back(Event::Pressure(index));
            }
        }
        if is_ready(STATS) && !ended {
            self.tell_stats();
        }
        match (ended, unsettled) {
            (true, _) => self.end(poller, process)?,
            (false, true) => self.look_again(!later),
            (false, false) => self.patience = None,
        }
        Ok(())
    }

    /// Whether it has to be looked at again.
    fn look_at_memory(&mut self, poller: &Poller) -> bool {
        let Some(memory) = &mut self.memory else { return false };
        let Ooms { oom, kills, unsettled } = memory.look();
        if oom > 0 {
            self.queue.push_back(Event::Oom(oom));
        }
        if kills > 0 {
            self.killed = true;
            self.queue.push_back(Event::OomKill(kills));
        }
        if memory.is_gone() {
            let _ = poller.remove(memory.fd().0);
            self.memory = None;
        }
        unsettled || (self.patience.is_some() && kills == 0)
    }

    fn look_at_freezer(&mut self, poller: &Poller) -> bool {
        let Some(freezer) = &mut self.freezer else { return false };
        let frozen = match freezer.look() {
            Freezing::Frozen => true,
            Freezing::Thawed => false,
            Freezing::Unsettled => return true,
            Freezing::Gone => {
                let _ = poller.remove(freezer.fd().0);
                self.freezer = None;
                return false;
            }
        };
        if frozen != self.frozen {
            self.frozen = frozen;
            let status = match self.place.as_ref().map(|(directory, state)| observe(directory, state)) {
                _ if frozen => Status::Paused,
                Some(Status::Created) => Status::Created,
                // Whatever became of it since, it went on.
                _ => Status::Running,
            };
            self.queue.push_back(Event::State(status));
        }
        false
    }

    /// A container that is gone between the timer and the look has nothing to tell.
    fn tell_stats(&mut self) {
        let Some(timer) = &self.stats else { return };
        timer.clear();
        let Source { cgroups, resctrl } = &self.source;
        let resctrl = resctrl.as_ref().map(|(root, group)| (root.as_path(), group.as_path()));
        if let Ok(stats) = read_stats(cgroups, resctrl) {
            self.queue.push_back(Event::Stats(Box::new(stats)));
        }
    }

    /// Looks again after a while, a little later each time, until it is in vain.
    fn look_again(&mut self, fresh: bool) {
        let patience = match self.patience {
            Some(patience) if !fresh => 2 * patience,
            _ => FIRST_LOOK,
        };
        self.patience = (patience <= LAST_LOOK).then_some(patience);
        if self.patience.is_some() {
            let _ = self.later.once(patience);
        }
    }

    /// The last events; afterwards nothing is listened to any more.
    fn end(&mut self, poller: &Poller, process: &Process) -> Result<()> {
        let exit = process.wait(Call::default())?;
        let oom_killed = self.killed && exit.signal == libc::SIGKILL;
        if self.wants_exit {
            self.queue.push_back(Event::Exit { exit, oom_killed });
        }
        self.ended = true;
        let _ = poller.remove(process.pidfd());
        let _ = poller.remove(self.later.fd());
        if let Some(memory) = self.memory.take() {
            let _ = poller.remove(memory.fd().0);
        }
        if let Some(freezer) = self.freezer.take() {
            let _ = poller.remove(freezer.fd().0);
        }
        if let Some(stats) = self.stats.take() {
            let _ = poller.remove(stats.fd());
        }
        for trigger in self.triggers.drain(..) {
            let _ = poller.remove(trigger.fd());
        }
        Ok(())
    }
}

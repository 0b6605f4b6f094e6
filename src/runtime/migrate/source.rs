//! The side that sends a container away. Whatever goes wrong before the target was told to run it, it runs on here.
//!
//! Before `Go` is said the container's cgroup is frozen, beside CRIU, which holds its processes stopped: if this process is
//! killed CRIU lets go of them, and they must not go on while the target may run them. From then on nothing but an answer
//! of the target's lets them run, or ends them.
#![forbid(unsafe_code)]

use std::env::consts::ARCH;
use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use super::lazy;
use super::options::{MigrateOptions, Migrated, MigrationEvent, RootfsTransfer, TransferTotals};
use super::outflow::Round;
use crate::checkpoint::{CheckpointOptions, CriuOptions, ImageDirectory};
use crate::error::{Error, Kind, Result};
use crate::migrate::apply::images;
use crate::migrate::apply::pages::Pages;
use crate::migrate::apply::send_tree::{Inodes, Tree, mapped_for_writing};
use crate::migrate::apply::stream::Stream;
use crate::migrate::apply::work::Work;
use crate::migrate::plan::frame::{Frame, Message, Offer, unexpected};
use crate::migrate::plan::precopy;
use crate::runtime::cgroups;
use crate::runtime::checkpoint::Attendant;
use crate::runtime::context::Container;
use crate::runtime::criu;
use crate::runtime::deadline::Deadline;
use crate::runtime::options::{Call, Level};
use crate::runtime::pause;
use crate::spec;
use crate::state::file::StateFile;
use crate::state::status::{Status, observe};

/// Who is told what happens.
type Progress<'a> = &'a mut dyn FnMut(&MigrationEvent);

impl Container {
    /// Sends the running container to whoever [receives](crate::Context::receive) it at the other end of `socket`, a
    /// connected stream socket of any family, and deletes it here once it runs there. At no time do two copies run.
    ///
    /// # Errors
    /// Until the target is told to run it every error leaves the container running here, and nothing there. If nothing
    /// is heard from the target after that, the container stays here *paused*, and the error says so: only a look at the
    /// target tells whether to resume or to delete it. [`Kind::Unsupported`] for a target of another version.
    pub fn migrate(
        &self,
        socket: OwnedFd,
        options: &MigrateOptions,
        call: Call<'_>,
        progress: Progress<'_>,
    ) -> Result<Migrated> {
        let begun = Instant::now();
        let deadline = Deadline::begin(call, "migrate container")?;
        let (state, config) = self.to_be_sent()?;
        let work = Work::make(options.work.as_deref(), &self.id)?;
        if options.lazy {
            self.can_be_lazy(options, &work, &deadline)?;
        }
        let stream = Stream::new(socket, options.patience, (deadline.until(), deadline.cancel()))?;
        let tree = match options.rootfs {
            RootfsTransfer::Shared => None,
            RootfsTransfer::Copy => Some(Tree::open(&state.config.rootfs)?),
        };
        let mut source = Source {
            container: self,
            options,
            call,
            stream,
            work,
            tree,
            progress,
            rounds: Vec::new(),
            stopped: None,
            fate: Fate::Ours,
            pages: None,
            serving: false,
            migrated: Migrated::default(),
        };
        let outcome = source.run(&state, config);
        match (source.fate, outcome) {
            (Fate::Theirs, _) => {
                if let Err(error) = self.delete(true, Call::default()) {
                    self.context.log(Level::Warn, &format!("after its migration: {error}"));
                }
                source.migrated.total = begun.elapsed();
                source.migrated.bytes = source.stream.bytes();
                Ok(source.migrated)
            }
            (Fate::Unknown, outcome) => Err(self.undecided(outcome.err(), options.lazy)),
            (Fate::Ours, Err(error)) => {
                source.work.ends_with(&error);
                source.stream.give_up(&error);
                Err(error)
            }
            (Fate::Ours, Ok(())) => Err(Error::new(Kind::Internal, "the migration has ended before its end")),
        }
    }

    /// What the target must know of it.
    fn to_be_sent(&self) -> Result<(StateFile, Vec<u8>)> {
        let (directory, state) = self.load()?;
        match observe(&directory, &state) {
            Status::Running => {}
            Status::Paused => {
                return Err(Error::new(Kind::Paused, "migrate container: it is paused; resume it first"));
            }
            status => {
                let message = format!("migrate container: it is {status}, and not running");
                return Err(Error::new(Kind::NotRunning, message));
            }
        }
        pause::freezer(&state, "migrate container")?;
        let config = directory.config()?;
        spec::parse(&config)?;
        Ok((state, config))
    }

    /// Said before anything is done.
    fn can_be_lazy(&self, options: &MigrateOptions, work: &Work, deadline: &Deadline<'_>) -> Result<()> {
        let doing = "migrate container lazily";
        if options.page_server {
            let message = format!("{doing}: memory that comes behind does not go to a page server as well");
            return Err(Error::new(Kind::InvalidArgument, message));
        }
        if options.criu.tcp_established {
            let message = format!(
                "{doing}: CRIU does not give TCP connections back once it serves pages, should the migration fail"
            );
            return Err(Error::new(Kind::Unsupported, message));
        }
        lazy::pipes_are_large_enough().map_err(|error| error.during(doing))?;
        let program = options.criu.criu.as_deref();
        criu::require(&self.context, program, work.path(), (false, true), deadline)
            .map_err(|error| error.during(doing))
    }

    fn undecided(&self, cause: Option<Error>, lazy: bool) -> Error {
        let id = &self.id;
        let cause = cause.unwrap_or_else(|| Error::new(Kind::System, "nothing is heard of the target"));
        let what = if lazy {
            format!(
                "migrate container: the target was told to run it, and has not said that it has all its memory; {id} \
                 stays paused here: delete it if it runs there, else resume it from where it was frozen"
            )
        } else {
            format!(
                "migrate container: the target was told to run it, and has not answered; {id} stays paused here: \
                 delete it if it runs there, else resume it"
            )
        };
        cause.during(what).detailed("migration", "undecided")
    }
}

/// Whose the container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Ours,
    /// The target was told to run it.
    Unknown,
    Theirs,
}

pub(super) struct Source<'a, 'fd> {
    container: &'a Container,
    pub(super) options: &'a MigrateOptions,
    call: Call<'fd>,
    pub(super) stream: Stream<'fd>,
    work: Work,
    /// The root filesystem, if it is to be sent.
    tree: Option<Tree>,
    pub(super) progress: Progress<'a>,
    /// How many bytes of memory each round had.
    rounds: Vec<u64>,
    /// When the container was about to stop for the last time.
    stopped: Option<Instant>,
    pub(super) fate: Fate,
    /// Our end of the socket for memory, while CRIU has the other.
    pub(super) pages: Option<Pages>,
    /// It serves the memory that is left.
    pub(super) serving: bool,
    pub(super) migrated: Migrated,
}

impl Source<'_, '_> {
    fn run(&mut self, state: &StateFile, config: Vec<u8>) -> Result<()> {
        let criu = &self.options.criu;
        self.stream.greet()?;
        self.stream.greeted()?;
        self.stream.say(&Message::Offer(Offer {
            id: self.container.id.clone(),
            config,
            bundle: state.riverrun.bundle.to_string_lossy().into_owned(),
            copy: self.tree.is_some(),
            tcp_established: criu.tcp_established,
            ext_unix_sk: criu.ext_unix_sk,
            shell_job: criu.shell_job,
            file_locks: criu.file_locks,
            lazy: self.options.lazy,
            architecture: ARCH.to_owned(),
        }))?;
        self.stream.expect(&Message::Accepted)?;
        (self.progress)(&MigrationEvent::Accepted);
        self.files(&Inodes::new(), false)?;
        self.rounds()?;
        let options = self.checkpoint(self.next(), false);
        let container = self.container;
        let dumped = container.checkpoint_attended(&options, self.call, self);
        match (dumped, self.fate) {
            // The target has heard nothing of it.
            (Err(error), Fate::Unknown) if self.options.lazy => Err(self.take_back(state, error)),
            (Ok(()), Fate::Theirs) if self.options.lazy => kill(state),
            (dumped, _) => dumped,
        }
    }

    /// The CRIU that has the container's memory has failed: unless the target has ended the container, nobody runs it.
    fn take_back(&mut self, state: &StateFile, error: Error) -> Error {
        if self.stream.give_up_together(&error) {
            self.fate = Fate::Ours;
            let _ = cgroups::of(state).thaw();
        }
        error
    }

    /// The number of the next round.
    pub(super) fn next(&self) -> u32 {
        self.migrated.rounds + 1
    }

    fn checkpoint(&self, number: u32, pre_dump: bool) -> CheckpointOptions<'static> {
        let lazy = self.options.lazy;
        CheckpointOptions {
            images: ImageDirectory::Path(self.work.round(number)),
            parent: (number > 1).then(|| Work::parent_of(number)),
            pre_dump,
            link_remap: self.options.link_remap,
            tcp_skip_in_flight: self.options.tcp_skip_in_flight,
            // Else CRIU would end the processes when the other end of its socket closes, and keep the network of those
            // that it lets go on silent. They stay frozen.
            leave_running: lazy,
            criu: CriuOptions { lazy_pages: lazy, ..self.options.criu.clone() },
            ..CheckpointOptions::default()
        }
    }

    /// Memory, while the container runs, until that gains nothing any more.
    fn rounds(&mut self) -> Result<()> {
        let limit = if self.options.lazy { 0 } else { self.options.rounds };
        while precopy::another(&self.rounds, limit) {
            let number = self.next();
            match self.round(number) {
                Err(reason) if reason.kind() == Kind::Unsupported && self.rounds.is_empty() => {
                    (self.progress)(&MigrationEvent::NoRounds { reason });
                    // Nothing was written; the directory is there.
                    let _ = fs::remove_dir_all(self.work.round(number));
                    return Ok(());
                }
                written => written?,
            }
            let (memory, sent) = self.images(number)?;
            self.rounds.push(memory);
            self.migrated.rounds = number;
            (self.progress)(&MigrationEvent::Round { number, memory, sent });
        }
        Ok(())
    }

    /// Has a round written, or sent at once.
    fn round(&mut self, number: u32) -> Result<()> {
        let options = self.checkpoint(number, true);
        if !self.options.page_server {
            return self.container.checkpoint(&options, self.call);
        }
        if number == 1 {
            // The target is told of memory that comes only if it does.
            let (context, program) = (&self.container.context, self.options.criu.criu.as_deref());
            criu::require(context, program, self.work.path(), (true, false), &Deadline::new(self.call))?;
        }
        let container = self.container;
        container.checkpoint_attended(&options, self.call, &mut Round(self))?;
        self.pages_end()
    }

    fn images(&mut self, number: u32) -> Result<(u64, TransferTotals)> {
        let (begun, bytes) = (Instant::now(), self.stream.bytes());
        let (files, memory) = images::send(&mut self.stream, &self.work, number, number > 1)?;
        self.stream.expect(&Message::Stored)?;
        let elsewhere = self.pages.take_if(|_| !self.options.lazy).map_or(0, |pages| pages.sent());
        let memory = memory + elsewhere;
        Ok((memory, TransferTotals { files, bytes: self.stream.bytes() - bytes, time: begun.elapsed() }))
    }

    /// The target has said that it runs there: the downtime is over.
    pub(super) fn runs_as(&mut self, pid: i32) {
        self.migrated.pid = pid;
        self.migrated.downtime = self.stopped.map(|stopped| stopped.elapsed()).unwrap_or_default();
    }

    fn files(&mut self, mapped: &Inodes, frozen: bool) -> Result<()> {
        let Some(tree) = &mut self.tree else { return Ok(()) };
        let (begun, bytes) = (Instant::now(), self.stream.bytes());
        let files = tree.send(&mut self.stream, mapped)?;
        self.stream.expect(&Message::Stored)?;
        let sent = TransferTotals { files, bytes: self.stream.bytes() - bytes, time: begun.elapsed() };
        (self.progress)(&MigrationEvent::Files { sent, frozen });
        Ok(())
    }

    /// All that the target still needs, and the word.
    fn hand_over(&mut self, state: &StateFile) -> Result<()> {
        if self.options.page_server {
            self.pages_end()?;
        }
        if self.tree.is_some() {
            let mapped = mapped(state)?;
            self.files(&mapped, true)?;
        }
        let number = self.next();
        let (memory, sent) = self.images(number)?;
        (self.progress)(&MigrationEvent::Images { memory, sent });
        self.stream.say(&Message::Restore { number })?;
        if self.options.lazy {
            // It needs pages for that already: the rest is said while CRIU serves them.
            self.serving = true;
            self.stream.duplex(true);
            return Ok(());
        }
        self.stream.expect(&Message::Ready)?;
        (self.progress)(&MigrationEvent::Restored);
        self.commit(state)
    }

    /// The point of no return. An error with [`Fate::Ours`] is the target's own word that it runs nothing.
    pub(super) fn commit(&mut self, state: &StateFile) -> Result<()> {
        let doing = "migrate container";
        let deadline = pause::within(Call::default(), doing)?;
        self.fate = Fate::Unknown;
        if let Err(error) = pause::freezer(state, doing)?.freeze(&mut || deadline.pause(doing)) {
            self.fate = Fate::Ours;
            return Err(error);
        }
        self.stream.see_it_through();
        let said = self.stream.say(&Message::Go);
        if self.options.lazy {
            return said;
        }
        match self.stream.hear() {
            Ok(Frame::Message(Message::Running { pid })) => {
                self.fate = Fate::Theirs;
                self.runs_as(pid);
                kill(state)
            }
            Ok(frame @ Frame::Message(Message::Failed { .. })) => {
                self.fate = Fate::Ours;
                Err(unexpected(&frame))
            }
            Ok(frame) => Err(unexpected(&frame)),
            Err(error) => Err(said.err().unwrap_or(error)),
        }
    }
}

impl Attendant for Source<'_, '_> {
    fn stopping(&mut self) {
        self.stopped = Some(Instant::now());
        (self.progress)(&MigrationEvent::Frozen);
    }

    fn written(&mut self, state: &StateFile) -> Result<()> {
        let handed = self.hand_over(state);
        if let (Err(_), Some(pages)) = (&handed, &mut self.pages) {
            // It waits for somebody to ask.
            pages.give_up();
        }
        handed
    }

    fn stays_frozen(&self) -> bool {
        self.fate != Fate::Ours
    }

    fn page_sockets(&mut self) -> Result<Vec<OwnedFd>> {
        self.pages_begin()
    }

    fn beside(&self) -> Vec<BorrowedFd<'_>> {
        self.pages_beside()
    }

    fn turn(&mut self, state: &StateFile) -> Result<()> {
        self.pages_turn(state)
    }
}

/// It runs elsewhere. Frozen as they are the processes get the signal, and see nothing else when they are let go.
fn kill(state: &StateFile) -> Result<()> {
    let cgroups = cgroups::of(state);
    let killed = cgroups.signal_all(libc::SIGKILL).map(drop);
    killed.and_then(|()| cgroups.thaw())
}

/// The files that the container's processes may change without a trace.
fn mapped(state: &StateFile) -> Result<Inodes> {
    let mut all = Inodes::new();
    for pid in cgroups::of(state).pids()? {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        all.extend(mapped_for_writing(&maps));
    }
    Ok(all)
}

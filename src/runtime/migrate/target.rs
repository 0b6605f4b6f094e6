//! The side that receives a container. Until the source says `Go` every error, and the end of the stream, takes back what
//! was made; after it the container runs here, whatever becomes of the source.
#![forbid(unsafe_code)]

use std::env::consts::ARCH;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use oci_spec::runtime::Spec;
use serde_json::{Value, json};

use super::lazy::{self, Begin, Lazy, Turn};
use super::memory::Store;
use super::options::ReceiveOptions;
use crate::cgroup::Manager;
use crate::checkpoint::{CriuOptions, ImageDirectory, RestoreOptions};
use crate::error::{Error, Kind, Result};
use crate::migrate::apply::images;
use crate::migrate::apply::receive_tree;
use crate::migrate::apply::stream::Stream;
use crate::migrate::apply::work::Work;
use crate::migrate::plan::frame::{Frame, Message, Offer, malformed, unexpected};
use crate::runtime::context::{Container, Context, valid_id};
use crate::runtime::criu;
use crate::runtime::deadline::Deadline;
use crate::runtime::options::{Call, Level};
use crate::runtime::restore::Holder;
use crate::spec;
use crate::state::directory::Directory;
use crate::sys::{errno_of, file, pidfd};
use crate::wording;

/// The root filesystem in a bundle that is made here.
const ROOTFS: &str = "rootfs";
/// How long a killed process may take to end.
const END_DEADLINE: Duration = Duration::from_secs(10);

/// The first process, by pidfd, once it was let run.
type Went = Option<OwnedFd>;

impl Context {
    /// Receives a container from whoever [sends](Container::migrate) it at the other end of `socket`, a connected stream
    /// socket of any family. It runs when this returns.
    ///
    /// Nothing proves who sends: the configuration comes with the container, hooks and all, and images are as good as
    /// programs. Whoever can write to the socket is as good as root.
    ///
    /// # Errors
    /// Those of a restore, [`Kind::Exists`] for an id or a bundle that is there, [`Kind::Unsupported`] for a source of
    /// another version or architecture. Nothing is left behind, and the source's container runs on.
    pub fn receive(&self, socket: OwnedFd, options: ReceiveOptions<'_>) -> Result<Container> {
        let deadline = Deadline::begin(options.create.call, "receive container")?;
        let mut stream = Stream::new(socket, options.patience, (deadline.until(), deadline.cancel()))?;
        let mut went = None;
        let received = self.receive_from(&mut stream, options, &mut went);
        match &received {
            Ok((_, last)) => {
                if let Err(error) = stream.say(last) {
                    // It was told to run it, and keeps its own copy paused.
                    self.log(
                        Level::Warn,
                        &format!("the source does not hear that the container runs: {error}"),
                    );
                }
            }
            // That somebody may live on here must not be told as the opposite: the source keeps its own paused then.
            Err(_) if self.lives_on(&went) => {}
            Err(error) => stream.give_up(error),
        }
        received.map(|(container, _)| container)
    }

    /// Whether what was let run, and should have been ended, has not.
    fn lives_on(&self, went: &Went) -> bool {
        let Some(process) = went else { return false };
        let patience = Call { timeout: Some(END_DEADLINE), cancel: None };
        let ended = Deadline::new(patience).readable(process.as_fd(), "wait for the end of a process");
        if let Err(error) = &ended {
            self.log(Level::Error, &format!("the container that was received does not end: {error}"));
        }
        ended.is_err()
    }

    /// The container, and what is still to be said.
    fn receive_from(
        &self,
        stream: &mut Stream<'_>,
        mut options: ReceiveOptions<'_>,
        went: &mut Went,
    ) -> Result<(Container, Message)> {
        stream.greet()?;
        stream.greeted()?;
        let mut offer = match stream.hear()? {
            Frame::Message(Message::Offer(offer)) => offer,
            other => return Err(unexpected(&other)),
        };
        let call = options.create.call;
        let deadline = Deadline::new(call);
        let id = options.id.take().unwrap_or_else(|| offer.id.clone());
        self.acceptable(&id, &offer, &options)?;
        let config = options.create.config.take().unwrap_or_else(|| std::mem::take(&mut offer.config));
        let bundle = options.create.bundle.take().unwrap_or_else(|| PathBuf::from(&offer.bundle));
        let spec = spec::parse(&config)?;
        spec::validate(&spec)?;
        let mut making = Making { bundle: None };
        let config = if offer.copy { making.bundle(&bundle, &config)? } else { config };
        let mut work = Work::make(options.work.as_deref(), &id)?;
        let program = options.criu.criu.clone();
        if offer.lazy {
            lazy::allowed(&spec)?;
            criu::require(self, program.as_deref(), work.path(), (false, true), &deadline)?;
        }
        stream.say(&Message::Accepted)?;
        let root = if offer.copy { Some(bundle.join(ROOTFS)) } else { None };
        let mut left = options.limit;
        let memory = Store {
            context: self,
            program: program.as_deref(),
            work: &work,
            deadline: &deadline,
            patience: options.patience,
        };
        let stored = store(stream, &memory, root.as_deref(), &mut left);
        let number = stored.inspect_err(|error| work.ends_with(error))?;
        if let Some(group) = group_of_root(&spec) {
            work.show_to_group(group)?;
        }
        options.create.bundle = Some(bundle);
        options.create.config = Some(config);
        let wanted = RestoreOptions {
            images: ImageDirectory::Path(work.round(number)),
            criu: criu_options(options.criu, &offer),
            ..RestoreOptions::default()
        };
        let begin = Begin {
            context: self,
            program: program.as_deref(),
            images: work.round(number),
            patience: options.patience,
            call,
            left,
        };
        let mut holding = Holding { stream, went, begin: offer.lazy.then_some(begin), lazy: None };
        let restored = self.restore_held(&id, options.create, &wanted, Some(&mut holding));
        let restored = restored.and_then(|container| holding.rest(container));
        if let Err(error) = &restored {
            work.ends_with(error);
        } else {
            making.bundle = None;
        }
        restored
    }

    /// What can be said before anything is sent.
    fn acceptable(&self, id: &str, offer: &Offer, options: &ReceiveOptions<'_>) -> Result<()> {
        valid_id(id)?;
        if offer.architecture != ARCH {
            let message = format!("receive a container of {}: this host is {ARCH}", offer.architecture);
            return Err(Error::new(Kind::Unsupported, message));
        }
        if offer.copy && options.create.rootfs.is_some() {
            let message = "receive a root filesystem: one was given here, and the source sends its own";
            return Err(Error::new(Kind::InvalidArgument, message));
        }
        criu::find(options.criu.criu.as_deref())?;
        match Directory::open(self.root(), id) {
            Err(error) if error.kind() == Kind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Err(Error::new(Kind::Exists, wording::EXISTS)),
        }
    }
}

/// Without whose word nothing runs.
struct Holding<'a, 'fd> {
    stream: &'a mut Stream<'fd>,
    went: &'a mut Went,
    /// How its memory comes when it runs.
    begin: Option<Begin<'a>>,
    lazy: Option<Lazy>,
}

impl Holder for Holding<'_, '_> {
    fn begins(&mut self, cgroups: &dyn Manager, criu: i32) -> Result<()> {
        if let Some(begin) = &self.begin {
            self.lazy = Some(begin.start(cgroups, criu)?);
            self.stream.duplex(true);
        }
        Ok(())
    }

    fn restored(&mut self, pid: i32) -> Result<()> {
        let process =
            pidfd::open(pid).map_err(|errno| Error::os(Kind::System, "open pidfd", errno as i32))?;
        if let Some(lazy) = &mut self.lazy {
            lazy.watch()?;
        }
        self.stream.say(&Message::Ready)?;
        match &mut self.lazy {
            Some(lazy) => lazy.until_go(self.stream)?,
            None => self.stream.expect(&Message::Go)?,
        }
        self.stream.see_it_through();
        *self.went = Some(process);
        Ok(())
    }

    fn beside(&self) -> Vec<BorrowedFd<'_>> {
        match &self.lazy {
            Some(lazy) => lazy.beside(self.stream),
            None => Vec::new(),
        }
    }

    fn turn(&mut self) -> Result<()> {
        match self.lazy.as_mut().map(|lazy| lazy.turn(self.stream)).transpose()? {
            Some(Turn::Go) => Err(unexpected(&Frame::Message(Message::Go))),
            _ => Ok(()),
        }
    }
}

impl Holding<'_, '_> {
    /// What is left to do for a container that runs, and to say. Without the rest of its memory it is ended: it could
    /// never go on.
    fn rest(&mut self, container: Container) -> Result<(Container, Message)> {
        let pid = container.init_process().map_or(0, |process| process.pid());
        let running = Message::Running { pid };
        let Some(lazy) = &mut self.lazy else { return Ok((container, running)) };
        match self.stream.say(&running).and_then(|()| lazy.finish(self.stream)) {
            Ok(()) => Ok((container, Message::Arrived)),
            Err(error) => {
                // Its userfaultfds are open until it is gone.
                container.delete(true, Call::default())?;
                Err(error.during("receive the rest of the memory; without it the container was ended"))
            }
        }
    }
}

/// The group here of the root of a user namespace that is made.
fn group_of_root(spec: &Spec) -> Option<u32> {
    let maps = spec.linux().as_ref()?.gid_mappings().as_ref()?;
    maps.iter().find(|map| map.container_id() == 0).map(|map| map.host_id())
}

/// What a restore is asked for, from here and from there.
fn criu_options(own: CriuOptions, offer: &Offer) -> CriuOptions {
    CriuOptions {
        tcp_established: offer.tcp_established,
        ext_unix_sk: offer.ext_unix_sk,
        shell_job: offer.shell_job,
        file_locks: offer.file_locks,
        lazy_pages: offer.lazy,
        ..own
    }
}

/// Receives files, memory and images until the source wants them restored: the round to restore.
fn store(stream: &mut Stream<'_>, memory: &Store<'_>, root: Option<&Path>, left: &mut u64) -> Result<u32> {
    let work = memory.work;
    let root = match root {
        Some(path) => Some(
            file::open_directory(path)
                .map_err(|errno| Error::os(Kind::Rootfs, format!("open {}", path.display()), errno as i32))?,
        ),
        None => None,
    };
    loop {
        match (stream.hear()?, &root) {
            (Frame::Message(Message::Restore { number }), _) if work.round(number).is_dir() => {
                return Ok(number);
            }
            (Frame::Message(Message::Restore { .. }), _) => {
                return Err(malformed("there are no images to restore"));
            }
            (Frame::Message(Message::Images { number, parent }), _) => {
                images::receive(stream, work, (number, parent), left)?;
            }
            (Frame::Message(Message::Pages { number, parent, dedup }), _) => {
                memory.receive(stream, (number, parent, dedup), left)?;
            }
            (
                first @ Frame::Message(Message::Entry { .. } | Message::Remove(_) | Message::TreeEnd),
                Some(root),
            ) => receive_tree::receive(stream, root.as_fd(), first, left)?,
            (other, _) => return Err(unexpected(&other)),
        }
        stream.say(&Message::Stored)?;
    }
}

/// What was made here, and goes unless it is a container's.
struct Making {
    bundle: Option<PathBuf>,
}

impl Making {
    /// A new bundle with the configuration, whose root filesystem is the one in it: the bytes of that.
    fn bundle(&mut self, path: &Path, config: &[u8]) -> Result<Vec<u8>> {
        let system = |doing: &str, path: &Path, error: &std::io::Error| {
            let kind =
                if error.kind() == std::io::ErrorKind::AlreadyExists { Kind::Exists } else { Kind::System };
            Error::os(kind, format!("{doing} {}", path.display()), errno_of(error))
        };
        let mut value: Value = serde_json::from_slice(config)
            .map_err(|error| Error::new(Kind::InvalidSpec, error.to_string()).during("read config.json"))?;
        if !value["root"].is_object() {
            value["root"] = json!({});
        }
        value["root"]["path"] = json!(ROOTFS);
        let config = serde_json::to_vec_pretty(&value).unwrap_or_default();
        fs::DirBuilder::new()
            .mode(0o711)
            .create(path)
            .map_err(|error| system("make bundle", path, &error))?;
        self.bundle = Some(path.to_owned());
        let rootfs = path.join(ROOTFS);
        fs::create_dir(&rootfs).map_err(|error| system("make", &rootfs, &error))?;
        let file = path.join("config.json");
        fs::write(&file, &config).map_err(|error| system("write", &file, &error))?;
        Ok(config)
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if let Some(bundle) = &self.bundle {
            // The error that brought us here is the one worth telling.
            let _ = fs::remove_dir_all(bundle);
        }
    }
}

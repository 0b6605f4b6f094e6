//! checkpoint: the container as images, by CRIU. Until CRIU says that all is written the container is as it was; a call
//! that does not succeed leaves it running.
#![forbid(unsafe_code)]

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use serde::{Deserialize, Serialize};

use super::cgroups;
use super::context::{Container, loaded};
use super::criu::{Criu, Opened, Start, refused, with_log};
use super::deadline::Deadline;
use super::io::Streams;
use super::joined;
use super::notify;
use super::options::{Call, Level};
use crate::VERSION;
use crate::cgroup::Manager;
use crate::cgroup::plan::Layout;
use crate::checkpoint::apply::Partner;
use crate::checkpoint::plan::{self, DESCRIPTORS, DUMP_LOG, Foreign, Found, OWN};
use crate::checkpoint::rpc::Notify;
use crate::checkpoint::{CheckpointOptions, Mounted, Submounts, claims};
use crate::error::{Error, Kind, Result};
use crate::namespace::plan as namespace;
use crate::plan::{Request, host_mounts};
use crate::spec;
use crate::state::directory::Directory;
use crate::state::file::StateFile;
use crate::state::status::{Status, observe};
use crate::sys::{errno_of, file, process};
use crate::wording;

/// The major numbers of pseudoterminals' slaves (`linux/major.h`).
const TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;

/// CRIU's options with the number of a socket, beside the images while it needs them.
const CONFIG: &str = ".criu.conf";

/// What runc's images have no place for.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct OwnFacts {
    pub(super) version: String,
    /// Name to place on the host.
    pub(super) submounts: Submounts,
    /// The container has the socket of [`notify`](crate::CreateOptions::notify).
    #[serde(default)]
    pub(super) notify: bool,
}

/// The three streams.
#[derive(Debug, Default)]
struct StreamFacts {
    /// What they are.
    links: Vec<String>,
    /// Those that are files of the host, which CRIU cannot keep.
    outside: Vec<usize>,
    /// One that is a terminal of the host.
    terminal: Option<usize>,
    /// There is the socket of a service manager beside them.
    notify: bool,
}

/// Somebody who is told how far a dump is.
pub(super) trait Attendant {
    /// It is about to stop the container.
    fn stopping(&mut self);

    /// All is written and nothing runs. Once this returns the processes end; after an error they go on.
    fn written(&mut self, state: &StateFile) -> Result<()>;

    /// After an error: whether they are not to go on, since they are frozen on purpose.
    fn stays_frozen(&self) -> bool;

    /// Where memory goes, or is asked for with lazy pages, instead of files: CRIU's end of a socket, and another that
    /// it only keeps.
    fn page_sockets(&mut self) -> Result<Vec<OwnedFd>> {
        Ok(Vec::new())
    }

    /// What is waited for beside CRIU.
    fn beside(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    /// One of those is readable. CRIU notices an error by itself.
    fn turn(&mut self, _: &StateFile) -> Result<()> {
        Ok(())
    }
}

/// Nobody.
impl Attendant for () {
    fn stopping(&mut self) {}

    fn written(&mut self, _: &StateFile) -> Result<()> {
        Ok(())
    }

    fn stays_frozen(&self) -> bool {
        false
    }
}

/// An attendant as CRIU's partner.
struct Attended<'a> {
    attendant: &'a mut dyn Attendant,
    state: &'a StateFile,
    /// It was the attendant who gave up, so that CRIU's log tells nothing of the reason.
    gave_up: bool,
}

impl Partner for Attended<'_> {
    fn answer(&mut self, notify: &Notify, _: Option<OwnedFd>) -> Result<()> {
        match notify.script.as_deref() {
            Some("pre-dump") => {
                self.attendant.stopping();
                Ok(())
            }
            Some("post-dump") => self.attendant.written(self.state).inspect_err(|_| self.gave_up = true),
            _ => Ok(()),
        }
    }

    fn beside(&self) -> Vec<BorrowedFd<'_>> {
        self.attendant.beside()
    }

    fn turn(&mut self) -> Result<()> {
        self.attendant.turn(self.state).inspect_err(|_| self.gave_up = true)
    }

    fn ends_by_itself(&self) -> bool {
        true
    }

    fn sees_it_through(&self) -> bool {
        self.attendant.stays_frozen()
    }
}

impl Container {
    /// Writes the container's processes, with their memory and what they have open, as images from which
    /// [`restore`](crate::Context::restore) makes them again. They are gone afterwards and the container has stopped,
    /// unless it is to be left running.
    ///
    /// # Errors
    /// [`Kind::NotRunning`] for a container that does not run; [`Kind::Criu`] with the lines of CRIU's log for whatever
    /// it refuses; [`Kind::Unsupported`] for what this CRIU or this kernel cannot do. The container runs on then.
    pub fn checkpoint(&self, options: &CheckpointOptions<'_>, call: Call<'_>) -> Result<()> {
        self.checkpoint_attended(options, call, &mut ())
    }

    /// The same before an attendant.
    pub(super) fn checkpoint_attended(
        &self,
        options: &CheckpointOptions<'_>,
        call: Call<'_>,
        attendant: &mut dyn Attendant,
    ) -> Result<()> {
        let deadline = Deadline::begin(call, "checkpoint container")?;
        plan::check(options)?;
        let directory = Directory::open(self.context.root(), &self.id)?;
        deadline.lock(&directory)?;
        let state = loaded(&directory)?;
        let status = observe(&directory, &state);
        if !matches!(status, Status::Running | Status::Paused) {
            return Err(Error::new(Kind::NotRunning, wording::checkpoint_in_state(&status.to_string())));
        }
        if self.context.is_rootless() {
            self.context.log(Level::Warn, "runc checkpoint is untested with rootless containers");
        }
        let mut spec = spec::parse(&directory.config()?)?;
        let notify = notify::is_in(&directory);
        if notify {
            // The configuration as it was given does not have it.
            notify::mount(&mut spec, self.context.root(), &self.id);
        }
        let images = Opened::open(&options.images, true)?;
        let work = match &options.work {
            Some(work) => Opened::open(work, true)?,
            None => Opened { fd: duplicate(&images)?, path: images.path.clone() },
        };
        let (found, mut streams) = self.look(&state, &spec)?;
        // Options of CRIU's own may name it as somebody else's.
        if let Some(number) = streams.terminal.filter(|_| !options.pre_dump && found.config_file.is_none()) {
            return Err(Error::new(
                Kind::Unsupported,
                wording::stream_is_terminal(number, &streams.links[number]),
            ));
        }
        streams.notify = notify;
        let mut attended = Attended { attendant, state: &state, gave_up: false };
        let outcome = self.dump(options, found, &streams, (&images, &work), &deadline, &mut attended);
        if outcome.is_err() && status == Status::Running && !attendant.stays_frozen() {
            // A CRIU that was killed has not come to that any more.
            let _ = cgroups::of(&state).thaw();
        }
        outcome
    }

    fn dump(
        &self,
        options: &CheckpointOptions<'_>,
        mut found: Found,
        streams: &StreamFacts,
        (images, work): (&Opened, &Opened),
        deadline: &Deadline<'_>,
        attended: &mut Attended<'_>,
    ) -> Result<()> {
        let sockets = attended.attendant.page_sockets()?;
        found.page_socket = !sockets.is_empty();
        let start = Start {
            program: options.criu.criu.as_deref(),
            namespaces: 0,
            steps: Vec::new(),
            cgroups: None,
            streams: Streams::open(&mut super::options::Io::default(), true)?,
            images,
            work,
            status: options.status_fd,
            others: &sockets,
        };
        let numbers = start.numbers();
        let criu = Criu::start(&self.context, start, deadline)?;
        drop(sockets);
        let version = criu.version(deadline)?;
        criu.require(options.pre_dump, options.criu.lazy_pages, deadline)?;
        if found.page_socket && options.criu.lazy_pages {
            let own = found.config_file.as_deref().map(read_options).transpose()?;
            images.write(CONFIG, plan::with_page_socket(own.as_deref(), numbers).as_bytes())?;
            found.config_file = Some(images.path.join(CONFIG).to_string_lossy().into_owned());
        }
        let dump = plan::dump(options, &found, version, numbers)?;
        if !options.pre_dump {
            images.write(DESCRIPTORS, json(&streams.links).as_bytes())?;
            let own =
                OwnFacts { version: VERSION.to_owned(), submounts: dump.submounts, notify: streams.notify };
            images.write(OWN, json(&own).as_bytes())?;
        }
        let asked = criu.ask(dump.kind, dump.opts, deadline, attended);
        let of_criu = |error: &Error| error.kind() == Kind::Criu && !attended.gave_up;
        let response = asked
            .map_err(|error| if of_criu(&error) { with_log(error, None, work, DUMP_LOG) } else { error })?;
        if response.success {
            return Ok(());
        }
        let error = refused(dump.kind, &response, work, DUMP_LOG);
        Err(match streams.outside.first() {
            Some(number) => error.during(wording::stream_outside(*number, &streams.links[*number])),
            None => error,
        })
    }

    /// The container as it is.
    fn look(&self, state: &StateFile, spec: &Spec) -> Result<(Found, StreamFacts)> {
        let pid = state.init_process_pid;
        let path = format!("/proc/{pid}/mountinfo");
        let mountinfo = fs::read_to_string(&path)
            .map_err(|error| Error::os(Kind::System, format!("read {path}"), errno_of(&error)))?;
        let mounts = Mounted::parse(&mountinfo);
        let request = Request {
            id: self.id.clone(),
            bundle: state.riverrun.bundle.clone(),
            rootfs: state.config.rootfs.clone(),
            ..Request::default()
        };
        let steps = host_mounts(spec, self.context.host(), &request)?;
        let root = format!("/proc/{pid}/root");
        let root = file::open_directory(Path::new(&root))
            .map_err(|errno| Error::os(Kind::System, format!("open {root}"), errno as i32))?;
        let claims = claims(&steps).into_iter().map(|claim| {
            let there = file::open_path_in(root.as_fd(), Path::new(&claim.path));
            let mount = there.ok().and_then(|there| file::mount_of(there.as_fd()));
            (claim, mount)
        });
        let claims = claims.collect();
        let streams = streams(pid, &mounts);
        let annotation = state.riverrun.annotations.get("org.criu.config").map(String::as_str);
        let found = Found {
            pid,
            rootfs: state.config.rootfs.to_string_lossy().into_owned(),
            freezer: freezer(cgroups::of(state).as_ref(), &state.riverrun.cgroups),
            mounts,
            claims,
            foreign: foreign(spec, Some(pid))?,
            config_file: plan::config_file(annotation, Path::exists),
            page_socket: false,
        };
        Ok((found, streams))
    }
}

/// The freezer of cgroup v1, or the cgroup2 where that is the only one.
///
/// None of v1 where a process is stopped by a signal: CRIU's ptrace(2) would wait for it to move, which it cannot while it is
/// frozen (PTRACE_SEIZE in D state, seen with 4.2.1 on Linux 6.18). Without one CRIU stops one process after another.
fn freezer(cgroups: &dyn Manager, layout: &str) -> Option<(String, bool)> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    if layout.contains(Layout::V2.name()) {
        return cgroups.directory("").map(|path| (text(path), true));
    }
    let stopped = |pid: &i32| process::stat(*pid).is_some_and(|stat| stat.state == b'T');
    if cgroups.pids().is_ok_and(|pids| pids.iter().any(stopped)) {
        return None;
    }
    cgroups.directory("freezer").map(|path| (text(path), false))
}

/// The namespaces that the configuration names by path: those of `pid`, or what the paths lead to.
pub(super) fn foreign(spec: &Spec, pid: Option<i32>) -> Result<Vec<Foreign>> {
    let Some(linux) = spec.linux() else { return Ok(Vec::new()) };
    let one = |(flag, path): (u64, &Path)| {
        let file = namespace::file(flag);
        let seen = pid.map_or_else(|| path.to_owned(), |pid| PathBuf::from(format!("/proc/{pid}/ns/{file}")));
        let inode = fs::metadata(&seen)
            .map_err(|error| Error::os(Kind::System, format!("open {}", seen.display()), errno_of(&error)))?
            .ino();
        Ok(Foreign { flag, inode, path: path.to_string_lossy().into_owned(), file })
    };
    joined::given(linux).into_iter().map(one).collect()
}

/// The text of a file with options of CRIU's.
pub(super) fn read_options(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|error| {
        Error::os(Kind::InvalidArgument, format!("read CRIU's options from {path}"), errno_of(&error))
    })
}

/// What the three streams of a process are. A file on a mount that is not the container's is the host's.
fn streams(pid: i32, mounts: &[Mounted]) -> StreamFacts {
    let mut facts = StreamFacts::default();
    for number in 0..3 {
        let link = format!("/proc/{pid}/fd/{number}");
        let target = fs::read_link(&link).map(|target| target.to_string_lossy().into_owned());
        facts.links.push(target.unwrap_or_default());
        let fdinfo = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
        let foreign = file::mount_in(&fdinfo).is_some_and(|id| !mounts.iter().any(|known| known.id == id));
        let Some(there) = fs::metadata(&link).ok().filter(|_| foreign) else { continue };
        if there.is_file() {
            facts.outside.push(number);
        } else if there.file_type().is_char_device() && TERMINALS.contains(&libc::major(there.rdev())) {
            facts.terminal = facts.terminal.or(Some(number));
        }
    }
    facts
}

fn duplicate(opened: &Opened) -> Result<OwnedFd> {
    opened.fd.try_clone().map_err(|error| {
        Error::os(Kind::System, format!("duplicate {}", opened.path.display()), errno_of(&error))
    })
}

/// Strings and numbers: serialising cannot fail.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

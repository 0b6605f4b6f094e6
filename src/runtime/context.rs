//! A state root and what was found out about the host, shared by all calls; and the handle on one container.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use oci_spec::runtime::{Linux, Process as OciProcess};

use super::cgroups;
use super::deadline::Deadline;
use super::options::{ContextOptions, HostHook, Level};
use super::process::Process;
use super::stats::Known;
use crate::cgroup::plan::{CgroupManager, Facts};
use crate::cgroup::systemd;
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::state::directory::{self, Directory};
use crate::state::file::StateFile;
use crate::sys::memfd;
use crate::wording;

/// The init program, embedded by `build.rs`.
const INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/riverrun-init"));

/// A state root and its containers. Cheap to clone; every call may come from any thread.
#[derive(Clone)]
pub struct Context(pub(super) Arc<Inner>);

pub(super) struct Inner {
    root: PathBuf,
    options: ContextOptions,
    host: OnceLock<Host>,
    /// The sealed copy of the init program: one a context, whatever the number of containers.
    init: OnceLock<OwnedFd>,
    /// The processes that this context started and that nobody has waited for yet, by container.
    children: Mutex<Vec<Child>>,
}

struct Child {
    container: String,
    process: Process,
    /// It is in the pid namespace of another container, perhaps, which cannot end before this one was waited for.
    guest: bool,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("root", &self.0.root).finish_non_exhaustive()
    }
}

impl Context {
    /// Chooses the state root; touches nothing.
    ///
    /// # Errors
    /// [`Kind::InvalidArgument`] for a root that is `/`.
    pub fn new(options: ContextOptions) -> Result<Self> {
        let root = match &options.root {
            Some(root) => std::path::absolute(root).map_err(|error| {
                Error::new(Kind::InvalidArgument, error.to_string()).during("use state root")
            })?,
            None => default_root(),
        };
        if root == Path::new("/") {
            return Err(Error::new(Kind::InvalidArgument, "Option --root argument should not be set to /."));
        }
        let inner = Inner {
            root,
            options,
            host: OnceLock::new(),
            init: OnceLock::new(),
            children: Mutex::new(Vec::new()),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// On a host that a test made up.
    #[cfg(test)]
    pub(super) fn on(host: Host, root: PathBuf) -> Self {
        let options = ContextOptions { root: Some(root.clone()), ..ContextOptions::default() };
        let (init, children) = (OnceLock::new(), Mutex::new(Vec::new()));
        Self(Arc::new(Inner { root, options, host: OnceLock::from(host), init, children }))
    }

    /// The state root, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// A handle on a container that exists, whoever made it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is none, or none that was wholly created; [`Kind::InvalidId`] for a malformed id.
    pub fn open(&self, id: &str) -> Result<Container> {
        valid_id(id)?;
        let container = self.container(id, None);
        container.load()?;
        Ok(container)
    }

    pub(super) fn container(&self, id: &str, init: Option<Process>) -> Container {
        Container {
            context: self.clone(),
            id: id.to_owned(),
            init: Mutex::new(init),
            hook: None,
            keeps_listeners: false,
            listeners: Mutex::default(),
            known: Mutex::new(None),
        }
    }

    pub(super) fn host(&self) -> &Host {
        self.0.host.get_or_init(|| Host::probe().insisting(self.0.options.rootless))
    }

    /// Who makes cgroups.
    pub(super) fn cgroup_manager(&self) -> CgroupManager {
        self.0.options.cgroup_manager
    }

    /// What systemd says of itself, where it is the manager.
    pub(super) fn systemd(&self, deadline: &Deadline<'_>) -> Result<Option<Facts>> {
        let wanted = self.cgroup_manager() == CgroupManager::Systemd;
        wanted.then(|| systemd::manager::facts(self.host().is_rootless(), deadline.until())).transpose()
    }

    /// Whether cgroup permission errors are ignored.
    pub(super) fn is_rootless(&self) -> bool {
        self.0.options.rootless.unwrap_or_else(|| self.host().is_rootless())
    }

    /// The program that becomes the container's first process, by descriptor.
    pub(super) fn init_program(&self) -> Result<BorrowedFd<'_>> {
        if let Some(program) = self.0.init.get() {
            return Ok(program.as_fd());
        }
        let program = match &self.0.options.init_path {
            None => memfd::sealed_program(INIT)
                .map_err(|errno| Error::os(Kind::System, "copy init program into a memfd", errno as i32))?,
            Some(path) => std::fs::File::open(path).map(OwnedFd::from).map_err(|error| {
                let doing = format!("open init program {}", path.display());
                Error::os(Kind::System, doing, crate::sys::errno_of(&error))
            })?,
        };
        Ok(self.0.init.get_or_init(|| program).as_fd())
    }

    /// Remembers a process that was started here. The kernel keeps a pid namespace until the last process in it has been
    /// waited for, and its parent is this host process: [`delete`](Self::delete) waits for those whom nobody else did.
    pub(super) fn adopt(&self, id: &str, process: &Process, guest: bool) {
        let mut children = self.children();
        children.retain(|child| !(child.process.has_ended() && child.process.is_last_handle()));
        children.push(Child { container: id.to_owned(), process: process.without_streams(), guest });
    }

    /// The processes of a container that were started here.
    pub(super) fn adopted(&self, id: &str) -> Vec<Process> {
        let own = |child: &&Child| child.container == id;
        self.children().iter().filter(own).map(|child| child.process.clone()).collect()
    }

    /// Those, and all others that may be in their pid namespace.
    pub(super) fn adopted_and_guests(&self, id: &str) -> Vec<Process> {
        let near = |child: &&Child| child.container == id || child.guest;
        self.children().iter().filter(near).map(|child| child.process.clone()).collect()
    }

    /// Forgets them, once their container is gone.
    pub(super) fn disown(&self, id: &str) {
        self.children().retain(|child| child.container != id);
    }

    fn children(&self) -> std::sync::MutexGuard<'_, Vec<Child>> {
        self.0.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs what a container or a process will not have although it asks for it.
    pub(super) fn warn(&self, unknown: &[String], process: Option<&OciProcess>, linux: Option<&Linux>) {
        let of_process = process.map(crate::process::plan::warnings).unwrap_or_default();
        let of_linux =
            linux.map(|linux| crate::cgroup::resources::warnings(linux, self.host())).unwrap_or_default();
        for line in unknown.iter().chain(&of_process).chain(&of_linux) {
            self.log(Level::Warn, line);
        }
    }

    pub(super) fn log(&self, level: Level, line: &str) {
        if let Some(log) = self.0.options.log.as_ref().filter(|_| self.logs(level)) {
            log(level, line);
        }
    }

    /// Whether anybody reads lines of this level.
    pub(super) fn logs(&self, level: Level) -> bool {
        self.0.options.log.is_some() && level <= self.0.options.log_level
    }
}

/// `/run/riverrun` for root; for everybody else a directory that is theirs.
fn default_root() -> PathBuf {
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|directory| !directory.is_empty());
    match own {
        Some(directory) if is_ordinary_user(Host::probe_user(), std::env::var_os("USER").as_deref()) => {
            Path::new(&directory).join("riverrun")
        }
        _ => PathBuf::from("/run/riverrun"),
    }
}

/// Not root; or root of a user namespace that somebody else entered.
// COMPAT(runc): `$USER` tells, and who does not say it is not root.
fn is_ordinary_user((euid, in_user_namespace): (u32, bool), user: Option<&OsStr>) -> bool {
    euid != 0 || (in_user_namespace && user.is_none_or(|user| user != "root"))
}

/// One container, by its id in a context. Dropping it stops and deletes nothing.
pub struct Container {
    pub(super) context: Context,
    pub(super) id: String,
    /// The first process, as long as this handle made or opened it.
    pub(super) init: Mutex<Option<Process>>,
    /// The host's function, if this handle made the container.
    pub(super) hook: Option<HostHook>,
    /// Whether listeners of seccomp filters stay here, and those that nobody took yet.
    pub(super) keeps_listeners: bool,
    pub(super) listeners: Mutex<VecDeque<OwnedFd>>,
    /// Where its cgroups are, for those who ask again and again.
    pub(super) known: Mutex<Option<Arc<Known>>>,
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container")
            .field("id", &self.id)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

impl Container {
    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The first process. Every call gives another handle on the same process.
    ///
    /// # Errors
    /// [`Kind::NotRunning`] if it has ended and this handle did not make it.
    pub fn init_process(&self) -> Result<Process> {
        let mut init = self.init.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = &*init {
            return Ok(process.clone());
        }
        let (_, state) = self.load()?;
        let ours =
            self.context.adopted(&self.id).into_iter().find(|child| child.pid() == state.init_process_pid);
        if let Some(process) = ours {
            return Ok(init.insert(process).clone());
        }
        let process = Process::open(state.init_process_pid, state.init_process_start)?;
        Ok(init.insert(process).clone())
    }

    /// The `process` object of the configuration that the container was created with, as JSON.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if the container is gone.
    pub fn process_json(&self) -> Result<Vec<u8>> {
        let config = Directory::open(self.context.root(), &self.id)?.config()?;
        let corrupt = |error: serde_json::Error| {
            Error::new(Kind::StateCorrupt, error.to_string()).during("load saved config.json")
        };
        let mut config: serde_json::Value = serde_json::from_slice(&config).map_err(corrupt)?;
        serde_json::to_vec(&config["process"].take()).map_err(corrupt)
    }

    /// The pids of all members, as the host sees them.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if the container is gone, [`Kind::Cgroup`] if its cgroup cannot be read.
    pub fn pids(&self) -> Result<Vec<i32>> {
        let (_, state) = self.load()?;
        let cgroups = cgroups::of(&state);
        if cgroups.paths().is_empty() {
            // No cgroup, no list: the first process is all that is known.
            let alive = crate::state::status::is_alive(&state);
            return Ok(if alive { vec![state.init_process_pid] } else { Vec::new() });
        }
        cgroups.pids()
    }

    /// The directory and what it says; a container that is only half there does not exist.
    pub(super) fn load(&self) -> Result<(Directory, StateFile)> {
        let directory = Directory::open(self.context.root(), &self.id)?;
        let state = loaded(&directory)?;
        Ok((directory, state))
    }
}

/// What `state.json` says of a container that is wholly there.
pub(super) fn loaded(directory: &Directory) -> Result<StateFile> {
    match directory.load()? {
        Some(state) if state.init_process_pid > 0 => Ok(state),
        _ => Err(directory::not_found()),
    }
}

/// Letters, digits, `_+.-`; not `.` or `..`; short enough to be a directory's name.
pub(super) fn valid_id(id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::new(Kind::InvalidId, wording::EMPTY_ID));
    }
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_+.-".contains(&byte);
    if id == "." || id == ".." || id.len() > 255 || !id.bytes().all(letter) {
        return Err(Error::new(Kind::InvalidId, wording::INVALID_ID));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_names_of_directories_and_nothing_more() {
        for good in ["a", "web-1", "A_b+c.d", "..."] {
            valid_id(good).unwrap();
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\0", &"x".repeat(256)] {
            assert_eq!(valid_id(bad).unwrap_err().kind(), Kind::InvalidId, "{bad:?}");
        }
    }

    #[test]
    fn the_root_directory_is_no_state_root() {
        let options = ContextOptions { root: Some("/".into()), ..ContextOptions::default() };
        assert_eq!(Context::new(options).unwrap_err().kind(), Kind::InvalidArgument);
    }

    #[test]
    fn the_init_program_stays_small() {
        // A container that is created and not started holds little more than this.
        assert!(INIT.len() <= 128 << 10, "{} bytes", INIT.len());
    }

    #[test]
    fn root_of_a_user_namespace_is_an_ordinary_user_unless_it_says_otherwise() {
        let user = |name: &'static str| Some(OsStr::new(name));
        assert!(is_ordinary_user((1000, false), user("root")));
        assert!(is_ordinary_user((0, true), None) && is_ordinary_user((0, true), user("somebody")));
        assert!(!is_ordinary_user((0, true), user("root")));
        assert!(!is_ordinary_user((0, false), None) && !is_ordinary_user((0, false), user("somebody")));
    }
}

//! create: from a bundle to a first process that waits for `start`. All or nothing.
//!
//! The order: directory (the lock), `state.json` (what will be made), the process, its maps, the v1 cgroups while it
//! works, its answer, `state.json` again (what was made), the pid file, the word to go on. [`Undo`] takes back whatever was done if
//! anything after it fails; a runtime that is killed leaves a state directory that tells `delete --force` the same.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use oci_spec::runtime::Spec;

use super::context::{Container, Context, valid_id};
use super::deadline::Deadline;
use super::delete::end_members;
use super::hooks;
use super::io::{self, Streams};
use super::joined::Given;
use super::net_device::NetDevices;
use super::notify;
use super::options::{Call, CreateOptions, HostHook, Level};
use super::process::Process;
use super::spawn::{Birth, Ready, Spawned, Wish};
use super::trees::Trees;
use crate::cgroup::apply::Made;
use crate::cgroup::plan::Layout;
use crate::cgroup::{self, Manager};
use crate::error::{Error, Kind, Result};
use crate::hook;
use crate::host::{Cgroups, SecurityModules};
use crate::intel_rdt;
use crate::namespace;
use crate::plan::{self, Plan, Request, listener_number, mount_userns_number};
use crate::process::plan::label;
use crate::seccomp::apply::{Agent, State as AgentsState};
use crate::state::directory::{Directory, START_SOCKET};
use crate::state::file::{Config, Own, Settled, StateFile};
use crate::state::status::Status;
use crate::state::time;
use crate::sys::clone::Child;
use crate::sys::{Errno, errno_of, file, process as sys_process, socket};
use crate::wire::{Hooks, Step, ToInit};
use crate::{OCI_VERSION, VERSION, spec, wording};

impl Context {
    /// Creates a container: its first process has everything but the program, and waits for
    /// [`start`](Container::start).
    ///
    /// # Errors
    /// Those of the configuration, of the host, and of every step of the init program. Nothing is left behind then.
    pub fn create(&self, id: &str, options: CreateOptions<'_>) -> Result<Container> {
        self.make(id, options, true)
    }

    /// [`create`](Self::create) and [`start`](Container::start) in one: the program is executed as soon as the state is
    /// on disk.
    ///
    /// # Errors
    /// Those of both. Nothing is left behind then.
    pub fn run(&self, id: &str, options: CreateOptions<'_>) -> Result<Container> {
        self.make(id, options, false)
    }

    fn make(&self, id: &str, mut options: CreateOptions<'_>, wait_for_start: bool) -> Result<Container> {
        valid_id(id)?;
        let deadline = Deadline::begin(options.call, "create container")?;
        let bundle = bundle(&options)?;
        let config = match options.config.take() {
            Some(config) => config,
            None => read_config(&bundle)?,
        };
        let (mut spec, unknown) = legal(&config, options.want_seccomp_listener)?;
        notify::add_to(&mut spec, &options, self.root(), id);
        let given = Given::open(self, &mut spec, &deadline)?;
        let (rootfs, root_identity) = chosen_rootfs(&options, &spec, &bundle)?;
        let terminal = spec.process().as_ref().is_some_and(|process| process.terminal() == Some(true));
        let streams = Streams::open(&mut options.io, terminal)?;
        if let Some(uid) = spec.process().as_ref().and_then(|process| plan::host_uid(&spec, process)) {
            streams.own(uid);
        }
        let net_devices = NetDevices::find(&spec)?;
        let request = Request {
            id: id.to_owned(),
            bundle,
            rootfs,
            no_pivot: options.no_pivot,
            no_new_keyring: options.no_new_keyring,
            wait_for_start,
            keep_below: streams.keep_below,
            window: options.io.window.map(|window| (window.rows, window.cols)),
            core: Path::new("/proc/kcore").exists(),
            joined: given.facts.clone(),
            selinux: names_mount_label(&spec) && SecurityModules::probe().selinux,
            net_devices: net_devices.facts(),
            cgroup_manager: self.cgroup_manager(),
            rootless: self.is_rootless(),
            systemd: self.systemd(&deadline)?,
            resctrl: self.resctrl_for(&spec),
            calls: options.hook.is_some(),
            root_identity,
        };
        let plan = plan::create(&spec, self.host(), &request)?;
        self.warn(&unknown, spec.process().as_ref(), spec.linux().as_ref());
        self.trace_plan(&plan, &request);
        let directory = Directory::create(self.root(), id)?;
        let unit = plan.cgroups.unit.as_ref().map(|unit| &unit.name);
        let cgroups = cgroup::manager(plan.cgroups.layout, plan.cgroups.paths(), unit);
        let cgroups = cgroups.as_ref();
        let mut undo = Undo {
            context: self,
            directory,
            cgroups,
            made: Made::default(),
            layout: plan.cgroups.layout,
            intel_rdt: Vec::new(),
            pid_file: None,
            hooks: &plan.hooks,
            host_hook: options.hook.as_ref(),
            with_hooks: hook::plan::any(&spec) || options.hook.is_some(),
            armed: true,
        };
        let state = journal(self, &spec, &plan, &request);
        let making = Making {
            context: self,
            plan: &plan,
            cgroups,
            deadline: &deadline,
            options: &options,
            request: &request,
            config: &config,
            given: &given,
            net_devices: &net_devices,
        };
        let mut container = self.container(id, None);
        container.keeps_listeners = options.want_seccomp_listener;
        let made = making.run(state, streams, &container, &mut undo);
        let process = made.map_err(|error| undo.explain(error))?;
        undo.armed = false;
        self.adopt(id, &process, plan.shares_pid_namespace());
        container.init = Mutex::new(Some(process));
        container.hook = options.hook.clone();
        Ok(container)
    }
}

impl Context {
    /// Where resctrl is, for a configuration that wants it.
    pub(super) fn resctrl_for(&self, spec: &Spec) -> Option<PathBuf> {
        spec.linux().as_ref().and_then(intel_rdt::plan::wanted)?;
        self.host().mounted_resctrl().map(Path::to_owned)
    }
}

/// Everything that the acting half of a create looks at.
struct Making<'a> {
    context: &'a Context,
    plan: &'a Plan,
    cgroups: &'a dyn Manager,
    deadline: &'a Deadline<'a>,
    options: &'a CreateOptions<'a>,
    request: &'a Request,
    config: &'a [u8],
    given: &'a Given,
    net_devices: &'a NetDevices,
}

impl Making<'_> {
    fn run(
        &self,
        state: StateFile,
        mut streams: Streams,
        container: &Container,
        undo: &mut Undo<'_>,
    ) -> Result<Process> {
        undo.directory.save(&state.settled())?;
        notify::make(&undo.directory, self.options)?;
        if let Some(intel_rdt) = &self.plan.intel_rdt {
            undo.intel_rdt.clone_from(&state.riverrun.intel_rdt_own);
            intel_rdt::apply::make(intel_rdt)?;
        }
        let groups: Vec<PathBuf> = state.intel_rdt().map(Path::to_owned).collect();
        let entrances = self.cgroups.make(&self.plan.cgroups, &mut undo.made)?;
        let keep_below = self.request.keep_below;
        let listener = self.listener(&undo.directory)?;
        if let Some(listener) = &listener {
            streams.add(listener.as_fd(), listener_number(keep_below));
        }
        self.given.add_to(&mut streams, keep_below);
        let mut trees = Trees::new(self.context, self.plan, mount_userns_number(self.request), self.deadline);
        let userns = trees.userns_for_init()?;
        userns.iter().for_each(|(fd, number)| streams.add(fd.as_fd(), *number));
        let pipes = std::mem::take(&mut streams.pipes);
        let birth = Birth {
            program: self.context.init_program()?,
            namespaces: self.plan.namespaces,
            entrances: &entrances,
            oom_score_adj: self.plan.oom_score_adj,
            affinity: &[],
            unmapped: self.plan.is_born_unmapped(),
            orphan: self.options.detached,
            context: self.context,
        };
        let (spawned, tasks) = self.born(&birth, streams, &mut undo.made)?;
        let spawned = spawned.join(&tasks);
        drop(tasks);
        undo.directory.keep_config(self.config)?;
        let agent = self.agent(&state);
        // Not an error yet: an init program that has failed already says why below.
        let settled = self.settled(state, spawned.pid()).and_then(|state| undo.directory.prepare(&state));
        let host_hook = self.options.hook.as_ref();
        let mut errands = |wish, init: &Child| match wish {
            Wish::Tree(step) => trees.open(step, init).map(|tree| (ToInit::Opened, Some(tree))),
            Wish::Hooks => hooks::run_creating(&self.plan.hooks, host_hook, init.pid, self.deadline)
                .map(|()| (ToInit::HooksDone, None)),
            Wish::NetDevices => self.net_devices.move_to(init.pid).map(|()| (ToInit::NetDevices, None)),
            Wish::Listener(fd) if container.keeps_listeners => container.keep_listener(init, fd),
            Wish::Listener(fd) => hand_to_agent(agent.as_ref(), init, fd),
        };
        let mut ready = spawned.ready(self.deadline, &mut errands)?;
        intel_rdt::apply::enter(groups.iter().map(PathBuf::as_path), ready.pid())?;
        let console = self.hand_over(&mut ready, undo)?;
        settled?;
        undo.directory.commit()?;
        self.context.trace(|| format!("init program: process {} is ready", ready.pid()));
        let released = if self.request.wait_for_start {
            ready.release()
        } else {
            ready.execute(self.deadline, &self.plan.hooks, host_hook)
        }?;
        Ok(Process::new(released.pid, released.pidfd, console, pipes))
    }

    /// Whether the init program needs nothing of us before its cgroups, and may be alone in our memory until it executes.
    /// Only of a vfork's child does the kernel know that it is a guest there: the OOM killer would end us with one that is
    /// born in a cgroup with too little memory, and an OOM score is of all that share the memory (oom_kill.c, `in_vfork`;
    /// fs/proc/base.c, `__set_oom_adj`).
    fn goes_its_way(&self) -> bool {
        let joins_memory_later = match &self.context.host().cgroups {
            Cgroups::V1 { unified, .. } => unified.as_ref().is_none_or(|unified| !unified.has("memory")),
            Cgroups::V2(_) | Cgroups::Absent => false,
        };
        let needs_us = self.plan.maps.is_some() || self.plan.init.steps.contains(&Step::Hop);
        joins_memory_later
            && self.plan.oom_score_adj.is_none()
            && !needs_us
            && !self.options.detached
            && !self.context.is_rootless()
    }

    /// The init program on its way, and what it joins its cgroups by: these are made while it does what needs none.
    fn born(&self, birth: &Birth<'_>, streams: Streams, made: &mut Made) -> Result<(Spawned, Vec<OwnedFd>)> {
        let (init, socket_number) = (&self.plan.init, self.request.keep_below + 1);
        let mut enter = |pid| self.cgroups.enter(&self.plan.cgroups, pid, made);
        if self.goes_its_way() {
            return Spawned::beside(birth, init, streams, socket_number, enter);
        }
        let mut spawned = Spawned::new(birth, init, streams, socket_number)?;
        if let Some(maps) = &self.plan.maps {
            if !self.plan.is_born_unmapped() {
                spawned = spawned.in_user_namespace(self.deadline)?;
            }
            namespace::apply::write_maps(spawned.pid(), maps)?;
            self.rlimits(spawned.pid())?;
            spawned = spawned.mapped();
        }
        // From here on the pid is the container's. The init program is busy, and so are we.
        let spawned = spawned.moved(self.deadline)?;
        let tasks = enter(spawned.pid())?;
        Ok((spawned, tasks))
    }

    /// Who gets the listener of a seccomp filter, and what he is told of the container.
    fn agent(&self, state: &StateFile) -> Option<Agent> {
        let receiver = self.plan.receiver.clone()?;
        Some(Agent { receiver, container: agents_state(state, Status::Creating, 0) })
    }

    fn listener(&self, directory: &Directory) -> Result<Option<OwnedFd>> {
        if !self.request.wait_for_start {
            return Ok(None);
        }
        let listener = socket::listen_in(directory.fd(), START_SOCKET);
        listener.map(Some).map_err(|errno| Error::os(Kind::System, "listen for start", errno as i32))
    }

    /// Limits that the user namespace's root could not raise.
    fn rlimits(&self, pid: i32) -> Result<()> {
        for (resource, soft, hard) in &self.plan.rlimits {
            sys_process::set_limit(pid, *resource, *soft, *hard).map_err(|errno| {
                Error::os(Kind::Permission, format!("set rlimit type {resource}"), errno as i32)
            })?;
        }
        Ok(())
    }

    /// The terminal to the console socket or into the handle; the pidfd to its socket.
    fn hand_over(&self, ready: &mut Ready, undo: &mut Undo<'_>) -> Result<Option<OwnedFd>> {
        let console = hand_over_console(ready, self.options.io.console_socket.as_deref())?;
        if let (Some(path), Some(pidfd)) = (&self.options.pidfd_socket, ready.pidfd()) {
            io::send_to_socket(path, pidfd, "standard", "pidfd")?;
        }
        if let Some(path) = &self.options.pid_file {
            io::write_pid_file(path, ready.pid())?;
            undo.pid_file = Some(path.clone());
        }
        Ok(console)
    }

    /// What will be written down once the process is ready; found out while it is busy.
    fn settled(&self, mut state: StateFile, pid: i32) -> Result<Settled> {
        let stat = sys_process::stat(pid)
            .ok_or_else(|| Error::os(Kind::System, "read stat of the init program", Errno::ESRCH as i32))?;
        state.init_process_pid = pid;
        state.init_process_start = stat.start_time;
        state.namespace_paths = namespace_paths(pid);
        Ok(state.settled())
    }
}

/// The container as an agent is told of it.
pub(super) fn agents_state(state: &StateFile, status: Status, pid: i32) -> AgentsState {
    AgentsState {
        oci_version: OCI_VERSION,
        id: state.id.clone(),
        status: status.to_string(),
        pid,
        bundle: state.riverrun.bundle.clone(),
        annotations: state.riverrun.annotations.clone(),
    }
}

/// Gives the agent the listener of the filter that the process has loaded.
pub(super) fn hand_to_agent(
    agent: Option<&Agent>,
    init: &Child,
    fd: i32,
) -> Result<(ToInit, Option<OwnedFd>)> {
    let agent = agent.ok_or_else(|| Error::new(Kind::Internal, "a seccomp listener for nobody"))?;
    agent.hand_over(init.pid, init.pidfd.as_fd(), fd).map(|()| (ToInit::Listened, None))
}

/// Sends the master to the console socket, or keeps it.
pub(super) fn hand_over_console(ready: &mut Ready, socket: Option<&Path>) -> Result<Option<OwnedFd>> {
    match (ready.take_console(), socket) {
        (Some((master, name)), Some(path)) => {
            io::send_to_socket(path, master.as_fd(), &name, "terminal")?;
            Ok(None)
        }
        (console, _) => Ok(console.map(|(master, _)| master)),
    }
}

/// Takes back what was made, unless it is disarmed. Killing the process is `spawn`'s.
pub(super) struct Undo<'a> {
    pub(super) context: &'a Context,
    pub(super) directory: Directory,
    pub(super) cgroups: &'a dyn Manager,
    pub(super) made: Made,
    pub(super) layout: Layout,
    pub(super) intel_rdt: Vec<PathBuf>,
    pub(super) pid_file: Option<PathBuf>,
    /// Those of the host.
    pub(super) hooks: &'a [Hooks],
    pub(super) host_hook: Option<&'a HostHook>,
    /// There are some, of the host or of the container.
    pub(super) with_hooks: bool,
    pub(super) armed: bool,
}

impl Undo<'_> {
    /// The kernel does not tell a process why it kills it.
    fn explain(&self, error: Error) -> Error {
        // Born in its cgroup, it may find no memory for its first execve, and is not even killed.
        let refused = error.errno() == Some(libc::ENOMEM) && cgroup::oom::shortages(self.cgroups) > 0;
        if refused || cgroup::oom::kills(self.cgroups) > 0 {
            return Error::new(Kind::Oom, wording::INIT_OOM);
        }
        error
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        if let Some(path) = &self.pid_file {
            let _ = fs::remove_file(path);
        }
        if self.with_hooks {
            // What a hook left behind in the container; with a pid namespace it ended with the init program.
            let own = cgroup::manager(self.layout, self.made.own().to_vec(), None);
            let _ = end_members(own.as_ref(), Call::default());
        }
        // The directory goes last: as long as it is there, `delete --force` finds what could not be removed.
        let removed =
            self.cgroups.unmake(&self.made).and_then(|()| intel_rdt::apply::remove(&self.intel_rdt));
        match removed.and_then(|()| self.directory.remove()) {
            // What a hook did for the container another takes back (runtime.md#lifecycle: on to step 12).
            Ok(()) => {
                let forever = Deadline::new(Call::default());
                hooks::run_poststop(self.context, self.hooks, self.host_hook, &forever);
            }
            Err(error) => self.context.log(Level::Warn, &format!("clean up after a failed create: {error}")),
        }
    }
}

/// The bundle, absolute and without links. A configuration that comes as bytes needs none: the host's cwd stands in.
pub(super) fn bundle(options: &CreateOptions<'_>) -> Result<PathBuf> {
    let bundle = match (&options.bundle, &options.config) {
        (Some(bundle), _) => bundle.as_path(),
        (None, Some(_)) => Path::new("."),
        (None, None) => {
            return Err(Error::new(Kind::InvalidArgument, "neither a bundle nor a configuration is given"));
        }
    };
    bundle.canonicalize().map_err(|error| {
        Error::os(Kind::InvalidArgument, format!("open bundle {}", bundle.display()), errno_of(&error))
    })
}

pub(super) fn read_config(bundle: &Path) -> Result<Vec<u8>> {
    let path = bundle.join("config.json");
    fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(Kind::InvalidSpec, wording::CONFIG_NOT_FOUND).detailed("path", path.to_string_lossy())
        }
        _ => Error::os(Kind::InvalidSpec, format!("read {}", path.display()), errno_of(&error)),
    })
}

/// The configuration, if it is one that can be had here, and what it says that nobody knows.
fn legal(config: &[u8], want_seccomp_listener: bool) -> Result<(Spec, Vec<String>)> {
    let (mut spec, unknown) = spec::parse_telling(config)?;
    if want_seccomp_listener {
        listen_ourselves(&mut spec);
    }
    spec::validate(&spec)?;
    if let Some(process) = spec.process().as_ref().filter(|process| label::wanted(process)) {
        label::possible(process, SecurityModules::probe())?;
    }
    Ok((spec, unknown))
}

/// The root filesystem's path and, where it came as a descriptor, what has to be there.
pub(super) fn chosen_rootfs(
    options: &CreateOptions<'_>,
    spec: &Spec,
    bundle: &Path,
) -> Result<(PathBuf, Option<(u64, u64)>)> {
    match &options.rootfs {
        Some(directory) => given_rootfs(directory.as_fd()).map(|(path, identity)| (path, Some(identity))),
        None => rootfs(spec, bundle).map(|path| (path, None)),
    }
}

/// The root filesystem: a directory, and not a link that somebody could turn elsewhere.
fn rootfs(spec: &Spec, bundle: &Path) -> Result<PathBuf> {
    let path = bundle.join(spec.root().as_ref().map(|root| root.path().clone()).unwrap_or_default());
    let error = |error: std::io::Error| {
        Error::os(Kind::Rootfs, format!("open root filesystem {}", path.display()), errno_of(&error))
    };
    let there = fs::symlink_metadata(&path).map_err(error)?;
    if there.is_symlink() {
        return Err(Error::new(Kind::Rootfs, "invalid rootfs: not an absolute path, or a symlink"));
    }
    if !there.is_dir() {
        return Err(Error::os(
            Kind::Rootfs,
            format!("open root filesystem {}", path.display()),
            libc::ENOTDIR,
        ));
    }
    path.canonicalize().map_err(error)
}

/// The root filesystem behind a descriptor: where it is, and what it has to be when the init program opens it there.
fn given_rootfs(directory: BorrowedFd<'_>) -> Result<(PathBuf, (u64, u64))> {
    let found = file::place_of(directory).map_err(|errno| {
        Error::os(Kind::Rootfs, "find the root filesystem by its descriptor", errno as i32)
    })?;
    match found.place {
        Some(_) if !found.is_directory => {
            Err(Error::os(Kind::Rootfs, "use the root filesystem's descriptor", libc::ENOTDIR))
        }
        Some(path) => Ok((path, found.identity)),
        None => {
            let message =
                "find the root filesystem by its descriptor: it has no path in this mount namespace";
            Err(Error::new(Kind::Rootfs, message))
        }
    }
}

/// The rules want to know where listeners go. Here they stay; what is named is never connected to.
fn listen_ourselves(spec: &mut Spec) {
    let seccomp = spec.linux_mut().as_mut().and_then(|linux| linux.seccomp_mut().as_mut());
    if let Some(seccomp) = seccomp
        && seccomp.listener_path().as_ref().is_none_or(|path| path.as_os_str().is_empty())
    {
        seccomp.set_listener_path(Some(PathBuf::from("/")));
    }
}

pub(super) fn names_mount_label(spec: &Spec) -> bool {
    spec.linux().as_ref().is_some_and(|linux| linux.mount_label().is_some())
}

/// What will be made, for whoever has to clean up.
pub(super) fn journal(context: &Context, spec: &Spec, plan: &Plan, request: &Request) -> StateFile {
    let created_ns = time::now_ns();
    let annotations: BTreeMap<String, String> =
        spec.annotations().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut labels: Vec<String> = annotations.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.push(format!("bundle={}", request.bundle.display()));
    StateFile {
        id: request.id.clone(),
        created: time::rfc3339(created_ns),
        config: Config {
            rootfs: request.rootfs.clone(),
            hostname: spec.hostname().clone().unwrap_or_default(),
            labels,
        },
        rootless: context.is_rootless(),
        cgroup_paths: plan.cgroups.paths().into_iter().collect(),
        intel_rdt_path: plan.intel_rdt.as_ref().map(|rdt| rdt.group.clone()).unwrap_or_default(),
        intel_rdt_mon_path: plan
            .intel_rdt
            .as_ref()
            .and_then(|rdt| rdt.monitoring.clone())
            .unwrap_or_default(),
        riverrun: Own {
            version: VERSION.to_owned(),
            bundle: request.bundle.clone(),
            annotations,
            namespaces: plan.own_namespaces,
            joined: plan.joined_namespaces,
            deny_setgroups: plan.deny_setgroups,
            created_ns,
            cgroups: plan.cgroups.layout.name().to_owned(),
            unit: plan.cgroups.unit.as_ref().map(|unit| unit.name.name.clone()),
            unit_of_user: plan.cgroups.unit.as_ref().is_some_and(|unit| unit.name.user),
            hooks: hook::plan::any(spec),
            resources: None,
            l3_cache_schema: None,
            mem_bw_schema: None,
            intel_rdt_own: plan.intel_rdt.as_ref().map(intel_rdt::apply::missing).unwrap_or_default(),
        },
        ..StateFile::default()
    }
}

/// As runc names them, for tools.
pub(super) fn namespace_paths(pid: i32) -> BTreeMap<String, PathBuf> {
    const NAMES: [(&str, &str); 8] = [
        ("NEWCGROUP", "cgroup"),
        ("NEWIPC", "ipc"),
        ("NEWNET", "net"),
        ("NEWNS", "mnt"),
        ("NEWPID", "pid"),
        ("NEWTIME", "time"),
        ("NEWUSER", "user"),
        ("NEWUTS", "uts"),
    ];
    NAMES
        .iter()
        .map(|(key, file)| ((*key).to_owned(), PathBuf::from(format!("/proc/{pid}/ns/{file}"))))
        .collect()
}

//! create: from a bundle to a first process that waits for `start`. All or nothing.
//!
//! The order: directory (the lock), `state.json` (what will be made), the process, its maps, the v1 cgroups while it
//! works, its answer, `state.json` again (what was made), the pid file, the word to go on. [`Undo`] takes back whatever was
//! done if anything after it fails; a runtime that is killed leaves a state directory that tells `delete --force` the same.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use oci_spec::runtime::Spec;

use super::bundle;
use super::context::{Container, Context, valid_id};
use super::deadline::Deadline;
use super::hooks;
use super::io::{self, Streams};
use super::joined::Given;
use super::journal::{self, agents_state};
use super::net_device::NetDevices;
use super::notify;
use super::options::CreateOptions;
use super::process::Process;
use super::spawn::{Birth, Ready, Spawned, Wish};
use super::trees::Trees;
use super::undo::Undo;
use crate::cgroup::apply::Made;
use crate::cgroup::{self, Manager};
use crate::error::{Error, Kind, Result};
use crate::hook;
use crate::host::SecurityModules;
use crate::intel_rdt;
use crate::namespace;
use crate::plan::{self, Plan, Request, listener_number, mount_userns_number};
use crate::seccomp::apply::Agent;
use crate::state::directory::{Directory, START_SOCKET};
use crate::state::file::{Settled, StateFile};
use crate::state::status::Status;
use crate::sys::clone::Child;
use crate::sys::{Errno, process as sys_process, socket};
use crate::wire::ToInit;

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
        let bundle = bundle::find(&options)?;
        let config = bundle::config(options.config.take(), &bundle)?;
        let (mut spec, unknown) = bundle::legal(&config, options.want_seccomp_listener)?;
        notify::add_to(&mut spec, &options, self.root(), id);
        let given = Given::open(self, &mut spec, &deadline)?;
        let (rootfs, root_identity) = bundle::chosen_rootfs(&options, &spec, &bundle)?;
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
            selinux: bundle::names_mount_label(&spec) && SecurityModules::probe().selinux,
            net_devices: net_devices.facts(),
            cgroup_manager: self.cgroup_manager(),
            rootless: self.is_rootless(),
            systemd: self.systemd(&deadline)?,
            resctrl: self.resctrl_for(&spec),
            calls: options.hook.is_some(),
            root_identity,
            detached: options.detached,
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
        let state = journal::begin(self, &spec, &plan, &request);
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

    /// The init program on its way, and what it joins its cgroups by: these are made while it does what needs none.
    fn born(&self, birth: &Birth<'_>, streams: Streams, made: &mut Made) -> Result<(Spawned, Vec<OwnedFd>)> {
        let (init, socket_number) = (&self.plan.init, self.request.keep_below + 1);
        let mut enter = |pid| self.cgroups.enter(&self.plan.cgroups, pid, made);
        if self.plan.beside {
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
        state.namespace_paths = journal::namespace_paths(pid);
        Ok(state.settled())
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

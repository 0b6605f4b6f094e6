//! restore: a container from the images of a checkpoint. All or nothing, as create.
//!
//! The order is create's: directory (the lock), `state.json` (what will be made), cgroups; then CRIU, which is born in
//! them, so that whatever it makes is found there, also by `delete --force` after a runtime that was killed. It has a
//! mount namespace of its own: no mount of its making is ever the host's. When all is restored and nothing runs yet it
//! asks, and `state.json` is written again; the answer lets the processes go on.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use serde::de::DeserializeOwned;

use super::bundle;
use super::checkpoint::{OwnFacts, foreign, read_options};
use super::context::{Container, Context, valid_id};
use super::criu::{Cgroups, Criu, Opened, Start, refused, with_log};
use super::deadline::Deadline;
use super::delete::end_members;
use super::hooks;
use super::io::{self, Streams};
use super::joined::Given;
use super::journal;
use super::net_device::NetDevices;
use super::notify;
use super::options::{Call, CreateOptions};
use super::process::Process;
use super::spawn::{Birth, Spawned, Wish};
use super::undo::Undo;
use crate::cgroup::apply::{Entrances, Made};
use crate::cgroup::{self, Manager};
use crate::checkpoint::apply::Partner;
use crate::checkpoint::plan::{self as criu, DESCRIPTORS, Image, OWN, RESTORE_LOG};
use crate::checkpoint::rpc::{Notify, kind};
use crate::checkpoint::{RestoreOptions, claims, mount_points};
use crate::error::{Error, Kind, Result};
use crate::hook;
use crate::intel_rdt;
use crate::plan::{self, Plan, Request};
use crate::spec::{self, Moment};
use crate::state::directory::Directory;
use crate::state::file::StateFile;
use crate::sys::clone::Child;
use crate::sys::{Errno, errno_of, pidfd, process as sys_process};
use crate::wire::{BUILD_ID, Execute, InitPlan, OpenedBy, Step, ToInit};

const SLAVE_TREE: u64 = libc::MS_SLAVE | libc::MS_REC;

impl Context {
    /// Makes a container of the images of a checkpoint: its processes go on where they were. `options` are those of a
    /// create; their streams take the place of the pipes that the first process had.
    ///
    /// # Errors
    /// Those of the configuration and of the host; [`Kind::Criu`] with the lines of CRIU's log. Nothing is left behind.
    pub fn restore(
        &self,
        id: &str,
        options: CreateOptions<'_>,
        wanted: &RestoreOptions<'_>,
    ) -> Result<Container> {
        valid_id(id)?;
        self.restore_held(id, options, wanted, None)
    }

    /// The same with an id that is one; when all is restored and nothing runs yet, `hold` says whether it may. Such a
    /// container is new on this host: its `poststart` hooks run.
    pub(super) fn restore_held(
        &self,
        id: &str,
        mut options: CreateOptions<'_>,
        wanted: &RestoreOptions<'_>,
        hold: Option<Hold<'_>>,
    ) -> Result<Container> {
        possible(&options)?;
        let deadline = Deadline::begin(options.call, "restore container")?;
        let bundle = bundle::find(&options)?;
        let (config, mut spec, unknown) = legal(&mut options, &bundle)?;
        let (images, work) = directories(wanted)?;
        let own = own_facts(&images)?;
        options.notify |= own.notify;
        notify::add_to(&mut spec, &options, self.root(), id);
        let given = Given::open(self, &mut spec, &deadline)?;
        let (rootfs, root_identity) = bundle::chosen_rootfs(&options, &spec, &bundle)?;
        let terminal = spec.process().as_ref().is_some_and(|process| process.terminal() == Some(true));
        let streams = Streams::open(&mut options.io, terminal)?;
        let net_devices = NetDevices::find(&spec)?;
        let request = Request {
            id: id.to_owned(),
            bundle,
            rootfs,
            keep_below: streams.keep_below,
            joined: given.facts.clone(),
            selinux: true,
            net_devices: net_devices.facts(),
            cgroup_manager: self.cgroup_manager(),
            systemd: self.systemd(&deadline)?,
            resctrl: self.resctrl_for(&spec),
            calls: options.hook.is_some(),
            root_identity,
            ..Request::default()
        };
        let plan = plan::create(&spec, self.host(), &request)?;
        self.warn(&unknown, spec.process().as_ref(), spec.linux().as_ref());
        self.trace_plan(&plan, &request);
        let mut image = image(&images, own, &spec, &plan, &request)?;
        let unit = plan.cgroups.unit.as_ref().map(|unit| &unit.name);
        let cgroups = cgroup::manager(plan.cgroups.layout, plan.cgroups.paths(), unit);
        let cgroups = cgroups.as_ref();
        let mut undo = Undo {
            context: self,
            directory: Directory::create(self.root(), id)?,
            cgroups,
            made: Made::default(),
            layout: plan.cgroups.layout,
            intel_rdt: Vec::new(),
            pid_file: None,
            host_hook: options.hook.as_ref(),
            hooks: &plan.hooks,
            with_hooks: hook::plan::any(&spec) || options.hook.is_some(),
            armed: true,
        };
        let mut restoring = Restoring {
            context: self,
            plan: &plan,
            image: &mut image,
            wanted,
            options: &options,
            given: &given,
            net_devices: &net_devices,
            images: &images,
            work: &work,
            deadline: &deadline,
            config: &config,
            state: journal::begin(self, &spec, &plan, &request),
            began: false,
            init: None,
            console: None,
            hold,
        };
        let process = restoring.run(streams, &mut undo).inspect_err(|_| restoring.end(cgroups))?;
        undo.armed = false;
        Ok(self.restored(id, process, plan.shares_pid_namespace(), &options))
    }

    fn restored(
        &self,
        id: &str,
        process: Process,
        shares_pid_namespace: bool,
        options: &CreateOptions<'_>,
    ) -> Container {
        self.adopt(id, &process, shares_pid_namespace);
        let mut container = self.container(id, Some(process));
        container.hook.clone_from(&options.hook);
        container
    }
}

/// The configuration's bytes, what they say, and what of that nobody knows.
fn legal(options: &mut CreateOptions<'_>, bundle: &Path) -> Result<(Vec<u8>, Spec, Vec<String>)> {
    let config = bundle::config(options.config.take(), bundle)?;
    let (spec, unknown) = spec::parse_telling(&config)?;
    spec::validate(&spec)?;
    Ok((config, spec, unknown))
}

/// Where the images are, and where CRIU works.
fn directories(wanted: &RestoreOptions<'_>) -> Result<(Opened, Opened)> {
    let images = Opened::open(&wanted.images, false)?;
    if !wanted.criu.lazy_pages {
        images.whole()?;
    }
    let work = Opened::open(wanted.work.as_ref().unwrap_or(&wanted.images), wanted.work.is_some())?;
    Ok((images, work))
}

/// What a create can have and a restore cannot.
fn possible(options: &CreateOptions<'_>) -> Result<()> {
    let refused = [
        (options.detached, "a first process that is nobody's child"),
        (options.want_seccomp_listener, "the listener of a seccomp filter"),
        (!options.io.fds.is_empty(), "further descriptors"),
    ];
    match refused.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => {
            Err(Error::new(Kind::Unsupported, format!("restore container: CRIU cannot give it {what}")))
        }
        None => Ok(()),
    }
}

/// Somebody without whose word what is restored does not run.
pub(super) trait Holder {
    /// CRIU, of this pid, is in the cgroups, and is about to be asked.
    fn begins(&mut self, cgroups: &dyn Manager, criu: i32) -> Result<()>;

    /// Whether what is restored, with this first process, may run.
    fn restored(&mut self, pid: i32) -> Result<()>;

    /// What is waited for beside CRIU.
    fn beside(&self) -> Vec<BorrowedFd<'_>>;

    /// One of those is readable.
    fn turn(&mut self) -> Result<()>;
}

type Hold<'a> = &'a mut dyn Holder;

/// A restore as CRIU's partner.
struct Answers<'a, 'b, 'h, 'u> {
    restoring: &'a mut Restoring<'b, 'h>,
    undo: &'a mut Undo<'u>,
}

impl Partner for Answers<'_, '_, '_, '_> {
    fn answer(&mut self, notify: &Notify, descriptor: Option<OwnedFd>) -> Result<()> {
        self.restoring.answer(notify, descriptor, self.undo)
    }

    fn beside(&self) -> Vec<BorrowedFd<'_>> {
        self.restoring.hold.as_ref().map_or_else(Vec::new, |hold| hold.beside())
    }

    fn turn(&mut self) -> Result<()> {
        self.restoring.hold.as_mut().map_or(Ok(()), |hold| hold.turn())
    }
}

/// Everything that the acting half of a restore looks at, and what it learns.
struct Restoring<'a, 'h> {
    context: &'a Context,
    plan: &'a Plan,
    image: &'a mut Image,
    wanted: &'a RestoreOptions<'a>,
    options: &'a CreateOptions<'a>,
    given: &'a Given,
    net_devices: &'a NetDevices,
    images: &'a Opened,
    work: &'a Opened,
    deadline: &'a Deadline<'a>,
    config: &'a [u8],
    state: StateFile,
    /// CRIU runs in the cgroups, so that whoever is there is of its making. Before that it may be somebody else's.
    began: bool,
    /// The first process, once CRIU has told it.
    init: Option<(i32, OwnedFd)>,
    /// The master of its terminal.
    console: Option<OwnedFd>,
    hold: Option<Hold<'h>>,
}

impl Restoring<'_, '_> {
    fn run(&mut self, mut streams: Streams, undo: &mut Undo<'_>) -> Result<Process> {
        undo.directory.save(&self.state.settled())?;
        undo.directory.keep_config(self.config)?;
        notify::make(&undo.directory, self.options)?;
        if let Some(intel_rdt) = &self.plan.intel_rdt {
            undo.intel_rdt.clone_from(&self.state.riverrun.intel_rdt_own);
            intel_rdt::apply::make(intel_rdt)?;
        }
        let own = self.image.config_file.as_deref().map(read_options).transpose()?;
        let config = criu::with_work_directory(own.as_deref(), &self.work.path.to_string_lossy())?;
        let config = undo.directory.criu_config(&config)?;
        self.image.config_file = Some(config.to_string_lossy().into_owned());
        let pipes = std::mem::take(&mut streams.pipes);
        let start = self.start(
            Cgroups { manager: undo.cgroups, plan: &self.plan.cgroups, made: &mut undo.made },
            streams,
        );
        let numbers = start.numbers();
        let criu = Criu::start(self.context, start, self.deadline)?;
        self.began = true;
        let version = criu.version(self.deadline)?;
        criu.require(false, self.wanted.criu.lazy_pages, self.deadline)?;
        let opts = criu::restore(self.wanted, self.image, version, numbers)?;
        if let Some(hold) = &mut self.hold {
            hold.begins(undo.cgroups, criu.pid())?;
        }
        let asked = criu.ask(kind::RESTORE, opts, self.deadline, &mut Answers { restoring: self, undo });
        let response = asked.map_err(|error| match error.kind() {
            Kind::Criu => with_log(error, None, self.work, RESTORE_LOG),
            _ => error,
        })?;
        if !response.success {
            return Err(refused(kind::RESTORE, &response, self.work, RESTORE_LOG));
        }
        undo.directory.remove_criu_config();
        let (pid, init) = self
            .init
            .as_ref()
            .ok_or_else(|| Error::new(Kind::Criu, "CRIU has restored a process and not told which one"))?;
        // COMPAT(runc): no poststart of a restore's, whose moment was after the program's execution.
        if self.hold.is_some() {
            let host = self.options.hook.as_ref();
            hooks::run(&self.plan.hooks, host, Moment::Poststart, *pid, self.deadline)?;
        }
        let init = init
            .try_clone()
            .map_err(|error| Error::os(Kind::System, "duplicate a pidfd", errno_of(&error)))?;
        let process = Process::new(*pid, init, self.console.take(), pipes);
        if let Some(size) = self.options.io.window.filter(|_| process.console().is_some()) {
            process.resize(size)?;
        }
        Ok(process)
    }

    /// Ends whatever CRIU has made by now.
    fn end(&self, cgroups: &dyn Manager) {
        if self.began {
            let _ = end_members(cgroups, Call::default());
        }
        if let Some((_, init)) = &self.init {
            let _ = pidfd::send_signal(init.as_fd(), libc::SIGKILL);
            pidfd::reap(init);
        }
    }

    /// CRIU's own surroundings: nothing that is mounted here reaches the host; the root filesystem is a mount point, and
    /// what it is mounted on is not shared, as CRIU wants it.
    fn start<'s>(&'s self, cgroups: Cgroups<'s>, streams: Streams) -> Start<'s> {
        let mut steps = vec![Step::Propagate { flags: SLAVE_TREE }];
        let count = self.plan.cgroups.entrances();
        if count != 0 {
            steps.push(Step::JoinCgroups { count });
        }
        steps.push(Step::OpenRoot { path: self.image.rootfs.clone(), opened_by: OpenedBy::Init });
        let same = self.plan.init.steps.iter().filter(|step| matches!(step, Step::SameRoot { .. }));
        steps.extend(same.cloned());
        steps.extend(mount_points(&self.plan.init.steps, Path::is_dir));
        Start {
            program: self.wanted.criu.criu.as_deref(),
            namespaces: LinuxNamespaceType::Mount as u64,
            steps,
            cgroups: Some(cgroups),
            streams,
            images: self.images,
            work: self.work,
            status: None,
            others: self.given.descriptors(),
        }
    }

    /// What CRIU asks or tells on its way.
    fn answer(&mut self, notify: &Notify, descriptor: Option<OwnedFd>, undo: &mut Undo<'_>) -> Result<()> {
        match notify.script.as_deref().unwrap_or_default() {
            "setup-namespaces" => {
                let pid = self.learn(notify)?;
                self.network(pid)?;
                hooks::run_creating(&self.plan.hooks, self.options.hook.as_ref(), pid, self.deadline)
            }
            "orphan-pts-master" => {
                self.console = descriptor;
                Ok(())
            }
            "post-restore" => {
                let pid = self.learn(notify)?;
                self.settle(pid, undo)?;
                self.hold.as_mut().map_or(Ok(()), |hold| hold.restored(pid))
            }
            _ => Ok(()),
        }
    }

    /// The first process. CRIU waits meanwhile, so that the number is still its.
    fn learn(&mut self, notify: &Notify) -> Result<i32> {
        let pid = notify.pid.filter(|pid| *pid > 0);
        let pid = pid.ok_or_else(|| Error::new(Kind::Criu, "CRIU tells no process"))?;
        if self.init.as_ref().is_none_or(|(known, _)| *known != pid) {
            let opened =
                pidfd::open(pid).map_err(|errno| Error::os(Kind::System, "open pidfd", errno as i32))?;
            self.init = Some((pid, opened));
        }
        Ok(pid)
    }

    /// A network namespace of its own is restored with nothing in it.
    fn network(&self, pid: i32) -> Result<()> {
        let network = LinuxNamespaceType::Network as u64;
        if self.plan.own_namespaces & !self.plan.joined_namespaces & network == 0 {
            return Ok(());
        }
        const PIDFD: i32 = 3;
        let mut steps = vec![Step::JoinNamespaces { flags: network, pidfd: PIDFD }, Step::LoopbackUp];
        let devices = self.plan.init.steps.iter().filter(|step| matches!(step, Step::NetDevices(_)));
        steps.extend(devices.cloned());
        // Nobody gives the word for it: that it would be executed next says that all else is done.
        let args = vec!["/proc/self/exe".to_owned()];
        steps.push(Step::Execute(Execute {
            args,
            env: Vec::new(),
            home_of: None,
            listener: None,
            keep_below: PIDFD,
        }));
        let birth = Birth {
            program: self.context.init_program()?,
            namespaces: 0,
            entrances: &Entrances::default(),
            oom_score_adj: None,
            affinity: &[],
            unmapped: false,
            orphan: false,
            context: self.context,
        };
        let mut streams = Streams::default();
        if let Some((_, init)) = &self.init {
            streams.add(init.as_fd(), PIDFD);
        }
        let helper = InitPlan { build_id: BUILD_ID.to_owned(), steps };
        let errands = &mut |wish, _: &Child| match wish {
            Wish::NetDevices => self.net_devices.move_to(pid).map(|()| (ToInit::NetDevices, None)),
            _ => Err(Error::new(Kind::Internal, "a helper asks for nothing else")),
        };
        Spawned::new(&birth, &helper, streams, PIDFD + 1)?.ready(self.deadline, errands).map(drop)
    }

    /// All is restored, and nothing runs: the container is written down, and its terminal handed over.
    fn settle(&mut self, pid: i32, undo: &mut Undo<'_>) -> Result<()> {
        let stat = sys_process::stat(pid).ok_or_else(|| {
            Error::os(Kind::System, "read stat of the restored process", Errno::ESRCH as i32)
        })?;
        let groups: Vec<PathBuf> = self.state.intel_rdt().map(Path::to_owned).collect();
        intel_rdt::apply::enter(groups.iter().map(PathBuf::as_path), pid)?;
        if let (Some(path), Some(_)) = (&self.options.io.console_socket, &self.console)
            && let Some(console) = self.console.take()
        {
            io::send_to_socket(path, console.as_fd(), "/dev/ptmx", "terminal")?;
        }
        if let (Some(path), Some((_, pidfd))) = (&self.options.pidfd_socket, &self.init) {
            io::send_to_socket(path, pidfd.as_fd(), "standard", "pidfd")?;
        }
        if let Some(path) = &self.options.pid_file {
            io::write_pid_file(path, pid)?;
            undo.pid_file = Some(path.clone());
        }
        self.state.init_process_pid = pid;
        self.state.init_process_start = stat.start_time;
        self.state.namespace_paths = journal::namespace_paths(pid);
        undo.directory.save(&self.state.settled())
    }
}

/// What the images and the configuration say.
fn image(images: &Opened, own: OwnFacts, spec: &Spec, plan: &Plan, request: &Request) -> Result<Image> {
    let streams = match images.read(DESCRIPTORS)? {
        Some(text) => read_json(images, DESCRIPTORS, &text)?,
        None => {
            let path = images.path.join(DESCRIPTORS);
            return Err(Error::os(Kind::InvalidArgument, format!("open {}", path.display()), libc::ENOENT));
        }
    };
    let annotation =
        spec.annotations().as_ref().and_then(|all| all.get("org.criu.config")).map(String::as_str);
    Ok(Image {
        rootfs: request.rootfs.to_string_lossy().into_owned(),
        claims: claims(&plan.init.steps),
        submounts: own.submounts,
        foreign: foreign(spec, None)?
            .into_iter()
            .filter(|one| request.joined.iter().any(|joined| joined.flag == one.flag && !joined.own))
            .collect(),
        streams,
        cgroups: cgroups(plan),
        config_file: criu::config_file(annotation, Path::exists),
    })
}

/// What we wrote beside the images; nothing beside runc's.
fn own_facts(images: &Opened) -> Result<OwnFacts> {
    images.read(OWN)?.map_or_else(|| Ok(OwnFacts::default()), |text| read_json(images, OWN, &text))
}

fn read_json<T: DeserializeOwned>(images: &Opened, name: &str, text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| {
        let path = images.path.join(name);
        Error::new(Kind::InvalidArgument, error.to_string()).during(format!("read {}", path.display()))
    })
}

/// Where the processes go, whatever the cgroups of the checkpoint were.
fn cgroups(plan: &Plan) -> Vec<(Option<String>, String)> {
    let below = |mount: &Path, path: &Path| {
        format!("/{}", path.strip_prefix(mount).unwrap_or(path).to_string_lossy())
    };
    let v1 = plan.cgroups.v1.iter().flat_map(|directory| {
        let path = below(&directory.mount, &directory.path);
        directory.controllers.split(',').map(move |controller| (Some(controller.to_owned()), path.clone()))
    });
    // The one without controllers has no name.
    let unified = plan.cgroups.unified.iter();
    v1.chain(unified.map(|directory| (Some(String::new()), below(&directory.mount, &directory.path))))
        .collect()
}

//! `riverrun-init`: the first process of a container until it executes the container's program.
//!
//! It is embedded in the library, started from a sealed memfd by a vfork-style clone, has no C library, no threads and
//! no opinions: it reads a plan (`../wire.rs`) from a socket and does its steps in order. The first step that does not
//! succeed goes back as data, and the program ends. It is of no use to anybody without that socket.
//!
//! Runs in: a process of its own, in the namespaces that the runtime made with it, as whoever the runtime is.

#![no_std]
#![no_main]

extern crate alloc;

mod cgroup;
mod channel;
mod console;
mod copyup;
mod device;
mod execute;
mod floor;
mod hook;
mod identity;
mod label;
mod mount;
mod namespace;
mod net_device;
mod passwd;
mod procfs;
mod protect;
mod root;
mod schedule;
mod seccomp;
mod sys;
mod sysctl;
mod tree;
#[path = "../wire.rs"]
mod wire;

use core::ffi::CStr;

use channel::{Channel, Outcome};
use root::Root;
use sys::{Fd, Text};
use wire::{Class, Failure, InitPlan, Step, ToInit, ToRuntime};

/// Called by `floor.rs` with the first argument: the number of the socket's descriptor.
fn main(socket: Option<&CStr>) -> ! {
    let Some(socket) = socket.and_then(|text| text.to_str().ok()).and_then(|text| text.parse::<usize>().ok())
    else {
        // Executed by somebody else, /proc/self/exe of a container for one.
        sys::exit(1)
    };
    identity::default_signals();
    let _ = sys::prctl(linux_raw_sys::prctl::PR_SET_NAME, c"riverrun-init".as_ptr() as usize, 0);
    identity::umask(0);
    let channel = Channel::new(Fd::own(socket));
    let (channel, failure) = run(channel);
    channel.send(&ToRuntime::Failed(failure), None);
    sys::exit(1)
}

/// What the steps leave for those after them.
struct State {
    root: Option<Root>,
    /// Step::OpenProc
    proc: Option<Fd>,
    masks: protect::Masks,
    parent: device::Parent,
    time_offsets: Option<Fd>,
}

fn run(channel: Channel) -> (Channel, Failure) {
    let plan = match channel.recv::<InitPlan>() {
        Ok(plan) => plan,
        Err(failure) => return (channel, failure),
    };
    if plan.build_id != wire::BUILD_ID {
        let object = "another build of the library".into();
        return (channel, Failure { class: Class::Protocol, verb: "serve".into(), object, errno: 0 });
    }
    let mut state = State {
        root: None,
        proc: None,
        masks: protect::Masks::default(),
        parent: device::Parent::default(),
        time_offsets: None,
    };
    let mut last = execute::Last::default();
    for (number, step) in (0..).zip(&plan.steps) {
        match step {
            Step::Hooks(hooks) if hooks.at_start => {
                last.hooks = Some(hooks);
                continue;
            }
            Step::FilterLast(filter) => {
                last.filter = Some(filter);
                continue;
            }
            Step::Execute(program) => return execute::execute(channel, program, last),
            _ => {}
        }
        if let Err(failure) = state.take(number, step, &channel) {
            return (channel, failure);
        }
    }
    (channel, Failure { class: Class::Protocol, verb: "execute".into(), object: "nothing".into(), errno: 0 })
}

impl State {
    /// One arm a step, no questions.
    fn take(&mut self, number: u32, step: &Step, channel: &Channel) -> Outcome {
        match step {
            Step::JoinNamespaces { flags, pidfd } => namespace::join(*flags, *pidfd)?,
            Step::EnterNamespaces { namespaces } => namespace::enter(namespaces)?,
            Step::Hop => namespace::hop(channel)?,
            Step::TellUserNamespace => channel.send(&ToRuntime::InUserNamespace, None),
            Step::AwaitIdMap => channel.expect(ToInit::IdsMapped)?,
            Step::BecomeRoot => identity::become_root()?,
            Step::RuntimeHooks => {
                channel.send(&ToRuntime::Hooks, None);
                channel.expect(ToInit::HooksDone)?;
            }
            Step::Hooks(hooks) => hook::run(hooks, &[], Some(channel))?,
            Step::Conceal => identity::conceal(),
            Step::JoinCgroups { count } => cgroup::join(channel, *count)?,
            Step::Unshare { flags } => namespace::unshare(*flags)?,
            Step::OpenTimeOffsets => self.time_offsets = Some(namespace::open_time_offsets()?),
            Step::NewTimeNamespace { offsets } => {
                namespace::new_time_namespace(offsets, self.time_offsets.take())?;
            }
            Step::NewSession => namespace::new_session(),
            Step::JoinSessionKeyring { name, permissions } => {
                namespace::join_session_keyring(name, *permissions)?
            }
            Step::ResetAffinity => identity::reset_affinity(),
            Step::Affinity { cpus } => schedule::affinity(cpus)?,
            Step::LoopbackUp => namespace::loopback_up()?,
            Step::NetDevices(devices) => net_device::receive(channel, devices)?,
            Step::Propagate { flags } => mount::propagate("/", *flags)?,
            Step::PartFromHost { path } => mount::part_from_host(path)?,
            Step::OpenRoot { path, opened_by } => {
                self.root = Some(mount::open_root(path, *opened_by, channel, number)?);
            }
            Step::OpenTrees { trees } => tree::serve(channel, trees)?,
            Step::OpenOwnRoot => self.root = Some(open_own_root()?),
            Step::Hostname { name } => namespace::hostname(name)?,
            Step::Domainname { name } => namespace::domainname(name)?,
            Step::OpenProc => self.proc = Some(label::open_proc()?),
            Step::Attribute { property, files, value } => {
                label::set(self.proc.as_ref(), property, files, value)?;
            }
            Step::Personality { persona } => schedule::personality(*persona)?,
            Step::MemoryPolicy { mode, nodes } => schedule::memory_policy(*mode, nodes)?,
            Step::Scheduler(scheduler) => schedule::scheduler(scheduler)?,
            Step::IoPriority { value } => schedule::io_priority(*value)?,
            Step::NoNewPrivileges => identity::no_new_privileges()?,
            Step::BoundingSet { keep } => identity::bound(*keep)?,
            Step::User { uid, gid, groups, set_groups } => {
                identity::become_user(*uid, *gid, groups, *set_groups)?
            }
            Step::Capabilities { effective, permitted, inheritable, ambient } => {
                identity::set_capabilities(*effective, *permitted, *inheritable, *ambient)?;
            }
            Step::TryWorkingDirectory { path } => identity::try_working_directory(path),
            Step::WorkingDirectory { path } => identity::working_directory(path)?,
            Step::Rlimit { resource, soft, hard } => identity::limit(*resource, *soft, *hard)?,
            Step::Umask { mask } => identity::umask(*mask),
            Step::Sysctl { settings } => sysctl::write(settings)?,
            Step::Filter(filter) => {
                identity::raise()?;
                seccomp::load(filter, channel)?;
            }
            in_root => {
                let Some(root) = &self.root else { return Err(no_root()) };
                match in_root {
                    Step::Symlink { target, path, replace } => {
                        device::symlink(root, &mut self.parent, target, path, *replace)?;
                    }
                    Step::Device(device) => device::make(root, &mut self.parent, device)?,
                    in_root => {
                        self.parent.forget();
                        take_in_root(root, &mut self.masks, number, in_root, channel)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The steps that act below the root filesystem.
fn take_in_root(
    root: &Root,
    masks: &mut protect::Masks,
    number: u32,
    step: &Step,
    channel: &Channel,
) -> Outcome {
    if !matches!(step, Step::Mount(_)) {
        root.forget_fresh();
    }
    match step {
        Step::SameRoot { device, inode } => root.is(*device, *inode),
        Step::Mount(filesystem) => mount::filesystem(root, filesystem),
        Step::Bind(bind) => mount::bind(root, bind, channel, number),
        Step::Remount(wanted) => mount::remount(root, wanted),
        Step::MountCgroupV1(wanted) => cgroup::mount_v1(root, wanted),
        Step::MakeDirectory { path } => {
            use channel::Doing;
            root.make_directory(path).map(drop).doing(Class::WorkingDirectory, "make directory", path)
        }
        Step::MakeFile { path } => {
            use channel::Doing;
            root.make_file(path).map(drop).doing(Class::Mount, "make mount point", path)
        }
        Step::Terminal { rows, cols, console } => console::open(root, channel, *rows, *cols, *console),
        Step::OwnStdio { uid } => console::own_streams(root, *uid),
        Step::Mask { path } => masks.mask(root, path),
        Step::ReadOnly { path } => protect::read_only(root, path),
        Step::MountAttributes { path, set } => protect::attributes(root, path, *set),
        Step::RootAttributes { set } => protect::root_attributes(root, *set),
        Step::PivotRoot => mount::pivot_root(root),
        Step::MoveRoot => mount::move_root(root),
        Step::RootPropagation { flags } => mount::propagate("/", *flags),
        _ => Err(no_root()),
    }
}

fn no_root() -> Failure {
    Failure {
        class: Class::Protocol,
        verb: "use".into(),
        object: "the root before it is open".into(),
        errno: 0,
    }
}

/// exec: the mount namespace was joined, its root is ours.
fn open_own_root() -> Outcome<Root> {
    use channel::Doing;
    use linux_raw_sys::general as k;
    let root = sys::open_at(k::AT_FDCWD, &Text::new("/"), k::O_PATH | k::O_DIRECTORY, 0);
    root.map(Root::new).doing(Class::Rootfs, "open", "/")
}

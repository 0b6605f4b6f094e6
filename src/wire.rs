//! What travels between the runtime and `riverrun-init`: the steps of a plan, the messages, their bytes.
//!
//! Compiled twice: as a module of the library, and, without std, as a module of the init program. Only data is here:
//! no step knows how it is done. A build id in the plan makes sure that both sides were compiled from the same file.
//!
//! ```text
//!  runtime                                        riverrun-init
//!    │── Plan ──────────────────────────────────────▶│
//!    │◀───────────────────────────── Moved {} + pidfd │  (only with a hop; from the process that was left, so it
//!    │                                                │   may come later than what its child says)
//!    │◀────────────────────────────── InUserNamespace│  (only where it was not born in it)
//!    │── IdsMapped ─────────────────────────────────▶│  (only with a new user namespace)
//!    │── Cgroups + `tasks` files ────────────────────▶│  (only where v1 cgroups are made; mounts go on meanwhile)
//!    │◀──────────────────────────────────── Ask {step}│  (only for sources that it is denied)
//!    │── Opened + tree ─────────────────────────────▶│
//!    │◀──────────────────────── Console {name} + pty  │  (only with a terminal)
//!    │◀───────────────────────────────────────── Hooks│  (only with hooks of the runtime's namespaces)
//!    │── HooksDone ─────────────────────────────────▶│
//!    │◀─────────────────────────────── Listening {fd} │  (only with a seccomp agent; fetched by pidfd_getfd)
//!    │── Listened ──────────────────────────────────▶│
//!    │◀───────────────────────────────────────── Ready│  everything but the last steps is done
//!    │── Go ────────────────────────────────────────▶│  state is on disk; end of file here means: give up
//!    │        … a `start` connects to the listener …  │  (only for create)
//!    │◀── end of file: the program runs               │
//!    │◀── Failed {..} instead of any of the above     │
//! ```
#![forbid(unsafe_code)]

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Which sources both sides were compiled from.
pub(crate) const BUILD_ID: &str = env!("RIVERRUN_BUILD_ID");

/// Everything that the init program will do, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InitPlan {
    /// [`BUILD_ID`] of the sender.
    pub(crate) build_id: String,
    /// Run in this order; the first that does not succeed ends the program.
    pub(crate) steps: Vec<Step>,
}

/// One thing to do. Paths with `_in_root` in their description are claims, resolved below the root at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Join the namespaces `flags` of the process behind the descriptor `pidfd`; close it.
    JoinNamespaces { flags: u64, pidfd: i32 },
    /// Enter namespaces by their descriptors, and close these: the user namespace after those that its root may not
    /// enter, before those that nobody else may.
    EnterNamespaces { namespaces: Vec<Entrance> },
    /// Continue in a child that is the runtime's child, in the pid namespace that was joined or made.
    Hop,
    /// Tell the runtime that this process is in another user namespace now.
    TellUserNamespace,
    /// Wait until the runtime wrote the id maps.
    AwaitIdMap,
    /// Become 0:0 of the user namespace.
    BecomeRoot,
    /// From here on neither the host's user nor the container may look into this process.
    Conceal,
    /// Join the v1 cgroups whose `tasks` files come with the runtime's word.
    JoinCgroups { count: u32 },
    /// Leave these namespaces for new ones.
    Unshare { flags: u64 },
    /// Open the file that the offsets of a new time namespace are written to.
    OpenTimeOffsets,
    /// Make a time namespace, give its clocks these offsets, enter it.
    NewTimeNamespace { offsets: String },
    /// Lead a new session.
    NewSession,
    /// Join a new session keyring, and add these permissions to it (keyctl(2)).
    JoinSessionKeyring { name: String, permissions: u32 },
    /// Use every CPU that the cgroup allows, whatever the runtime was bound to.
    ResetAffinity,
    /// Use these CPUs alone: number n is bit n % 64 of word n / 64.
    Affinity { cpus: Vec<u64> },
    /// Bring the loopback device of the new network namespace up.
    LoopbackUp,
    /// Let the runtime move network devices here, then give them their addresses and bring them up.
    NetDevices(Vec<NetDevice>),
    /// Change the propagation of every mount: `MS_SLAVE|MS_REC` and the like.
    Propagate { flags: u64 },
    /// Make the mount that holds a path of the host private: what is mounted there stays in this namespace.
    PartFromHost { path: String },
    /// Bind the root filesystem on itself and make it the root of all further paths.
    OpenRoot { path: String, opened_by: OpenedBy },
    /// What was opened has to be this file: the path is only where a descriptor of the caller's was seen last.
    SameRoot { device: u64, inode: u64 },
    /// The root of all further paths is `/` itself (exec).
    OpenOwnRoot,
    /// Make and mount a filesystem.
    Mount(Filesystem),
    /// Bind a file or a tree of the host.
    Bind(Bind),
    /// Show the directories of cgroup v1 below a new tmpfs.
    MountCgroupV1(CgroupV1),
    /// Change the mount that is at a path in root.
    Remount(Remount),
    /// Open trees of the host one by one, as the runtime asks for them, and send each (only in the process that helps
    /// another init program, with the runtime's privileges in that one's mount namespace).
    OpenTrees { trees: Vec<Tree> },
    /// Make a directory in root, with its parents.
    MakeDirectory { path: String },
    /// Make an empty file in root, with its parents; what is there stays.
    MakeFile { path: String },
    /// Make a symbolic link in root; what is there stays, unless it is to be replaced.
    Symlink { target: String, path: String, replace: bool },
    /// Make a device node in root.
    Device(Device),
    /// Take a new pty of the container's devpts, bind it to /dev/console if asked, send the master.
    Terminal { rows: u16, cols: u16, console: bool },
    /// Make the standard streams the process user's.
    OwnStdio { uid: u32 },
    /// Hide a path in root: a file behind /dev/null, a directory behind an empty tmpfs.
    Mask { path: String },
    /// Make a path in root read-only.
    ReadOnly { path: String },
    /// Set attributes of the mount at a path in root.
    MountAttributes { path: String, set: u64 },
    /// Set one resource limit, as getrlimit(2) numbers it, while we may.
    Rlimit { resource: u32, soft: u64, hard: u64 },
    /// Change the attributes of the root mount itself.
    RootAttributes { set: u64 },
    /// Write kernel parameters: path below /proc/sys, value.
    Sysctl { settings: Vec<(String, String)> },
    /// Make the root filesystem `/`, the old one unreachable.
    PivotRoot,
    /// The same by MS_MOVE and chroot, where the host's root is an initramfs.
    MoveRoot,
    /// Change the propagation of `/` in the container.
    RootPropagation { flags: u64 },
    /// Set the host name.
    Hostname { name: String },
    /// Set the NIS domain name.
    Domainname { name: String },
    /// Keep a procfs of our own at hand, in which nobody can have planted anything.
    OpenProc,
    /// Write an attribute of this process (proc_pid_attr(5)) into the first of these files that there is.
    Attribute { property: String, files: Vec<String>, value: String },
    /// Report another kernel's behaviour (personality(2)).
    Personality { persona: u32 },
    /// Take memory from these NUMA nodes; mode and flags in one (set_mempolicy(2)).
    MemoryPolicy { mode: u32, nodes: Vec<u64> },
    /// Be scheduled this way.
    Scheduler(Scheduler),
    /// Class and level in one (ioprio_set(2)).
    IoPriority { value: u32 },
    /// Never gain privileges by execve.
    NoNewPrivileges,
    /// Drop from the bounding set all but these, before the ids change.
    BoundingSet { keep: u64 },
    /// Become the process's user, keeping permitted capabilities until [`Step::Capabilities`].
    User { uid: u32, gid: u32, groups: Vec<u32>, set_groups: bool },
    /// Set the capability sets.
    Capabilities { effective: u64, permitted: u64, inheritable: u64, ambient: u64 },
    /// Enter the working directory: before the ids change, where a user's own may not be reachable yet…
    TryWorkingDirectory { path: String },
    /// …and after, where it must be.
    WorkingDirectory { path: String },
    /// Set the file mode creation mask.
    Umask { mask: u32 },
    /// Let the runtime run its hooks, and wait until it has.
    RuntimeHooks,
    /// Run hooks, one after the other, in the namespaces as they are now, or [`at_start`](Hooks::at_start).
    Hooks(Hooks),
    /// Load a seccomp filter while we may: all further steps are under it.
    Filter(Filter),
    /// The same at the last moment: right before execve(2), or before [`ToRuntime::Ready`] if somebody is to listen.
    FilterLast(Filter),
    /// Find the program, tell the runtime that all is ready, wait for the word, execute.
    Execute(Execute),
}

/// A namespace to be entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entrance {
    /// `CLONE_NEW*`.
    pub(crate) flag: u64,
    pub(crate) descriptor: i32,
    /// For the sentence if it cannot be entered.
    pub(crate) name: String,
}

/// A network device of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetDevice {
    /// In the container.
    pub(crate) name: String,
    /// `RTM_NEWADDR` requests of rtnetlink(7), complete but for the device's number.
    pub(crate) addresses: Vec<Vec<u8>>,
}

/// A filesystem to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filesystem {
    pub(crate) fstype: String,
    pub(crate) source: String,
    /// In root.
    pub(crate) target: String,
    /// Options of the superblock: flags (`ro`) and pairs.
    pub(crate) options: Vec<(String, Option<String>)>,
    /// `MOUNT_ATTR_*` of the mount.
    pub(crate) attributes: u64,
    /// Propagation changes afterwards, each one `MS_*`.
    pub(crate) propagation: Vec<u64>,
    /// The mode of the directory that it covers becomes its own (a tmpfs without `mode=`).
    pub(crate) inherit_mode: bool,
    /// No part of the target may be a symbolic link (proc and sysfs: nobody may fake them).
    pub(crate) real_directory: bool,
    /// What is in the directory that it covers is copied into it (a tmpfs with `tmpcopyup`).
    pub(crate) copy_up: bool,
    pub(crate) idmap: Option<Idmap>,
}

/// A bind mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bind {
    /// On the host.
    pub(crate) source: String,
    /// In root.
    pub(crate) target: String,
    pub(crate) recursive: bool,
    pub(crate) attributes: Attributes,
    /// The same for the whole tree.
    pub(crate) tree_attributes: Attributes,
    pub(crate) propagation: Vec<u64>,
    /// The target is /proc: the source must be a procfs.
    pub(crate) procfs: bool,
    pub(crate) opened_by: OpenedBy,
    pub(crate) idmap: Option<Idmap>,
}

/// Who opens a source on the host. The root of a user namespace may be kept out where its runtime is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OpenedBy {
    #[default]
    Init,
    /// The runtime is asked if the init program is denied it.
    EitherOne,
    Runtime,
}

/// Ids of a mount's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Idmap {
    /// The descriptor of the user namespace with the mappings, in whoever opens the source.
    pub(crate) userns: i32,
    /// The mounts below get them, too.
    pub(crate) recursive: bool,
}

/// Something on the host that is opened for another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tree {
    /// The index of the step that needs it.
    pub(crate) step: u32,
    pub(crate) source: String,
    /// In root; for the sentence about what went wrong.
    pub(crate) target: String,
    pub(crate) recursive: bool,
    pub(crate) idmap: Option<Idmap>,
}

/// A change of a mount that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remount {
    /// In root.
    pub(crate) target: String,
    /// Of the mount alone, not of the filesystem behind it.
    pub(crate) bind: bool,
    /// Options of the superblock.
    pub(crate) options: Vec<(String, Option<String>)>,
    pub(crate) attributes: Attributes,
    pub(crate) propagation: Vec<u64>,
}

/// cgroup v1 as the container sees it: a tmpfs with one bind mount a hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CgroupV1 {
    pub(crate) tmpfs: Filesystem,
    /// Name in the tmpfs, directory on the host.
    pub(crate) binds: Vec<(String, String)>,
    /// Name in the tmpfs, what it leads to: controllers that share a hierarchy.
    pub(crate) links: Vec<(String, String)>,
    /// `MOUNT_ATTR_*` of all of them, once they are there.
    pub(crate) attributes: u64,
}

/// `MOUNT_ATTR_*` bits to change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) set: u64,
    /// Cleared if the kernel lets us; a locked flag stays.
    pub(crate) clear: u64,
    /// Cleared, or it is an error: the configuration says so in words.
    pub(crate) must_clear: u64,
}

/// A device node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Device {
    /// In root.
    pub(crate) path: String,
    /// Its type, as in `st_mode`.
    pub(crate) kind: u32,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    /// What the configuration says: a node that is there already must have it.
    pub(crate) permissions: Option<u32>,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// Bind the host's node instead of making one (a user namespace may not).
    pub(crate) bind: bool,
}

/// What sched_setattr(2) takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scheduler {
    pub(crate) policy: u32,
    pub(crate) flags: u64,
    pub(crate) nice: i32,
    pub(crate) priority: u32,
    pub(crate) runtime: u64,
    pub(crate) deadline: u64,
    pub(crate) period: u64,
    /// Both a deadline and a cpuset are asked for: the kernel's EPERM to that wants an explanation.
    pub(crate) deadline_on_cpuset: bool,
}

/// The program of the container, and how it is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Execute {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
    /// Look the user's home up in the container's /etc/passwd and put it into the environment.
    pub(crate) home_of: Option<u32>,
    /// A listening socket; with it the program starts once a peer says so, without it at [`ToInit::Go`].
    pub(crate) listener: Option<i32>,
    /// Descriptors from 3 up to here stay open for the program.
    pub(crate) keep_below: i32,
}

/// The hooks of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hooks {
    /// The configuration's name for it: `createRuntime`.
    pub(crate) moment: String,
    /// They wait for the word, and run right before the program is executed.
    pub(crate) at_start: bool,
    /// Where they start; `None`: where the process does.
    pub(crate) directory: Option<String>,
    /// Their file mode creation mask; `None`: that of whoever runs them.
    pub(crate) umask: Option<u32>,
    /// What they read.
    pub(crate) state: HookState,
    /// In this order, until one does not succeed.
    pub(crate) list: Vec<Hook>,
}

/// One program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hook {
    pub(crate) path: String,
    pub(crate) args: Vec<String>,
    /// All of its environment; `None`: that of the process.
    pub(crate) env: Option<Vec<String>>,
    /// In seconds.
    pub(crate) timeout: Option<u32>,
}

/// The state of the container as JSON, open where the pid belongs; nothing behind it means that there is no pid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HookState {
    pub(crate) head: String,
    pub(crate) tail: String,
}

impl HookState {
    /// The document.
    pub(crate) fn with_pid(&self, pid: i32) -> String {
        if self.tail.is_empty() { self.head.clone() } else { format!("{}{pid}{}", self.head, self.tail) }
    }
}

/// How a hook did not succeed. What it printed is the [`Failure`]'s object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HookEnd {
    /// The errno is the failure's, the object the path.
    NotExecuted,
    Exit(i32),
    Signal(i32),
    /// After so many seconds, with all of its process group.
    TimedOut(u32),
    /// It ended, and somebody else took the status.
    Lost,
}

/// As much of each stream of a hook as an error repeats.
pub(crate) const HOOK_OUTPUT: usize = 4096;

/// The object of a failure: what the hook printed.
pub(crate) fn hook_output(stdout: &[u8], stderr: &[u8]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned();
    format!("stdout: {}, stderr: {}", text(stdout), text(stderr))
}

/// A seccomp filter (seccomp(2)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filter {
    /// `SECCOMP_FILTER_FLAG_*`.
    pub(crate) flags: u64,
    /// The runtime takes the listener's descriptor, and says [`ToInit::Listened`].
    pub(crate) listener: bool,
    pub(crate) program: Vec<Instruction>,
}

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u16, u8, u8, u32)", into = "(u16, u8, u8, u32)")]
#[repr(C)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) jt: u8,
    pub(crate) jf: u8,
    pub(crate) k: u32,
}

impl From<(u16, u8, u8, u32)> for Instruction {
    fn from((code, jt, jf, k): (u16, u8, u8, u32)) -> Self {
        Self { code, jt, jf, k }
    }
}

impl From<Instruction> for (u16, u8, u8, u32) {
    fn from(one: Instruction) -> Self {
        (one.code, one.jt, one.jf, one.k)
    }
}

/// What the runtime says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToInit {
    IdsMapped,
    /// With the descriptors of as many `tasks` files as [`Step::JoinCgroups`] counts.
    Cgroups,
    /// The tree that was asked for, beside the word.
    Opened,
    /// To the process that helps: open the tree of this step.
    Open {
        step: u32,
    },
    /// The network devices are there.
    NetDevices,
    /// The runtime's hooks have succeeded.
    HooksDone,
    /// Whoever answers the calls of a filter has its listener.
    Listened,
    Go,
}

/// What the init program says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ToRuntime {
    /// With the pidfd of the child that goes on.
    Moved,
    /// It is in another user namespace: its maps can be written, or read.
    InUserNamespace,
    /// With the master of the pty; the name is the slave's in the container.
    Console {
        name: String,
    },
    /// The source of this step cannot be opened here: answered by [`ToInit::Opened`].
    Ask {
        step: u32,
    },
    /// From the process that helps: the tree, beside the word.
    Opened,
    /// The network namespace is the container's: devices may come.
    NetDevices,
    /// Everything is mounted: the moment of the runtime's hooks.
    Hooks,
    /// A filter is loaded; its listener has this number in the init program. Sent by write(2) alone, which no profile
    /// may send to the listener.
    Listening {
        fd: i32,
    },
    Ready,
    Failed(Failure),
}

/// A step that did not succeed, as data: the runtime makes the sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    /// The verb: `mount`.
    pub(crate) verb: String,
    /// The object: `proc on /proc`.
    pub(crate) object: String,
    /// 0 where the sentence says it all.
    pub(crate) errno: i32,
}

/// What a failure is about; the runtime's error kinds in the init program's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Class {
    Protocol,
    Namespace,
    Userns,
    Cgroup,
    Mount,
    Rootfs,
    UnsafePath,
    Device,
    Console,
    Capability,
    Seccomp,
    /// A label of a security module.
    Label,
    /// SCHED_DEADLINE on a part of the CPUs.
    DeadlineOnCpuset,
    User,
    WorkingDirectory,
    /// Not in the container's `$PATH`; the object is the name.
    NotInPath,
    /// The path of the program leads nowhere.
    NotFound,
    /// The program may not be executed.
    NotExecutable,
    /// The verb is the hook: `createContainer hook #0`.
    Hook(HookEnd),
    System,
}

/// A message with its length in front. `None`: too long to be sane.
pub(crate) fn encode<M: Serialize>(message: &M) -> Option<Vec<u8>> {
    let body = postcard::to_allocvec(message).ok()?;
    let length = u32::try_from(body.len()).ok()?;
    let mut framed = Vec::with_capacity(HEADER + body.len());
    framed.extend_from_slice(&length.to_le_bytes());
    framed.extend_from_slice(&body);
    Some(framed)
}

/// The message in `body`, which is a frame without its header.
pub(crate) fn decode<'a, M: Deserialize<'a>>(body: &'a [u8]) -> Option<M> {
    postcard::from_bytes(body).ok()
}

/// How many bytes of length stand before each message.
pub(crate) const HEADER: usize = 4;

//! The plan: everything that a create or an exec will do, in order, as data. Pure.
//!
//! The domains decide their steps; this file decides the order between them, and says why. Golden files in `tests/plan`
//! hold whole plans.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use oci_spec::runtime::{Linux, LinuxNamespaceType, Process, Spec};
use serde::{Deserialize, Serialize};

use crate::cgroup::plan::{CgroupManager, CgroupPlan, Facts, Wanted};
use crate::error::{Error, Kind, Result};
use crate::hook::plan::Owner;
use crate::host::{Cgroups, Host};
use crate::intel_rdt::plan::IntelRdtPlan;
use crate::mount::plan::{Around, MountUserns};
use crate::namespace::plan::{IdMaps, Joined, NamespacePlan, host_id};
use crate::process::plan::{self as process, Surroundings, label};
use crate::seccomp::plan::{self as seccomp, Receiver};
use crate::wire::{BUILD_ID, Hooks, InitPlan, Step};
use crate::{device, hook, mount, net_device, sysctl, wording};

/// What a create is asked for, beside the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) id: String,
    /// Absolute; relative paths of the configuration start here.
    pub(crate) bundle: PathBuf,
    /// The root filesystem, absolute and without links.
    pub(crate) rootfs: PathBuf,
    pub(crate) no_pivot: bool,
    pub(crate) no_new_keyring: bool,
    /// The program waits for `start`.
    pub(crate) wait_for_start: bool,
    /// The first number that is free above the program's descriptors.
    pub(crate) keep_below: i32,
    pub(crate) window: Option<(u16, u16)>,
    /// The host has /proc/kcore.
    pub(crate) core: bool,
    /// What is behind the paths of `linux.namespaces`.
    pub(crate) joined: Vec<Joined>,
    /// The kernel has SELinux; looked at where the configuration names a label.
    pub(crate) selinux: bool,
    /// The network devices of the configuration, in the order of `net_device::plan::names`.
    pub(crate) net_devices: Vec<net_device::plan::Found>,
    /// Who is to make the cgroups.
    pub(crate) cgroup_manager: CgroupManager,
    /// A container that asks nothing of cgroups is made without them where they cannot be had.
    pub(crate) rootless: bool,
    /// Where that is systemd: what it says of itself.
    pub(crate) systemd: Option<Facts>,
    /// Where resctrl is mounted, for a configuration that wants it.
    pub(crate) resctrl: Option<PathBuf>,
    /// The host has a function that is called where hooks of the runtime run.
    pub(crate) calls: bool,
    /// The root filesystem came as a descriptor: its device and inode.
    pub(crate) root_identity: Option<(u64, u64)>,
    /// The process is to have init for a parent, not the host.
    pub(crate) detached: bool,
}

/// A create, decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// `CLONE_NEW*` of the clone.
    pub(crate) namespaces: u64,
    /// All in which the container differs from the host.
    pub(crate) own_namespaces: u64,
    /// Those of them that others made.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(crate) joined_namespaces: u64,
    pub(crate) maps: Option<IdMaps>,
    pub(crate) cgroups: CgroupPlan,
    pub(crate) oom_score_adj: Option<i32>,
    /// The init program is in our memory until it executes, and we work meanwhile (`sys::clone::spawn_beside`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) beside: bool,
    /// setgroups(2) is denied in its user namespace, or was called when that was entered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deny_setgroups: bool,
    /// Set by the host where the user namespace lacks the privilege: (resource, soft, hard).
    pub(crate) rlimits: Vec<(u32, u64, u64)>,
    /// For mounts with ids of their own: descriptors from [`mount_userns_number`] up of whoever opens their sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mount_userns: Vec<MountUserns>,
    /// Those that the host runs, by moment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) hooks: Vec<Hooks>,
    /// Who gets the listener of a seccomp filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) receiver: Option<Receiver>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) intel_rdt: Option<IntelRdtPlan>,
    pub(crate) init: InitPlan,
}

impl Plan {
    /// The process is in a user namespace from its birth, and nobody in it yet.
    pub(crate) fn is_born_unmapped(&self) -> bool {
        self.namespaces & LinuxNamespaceType::User as u64 != 0
    }

    /// The container is in the pid namespace of another.
    pub(crate) fn shares_pid_namespace(&self) -> bool {
        self.joined_namespaces & LinuxNamespaceType::Pid as u64 != 0
    }
}

/// The listener's descriptor comes right above the program's, the init program's socket after it.
pub(crate) const fn listener_number(keep_below: i32) -> i32 {
    keep_below
}

/// Where those of the namespaces that are joined begin.
pub(crate) const fn joined_number(keep_below: i32) -> i32 {
    keep_below + 2
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_none(flags: &u64) -> bool {
    *flags == 0
}

/// Above those of the namespaces that are joined.
pub(crate) fn mount_userns_number(request: &Request) -> i32 {
    joined_number(request.keep_below) + i32::try_from(request.joined.len()).unwrap_or_default()
}

/// From configuration, host and request to the plan.
pub(crate) fn create(spec: &Spec, host: &Host, request: &Request) -> Result<Plan> {
    let linux =
        spec.linux().as_ref().ok_or_else(|| Error::new(Kind::InvalidSpec, "linux must not be empty"))?;
    let process =
        spec.process().as_ref().ok_or_else(|| Error::new(Kind::InvalidSpec, wording::PROCESS_EMPTY))?;
    let namespaces = NamespacePlan::new(linux, host, &request.joined, joined_number(request.keep_below));
    let mut cgroups = CgroupPlan::new(&request.id, linux, host, &wanted(spec, request))?;
    cgroups.private = namespaces.has_private(LinuxNamespaceType::Cgroup);
    cgroups.delegate(spec, process_owner(linux, process), host);
    let user_namespace = namespaces.has_private(LinuxNamespaceType::User);
    own_names(spec, &namespaces)?;
    mapped(spec, process, host)?;
    let rlimits = process::rlimits(process);
    let rootfs = request.rootfs.clone();

    let mut steps = Vec::new();
    if namespaces.enters_user() {
        // While we are still the host's: its privilege raises limits, that of the user namespace would not.
        steps.extend(limit_steps(&rlimits));
    }
    entry(&namespaces, host.euid == 0, process, request, &mut steps);
    // Nothing that is mounted here may reach the host, so this comes before the first mount.
    mount::plan::host_propagation(spec, &rootfs.to_string_lossy(), &mut steps)?;
    let around = Around {
        bundle: &request.bundle,
        cgroups: &cgroups,
        user_namespace,
        privileged: host.euid == 0,
        selinux: request.selinux,
        first_descriptor: mount_userns_number(request),
    };
    steps.push(Step::OpenRoot { path: rootfs.to_string_lossy().into_owned(), opened_by: around.opened_by() });
    steps.extend(request.root_identity.map(|(device, inode)| Step::SameRoot { device, inode }));
    let mount_userns = mount::plan::mounts(spec, &around, join_cgroups(&cgroups, &namespaces), &mut steps)?;
    if !mount::plan::dev_is_bound(spec) {
        device::plan::devices(spec, user_namespace || host.in_user_namespace, request.core, &mut steps);
    }
    steps.extend(window(process, request).map(|(rows, cols)| Step::Terminal { rows, cols, console: true }));
    steps.extend(net_device::plan::steps(linux, host, &request.net_devices)?);
    // Made while the root can be written to (runtime: cwd is created if it is missing).
    steps.push(Step::MakeDirectory { path: process.cwd().to_string_lossy().into_owned() });
    // All is there, and can still be written to; the host's root is still ours (crun: before the root is read-only).
    let owner = Owner { id: &request.id, bundle: &request.bundle, calls: request.calls };
    hook::plan::create_steps(spec, owner, &mut steps);
    // Last of the mounts: they cover what the others brought. All before pivot_root, while the host's /proc is there
    // for kernels without mount_setattr(2).
    mount::plan::protections(spec, &mut steps);
    // While the host's /proc is there for kernels without fsopen(2), and after whatever brings network devices.
    steps.extend(sysctl::plan::settings(linux, &namespaces)?);
    if request.no_pivot {
        mount::plan::allow_no_pivot(spec)?;
    }
    steps.push(if request.no_pivot { Step::MoveRoot } else { Step::PivotRoot });
    steps.extend(mount::plan::root_propagation(spec)?.map(|flags| Step::RootPropagation { flags }));
    names(spec, &mut steps);
    if !user_namespace {
        steps.extend(limit_steps(&rlimits));
    }
    let deny_setgroups = namespaces.denies_setgroups();
    hook::plan::start_steps(spec, owner, &mut steps);
    process::identity(process, surroundings(linux, request, deny_setgroups), &mut steps)?;
    let born_in_user = user_namespace && !namespaces.enters_user();
    Ok(Plan {
        beside: works_alone(process, &namespaces, &steps) && may_be_alone(host, request),
        namespaces: namespaces.clone,
        own_namespaces: namespaces.all(),
        joined_namespaces: namespaces.joined(),
        deny_setgroups,
        rlimits: if born_in_user { rlimits } else { Vec::new() },
        maps: namespaces.maps,
        cgroups,
        oom_score_adj: process.oom_score_adj(),
        mount_userns,
        hooks: hook::plan::of_runtime(spec, owner),
        receiver: linux.seccomp().as_ref().and_then(|seccomp| seccomp::receiver(seccomp, &request.bundle)),
        intel_rdt: IntelRdtPlan::new(&request.id, linux, request.resctrl.as_deref())?,
        init: InitPlan { build_id: BUILD_ID.to_owned(), steps },
    })
}

/// Whether the init program needs nothing of us before its cgroups.
fn works_alone(process: &Process, namespaces: &NamespacePlan, steps: &[Step]) -> bool {
    process.oom_score_adj().is_none() && namespaces.maps.is_none() && !steps.contains(&Step::Hop)
}

/// Whether it may be alone in our memory until it executes. Only of a vfork's child does the kernel know that it is a guest
/// there: the OOM killer would end us with one that is born in a cgroup with too little memory, and an OOM score is of all
/// that share the memory (oom_kill.c, `in_vfork`; fs/proc/base.c, `__set_oom_adj`).
fn may_be_alone(host: &Host, request: &Request) -> bool {
    let joins_memory_later = match &host.cgroups {
        Cgroups::V1 { unified, .. } => unified.as_ref().is_none_or(|unified| !unified.has("memory")),
        Cgroups::V2(_) | Cgroups::Absent => false,
    };
    joins_memory_later && !request.detached && !request.rootless
}

fn wanted<'a>(spec: &'a Spec, request: &'a Request) -> Wanted<'a> {
    let annotations = spec.annotations().as_ref();
    Wanted {
        manager: request.cgroup_manager,
        rootless: request.rootless,
        systemd: request.systemd.as_ref(),
        annotations,
    }
}

/// The steps that put something of the host into the container's mount namespace, of a container that is there.
pub(crate) fn host_mounts(spec: &Spec, host: &Host, request: &Request) -> Result<Vec<Step>> {
    let linux =
        spec.linux().as_ref().ok_or_else(|| Error::new(Kind::InvalidSpec, "linux must not be empty"))?;
    let user_namespace =
        linux.namespaces().iter().flatten().any(|namespace| namespace.typ() == LinuxNamespaceType::User);
    let around = Around {
        bundle: &request.bundle,
        cgroups: &CgroupPlan::new(&request.id, linux, host, &wanted(spec, request))?,
        user_namespace,
        privileged: host.euid == 0,
        selinux: true,
        first_descriptor: 0,
    };
    let mut steps = Vec::new();
    mount::plan::mounts(spec, &around, Vec::new(), &mut steps)?;
    if !mount::plan::dev_is_bound(spec) {
        device::plan::devices(spec, user_namespace || host.in_user_namespace, false, &mut steps);
    }
    mount::plan::protections(spec, &mut steps);
    Ok(steps)
}

fn surroundings<'a>(linux: &'a Linux, request: &Request, deny_setgroups: bool) -> Surroundings<'a> {
    let listener = request.wait_for_start.then(|| listener_number(request.keep_below));
    Surroundings { linux: Some(linux), deny_setgroups, listener, keep_below: request.keep_below }
}

fn window(process: &Process, request: &Request) -> Option<(u16, u16)> {
    process::window(process).map(|configured| choose(configured, request.window))
}

/// The configuration's size, where it names one.
fn choose(configured: (u16, u16), offered: Option<(u16, u16)>) -> (u16, u16) {
    if configured == (0, 0) { offered.unwrap_or(configured) } else { configured }
}

/// From birth to the first mount.
fn entry(
    namespaces: &NamespacePlan,
    privileged: bool,
    process: &Process,
    request: &Request,
    steps: &mut Vec<Step>,
) {
    namespaces.entry(privileged, steps);
    // What later processes need to find the keyring: the search by others where the owner's id is mapped, else by the
    // owner (keyctl(2), KEYCTL_SETPERM).
    let search = if namespaces.has_private(LinuxNamespaceType::User) { 0x8 } else { 0x8_0000 };
    label::open(process, steps);
    // The engine may be bound to a few CPUs; the container's are those of its cpuset (runc#4815). execCPUAffinity is not
    // for the first process (config.md#linux-process).
    steps.push(Step::ResetAffinity);
    session(process, request.no_new_keyring, &request.id, search, steps);
}

/// The runtime makes the v1 cgroups while the init program makes its first mounts: on a second CPU they cost no time.
fn join_cgroups(cgroups: &CgroupPlan, namespaces: &NamespacePlan) -> Vec<Step> {
    let mut steps = Vec::new();
    let count = cgroups.entrances();
    if count != 0 {
        steps.push(Step::JoinCgroups { count });
    }
    if namespaces.cgroup {
        // It shows as its root the cgroup in which it is made.
        steps.push(Step::Unshare { flags: LinuxNamespaceType::Cgroup as u64 });
    }
    steps
}

fn session(process: &Process, no_new_keyring: bool, id: &str, permissions: u32, steps: &mut Vec<Step>) {
    steps.push(Step::NewSession);
    if !no_new_keyring {
        let join = Step::JoinSessionKeyring { name: format!("_ses.{id}"), permissions };
        label::of_keyring(process, join, steps);
    }
}

fn names(spec: &Spec, steps: &mut Vec<Step>) {
    let given = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    steps.extend(given(spec.hostname()).map(|name| Step::Hostname { name }));
    steps.extend(given(spec.domainname()).map(|name| Step::Domainname { name }));
}

/// A name is of the container or not at all: a namespace that is given may turn out to be the host's.
fn own_names(spec: &Spec, namespaces: &NamespacePlan) -> Result<()> {
    for (name, value) in [("hostname", spec.hostname()), ("domainname", spec.domainname())] {
        let given = value.as_ref().is_some_and(|value| !value.is_empty());
        if given && !namespaces.has_private(LinuxNamespaceType::Uts) {
            return Err(Error::new(Kind::InvalidSpec, wording::without_uts(name)));
        }
    }
    Ok(())
}

fn limit_steps(rlimits: &[(u32, u64, u64)]) -> impl Iterator<Item = Step> {
    rlimits.iter().map(|(resource, soft, hard)| Step::Rlimit {
        resource: *resource,
        soft: *soft,
        hard: *hard,
    })
}

/// Ids that the user namespace does not map cannot be had; an unprivileged runtime cannot add groups.
fn mapped(spec: &Spec, process: &Process, host: &Host) -> Result<()> {
    let Some(linux) = spec.linux() else { return Ok(()) };
    let uids = linux.uid_mappings().as_deref().unwrap_or_default();
    let gids = linux.gid_mappings().as_deref().unwrap_or_default();
    let user = process.user();
    if uids.is_empty() {
        return Ok(());
    }
    let userns = |message: &str| Err(Error::new(Kind::Userns, message));
    if host_id(uids, user.uid()).is_none() {
        return userns("cannot set uid to unmapped user in user namespace");
    }
    if host_id(gids, user.gid()).is_none() {
        return userns("cannot set gid to unmapped user in user namespace");
    }
    let groups = user.additional_gids().as_deref().unwrap_or_default();
    if host.euid != 0 && !groups.is_empty() {
        return userns("cannot set any additional groups in a rootless container");
    }
    if groups.iter().any(|gid| host_id(gids, *gid).is_none()) {
        return userns("cannot set additional gid to unmapped user in user namespace");
    }
    Ok(())
}

/// Whom the first process is on the host; nobody if that is not mapped.
fn process_owner(linux: &Linux, process: &Process) -> Option<u32> {
    let uids = linux.uid_mappings().as_deref().unwrap_or_default();
    if uids.is_empty() { Some(process.user().uid()) } else { host_id(uids, process.user().uid()) }
}

/// The host's id of the process's user, where a user namespace makes it another.
pub(crate) fn host_uid(spec: &Spec, process: &Process) -> Option<u32> {
    let uids = spec.linux().as_ref()?.uid_mappings().as_deref().unwrap_or_default();
    host_id(uids, process.user().uid())
}

/// What an exec is asked for, beside its process.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExecRequest {
    pub(crate) id: String,
    /// `CLONE_NEW*` of the container's own namespaces.
    pub(crate) namespaces: u64,
    /// setgroups(2) is denied in its user namespace.
    pub(crate) deny_setgroups: bool,
    pub(crate) no_new_keyring: bool,
    pub(crate) keep_below: i32,
    pub(crate) window: Option<(u16, u16)>,
}

/// An exec, decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecPlan {
    /// The CPUs before its process joins the container's cgroups; none: the runtime's.
    pub(crate) affinity: Vec<u64>,
    pub(crate) init: InitPlan,
}

/// The pidfd of the container's first process is the descriptor right above the program's.
pub(crate) fn exec(process: &Process, linux: Option<&Linux>, request: &ExecRequest) -> Result<ExecPlan> {
    let mut steps = Vec::new();
    let (affinity, last) = process::affinity(process)?;
    // The host's own /proc is in reach, and nothing of the container's.
    label::open(process, &mut steps);
    // While we are still the host's: its privilege raises limits, the container's would not.
    steps.extend(limit_steps(&process::rlimits(process)));
    // Before anything of the container can see this process.
    steps.push(Step::Conceal);
    if request.namespaces != 0 {
        steps.push(Step::JoinNamespaces { flags: request.namespaces, pidfd: request.keep_below });
    }
    if request.namespaces & LinuxNamespaceType::Pid as u64 != 0 {
        steps.push(Step::Hop);
    }
    if request.namespaces & LinuxNamespaceType::User as u64 != 0 {
        steps.push(Step::BecomeRoot);
    }
    steps.extend(last);
    session(process, request.no_new_keyring, &request.id, 0, &mut steps);
    steps.push(Step::OpenOwnRoot);
    if let Some(configured) = process::window(process) {
        let (rows, cols) = choose(configured, request.window);
        steps.push(Step::Terminal { rows, cols, console: false });
    }
    let around = Surroundings {
        linux,
        deny_setgroups: request.deny_setgroups,
        listener: None,
        keep_below: request.keep_below,
    };
    process::identity(process, around, &mut steps)?;
    Ok(ExecPlan { affinity, init: InitPlan { build_id: BUILD_ID.to_owned(), steps } })
}

#[cfg(test)]
mod golden;

//! From the `process` object to steps. Pure. Create and exec share every line of it.
#![forbid(unsafe_code)]

pub(crate) mod label;
mod memory;
mod scheduler;

use std::collections::HashSet;

use oci_spec::runtime::{Capabilities, Capability, Linux, LinuxCapabilities, PosixRlimitType, Process};

use crate::error::{Error, Kind, Result};
use crate::seccomp::plan::{self as seccomp, Moment};
use crate::spec::list;
use crate::wire::{Execute, Filter, Step};

/// What the surroundings decide about a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    /// The container's, for an exec too.
    pub(crate) linux: Option<&'a Linux>,
    /// setgroups(2) is denied in the user namespace.
    pub(crate) deny_setgroups: bool,
    /// The number of the listener's descriptor in the init program, if the program waits for `start`.
    pub(crate) listener: Option<i32>,
    /// Descriptors below this number are the program's.
    pub(crate) keep_below: i32,
}

/// Who the process is, from no_new_privs to the working directory; then the program.
pub(crate) fn identity(process: &Process, around: Surroundings<'_>, steps: &mut Vec<Step>) -> Result<()> {
    let user = process.user();
    let capabilities = process.capabilities().as_ref();
    let cwd = process.cwd().to_string_lossy().into_owned();
    steps.push(Step::OwnStdio { uid: user.uid() });
    label::of_program(process, steps);
    schedule(process, around.linux, steps)?;
    if process.no_new_privileges() == Some(true) {
        steps.push(Step::NoNewPrivileges);
    }
    steps.push(Step::BoundingSet { keep: mask(capabilities.and_then(|c| c.bounding().as_ref()))? });
    steps.push(Step::TryWorkingDirectory { path: cwd.clone() });
    steps.push(Step::User {
        uid: user.uid(),
        gid: user.gid(),
        groups: groups(user.additional_gids().as_deref().unwrap_or_default()),
        set_groups: !around.deny_setgroups || user.additional_gids().iter().flatten().next().is_some(),
    });
    steps.push(Step::WorkingDirectory { path: cwd });
    let (early, late, kept) = filter(process, around)?;
    steps.extend(early.map(Step::Filter));
    steps.push(sets(capabilities, kept)?);
    steps.push(Step::Umask { mask: user.umask().unwrap_or(0o022) });
    steps.extend(late.map(Step::FilterLast));
    steps.push(Step::Execute(program(process, around)));
    Ok(())
}

/// Where and how it runs: with the privileges of the first user, and before a seccomp filter could forbid any of it.
fn schedule(process: &Process, linux: Option<&Linux>, steps: &mut Vec<Step>) -> Result<()> {
    if let Some(personality) = linux.and_then(|linux| linux.personality().as_ref()) {
        steps.push(Step::Personality { persona: memory::personality(personality) });
    }
    if let Some(policy) = linux.and_then(|linux| linux.memory_policy().as_ref()) {
        steps.push(memory::policy(policy)?);
    }
    if let Some(wanted) = process.scheduler() {
        let cpu = linux.and_then(|linux| linux.resources().as_ref()?.cpu().as_ref());
        let cpuset = cpu.and_then(|cpu| cpu.cpus().as_ref()).is_some_and(|cpus| !cpus.is_empty());
        steps.push(Step::Scheduler(scheduler::scheduler(wanted, cpuset)));
    }
    if let Some(priority) = process.io_priority() {
        steps.push(Step::IoPriority { value: scheduler::io_priority(priority) });
    }
    Ok(())
}

/// The CPUs of an exec: before its process joins the container's cgroups, and what is done about them afterwards.
pub(crate) fn affinity(process: &Process) -> Result<(Vec<u64>, Option<Step>)> {
    let Some(wanted) = process.exec_cpu_affinity() else {
        return Ok((Vec::new(), Some(Step::ResetAffinity)));
    };
    let cpus = |name: &str, list: &Option<String>| {
        list::bits(list.as_deref().unwrap_or_default()).map_err(|cause| {
            Error::new(Kind::InvalidSpec, format!("process.execCPUAffinity.{name}: {cause}"))
        })
    };
    let (initial, last) = (cpus("initial", wanted.initial())?, cpus("final", wanted.cpu_affinity_final())?);
    let step = match (initial.is_empty(), last.is_empty()) {
        (_, false) => Some(Step::Affinity { cpus: last }),
        // The kernel decides (config.md#linux-process).
        (false, true) => None,
        // Said nothing at all: as if it were not there.
        (true, true) => Some(Step::ResetAffinity),
    };
    Ok((initial, step))
}

/// A filter that is loaded before the capabilities go, one that is loaded with the program, and the capabilities that
/// must be kept for it.
fn filter(process: &Process, around: Surroundings<'_>) -> Result<(Option<Filter>, Option<Filter>, u64)> {
    let Some(profile) = around.linux.and_then(|linux| linux.seccomp().as_ref()) else {
        return Ok((None, None, 0));
    };
    let no_new_privileges = process.no_new_privileges() == Some(true);
    Ok(match seccomp::moment(profile, no_new_privileges, around.listener.is_some())? {
        Moment::Early(filter) => (Some(filter), None, 0),
        Moment::Late { filter, privileged: false } => (None, Some(filter), 0),
        // What is permitted now is nothing to execve(2): that looks at the bounding, inheritable and ambient sets.
        Moment::Late { filter, privileged: true } => {
            (None, Some(filter), caps::Capability::CAP_SYS_ADMIN.bitmask())
        }
    })
}

/// Each group once, in the order of the configuration.
fn groups(configured: &[u32]) -> Vec<u32> {
    let mut seen = HashSet::new();
    configured.iter().copied().filter(|gid| seen.insert(*gid)).collect()
}

fn sets(capabilities: Option<&LinuxCapabilities>, kept: u64) -> Result<Step> {
    let set = |get: fn(&LinuxCapabilities) -> &Option<Capabilities>| {
        mask(capabilities.and_then(|c| get(c).as_ref()))
    };
    let (permitted, inheritable) = (set(LinuxCapabilities::permitted)?, set(LinuxCapabilities::inheritable)?);
    // The kernel takes no other into the ambient set (capabilities(7)); `warnings` says so.
    let ambient = set(LinuxCapabilities::ambient)? & permitted & inheritable;
    let (effective, permitted) = (set(LinuxCapabilities::effective)? | kept, permitted | kept);
    Ok(Step::Capabilities { effective, permitted, inheritable, ambient })
}

/// What is not as the configuration says, and no error to runc and its users either.
pub(crate) fn warnings(process: &Process) -> Vec<String> {
    let Some(capabilities) = process.capabilities() else { return Vec::new() };
    let has =
        |set: &Option<Capabilities>, one: &Capability| set.as_ref().is_some_and(|set| set.contains(one));
    let impossible = capabilities.ambient().iter().flatten().filter(|capability| {
        !(has(capabilities.permitted(), capability) && has(capabilities.inheritable(), capability))
    });
    let mut names: Vec<String> = impossible.map(|capability| name(*capability)).collect();
    names.sort();
    let warn =
        |name| format!("process.capabilities.ambient: {name} is not permitted and inheritable: left out");
    names.into_iter().map(warn).collect()
}

/// As configurations write it: CAP_NET_ADMIN.
fn name(capability: Capability) -> String {
    let name = serde_json::to_value(capability).ok();
    name.as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned()
}

/// Capabilities as the kernel's bits (capabilities(7)).
fn mask(names: Option<&Capabilities>) -> Result<u64> {
    names.into_iter().flatten().try_fold(0, |mask, capability| {
        let name = name(*capability);
        let known: caps::Capability = name
            .parse()
            .map_err(|_| Error::new(Kind::InvalidSpec, format!("process.capabilities: unknown: {name}")))?;
        Ok(mask | known.bitmask())
    })
}

/// The program with its environment: of two settings of a name the last is taken, where the first one stood.
fn program(process: &Process, around: Surroundings<'_>) -> Execute {
    let mut env: Vec<String> = Vec::new();
    for pair in process.env().iter().flatten() {
        let name = pair.split_inclusive('=').next().unwrap_or_default();
        match env.iter_mut().find(|earlier| earlier.starts_with(name)) {
            Some(earlier) => pair.clone_into(earlier),
            None => env.push(pair.clone()),
        }
    }
    env.retain(|pair| pair != "HOME=");
    let has_home = env.iter().any(|pair| pair.starts_with("HOME="));
    Execute {
        args: process.args().clone().unwrap_or_default(),
        env,
        home_of: (!has_home).then_some(process.user().uid()),
        listener: around.listener,
        keep_below: around.keep_below,
    }
}

/// `process.rlimits` as (resource, soft, hard) of prlimit(2).
pub(crate) fn rlimits(process: &Process) -> Vec<(u32, u64, u64)> {
    let limits = process.rlimits().iter().flatten();
    limits.map(|limit| (resource(limit.typ()), limit.soft(), limit.hard())).collect()
}

/// asm-generic/resource.h; the same on every architecture that we know.
const fn resource(limit: PosixRlimitType) -> u32 {
    match limit {
        PosixRlimitType::RlimitCpu => 0,
        PosixRlimitType::RlimitFsize => 1,
        PosixRlimitType::RlimitData => 2,
        PosixRlimitType::RlimitStack => 3,
        PosixRlimitType::RlimitCore => 4,
        PosixRlimitType::RlimitRss => 5,
        PosixRlimitType::RlimitNproc => 6,
        PosixRlimitType::RlimitNofile => 7,
        PosixRlimitType::RlimitMemlock => 8,
        PosixRlimitType::RlimitAs => 9,
        PosixRlimitType::RlimitLocks => 10,
        PosixRlimitType::RlimitSigpending => 11,
        PosixRlimitType::RlimitMsgqueue => 12,
        PosixRlimitType::RlimitNice => 13,
        PosixRlimitType::RlimitRtprio => 14,
        PosixRlimitType::RlimitRttime => 15,
    }
}

/// The terminal that is asked for: rows and columns, zero where the configuration says nothing.
pub(crate) fn window(process: &Process) -> Option<(u16, u16)> {
    let size = |value: u64| u16::try_from(value).unwrap_or(u16::MAX);
    (process.terminal() == Some(true)).then(|| {
        process.console_size().map_or((0, 0), |console| (size(console.height()), size(console.width())))
    })
}

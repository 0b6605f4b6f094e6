//! The rules for where and how the process runs: scheduler, I/O priority, affinity, memory policy, personality
//! (config.md#linux-process, config-linux.md#memory-policy, #personality).
#![forbid(unsafe_code)]

use oci_spec::runtime::{
    ExecCPUAffinity, LinuxMemoryPolicy, LinuxPersonality, LinuxSchedulerPolicy as Policy,
    MemoryPolicyFlagType as Flag, MemoryPolicyModeType as Mode, Process, Scheduler,
};

use super::list;
use crate::error::{Error, Kind, Result};

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidSpec, message)
}

/// Those of the process object.
pub(super) fn process(process: &Process) -> Result<()> {
    process.scheduler().as_ref().map_or(Ok(()), scheduler)?;
    if let Some(priority) = process.io_priority().map(|io| io.priority()).filter(|p| !(0..=7).contains(p)) {
        return Err(invalid(format!("process.ioPriority.priority: {priority} is not between 0 and 7")));
    }
    process.exec_cpu_affinity().as_ref().map_or(Ok(()), affinity)
}

fn scheduler(scheduler: &Scheduler) -> Result<()> {
    let policy = *scheduler.policy();
    if let Some(nice) = scheduler.nice().filter(|nice| !(-20..=19).contains(nice)) {
        return Err(invalid(format!("process.scheduler.nice: {nice} is not between -20 and 19")));
    }
    let given = |value: &Option<u64>| value.is_some_and(|value| value != 0);
    if scheduler.priority().is_some_and(|priority| priority != 0)
        && !matches!(policy, Policy::SchedFifo | Policy::SchedRr)
    {
        return Err(invalid("process.scheduler.priority: only for SCHED_FIFO and SCHED_RR"));
    }
    if let Some(priority) = scheduler.priority().filter(|priority| *priority < 0) {
        return Err(invalid(format!("process.scheduler.priority: {priority} is negative")));
    }
    let deadline = [scheduler.runtime(), scheduler.deadline(), scheduler.period()];
    if policy != Policy::SchedDeadline && deadline.into_iter().any(given) {
        return Err(invalid("process.scheduler: runtime, deadline and period are only for SCHED_DEADLINE"));
    }
    Ok(())
}

fn affinity(affinity: &ExecCPUAffinity) -> Result<()> {
    let lists = [("initial", affinity.initial()), ("final", affinity.cpu_affinity_final())];
    for (name, list) in lists {
        list::bits(list.as_deref().unwrap_or_default())
            .map_err(|cause| invalid(format!("process.execCPUAffinity.{name}: {cause}")))?;
    }
    Ok(())
}

/// What set_mempolicy(2) takes, said before anything is made.
pub(super) fn memory_policy(policy: &LinuxMemoryPolicy) -> Result<()> {
    let nodes = list::bits(policy.nodes().as_deref().unwrap_or_default())
        .map_err(|cause| invalid(format!("linux.memoryPolicy.nodes: {cause}")))?;
    let mode = policy.mode();
    match mode {
        Mode::MpolDefault | Mode::MpolLocal if !nodes.is_empty() => {
            return Err(invalid(format!("linux.memoryPolicy.nodes: {mode} takes none")));
        }
        Mode::MpolBind | Mode::MpolInterleave | Mode::MpolWeightedInterleave | Mode::MpolPreferredMany
            if nodes.is_empty() =>
        {
            return Err(invalid(format!("linux.memoryPolicy.nodes: {mode} takes at least one")));
        }
        _ => {}
    }
    let has = |flag| policy.flags().iter().flatten().any(|given| *given == flag);
    if has(Flag::MpolFStaticNodes) && has(Flag::MpolFRelativeNodes) {
        let both =
            "linux.memoryPolicy.flags: MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other";
        return Err(invalid(both));
    }
    if has(Flag::MpolFNumaBalancing) && !matches!(mode, Mode::MpolBind | Mode::MpolPreferredMany) {
        let where_from = "only for MPOL_BIND and MPOL_PREFERRED_MANY";
        return Err(invalid(format!("linux.memoryPolicy.flags: MPOL_F_NUMA_BALANCING is {where_from}")));
    }
    Ok(())
}

/// The specification names no flag yet, and wants an error for values that it does not name.
pub(super) fn personality(personality: &LinuxPersonality) -> Result<()> {
    match personality.flags().iter().flatten().next() {
        Some(flag) => Err(Error::new(
            Kind::Unsupported,
            format!("linux.personality.flags: {flag}: the specification has no flags"),
        )),
        None => Ok(()),
    }
}

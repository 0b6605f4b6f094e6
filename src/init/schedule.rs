//! Where and how the program runs: CPUs, memory nodes, scheduler, I/O priority, personality.
//!
//! Runs in: the init program, in the container's cgroups (a cpuset decides which CPUs and nodes there are), still with
//! the privileges of its first user. All of it survives the execve.

use alloc::format;
use alloc::vec::Vec;

use crate::channel::{Doing, Outcome};
use crate::sys::{EPERM, call};
use crate::wire::{Class, Failure, Scheduler};

/// sched_setaffinity(2).
pub(crate) fn affinity(cpus: &[u64]) -> Outcome {
    let object = "process.execCPUAffinity";
    call!(__NR_sched_setaffinity, 0, size_of_val(cpus), cpus.as_ptr()).doing(Class::System, "set", object)?;
    Ok(())
}

/// struct sched_attr (linux/sched/types.h) with the fields of its second version; an older kernel takes it as well,
/// since those are zero.
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    util_min: u32,
    util_max: u32,
}

/// sched_setattr(2).
pub(crate) fn scheduler(wanted: &Scheduler) -> Outcome {
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: wanted.policy,
        flags: wanted.flags,
        nice: wanted.nice,
        priority: wanted.priority,
        runtime: wanted.runtime,
        deadline: wanted.deadline,
        period: wanted.period,
        util_min: 0,
        util_max: 0,
    };
    match call!(__NR_sched_setattr, 0, &raw const attributes, 0) {
        Err(EPERM) if wanted.deadline_on_cpuset => Err(Failure {
            class: Class::DeadlineOnCpuset,
            verb: "set".into(),
            object: "process.scheduler".into(),
            errno: EPERM.0,
        }),
        answer => answer.doing(Class::System, "set", "process.scheduler").map(drop),
    }
}

/// ioprio_set(2) of this process.
pub(crate) fn io_priority(value: u32) -> Outcome {
    const WHO_PROCESS: u32 = 1;
    call!(__NR_ioprio_set, WHO_PROCESS, 0, value).doing(Class::System, "set", "process.ioPriority")?;
    Ok(())
}

/// set_mempolicy(2). The kernel leaves the last of the bits that it is told of alone.
pub(crate) fn memory_policy(mode: u32, nodes: &[u64]) -> Outcome {
    let mut mask: Vec<u64> = nodes.into();
    mask.push(0);
    let bits = nodes.len() * 64 + 1;
    let object = "linux.memoryPolicy";
    call!(__NR_set_mempolicy, mode, mask.as_ptr(), bits).doing(Class::System, "set", object)?;
    Ok(())
}

/// personality(2).
pub(crate) fn personality(persona: u32) -> Outcome {
    call!(__NR_personality, persona).doing(Class::System, "set linux.personality", &format!("{persona:#x}"))?;
    Ok(())
}

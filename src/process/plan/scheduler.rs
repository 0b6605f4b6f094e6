//! `process.scheduler` and `process.ioPriority` as sched_setattr(2) and ioprio_set(2) take them.
#![forbid(unsafe_code)]

use oci_spec::runtime::{
    IOPriorityClass, LinuxIOPriority, LinuxSchedulerFlag as Flag, LinuxSchedulerPolicy as Policy, Scheduler,
};

use crate::wire;

/// linux/sched.h
const POLICIES: [(Policy, u32); 7] = [
    (Policy::SchedOther, 0),
    (Policy::SchedFifo, 1),
    (Policy::SchedRr, 2),
    (Policy::SchedBatch, 3),
    (Policy::SchedIso, 4),
    (Policy::SchedIdle, 5),
    (Policy::SchedDeadline, 6),
];

/// linux/sched.h
const FLAGS: [(Flag, u64); 7] = [
    (Flag::SchedResetOnFork, 0x01),
    (Flag::SchedFlagReclaim, 0x02),
    (Flag::SchedFlagDLOverrun, 0x04),
    (Flag::SchedFlagKeepPolicy, 0x08),
    (Flag::SchedFlagKeepParams, 0x10),
    (Flag::SchedFlagUtilClampMin, 0x20),
    (Flag::SchedFlagUtilClampMax, 0x40),
];

/// linux/ioprio.h
const CLASSES: [(IOPriorityClass, u32); 3] = [
    (IOPriorityClass::IoprioClassRt, 1),
    (IOPriorityClass::IoprioClassBe, 2),
    (IOPriorityClass::IoprioClassIdle, 3),
];

/// The tables above have a row for each value of their types, as the tests say.
fn row<K: PartialEq, V: Copy + Default>(table: &[(K, V)], key: &K) -> V {
    table.iter().find(|(name, _)| name == key).map_or_else(V::default, |(_, value)| *value)
}

/// `cpuset`: the container is confined to some CPUs.
pub(super) fn scheduler(scheduler: &Scheduler, cpuset: bool) -> wire::Scheduler {
    let flags = scheduler.flags().iter().flatten().fold(0, |flags, flag| flags | row(&FLAGS, flag));
    wire::Scheduler {
        policy: row(&POLICIES, scheduler.policy()),
        flags,
        nice: scheduler.nice().unwrap_or_default(),
        priority: scheduler.priority().and_then(|priority| u32::try_from(priority).ok()).unwrap_or_default(),
        runtime: scheduler.runtime().unwrap_or_default(),
        deadline: scheduler.deadline().unwrap_or_default(),
        period: scheduler.period().unwrap_or_default(),
        deadline_on_cpuset: cpuset && *scheduler.policy() == Policy::SchedDeadline,
    }
}

/// Class and level in one number: `IOPRIO_PRIO_VALUE`.
pub(super) fn io_priority(priority: &LinuxIOPriority) -> u32 {
    const CLASS_SHIFT: u32 = 13;
    let level = u32::try_from(priority.priority()).unwrap_or_default();
    row(&CLASSES, &priority.class()) << CLASS_SHIFT | level
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn every_name_of_the_specification_has_its_number() {
        // KERNEL: SCHED_OTHER is 0 as well, so the names decide.
        let names = ["OTHER", "FIFO", "RR", "BATCH", "ISO", "IDLE", "DEADLINE"];
        for (number, name) in names.iter().enumerate() {
            let policy: Policy = from_value(json!(format!("SCHED_{name}"))).unwrap();
            assert_eq!(POLICIES.iter().find(|(known, _)| *known == policy).unwrap().1 as usize, number);
        }
        for class in ["RT", "BE", "IDLE"] {
            let class: IOPriorityClass = from_value(json!(format!("IOPRIO_CLASS_{class}"))).unwrap();
            assert!(CLASSES.iter().any(|(known, _)| *known == class));
        }
    }
}

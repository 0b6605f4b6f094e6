//! `linux.memoryPolicy` as set_mempolicy(2) takes it, and `linux.personality` as personality(2) does.
#![forbid(unsafe_code)]

use oci_spec::runtime::{
    LinuxMemoryPolicy, LinuxPersonality, LinuxPersonalityDomain, MemoryPolicyFlagType as Flag,
    MemoryPolicyModeType as Mode,
};

use crate::error::{Error, Kind, Result};
use crate::spec::list;
use crate::wire::Step;

/// linux/mempolicy.h
const MODES: [(Mode, u32); 7] = [
    (Mode::MpolDefault, 0),
    (Mode::MpolPreferred, 1),
    (Mode::MpolBind, 2),
    (Mode::MpolInterleave, 3),
    (Mode::MpolLocal, 4),
    (Mode::MpolPreferredMany, 5),
    (Mode::MpolWeightedInterleave, 6),
];

/// linux/mempolicy.h
const FLAGS: [(Flag, u32); 3] = [
    (Flag::MpolFStaticNodes, 1 << 15),
    (Flag::MpolFRelativeNodes, 1 << 14),
    (Flag::MpolFNumaBalancing, 1 << 13),
];

/// The policy of the program and of all that it starts; an execve keeps it.
pub(super) fn policy(policy: &LinuxMemoryPolicy) -> Result<Step> {
    let number = |wanted| MODES.iter().find(|(mode, _)| *mode == wanted).map_or(0, |(_, number)| *number);
    let flag = |wanted: &Flag| FLAGS.iter().find(|(flag, _)| flag == wanted).map_or(0, |(_, bit)| *bit);
    let flags = policy.flags().iter().flatten().fold(0, |flags, given| flags | flag(given));
    let nodes = list::bits(policy.nodes().as_deref().unwrap_or_default())
        .map_err(|cause| Error::new(Kind::InvalidSpec, format!("linux.memoryPolicy.nodes: {cause}")))?;
    Ok(Step::MemoryPolicy { mode: number(policy.mode()) | flags, nodes })
}

/// linux/personality.h: PER_LINUX, PER_LINUX32.
pub(super) fn personality(personality: &LinuxPersonality) -> u32 {
    match personality.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    }
}

//! From `linux.seccomp` to a filter, and to the moment when it is loaded. Pure.
//!
//! A filter also binds the init program that loads it. So it is loaded as late as can be:
//!
//! | | without a listener | with one |
//! |---|---|---|
//! | noNewPrivileges | after `start`, only execve(2) follows | as the container gets ready; `HANDSHAKE` follows |
//! | else, and the profile allows all of `AS_USER` | before capabilities are dropped; `AS_USER` follows | the same |
//! | else | as with noNewPrivileges; CAP_SYS_ADMIN is kept for it, and does not outlive the execve | the same |
//!
//! The second row is runc's moment, and the reason for the third: a profile that was made for a program knows nothing
//! of what we do as its user.
#![forbid(unsafe_code)]

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSeccompOperator,
    LinuxSyscall,
};

use super::compile::{MOST, compile};
use super::profile::{
    ACTION, ALLOW, Action, Architecture, Call, Compare, Condition, ERRNO, KILL_PROCESS, KILL_THREAD, LOG,
    NOTIFY, Profile, Rule, TRACE, TRAP,
};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::wire::Filter;

/// linux/seccomp.h: `SECCOMP_FILTER_FLAG_*`.
const FLAG_LOG: u64 = 1 << 1;
const FLAG_SPEC_ALLOW: u64 = 1 << 2;
const FLAG_NEW_LISTENER: u64 = 1 << 3;
const FLAG_WAIT_KILLABLE_RECV: u64 = 1 << 5;

/// What the init program calls between loading early and the program: as the user, to the end of the handshake.
const AS_USER: [&str; 15] = [
    "accept4",
    "capset",
    "close",
    "close_range",
    "execve",
    "exit_group",
    "faccessat2",
    "mmap",
    "openat",
    "prctl",
    "read",
    "sendmsg",
    "statx",
    "umask",
    "write",
];

/// The same with a listener and loaded late.
const HANDSHAKE: [&str; 5] = ["write", "read", "close", "sendmsg", "execve"];
/// The same without one.
const LAST: [&str; 1] = ["execve"];
/// And more, where the program waits for `start`.
const WAITING: [&str; 1] = ["accept4"];

/// When the filter is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before the capabilities are dropped.
    Early(Filter),
    /// With the program; `privileged`: CAP_SYS_ADMIN has to be kept until then.
    Late { filter: Filter, privileged: bool },
}

/// The agent of a profile, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receiver {
    pub(crate) path: PathBuf,
    pub(crate) metadata: String,
}

/// Who gets the listener, if there is one; a relative path starts at the bundle.
pub(crate) fn receiver(seccomp: &LinuxSeccomp, bundle: &Path) -> Option<Receiver> {
    let path = seccomp.listener_path().as_ref().filter(|path| !path.as_os_str().is_empty())?;
    Some(Receiver {
        path: bundle.join(path),
        metadata: seccomp.listener_metadata().clone().unwrap_or_default(),
    })
}

/// Compiles a profile, and decides when it is loaded.
pub(crate) fn moment(seccomp: &LinuxSeccomp, no_new_privileges: bool, waits: bool) -> Result<Moment> {
    let profile = profile(seccomp);
    let listener = profile.rules.iter().any(|rule| rule.action == NOTIFY);
    let program = compile(&profile).ok_or_else(|| {
        Error::new(Kind::Seccomp, format!("linux.seccomp: the profile needs more than {MOST} instructions"))
    })?;
    let filter = Filter { flags: flags(seccomp, listener), listener, program };
    // Those for the listener pass: it is there before the first of them.
    let passes = |name: &&str| {
        matches!(profile.decides(name).map(|action| action & ACTION), Some(ALLOW | LOG | NOTIFY))
    };
    if !no_new_privileges && AS_USER.iter().all(passes) {
        return Ok(Moment::Early(filter));
    }
    let needed = if listener { &HANDSHAKE[..] } else { &LAST[..] };
    let waiting = if listener && waits { &WAITING[..] } else { &[] };
    for name in needed.iter().chain(waiting) {
        // Whoever traces the init program, or whatever the arguments decide: that is seen when it happens.
        if matches!(
            profile.decides(name).map(|action| action & ACTION),
            Some(KILL_THREAD | KILL_PROCESS | TRAP | ERRNO)
        ) {
            let message =
                format!("linux.seccomp: {name} is refused by the profile, and needed to start the program");
            return Err(Error::new(Kind::Seccomp, message));
        }
    }
    Ok(Moment::Late { filter, privileged: !no_new_privileges })
}

fn flags(seccomp: &LinuxSeccomp, listener: bool) -> u64 {
    use LinuxSeccompFilterFlag as Flag;
    // runc and crun: who says nothing does not want the mitigation that no other process has.
    let default = [Flag::SeccompFilterFlagSpecAllow];
    let asked = seccomp.flags().as_deref().unwrap_or(&default);
    let bits = asked.iter().map(|flag| match flag {
        Flag::SeccompFilterFlagLog => FLAG_LOG,
        Flag::SeccompFilterFlagSpecAllow => FLAG_SPEC_ALLOW,
        // The kernel takes it with a listener only, without which it means nothing.
        Flag::SeccompFilterFlagWaitKillableRecv if listener => FLAG_WAIT_KILLABLE_RECV,
        // The init program has one thread: all are in step.
        Flag::SeccompFilterFlagWaitKillableRecv | Flag::SeccompFilterFlagTsync => 0,
    });
    bits.fold(if listener { FLAG_NEW_LISTENER } else { 0 }, |all, bit| all | bit)
}

fn profile(seccomp: &LinuxSeccomp) -> Profile {
    let default = action(seccomp.default_action(), seccomp.default_errno_ret());
    let mut architectures = vec![Architecture::NATIVE];
    for named in seccomp.architectures().iter().flatten().copied().filter_map(architecture) {
        if Architecture::NATIVE.serves(named) && !architectures.contains(&named) {
            architectures.push(named);
        }
    }
    let rules = seccomp.syscalls().iter().flatten().map(rule);
    // A rule that says what the default says is none: it must not stand in the way of others.
    Profile { default, architectures, rules: rules.filter(|rule| rule.action != default).collect() }
}

fn rule(rule: &LinuxSyscall) -> Rule {
    let arguments = rule.args().as_deref().unwrap_or_default();
    let conditions: Vec<Condition> = arguments.iter().map(condition).collect();
    let is_repeated = |at: usize| conditions[..at].iter().any(|one| one.index == conditions[at].index);
    // Two conditions on one argument: each for itself is enough (runc's rule, and engines rely upon it).
    let alternatives = if (0..conditions.len()).any(is_repeated) {
        conditions.into_iter().map(|one| vec![one]).collect()
    } else if conditions.is_empty() {
        Vec::new()
    } else {
        vec![conditions]
    };
    // Names that no architecture of ours knows are for other ones, or for newer kernels.
    let calls = rule.names().iter().filter_map(|name| Call::new(name)).collect();
    Rule { calls, alternatives, action: action(rule.action(), rule.errno_ret()) }
}

fn condition(argument: &LinuxSeccompArg) -> Condition {
    let second = argument.value_two().unwrap_or_default();
    let (compare, value) = match argument.op() {
        LinuxSeccompOperator::ScmpCmpNe => (Compare::NotEqual, argument.value()),
        LinuxSeccompOperator::ScmpCmpLt => (Compare::Less, argument.value()),
        LinuxSeccompOperator::ScmpCmpLe => (Compare::LessOrEqual, argument.value()),
        LinuxSeccompOperator::ScmpCmpEq => (Compare::Equal, argument.value()),
        LinuxSeccompOperator::ScmpCmpGe => (Compare::GreaterOrEqual, argument.value()),
        LinuxSeccompOperator::ScmpCmpGt => (Compare::Greater, argument.value()),
        LinuxSeccompOperator::ScmpCmpMaskedEq => (Compare::Masked(argument.value()), second),
    };
    // Below six: validated.
    Condition { index: u32::try_from(argument.index()).unwrap_or_default(), compare, value }
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Action {
    let data = errno.unwrap_or(libc::EPERM.cast_unsigned());
    match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => KILL_THREAD,
        LinuxSeccompAction::ScmpActKillProcess => KILL_PROCESS,
        LinuxSeccompAction::ScmpActTrap => TRAP,
        LinuxSeccompAction::ScmpActErrno => ERRNO | data,
        LinuxSeccompAction::ScmpActNotify => NOTIFY,
        LinuxSeccompAction::ScmpActTrace => TRACE | data,
        LinuxSeccompAction::ScmpActLog => LOG,
        LinuxSeccompAction::ScmpActAllow => ALLOW,
    }
}

/// Those whose calls a kernel that we run on may serve; a filter never sees one of any other.
fn architecture(named: Arch) -> Option<Architecture> {
    match named {
        Arch::ScmpArchNative => Some(Architecture::NATIVE),
        Arch::ScmpArchX86 => Some(Architecture::X86),
        Arch::ScmpArchX86_64 => Some(Architecture::X86_64),
        Arch::ScmpArchX32 => Some(Architecture::X32),
        Arch::ScmpArchArm => Some(Architecture::Arm),
        Arch::ScmpArchAarch64 => Some(Architecture::Aarch64),
        _ => None,
    }
}

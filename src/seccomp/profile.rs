//! A normalised profile: what is left of `linux.seccomp` when names, defaults and double meanings are dealt with.
//!
//! Which rule decides a call: one without conditions before those with conditions, and among equals the first. That is
//! what libseccomp makes of the same profile where rules do not contradict each other, and it is told in
//! `docs/compat.md`.
#![forbid(unsafe_code)]

use super::numbers;

/// `SECCOMP_RET_*` with its data.
pub(super) type Action = u32;

pub(super) const KILL_THREAD: Action = 0;
pub(super) const KILL_PROCESS: Action = 0x8000_0000;
pub(super) const TRAP: Action = 0x0003_0000;
pub(super) const ERRNO: Action = 0x0005_0000;
pub(super) const NOTIFY: Action = 0x7fc0_0000;
pub(super) const TRACE: Action = 0x7ff0_0000;
pub(super) const LOG: Action = 0x7ffc_0000;
pub(super) const ALLOW: Action = 0x7fff_0000;
/// The part that is not data.
pub(super) const ACTION: u32 = 0xffff_0000;

/// The whole of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) default: Action,
    /// Those that the running kernel may serve; the native one first.
    pub(super) architectures: Vec<Architecture>,
    pub(super) rules: Vec<Rule>,
}

/// Calls, and what happens to them where one of the alternatives holds; without any, always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) calls: Vec<Call>,
    /// Any of these, and of each all conditions.
    pub(super) alternatives: Vec<Vec<Condition>>,
    pub(super) action: Action,
}

/// A call that at least one architecture knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    numbers: [Option<u32>; numbers::ARCHITECTURES],
}

/// A comparison of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// Below six.
    pub(super) index: u32,
    pub(super) compare: Compare,
    pub(super) value: u64,
}

/// How an argument is compared with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    NotEqual,
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
    /// Equal in the bits of the mask.
    Masked(u64),
}

/// An architecture that a kernel of ours serves beside or as its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Architecture {
    X86_64,
    X86,
    X32,
    Aarch64,
    Arm,
}

/// Bit 30 tells x32 from x86_64 (arch/x86/include/uapi/asm/unistd.h).
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// The first of ARM's own calls (arch/arm/include/uapi/asm/unistd.h).
pub(super) const ARM_PRIVATE: u32 = 0x000f_0000;

impl Architecture {
    /// What the kernel that this was compiled for calls its own.
    pub(super) const NATIVE: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// Whether a kernel with this native architecture may serve the other. All else never reaches a filter.
    pub(super) fn serves(self, other: Self) -> bool {
        self.is_arm() == other.is_arm()
    }

    const fn is_arm(self) -> bool {
        matches!(self, Self::Aarch64 | Self::Arm)
    }

    /// `AUDIT_ARCH_*`, as `seccomp_data` has it.
    pub(super) const fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Added to the numbers of the table.
    pub(super) const fn bit(self) -> u32 {
        match self {
            Self::X32 => X32_BIT,
            _ => 0,
        }
    }

    /// Arguments are 32 bits wide.
    pub(super) const fn is_narrow(self) -> bool {
        matches!(self, Self::X86 | Self::X32 | Self::Arm)
    }
}

impl Call {
    /// `None`: no architecture has one of this name.
    pub(super) fn new(name: &str) -> Option<Self> {
        let numbers = numbers::of(name);
        // What only goes through a multiplexer has a number of its own on the other architectures, each of them.
        numbers.iter().any(Option::is_some).then(|| Self { name: name.to_owned(), numbers })
    }

    pub(super) fn number(&self, architecture: Architecture) -> Option<u32> {
        self.numbers[architecture as usize].map(|number| number | architecture.bit())
    }
}

impl Profile {
    /// Calls that are newer than any that the profile's author knew: with numbers above all that the profile names on
    /// an architecture. They answer ENOSYS, which programs have a way around, in place of the default action, which
    /// they have not (glibc falls back from clone3 upon ENOSYS alone). This is runc's rule, and only where the default
    /// would be to refuse.
    pub(super) fn newest(&self, architecture: Architecture) -> Option<u32> {
        let refuses = !matches!(self.default & ACTION, ALLOW | LOG | TRACE | NOTIFY);
        if !refuses || self.default == enosys() {
            return None;
        }
        let calls = self.rules.iter().flat_map(|rule| &rule.calls);
        let numbers = calls.filter_map(|call| call.number(architecture));
        numbers.filter(|number| architecture != Architecture::Arm || *number < ARM_PRIVATE).max()
    }

    /// What happens to a native call whatever its arguments are; `None` if it depends on them.
    pub(super) fn decides(&self, name: &str) -> Option<Action> {
        let of_name = || self.rules.iter().filter(|rule| rule.calls.iter().any(|call| call.name == name));
        if let Some(rule) = of_name().find(|rule| rule.alternatives.is_empty()) {
            return Some(rule.action);
        }
        if of_name().next().is_some() {
            return None;
        }
        let number = Call::new(name).and_then(|call| call.number(Architecture::NATIVE));
        let newest = self.newest(Architecture::NATIVE);
        Some(if newest.is_some() && number > newest { enosys() } else { self.default })
    }
}

pub(super) fn enosys() -> Action {
    ERRNO | libc::ENOSYS.cast_unsigned()
}

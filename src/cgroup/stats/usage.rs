//! The flat numbers: few files, no maps, nothing that is allocated but on request.
#![forbid(unsafe_code)]

use std::ops::BitOr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Groups of numbers. What is not asked for is not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatsSet(u64);

impl StatsSet {
    /// Processor time.
    pub const CPU: Self = Self(1);
    /// Memory, and how often it was short.
    pub const MEMORY: Self = Self(1 << 1);
    /// Processes and threads.
    pub const PIDS: Self = Self(1 << 2);
    /// Block devices.
    pub const IO: Self = Self(1 << 3);
    /// Stalls.
    pub const PRESSURE: Self = Self(1 << 4);
    /// RDMA resources.
    pub const RDMA: Self = Self(1 << 5);
    /// Processor time by CPU (v1).
    pub const PERCPU: Self = Self(1 << 6);
    /// All of these but the last.
    pub const MOST: Self = Self((1 << 6) - 1);
    /// All of these.
    pub const ALL: Self = Self((1 << 7) - 1);

    /// The groups of a C flag word; `None` for unknown bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
    }

    /// As a C flag word.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for StatsSet {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The numbers that an engine asks for again and again. Times are nanoseconds, sizes bytes; a limit that is none is
/// 2^64-1; what this kernel does not count is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// When they were read, in nanoseconds since 1970.
    pub taken_ns: i64,
    /// The groups whose controller is there.
    pub present: StatsSet,
    /// Processor time.
    pub cpu_total: u64,
    /// In programs.
    pub cpu_user: u64,
    /// In the kernel.
    pub cpu_kernel: u64,
    /// Periods of the quota.
    pub cpu_periods: u64,
    /// Those in which it was used up.
    pub cpu_throttled_periods: u64,
    /// Time not had because of it.
    pub cpu_throttled: u64,
    /// By CPU (v1).
    pub percpu: Vec<u64>,
    /// All memory.
    pub memory_usage: u64,
    /// Its limit.
    pub memory_limit: u64,
    /// At most so far.
    pub memory_max: u64,
    /// How often the limit was hit.
    pub memory_failcnt: u64,
    /// Of it, not of files.
    pub memory_anon: u64,
    /// Of files.
    pub memory_file: u64,
    /// Of these, not used lately: what can be had back first.
    pub memory_inactive_file: u64,
    /// Of the kernel.
    pub memory_kernel: u64,
    /// On swap.
    pub memory_swap: u64,
    /// Page faults.
    pub memory_pgfault: u64,
    /// Those that had to read.
    pub memory_pgmajfault: u64,
    /// How often there was no memory to be had (v2).
    pub memory_oom: u64,
    /// Processes killed for lack of it.
    pub memory_oom_kill: u64,
    /// Processes and threads.
    pub pids_current: u64,
    /// Their limit.
    pub pids_limit: u64,
    /// Of all devices.
    pub io_read_bytes: u64,
    /// Of all devices.
    pub io_write_bytes: u64,
    /// Of all devices.
    pub io_reads: u64,
    /// Of all devices.
    pub io_writes: u64,
    /// Time in which some processes waited for a CPU.
    pub cpu_some: u64,
    /// Time in which all did.
    pub cpu_full: u64,
    /// For memory.
    pub memory_some: u64,
    /// For memory.
    pub memory_full: u64,
    /// For I/O.
    pub io_some: u64,
    /// For I/O.
    pub io_full: u64,
    /// HCA handles of all devices.
    pub rdma_handles: u64,
    /// HCA objects of all devices.
    pub rdma_objects: u64,
}

/// CLOCK_REALTIME.
pub(super) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

//! What the kernel counts for a container: time, memory, processes, I/O, stalls.
//!
//! [`CgroupStats`] is everything, in the units of runc's `events` (nanoseconds, bytes); [`Usage`] is the flat part that an engine
//! asks for again and again. `v1.rs` and `v2.rs` read the files of their layout, `parse.rs` knows the formats.
//! A file that this kernel does not have leaves its numbers at zero; a cgroup that is gone is an error.
#![forbid(unsafe_code)]

mod parse;
mod reader;
#[cfg(test)]
mod tests;
mod usage;
mod v1;
mod v2;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[cfg(test)]
pub(crate) use self::tests::{Scratch, lay_out};
pub use self::usage::{StatsSet, Usage};
use crate::error::Result;

/// No limit, where a limit is told.
pub(crate) const UNLIMITED: u64 = u64::MAX;

/// Everything that is counted for a container. Times are nanoseconds, sizes bytes.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CgroupStats {
    /// Processor time.
    pub cpu: CpuStats,
    /// The CPUs and memory nodes; cgroup v1 alone tells.
    pub cpuset: CpusetStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Processes and threads.
    pub pids: PidsStats,
    /// Block devices.
    pub io: IoStats,
    /// Huge pages, by their size as the kernel spells it: `2MB`.
    pub hugetlb: BTreeMap<String, HugetlbStats>,
    /// RDMA resources, by device.
    pub rdma: BTreeMap<String, RdmaStats>,
}

/// Processor time.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CpuStats {
    /// All of it.
    pub total: u64,
    /// In programs.
    pub user: u64,
    /// In the kernel.
    pub kernel: u64,
    /// By CPU (v1).
    pub percpu: Vec<u64>,
    /// By CPU, in programs (v1).
    pub percpu_user: Vec<u64>,
    /// By CPU, in the kernel (v1).
    pub percpu_kernel: Vec<u64>,
    /// Periods of the quota that have passed.
    pub periods: u64,
    /// Those in which the quota was used up.
    pub throttled_periods: u64,
    /// Time that processes did not get because of it.
    pub throttled: u64,
    /// Stalls (v2).
    pub pressure: Option<Pressure>,
}

/// The cpuset of cgroup v1, as its files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the file of the same name in cpuset(7)")]
pub struct CpusetStats {
    pub cpus: Vec<u16>,
    pub cpu_exclusive: u64,
    pub mems: Vec<u16>,
    pub mem_hardwall: u64,
    pub mem_exclusive: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

/// Memory.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MemoryStats {
    /// Cached files.
    pub cache: u64,
    /// Memory.
    pub usage: MemoryEntry,
    /// Memory and swap together.
    pub swap: MemoryEntry,
    /// Of it, the kernel's own (v1).
    pub kernel: MemoryEntry,
    /// Of that, TCP buffers (v1).
    pub kernel_tcp: MemoryEntry,
    /// `memory.stat`.
    pub raw: BTreeMap<String, u64>,
    /// Stalls (v2).
    pub pressure: Option<Pressure>,
}

/// One kind of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryEntry {
    /// Now.
    pub usage: u64,
    /// At most so far.
    pub max: u64,
    /// 2^64-1 for none on v2, as large as the kernel says on v1.
    pub limit: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PidsStats {
    /// Now.
    pub current: u64,
    /// 0 for none.
    pub limit: u64,
}

/// Block devices. Which lists are filled is the kernel's and its I/O scheduler's choice.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each is the file of the same name in blkio-controller.rst")]
pub struct IoStats {
    pub service_bytes: Vec<IoEntry>,
    pub serviced: Vec<IoEntry>,
    pub queued: Vec<IoEntry>,
    pub service_time: Vec<IoEntry>,
    pub wait_time: Vec<IoEntry>,
    pub merged: Vec<IoEntry>,
    pub time: Vec<IoEntry>,
    pub sectors: Vec<IoEntry>,
    /// Stalls (v2).
    pub pressure: Option<Pressure>,
}

/// One number of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IoEntry {
    /// The device.
    pub major: u64,
    /// The device.
    pub minor: u64,
    /// `Read`, `Write`, `Sync`, …; empty where there is one number a device.
    pub op: String,
    /// The number.
    pub value: u64,
}

/// Huge pages of one size, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HugetlbStats {
    /// Now.
    pub usage: u64,
    /// At most so far (v1).
    pub max: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// RDMA resources of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RdmaStats {
    /// HCA handles.
    pub handles: u64,
    /// HCA objects.
    pub objects: u64,
}

/// How much was waited for a resource (psi.rst).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Pressure {
    /// Some of the processes waited.
    pub some: Stall,
    /// All of them did.
    pub full: Stall,
}

/// A share of the time, in percent, and the whole of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stall {
    /// Of the last ten seconds.
    pub avg10: f64,
    /// Of the last minute.
    pub avg60: f64,
    /// Of the last five minutes.
    pub avg300: f64,
    /// Microseconds.
    pub total: u64,
}

/// The directories of a container, as its state names them.
#[derive(Clone, Copy, Debug)]
struct Places<'a>(&'a [(String, PathBuf)]);

impl<'a> Places<'a> {
    /// The v1 directory of a controller.
    fn v1(self, controller: &str) -> Option<&'a Path> {
        self.0.iter().find(|(name, _)| name == controller).map(|(_, path)| path.as_path())
    }

    /// The cgroup2 directory that has the controllers; none where they are on v1.
    fn v2(self) -> Option<&'a Path> {
        match self.0 {
            [(name, path)] if name.is_empty() => Some(path),
            _ => None,
        }
    }
}

/// Reads everything.
pub(crate) fn read(paths: &[(String, PathBuf)]) -> Result<CgroupStats> {
    let places = Places(paths);
    match places.v2() {
        Some(path) => v2::read(path),
        None => v1::read(places),
    }
}

/// Reads the flat numbers that `what` names.
pub(crate) fn usage(paths: &[(String, PathBuf)], what: StatsSet) -> Result<Usage> {
    let places = Places(paths);
    let mut usage = match places.v2() {
        Some(path) => v2::usage(path, what)?,
        None => v1::usage(places, what)?,
    };
    usage.taken_ns = usage::now_ns();
    Ok(usage)
}

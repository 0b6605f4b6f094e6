//! The numbers as runc's `events` prints them: its names, its order of keys, what it leaves out when it is zero.
//! (libcontainer's types/events; `ioQueueRecursive` is its own spelling.)
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::stats::Stats;
use crate::cgroup::stats::{
    CpuStats, CpusetStats, HugetlbStats, IoEntry, IoStats, MemoryEntry, MemoryStats, PidsStats, Pressure,
    Stall,
};
use crate::intel_rdt::stats::IntelRdtStats;

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
fn zero(value: &u64) -> bool {
    *value == 0
}

/// `{"type":…,"id":…,"data":…}` without a line end, as one line of `events` is.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
}

impl<'a> Line<'a> {
    pub(super) fn stats(id: &'a str, stats: &'a Stats) -> Self {
        Self { kind: "stats", id, data: Some(Data::of(stats)) }
    }

    pub(super) fn oom(id: &'a str) -> Self {
        Self { kind: "oom", id, data: None }
    }

    pub(super) fn to_json(&self) -> String {
        // Strings and numbers: serialising cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The numbers alone.
pub(super) fn to_json(stats: &Stats) -> String {
    serde_json::to_string(&Data::of(stats)).unwrap_or_default()
}

#[derive(Serialize)]
struct Data<'a> {
    cpu: Cpu<'a>,
    cpuset: Cpuset<'a>,
    memory: Memory<'a>,
    pids: Pids,
    blkio: Blkio<'a>,
    hugetlb: BTreeMap<&'a str, Hugetlb>,
    intel_rdt: IntelRdt<'a>,
    /// COMPAT(runc): it has them of networks that it made itself, which it does no more.
    network_interfaces: Option<()>,
}

impl<'a> Data<'a> {
    fn of(stats: &'a Stats) -> Self {
        let (rdt, stats) = (stats.intel_rdt.as_ref(), &stats.cgroup);
        Self {
            cpu: Cpu::of(&stats.cpu),
            cpuset: Cpuset::of(&stats.cpuset),
            memory: Memory::of(&stats.memory),
            pids: Pids::of(&stats.pids),
            blkio: Blkio::of(&stats.io),
            hugetlb: stats.hugetlb.iter().map(|(size, pages)| (size.as_str(), Hugetlb::of(pages))).collect(),
            intel_rdt: rdt.map(IntelRdt::of).unwrap_or_default(),
            network_interfaces: None,
        }
    }
}

#[derive(Serialize)]
struct Cpu<'a> {
    usage: CpuUsage<'a>,
    throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Serialize)]
struct CpuUsage<'a> {
    #[serde(skip_serializing_if = "zero")]
    total: u64,
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    percpu: &'a [u64],
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    percpu_kernel: &'a [u64],
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    percpu_user: &'a [u64],
    kernel: u64,
    user: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    #[serde(skip_serializing_if = "zero")]
    periods: u64,
    #[serde(skip_serializing_if = "zero")]
    throttled_periods: u64,
    #[serde(skip_serializing_if = "zero")]
    throttled_time: u64,
}

impl<'a> Cpu<'a> {
    fn of(cpu: &'a CpuStats) -> Self {
        Self {
            usage: CpuUsage {
                total: cpu.total,
                percpu: &cpu.percpu,
                percpu_kernel: &cpu.percpu_kernel,
                percpu_user: &cpu.percpu_user,
                kernel: cpu.kernel,
                user: cpu.user,
            },
            throttling: Throttling {
                periods: cpu.periods,
                throttled_periods: cpu.throttled_periods,
                throttled_time: cpu.throttled,
            },
            psi: cpu.pressure.map(Psi::of),
        }
    }
}

#[derive(Serialize)]
struct Psi {
    some: PsiLine,
    full: PsiLine,
}

#[derive(Serialize)]
struct PsiLine {
    #[serde(serialize_with = "as_go")]
    avg10: f64,
    #[serde(serialize_with = "as_go")]
    avg60: f64,
    #[serde(serialize_with = "as_go")]
    avg300: f64,
    total: u64,
}

impl Psi {
    fn of(pressure: Pressure) -> Self {
        let line = |stall: Stall| PsiLine {
            avg10: stall.avg10,
            avg60: stall.avg60,
            avg300: stall.avg300,
            total: stall.total,
        };
        Self { some: line(pressure.some), full: line(pressure.full) }
    }
}

/// Go writes a whole number without a point.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
#[allow(clippy::cast_possible_truncation, reason = "asked before: it is a small whole number")]
fn as_go<S: Serializer>(share: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if share.fract() == 0.0 && share.abs() < 1e9 {
        serializer.serialize_i64(*share as i64)
    } else {
        serializer.serialize_f64(*share)
    }
}

#[derive(Serialize)]
struct Cpuset<'a> {
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    cpus: &'a [u16],
    cpu_exclusive: u64,
    #[serde(skip_serializing_if = "<[u16]>::is_empty")]
    mems: &'a [u16],
    mem_hardwall: u64,
    mem_exclusive: u64,
    memory_migrate: u64,
    memory_spread_page: u64,
    memory_spread_slab: u64,
    memory_pressure: u64,
    sched_load_balance: u64,
    sched_relax_domain_level: i64,
}

impl<'a> Cpuset<'a> {
    fn of(set: &'a CpusetStats) -> Self {
        Self {
            cpus: &set.cpus,
            cpu_exclusive: set.cpu_exclusive,
            mems: &set.mems,
            mem_hardwall: set.mem_hardwall,
            mem_exclusive: set.mem_exclusive,
            memory_migrate: set.memory_migrate,
            memory_spread_page: set.memory_spread_page,
            memory_spread_slab: set.memory_spread_slab,
            memory_pressure: set.memory_pressure,
            sched_load_balance: set.sched_load_balance,
            sched_relax_domain_level: set.sched_relax_domain_level,
        }
    }
}

#[derive(Serialize)]
struct Memory<'a> {
    #[serde(skip_serializing_if = "zero")]
    cache: u64,
    usage: Entry,
    swap: Entry,
    kernel: Entry,
    #[serde(rename = "kernelTCP")]
    kernel_tcp: Entry,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    raw: &'a BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Serialize)]
struct Entry {
    limit: u64,
    #[serde(skip_serializing_if = "zero")]
    usage: u64,
    #[serde(skip_serializing_if = "zero")]
    max: u64,
    failcnt: u64,
}

impl Entry {
    fn of(entry: MemoryEntry) -> Self {
        Self { limit: entry.limit, usage: entry.usage, max: entry.max, failcnt: entry.failcnt }
    }
}

impl<'a> Memory<'a> {
    fn of(memory: &'a MemoryStats) -> Self {
        Self {
            cache: memory.cache,
            usage: Entry::of(memory.usage),
            swap: Entry::of(memory.swap),
            kernel: Entry::of(memory.kernel),
            kernel_tcp: Entry::of(memory.kernel_tcp),
            raw: &memory.raw,
            psi: memory.pressure.map(Psi::of),
        }
    }
}

#[derive(Serialize)]
struct Pids {
    #[serde(skip_serializing_if = "zero")]
    current: u64,
    #[serde(skip_serializing_if = "zero")]
    limit: u64,
}

impl Pids {
    fn of(pids: &PidsStats) -> Self {
        Self { current: pids.current, limit: pids.limit }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Blkio<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_bytes_recursive: Vec<Device<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_serviced_recursive: Vec<Device<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_queue_recursive: Vec<Device<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_time_recursive: Vec<Device<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_wait_time_recursive: Vec<Device<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_merged_recursive: Vec<Device<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_time_recursive: Vec<Device<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sectors_recursive: Vec<Device<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Psi>,
}

#[derive(Serialize)]
struct Device<'a> {
    #[serde(skip_serializing_if = "zero")]
    major: u64,
    #[serde(skip_serializing_if = "zero")]
    minor: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    op: &'a str,
    #[serde(skip_serializing_if = "zero")]
    value: u64,
}

impl<'a> Blkio<'a> {
    fn of(io: &'a IoStats) -> Self {
        let table = |entries: &'a [IoEntry]| {
            let device = |entry: &'a IoEntry| Device {
                major: entry.major,
                minor: entry.minor,
                op: &entry.op,
                value: entry.value,
            };
            entries.iter().map(device).collect()
        };
        Self {
            io_service_bytes_recursive: table(&io.service_bytes),
            io_serviced_recursive: table(&io.serviced),
            io_queue_recursive: table(&io.queued),
            io_service_time_recursive: table(&io.service_time),
            io_wait_time_recursive: table(&io.wait_time),
            io_merged_recursive: table(&io.merged),
            io_time_recursive: table(&io.time),
            sectors_recursive: table(&io.sectors),
            psi: io.pressure.map(Psi::of),
        }
    }
}

#[derive(Serialize)]
struct Hugetlb {
    #[serde(skip_serializing_if = "zero")]
    usage: u64,
    #[serde(skip_serializing_if = "zero")]
    max: u64,
    failcnt: u64,
}

impl Hugetlb {
    fn of(pages: &HugetlbStats) -> Self {
        Self { usage: pages.usage, max: pages.max, failcnt: pages.failcnt }
    }
}

#[derive(Default, Serialize)]
struct IntelRdt<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    l3_cache_info: Option<L3Cache<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    l3_cache_schema_root: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    l3_cache_schema: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mem_bw_info: Option<MemBw>,
    #[serde(skip_serializing_if = "str::is_empty")]
    mem_bw_schema_root: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    mem_bw_schema: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mbm_stats: Option<Vec<Mbm>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmt_stats: Option<Vec<Cmt>>,
}

#[derive(Serialize)]
struct L3Cache<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    cbm_mask: &'a str,
    #[serde(skip_serializing_if = "zero")]
    min_cbm_bits: u64,
    #[serde(skip_serializing_if = "zero")]
    num_closids: u64,
}

#[derive(Serialize)]
struct MemBw {
    #[serde(skip_serializing_if = "zero")]
    bandwidth_gran: u64,
    #[serde(skip_serializing_if = "zero")]
    delay_linear: u64,
    #[serde(skip_serializing_if = "zero")]
    min_bandwidth: u64,
    #[serde(skip_serializing_if = "zero")]
    num_closids: u64,
}

#[derive(Serialize)]
struct Mbm {
    mbm_total_bytes: u64,
    mbm_local_bytes: u64,
}

#[derive(Serialize)]
struct Cmt {
    llc_occupancy: u64,
}

impl<'a> IntelRdt<'a> {
    fn of(rdt: &'a IntelRdtStats) -> Self {
        let l3_cache_info = rdt.l3_cache_info.as_ref().map(|info| L3Cache {
            cbm_mask: &info.cbm_mask,
            min_cbm_bits: info.min_cbm_bits,
            num_closids: info.num_closids,
        });
        let mem_bw_info = rdt.mem_bw_info.as_ref().map(|info| MemBw {
            bandwidth_gran: info.bandwidth_gran,
            delay_linear: info.delay_linear,
            min_bandwidth: info.min_bandwidth,
            num_closids: info.num_closids,
        });
        let mbm = |&(mbm_total_bytes, mbm_local_bytes): &(u64, u64)| Mbm { mbm_total_bytes, mbm_local_bytes };
        Self {
            l3_cache_info,
            l3_cache_schema_root: &rdt.l3_cache_schema_root,
            l3_cache_schema: &rdt.l3_cache_schema,
            mem_bw_info,
            mem_bw_schema_root: &rdt.mem_bw_schema_root,
            mem_bw_schema: &rdt.mem_bw_schema,
            mbm_stats: rdt.mbm.as_ref().map(|nodes| nodes.iter().map(mbm).collect()),
            cmt_stats: rdt
                .cmt
                .as_ref()
                .map(|nodes| nodes.iter().map(|&llc_occupancy| Cmt { llc_occupancy }).collect()),
        }
    }
}

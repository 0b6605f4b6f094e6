//! The files of cgroup v1, each controller's in its own directory.
#![forbid(unsafe_code)]

use std::path::Path;

use super::parse;
use super::reader::{Reader, page_sizes};
use super::usage::{StatsSet, Usage};
use super::{
    CgroupStats, CpuStats, CpusetStats, HugetlbStats, IoEntry, IoStats, MemoryEntry, MemoryStats, PidsStats,
    Places, RdmaStats, UNLIMITED, v2,
};
use crate::error::Result;

/// USER_HZ, in which `cpuacct.stat` counts: 100 a second on all architectures that we run on.
const TICK_NS: u64 = 10_000_000;
/// From here on a limit is none: the most that the kernel can count, rounded to its largest pages.
const NO_LIMIT: u64 = 0x7fff_ffff_fff0_0000;

pub(super) fn read(places: Places<'_>) -> Result<CgroupStats> {
    let files = &mut Reader::new();
    let mut stats = CgroupStats::default();
    if let Some(path) = places.v1("cpu") {
        throttling(files, path, &mut stats.cpu)?;
    }
    if let Some(path) = places.v1("cpuacct") {
        cpuacct(files, path, &mut stats.cpu)?;
    }
    if let Some(path) = places.v1("cpuset") {
        stats.cpuset = cpuset(files, path)?;
    }
    if let Some(path) = places.v1("memory") {
        stats.memory = memory(files, path)?;
    }
    if let Some(path) = places.v1("pids") {
        stats.pids = pids(files, path)?;
    }
    if let Some(path) = places.v1("blkio") {
        stats.io = io(files, path)?;
    }
    if let Some(path) = places.v1("hugetlb") {
        for size in page_sizes(path, ".usage_in_bytes") {
            stats.hugetlb.insert(size.clone(), hugetlb(files, path, &size)?);
        }
    }
    if let Some(text) = places.v1("rdma").map(|path| files.text(path, "rdma.current")).transpose()?.flatten()
    {
        let each =
            |(device, handles, objects): (&str, _, _)| (device.to_owned(), RdmaStats { handles, objects });
        stats.rdma = parse::rdma(text).map(each).collect();
    }
    Ok(stats)
}

fn throttling(files: &mut Reader, path: &Path, cpu: &mut CpuStats) -> Result<()> {
    files.pairs(path, "cpu.stat", |key, value| match key {
        "nr_periods" => cpu.periods = value,
        "nr_throttled" => cpu.throttled_periods = value,
        "throttled_time" => cpu.throttled = value,
        _ => {}
    })
}

fn cpuacct(files: &mut Reader, path: &Path, cpu: &mut CpuStats) -> Result<()> {
    files.pairs(path, "cpuacct.stat", |key, value| match key {
        "user" => cpu.user = value.saturating_mul(TICK_NS),
        "system" => cpu.kernel = value.saturating_mul(TICK_NS),
        _ => {}
    })?;
    cpu.total = files.number(path, "cpuacct.usage")?;
    cpu.percpu = files.text(path, "cpuacct.usage_percpu")?.map(parse::row).unwrap_or_default();
    if let Some(text) = files.text(path, "cpuacct.usage_all")? {
        (cpu.percpu_user, cpu.percpu_kernel) = parse::usage_all(text);
    }
    Ok(())
}

fn cpuset(files: &mut Reader, path: &Path) -> Result<CpusetStats> {
    let mut list = |name: &str| {
        files.text(path, &format!("cpuset.{name}")).map(|text| text.map(parse::ranges).unwrap_or_default())
    };
    let (cpus, mems) = (list("cpus")?, list("mems")?);
    let mut flag = |name: &str| files.number(path, &format!("cpuset.{name}"));
    let mut set = CpusetStats {
        cpus,
        mems,
        cpu_exclusive: flag("cpu_exclusive")?,
        mem_hardwall: flag("mem_hardwall")?,
        mem_exclusive: flag("mem_exclusive")?,
        memory_migrate: flag("memory_migrate")?,
        memory_spread_page: flag("memory_spread_page")?,
        memory_spread_slab: flag("memory_spread_slab")?,
        memory_pressure: flag("memory_pressure")?,
        sched_load_balance: flag("sched_load_balance")?,
        sched_relax_domain_level: 0,
    };
    if let Some(text) = files.text(path, "cpuset.sched_relax_domain_level")? {
        set.sched_relax_domain_level = text.trim_end().parse().unwrap_or_default();
    }
    Ok(set)
}

fn memory(files: &mut Reader, path: &Path) -> Result<MemoryStats> {
    let mut memory = MemoryStats::default();
    files.pairs(path, "memory.stat", |key, value| {
        memory.raw.insert(key.to_owned(), value);
    })?;
    memory.cache = memory.raw.get("cache").copied().unwrap_or_default();
    memory.usage = entry(files, path, "memory")?;
    memory.swap = entry(files, path, "memory.memsw")?;
    memory.kernel = entry(files, path, "memory.kmem")?;
    memory.kernel_tcp = entry(files, path, "memory.kmem.tcp")?;
    Ok(memory)
}

/// Without swap accounting the files of `memory.memsw` are missing.
fn entry(files: &mut Reader, path: &Path, kind: &str) -> Result<MemoryEntry> {
    let Some(usage) = files.number_if_there(path, &format!("{kind}.usage_in_bytes"))? else {
        return Ok(MemoryEntry::default());
    };
    let mut number = |name: &str| files.number(path, &format!("{kind}.{name}"));
    Ok(MemoryEntry {
        usage,
        max: number("max_usage_in_bytes")?,
        limit: number("limit_in_bytes")?,
        failcnt: number("failcnt")?,
    })
}

fn pids(files: &mut Reader, path: &Path) -> Result<PidsStats> {
    let limit = files.number(path, "pids.max")?;
    Ok(PidsStats {
        current: files.number(path, "pids.current")?,
        limit: if limit == UNLIMITED { 0 } else { limit },
    })
}

type Table = fn(&mut IoStats) -> &mut Vec<IoEntry>;

const SERVICED: (&str, Table) = ("io_serviced_recursive", |io| &mut io.serviced);
const SERVICE_BYTES: (&str, Table) = ("io_service_bytes_recursive", |io| &mut io.service_bytes);
/// All that the schedulers BFQ (with debugging) and CFQ counted.
const OF_A_SCHEDULER: [(&str, Table); 8] = [
    ("sectors_recursive", |io| &mut io.sectors),
    ("io_service_time_recursive", |io| &mut io.service_time),
    ("io_wait_time_recursive", |io| &mut io.wait_time),
    ("io_merged_recursive", |io| &mut io.merged),
    ("io_queued_recursive", |io| &mut io.queued),
    ("time_recursive", |io| &mut io.time),
    SERVICED,
    SERVICE_BYTES,
];
/// COMPAT(runc): the first of these whose first file has an entry is the one that counts.
const SOURCES: [(&str, &[(&str, Table)]); 5] = [
    ("blkio.bfq.", &OF_A_SCHEDULER),
    ("blkio.bfq.", &[SERVICED, SERVICE_BYTES]),
    ("blkio.", &OF_A_SCHEDULER),
    ("blkio.throttle.", &[SERVICED, SERVICE_BYTES]),
    (
        "blkio.throttle.",
        &[("io_serviced", |io| &mut io.serviced), ("io_service_bytes", |io| &mut io.service_bytes)],
    ),
];

fn io(files: &mut Reader, path: &Path) -> Result<IoStats> {
    let mut io = IoStats::default();
    for (prefix, tables) in SOURCES {
        for (index, (name, table)) in tables.iter().enumerate() {
            let text = files.text(path, &format!("{prefix}{name}"))?;
            let entries = text.map(parse::blkio).unwrap_or_default();
            if index == 0 && entries.is_empty() {
                break;
            }
            *table(&mut io) = entries;
            if index + 1 == tables.len() {
                return Ok(io);
            }
        }
    }
    Ok(io)
}

/// COMPAT(runc): what is reserved counts, where the kernel counts it.
fn hugetlb(files: &mut Reader, path: &Path, size: &str) -> Result<HugetlbStats> {
    let reserved = files.number_if_there(path, &format!("hugetlb.{size}.rsvd.usage_in_bytes"))?;
    let kind = if reserved.is_some() { format!("{size}.rsvd") } else { size.to_owned() };
    let mut number = |name: &str| files.number(path, &format!("hugetlb.{kind}.{name}"));
    Ok(HugetlbStats {
        usage: number("usage_in_bytes")?,
        max: number("max_usage_in_bytes")?,
        failcnt: number("failcnt")?,
    })
}

pub(super) fn usage(places: Places<'_>, what: StatsSet) -> Result<Usage> {
    let files = &mut Reader::new();
    let mut usage = Usage { memory_limit: UNLIMITED, pids_limit: UNLIMITED, ..Usage::default() };
    let wanted =
        |group: StatsSet, controller: &str| if what.has(group) { places.v1(controller) } else { None };
    if let Some(path) = wanted(StatsSet::CPU, "cpuacct") {
        cpu_usage(files, path, places.v1("cpu"), &mut usage)?;
    }
    if let Some(path) = wanted(StatsSet::PERCPU, "cpuacct") {
        usage.percpu = files.text(path, "cpuacct.usage_percpu")?.map(parse::row).unwrap_or_default();
        usage.present = usage.present | StatsSet::PERCPU;
    }
    if let Some(path) = wanted(StatsSet::MEMORY, "memory") {
        memory_usage(files, path, &mut usage)?;
    }
    if let Some(path) = wanted(StatsSet::PIDS, "pids") {
        usage.pids_current = files.number(path, "pids.current")?;
        usage.pids_limit = files.number(path, "pids.max")?;
        usage.present = usage.present | StatsSet::PIDS;
    }
    if let Some(path) = wanted(StatsSet::IO, "blkio") {
        // Whatever scheduler a device has, throttling sees all that goes to it.
        let mut read =
            |name: &str| files.text(path, name).map(|text| text.map(parse::blkio).unwrap_or_default());
        let (bytes, serviced) = (
            read("blkio.throttle.io_service_bytes_recursive")?,
            read("blkio.throttle.io_serviced_recursive")?,
        );
        (usage.io_read_bytes, usage.io_write_bytes) = sums(&bytes);
        (usage.io_reads, usage.io_writes) = sums(&serviced);
        usage.present = usage.present | StatsSet::IO;
    }
    if let Some(path) = wanted(StatsSet::RDMA, "rdma") {
        v2::rdma_usage(files, path, &mut usage)?;
    }
    if let Some(path) = wanted(StatsSet::PRESSURE, "") {
        // The cgroup2 beside them tells, whoever has the controllers.
        v2::pressure_usage(files, path, &mut usage)?;
    }
    Ok(usage)
}

fn cpu_usage(files: &mut Reader, path: &Path, cpu: Option<&Path>, usage: &mut Usage) -> Result<()> {
    usage.cpu_total = files.number(path, "cpuacct.usage")?;
    files.pairs(path, "cpuacct.stat", |key, value| match key {
        "user" => usage.cpu_user = value.saturating_mul(TICK_NS),
        "system" => usage.cpu_kernel = value.saturating_mul(TICK_NS),
        _ => {}
    })?;
    if let Some(path) = cpu {
        files.pairs(path, "cpu.stat", |key, value| match key {
            "nr_periods" => usage.cpu_periods = value,
            "nr_throttled" => usage.cpu_throttled_periods = value,
            "throttled_time" => usage.cpu_throttled = value,
            _ => {}
        })?;
    }
    usage.present = usage.present | StatsSet::CPU;
    Ok(())
}

fn memory_usage(files: &mut Reader, path: &Path, usage: &mut Usage) -> Result<()> {
    usage.memory_usage = files.number(path, "memory.usage_in_bytes")?;
    usage.memory_max = files.number(path, "memory.max_usage_in_bytes")?;
    usage.memory_failcnt = files.number(path, "memory.failcnt")?;
    usage.memory_kernel = files.number(path, "memory.kmem.usage_in_bytes")?;
    let limit = files.number(path, "memory.limit_in_bytes")?;
    usage.memory_limit = if limit >= NO_LIMIT { UNLIMITED } else { limit };
    files.pairs(path, "memory.stat", |key, value| match key {
        "total_rss" => usage.memory_anon = value,
        "total_cache" => usage.memory_file = value,
        "total_inactive_file" => usage.memory_inactive_file = value,
        "total_swap" => usage.memory_swap = value,
        "total_pgfault" => usage.memory_pgfault = value,
        "total_pgmajfault" => usage.memory_pgmajfault = value,
        _ => {}
    })?;
    files.pairs(path, "memory.oom_control", |key, value| {
        if key == "oom_kill" {
            usage.memory_oom_kill = value;
        }
    })?;
    usage.present = usage.present | StatsSet::MEMORY;
    Ok(())
}

/// What all devices read and wrote.
fn sums(entries: &[IoEntry]) -> (u64, u64) {
    let of = |op: &str| entries.iter().filter(|entry| entry.op == op).map(|entry| entry.value).sum();
    (of("Read"), of("Write"))
}

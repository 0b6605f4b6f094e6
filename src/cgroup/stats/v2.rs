//! The files of cgroup2, all in one directory (cgroup-v2.rst).
#![forbid(unsafe_code)]

use std::path::Path;

use super::parse;
use super::reader::{Reader, page_sizes};
use super::usage::{StatsSet, Usage};
use super::{
    CgroupStats, CpuStats, HugetlbStats, IoEntry, IoStats, MemoryEntry, MemoryStats, PidsStats, Pressure,
    RdmaStats, UNLIMITED,
};
use crate::error::Result;

/// The files count microseconds.
const US: u64 = 1000;

pub(super) fn read(path: &Path) -> Result<CgroupStats> {
    let files = &mut Reader::new();
    let mut stats = CgroupStats {
        cpu: cpu(files, path)?,
        memory: memory(files, path)?,
        pids: pids(files, path)?,
        io: io(files, path)?,
        ..CgroupStats::default()
    };
    for size in page_sizes(path, ".current") {
        stats.hugetlb.insert(size.clone(), hugetlb(files, path, &size)?);
    }
    if let Some(text) = files.text(path, "rdma.current")? {
        let each =
            |(device, handles, objects): (&str, _, _)| (device.to_owned(), RdmaStats { handles, objects });
        stats.rdma = parse::rdma(text).map(each).collect();
    }
    Ok(stats)
}

fn cpu(files: &mut Reader, path: &Path) -> Result<CpuStats> {
    let mut cpu = cpu_time(files, path)?;
    cpu.pressure = pressure(files, path, "cpu.pressure")?;
    Ok(cpu)
}

fn cpu_time(files: &mut Reader, path: &Path) -> Result<CpuStats> {
    let mut cpu = CpuStats::default();
    files.pairs(path, "cpu.stat", |key, value| match key {
        "usage_usec" => cpu.total = value.saturating_mul(US),
        "user_usec" => cpu.user = value.saturating_mul(US),
        "system_usec" => cpu.kernel = value.saturating_mul(US),
        "nr_periods" => cpu.periods = value,
        "nr_throttled" => cpu.throttled_periods = value,
        "throttled_usec" => cpu.throttled = value.saturating_mul(US),
        _ => {}
    })?;
    Ok(cpu)
}

fn memory(files: &mut Reader, path: &Path) -> Result<MemoryStats> {
    let mut memory = MemoryStats::default();
    files.pairs(path, "memory.stat", |key, value| {
        memory.raw.insert(key.to_owned(), value);
    })?;
    memory.cache = memory.raw.get("file").copied().unwrap_or_default();
    memory.usage = entry(files, path, "memory")?;
    // COMPAT(runc): as v1 counts it, memory and swap together; what was most of both nobody knows.
    let swap = entry(files, path, "memory.swap")?;
    memory.swap = MemoryEntry {
        usage: swap.usage.saturating_add(memory.usage.usage),
        limit: swap.limit.saturating_add(memory.usage.limit),
        max: 0,
        failcnt: 0,
    };
    memory.pressure = pressure(files, path, "memory.pressure")?;
    Ok(memory)
}

/// KERNEL(5.19): `memory.peak`, KERNEL(6.5): `memory.swap.peak`. The root cgroup has none of them.
fn entry(files: &mut Reader, path: &Path, kind: &str) -> Result<MemoryEntry> {
    let Some(usage) = files.number_if_there(path, &format!("{kind}.current"))? else {
        return Ok(MemoryEntry::default());
    };
    let mut number = |name: &str| files.number(path, &format!("{kind}.{name}"));
    Ok(MemoryEntry { usage, max: number("peak")?, limit: number("max")?, failcnt: 0 })
}

fn pids(files: &mut Reader, path: &Path) -> Result<PidsStats> {
    let limit = files.number(path, "pids.max")?;
    let current = match files.number_if_there(path, "pids.current")? {
        Some(current) => current,
        None => without_controller(files, path)?,
    };
    Ok(PidsStats { current, limit: if limit == UNLIMITED { 0 } else { limit } })
}

/// COMPAT(runc): without the controller the members are counted.
fn without_controller(files: &mut Reader, path: &Path) -> Result<u64> {
    let members = files.text(path, "cgroup.procs")?.map_or(0, |text| text.lines().count());
    Ok(u64::try_from(members).unwrap_or(u64::MAX))
}

fn io(files: &mut Reader, path: &Path) -> Result<IoStats> {
    let mut io = IoStats::default();
    if let Some(text) = files.text(path, "io.stat")? {
        for (major, minor, name, value) in parse::io_stat(text) {
            let (table, op) = match name {
                "rbytes" => (&mut io.service_bytes, "Read"),
                "wbytes" => (&mut io.service_bytes, "Write"),
                "rios" => (&mut io.serviced, "Read"),
                "wios" => (&mut io.serviced, "Write"),
                _ => continue,
            };
            table.push(IoEntry { major, minor, op: op.to_owned(), value });
        }
    }
    io.pressure = pressure(files, path, "io.pressure")?;
    Ok(io)
}

/// COMPAT(runc): what is reserved counts, where the kernel counts it.
fn hugetlb(files: &mut Reader, path: &Path, size: &str) -> Result<HugetlbStats> {
    let usage = match files.number_if_there(path, &format!("hugetlb.{size}.rsvd.current"))? {
        Some(reserved) => reserved,
        None => files.number(path, &format!("hugetlb.{size}.current"))?,
    };
    let mut stats = HugetlbStats { usage, ..HugetlbStats::default() };
    files.pairs(path, &format!("hugetlb.{size}.events"), |key, value| {
        if key == "max" {
            stats.failcnt = value;
        }
    })?;
    Ok(stats)
}

/// `None`: this kernel does not tell, or was told not to.
fn pressure(files: &mut Reader, path: &Path, name: &str) -> Result<Option<Pressure>> {
    Ok(files.text(path, name)?.map(parse::pressure))
}

pub(super) fn usage(path: &Path, what: StatsSet) -> Result<Usage> {
    let files = &mut Reader::new();
    let mut usage = Usage { memory_limit: UNLIMITED, pids_limit: UNLIMITED, ..Usage::default() };
    if what.has(StatsSet::CPU) {
        let CpuStats { total, user, kernel, periods, throttled_periods, throttled, .. } =
            cpu_time(files, path)?;
        (usage.cpu_total, usage.cpu_user, usage.cpu_kernel) = (total, user, kernel);
        (usage.cpu_periods, usage.cpu_throttled_periods) = (periods, throttled_periods);
        usage.cpu_throttled = throttled;
        usage.present = usage.present | StatsSet::CPU;
    }
    if what.has(StatsSet::MEMORY) {
        memory_usage(files, path, &mut usage)?;
    }
    if what.has(StatsSet::PIDS)
        && let Some(current) = files.number_if_there(path, "pids.current")?
    {
        usage.pids_current = current;
        usage.pids_limit = files.number(path, "pids.max")?;
        usage.present = usage.present | StatsSet::PIDS;
    }
    if what.has(StatsSet::IO)
        && let Some(text) = files.text(path, "io.stat")?
    {
        io_usage(text, &mut usage);
    }
    if what.has(StatsSet::RDMA) {
        rdma_usage(files, path, &mut usage)?;
    }
    if what.has(StatsSet::PRESSURE) {
        pressure_usage(files, path, &mut usage)?;
    }
    Ok(usage)
}

fn memory_usage(files: &mut Reader, path: &Path, usage: &mut Usage) -> Result<()> {
    let Some(current) = files.number_if_there(path, "memory.current")? else { return Ok(()) };
    usage.memory_usage = current;
    usage.memory_limit = files.number(path, "memory.max")?;
    usage.memory_max = files.number(path, "memory.peak")?;
    usage.memory_swap = files.number(path, "memory.swap.current")?;
    files.pairs(path, "memory.stat", |key, value| match key {
        "anon" => usage.memory_anon = value,
        "file" => usage.memory_file = value,
        "inactive_file" => usage.memory_inactive_file = value,
        "kernel" => usage.memory_kernel = value,
        "pgfault" => usage.memory_pgfault = value,
        "pgmajfault" => usage.memory_pgmajfault = value,
        _ => {}
    })?;
    files.pairs(path, "memory.events", |key, value| match key {
        "max" => usage.memory_failcnt = value,
        "oom" => usage.memory_oom = value,
        "oom_kill" => usage.memory_oom_kill = value,
        _ => {}
    })?;
    usage.present = usage.present | StatsSet::MEMORY;
    Ok(())
}

fn io_usage(text: &str, usage: &mut Usage) {
    for (_, _, name, value) in parse::io_stat(text) {
        let sum = match name {
            "rbytes" => &mut usage.io_read_bytes,
            "wbytes" => &mut usage.io_write_bytes,
            "rios" => &mut usage.io_reads,
            "wios" => &mut usage.io_writes,
            _ => continue,
        };
        *sum = sum.saturating_add(value);
    }
    usage.present = usage.present | StatsSet::IO;
}

pub(super) fn rdma_usage(files: &mut Reader, path: &Path, usage: &mut Usage) -> Result<()> {
    if let Some(text) = files.text(path, "rdma.current")? {
        for (_, handles, objects) in parse::rdma(text) {
            usage.rdma_handles = usage.rdma_handles.saturating_add(handles);
            usage.rdma_objects = usage.rdma_objects.saturating_add(objects);
        }
        usage.present = usage.present | StatsSet::RDMA;
    }
    Ok(())
}

pub(super) fn pressure_usage(files: &mut Reader, path: &Path, usage: &mut Usage) -> Result<()> {
    let mut read = |name: &str, some: &mut u64, full: &mut u64| -> Result<bool> {
        let Some(pressure) = pressure(files, path, name)? else { return Ok(false) };
        *some = pressure.some.total.saturating_mul(US);
        *full = pressure.full.total.saturating_mul(US);
        Ok(true)
    };
    let cpu = read("cpu.pressure", &mut usage.cpu_some, &mut usage.cpu_full)?;
    let memory = read("memory.pressure", &mut usage.memory_some, &mut usage.memory_full)?;
    let io = read("io.pressure", &mut usage.io_some, &mut usage.io_full)?;
    if cpu || memory || io {
        usage.present = usage.present | StatsSet::PRESSURE;
    }
    Ok(())
}

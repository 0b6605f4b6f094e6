//! The one table: every property of `linux.resources`, its controller, and what it is in cgroup v1 and in v2. Pure.
//!
//! The order of the rows is the order of the writes. 0 means "not set" where the specification asks for a number, as
//! for runc. Sources: cgroup-v1/*.rst and cgroup-v2.rst of the kernel, config-linux.md#control-groups.
#![forbid(unsafe_code)]

use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources, LinuxThrottleDevice};

use super::convert::{cpu_weight, io_weight, or_max, swap};
use super::{Without, Write};

/// One property.
pub(super) struct Row {
    /// Its name below `linux.resources`.
    pub(super) property: &'static str,
    pub(super) controller: &'static str,
    pub(super) v1: Home,
    pub(super) v2: Home,
}

/// Where a property is kept.
#[derive(Clone, Copy)]
pub(super) enum Home {
    /// As one value in one file.
    File(&'static str, fn(&LinuxResources) -> Option<String>),
    /// As lines that the property itself decides.
    Lines(fn(&LinuxResources) -> Vec<Write>),
    /// In the line of the property beside it.
    Beside,
    /// Nowhere, and containers are no worse off: a warning.
    LeftOut,
    /// Nowhere, and somebody relies on it: an error.
    Refused,
}

use Home::{Beside, File, LeftOut, Lines, Refused};

const fn row(property: &'static str, controller: &'static str, v1: Home, v2: Home) -> Row {
    Row { property, controller, v1, v2 }
}

/// The table.
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    row("cpu.cpus", "cpuset", File("cpuset.cpus", cpus), File("cpuset.cpus", cpus)),
    row("cpu.mems", "cpuset", File("cpuset.mems", mems), File("cpuset.mems", mems)),
    row("memory.limit", "memory", File("memory.limit_in_bytes", |r| limit(r, LinuxMemory::limit)),
        File("memory.max", |r| limit(r, LinuxMemory::limit).map(|_| max_of(r, LinuxMemory::limit)))),
    row("memory.swap", "memory", Lines(swap_v1), Lines(swap_v2)),
    row("memory.reservation", "memory",
        File("memory.soft_limit_in_bytes", |r| limit(r, LinuxMemory::reservation)),
        File("memory.low", |r| limit(r, LinuxMemory::reservation).map(|_| max_of(r, LinuxMemory::reservation)))),
    row("memory.swappiness", "memory", File("memory.swappiness", swappiness), LeftOut),
    row("memory.disableOOMKiller", "memory", File("memory.oom_control", no_oom_killer), LeftOut),
    // Before the shares: an idle group has none.
    row("cpu.idle", "cpu", Lines(|r| idle(r, "cpu.idle")), Lines(|r| idle(r, "cpu.idle"))),
    row("cpu.shares", "cpu", File("cpu.shares", |r| shares(r).map(|n| n.to_string())),
        File("cpu.weight", |r| shares(r).map(|n| cpu_weight(n).to_string()))),
    row("cpu.period", "cpu", File("cpu.cfs_period_us", |r| of_cpu(r, |c| c.period().map(|n| n.to_string()))), Beside),
    row("cpu.burst", "cpu", Lines(|r| burst(r, "cpu.cfs_burst_us")), Lines(|r| burst(r, "cpu.max.burst"))),
    row("cpu.quota", "cpu", File("cpu.cfs_quota_us", |r| of_cpu(r, |c| c.quota().map(|n| n.to_string()))),
        File("cpu.max", cpu_max)),
    row("cpu.realtimePeriod", "cpu",
        File("cpu.rt_period_us", |r| of_cpu(r, |c| c.realtime_period().map(|n| n.to_string()))), Refused),
    row("cpu.realtimeRuntime", "cpu",
        File("cpu.rt_runtime_us", |r| of_cpu(r, |c| c.realtime_runtime().map(|n| n.to_string()))), Refused),
    row("pids.limit", "pids", File("pids.max", pids), File("pids.max", pids)),
    row("blockIO.weight", "blkio", Lines(weight_v1), Lines(weight_v2)),
    row("blockIO.leafWeight", "blkio", File("blkio.leaf_weight", leaf_weight), LeftOut),
    row("blockIO.weightDevice", "blkio", Lines(weight_devices_v1), Lines(weight_devices_v2)),
    row("blockIO.throttleReadBpsDevice", "blkio",
        Lines(|r| throttle_v1(r, "blkio.throttle.read_bps_device", LinuxBlockIo::throttle_read_bps_device)),
        Lines(|r| throttle_v2(r, "rbps", LinuxBlockIo::throttle_read_bps_device))),
    row("blockIO.throttleWriteBpsDevice", "blkio",
        Lines(|r| throttle_v1(r, "blkio.throttle.write_bps_device", LinuxBlockIo::throttle_write_bps_device)),
        Lines(|r| throttle_v2(r, "wbps", LinuxBlockIo::throttle_write_bps_device))),
    row("blockIO.throttleReadIOPSDevice", "blkio",
        Lines(|r| throttle_v1(r, "blkio.throttle.read_iops_device", LinuxBlockIo::throttle_read_iops_device)),
        Lines(|r| throttle_v2(r, "riops", LinuxBlockIo::throttle_read_iops_device))),
    row("blockIO.throttleWriteIOPSDevice", "blkio",
        Lines(|r| throttle_v1(r, "blkio.throttle.write_iops_device", LinuxBlockIo::throttle_write_iops_device)),
        Lines(|r| throttle_v2(r, "wiops", LinuxBlockIo::throttle_write_iops_device))),
    row("hugepageLimits", "hugetlb", Lines(|r| hugepages(r, "limit_in_bytes")), Lines(|r| hugepages(r, "max"))),
    row("network.classID", "net_cls", File("net_cls.classid", class_id), Refused),
    row("network.priorities", "net_prio", Lines(priorities), Refused),
    row("rdma", "rdma", Lines(rdma), Lines(rdma)),
];

/// What cgroup v2 calls a controller of v1.
pub(super) fn v2_name(controller: &str) -> &str {
    if controller == "blkio" { "io" } else { controller }
}

fn memory(resources: &LinuxResources) -> Option<&LinuxMemory> {
    resources.memory().as_ref()
}

fn of_cpu(resources: &LinuxResources, get: fn(&LinuxCpu) -> Option<String>) -> Option<String> {
    resources.cpu().as_ref().and_then(get).filter(|text| text != "0")
}

fn limit(resources: &LinuxResources, get: fn(&LinuxMemory) -> Option<i64>) -> Option<String> {
    memory(resources).and_then(get).filter(|n| *n != 0).map(|n| n.to_string())
}

fn max_of(resources: &LinuxResources, get: fn(&LinuxMemory) -> Option<i64>) -> String {
    or_max(memory(resources).and_then(get).unwrap_or(-1))
}

fn cpus(resources: &LinuxResources) -> Option<String> {
    resources.cpu().as_ref()?.cpus().clone().filter(|text| !text.is_empty())
}

fn mems(resources: &LinuxResources) -> Option<String> {
    resources.cpu().as_ref()?.mems().clone().filter(|text| !text.is_empty())
}

fn swap_v1(resources: &LinuxResources) -> Vec<Write> {
    let Some(memory) = memory(resources) else { return Vec::new() };
    // Unlimited memory under a limit of both would be refused.
    let both = match (memory.limit(), memory.swap().filter(|n| *n != 0)) {
        (Some(-1), None) => -1,
        (_, Some(both)) => both,
        _ => return Vec::new(),
    };
    // Without swap accounting there is no limit to lift.
    let without = if both == -1 { Without::Skip } else { Without::Fail };
    vec![Write::new("memory.memsw.limit_in_bytes", both.to_string()).without(without)]
}

fn swap_v2(resources: &LinuxResources) -> Vec<Write> {
    // Errors are `check`'s.
    let Some(swap) = memory(resources).and_then(|memory| swap(memory).ok().flatten()) else {
        return Vec::new();
    };
    // Without swap accounting there is no limit to lift, and no swap to keep out.
    let without = if swap <= 0 { Without::Skip } else { Without::Fail };
    vec![Write::new("memory.swap.max", or_max(swap)).without(without)]
}

fn swappiness(resources: &LinuxResources) -> Option<String> {
    memory(resources)?.swappiness().map(|n| n.to_string())
}

fn no_oom_killer(resources: &LinuxResources) -> Option<String> {
    memory(resources)?.disable_oom_killer().map(|off| u8::from(off).to_string())
}

fn shares(resources: &LinuxResources) -> Option<u64> {
    resources.cpu().as_ref()?.shares().filter(|n| *n != 0)
}

/// KERNEL(5.15): an older one has no idle groups.
fn idle(resources: &LinuxResources, file: &str) -> Vec<Write> {
    let idle = resources.cpu().as_ref().and_then(LinuxCpu::idle);
    let zero_is_no_wish = |idle| if idle == 0 { Without::Skip } else { Without::Fail };
    idle.map(|n| Write::new(file, n.to_string()).without(zero_is_no_wish(n))).into_iter().collect()
}

/// KERNEL(5.14): an older one has no bursts.
fn burst(resources: &LinuxResources, file: &str) -> Vec<Write> {
    let burst = resources.cpu().as_ref().and_then(LinuxCpu::burst);
    let zero_is_no_wish = |burst| if burst == 0 { Without::Skip } else { Without::Fail };
    burst.map(|n| Write::new(file, n.to_string()).without(zero_is_no_wish(n))).into_iter().collect()
}

/// `QUOTA PERIOD`; without a period it stays what it is.
fn cpu_max(resources: &LinuxResources) -> Option<String> {
    let cpu = resources.cpu().as_ref()?;
    let quota = cpu.quota().filter(|n| *n != 0);
    let period = cpu.period().filter(|n| *n != 0);
    let text = quota.map_or_else(|| String::from("max"), or_max);
    match (quota, period) {
        (None, None) => None,
        (Some(_), None) => Some(text),
        (_, Some(period)) => Some(format!("{text} {period}")),
    }
}

fn pids(resources: &LinuxResources) -> Option<String> {
    resources.pids().as_ref().map(oci_spec::runtime::LinuxPids::limit).filter(|n| *n != 0).map(or_max)
}

fn block_io(resources: &LinuxResources) -> Option<&LinuxBlockIo> {
    resources.block_io().as_ref()
}

/// The scheduler that the kernel has decides: BFQ has files of its own.
fn either(bfq: &str, value: String, other: &str, others: String) -> Write {
    Write::new(bfq, value).without(Without::Instead(other.to_owned(), others))
}

fn weight(resources: &LinuxResources) -> Option<u16> {
    block_io(resources)?.weight().filter(|n| *n != 0)
}

fn weight_v1(resources: &LinuxResources) -> Vec<Write> {
    let one = |n: u16| either("blkio.bfq.weight", n.to_string(), "blkio.weight", n.to_string());
    weight(resources).map(one).into_iter().collect()
}

fn weight_v2(resources: &LinuxResources) -> Vec<Write> {
    let one = |n: u16| either("io.bfq.weight", n.to_string(), "io.weight", io_weight(n).to_string());
    weight(resources).map(one).into_iter().collect()
}

fn leaf_weight(resources: &LinuxResources) -> Option<String> {
    block_io(resources)?.leaf_weight().filter(|n| *n != 0).map(|n| n.to_string())
}

fn weight_devices_v1(resources: &LinuxResources) -> Vec<Write> {
    let mut writes = Vec::new();
    for device in block_io(resources).and_then(|io| io.weight_device().as_deref()).unwrap_or_default() {
        let (major, minor) = (device.major(), device.minor());
        let nothing = format!("{major}:{minor} 0");
        if let Some(weight) = device.weight() {
            let line = format!("{major}:{minor} {weight}");
            let write = either("blkio.bfq.weight_device", line.clone(), "blkio.weight_device", line);
            writes.push(write.undone_by(&nothing));
        }
        if let Some(weight) = device.leaf_weight() {
            let line = format!("{major}:{minor} {weight}");
            writes.push(Write::new("blkio.leaf_weight_device", line).undone_by(&nothing));
        }
    }
    writes
}

fn weight_devices_v2(resources: &LinuxResources) -> Vec<Write> {
    let devices = block_io(resources).and_then(|io| io.weight_device().as_deref()).unwrap_or_default();
    let one = |device: &oci_spec::runtime::LinuxWeightDevice| {
        let number = format!("{}:{}", device.major(), device.minor());
        let nothing = format!("{number} default");
        let (bfq, other) = match device.weight()? {
            0 => (nothing.clone(), nothing.clone()),
            weight => (format!("{number} {weight}"), format!("{number} {}", io_weight(weight))),
        };
        Some(either("io.bfq.weight", bfq, "io.weight", other).undone_by(&nothing))
    };
    devices.iter().filter_map(one).collect()
}

type Throttles = fn(&LinuxBlockIo) -> &Option<Vec<LinuxThrottleDevice>>;

fn throttle_v1(resources: &LinuxResources, file: &str, get: Throttles) -> Vec<Write> {
    let devices = block_io(resources).and_then(|io| get(io).as_deref()).unwrap_or_default();
    let one = |device: &LinuxThrottleDevice| {
        let number = format!("{}:{}", device.major(), device.minor());
        Write::new(file, format!("{number} {}", device.rate())).undone_by(&format!("{number} 0"))
    };
    devices.iter().map(one).collect()
}

fn throttle_v2(resources: &LinuxResources, key: &str, get: Throttles) -> Vec<Write> {
    let devices = block_io(resources).and_then(|io| get(io).as_deref()).unwrap_or_default();
    let one = |device: &LinuxThrottleDevice| {
        let number = format!("{}:{}", device.major(), device.minor());
        // 0 is no limit in v1, and out of range here.
        let rate = if device.rate() == 0 { String::from("max") } else { device.rate().to_string() };
        Write::new("io.max", format!("{number} {key}={rate}")).undone_by(&format!("{number} {key}=max"))
    };
    devices.iter().map(one).collect()
}

/// Pages in use, and pages that are promised. KERNEL(5.7): an older one counts no promises.
fn hugepages(resources: &LinuxResources, end: &str) -> Vec<Write> {
    let mut writes = Vec::new();
    for limit in resources.hugepage_limits().as_deref().unwrap_or_default() {
        let (size, value) = (limit.page_size(), limit.limit().to_string());
        writes.push(Write::new(&format!("hugetlb.{size}.{end}"), value.clone()));
        writes.push(Write::new(&format!("hugetlb.{size}.rsvd.{end}"), value).without(Without::Skip));
    }
    writes
}

fn class_id(resources: &LinuxResources) -> Option<String> {
    resources.network().as_ref()?.class_id().filter(|id| *id != 0).map(|id| id.to_string())
}

fn priorities(resources: &LinuxResources) -> Vec<Write> {
    let network = resources.network().as_ref();
    let priorities = network.and_then(|network| network.priorities().as_deref()).unwrap_or_default();
    let one = |priority: &oci_spec::runtime::LinuxInterfacePriority| {
        let line = format!("{} {}", priority.name(), priority.priority());
        Write::new("net_prio.ifpriomap", line).undone_by(&format!("{} 0", priority.name()))
    };
    priorities.iter().map(one).collect()
}

fn rdma(resources: &LinuxResources) -> Vec<Write> {
    let mut devices: Vec<_> = resources.rdma().iter().flatten().collect();
    devices.sort_by_key(|(name, _)| *name);
    let one = |(name, limits): (&String, &oci_spec::runtime::LinuxRdma)| {
        let parts = [("hca_handle", limits.hca_handles()), ("hca_object", limits.hca_objects())];
        let parts = parts.into_iter().filter_map(|(key, limit)| Some(format!(" {key}={}", limit?)));
        let parts: String = parts.collect();
        let undo = format!("{name} hca_handle=max hca_object=max");
        (!parts.is_empty()).then(|| Write::new("rdma.max", format!("{name}{parts}")).undone_by(&undo))
    };
    devices.into_iter().filter_map(one).collect()
}

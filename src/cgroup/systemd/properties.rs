//! What systemd is told of a container's limits: the lines for cgroup files that it knows, as properties of the unit
//! (systemd.resource-control(5)). Pure.
//!
//! What it does not know is written to the files all the same, after it, and stays: the unit is delegated. What it does
//! know it must be told, or it would write its own default one day.
#![forbid(unsafe_code)]

use super::unit::Property;
use super::value::Value;
use crate::cgroup::resources::Write;
use crate::error::{Error, Kind, Result};

/// systemd's word for "no limit".
const INFINITY: u64 = u64::MAX;
/// The kernel's period where none is set, in microseconds.
const PERIOD: u64 = 100_000;
const MICROSECONDS: u64 = 1_000_000;
/// systemd keeps the quota as whole percents of a second; the container's own file is finer.
const PERCENT: u64 = 10_000;

/// The properties of these lines (file, value), for a systemd of this version.
pub(crate) fn of(writes: &[Write], version: u32) -> Result<Vec<Property>> {
    let mut properties = Vec::new();
    for Write { file, value, .. } in writes {
        let found = one(file, value, version);
        let found = found.ok_or_else(|| {
            Error::new(Kind::InvalidSpec, "systemd has no such value").during(format!("{file}: {value:?}"))
        })?;
        properties.extend(found.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    properties.extend(quota_of_v1(writes, version));
    Ok(properties)
}

/// `None`: the value cannot be read.
fn one(file: &str, value: &str, version: u32) -> Option<Vec<(&'static str, Value)>> {
    let value = value.trim();
    let limit = |name| amount(value).map(|amount| vec![(name, Value::U64(amount))]);
    let since = |first: u32, property| if version >= first { vec![property] } else { Vec::new() };
    match file {
        "memory.max" => limit("MemoryMax"),
        "memory.high" => limit("MemoryHigh"),
        "memory.low" => limit("MemoryLow"),
        "memory.min" => limit("MemoryMin"),
        "memory.swap.max" => limit("MemorySwapMax"),
        "memory.limit_in_bytes" => limit("MemoryLimit"),
        "pids.max" => limit("TasksMax"),
        "cpu.weight" => limit("CPUWeight"),
        "cpu.shares" => limit("CPUShares"),
        "blkio.weight" | "blkio.bfq.weight" => limit("BlockIOWeight"),
        "io.weight" => match value.strip_prefix("default").map_or(value, str::trim) {
            // A line for one device, which systemd wants a path for.
            line if line.contains([' ', ':']) => Some(Vec::new()),
            weight => amount(weight).map(|weight| vec![("IOWeight", Value::U64(weight))]),
        },
        // 0 takes the idle state back; the weight that is then wanted has a line of its own.
        "cpu.idle" if value == "0" => Some(Vec::new()),
        "cpu.idle" => Some(since(252, ("CPUWeight", Value::U64(0)))),
        "cpu.max" => {
            let (quota, period) = value.split_once(' ').map_or((value, None), |(q, p)| (q, Some(p.trim())));
            let period = match period {
                Some(period) => Some(period.parse().ok().filter(|n| *n != 0)?),
                None => None,
            };
            Some(cpu_quota(amount(quota)?, period, version))
        }
        "cpuset.cpus" => bits(value).map(|bits| since(244, ("AllowedCPUs", Value::bytes(&bits)))),
        "cpuset.mems" => bits(value).map(|bits| since(244, ("AllowedMemoryNodes", Value::bytes(&bits)))),
        "memory.oom.group" => {
            let policy = if value == "1" { "kill" } else { "continue" };
            Some(since(253, ("OOMPolicy", Value::str(policy))))
        }
        _ => Some(Vec::new()),
    }
}

fn amount(value: &str) -> Option<u64> {
    if value == "max" || value == "-1" { Some(INFINITY) } else { value.parse().ok() }
}

fn cpu_quota(quota: u64, period: Option<u64>, version: u32) -> Vec<(&'static str, Value)> {
    let mut properties = Vec::new();
    if let Some(period) = period.filter(|_| version >= 242) {
        properties.push(("CPUQuotaPeriodUSec", Value::U64(period)));
    }
    let per_second = match quota {
        INFINITY => INFINITY,
        quota => {
            let exact = u128::from(quota) * u128::from(MICROSECONDS) / u128::from(period.unwrap_or(PERIOD));
            u64::try_from(exact.next_multiple_of(PERCENT.into())).unwrap_or(INFINITY)
        }
    };
    properties.push(("CPUQuotaPerSecUSec", Value::U64(per_second)));
    properties
}

/// Of cgroup v1, where it is two files.
fn quota_of_v1(writes: &[Write], version: u32) -> Vec<Property> {
    let of =
        |name: &str| writes.iter().rev().find(|write| write.file == name).map(|write| write.value.trim());
    let (quota, period) =
        (of("cpu.cfs_quota_us"), of("cpu.cfs_period_us").and_then(|text| text.parse().ok()));
    let period = period.filter(|period| *period != 0);
    if quota.is_none() && period.is_none() {
        return Vec::new();
    }
    let quota = quota.and_then(amount).filter(|quota| *quota != 0).unwrap_or(INFINITY);
    let properties = cpu_quota(quota, period, version).into_iter();
    properties.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// `0-2,5`: bit n is CPU n, the first byte first.
fn bits(list: &str) -> Option<Vec<u8>> {
    /// More than any kernel has.
    const MOST: usize = 1 << 16;
    let mut bytes: Vec<u8> = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        if bytes.len() <= last / 8 {
            bytes.resize(last / 8 + 1, 0);
        }
        (first..=last).for_each(|n| bytes[n / 8] |= 1 << (n % 8));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(writes: &[(&str, &str)], version: u32) -> Vec<String> {
        let writes: Vec<_> = writes
            .iter()
            .map(|(file, value)| Write::from(((*file).to_owned(), (*value).to_owned())))
            .collect();
        of(&writes, version).unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn each_limit_that_systemd_knows_is_told() {
        for (file, value, expected) in [
            ("memory.max", "1048576", "MemoryMax=uint64 1048576"),
            ("memory.swap.max", "max", "MemorySwapMax=uint64 18446744073709551615"),
            ("memory.low", "0", "MemoryLow=uint64 0"),
            ("pids.max", "max", "TasksMax=uint64 18446744073709551615"),
            ("cpu.weight", "39", "CPUWeight=uint64 39"),
            ("cpu.idle", "1", "CPUWeight=uint64 0"),
            ("cpuset.cpus", "0-2,9", "AllowedCPUs=[byte 7, byte 2]"),
            ("cpuset.mems", "0", "AllowedMemoryNodes=[byte 1]"),
            ("io.weight", "default 200", "IOWeight=uint64 200"),
            ("memory.oom.group", "1", "OOMPolicy='kill'"),
            ("memory.limit_in_bytes", "-1", "MemoryLimit=uint64 18446744073709551615"),
            ("cpu.shares", "512", "CPUShares=uint64 512"),
            ("blkio.weight", "100", "BlockIOWeight=uint64 100"),
        ] {
            assert_eq!(told(&[(file, value)], 255), [expected], "{file}");
        }
        assert_eq!(
            told(&[("hugetlb.2MB.max", "0"), ("io.weight", "8:0 10"), ("cpu.idle", "0")], 255),
            [""; 0]
        );
    }

    #[test]
    fn a_quota_is_rounded_up_to_a_percent_and_keeps_its_period() {
        let period = "CPUQuotaPeriodUSec=uint64 50000";
        assert_eq!(told(&[("cpu.max", "25001 50000")], 252), [period, "CPUQuotaPerSecUSec=uint64 510000"]);
        assert_eq!(told(&[("cpu.max", "25001 50000")], 241), ["CPUQuotaPerSecUSec=uint64 510000"]);
        assert_eq!(told(&[("cpu.max", "1000")], 252), ["CPUQuotaPerSecUSec=uint64 10000"]);
        assert_eq!(
            told(&[("cpu.max", "max 50000")], 252)[1],
            format!("CPUQuotaPerSecUSec=uint64 {INFINITY}")
        );
        let v1 = [("cpu.cfs_period_us", "50000"), ("cpu.cfs_quota_us", "25000")];
        assert_eq!(told(&v1, 252), [period, "CPUQuotaPerSecUSec=uint64 500000"]);
        assert_eq!(
            told(&[("cpu.cfs_quota_us", "-1")], 252),
            [format!("CPUQuotaPerSecUSec=uint64 {INFINITY}")]
        );
    }

    #[test]
    fn an_older_systemd_is_not_told_what_it_does_not_know() {
        let newer = [("cpuset.cpus", "0"), ("cpu.idle", "1"), ("memory.oom.group", "1")];
        assert_eq!(told(&newer, 243), [""; 0]);
    }

    #[test]
    fn what_is_no_value_is_told() {
        for (file, value) in [
            ("memory.max", "many"),
            ("cpu.max", "1 0"),
            ("cpu.max", "x 1"),
            ("cpuset.cpus", "3-1"),
            ("cpuset.cpus", "99999999999"),
        ] {
            let error = of(&[Write::from((file.to_owned(), value.to_owned()))], 255).unwrap_err();
            assert!(error.to_string().starts_with(file), "{error}");
        }
    }
}

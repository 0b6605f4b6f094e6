//! `linux.resources` to the files of cgroup v1, by controller. Pure.
#![forbid(unsafe_code)]

use oci_spec::runtime::{Linux, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxResources};

use crate::error::{Error, Kind, Result};
use crate::host::{Hierarchy, Host};

/// A property: its name, the controller and file that hold it, its value.
type Value = (&'static str, &'static str, &'static str, Option<String>);

/// What a container may use whatever its configuration says: its default devices, ptys, and making nodes that it then
/// may not open. Type, major, minor, access (config-linux.md#allowed-device-list).
const ALWAYS_ALLOWED: [&str; 11] = [
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:8 rwm",
    "c 1:7 rwm",
    "c 5:0 rwm",
    "c 1:5 rwm",
    "c 1:9 rwm",
    "c 136:* rwm",
    "c 5:2 rwm",
    "c 10:200 rwm",
];

/// The table: every property that has a file of its own. Order within a controller is the order of the writes.
fn table(resources: &LinuxResources) -> Vec<Value> {
    let memory = resources.memory().as_ref();
    let cpu = resources.cpu().as_ref();
    let limit = |get: fn(&LinuxMemory) -> Option<i64>| {
        memory.and_then(get).filter(|n| *n != 0).map(|n| n.to_string())
    };
    // 0 means "not set" where a number is asked for; CPU 0 and memory node 0 are as good as any.
    let of_cpu = |get: fn(&LinuxCpu) -> Option<String>| cpu.and_then(get).filter(|text| text != "0");
    let list = |get: fn(&LinuxCpu) -> &Option<String>| {
        cpu.and_then(|c| get(c).clone()).filter(|text| !text.is_empty())
    };
    let pids = resources.pids().as_ref().map(oci_spec::runtime::LinuxPids::limit).filter(|limit| *limit != 0);
    let pids = pids.map(|limit| if limit < 0 { String::from("max") } else { limit.to_string() });
    vec![
        ("memory.limit", "memory", "memory.limit_in_bytes", limit(LinuxMemory::limit)),
        ("memory.swap", "memory", "memory.memsw.limit_in_bytes", limit(LinuxMemory::swap)),
        ("memory.reservation", "memory", "memory.soft_limit_in_bytes", limit(LinuxMemory::reservation)),
        (
            "memory.swappiness",
            "memory",
            "memory.swappiness",
            memory.and_then(LinuxMemory::swappiness).map(|n| n.to_string()),
        ),
        (
            "memory.disableOOMKiller",
            "memory",
            "memory.oom_control",
            memory.and_then(LinuxMemory::disable_oom_killer).filter(|off| *off).map(|_| String::from("1")),
        ),
        ("cpu.shares", "cpu", "cpu.shares", of_cpu(|cpu| cpu.shares().map(|n| n.to_string()))),
        ("cpu.period", "cpu", "cpu.cfs_period_us", of_cpu(|cpu| cpu.period().map(|n| n.to_string()))),
        ("cpu.quota", "cpu", "cpu.cfs_quota_us", of_cpu(|cpu| cpu.quota().map(|n| n.to_string()))),
        ("cpu.cpus", "cpuset", "cpuset.cpus", list(LinuxCpu::cpus)),
        ("cpu.mems", "cpuset", "cpuset.mems", list(LinuxCpu::mems)),
        ("pids.limit", "pids", "pids.max", pids),
    ]
}

/// What is written into the container's directory of `hierarchy`.
pub(super) fn writes(hierarchy: &Hierarchy, linux: &Linux, host: &Host) -> Result<Vec<(String, String)>> {
    let resources = linux.resources().as_ref();
    if let Some(resources) = resources {
        refuse_what_waits(resources)?;
        if hierarchy.controllers.is_empty() && has_limits(resources) {
            let message = "linux.resources: limits on cgroup v2 are not supported by this version";
            return Err(Error::new(Kind::Unsupported, message));
        }
    }
    let mut writes: Vec<(String, String)> = resources
        .map(table)
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, controller, _, _)| hierarchy.has(controller))
        .filter_map(|(_, _, file, value)| Some((file.to_owned(), value?)))
        .collect();
    if hierarchy.has("devices") && !host.in_user_namespace {
        writes.extend(devices(resources.and_then(|r| r.devices().as_deref()).unwrap_or_default()));
    }
    Ok(writes)
}

/// A limit whose controller the host lacks cannot be kept: an error, not silence.
pub(super) fn all_have_a_controller(linux: &Linux, hierarchies: &[Hierarchy]) -> Result<()> {
    for (property, controller, _, value) in linux.resources().as_ref().map(table).unwrap_or_default() {
        if value.is_some() && !hierarchies.iter().any(|hierarchy| hierarchy.has(controller)) {
            let message = format!("linux.resources.{property}: the host has no {controller} controller");
            return Err(Error::new(Kind::Cgroup, message));
        }
    }
    Ok(())
}

/// Whether anything asks for a limit; device rules do not, since a user namespace enforces them anyway.
pub(super) fn has_limits(resources: &LinuxResources) -> bool {
    table(resources).iter().any(|(_, _, _, value)| value.is_some())
}

/// What no kernel does any more, and runc's users still write.
pub(crate) fn warnings(linux: &Linux) -> Vec<String> {
    let memory = linux.resources().as_ref().and_then(|resources| resources.memory().as_ref());
    #[allow(deprecated, reason = "deprecated by the specification is why it is told")]
    let given = [
        ("kernel", memory.is_some_and(|memory| memory.kernel().is_some())),
        ("kernelTCP", memory.is_some_and(|memory| memory.kernel_tcp().is_some())),
        ("useHierarchy", memory.is_some_and(|memory| memory.use_hierarchy() == Some(false))),
    ];
    let given = given.into_iter().filter(|(_, given)| *given);
    given
        .map(|(name, _)| format!("linux.resources.memory.{name}: the kernel has no such limit: left out"))
        .collect()
}

fn refuse_what_waits(resources: &LinuxResources) -> Result<()> {
    let cpu = resources.cpu().as_ref();
    let waiting = [
        ("cpu.burst", cpu.is_some_and(|cpu| cpu.burst().is_some_and(|n| n != 0))),
        ("cpu.idle", cpu.is_some_and(|cpu| cpu.idle().is_some_and(|n| n != 0))),
        ("cpu.realtimeRuntime", cpu.is_some_and(|cpu| cpu.realtime_runtime().is_some_and(|n| n != 0))),
        ("cpu.realtimePeriod", cpu.is_some_and(|cpu| cpu.realtime_period().is_some_and(|n| n != 0))),
    ];
    match waiting.iter().find(|(_, given)| *given) {
        Some((property, _)) => {
            let message = format!("linux.resources.{property}: not supported by this version");
            Err(Error::new(Kind::Unsupported, message))
        }
        None => Ok(()),
    }
}

/// Deny everything, then rule by rule, then what is always allowed (devices.allow and devices.deny of cgroup v1).
fn devices(rules: &[LinuxDeviceCgroup]) -> Vec<(String, String)> {
    let allow = |rule: String| (String::from("devices.allow"), rule);
    let mut writes = vec![(String::from("devices.deny"), String::from("a"))];
    for rule in rules {
        let text = line(rule);
        let file = if rule.allow() { "devices.allow" } else { "devices.deny" };
        if writes.len() > 1 || rule.allow() || text != "a" {
            writes.push((file.to_owned(), text));
        }
    }
    writes.extend(ALWAYS_ALLOWED.into_iter().map(|rule| allow(rule.to_owned())));
    writes
}

/// `c 1:3 rwm`; a rule for everything is `a`.
fn line(rule: &LinuxDeviceCgroup) -> String {
    let kind = match rule.typ() {
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => 'c',
        Some(LinuxDeviceType::B) => 'b',
        _ => return String::from("a"),
    };
    let number = |value: Option<i64>| match value {
        Some(value) if value >= 0 => value.to_string(),
        _ => String::from("*"),
    };
    let access = rule.access().as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
    format!("{kind} {}:{} {access}", number(rule.major()), number(rule.minor()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> Vec<String> {
        let rules: Vec<LinuxDeviceCgroup> = serde_json::from_str(json).unwrap();
        let lines =
            devices(&rules).into_iter().map(|(file, rule)| format!("{} {rule}", &file["devices.".len()..]));
        lines.take_while(|line| line != "allow c *:* m").collect()
    }

    #[test]
    fn everything_is_denied_first_and_once() {
        assert_eq!(rules("[]"), ["deny a"]);
        assert_eq!(rules(r#"[{"allow":false,"access":"rwm"}]"#), ["deny a"]);
    }

    #[test]
    fn rules_keep_their_order_and_wildcards() {
        let json = r#"[{"allow":true,"type":"c","major":10,"minor":229,"access":"rw"},
                       {"allow":false,"type":"b","major":8,"minor":-1,"access":"w"},{"allow":true}]"#;
        assert_eq!(rules(json), ["deny a", "allow c 10:229 rw", "deny b 8:* w", "allow a"]);
    }
}

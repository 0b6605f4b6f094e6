//! The container's cgroups as the host sees them: where they are, and which limits stand in their files.
//!
//! A table of files; one that the machine does not have is a fact too ("absent"), the same for every runtime.
#![forbid(unsafe_code)]

use super::bundle::Bundle;
use super::facts::Facts;
use std::fs;
use std::path::{Path, PathBuf};

/// By hierarchy (`unified` is cgroup v2), the files whose text is compared.
const FILES: &[(&str, &[&str])] = &[
    (
        "blkio",
        &[
            "blkio.weight",
            "blkio.bfq.weight",
            "blkio.throttle.read_bps_device",
            "blkio.throttle.write_bps_device",
            "blkio.throttle.read_iops_device",
            "blkio.throttle.write_iops_device",
        ],
    ),
    ("cpu", &["cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us", "cpu.idle"]),
    ("cpuset", &["cpuset.cpus", "cpuset.mems"]),
    ("devices", &["devices.list"]),
    ("freezer", &["freezer.state"]),
    (
        "memory",
        &[
            "memory.limit_in_bytes",
            "memory.soft_limit_in_bytes",
            "memory.memsw.limit_in_bytes",
            "memory.swappiness",
            "memory.use_hierarchy",
        ],
    ),
    ("pids", &["pids.max"]),
    (
        "unified",
        &[
            "cgroup.freeze",
            "cpu.max",
            "cpu.weight",
            "cpuset.cpus",
            "cpuset.mems",
            "io.max",
            "memory.high",
            "memory.low",
            "memory.max",
            "memory.swap.max",
            "pids.max",
        ],
    ),
];

/// Puts the cgroups of process `pid` among the facts.
pub(crate) fn look(pid: i64, bundle: &Bundle, facts: &mut Facts) {
    let Ok(memberships) = fs::read_to_string(format!("/proc/{pid}/cgroup")) else { return };
    for line in memberships.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let hierarchy = if controllers.is_empty() { "unified" } else { controllers };
        facts.insert(format!("host.cgroup.{hierarchy}"), bundle.neutral(path));
        let Some(directory) = mount_point(hierarchy).map(|point| point.join(&path[1..])) else { continue };
        let tables = FILES.iter().filter(|(name, _)| hierarchy.split(',').any(|one| one == *name));
        for file in tables.flat_map(|(_, files)| files.iter()) {
            let text = fs::read_to_string(directory.join(file));
            let text = text.map_or_else(|_| "absent".to_owned(), |text| sorted(&text));
            facts.insert(format!("host.{file}"), text);
        }
    }
}

/// The lines in an order of their own: the kernel keeps device rules in the one in which they came.
fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("; ")
}

/// The directories of all hierarchies, whoever's, whose name is `name`.
pub(crate) fn named(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    search(Path::new("/sys/fs/cgroup"), name, 0, &mut found);
    found
}

/// Removes the empty cgroups of that name, and those that stand empty in them: only ever our own.
pub(crate) fn sweep(name: &str) {
    for directory in named(name) {
        let below = fs::read_dir(&directory).into_iter().flatten().flatten();
        for entry in below.filter(|entry| entry.path().is_dir()) {
            let _ = fs::remove_dir(entry.path());
        }
        if let Err(error) = fs::remove_dir(&directory) {
            super::say(&format!("remove cgroup {}: {error}", directory.display()));
        }
    }
}

fn search(directory: &Path, name: &str, depth: u32, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name() == name {
            found.push(entry.path());
        } else if depth < 6 {
            search(&entry.path(), name, depth + 1, found);
        }
    }
}

fn mount_point(hierarchy: &str) -> Option<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mut points = table.lines().filter_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let (kind, options) = (kind.next()?, kind.nth(1)?);
        let same = match hierarchy {
            "unified" => kind == "cgroup2",
            _ => {
                kind == "cgroup"
                    && hierarchy.split(',').all(|one| options.split(',').any(|other| other == one))
            }
        };
        same.then(|| PathBuf::from(mount.split(' ').nth(4).unwrap_or_default()))
    });
    points.next()
}

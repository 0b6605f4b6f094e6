//! Whether the kernel has killed in a container for lack of memory (cgroup-v1/memory.rst, cgroup-v2.rst).
#![forbid(unsafe_code)]

use std::fs;

use super::Manager;

/// How many processes it has killed since the cgroup was made; 0 where nobody counts.
pub(crate) fn kills(manager: &dyn Manager) -> u64 {
    count(manager, &[("memory.events", "oom_kill "), ("memory.oom_control", "oom_kill ")])
}

/// How often memory could not be had within the limit. Some system calls answer ENOMEM then, and nobody is killed.
pub(crate) fn shortages(manager: &dyn Manager) -> u64 {
    count(manager, &[("memory.events", "max "), ("memory.failcnt", "")])
}

/// The number after a key, of the first file that is there.
fn count(manager: &dyn Manager, places: &[(&str, &str)]) -> u64 {
    let Some(directory) = manager.directory("memory").or_else(|| manager.directory("")) else { return 0 };
    let read = |(name, key): &(&str, &str)| {
        let text = fs::read_to_string(directory.join(name)).ok()?;
        text.lines().find_map(|line| line.strip_prefix(key)?.parse().ok())
    };
    places.iter().find_map(read).unwrap_or(0)
}

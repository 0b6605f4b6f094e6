//! Whether the kernel has killed in a container for lack of memory (cgroup-v1/memory.rst, cgroup-v2.rst).
#![forbid(unsafe_code)]

use std::fs;

use super::Manager;

/// How many processes it has killed since the cgroup was made; 0 where nobody counts.
pub(crate) fn kills(manager: &dyn Manager) -> u64 {
    let Some(directory) = manager.directory("memory").or_else(|| manager.directory("")) else { return 0 };
    let count = |name: &str| {
        let text = fs::read_to_string(directory.join(name)).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
    };
    count("memory.events").or_else(|| count("memory.oom_control")).unwrap_or(0)
}

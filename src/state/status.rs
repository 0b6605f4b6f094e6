//! The status of a container: computed each time from what the kernel says, never stored.
#![forbid(unsafe_code)]

use std::fmt;
use std::fs;
use std::path::Path;

use super::directory::{Directory, START_SOCKET};
use super::file::StateFile;
use crate::sys::{Errno, process, socket};

/// Where a container is in its life (runtime.md#state), and runc's `paused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// Being created.
    Creating = 0,
    /// Its first process waits for `start`.
    Created = 1,
    /// Its program has been executed and has not ended.
    Running = 2,
    /// Its first process has ended.
    Stopped = 3,
    /// Its processes are frozen.
    Paused = 4,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Stopped => "stopped",
            Status::Paused => "paused",
        })
    }
}

/// Asks the kernel.
pub(crate) fn observe(directory: &Directory, state: &StateFile) -> Status {
    if state.init_process_pid == 0 {
        return Status::Creating;
    }
    if !is_alive(state) {
        return Status::Stopped;
    }
    if is_frozen(state) {
        return Status::Paused;
    }
    if awaits_start(directory) { Status::Created } else { Status::Running }
}

/// Whether the first process lives, and is the same that we made.
pub(crate) fn is_alive(state: &StateFile) -> bool {
    state.init_process_pid > 0
        && process::stat(state.init_process_pid)
            .is_some_and(|stat| !stat.is_dead() && stat.start_time == state.init_process_start)
}

/// The init program listens until it executes the program: the kernel refuses the connection from then on, even if
/// the one who started it was killed before it could write that down.
fn awaits_start(directory: &Directory) -> bool {
    match socket::connect_in(directory.fd(), START_SOCKET) {
        // A queue full of askers is a queue of one that waits.
        Ok(_) | Err(Errno::EAGAIN) => true,
        Err(_) => false,
    }
}

/// The freezer of cgroup v1 (freezer-subsystem.rst), or of cgroup2 (cgroup-v2.rst), where a cgroup above may be what
/// froze it. A cgroup that is gone, or going, is not frozen.
pub(crate) fn is_frozen(state: &StateFile) -> bool {
    let says = |path: &Path, name: &str, what: fn(&str) -> bool| {
        fs::read_to_string(path.join(name)).is_ok_and(|text| what(&text))
    };
    match (state.cgroup_paths.get("freezer"), state.cgroup_paths.get("")) {
        (Some(v1), _) => says(v1, "freezer.state", |text| text.trim_end() != "THAWED"),
        (None, Some(v2)) => {
            says(v2, "cgroup.freeze", |text| text.trim_end() == "1")
                || says(v2, "cgroup.events", |text| text.lines().any(|line| line == "frozen 1"))
        }
        (None, None) => false,
    }
}

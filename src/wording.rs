//! The phrases that callers of runc match. They are API: engines turn them into exit codes and "not found".
//!
//! One constant a phrase; `tests` below say who depends upon it.
#![forbid(unsafe_code)]

/// containerd and Docker: a second create with the same id.
pub(crate) const EXISTS: &str = "container with given ID already exists";
/// containerd: "does not exist" means that there is nothing to delete.
pub(crate) const DOES_NOT_EXIST: &str = "container does not exist";
/// containerd, CRI-O: kill of a container that has stopped.
pub(crate) const NOT_RUNNING: &str = "container not running";
/// `resume` of one that is not paused.
pub(crate) const NOT_PAUSED: &str = "container not paused";
pub(crate) const INVALID_ID: &str = "invalid container ID format";
pub(crate) const EMPTY_ID: &str = "container id cannot be empty";
/// `start` of one that has stopped.
pub(crate) const START_STOPPED: &str = "cannot start a container that has stopped";
/// `start` of one that runs.
pub(crate) const START_RUNNING: &str = "cannot start an already running container";
pub(crate) const EXEC_STOPPED: &str = "cannot exec in a stopped container";
pub(crate) const EXEC_PAUSED: &str = "cannot exec in a paused container (use --ignore-paused to override)";
pub(crate) const CONFIG_NOT_FOUND: &str = "JSON specification file config.json not found";
/// A `config.json` that is the word `null`.
pub(crate) const CONFIG_NULL: &str = "config cannot be null";
pub(crate) const PROCESS_EMPTY: &str = "process property must not be empty";
pub(crate) const CWD_RELATIVE: &str = "Cwd must be an absolute path";
pub(crate) const ARGS_EMPTY: &str = "args must not be empty";
pub(crate) const INIT_STILL_RUNNING: &str = "container init still running";
pub(crate) const NO_SUCH_PROFILE: &str = "no such profile is loaded";
/// runc's words for a host without SELinux.
pub(crate) const NO_SELINUX: &str =
    "selinux label is specified in config, but selinux is disabled or not supported";
/// runc's words for a deadline on a part of the CPUs.
pub(crate) const DEADLINE_ON_CPUSET: &str = "process scheduler can't be used together with AllowedCPUs";
/// Docker and Podman: exit code 127.
pub(crate) const NOT_IN_PATH: &str = "executable file not found in $PATH";
/// delete -f of a rootless container without cgroups, create with limits.
pub(crate) const ROOTLESS_CGROUP: &str =
    "rootless needs no limits + no cgrouppath when no permission is granted for cgroups";

/// A cgroup that somebody else froze: the container would stand still before it begins.
pub(crate) const CGROUP_FROZEN: &str = "container's cgroup unexpectedly frozen";

/// A cgroup with processes that are not the container's.
pub(crate) fn cgroup_not_empty(members: usize) -> String {
    format!("container's cgroup is not empty: {members} process(es) found")
}

/// `--systemd-cgroup` where another program is pid 1.
pub(crate) const NO_SYSTEMD: &str = "systemd not running on this host, cannot use systemd cgroups manager";
/// containerd and CRI-O show it: the reason is the limit, not the program.
pub(crate) const INIT_OOM: &str = "container init was OOM-killed (memory limit too low?)";
/// The same of an `exec`, where it may have been another process.
pub(crate) fn possibly_oom(error: &str) -> String {
    format!("{error} (possibly OOM-killed)")
}

/// `update` of a schema where the container has no group of its own.
pub(crate) const NO_INTEL_RDT: &str = "updating a non-existent Intel RDT configuration is not supported";

/// A name that would be the host's.
pub(crate) fn without_uts(name: &str) -> String {
    format!("unable to set {name} without a private UTS namespace")
}

/// `update` with checkBeforeUpdate: what is more than the limit would be.
pub(crate) fn usage_above(what: &str, limit: i64, usage: i64) -> String {
    format!("rejecting {what} limit {limit} <= usage {usage}")
}

/// `start` in any other state.
pub(crate) fn start_in_state(status: &str) -> String {
    format!("cannot start a container in the {status} state")
}

/// `checkpoint` of one that does not run.
pub(crate) fn checkpoint_in_state(status: &str) -> String {
    format!("Container cannot be checkpointed in {status} state")
}

/// What CRIU's log does not tell in words.
pub(crate) fn stream_outside(number: usize, path: &str) -> String {
    format!("stream {number} is the file {path} of the host, which CRIU cannot keep (a pipe it can)")
}

/// It would be written, and never restored.
pub(crate) fn stream_is_terminal(number: usize, path: &str) -> String {
    format!(
        "checkpoint container: stream {number} is {path}, a terminal of the host, which CRIU cannot restore"
    )
}

/// `delete` of one that has not stopped.
pub(crate) fn delete_not_stopped(id: &str, status: &str) -> String {
    format!("cannot delete container {id} that is not stopped: {status}")
}

/// Docker: "no such file or directory" after `exec:` means 127.
pub(crate) fn exec_not_found(name: &str) -> String {
    format!("exec: \"{name}\": stat {name}")
}

/// Podman and CRI-O show it as it is.
pub(crate) fn hook(name: &str) -> String {
    format!("error running {name}")
}

/// The cause when a hook took longer than it may.
pub(crate) fn hook_timeout(seconds: u32) -> String {
    format!("hook ran past specified timeout of {seconds}.0s")
}

/// The program itself, before its cause.
pub(crate) fn exec(name: &str) -> String {
    format!("exec: \"{name}\"")
}

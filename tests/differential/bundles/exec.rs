//! What `exec` makes of its flags and of a process file, in a container whose own process does nothing.
#![forbid(unsafe_code)]

use crate::suite::case::{Case, case};
use serde_json::{Value, json};

fn process(changes: &[(&str, Value)]) -> Value {
    let mut process = json!({
        "user": {"uid": 0, "gid": 0},
        "args": ["/bin/probe"],
        "env": ["PATH=/bin", "FROM=file"],
        "cwd": "/",
    });
    for (key, value) in changes {
        process[*key] = value.clone();
    }
    process
}

/// The cases.
pub(crate) fn exec() -> Vec<Case> {
    let mut cases = flags();
    cases.extend(files());
    cases.extend(containers());
    cases
}

fn flags() -> Vec<Case> {
    const NO_GIDS: &str = "has no flag for additional groups";
    vec![
        case("exec").exec(&[]),
        case("exec_user").exec(&["--user", "1000:1000"]),
        case("exec_user_without_group")
            .user(0, 7)
            .exec(&["--user", "1000"])
            .skip("crun", "takes another group where none is named"),
        case("exec_env").exec(&["--env", "A=1,2", "--env", "TERM=dumb"]),
        case("exec_cwd").exec(&["--cwd", "/tmp"]),
        case("exec_capability").exec(&["--cap", "CAP_SYS_ADMIN"]),
        case("exec_capability_of_user").exec(&["--user", "1000:1000", "--cap", "CAP_NET_RAW"]),
        case("exec_groups")
            .exec(&["--additional-gids", "5", "--additional-gids", "10"])
            .skip("crun", NO_GIDS),
        case("exec_no_new_privileges").set("/process/noNewPrivileges", false).exec(&["--no-new-privs"]),
        case("exec_new_privileges").set("/process/noNewPrivileges", false).exec(&[]),
    ]
}

fn files() -> Vec<Case> {
    let five = json!(["CAP_KILL", "CAP_NET_RAW"]);
    let capabilities =
        json!({"bounding": five, "effective": five, "permitted": five, "inheritable": five, "ambient": five});
    let file = |name: &'static str, changes: &[(&str, Value)]| case(name).exec_process(process(changes));
    vec![
        file("exec_file", &[]),
        file(
            "exec_file_user",
            &[("user", json!({"uid": 1000, "gid": 100, "additionalGids": [5, 6], "umask": 0o27}))],
        ),
        file("exec_file_capabilities", &[("capabilities", capabilities)]),
        file("exec_file_limits", &[("rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 64, "hard": 128}]))]),
        file("exec_file_oom", &[("oomScoreAdj", json!(700))]),
        file("exec_file_no_new_privileges", &[("noNewPrivileges", json!(true))]),
        file(
            "exec_file_schedule",
            &[
                ("ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 5})),
                ("scheduler", json!({"policy": "SCHED_BATCH", "nice": 3})),
            ],
        ),
        file("exec_file_affinity", &[("execCPUAffinity", json!({"initial": "0", "final": "1"}))]),
        file("exec_file_affinity_final", &[("execCPUAffinity", json!({"final": "1"}))]),
        file("exec_file_affinity_initial", &[("execCPUAffinity", json!({"initial": "1"}))]),
    ]
}

fn containers() -> Vec<Case> {
    vec![
        case("exec_mapped").user_namespace(100_000, 65_536).exec(&[]),
        case("exec_mapped_user").user_namespace(100_000, 65_536).exec(&["--user", "1000:1000"]),
        case("exec_own_cgroup").namespace("cgroup").exec(&[]),
        case("exec_own_time").namespace("time").exec(&[]),
        case("exec_host_pid").without_namespace("pid").exec(&[]),
        case("exec_host_network").without_namespace("network").exec(&[]),
        case("exec_joined_network").join("network", "net").exec(&[]),
        case("exec_joined_pid").join("pid", "pid").exec(&[]),
        case("exec_personality").set("/linux/personality", json!({"domain": "LINUX32"})).exec(&[]),
        case("exec_affinity_of_container")
            .set("/process/execCPUAffinity", json!({"initial": "0", "final": "1"}))
            .exec(&[]),
        case("exec_schedule_of_container")
            .set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 4}))
            .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 3}))
            .exec(&[]),
        case("exec_memory_policy")
            .set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "0"}))
            .exec(&[]),
        case("exec_untidy").dirty().exec(&[]),
        case("exec_seccomp")
            .set(
                "/linux/seccomp",
                json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {"names": ["getpriority"], "action": "SCMP_ACT_ERRNO"}]}),
            )
            .exec(&[]),
    ]
}

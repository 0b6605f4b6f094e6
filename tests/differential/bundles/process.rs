//! Bundles about the process: user, environment, working directory, capabilities, limits, scheduling, the caller.
#![forbid(unsafe_code)]

use crate::suite::case::{Case, case};
use serde_json::json;

const SETS: &[&str] = &["bounding", "effective", "permitted"];

/// The cases.
pub(crate) fn process() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(users());
    cases.extend(rights());
    cases.extend(surroundings());
    cases.extend(schedule());
    cases.extend(memory());
    cases
}

fn users() -> Vec<Case> {
    vec![
        case("default"),
        case("default_created").create(),
        case("no_pivot").flags(&["--no-pivot"]),
        case("no_new_keyring").flags(&["--no-new-keyring"]),
        case("given_descriptors").flags(&["--preserve-fds", "2"]).called_by(&["give-fds", "2"]),
        case("given_descriptors_created")
            .flags(&["--preserve-fds", "2"])
            .called_by(&["give-fds", "2"])
            .create(),
        case("too_many_descriptors").called_by(&["give-fds", "5"]),
        case("listening_descriptors").called_by(&["listen-fds", "2"]),
        case("untidy_caller").dirty(),
        case("untidy_caller_created").dirty().create(),
        case("user_1000").user(1000, 1000),
        case("user_unknown").user(4242, 4343),
        case("user_root_with_group").user(0, 1000),
        case("additional_gids")
            .user(1000, 1000)
            .set("/process/user/additionalGids", json!([5, 10, 1000, 77])),
        case("additional_gids_twice")
            .user(1000, 1000)
            .set("/process/user/additionalGids", json!([20, 7, 20])),
        case("umask_0077").set("/process/user/umask", 0o077),
        case("umask_0").set("/process/user/umask", 0).writable(),
        case("home_of_passwd").user(1000, 1000),
        case("home_empty").env("HOME="),
        case("home_given").env("HOME=/elsewhere"),
        case("home_without_passwd").file("etc/passwd", "no colon here\n").user(1000, 1000),
    ]
}

fn rights() -> Vec<Case> {
    let all =
        &["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETUID", "CAP_SYS_ADMIN", "CAP_NET_RAW"][..];
    let five = &["bounding", "effective", "permitted", "inheritable", "ambient"][..];
    vec![
        case("capabilities_none").remove("/process/capabilities"),
        case("capabilities_empty").set("/process/capabilities", json!({})),
        case("capabilities_many").capabilities(SETS, all),
        case("capabilities_of_user").user(1000, 1000).capabilities(SETS, all),
        case("capabilities_ambient").capabilities(five, &["CAP_NET_BIND_SERVICE", "CAP_KILL"]),
        case("capabilities_ambient_of_user").user(1000, 1000).capabilities(five, &["CAP_NET_BIND_SERVICE"]),
        case("capabilities_inheritable").capabilities(&["bounding", "inheritable", "permitted"], all),
        case("capabilities_bounding_alone").capabilities(&["bounding"], all),
        case("new_privileges").set("/process/noNewPrivileges", false),
        case("new_privileges_of_user").user(1000, 1000).remove("/process/noNewPrivileges"),
        case("capabilities_unknown").push("/process/capabilities/bounding", "CAP_TIME_TRAVEL"),
        case("personality_32").set("/linux/personality", json!({"domain": "LINUX32"})),
        case("seccomp_allow").set("/linux/seccomp", filter()),
        case("seccomp_and_new_privileges")
            .set("/linux/seccomp", filter())
            .set("/process/noNewPrivileges", false),
        case("seccomp_of_user").set("/linux/seccomp", filter()).user(1000, 1000),
        case("seccomp_list").set("/linux/seccomp", allow_list()),
        case("seccomp_list_and_new_privileges")
            .set("/linux/seccomp", allow_list())
            .set("/process/noNewPrivileges", false),
    ]
}

/// What engines use, and what the probe may do under it.
fn allow_list() -> serde_json::Value {
    serde_json::from_str(include_str!("../../seccomp/profile.json")).unwrap_or_default()
}

fn filter() -> serde_json::Value {
    json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]
    })
}

fn surroundings() -> Vec<Case> {
    vec![
        case("environment_empty").set("/process/env", json!([])),
        case("environment_twice").env("A=1").env("B=2").env("A=3"),
        case("environment_with_equals").env("X=a=b=c").env("EMPTY="),
        case("working_directory").set("/process/cwd", "/tmp"),
        case("working_directory_missing").set("/process/cwd", "/srv/deep/down").writable(),
        case("working_directory_missing_readonly").set("/process/cwd", "/srv/deep"),
        case("working_directory_missing_of_user").set("/process/cwd", "/srv/deep").user(1000, 1000),
        case("working_directory_of_root_alone").set("/process/cwd", "/root").user(1000, 1000),
        case("working_directory_of_user_alone")
            .dir("home/walker", 0o700)
            .set("/process/cwd", "/home/walker")
            .user(1000, 1000)
            .capabilities(SETS, &[]),
        case("working_directory_is_link").link("here", "/tmp").set("/process/cwd", "/here"),
        case("program_in_path").set("/process/args", json!(["probe", "/etc/passwd"])),
        case("program_in_late_path")
            .set("/process/env", json!(["PATH=/nowhere::/tmp:/bin"]))
            .set("/process/args", json!(["probe"])),
        case("program_below_directory").set("/process/args", json!(["./bin/probe"])),
        case("program_is_link")
            .link("usr/bin/other", "../../bin/probe")
            .set("/process/args", json!(["other"])),
        case("program_of_link_outside")
            .link("usr/bin/other", "/../../bin/probe")
            .set("/process/args", json!(["/usr/bin/other"])),
        case("arguments_of_odd_shape").set("/process/args", json!(["/bin/probe", "", "a b", "\"q\"\\", "é"])),
        case("exit_status").set("/process/args", json!(["/bin/probe", "exit", "7"])),
        case("annotations").set("/annotations", json!({"org.example.key": "value", "b": "2"})).create(),
    ]
}

fn schedule() -> Vec<Case> {
    let limit = |kind: &str, soft: u64, hard: u64| json!({"type": kind, "soft": soft, "hard": hard});
    vec![
        case("limits_none").remove("/process/rlimits"),
        case("limits_many")
            .push("/process/rlimits", limit("RLIMIT_CORE", 0, 0))
            .push("/process/rlimits", limit("RLIMIT_NPROC", 512, 1024))
            .push("/process/rlimits", limit("RLIMIT_STACK", 4_194_304, 8_388_608))
            .push("/process/rlimits", limit("RLIMIT_CPU", 60, 90)),
        case("limit_soft_below_hard").set(
            "/process/rlimits",
            json!([limit("RLIMIT_NOFILE", 100, 200), limit("RLIMIT_AS", 1 << 40, 1 << 41)]),
        ),
        case("limits_of_user").user(1000, 1000).push("/process/rlimits", limit("RLIMIT_NPROC", 64, 64)),
        case("oom_score").set("/process/oomScoreAdj", 500),
        case("oom_score_of_user").set("/process/oomScoreAdj", 300).user(1000, 1000).create(),
        case("io_priority").set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 6})),
        case("io_priority_idle")
            .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0})),
        case("scheduler_batch").set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 5})),
        case("scheduler_nice").set("/process/scheduler", json!({"policy": "SCHED_OTHER", "nice": 11})),
        case("io_priority_realtime")
            .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_RT", "priority": 1}))
            .user(1000, 1000),
        case("scheduler_idle").set("/process/scheduler", json!({"policy": "SCHED_IDLE"})),
        case("scheduler_urgent_of_user")
            .set("/process/scheduler", json!({"policy": "SCHED_OTHER", "nice": -7}))
            .user(1000, 1000),
        case("scheduler_deadline").set("/process/scheduler", deadline()),
        case("scheduler_reset_on_fork").set(
            "/process/scheduler",
            json!({"policy": "SCHED_BATCH", "flags": ["SCHED_FLAG_RESET_ON_FORK"]}),
        ),
        // Not for the first process.
        case("affinity_of_exec").set("/process/execCPUAffinity", json!({"initial": "0", "final": "1"})),
        case("affinity_of_nothing").set("/process/execCPUAffinity", json!({"initial": "", "final": ""})),
        case("personality").set("/linux/personality", json!({"domain": "LINUX"})),
    ]
}

fn deadline() -> serde_json::Value {
    json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 9_000_000, "period": 10_000_000})
}

fn memory() -> Vec<Case> {
    let policy = |name: &'static str, policy| case(name).set("/linux/memoryPolicy", policy);
    vec![
        policy("memory_policy", json!({"mode": "MPOL_PREFERRED", "nodes": "0", "flags": []})),
        policy("memory_policy_default", json!({"mode": "MPOL_DEFAULT"})),
        policy("memory_policy_local", json!({"mode": "MPOL_LOCAL"})),
        policy("memory_policy_preferred_alone", json!({"mode": "MPOL_PREFERRED"})),
        policy(
            "memory_policy_static",
            json!({"mode": "MPOL_INTERLEAVE", "nodes": "0-3", "flags": ["MPOL_F_STATIC_NODES"]}),
        ),
        policy(
            "memory_policy_balancing",
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}),
        ),
    ]
}

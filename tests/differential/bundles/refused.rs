//! Bundles that must not run: refused by all, and nothing left behind.
#![forbid(unsafe_code)]

use crate::suite::case::{Case, case};
use serde_json::json;

/// The cases.
pub(crate) fn refused() -> Vec<Case> {
    let cases = [programs(), namespaces(), mounts(), schedule()].into_iter().flatten();
    // By create, which makes nothing that the host could see when it refuses.
    cases.map(Case::create).collect()
}

fn programs() -> Vec<Case> {
    vec![
        case("program_missing").set("/process/args", json!(["/bin/missing"])),
        case("program_not_in_path").set("/process/args", json!(["missing"])),
        case("program_not_executable").set("/process/args", json!(["/etc/passwd"])),
        case("program_is_directory").set("/process/args", json!(["/tmp"])),
        case("no_arguments").set("/process/args", json!([])),
        case("working_directory_relative").set("/process/cwd", "tmp"),
        case("working_directory_is_file").set("/process/cwd", "/etc/passwd"),
        case("root_missing").set("/root/path", "nowhere"),
        case("root_is_file").file("../plain", "x").set("/root/path", "plain"),
        case("hostname_of_host").without_namespace("uts"),
        case("namespace_twice").namespace("pid"),
        case("limit_unknown").push("/process/rlimits", json!({"type": "RLIMIT_NONE", "soft": 1, "hard": 1})),
        case("limit_soft_above_hard")
            .push("/process/rlimits", json!({"type": "RLIMIT_CORE", "soft": 2, "hard": 1})),
        case("user_not_mapped").user_namespace(100_000, 1000).user(5000, 5000),
        case("user_namespace_without_mappings").namespace("user"),
        case("environment_without_equals").env("JUSTANAME"),
        case("proc_is_link").link("proc", "/tmp"),
        case("memory_too_small").set("/linux/resources/memory", json!({"limit": 1024})),
    ]
}

fn namespaces() -> Vec<Case> {
    vec![
        case("sysctl_of_host").set("/linux/sysctl", json!({"kernel.core_pattern": "x"})),
        case("sysctl_net_of_host")
            .without_namespace("network")
            .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})),
        case("sysctl_hostname").set("/linux/sysctl", json!({"kernel.hostname": "x"})),
        case("sysctl_ipc_of_host")
            .without_namespace("ipc")
            .set("/linux/sysctl", json!({"kernel.msgmax": "4096"})),
        case("sysctl_user_of_host").set("/linux/sysctl", json!({"user.max_net_namespaces": "5"})),
        case("sysctl_net_of_host_by_path")
            .without_namespace("network")
            .push("/linux/namespaces", json!({"type": "network", "path": "/proc/1/ns/net"}))
            .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})),
        case("sysctl_missing").set("/linux/sysctl", json!({"net.ipv4.nosuch": "1"})),
        case("sysctl_value").set("/linux/sysctl", json!({"net.ipv4.ip_forward": "perhaps"})),
        case("sysctl_climbs").set("/linux/sysctl", json!({"net/../kernel/core_pattern": "x"})),
        case("namespace_missing")
            .without_namespace("network")
            .push("/linux/namespaces", json!({"type": "network", "path": "{bundle}/nowhere"})),
        case("namespace_is_plain_file")
            .file("../plain", "x")
            .without_namespace("network")
            .push("/linux/namespaces", json!({"type": "network", "path": "{bundle}/plain"})),
        case("namespace_of_another_type")
            .without_namespace("network")
            .push("/linux/namespaces", json!({"type": "network", "path": "/proc/1/ns/ipc"})),
        case("namespace_unknown").namespace("space"),
        case("time_offsets_without_namespace").set("/linux/timeOffsets", json!({"monotonic": {"secs": 1}})),
        case("time_offsets_of_joined")
            .join("time", "time")
            .set("/linux/timeOffsets", json!({"monotonic": {"secs": 1}})),
        case("time_offsets_out_of_range")
            .namespace("time")
            .set("/linux/timeOffsets", json!({"monotonic": {"secs": i64::MAX}})),
        case("time_offsets_of_nanoseconds")
            .namespace("time")
            .set("/linux/timeOffsets", json!({"monotonic": {"nanosecs": 1_000_000_000_u32}})),
        case("time_offsets_of_another_clock")
            .namespace("time")
            .set("/linux/timeOffsets", json!({"realtime": {"secs": 1}})),
        case("joined_user_with_other_mappings")
            .join_user()
            .set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 200_000, "size": 65_536}]))
            .set("/linux/gidMappings", json!([{"containerID": 0, "hostID": 200_000, "size": 65_536}])),
    ]
}

fn mounts() -> Vec<Case> {
    vec![
        case("mount_source_missing").mount("bind", "nowhere", "/data", &["bind"]),
        case("mount_type_unknown").mount("nofs", "x", "/data", &[]),
        case("mount_option_unknown").mount("tmpfs", "x", "/data", &["nothing=1"]),
        case("mount_on_proc_file").file("../one", "x").mount("bind", "one", "/proc/self/attr", &["bind"]),
        case("mount_on_proc_by_link").file("../one", "x").link("here", "/proc/self/attr/exec").mount(
            "bind",
            "one",
            "/here",
            &["bind"],
        ),
        case("mount_tmpfs_on_proc").without_mount("/proc").mount("tmpfs", "tmpfs", "/proc", &[]),
        case("mount_directory_on_proc").dir("../fake", 0o755).without_mount("/proc").mount(
            "bind",
            "fake",
            "/proc",
            &["bind"],
        ),
        case("mount_on_root").mount("tmpfs", "tmpfs", "/", &[]),
        case("mount_remount_of_nothing").dir("data", 0o755).mount(
            "tmpfs",
            "tmpfs",
            "/data",
            &["remount", "ro"],
        ),
        case("mount_bind_with_data").dir("../source", 0o755).mount(
            "bind",
            "source",
            "/data",
            &["bind", "size=1m"],
        ),
        case("mount_idmap_without_mappings").dir("../source", 0o755).mount(
            "bind",
            "{bundle}/source",
            "/data",
            &["bind", "idmap"],
        ),
        case("mount_idmap_of_proc").push(
            "/mounts",
            json!({
                "destination": "/data", "type": "bind", "source": "/proc", "options": ["bind", "idmap"],
                "uidMappings": [{"containerID": 0, "hostID": 3000, "size": 10}],
                "gidMappings": [{"containerID": 0, "hostID": 3000, "size": 10}],
            }),
        ),
        case("tmpfs_copy_larger_than_it").file("data/file", &"x".repeat(200_000)).mount(
            "tmpfs",
            "tmpfs",
            "/data",
            &["tmpcopyup", "size=64k"],
        ),
    ]
}

fn schedule() -> Vec<Case> {
    const NOT_RUNC: (&str, &str) = ("runc", "memoryPolicy is of runtime-spec 1.3; runc ignores it up to 1.3");
    let scheduler = |name, value| case(name).set("/process/scheduler", value);
    let memory = |name, value| case(name).set("/linux/memoryPolicy", value).skip(NOT_RUNC.0, NOT_RUNC.1);
    vec![
        scheduler("scheduler_nice_21", json!({"policy": "SCHED_OTHER", "nice": 21}))
            .skip("crun", "leaves the check to the kernel, which takes the nearest"),
        scheduler("scheduler_priority_of_other", json!({"policy": "SCHED_OTHER", "priority": 3})),
        scheduler("scheduler_runtime_of_other", json!({"policy": "SCHED_OTHER", "runtime": 1_000_000}))
            .skip("crun", "leaves the check to the kernel, which does not look"),
        scheduler("scheduler_policy_unknown", json!({"policy": "SCHED_FOO"})),
        scheduler("scheduler_policy_missing", json!({"nice": 1})),
        scheduler("scheduler_iso", json!({"policy": "SCHED_ISO"})),
        scheduler("scheduler_fifo_without_priority", json!({"policy": "SCHED_FIFO"})),
        scheduler("scheduler_deadline_without_runtime", json!({"policy": "SCHED_DEADLINE"})),
        case("io_priority_8")
            .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 8}))
            .skip("crun", "leaves the check to the kernel, which cuts the number"),
        case("io_class_unknown")
            .set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_FOO", "priority": 1})),
        case("affinity_no_list")
            .set("/process/execCPUAffinity", json!({"initial": "x"}))
            .skip("crun", "looks at it in exec only"),
        case("affinity_backwards")
            .set("/process/execCPUAffinity", json!({"final": "3-1"}))
            .skip("crun", "looks at it in exec only"),
        case("personality_unknown").set("/linux/personality", json!({"domain": "LINUX64"})),
        case("personality_empty").set("/linux/personality", json!({})),
        memory("memory_policy_without_nodes", json!({"mode": "MPOL_BIND"})),
        memory("memory_policy_local_with_nodes", json!({"mode": "MPOL_LOCAL", "nodes": "0"})),
        memory("memory_policy_no_list", json!({"mode": "MPOL_BIND", "nodes": "0-x"})),
        memory("memory_policy_no_such_node", json!({"mode": "MPOL_BIND", "nodes": "9"})),
        memory(
            "memory_policy_static_and_relative",
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}),
        ),
        memory(
            "memory_policy_balanced_interleave",
            json!({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}),
        ),
        memory(
            "memory_policy_flag_unknown",
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_FOO"]}),
        ),
        memory("memory_policy_mode_missing", json!({"nodes": "0"})),
    ]
}

//! Bundles about namespaces: the host's in place of an own one, more of them, user namespaces and their mappings.
#![forbid(unsafe_code)]

use crate::suite::case::{Case, case};
use serde_json::json;

/// The cases.
pub(crate) fn namespaces() -> Vec<Case> {
    let mut cases = shared();
    cases.extend(of_users());
    cases.extend(joined());
    cases
}

fn shared() -> Vec<Case> {
    vec![
        case("host_network").without_namespace("network"),
        case("host_ipc").without_namespace("ipc"),
        case("host_uts").without_namespace("uts").remove("/hostname"),
        case("host_pid").without_namespace("pid"),
        case("host_pid_created").without_namespace("pid").create(),
        case("host_all_but_mount")
            .without_namespace("pid")
            .without_namespace("network")
            .without_namespace("ipc")
            .without_namespace("uts")
            .remove("/hostname"),
        case("own_cgroup").namespace("cgroup"),
        case("own_cgroup_rw")
            .namespace("cgroup")
            .mount_options("/sys/fs/cgroup", &["nosuid", "noexec", "nodev"]),
        case("own_time").namespace("time"),
        case("own_time_with_offsets").namespace("time").set(
            "/linux/timeOffsets",
            json!({"monotonic": {"secs": 1000, "nanosecs": 5}, "boottime": {"secs": 2000}}),
        ),
        case("joined_network").join("network", "net"),
        case("joined_ipc").join("ipc", "ipc"),
        case("joined_uts").join("uts", "uts").remove("/hostname"),
        case("joined_uts_with_hostname").join("uts", "uts"),
        case("joined_pid").join("pid", "pid"),
        case("joined_cgroup").join("cgroup", "cgroup"),
        case("joined_many")
            .join("network", "net")
            .join("ipc", "ipc")
            .join("uts", "uts")
            .join("pid", "pid")
            .create(),
    ]
}

/// Given namespaces with more of the rest: exec, user namespaces, clocks.
fn joined() -> Vec<Case> {
    let host_sys = json!({"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
    let pod =
        |case: Case| case.join("network", "net").join("ipc", "ipc").join("uts", "uts").remove("/hostname");
    vec![
        case("joined_time").join("time", "time"),
        case("joined_network_exec").join("network", "net").exec(&[]),
        case("joined_pid_exec").join("pid", "pid").exec(&[]),
        pod(case("joined_pod_exec")).join("pid", "pid").exec(&[]),
        case("own_time_exec")
            .namespace("time")
            .set("/linux/timeOffsets", json!({"boottime": {"secs": 5000}}))
            .exec(&[]),
        case("own_time_behind")
            .namespace("time")
            .set("/linux/timeOffsets", json!({"monotonic": {"secs": -1, "nanosecs": 999_999_999}})),
        case("mapped_time")
            .user_namespace(100_000, 65_536)
            .namespace("time")
            .set("/linux/timeOffsets", json!({"boottime": {"secs": 5000}})),
        case("mapped_joined_network")
            .user_namespace(100_000, 65_536)
            .join("network", "net")
            .set("/mounts/5", host_sys.clone()),
        case("mapped_joined_uts").user_namespace(100_000, 65_536).join("uts", "uts").remove("/hostname"),
        case("mapped_joined_uts_exec")
            .user_namespace(100_000, 65_536)
            .join("uts", "uts")
            .remove("/hostname")
            .exec(&[]),
        case("joined_user").join_user(),
        case("joined_user_as_another").join_user().user(1000, 1000),
        case("joined_user_exec").join_user().exec(&[]),
        case("joined_user_with_mappings")
            .join_user()
            .set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]))
            .set("/linux/gidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}])),
        pod(case("joined_user_pod")).join_user(),
        pod(case("joined_user_pod_with_pid")).join("pid", "pid").join_user(),
        pod(case("joined_user_pod_with_pid_exec")).join("pid", "pid").join_user().exec(&[]),
        case("host_network_by_path")
            .without_namespace("network")
            .push("/linux/namespaces", json!({"type": "network", "path": "/proc/1/ns/net"})),
    ]
}

fn of_users() -> Vec<Case> {
    let part = |inside: u32, outside: u32, size: u32| json!({"containerID": inside, "hostID": outside, "size": size});
    let two = json!([part(0, 100_000, 1000), part(1000, 200_000, 1000)]);
    vec![
        case("mapped").user_namespace(100_000, 65_536),
        case("mapped_created").user_namespace(100_000, 65_536).create(),
        case("mapped_writable").user_namespace(100_000, 65_536).writable(),
        case("mapped_user").user_namespace(100_000, 65_536).user(1000, 1000),
        case("mapped_groups").user_namespace(100_000, 65_536).set("/process/user/additionalGids", json!([4, 20])),
        case("mapped_identity").user_namespace(0, 65_536),
        case("mapped_whole_identity").user_namespace(0, u32::MAX),
        case("mapped_in_parts")
            .user_namespace(100_000, 1000)
            .set("/linux/uidMappings", two.clone())
            .set("/linux/gidMappings", two)
            .user(1500, 1500),
        case("mapped_host_network").user_namespace(100_000, 65_536).without_namespace("network").set(
            "/mounts/5",
            json!({"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]}),
        ),
        case("mapped_cgroup").user_namespace(100_000, 65_536).namespace("cgroup"),
        case("mapped_device").user_namespace(100_000, 65_536).push(
            "/linux/devices",
            json!({"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}),
        ),
        case("mapped_bind")
            .user_namespace(100_000, 65_536)
            .file("../source/file", "text")
            .mount("bind", "source", "/data", &["bind", "ro", "nosuid"])
            .look_at("/data/file"),
        case("mapped_bind_of_private")
            .user_namespace(100_000, 65_536)
            .dir("../source", 0o700)
            .file("../source/file", "text")
            .mount("bind", "{bundle}/source", "/data", &["bind"])
            .look_at("/data/file"),
        case("mapped_capabilities").user_namespace(100_000, 65_536).capabilities(
            &["bounding", "effective", "permitted"],
            &["CAP_SYS_ADMIN", "CAP_SETUID", "CAP_NET_ADMIN"],
        ),
    ]
}

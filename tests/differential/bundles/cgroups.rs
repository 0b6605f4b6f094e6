//! Bundles about resources: limits as the host reads them after `create`, device rules, where the cgroup is.
#![forbid(unsafe_code)]

use crate::suite::case::{Case, case};
use serde_json::json;

/// The cases.
pub(crate) fn cgroups() -> Vec<Case> {
    let limit = |name: &'static str, pointer: &str, value: serde_json::Value| {
        case(name).set(&format!("/linux/resources/{pointer}"), value).create()
    };
    let rules = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 8, "access": "r"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
        {"allow": true, "type": "b", "major": 7, "access": "rw"},
        {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "w"}
    ]);
    vec![
        limit("pids", "pids", json!({"limit": 42})),
        limit("pids_unlimited", "pids", json!({"limit": -1})),
        limit("memory", "memory", json!({"limit": 67_108_864})),
        limit("memory_and_reservation", "memory", json!({"limit": 67_108_864, "reservation": 33_554_432})),
        limit("memory_unlimited", "memory", json!({"limit": -1})),
        limit("memory_swappiness", "memory", json!({"limit": 67_108_864, "swappiness": 10})),
        limit("cpu_shares", "cpu", json!({"shares": 512})),
        limit("cpu_quota", "cpu", json!({"quota": 20_000, "period": 50_000})),
        limit("cpu_quota_alone", "cpu", json!({"quota": 30_000})),
        limit("cpu_period_alone", "cpu", json!({"period": 50_000})),
        limit("cpu_set", "cpu", json!({"cpus": "0", "mems": "0"})),
        limit("cpu_burst", "cpu", json!({"quota": 20_000, "period": 50_000, "burst": 10_000})),
        limit("cpu_idle", "cpu", json!({"idle": 1})).skip("crun", "does not set it on cgroup v1"),
        limit("block_weight", "blockIO", json!({"weight": 300})),
        limit(
            "block_throttle",
            "blockIO",
            json!({"throttleReadBpsDevice": [{"major": 7, "minor": 0, "rate": 1_048_576}],
                "throttleWriteIOPSDevice": [{"major": 7, "minor": 0, "rate": 100}]}),
        ),
        limit("device_rules_all", "devices", json!([{"allow": true, "access": "rwm"}])),
        limit("device_rules_none", "devices", json!([])),
        limit("device_rules_many", "devices", rules),
        limit(
            "device_rules_with_hole",
            "devices",
            json!([{"allow": true, "type": "b", "major": 7, "access": "rwm"},
                {"allow": false, "type": "b", "major": 7, "minor": 3, "access": "w"}]),
        ),
        case("resources_none").remove("/linux/resources").create(),
        case("cgroup_path").set("/linux/cgroupsPath", "/{run}/{id}").create(),
        case("cgroup_path_relative").set("/linux/cgroupsPath", "{run}/{id}").create(),
        case("cgroup_path_with_dots").set("/linux/cgroupsPath", "/../../{run}/x/../{id}").create(),
        case("cgroup_path_seen").set("/linux/cgroupsPath", "/{run}/{id}"),
        case("everything")
            .set("/linux/resources/pids", json!({"limit": 100}))
            .set("/linux/resources/memory", json!({"limit": 134_217_728}))
            .set("/linux/resources/cpu", json!({"shares": 256, "quota": 50_000, "period": 100_000}))
            .create(),
    ]
}

//! What every property becomes, in both versions.
#![forbid(unsafe_code)]

use oci_spec::runtime::LinuxResources;
use serde_json::{Value, json};

use super::{Available, check, has_limits, v1, v2};

const V1: [&str; 9] = ["cpuset", "memory", "cpu", "pids", "blkio", "hugetlb", "net_cls", "net_prio", "rdma"];
const V2: [&str; 7] = ["cpuset", "memory", "cpu", "pids", "io", "hugetlb", "rdma"];

fn resources(json: Value) -> LinuxResources {
    serde_json::from_value(json).unwrap()
}

fn texts(writes: Vec<super::Write>) -> Vec<String> {
    writes.into_iter().map(|write| format!("{} {}", write.file, write.value)).collect()
}

fn on_v1(json: Value) -> Vec<String> {
    texts(v1(&resources(json), &|name| V1.contains(&name)))
}

fn on_v2(json: Value) -> Vec<String> {
    texts(v2(&resources(json), &|name| V2.contains(&name)))
}

fn checked(json: Value, v1: &[&str], v2: Option<&[&str]>) -> Result<Vec<String>, String> {
    let available = Available { v1: v1.to_vec(), v2: v2.map(<[&str]>::to_vec) };
    check(&resources(json), &available).map_err(|error| error.to_string())
}

#[test]
fn memory_in_both_versions() {
    let both = json!({"memory": {"limit": 100, "swap": 300, "reservation": 50, "swappiness": 10,
                                 "disableOOMKiller": true}});
    let expected = [
        "memory.limit_in_bytes 100",
        "memory.memsw.limit_in_bytes 300",
        "memory.soft_limit_in_bytes 50",
        "memory.swappiness 10",
        "memory.oom_control 1",
    ];
    assert_eq!(on_v1(both.clone()), expected);
    assert_eq!(on_v2(both), ["memory.max 100", "memory.swap.max 200", "memory.low 50"]);
    let unlimited = json!({"memory": {"limit": -1}});
    assert_eq!(on_v1(unlimited.clone()), ["memory.limit_in_bytes -1", "memory.memsw.limit_in_bytes -1"]);
    assert_eq!(on_v2(unlimited), ["memory.max max", "memory.swap.max max"]);
    assert_eq!(on_v2(json!({"memory": {"limit": 7, "swap": 7}})), ["memory.max 7", "memory.swap.max 0"]);
    assert_eq!(on_v2(json!({"memory": {"limit": 0, "swap": 0}})), [""; 0]);
}

#[test]
fn cpu_in_both_versions() {
    let cpu = json!({"cpu": {"shares": 1024, "quota": 50000, "period": 100_000, "burst": 1000,
                             "cpus": "0-1", "mems": "0"}});
    let expected = [
        "cpuset.cpus 0-1",
        "cpuset.mems 0",
        "cpu.shares 1024",
        "cpu.cfs_period_us 100000",
        "cpu.cfs_burst_us 1000",
        "cpu.cfs_quota_us 50000",
    ];
    assert_eq!(on_v1(cpu.clone()), expected);
    let expected =
        ["cpuset.cpus 0-1", "cpuset.mems 0", "cpu.weight 100", "cpu.max.burst 1000", "cpu.max 50000 100000"];
    assert_eq!(on_v2(cpu), expected);
    assert_eq!(on_v2(json!({"cpu": {"quota": -1, "period": 5000}})), ["cpu.max max 5000"]);
    assert_eq!(on_v2(json!({"cpu": {"period": 5000}})), ["cpu.max max 5000"]);
    assert_eq!(on_v2(json!({"cpu": {"quota": 5000}})), ["cpu.max 5000"]);
    assert_eq!(on_v2(json!({"cpu": {"idle": 1}})), ["cpu.idle 1"]);
    let realtime = json!({"cpu": {"realtimeRuntime": 5, "realtimePeriod": 10}});
    assert_eq!(on_v1(realtime.clone()), ["cpu.rt_period_us 10", "cpu.rt_runtime_us 5"]);
    let refused = checked(realtime, &[], Some(&V2)).unwrap_err();
    assert!(refused.starts_with("linux.resources.cpu.realtimePeriod: cgroup v2"), "{refused}");
}

#[test]
fn block_io_in_both_versions() {
    let io = json!({"blockIO": {"weight": 10, "weightDevice": [{"major": 8, "minor": 0, "weight": 1000}],
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 0}]}});
    let expected = [
        "blkio.bfq.weight 10",
        "blkio.bfq.weight_device 8:0 1000",
        "blkio.throttle.read_bps_device 8:0 600",
        "blkio.throttle.write_iops_device 8:16 0",
    ];
    assert_eq!(on_v1(io.clone()), expected);
    let expected =
        ["io.bfq.weight 10", "io.bfq.weight 8:0 1000", "io.max 8:0 rbps=600", "io.max 8:16 wiops=max"];
    assert_eq!(on_v2(io.clone()), expected);
    let without: Vec<_> =
        v2(&resources(io), &|_| true).into_iter().map(|write| write.without).take(2).collect();
    let instead = |value: &str| super::Without::Instead("io.weight".into(), value.into());
    assert_eq!(without, [instead("1"), instead("8:0 10000")]);
}

#[test]
fn the_rest_in_both_versions() {
    let rest = json!({"pids": {"limit": -1}, "hugepageLimits": [{"pageSize": "2MB", "limit": 4_194_304}],
        "network": {"classID": 5, "priorities": [{"name": "eth0", "priority": 3}]},
        "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "a": {"hcaObjects": 1}}});
    let expected = [
        "pids.max max",
        "hugetlb.2MB.limit_in_bytes 4194304",
        "hugetlb.2MB.rsvd.limit_in_bytes 4194304",
        "net_cls.classid 5",
        "net_prio.ifpriomap eth0 3",
        "rdma.max a hca_object=1",
        "rdma.max mlx5_1 hca_handle=3 hca_object=10000",
    ];
    assert_eq!(on_v1(rest.clone()), expected);
    let expected = [
        "pids.max max",
        "hugetlb.2MB.max 4194304",
        "hugetlb.2MB.rsvd.max 4194304",
        "rdma.max a hca_object=1",
        "rdma.max mlx5_1 hca_handle=3 hca_object=10000",
    ];
    assert_eq!(on_v2(rest.clone()), expected);
    let refused = checked(rest, &[], Some(&V2)).unwrap_err();
    assert_eq!(refused, "linux.resources.network.classID: cgroup v2 has nothing like it");
}

#[test]
fn unified_comes_last_and_line_by_line() {
    let unified = json!({"pids": {"limit": 5},
        "unified": {"pids.max": "7", "io.max": "8:0 rbps=1\n8:16 rbps=2\n", "cgroup.max.depth": "3"}});
    let expected =
        ["pids.max 5", "cgroup.max.depth 3", "io.max 8:0 rbps=1", "io.max 8:16 rbps=2", "pids.max 7"];
    assert_eq!(on_v2(unified.clone()), expected);
    checked(unified.clone(), &[], Some(&V2)).unwrap();
    assert!(has_limits(&resources(json!({"unified": {"a.b": "1"}}))));
    let refused =
        |key: &str, v2: Option<&[&str]>| checked(json!({"unified": {key: "1"}}), &V1, v2).unwrap_err();
    assert!(refused("pids.max", None).ends_with("cannot use unified on cgroup v1"));
    assert!(
        refused("a/b.c", Some(&V2)).ends_with(r#"unified resource "a/b.c" must be a file name (no slashes)"#)
    );
    assert!(refused("max", Some(&V2)).ends_with("must be in the form CONTROLLER.PARAMETER"));
    let unknown = refused("misc.max", Some(&V2));
    assert!(
        unknown.ends_with(r#"unified resource "misc.max" can't be set: controller "misc" not available"#)
    );
}

#[test]
fn a_limit_without_its_controller_is_refused_by_name() {
    let limit = || json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]});
    let refused = checked(limit(), &["memory"], Some(&["pids"])).unwrap_err();
    assert_eq!(refused, "linux.resources.hugepageLimits: the host has no hugetlb controller");
    // Hybrid: it may be in the cgroup2 beside the v1 hierarchies.
    checked(limit(), &["memory"], Some(&["hugetlb"])).unwrap();
    checked(json!({"network": {"classID": 1}}), &["memory"], None).unwrap_err();
}

#[test]
fn what_v2_lacks_without_harm_is_a_warning() {
    let gone = json!({"memory": {"swappiness": 1, "disableOOMKiller": true}, "blockIO": {"leafWeight": 10}});
    assert_eq!(checked(gone.clone(), &[], Some(&V2)).unwrap().len(), 3);
    assert_eq!(checked(gone, &V1, None).unwrap(), [""; 0]);
}

#[test]
fn values_out_of_range_are_refused() {
    for wrong in [
        json!({"memory": {"swappiness": 101}}),
        json!({"memory": {"limit": -2}}),
        json!({"memory": {"limit": 10, "swap": 5}}),
        json!({"memory": {"swap": 5}}),
        json!({"cpu": {"shares": 1}}),
        json!({"cpu": {"shares": 262_145}}),
        json!({"cpu": {"idle": 2}}),
        json!({"cpu": {"cpus": "0\n1"}}),
        json!({"blockIO": {"weight": 9}}),
        json!({"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 1001}]}}),
        json!({"hugepageLimits": [{"pageSize": "../2MB", "limit": 1}]}),
        json!({"hugepageLimits": [{"pageSize": "2MB", "limit": -1}]}),
        json!({"network": {"priorities": [{"name": "a b", "priority": 1}]}}),
    ] {
        let refused = checked(wrong.clone(), &V1, None).unwrap_err();
        assert!(refused.starts_with("linux.resources."), "{wrong}: {refused}");
    }
    checked(json!({"cpu": {"idle": 1, "shares": 5}}), &[], Some(&V2)).unwrap_err();
}

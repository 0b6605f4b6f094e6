//! linux.resources: every property in the files of the container's cgroups, or an error that names it; memory that is too
//! little. Needs root.
#![allow(clippy::unwrap_used, reason = "a test panics when it is wrong")]

mod limits;
mod support;

use std::fs;

use limits::{delete, either, lacks, on_v1, on_v2, path, quiet, read, said, sleeper};
use serde_json::{Value, json};
use support::{World, skipped};

const MIB: u64 = 1 << 20;

fn refused(world: &World, id: &str, resources: &Value) -> String {
    said(&sleeper(world, id, resources)).unwrap_err()
}

#[test]
fn every_property_reaches_its_file() {
    let name = "every_property_reaches_its_file";
    if skipped(name) || lacks(name, &["memory", "cpu", "cpuset", "pids"]) {
        return;
    }
    let world = World::new("limits-all");
    let id = world.id("c");
    let resources = json!({
        "memory": {"limit": 64 * MIB, "reservation": 32 * MIB, "disableOOMKiller": false},
        "cpu": {"shares": 2048, "quota": 150_000, "period": 50_000, "burst": 20_000, "cpus": "0", "mems": "0"},
        "pids": {"limit": 77},
    });
    said(&sleeper(&world, &id, &resources)).unwrap();
    let bytes = (64 * MIB).to_string();
    for (v1, v2, one, other) in [
        ("memory.limit_in_bytes", "memory.max", bytes.as_str(), bytes.as_str()),
        ("memory.soft_limit_in_bytes", "memory.low", "33554432", "33554432"),
        ("cpu.shares", "cpu.weight", "2048", "174"),
        ("cpu.cfs_quota_us", "cpu.max", "150000", "150000 50000"),
        ("cpu.cfs_period_us", "cpu.max", "50000", "150000 50000"),
        ("cpu.cfs_burst_us", "cpu.max.burst", "20000", "20000"),
        ("cpuset.cpus", "cpuset.cpus", "0", "0"),
        ("cpuset.mems", "cpuset.mems", "0", "0"),
        ("pids.max", "pids.max", "77", "77"),
    ] {
        let controller = v1.split('.').next().unwrap();
        assert_eq!(read(&world, &id, v1, v2), either(controller, one, other), "{v1}, {v2}");
    }
    delete(&world, &id);
    said(&sleeper(&world, &id, &json!({"cpu": {"idle": 1}}))).unwrap();
    assert_eq!(read(&world, &id, "cpu.idle", "cpu.idle"), "1");
    delete(&world, &id);
    world.assert_nothing_left();
}

#[test]
fn huge_pages_are_limited_wherever_their_controller_is() {
    let name = "huge_pages_are_limited_wherever_their_controller_is";
    if skipped(name) || lacks(name, &["hugetlb"]) {
        return;
    }
    let world = World::new("limits-huge");
    let id = world.id("c");
    let resources = json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]});
    said(&sleeper(&world, &id, &resources)).unwrap();
    let limit = read(&world, &id, "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max");
    assert_eq!(limit, (4 * MIB).to_string());
    let reserved = read(&world, &id, "hugetlb.2MB.rsvd.limit_in_bytes", "hugetlb.2MB.rsvd.max");
    assert_eq!(reserved, (4 * MIB).to_string());
    delete(&world, &id);
    let no_such_size = json!({"hugepageLimits": [{"pageSize": "3MB", "limit": 4 * MIB}]});
    assert!(refused(&world, &id, &no_such_size).contains("set linux.resources.hugepageLimits: write"));
    world.assert_nothing_left();
}

#[test]
fn block_devices_are_throttled() {
    let name = "block_devices_are_throttled";
    if skipped(name) || lacks(name, &["blkio"]) {
        return;
    }
    let Ok(disk) =
        fs::read_to_string("/sys/block/vda/dev").or_else(|_| fs::read_to_string("/sys/block/loop0/dev"))
    else {
        eprintln!("skipped {name}: needs a block device");
        return;
    };
    let (major, minor) = disk.trim().split_once(':').unwrap();
    let (major, minor): (i64, i64) = (major.parse().unwrap(), minor.parse().unwrap());
    let world = World::new("limits-io");
    let id = world.id("c");
    let rate = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
    let resources = json!({"blockIO": {
        "throttleReadBpsDevice": rate(1_000_000), "throttleWriteBpsDevice": rate(2_000_000),
        "throttleReadIOPSDevice": rate(300), "throttleWriteIOPSDevice": rate(400),
    }});
    said(&sleeper(&world, &id, &resources)).unwrap();
    let look = |v1: &str| read(&world, &id, v1, "io.max");
    let whole = format!("{major}:{minor} rbps=1000000 wbps=2000000 riops=300 wiops=400");
    for (file, rate) in [
        ("blkio.throttle.read_bps_device", 1_000_000),
        ("blkio.throttle.write_bps_device", 2_000_000),
        ("blkio.throttle.read_iops_device", 300),
        ("blkio.throttle.write_iops_device", 400),
    ] {
        assert_eq!(look(file), either("blkio", &format!("{major}:{minor} {rate}"), &whole));
    }
    // One is changed and another lifted; the rest stays.
    let change =
        json!({"blockIO": {"throttleReadBpsDevice": rate(5_000_000), "throttleWriteIOPSDevice": rate(0)}});
    limits::update(&world, &id, &change).unwrap();
    let whole = format!("{major}:{minor} rbps=5000000 wbps=2000000 riops=300 wiops=max");
    assert_eq!(
        look("blkio.throttle.read_bps_device"),
        either("blkio", &format!("{major}:{minor} 5000000"), &whole)
    );
    assert_eq!(look("blkio.throttle.write_iops_device"), either("blkio", "", &whole));
    delete(&world, &id);
    let nowhere = json!({"blockIO": {"throttleReadBpsDevice": [{"major": 240, "minor": 4242, "rate": 1}]}});
    assert!(
        refused(&world, &id, &nowhere).contains("set linux.resources.blockIO.throttleReadBpsDevice: write")
    );
    world.assert_nothing_left();
}

#[test]
fn what_cannot_be_had_is_refused_by_name_and_leaves_nothing() {
    let name = "what_cannot_be_had_is_refused_by_name_and_leaves_nothing";
    if skipped(name) {
        return;
    }
    let world = World::new("limits-refused");
    let id = world.id("c");
    let mut cases = vec![
        (
            json!({"memory": {"limit": 64 * MIB, "swap": 32 * MIB}}),
            "memory+swap limit should be >= memory limit",
        ),
        (json!({"memory": {"swap": 32 * MIB}}), "unable to set swap limit without memory limit"),
        (json!({"memory": {"swappiness": 101}}), "invalid memory swappiness value"),
        (json!({"hugepageLimits": [{"pageSize": "../x", "limit": 1}]}), "linux.resources.hugepageLimits: "),
        (json!({"unified": {"a/b": "1"}}), "linux.resources"),
        (json!({"cpu": {"cpus": "4095"}}), "linux.resources.cpu.cpus"),
    ];
    for (controller, property, resources) in [
        ("rdma", "rdma", json!({"rdma": {"mlx5_1": {"hcaHandles": 1}}})),
        ("net_cls", "network.classID", json!({"network": {"classID": 1}})),
        (
            "net_prio",
            "network.priorities",
            json!({"network": {"priorities": [{"name": "lo", "priority": 1}]}}),
        ),
        ("blkio", "blockIO.weight", json!({"blockIO": {"weight": 100}})),
        ("misc", "", json!({"unified": {"misc.max": "a 1"}})),
    ] {
        if !on_v1(controller) && !on_v2(if controller == "blkio" { "io" } else { controller }) {
            cases.push((resources, property));
        }
    }
    for (resources, text) in cases {
        let told = refused(&world, &id, &resources);
        assert!(told.contains(text), "{resources}: {told}");
        assert!(!world.root.join(&id).exists());
    }
    world.assert_nothing_left();
}

#[test]
fn unified_keys_are_files_of_cgroup2_and_of_nothing_else() {
    let name = "unified_keys_are_files_of_cgroup2_and_of_nothing_else";
    if skipped(name) {
        return;
    }
    let world = World::new("limits-unified");
    let id = world.id("c");
    if on_v2("pids") {
        let unified = json!({"pids": {"limit": 5}, "unified": {"pids.max": "66", "cgroup.max.depth": "7"}});
        said(&sleeper(&world, &id, &unified)).unwrap();
        assert_eq!(read(&world, &id, "pids.max", "pids.max"), "66");
        assert_eq!(fs::read_to_string(path(&world, &id, "cgroup.max.depth")).unwrap(), "7\n");
        delete(&world, &id);
        let unknown = refused(&world, &id, &json!({"unified": {"pids.nonsense": "1"}}));
        assert!(unknown.contains("set linux.resources.unified: write \"1\" to"), "{unknown}");
    }
    let missing = refused(&world, &id, &json!({"unified": {"nonsense.max": "1"}}));
    let words = ["controller \"nonsense\" not available", "cannot use unified on cgroup v1"];
    assert!(words.iter().any(|words| missing.contains(words)), "{missing}");
    world.assert_nothing_left();
}

#[test]
fn memory_that_is_too_little_is_told_as_the_reason() {
    let name = "memory_that_is_too_little_is_told_as_the_reason";
    if skipped(name) || lacks(name, &["memory"]) {
        return;
    }
    let world = World::new("limits-oom");
    let id = world.id("c");
    // Next to nothing is enough for no program.
    let told = refused(&world, &id, &json!({"memory": {"limit": 4096}}));
    assert!(told.contains("container init was OOM-killed (memory limit too low?)"), "{told}");
    world.assert_nothing_left();
    // A container starts with little.
    world.config(&["true"], |config| config["linux"]["resources"] = json!({"memory": {"limit": MIB}}));
    said(&quiet(&world, &["run", &id])).unwrap();
    world.assert_nothing_left();
}

//! update: what reaches the cgroup files, what stays, and that nothing changes where something is refused. Needs root.
#![allow(clippy::unwrap_used, reason = "a test panics when it is wrong")]

mod limits;
mod support;

use std::fs;

use limits::{delete, device, either, lacks, opens, path, quiet, read, said, sleeper, state, update};
use serde_json::json;
use support::{World, skipped};

const MIB: u64 = 1 << 20;

/// Keeps for cli: update_changes_a_limit.
#[test]
fn flags_reach_the_files_and_the_rest_stays() {
    let name = "flags_reach_the_files_and_the_rest_stays";
    if skipped(name) || lacks(name, &["memory", "cpu", "pids"]) {
        return;
    }
    let world = World::new("update-flags");
    let id = world.id("c");
    let before = json!({"memory": {"limit": 64 * MIB}, "cpu": {"shares": 512}, "pids": {"limit": 20}});
    said(&sleeper(&world, &id, &before)).unwrap();
    let set = |flags: &[&str]| said(&world.output(&[&["update"], flags, &[id.as_str()]].concat()));
    set(&["--cpu-quota", "50000", "--cpu-period", "100000", "--pids-limit", "-1"]).unwrap();
    let memory = || read(&world, &id, "memory.limit_in_bytes", "memory.max");
    let pids = || read(&world, &id, "pids.max", "pids.max");
    let shares = || read(&world, &id, "cpu.shares", "cpu.weight");
    let quota = || read(&world, &id, "cpu.cfs_quota_us", "cpu.max");
    let period = || read(&world, &id, "cpu.cfs_period_us", "cpu.max");
    assert_eq!((memory(), pids()), ((64 * MIB).to_string(), "max".into()));
    assert_eq!(shares(), either("cpu", "512", "59"));
    assert_eq!(
        (quota().as_str(), period().as_str()),
        (either("cpu", "50000", "50000 100000"), either("cpu", "100000", "50000 100000"))
    );
    set(&["--cpu-period", "200000", "--memory", "128m", "--cpu-share", "1024"]).unwrap();
    assert_eq!((memory(), pids()), ((128 * MIB).to_string(), "max".into()));
    assert_eq!(shares(), either("cpu", "1024", "100"));
    assert_eq!(quota(), either("cpu", "50000", "50000 200000"));
    assert_eq!(period(), either("cpu", "200000", "50000 200000"));
    let saved = &state(&world, &id)["riverrun"]["resources"];
    assert_eq!((&saved["memory"]["limit"], &saved["cpu"]["quota"]), (&json!(128 * MIB), &json!(50000)));
    assert!(set(&["--memory", "much"]).unwrap_err().contains("invalid value for memory"));
    delete(&world, &id);
    assert!(set(&["--pids-limit", "5"]).unwrap_err().contains("container does not exist"));
    world.assert_nothing_left();
}

#[test]
fn what_the_kernel_refuses_changes_nothing() {
    let name = "what_the_kernel_refuses_changes_nothing";
    if skipped(name) || lacks(name, &["cpu", "pids", "cpuset"]) {
        return;
    }
    let world = World::new("update-refused");
    let id = world.id("c");
    said(&sleeper(&world, &id, &json!({"pids": {"limit": 20}}))).unwrap();
    let cpus = read(&world, &id, "cpuset.cpus", "cpuset.cpus");
    let change = json!({"cpu": {"cpus": "0", "mems": "777", "shares": 100}, "pids": {"limit": 5}});
    let refused = update(&world, &id, &change).unwrap_err();
    assert!(refused.contains("set linux.resources.cpu.mems: write \"777\" to"), "{refused}");
    // A limit that is set before the one that is refused.
    let change = json!({"cpu": {"cpus": "0"}, "pids": {"limit": 5_000_000_000_000_u64}});
    let refused = update(&world, &id, &change).unwrap_err();
    assert!(refused.contains("linux.resources.pids.limit"), "{refused}");
    // On v2 it was empty, and had what the cgroup above has.
    let taken_back = read(&world, &id, "cpuset.cpus", "cpuset.cpus");
    let before =
        if cpus.is_empty() { read(&world, &id, "cpuset.cpus", "../cpuset.cpus.effective") } else { cpus };
    assert_eq!(taken_back, before);
    assert_eq!(read(&world, &id, "pids.max", "pids.max"), "20");
    assert_eq!(read(&world, &id, "cpu.shares", "cpu.weight"), either("cpu", "1024", "100"));
    assert_eq!(state(&world, &id)["riverrun"]["resources"], json!(null));
    for (wrong, text) in [
        (json!({"memory": {"limit": "much"}}), "load resources: memory.limit: invalid type"),
        (json!({"network": {"classID": 1}}), "linux.resources.network.classID: "),
        (json!({"unified": {"no/such": "1"}}), "linux.resources"),
    ] {
        let refused = update(&world, &id, &wrong).unwrap_err();
        assert!(refused.contains(text), "{refused}");
    }
    delete(&world, &id);
    world.assert_nothing_left();
}

#[test]
fn memory_and_swap_rise_and_fall_together() {
    let name = "memory_and_swap_rise_and_fall_together";
    if skipped(name) || lacks(name, &["memory"]) {
        return;
    }
    let world = World::new("update-memory");
    let id = world.id("c");
    said(&sleeper(&world, &id, &json!({"memory": {"limit": 64 * MIB}}))).unwrap();
    let files = ("memory.memsw.limit_in_bytes", "memory.swap.max");
    let accounted = path(&world, &id, either("memory", files.0, files.1)).exists();
    let set = |limit: i64, swap: i64| update(&world, &id, &json!({"memory": {"limit": limit, "swap": swap}}));
    for (limit, swap) in [(64, 96), (128, 256), (32, 48), (512, 512), (64, 128)] {
        let outcome = set(limit * MIB as i64, swap * MIB as i64);
        assert!(outcome.is_ok() || !accounted, "{limit} {swap}: {outcome:?}");
        if accounted {
            assert_eq!(
                read(&world, &id, "memory.limit_in_bytes", "memory.max"),
                (limit * MIB as i64).to_string()
            );
            let rest = if limits::on_v1("memory") { swap } else { swap - limit };
            assert_eq!(read(&world, &id, files.0, files.1), (rest * MIB as i64).to_string());
        }
    }
    set(-1, -1).unwrap();
    let limit = read(&world, &id, "memory.limit_in_bytes", "memory.max");
    assert!(limit == "max" || limit.parse::<u64>().unwrap() > 1 << 60, "{limit}");
    assert!(set(64 * MIB as i64, 32 * MIB as i64).unwrap_err().contains("should be >= memory limit"));
    // Nobody is killed for a limit that was asked about first.
    let check = json!({"memory": {"limit": 4096, "checkBeforeUpdate": true}});
    let refused = update(&world, &id, &check).unwrap_err();
    assert!(refused.contains("rejecting memory limit 4096 <= usage "), "{refused}");
    assert_eq!(read(&world, &id, "memory.limit_in_bytes", "memory.max"), limit);
    delete(&world, &id);
    world.assert_nothing_left();
}

#[test]
fn device_rules_are_replaced_while_the_container_runs() {
    let name = "device_rules_are_replaced_while_the_container_runs";
    if skipped(name) {
        return;
    }
    let Some((_, rule, node)) = device() else {
        eprintln!("skipped {name}: needs a device that can be opened");
        return;
    };
    let world = World::new("update-devices");
    let id = world.id("c");
    world.config(&["sleep", "600"], |config| {
        config["linux"]["devices"] = json!([node]);
        config["linux"]["resources"] = json!({"devices": [{"allow": false, "access": "rwm"}]});
        config["process"]["capabilities"] = json!({});
        for set in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][set] =
                json!(["CAP_SYS_ADMIN", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"]);
        }
    });
    said(&quiet(&world, &["run", "--detach", &id])).unwrap();
    assert!(!opens(&world, &id), "denied by the configuration");
    update(&world, &id, &json!({"devices": [{"allow": false}, rule]})).unwrap();
    assert!(opens(&world, &id), "allowed by the update");
    update(&world, &id, &json!({"pids": {"limit": 100}})).unwrap();
    assert!(opens(&world, &id), "an update without rules leaves them alone");
    update(&world, &id, &json!({"devices": [{"allow": true}]})).unwrap();
    assert!(opens(&world, &id), "everything is allowed");
    let zero = world.output(&["exec", &id, "sh", "-c", "echo >/dev/zero && echo open"]);
    assert_eq!(zero.stdout, b"open\n");
    // Again and again: each takes the place of the one before, up to any number.
    for _ in 0..70 {
        update(&world, &id, &json!({"devices": [{"allow": false}]})).unwrap();
    }
    assert!(!opens(&world, &id), "denied again");
    let wrong = update(&world, &id, &json!({"devices": [{"allow": true, "access": "x"}]})).unwrap_err();
    assert!(wrong.contains("linux.resources.devices[0]: access"), "{wrong}");
    delete(&world, &id);
    world.assert_nothing_left();
}

#[test]
fn a_container_that_has_stopped_or_has_no_schema_is_told_so() {
    let name = "a_container_that_has_stopped_or_has_no_schema_is_told_so";
    if skipped(name) || lacks(name, &["pids"]) {
        return;
    }
    let world = World::new("update-stopped");
    let id = world.id("c");
    world.config(&["sleep", "600"], |_| {});
    said(&quiet(&world, &["create", &id])).unwrap();
    // A container that waits for its start has limits, too.
    update(&world, &id, &json!({"pids": {"limit": 33}})).unwrap();
    assert_eq!(read(&world, &id, "pids.max", "pids.max"), "33");
    let schema = world.output(&["update", "--l3-cache-schema", "L3:0=f", &id]);
    let refused = said(&schema).unwrap_err();
    assert!(
        refused.contains("updating a non-existent Intel RDT configuration is not supported"),
        "{refused}"
    );
    let state = fs::read_to_string(world.root.join(&id).join("state.json")).unwrap();
    let pid =
        serde_json::from_str::<serde_json::Value>(&state).unwrap()["init_process_pid"].as_i64().unwrap();
    said(&world.output(&["kill", &id, "KILL"])).unwrap();
    let gone = || !std::path::Path::new(&format!("/proc/{pid}/ns/pid")).exists();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok() && !gone() {
        assert!(std::time::Instant::now() < until, "it was killed");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let refused = update(&world, &id, &json!({"pids": {"limit": 34}})).unwrap_err();
    assert!(refused.contains("container not running"), "{refused}");
    delete(&world, &id);
    world.assert_nothing_left();
}

#[test]
fn a_paused_container_stays_paused_after_an_update() {
    let name = "a_paused_container_stays_paused_after_an_update";
    if skipped(name) || lacks(name, &["memory", "pids"]) {
        return;
    }
    let world = World::new("update-paused");
    let id = world.id("c");
    said(&sleeper(&world, &id, &json!({"pids": {"limit": 20}}))).unwrap();
    said(&world.output(&["pause", &id])).unwrap();
    let status = || {
        let output = world.output(&["state", &id]);
        let state: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        state["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status(), "paused");
    // Another default of device rules is what an update stops a container for.
    for devices in [json!([{"allow": true}]), json!([{"allow": false}])] {
        let change = json!({"memory": {"limit": 64 * MIB}, "pids": {"limit": 30}, "devices": devices});
        update(&world, &id, &change).unwrap();
        assert_eq!((status().as_str(), read(&world, &id, "pids.max", "pids.max").as_str()), ("paused", "30"));
    }
    let refused = update(&world, &id, &json!({"devices": [{"allow": true}], "pids": {"limit": 1_u64 << 40}}));
    refused.unwrap_err();
    assert_eq!(status(), "paused");
    said(&world.output(&["resume", &id])).unwrap();
    assert_eq!(status(), "running");
    said(&world.output(&["exec", &id, "true"])).unwrap();
    delete(&world, &id);
    world.assert_nothing_left();
}

//! What is counted for a container, beside runc: of the same container, key by key. Needs root.
#![allow(clippy::unwrap_used, reason = "a test panics when it is wrong")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use riverrun::{Call, Kind, StatsSet};
use serde_json::{Value, json};
use support::{World, limit, limit_memory, skipped_anywhere};

const LIMIT: Duration = Duration::from_secs(60);

fn limited() -> Call<'static> {
    Call { timeout: Some(LIMIT), cancel: None }
}

/// Works for a moment, reads and writes, then sleeps.
const WORKER: &str = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; cat /bin/busybox >/copy; sleep 1000";
/// The same, and more than its memory holds.
const HUNGRY: &str = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; i=0; \
    while [ $i -lt 32 ]; do i=$((i+1)); cat /bin/busybox >/copy$i; done; : >/done; sleep 1000";

const PIDS: (&str, &str, &str) = ("pids", "pids.max", "pids.max");

fn limits(config: &mut Value) {
    config["root"]["readonly"] = json!(false);
    let resources = &mut config["linux"]["resources"];
    resources["memory"] = json!({ "limit": 16 << 20, "swap": 16 << 20 });
    resources["pids"] = json!({ "limit": 50 });
    resources["cpu"] = json!({ "quota": 90_000, "period": 100_000 });
}

fn stats(program: &Path, root: &Path, id: &str) -> Value {
    let output =
        Command::new(program).arg("--root").arg(root).args(["events", "--stats", id]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = String::from_utf8(output.stdout).unwrap();
    assert!(line.ends_with('\n') && line.lines().count() == 1, "{line}");
    serde_json::from_str(&line).unwrap()
}

/// The directory of the state that is runc's, read as ours: the keys are the same.
fn as_ours(world: &World, id: &str, state: &Value) {
    let mut ours = json!({ "riverrun": {
        "version": "", "bundle": "", "annotations": {}, "namespaces": 0, "deny_setgroups": false, "created_ns": 0,
    } });
    for key in [
        "id",
        "init_process_pid",
        "init_process_start",
        "created",
        "rootless",
        "cgroup_paths",
        "namespace_paths",
        "external_descriptors",
    ] {
        ours[key] = state[key].clone();
    }
    ours["external_descriptors"] = json!([]);
    ours["config"] = json!({ "rootfs": state["config"]["rootfs"], "hostname": "", "labels": [] });
    fs::create_dir_all(world.root.join(id)).unwrap();
    fs::write(world.root.join(id).join("state.json"), ours.to_string()).unwrap();
}

/// Where two documents differ in a key, its place, a type, or a number by more than another moment explains.
fn differences(at: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let (own, other): (Vec<_>, Vec<_>) = (ours.keys().collect(), theirs.keys().collect());
            if own != other {
                found.push(format!("{at}: keys {own:?} and {other:?}"));
            }
            for (key, value) in ours {
                differences(&format!("{at}.{key}"), value, theirs.get(key).unwrap_or(&Value::Null), found);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (own, other)) in ours.iter().zip(theirs).enumerate() {
                differences(&format!("{at}[{index}]"), own, other, found);
            }
        }
        (Value::Number(own), Value::Number(other)) => {
            let (a, b) = (own.as_f64().unwrap(), other.as_f64().unwrap());
            // A sleeping process has its pages moved about and is woken now and then.
            let near = (a - b).abs() <= a.max(b) / 4.0 + if at.contains(".cpu.") { 50e6 } else { 1e6 };
            let near = near && (a == b || !at.ends_with("failcnt"));
            if !near || own.is_f64() != other.is_f64() && !at.contains("psi") {
                found.push(format!("{at}: {own} and {other}"));
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{at}: {ours} and {theirs}")),
    }
}

/// What runc has had on cgroup v2 since 1.2 only is not compared with one that lacks it.
fn as_before_1_2(ours: &mut Value, theirs: &Value) {
    let data = &theirs["data"];
    if ["cpu", "memory", "blkio"].iter().any(|part| data[part].get("psi").is_some()) {
        return;
    }
    for part in ["cpu", "memory", "blkio"] {
        ours["data"][part].as_object_mut().unwrap().remove("psi");
    }
    if data["memory"]["usage"].get("max").is_none() {
        ours["data"]["memory"]["usage"].as_object_mut().unwrap().remove("max");
    }
}

fn peers() -> Vec<PathBuf> {
    let newer = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/get-peer");
    let newer = Command::new(newer).arg("runc").stderr(Stdio::null()).output();
    let newer = newer.ok().filter(|output| output.status.success());
    let newer = newer.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let old = ["/usr/sbin/runc", "/usr/bin/runc"].iter().map(PathBuf::from).find(|path| path.exists());
    old.into_iter().chain(newer).collect()
}

/// Keeps for cli: stats_count_what_runs, stats_document_is_the_command_lines.
#[test]
fn json_is_that_of_runc_for_the_same_container() {
    let test = "json_is_that_of_runc_for_the_same_container";
    if skipped_anywhere(test) {
        return;
    }
    let peers = peers();
    if peers.is_empty() {
        eprintln!("skipped: {test}: needs runc");
    }
    for (number, runc) in peers.iter().enumerate() {
        let world = World::new(&format!("stats-{number}"));
        world.config(&["sh", "-c", HUNGRY], limits);
        let id = world.id("c");
        let root = world.directory.join("runc");
        let run = |arguments: &[&str]| {
            let mut command = Command::new(runc);
            command.arg("--root").arg(&root).args(arguments).current_dir(&world.bundle);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
        };
        assert!(run(&["run", "--detach", &id]).success(), "{}", runc.display());
        let state: Value =
            serde_json::from_slice(&fs::read(root.join(&id).join("state.json")).unwrap()).unwrap();
        as_ours(&world, &id, &state);
        let end = Instant::now() + LIMIT;
        let mut found;
        loop {
            // Its work takes a moment; then nothing changes any more.
            let theirs = stats(runc, &root, &id);
            let mut ours = stats(Path::new(env!("CARGO_BIN_EXE_riverrun")), &world.root, &id);
            as_before_1_2(&mut ours, &theirs);
            found = Vec::new();
            differences("", &ours, &theirs, &mut found);
            let has_worked = world.bundle.join("rootfs/done").exists();
            if (found.is_empty() && has_worked) || Instant::now() > end {
                break;
            }
            thread::sleep(Duration::from_millis(200));
        }
        fs::remove_dir_all(world.root.join(&id)).unwrap();
        assert!(run(&["delete", "--force", &id]).success());
        assert!(found.is_empty(), "{}: ours and theirs differ:\n{}", runc.display(), found.join("\n"));
        world.assert_nothing_left();
    }
}

/// Keeps for rust: stats_count_what_runs, stats_document_is_the_command_lines.
#[test]
fn flat_numbers_are_those_of_the_json() {
    if skipped_anywhere("flat_numbers_are_those_of_the_json") {
        return;
    }
    let world = World::new("stats-flat");
    world.config(&["sh", "-c", WORKER], |config| config["root"]["readonly"] = json!(false));
    let container = world.context().create(&world.id("c"), world.options()).unwrap();
    let pid = container.init_process().unwrap().pid();
    limit_memory(pid, 64 << 20);
    limit(pid, PIDS, 50);
    container.start(limited()).unwrap();
    let end = Instant::now() + LIMIT;
    loop {
        let usage = container.usage(StatsSet::ALL).unwrap();
        let json: Value = serde_json::from_str(&container.stats().unwrap().to_json()).unwrap();
        let near = |flat: u64, json: &Value| {
            let json = json.as_u64().unwrap_or_default();
            flat.abs_diff(json) <= flat.max(json) / 4 + (1 << 20)
        };
        let (cpu, memory) = (&json["cpu"]["usage"], &json["memory"]);
        let agree = near(usage.cpu_total / 64, &json!(cpu["total"].as_u64().unwrap() / 64))
            && near(usage.memory_usage, &memory["usage"]["usage"])
            && near(usage.memory_file, &memory["cache"]);
        assert_eq!((usage.memory_limit, usage.pids_limit), (64 << 20, 50));
        assert_eq!(json["pids"]["limit"], 50);
        let wanted = StatsSet::CPU | StatsSet::MEMORY | StatsSet::PIDS;
        assert!(usage.present.has(wanted) && usage.taken_ns > 0, "{:?}", usage.present);
        assert_eq!(usage.percpu.len(), cpu["percpu"].as_array().map_or(0, Vec::len));
        if agree && usage.cpu_total > 0 && usage.memory_usage > 0 {
            break;
        }
        assert!(Instant::now() < end, "{usage:?}\n{json}");
        thread::sleep(Duration::from_millis(50));
    }
    let only = container.usage(StatsSet::PIDS).unwrap();
    assert_eq!((only.present, only.cpu_total), (StatsSet::PIDS, 0));
    container.delete(true, limited()).unwrap();
    assert_eq!(container.usage(StatsSet::MOST).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(container.stats().unwrap_err().kind(), Kind::NotFound);
    world.assert_nothing_left();
}

#[test]
fn a_handle_that_is_kept_follows_its_id_to_another_container() {
    if skipped_anywhere("a_handle_that_is_kept_follows_its_id_to_another_container") {
        return;
    }
    let world = World::new("stats-kept");
    let (context, id) = (world.context(), world.id("c"));
    let mut kept = None;
    for (place, most) in [("a", 50), ("b", 60)] {
        world.config(&["sleep", "1000"], |config| {
            config["linux"]["cgroupsPath"] = json!(format!("/{}", world.id(place)));
        });
        let container = context.run(&id, world.options()).unwrap();
        limit(container.init_process().unwrap().pid(), PIDS, most);
        let handle = kept.get_or_insert_with(|| context.open(&id).unwrap());
        assert_eq!(handle.usage(StatsSet::PIDS).unwrap().pids_limit, most);
        container.delete(true, limited()).unwrap();
        assert_eq!(handle.usage(StatsSet::PIDS).unwrap_err().kind(), Kind::NotFound);
    }
    world.assert_nothing_left();
}

#[test]
fn statistics_of_a_stopped_container_are_refused() {
    if skipped_anywhere("statistics_of_a_stopped_container_are_refused") {
        return;
    }
    let world = World::new("stats-stopped");
    world.config(&["true"], |_| {});
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    container.init_process().unwrap().wait(limited()).unwrap();
    let refused = container.stats().unwrap_err();
    let text = format!("container with id {} is not running", world.id("c"));
    assert_eq!((refused.kind(), refused.to_string()), (Kind::NotRunning, text));
    container.delete(false, limited()).unwrap();
    world.assert_nothing_left();
}

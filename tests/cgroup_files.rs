//! The values that land in the cgroup files under riverrun, Debian's runc, a newer runc and a newer crun for the same
//! `linux.resources`, file by file. Differences are in one table, with their reasons. Needs root.
//!
//! The machine's layout is taken as it is: v1 with a cgroup2 beside it, or v2 alone.
#![allow(clippy::unwrap_used, reason = "a test panics when it is wrong")]

mod limits;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use limits::{device, on_v1, on_v2};
use serde_json::{Value, json};
use support::{World, skipped};

/// Looked at in every case; one that is missing is a fact as well.
const FILES: &[&str] = &[
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.soft_limit_in_bytes",
    "memory.swappiness",
    "memory.oom_control",
    "memory.max",
    "memory.swap.max",
    "memory.low",
    "memory.high",
    "cpu.shares",
    "cpu.cfs_quota_us",
    "cpu.cfs_period_us",
    "cpu.cfs_burst_us",
    "cpu.rt_runtime_us",
    "cpu.rt_period_us",
    "cpu.idle",
    "cpu.weight",
    "cpu.max",
    "cpu.max.burst",
    "cpuset.cpus",
    "cpuset.mems",
    "pids.max",
    "blkio.weight",
    "blkio.bfq.weight",
    "blkio.throttle.read_bps_device",
    "blkio.throttle.write_bps_device",
    "blkio.throttle.read_iops_device",
    "blkio.throttle.write_iops_device",
    "io.weight",
    "io.bfq.weight",
    "io.max",
    "hugetlb.2MB.limit_in_bytes",
    "hugetlb.2MB.rsvd.limit_in_bytes",
    "hugetlb.2MB.max",
    "hugetlb.2MB.rsvd.max",
    "devices.list",
    "cgroup.max.depth",
];

/// Where riverrun differs, and why: peer (`*`: each), case, file; the beginning of the file's name is enough.
const DIFFERENT: &[(&str, &str, &str, &str)] = &[
    ("runc 1.1.5", "cpu_shares", "cpu.weight", "the straight line that runc 1.3.2 left for a curve"),
    ("crun 1.8.1", "cpu_shares", "cpu.weight", "the same, crun 1.23"),
    ("crun 1.28", "*", "devices.list", "no rules where the configuration has none, and 5:1 in any case"),
    ("crun 1.28", "memory_zero", "create", "sets a limit of 0 bytes, in which nothing runs; 0 means not set"),
    ("crun 1.28", "*", "hugetlb", "on a hybrid machine crun sees the v1 hierarchies alone"),
];

type Facts = BTreeMap<&'static str, String>;

struct Runtime {
    name: String,
    command: Vec<String>,
}

fn cases() -> Vec<(&'static str, Value)> {
    const MIB: i64 = 1 << 20;
    let mut cases = vec![
        ("nothing", json!({})),
        ("memory_limit", json!({"memory": {"limit": 64 * MIB}})),
        ("memory_unlimited", json!({"memory": {"limit": -1}})),
        ("memory_zero", json!({"memory": {"limit": 0, "reservation": 0, "swap": 0}})),
        ("memory_reservation", json!({"memory": {"limit": 64 * MIB, "reservation": 32 * MIB}})),
        ("memory_swap", json!({"memory": {"limit": 64 * MIB, "swap": 96 * MIB}})),
        ("memory_swap_equal", json!({"memory": {"limit": 64 * MIB, "swap": 64 * MIB}})),
        ("memory_swap_unlimited", json!({"memory": {"limit": 64 * MIB, "swap": -1}})),
        ("memory_all_unlimited", json!({"memory": {"limit": -1, "swap": -1, "reservation": -1}})),
        ("memory_odd", json!({"memory": {"limit": 64 * MIB + 1}})),
        ("cpu_shares", json!({"cpu": {"shares": 1024}})),
        ("cpu_shares_least", json!({"cpu": {"shares": 2}})),
        ("cpu_shares_most", json!({"cpu": {"shares": 262_144}})),
        ("cpu_quota", json!({"cpu": {"quota": 50_000}})),
        ("cpu_period", json!({"cpu": {"period": 50_000}})),
        ("cpu_quota_period", json!({"cpu": {"quota": 20_000, "period": 50_000}})),
        ("cpu_quota_unlimited", json!({"cpu": {"quota": -1, "period": 50_000}})),
        ("cpuset", json!({"cpu": {"cpus": "0", "mems": "0"}})),
        ("pids", json!({"pids": {"limit": 50}})),
        ("pids_unlimited", json!({"pids": {"limit": -1}})),
        ("pids_zero", json!({"pids": {"limit": 0}})),
        ("devices_denied", json!({"devices": [{"allow": false, "access": "rwm"}]})),
        ("devices_allowed", json!({"devices": [{"allow": true, "access": "rwm"}]})),
    ];
    if let Some((_, rule, _)) = device() {
        cases.push(("devices_one", json!({"devices": [{"allow": false, "access": "rwm"}, rule]})));
    }
    if on_v1("memory") {
        cases.push(("memory_swappiness", json!({"memory": {"swappiness": 10}})));
        cases.push(("memory_oom_killer", json!({"memory": {"limit": 64 * MIB, "disableOOMKiller": true}})));
    }
    if let (true, Some((major, minor))) = (on_v1("blkio") || on_v2("io"), disk()) {
        let rate = |rate: u64| json!([{"major": major, "minor": minor, "rate": rate}]);
        let all = json!({"blockIO": {
            "throttleReadBpsDevice": rate(1_000_000), "throttleWriteBpsDevice": rate(2_000_000),
            "throttleReadIOPSDevice": rate(300), "throttleWriteIOPSDevice": rate(400),
        }});
        cases.push(("throttles", all));
    }
    if !on_v1("pids") && on_v2("pids") {
        cases.push((
            "unified",
            json!({"unified": {"pids.max": "60", "memory.high": "50331648", "cpu.weight": "55"}}),
        ));
        cases.push(("unified_over", json!({"pids": {"limit": 50}, "unified": {"pids.max": "60"}})));
    }
    cases
}

fn disk() -> Option<(i64, i64)> {
    let disks = ["/sys/block/vda/dev", "/sys/block/sda/dev"];
    let text = disks.iter().find_map(|path| fs::read_to_string(path).ok())?;
    let (major, minor) = text.trim().split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The peers that answer, each once.
fn peers() -> Vec<Runtime> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers");
    let newer = |name: &str| {
        let output = Command::new(tests.join("get-peer")).arg(name).stdin(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let mut programs: Vec<(&str, String)> = Vec::new();
    for name in ["runc", "crun"] {
        programs.push((name, name.to_owned()));
        programs.extend(newer(name).map(|path| (name, path)));
    }
    let mut peers: Vec<Runtime> = Vec::new();
    for (name, program) in programs {
        let Ok(output) = Command::new(&program).arg("--version").stdin(Stdio::null()).output() else {
            continue;
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let Some(version) = text.lines().next().and_then(|line| line.split_ascii_whitespace().nth(2)) else {
            continue;
        };
        let name_of =
            |version: &str| format!("{name} {}", version.split(['+', '-']).next().unwrap_or_default());
        // crun refuses a machine with both kinds of cgroups when the cgroup2 has a controller.
        let view = name == "crun" && Path::new("/sys/fs/cgroup/unified").exists();
        let view = view.then(|| tests.join("v1view").to_string_lossy().into_owned());
        let peer = Runtime { name: name_of(version), command: view.into_iter().chain([program]).collect() };
        if !peers.iter().any(|known| known.name == peer.name) {
            peers.push(peer);
        }
    }
    peers
}

impl Runtime {
    fn call(&self, world: &World, arguments: &[&str]) -> Output {
        let root = world.directory.join(format!("root-{}", self.name.replace(' ', "-")));
        let errors = world.directory.join("errors");
        let status = Command::new(&self.command[0])
            .args(&self.command[1..])
            .arg("--root")
            .arg(root)
            .args(arguments)
            .current_dir(&world.bundle)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&errors).unwrap())
            .status()
            .unwrap();
        Output { status, stdout: Vec::new(), stderr: fs::read(errors).unwrap() }
    }

    /// What the files say of a container of this runtime; or that it made none.
    fn look(&self, world: &World, id: &str) -> Facts {
        let pid_file = world.directory.join("pid");
        let _ = fs::remove_file(&pid_file);
        // Not the cgroup of another's container, whose last process may be there for a moment more.
        let id = &format!("{id}-{}", self.name.replace([' ', '.'], "-"));
        let made = self.call(world, &["create", "--pid-file", pid_file.to_str().unwrap(), id]);
        let mut facts = Facts::new();
        if made.status.success() {
            let pid = fs::read_to_string(&pid_file).unwrap();
            for file in FILES {
                facts.insert(file, value(pid.trim(), file));
            }
        } else {
            facts.insert("create", format!("failed: {}", String::from_utf8_lossy(&made.stderr)));
        }
        self.call(world, &["delete", "--force", id]);
        facts
    }
}

/// A file of the cgroup that process `pid` is in.
fn value(pid: &str, file: &str) -> String {
    let controller = file.split('.').next().unwrap();
    let memberships = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let mut directory = None;
    for line in memberships.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next().unwrap(), fields.next().unwrap());
        let mount = match names {
            "" if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() => PathBuf::from("/sys/fs/cgroup"),
            "" => PathBuf::from("/sys/fs/cgroup/unified"),
            names => Path::new("/sys/fs/cgroup").join(names),
        };
        if names.split(',').any(|name| name == controller) || (names.is_empty() && directory.is_none()) {
            directory = Some(mount.join(path.trim_start_matches('/')));
        }
    }
    let path = directory.unwrap().join(file);
    // A limit is that of the nearest cgroup that has one: crun puts the process one deeper where it may.
    let text = fs::read_to_string(path).unwrap_or_else(|_| String::from("absent"));
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("; ")
}

fn is_told(peer: &str, case: &str, file: &str) -> bool {
    let same = |told: &str, is: &str| told == "*" || told == is;
    DIFFERENT.iter().any(|(who, which, what, _)| {
        same(who, peer) && (*which == "*" || case.starts_with(which)) && file.starts_with(what)
    })
}

#[test]
fn every_file_says_the_same_as_under_runc_and_crun() {
    let name = "every_file_says_the_same_as_under_runc_and_crun";
    if skipped(name) {
        return;
    }
    let peers = peers();
    if peers.is_empty() {
        eprintln!("skipped {name}: needs runc or crun");
        return;
    }
    let world = World::new("files");
    let riverrun =
        Runtime { name: "riverrun".into(), command: vec![env!("CARGO_BIN_EXE_riverrun").to_owned()] };
    let (mut compared, mut wrong) = (0_u32, Vec::new());
    let mut unable: Vec<&str> = Vec::new();
    for (case, resources) in cases() {
        let id = world.id(case);
        world.config(&["sleep", "600"], |config| {
            config["linux"]["resources"] = resources.clone();
            config["linux"]["cgroupsPath"] = json!(format!("/{id}"));
        });
        let ours = riverrun.look(&world, &id);
        for peer in &peers {
            if unable.contains(&peer.name.as_str()) {
                continue;
            }
            let theirs = peer.look(&world, &id);
            if let (true, Some(why)) = (case == "nothing", theirs.get("create")) {
                eprintln!("{} is not compared: create {}", peer.name, why.trim_end());
                unable.push(&peer.name);
                continue;
            }
            for (file, theirs) in &theirs {
                let ours = ours.get(file).map_or("absent: create", String::as_str);
                compared += 1;
                if ours != theirs && !is_told(&peer.name, case, file) {
                    wrong.push(format!("{case}: {file}: {ours:?}, {}: {theirs:?}", peer.name));
                }
            }
        }
    }
    let names: Vec<&str> =
        peers.iter().map(|peer| peer.name.as_str()).filter(|name| !unable.contains(name)).collect();
    eprintln!("{compared} values compared with {}", names.join(", "));
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 100, "{compared}");
    world.assert_nothing_left();
}

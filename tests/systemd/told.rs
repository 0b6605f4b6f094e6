//! What systemd is told of limits: the same as by runc, at the start and by an update, and it holds over a daemon-reload.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::scene::{Scene, cgroup, is_user, on_v2, scope, show, skipped, systemctl};

const MIB: u64 = 1 << 20;

/// An update by a document; what it said if it was refused.
pub(crate) fn update(scene: &Scene, id: &str, resources: &Value) -> Result<(), String> {
    let file = scene.directory.join("resources.json");
    fs::write(&file, resources.to_string()).unwrap();
    let output = scene.output(&["update", "--resources", file.to_str().unwrap(), id]);
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Newer kernels have no v1 memory controller: beside the v1 ones of systemd's hybrid layout it is on the cgroup2.
fn on_v1(controller: &str) -> bool {
    Path::new("/sys/fs/cgroup").join(controller).join("tasks").exists()
}

/// A limit in the files: the controller's v1 name, its v1 file, its v2 file.
fn read(pid: i32, (controller, v1, v2): (&str, &str, &str)) -> String {
    let path = if on_v1(controller) {
        crate::support::cgroup_of(pid, controller).join(v1)
    } else {
        let unified = if on_v2() { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/unified" };
        Path::new(unified).join(cgroup(pid).strip_prefix("/").unwrap()).join(v2)
    };
    fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .trim_end()
        .to_owned()
}

const MEMORY: (&str, &str, &str) = ("memory", "memory.limit_in_bytes", "memory.max");
const PIDS: (&str, &str, &str) = ("pids", "pids.max", "pids.max");

#[test]
fn an_update_is_told_to_systemd_and_stays_over_a_daemon_reload() {
    if skipped("an_update_is_told_to_systemd_and_stays_over_a_daemon_reload") {
        return;
    }
    let scene = Scene::new("update");
    let id = scene.id("c");
    scene.config(&["sleep", "1000"], |config| {
        config["linux"]["resources"] = json!({"memory": {"limit": 64 * MIB}, "pids": {"limit": 50}});
    });
    let pid = scene.start(&id);
    let limit = if on_v1("memory") { "MemoryLimit" } else { "MemoryMax" };
    let holds = |memory: u64, pids: &str, when: &str| {
        let memory = memory.to_string();
        assert_eq!((read(pid, MEMORY), read(pid, PIDS)), (memory.clone(), pids.to_owned()), "files {when}");
        let told = if pids == "max" { "infinity" } else { pids };
        assert_eq!(
            (show(&scope(&id), limit), show(&scope(&id), "TasksMax")),
            (memory, told.to_owned()),
            "{when}"
        );
    };
    holds(64 * MIB, "50", "at the start");
    let change = json!({"memory": {"limit": 96 * MIB}, "pids": {"limit": 70}});
    update(&scene, &id, &change).unwrap();
    holds(96 * MIB, "70", "after an update");
    assert!(systemctl(&["daemon-reload"]).status.success());
    holds(96 * MIB, "70", "after a daemon-reload");
    update(&scene, &id, &json!({"pids": {"limit": -1}})).unwrap();
    assert!(systemctl(&["daemon-reload"]).status.success());
    holds(96 * MIB, "max", "without one of them");
    // What is refused leaves systemd's idea as it was, too.
    let refused = update(&scene, &id, &json!({"pids": {"limit": 5_000_000_000_000_u64}})).unwrap_err();
    assert!(refused.contains("linux.resources.pids.limit"), "{refused}");
    holds(96 * MIB, "max", "after a refused update");
    scene.ok(&["delete", "--force", &id]);
    scene.assert_nothing_left(&[&scope(&id)]);
}

/// What `systemctl show` must say the same.
const COMPARED: &[&str] = &[
    "ActiveState",
    "SubState",
    "Transient",
    "Slice",
    "Delegate",
    "DelegateControllers",
    "DefaultDependencies",
    "CPUAccounting",
    "MemoryAccounting",
    "TasksAccounting",
    "IOAccounting",
    "BlockIOAccounting",
    "MemoryMax",
    "MemoryLow",
    "MemorySwapMax",
    "MemoryLimit",
    "CPUWeight",
    "CPUShares",
    "CPUQuotaPerSecUSec",
    "CPUQuotaPeriodUSec",
    "AllowedCPUs",
    "AllowedMemoryNodes",
    "TasksMax",
    "IOWeight",
    "BlockIOWeight",
    "DevicePolicy",
    "DeviceAllow",
    "TimeoutStopUSec",
    "CollectMode",
    "OOMPolicy",
    "KillMode",
];

fn properties(unit: &str) -> Vec<String> {
    let output = systemctl(&["show", "--property", &COMPARED.join(","), "--", unit]);
    let mut lines: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    if !on_v2() && !on_v1("memory") {
        // runc has no limit where its controller is on the other hierarchy.
        lines.retain(|line| !line.starts_with("Memory"));
    }
    lines.sort();
    lines
}

#[test]
fn a_unit_is_the_one_that_runc_makes() {
    let name = "a_unit_is_the_one_that_runc_makes";
    if skipped(name) {
        return;
    }
    if is_user() {
        eprintln!("skipped, {name}: runc tells an ordinary user's systemd of device rules, too");
        return;
    }
    let Ok(version) = Command::new("runc").arg("--version").output() else {
        eprintln!("skipped, {name}: needs runc");
        return;
    };
    let scene = Scene::new("runc");
    let device = json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"});
    for (number, resources) in [
        json!({}),
        json!({"devices": [{"allow": false, "access": "rwm"}]}),
        json!({"devices": [{"allow": false, "access": "rwm"}, device]}),
        json!({"devices": [{"allow": true, "access": "rwm"}]}),
        json!({
            "memory": {"limit": 64 * MIB, "reservation": 32 * MIB}, "pids": {"limit": 50},
            // Where the straight line of older versions and the curve of newer ones meet.
            "cpu": {"shares": 262_144, "quota": 25_001, "period": 50_000, "cpus": "0", "mems": "0"},
        }),
        json!({"memory": {"limit": -1}, "cpu": {"quota": -1}, "pids": {"limit": -1}}),
    ]
    .into_iter()
    .enumerate()
    {
        let (ours, theirs) = (scene.id(&format!("a{number}")), scene.id(&format!("b{number}")));
        scene.config(&["sleep", "1000"], |config| {
            config["linux"]["resources"] = resources.clone();
            config["annotations"] = json!({"org.systemd.property.TimeoutStopUSec": "uint64 7000000"});
        });
        scene.start(&ours);
        let runc = |arguments: &[&str]| {
            let mut command = Command::new("runc");
            command.args(["--systemd-cgroup", "--root"]).arg(scene.directory.join("runc"));
            command.args(arguments).current_dir(&scene.bundle);
            let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            assert!(status.unwrap().success(), "runc {arguments:?}");
        };
        runc(&["run", "--detach", &theirs]);
        let (ours_has, theirs_has) = (properties(&scope(&ours)), properties(&scope(&theirs)));
        scene.ok(&["delete", "--force", &ours]);
        runc(&["delete", "--force", &theirs]);
        assert_eq!(ours_has, theirs_has, "{resources}\n{}", String::from_utf8_lossy(&version.stdout));
        assert!(ours_has.len() >= 20, "{ours_has:?}");
        scene.assert_nothing_left(&[&scope(&ours), &scope(&theirs)]);
    }
}

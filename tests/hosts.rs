//! The life of containers (tests/abi/life.c: streams, terminals, exec, signals, errors by code, deletes) in hosts that make it
//! hard: busy threads, every status taken away, gigabytes of memory, a container around the host.
//!
//! What needs root says so and is skipped without it.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, reason = "a test may panic")]

#[path = "abi/host.rs"]
mod host;
#[path = "abi/scene.rs"]
mod scene;

use host::{compile, library};
use scene::{Scene, root_or_skip};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Leads containers through their lives in a host of this kind.
fn lives_in(kind: &str) {
    let scene = Scene::new(kind);
    let sleeper = scene.bundle("sleeper", &["/bin/sleep", "1000"]);
    let talker = scene.bundle("talker", &["/bin/sh", "-c", "echo out; echo err >&2; exit 7"]);
    let mut program = Command::new(compile("life"));
    program.arg(scene.root()).args([&sleeper, &talker, kind]).stdin(Stdio::null());
    let child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a program can be run");
    let tag = format!("rr-abi-life-{}", child.id());
    let output = child.wait_with_output().expect("a child can be waited for");
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.trim_end() == "ok", "{kind}: {}\n{told}{errors}", output.status);
    scene.assert_nothing_left(&tag);
}

#[test]
fn eight_busy_threads_do_no_harm() {
    if root_or_skip("eight_busy_threads_do_no_harm") {
        lives_in("busy");
    }
}

#[test]
fn a_reaper_of_every_child_does_no_harm() {
    if root_or_skip("a_reaper_of_every_child_does_no_harm") {
        lives_in("reaper");
    }
}

#[test]
fn ignoring_sigchld_does_no_harm() {
    if root_or_skip("ignoring_sigchld_does_no_harm") {
        lives_in("ignorant");
    }
}

#[test]
fn four_gigabytes_of_touched_memory_do_no_harm() {
    if !root_or_skip("four_gigabytes_of_touched_memory_do_no_harm") {
        return;
    }
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let free: u64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default();
    if free < 8 << 20 {
        println!("skipped, four_gigabytes_of_touched_memory_do_no_harm: less than 8 GiB of memory are free");
        return;
    }
    lives_in("large");
}

/// The host is in a container itself, one with all that a container's maker needs.
#[test]
fn a_container_around_the_host_does_no_harm() {
    if !root_or_skip("a_container_around_the_host_does_no_harm") {
        return;
    }
    let scene = Scene::new("nested");
    let outer = scene.bundle("outer", &["/life", "/state", "/sleeper", "/talker"]);
    let root = Path::new(&outer).join("rootfs");
    // By a program: a descriptor of ours that a child of another test inherits for a moment would keep the file busy.
    for (from, to) in [(compile("life"), "life"), (library().join("libriverrun.so.0"), "libriverrun.so.0")] {
        let copied = Command::new("cp").arg("--dereference").arg(from).arg(root.join(to)).status();
        assert!(copied.is_ok_and(|status| status.success()), "{to} cannot be copied");
    }
    for (name, args) in [
        ("sleeper", &["/bin/sleep", "1000"][..]),
        ("talker", &["/bin/sh", "-c", "echo out; echo err >&2; exit 7"]),
    ] {
        let bundle = scene.bundle(name, args);
        fs::rename(bundle, root.join(name)).expect("a bundle can be moved");
    }
    privileged(&Path::new(&outer).join("config.json"));
    let id = format!("rr-nested-{}", std::process::id());
    let mut riverrun = Command::new(env!("CARGO_BIN_EXE_riverrun"));
    riverrun.arg("--root").arg(scene.root()).args(["run", "--bundle", &outer, &id]).stdin(Stdio::null());
    let output = riverrun.output().expect("riverrun can be run");
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.trim_end() == "ok", "{}\n{told}{errors}", output.status);
    scene.assert_nothing_left(&id);
}

/// All capabilities and devices, cgroups that can be written to, a /proc without masks.
fn privileged(path: &Path) {
    let text = fs::read_to_string(path).expect("a bundle has a configuration");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let status = fs::read_to_string("/proc/self/status").expect("proc is mounted");
    let mine =
        status.lines().find_map(|line| line.strip_prefix("CapPrm:\t")).expect("a line of capabilities");
    let mine = u64::from_str_radix(mine.trim(), 16).expect("a hexadecimal number");
    let names: Vec<String> = CAPABILITIES
        .iter()
        .enumerate()
        .filter(|(number, _)| mine >> number & 1 == 1)
        .map(|(_, name)| format!("CAP_{name}"))
        .collect();
    let process = &mut config["process"];
    process["noNewPrivileges"] = false.into();
    for set in ["bounding", "effective", "permitted"] {
        process["capabilities"][set] = names.clone().into();
    }
    // The program is found with its library beside it, the C library is the machine's.
    process["env"].as_array_mut().expect("a list").push("LD_LIBRARY_PATH=/".into());
    config["root"]["readonly"] = false.into();
    let linux = &mut config["linux"];
    linux["maskedPaths"] = serde_json::json!([]);
    linux["readonlyPaths"] = serde_json::json!([]);
    linux["resources"] = serde_json::json!({ "devices": [{ "allow": true, "access": "rwm" }] });
    let namespaces = linux["namespaces"].as_array_mut().expect("a list");
    namespaces.push(serde_json::json!({ "type": "cgroup" }));
    let mounts = config["mounts"].as_array_mut().expect("a list");
    mounts.push(serde_json::json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev"] }));
    mounts.push(serde_json::json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw", "nosuid", "noexec", "nodev"] }));
    for place in ["/usr", "/lib", "/lib64"].into_iter().filter(|place| Path::new(place).exists()) {
        let bind = serde_json::json!({ "destination": place, "type": "bind", "source": place, "options": ["rbind", "ro"] });
        mounts.push(bind);
    }
    fs::write(path, config.to_string()).expect("a configuration can be written");
}

/// By their numbers (capabilities(7)).
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

//! Scheduler, I/O priority, affinity, memory policy, personality, labels, capabilities: the first process and an exec'd
//! one. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::zombie_processes,
    reason = "a test panics when it is wrong, and traces its children by hand"
)]

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::{World, skipped, without_syscalls};

/// What it prints is the process's own, whoever it is: policy, nice, I/O priority and CPUs have no file but these.
const STATUS: &str = "while read line; do case $line in Cpus_allowed_list*|CapBnd*) echo $line; esac; done < /proc/self/status";

/// Runs the bundle in the foreground: its status, output and errors.
fn run(world: &World, name: &str) -> (bool, String, String) {
    let output = world.output(&["run", &world.id(name)]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// `exec --process` in a container.
fn exec(world: &World, id: &str, process: &Value) -> (bool, String, String) {
    let file = world.directory.join("process.json");
    fs::write(&file, process.to_string()).unwrap();
    let output = world.output(&["exec", "--process", file.to_str().unwrap(), id]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

fn process_of(world: &World, args: &[&str]) -> Value {
    let config: Value = serde_json::from_slice(&fs::read(world.bundle.join("config.json")).unwrap()).unwrap();
    let mut process = config["process"].clone();
    process["args"] = json!(args);
    process
}

/// Of a process that waits in its container: policy, nice, I/O priority (sched_getscheduler(2) and its like).
fn schedule_of(pid: i32) -> (i64, i64, i64) {
    // SAFETY: numbers only.
    let policy = unsafe { libc::syscall(libc::SYS_sched_getscheduler, pid) };
    // SAFETY: numbers only; the kernel answers 20 - nice.
    let nice = 20 - unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, pid) };
    // SAFETY: numbers only.
    let io = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, pid) };
    (policy, nice, io)
}

#[test]
fn scheduler_and_io_priority_reach_the_first_process_and_an_exec_without_its_own() {
    if skipped("scheduler_and_io_priority_reach_the_first_process_and_an_exec_without_its_own") {
        return;
    }
    let world = World::new("process");
    world.config(&["sleep", "1000"], |config| {
        config["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        config["process"]["scheduler"] = json!({"policy": "SCHED_BATCH", "nice": -3});
        config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_RT", "priority": 4});
    });
    let context = world.context();
    let container = context.run(&world.id("c"), world.options()).unwrap();
    assert_eq!(schedule_of(container.init_process().unwrap().pid()), (3, -3, 1 << 13 | 4));
    let exec = |process: Value| {
        let process = process.to_string().into_bytes();
        container.exec(riverrun::ExecOptions { process, ..Default::default() }).unwrap()
    };
    let mut process = process_of(&world, &["sleep", "1000"]);
    for name in ["scheduler", "ioPriority"] {
        process.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(schedule_of(exec(process.clone()).pid()), (3, -3, 1 << 13 | 4), "inherited");
    process["scheduler"] = json!({"policy": "SCHED_IDLE"});
    process["ioPriority"] = json!({"class": "IOPRIO_CLASS_IDLE", "priority": 0});
    let (policy, _, io) = schedule_of(exec(process).pid());
    assert_eq!((policy, io), (5, 3 << 13), "its own");
    container.delete(true, riverrun::Call::default()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn deadline_on_a_part_of_the_cpus_is_explained() {
    if skipped("deadline_on_a_part_of_the_cpus_is_explained") {
        return;
    }
    if !Path::new("/sys/fs/cgroup/cpuset/cpuset.cpus").exists() {
        return eprintln!(
            "skipped deadline_on_a_part_of_the_cpus_is_explained: needs a v1 cpuset controller"
        );
    }
    let world = World::new("process");
    let deadline = json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 9_000_000, "period": 10_000_000});
    world.config(&["true"], |config| {
        config["process"]["scheduler"] = deadline.clone();
        config["linux"]["resources"]["cpu"] = json!({"cpus": "0"});
    });
    let (ok, _, err) = run(&world, "cpuset");
    assert!(!ok && err.contains("process scheduler can't be used together with AllowedCPUs"), "{err}");
    world.config(&["true"], |config| {
        config["process"]["scheduler"] = json!({"policy": "SCHED_FIFO", "priority": 0});
    });
    let (ok, _, err) = run(&world, "kernel");
    assert!(!ok && err.contains("set process.scheduler: invalid argument"), "{err}");
    world.assert_nothing_left();
}

#[test]
fn affinity_is_of_an_exec_and_of_it_alone() {
    if skipped("affinity_is_of_an_exec_and_of_it_alone") {
        return;
    }
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return eprintln!("skipped affinity_is_of_an_exec_and_of_it_alone: needs two CPUs");
    }
    let world = World::new("process");
    let list = |text: &str| {
        text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list: ").map(str::to_owned))
    };
    world.config(&["sh", "-c", STATUS], |config| {
        config["process"]["execCPUAffinity"] = json!({"initial": "1", "final": "1"});
    });
    let (_, first, _) = run(&world, "first");
    assert_ne!(list(&first), Some("1".into()), "not for the first process: {first}");
    world.config(&["sleep", "1000"], |config| {
        config["process"]["execCPUAffinity"] = json!({"initial": "0", "final": "1"});
    });
    let id = world.id("c");
    let container = world.context().run(&id, world.options()).unwrap();
    let mut process = process_of(&world, &["sh", "-c", STATUS]);
    for (affinity, expected) in [
        (json!(null), Some("1".to_owned())), // the container's
        (json!({"final": "0"}), Some("0".into())),
        (json!({"initial": "0", "final": " 1, 1500 ,"}), Some("1".into())),
        (json!({}), list(&first)),
    ] {
        process["execCPUAffinity"] = affinity.clone();
        let (ok, out, err) = exec(&world, &id, &process);
        assert!(ok, "{affinity}: {err}");
        assert_eq!(list(&out), expected, "{affinity}");
    }
    process["execCPUAffinity"] = json!({"final": "1500"});
    let (ok, _, err) = exec(&world, &id, &process);
    assert!(!ok && err.contains("set process.execCPUAffinity: invalid argument"), "{err}");
    process["execCPUAffinity"] = json!({"initial": "1500"});
    let (ok, _, err) = exec(&world, &id, &process);
    assert!(!ok && err.contains("set process.execCPUAffinity.initial: invalid argument"), "{err}");
    container.delete(true, riverrun::Call::default()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn personality_and_memory_policy_are_the_containers_also_for_an_exec() {
    if skipped("personality_and_memory_policy_are_the_containers_also_for_an_exec") {
        return;
    }
    if cfg!(not(target_arch = "x86_64")) {
        return eprintln!(
            "skipped personality_and_memory_policy_are_the_containers_also_for_an_exec: needs a machine with a 32-bit mode"
        );
    }
    let world = World::new("process");
    // busybox's own stack was mapped under the policy: the kernel prints it there.
    let seen = "cat /proc/self/personality; while read at policy rest; do case $rest in *stack*) echo $policy; esac; done < /proc/self/numa_maps";
    world.config(&["sh", "-c", seen], |config| {
        config["linux"]["personality"] = json!({"domain": "LINUX32"});
        config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0"});
    });
    let (ok, first, err) = run(&world, "first");
    assert!(ok && first.starts_with("00000008\n"), "{first}{err}");
    if Path::new("/proc/self/numa_maps").exists() {
        assert!(first.contains("bind:0"), "{first}");
    }
    let args = ["sh", "-c", seen];
    let process = process_of(&world, &args);
    world.config(&["sleep", "1000"], |config| {
        config["linux"]["personality"] = json!({"domain": "LINUX32"});
        config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0"});
    });
    let id = world.id("c");
    let container = world.context().run(&id, world.options()).unwrap();
    let (ok, second, err) = exec(&world, &id, &process);
    assert!(ok, "{err}");
    assert_eq!(second, first);
    container.delete(true, riverrun::Call::default()).unwrap();
    world.config(&["true"], |config| {
        config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "1000"});
    });
    let (ok, _, err) = run(&world, "no-node");
    assert!(!ok && err.contains("set linux.memoryPolicy: invalid argument"), "{err}");
    world.config(&["true"], |config| {
        config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0"});
    });
    let mut command = world.riverrun(&["run", &world.id("no-call")]);
    without_syscalls(&mut command, &[libc::SYS_set_mempolicy]);
    let output = command.output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("set linux.memoryPolicy: function not implemented"), "{err}");
    world.assert_nothing_left();
}

#[test]
fn labels_that_the_host_cannot_give_are_refused_by_name() {
    if skipped("labels_that_the_host_cannot_give_are_refused_by_name") {
        return;
    }
    let world = World::new("process");
    let cases = [
        ("apparmorProfile", "/sys/kernel/security/apparmor", "AppArmor is not enabled on this host"),
        (
            "selinuxLabel",
            "/sys/fs/selinux",
            "selinux label is specified in config, but selinux is disabled or not supported",
        ),
    ];
    for (property, sign, message) in cases {
        if Path::new(sign).exists() {
            eprintln!("skipped {property}: the host has that module");
            continue;
        }
        world.config(&["true"], |config| config["process"][property] = json!("web"));
        let (ok, _, err) = run(&world, property);
        assert!(!ok && err.contains(message), "{err}");
        world.config(&["true"], |config| config["process"][property] = json!(""));
        assert!(run(&world, "empty").0, "an empty {property} is none");
    }
    world.assert_nothing_left();
}

/// Keeps for cli: log_lines_arrive.
#[test]
fn an_unknown_capability_is_a_warning() {
    if skipped("an_unknown_capability_is_a_warning") {
        return;
    }
    let world = World::new("process");
    world.config(&["sh", "-c", STATUS], |config| {
        config["process"]["capabilities"]["bounding"] = json!(["CAP_KILL", "CAP_TIME_TRAVEL"]);
    });
    let (ok, out, err) = run(&world, "c");
    assert!(ok && out.contains("CapBnd: 0000000000000020"), "{out}{err}");
    assert!(err.contains("process.capabilities.bounding:") && err.contains("CAP_TIME_TRAVEL"), "{err}");
    world.assert_nothing_left();
}

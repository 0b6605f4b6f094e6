//! Each fallback once: the newer system call answers ENOSYS, and the container is the same.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::zombie_processes,
    reason = "a test panics when it is wrong, and traces its children by hand"
)]

mod support;

use serde_json::json;
use support::{World, skipped, without_syscalls};

/// What a container sees of its mounts, without the numbers that differ each time.
const MOUNTS: &str =
    "while read id parent dev rest; do echo $rest; done < /proc/self/mountinfo; id; pwd; echo $HOME";

fn seen(world: &World, name: &str, syscalls: &[libc::c_long]) -> String {
    let id = world.id(name);
    let mut command = world.riverrun(&["run", &id]);
    without_syscalls(&mut command, syscalls);
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && err.is_empty(), "{name}: {}: {err}", output.status);
    out.replace(&id, "ID")
}

#[test]
fn a_container_is_the_same_without_each_newer_system_call() {
    if skipped("a_container_is_the_same_without_each_newer_system_call") {
        return;
    }
    let world = World::new("fallback");
    let readable = world.directory.join("shared");
    std::fs::create_dir(&readable).unwrap();
    world.config(&["sh", "-c", MOUNTS], |config| {
        let bind = json!({ "destination": "/mnt", "source": readable, "options": ["bind", "ro", "nosuid", "nodev"] });
        config["mounts"].as_array_mut().unwrap().push(bind);
    });
    let expected = seen(&world, "all", &[]);
    assert!(expected.contains("/mnt ro,nosuid,nodev"), "{expected}");
    let missing: [(&str, &[libc::c_long]); 6] = [
        ("clone3", &[libc::SYS_clone3]),
        ("close_range", &[libc::SYS_close_range]),
        ("mount_setattr", &[libc::SYS_mount_setattr]),
        ("fsopen", &[libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount]),
        ("faccessat2", &[439]),
        ("keyctl", &[libc::SYS_keyctl]),
    ];
    for (name, syscalls) in missing {
        assert_eq!(seen(&world, name, syscalls), expected, "without {name}");
    }
    world.assert_nothing_left();
}

#[test]
fn exec_works_without_each_newer_system_call() {
    if skipped("exec_works_without_each_newer_system_call") {
        return;
    }
    let world = World::new("fallback-exec");
    world.config(&["sleep", "1000"], |_| {});
    let id = world.id("c");
    let context = world.context();
    let container = context.run(&id, world.options()).unwrap();
    for (name, number) in
        [("clone3", libc::SYS_clone3), ("close_range", libc::SYS_close_range), ("faccessat2", 439)]
    {
        let mut command = world.riverrun(&["exec", &id, "sh", "-c", "echo $$ > /dev/null; exit 7"]);
        without_syscalls(&mut command, &[number]);
        assert_eq!(command.status().unwrap().code(), Some(7), "without {name}");
    }
    container.delete(true, riverrun::Call::default()).unwrap();
    world.assert_nothing_left();
}

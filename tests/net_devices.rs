//! `linux.netDevices`: devices of the host that move into a container. Needs root.
//!
//! Each test has a thread with a network namespace of its own: that is the "host" from which devices are taken.
#![allow(clippy::unwrap_used, reason = "a test panics when it is wrong")]

mod support;

use std::fs;
use std::io::Read;
use std::process::Command;
use std::thread;

use riverrun::{Call, Kind, Stdio};
use serde_json::{Value, json};
use support::{World, skipped};

/// `ip` in the calling thread's network namespace.
fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `story` in a thread with a new network namespace that has the pair `rr0` and `rr1`.
fn with_devices(story: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: unshare(2) of the network changes nothing but this thread's view of it.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
            ip("link add rr0 type veth peer name rr1");
            story();
        });
        thread.join().unwrap();
    });
}

/// Runs `script` in a container with `devices`; what it prints.
fn inside(
    name: &str,
    devices: &Value,
    script: &str,
    change: impl FnOnce(&mut Value),
) -> riverrun::Result<String> {
    let world = World::new(name);
    world.config(&["sh", "-c", script], |config| {
        config["linux"]["netDevices"] = devices.clone();
        change(config);
    });
    for mount_point in ["dev", "proc", "sys"] {
        // In a user namespace the image's directory is nobody's.
        fs::create_dir(world.bundle.join("rootfs").join(mount_point)).unwrap();
    }
    let mut options = world.options();
    options.io.stdout = Stdio::Pipe;
    let container = world.context().run(&world.id("c"), options)?;
    let process = container.init_process()?;
    let mut text = String::new();
    fs::File::from(process.take_pipe(1).unwrap()).read_to_string(&mut text).unwrap();
    process.wait(Call::default())?;
    container.delete(true, Call::default())?;
    Ok(text)
}

#[test]
fn device_moves_with_its_new_name_and_its_permanent_global_addresses() {
    if skipped("device_moves_with_its_new_name_and_its_permanent_global_addresses") {
        return;
    }
    with_devices(|| {
        ip("address add 192.0.2.7/24 broadcast 192.0.2.255 dev rr0");
        ip("address add 192.0.2.8/32 scope link dev rr0");
        ip("address add 2001:db8::7/64 nodad dev rr0");
        ip("link set rr0 up");
        let script = "busybox ip address show dev eth7; ls /sys/class/net";
        let seen = inside("net-move", &json!({"rr0": {"name": "eth7"}}), script, |_| {}).unwrap();
        for wanted in
            ["inet 192.0.2.7/24 brd 192.0.2.255 scope global", "inet6 2001:db8::7/64 scope global", ",UP"]
        {
            assert!(seen.contains(wanted), "{wanted}: {seen}");
        }
        assert!(!seen.contains("192.0.2.8"), "an address of the link stays behind: {seen}");
        assert!(seen.ends_with("eth7\nlo\n"), "{seen}");
    });
}

#[test]
fn device_keeps_its_name_and_is_gone_from_the_host() {
    if skipped("device_keeps_its_name_and_is_gone_from_the_host") {
        return;
    }
    with_devices(|| {
        // The peer of a pair tells while the container lives: it is left without its other end in this namespace.
        let seen = inside("net-name", &json!({"rr0": {}, "rr1": {}}), "ls /sys/class/net", |_| {}).unwrap();
        assert_eq!(seen, "lo\nrr0\nrr1\n");
        assert!(!ip("-o link").contains("rr0"));
    });
}

#[test]
fn device_moves_into_a_user_namespace() {
    if skipped("device_moves_into_a_user_namespace") {
        return;
    }
    with_devices(|| {
        ip("address add 192.0.2.9/24 dev rr0");
        let userns = |config: &mut Value| {
            config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
            for ids in ["uidMappings", "gidMappings"] {
                config["linux"][ids] = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
            }
        };
        let script = "busybox ip address show dev rr0";
        let seen = inside("net-userns", &json!({"rr0": {}}), script, userns).unwrap();
        assert!(seen.contains("inet 192.0.2.9/24"), "{seen}");
    });
}

#[test]
fn device_that_is_not_there_is_an_error_that_names_it_and_nothing_is_left() {
    if skipped("device_that_is_not_there_is_an_error_that_names_it_and_nothing_is_left") {
        return;
    }
    with_devices(|| {
        let error = inside("net-none", &json!({"nosuch0": {}}), "true", |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "linux.netDevices: find nosuch0: no such device");
        assert_eq!(error.kind(), Kind::System);
        assert!(ip("-o link").contains("rr0"));
    });
}

#[test]
fn name_that_the_container_has_already_is_an_error() {
    if skipped("name_that_the_container_has_already_is_an_error") {
        return;
    }
    with_devices(|| {
        let error = inside("net-taken", &json!({"rr0": {"name": "lo"}}), "true", |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "linux.netDevices: every network namespace has its own lo");
        assert!(ip("-o link").contains("rr0"), "it stays where it was");
    });
}

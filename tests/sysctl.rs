//! Kernel parameters of the container's own namespaces, and of no other. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::zombie_processes,
    reason = "a test panics when it is wrong, and traces its children by hand"
)]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{World, skipped, without_syscalls};

/// What a container says that prints these parameters.
fn printed(
    world: &World,
    name: &str,
    sysctl: &Value,
    missing: &[libc::c_long],
    change: impl FnOnce(&mut Value),
) -> Result<String, String> {
    let files: Vec<String> = sysctl
        .as_object()
        .unwrap()
        .keys()
        .map(|key| {
            format!("/proc/sys/{}", if key.contains('/') { key.clone() } else { key.replace('.', "/") })
        })
        .collect();
    let arguments: Vec<&str> = std::iter::once("cat").chain(files.iter().map(String::as_str)).collect();
    world.config(&arguments, |config| {
        config["linux"]["sysctl"] = sysctl.clone();
        change(config);
    });
    let mut command = world.riverrun(&["run", &world.id(name)]);
    without_syscalls(&mut command, missing);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr).replace('\\', ""))
    }
}

fn all() -> Value {
    json!({
        "kernel.msgmax": "9001",
        "kernel/shmmni": "4001",
        "kernel.sem": "32001 1024000000 501 32001",
        "fs.mqueue.msg_max": "11",
        "kernel.domainname": "example",
        "net.ipv4.ip_forward": "1",
        "net/ipv4/conf/lo/forwarding": "0",
    })
}

const EXPECTED: &str = "9001\n4001\n32001\t1024000000\t501\t32001\n11\nexample\n1\n0\n";

#[test]
fn parameters_are_the_containers_and_not_the_hosts() {
    if skipped("parameters_are_the_containers_and_not_the_hosts") {
        return;
    }
    let world = World::new("sysctl");
    let names = ["kernel/msgmax", "kernel/shmmni", "kernel/sem", "kernel/domainname", "net/ipv4/ip_forward"];
    let of_host = || names.map(|name| fs::read_to_string(format!("/proc/sys/{name}")).unwrap());
    let before = of_host();
    assert_eq!(printed(&world, "plain", &all(), &[], |_| {}).unwrap(), EXPECTED);
    // The host's /proc where no other can be made.
    let old = [libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount];
    assert_eq!(printed(&world, "old", &all(), &old, |_| {}).unwrap(), EXPECTED);
    // A container whose own /proc is read-only, or none.
    let seen = printed(&world, "ro", &all(), &[], |config| {
        config["root"]["readonly"] = json!(true);
        config["linux"]["readonlyPaths"] = json!(["/proc/sys"]);
    });
    assert_eq!(seen.unwrap(), EXPECTED);
    assert_eq!(of_host(), before);
    world.assert_nothing_left();
}

#[test]
fn the_root_of_a_user_namespace_sets_its_own() {
    if skipped("the_root_of_a_user_namespace_sets_its_own") {
        return;
    }
    let world = World::new("sysctl-user");
    std::os::unix::fs::chown(world.bundle.join("rootfs"), Some(100_000), Some(100_000)).unwrap();
    let user = |pid: bool| {
        move |config: &mut Value| {
            let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65_536}]);
            config["linux"]["uidMappings"] = map.clone();
            config["linux"]["gidMappings"] = map;
            let list = config["linux"]["namespaces"].as_array_mut().unwrap();
            list.push(json!({"type": "user"}));
            if !pid {
                // No procfs can be made of the host's pid namespace then.
                list.retain(|namespace| namespace["type"] != "pid");
                let proc = &mut config["mounts"].as_array_mut().unwrap()[0];
                *proc =
                    json!({"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]});
                config["linux"]["maskedPaths"] = json!([]);
                config["linux"]["readonlyPaths"] = json!([]);
            }
        }
    };
    let wanted = json!({"user.max_net_namespaces": "3", "net.ipv4.ip_unprivileged_port_start": "80"});
    for pid in [true, false] {
        assert_eq!(
            printed(&world, "c", &wanted, &[], user(pid)).unwrap(),
            "3\n80\n",
            "own pid namespace: {pid}"
        );
    }
    world.assert_nothing_left();
}

#[test]
fn a_proc_of_the_image_is_never_written_to() {
    if skipped("a_proc_of_the_image_is_never_written_to") {
        return;
    }
    let world = World::new("sysctl-fake");
    // An image that brings a /proc of its own, and a configuration that mounts none over it.
    let fake = world.bundle.join("rootfs/proc/sys/net/ipv4");
    fs::create_dir_all(&fake).unwrap();
    fs::write(fake.join("ip_forward"), "untouched").unwrap();
    world.config(&["cat", "/proc/sys/net/ipv4/ip_forward"], |config| {
        config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
        config["mounts"].as_array_mut().unwrap().remove(0);
        config["linux"]["maskedPaths"] = json!([]);
        config["linux"]["readonlyPaths"] = json!([]);
    });
    let output = world.output(&["run", &world.id("c")]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "untouched", "{output:?}");
    assert_eq!(fs::read_to_string(fake.join("ip_forward")).unwrap(), "untouched");
    world.assert_nothing_left();
}

#[test]
fn what_cannot_be_set_is_named_and_nothing_is_left() {
    if skipped("what_cannot_be_set_is_named_and_nothing_is_left") {
        return;
    }
    let world = World::new("sysctl-bad");
    let without = |kind: &'static str| {
        move |config: &mut Value| {
            config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != kind);
            config["hostname"] = json!("");
        }
    };
    let cases = [
        ("net.ipv4.nosuch", "1", "", "open sysctl net/ipv4/nosuch: no such file or directory"),
        ("kernel.msgmax", "many", "", "write sysctl kernel/msgmax: invalid argument"),
        ("net.ipv4", "1", "", "open sysctl net/ipv4: is a directory"),
        (
            "kernel.core_pattern",
            "x",
            "",
            "sysctl \"kernel.core_pattern\" is not in a separate kernel namespace",
        ),
        ("kernel.hostname", "x", "", "conflicts with the OCI \"hostname\" field"),
        ("net.ipv4.ip_forward", "1", "network", "is not in a separate kernel namespace"),
        ("kernel.msgmax", "1", "ipc", "is not in a separate kernel namespace"),
        ("kernel.domainname", "x", "uts", "is not in a separate kernel namespace"),
        ("user.max_net_namespaces", "1", "", "is not in a separate kernel namespace"),
    ];
    for (key, value, kind, why) in cases {
        let refused = printed(&world, "c", &json!({key: value}), &[], without(kind)).unwrap_err();
        assert!(refused.contains(why), "{key}: {refused}");
    }
    world.assert_nothing_left();
}

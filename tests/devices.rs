//! Device nodes and links below /dev, and what an image with another idea of them comes to. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::zombie_processes,
    reason = "a test panics when it is wrong, and traces its children by hand"
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::{Value, json};
use support::{World, skipped};

/// Runs a script in a container with one more change; what it printed, or what went wrong.
fn run(world: &World, script: &str, change: impl FnOnce(&mut Value)) -> Result<String, String> {
    world.config(&["sh", "-c", script], change);
    let output = world.output(&["run", &world.id("c")]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(out.into_owned()) } else { Err(format!("{out}{err}")) }
}

/// The nodes that a container gets without asking (config-linux.md#default-devices), and the links.
const DEFAULTS: &str = "full c 1:7 666\nnull c 1:3 666\nrandom c 1:8 666\ntty c 5:0 666\nurandom c 1:9 666\nzero c 1:5 666\n\
    fd -> /proc/self/fd\nptmx -> pts/ptmx\nstderr -> /proc/self/fd/2\nstdin -> /proc/self/fd/0\nstdout -> /proc/self/fd/1\n";
const LOOK: &str = "cd /dev; for n in full null random tty urandom zero; do \
    test -c $n && busybox stat -c \"$n c $((0x$(busybox stat -c %t $n))):$((0x$(busybox stat -c %T $n))) %a\" $n; done; \
    for l in fd ptmx stderr stdin stdout; do echo \"$l -> $(busybox readlink $l)\"; done; ";

#[test]
fn default_devices_and_links_are_there() {
    if skipped("default_devices_and_links_are_there") {
        return;
    }
    let world = World::new("dev-defaults");
    let seen = run(&world, &format!("{LOOK} echo x > null; busybox head -c 2 zero | busybox wc -c"), |_| {});
    assert_eq!(seen.unwrap(), format!("{DEFAULTS}2\n"));
    let seen = run(&world, LOOK, |config| {
        let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65536 }]);
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
        chown(world.bundle.join("rootfs"), Some(100_000), Some(100_000)).unwrap();
    });
    // They are the host's own there.
    assert_eq!(seen.unwrap(), DEFAULTS);
    world.assert_nothing_left();
}

#[test]
fn configured_devices_are_made_as_they_are_described() {
    if skipped("configured_devices_are_made_as_they_are_described") {
        return;
    }
    let world = World::new("dev-made");
    symlink("../../../../../real", world.bundle.join("rootfs/by")).unwrap();
    let look = "for f in /dev/mine /dev/blk /dev/chr /dev/queue /dev/net/deep /here/zero /real/zero; do \
        busybox stat -c '%n %A %u:%g %t:%T' $f; done";
    // Whatever the caller's mask is.
    world.config(&["sh", "-c", look], |config| {
        config["linux"]["devices"] = json!([
            { "path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o602, "uid": 1000, "gid": 5 },
            { "path": "/dev/blk", "type": "b", "major": 7, "minor": 300, "fileMode": 0o777 },
            { "path": "/dev/chr", "type": "u", "major": 1, "minor": 3 },
            { "path": "/dev/queue", "type": "p", "fileMode": 0o640, "gid": 7 },
            { "path": "/dev/net/deep", "type": "c", "major": 10, "minor": 200 },
            { "path": "/here/zero", "type": "c", "major": 1, "minor": 5 },
            { "path": "/by/zero", "type": "c", "major": 1, "minor": 5 },
        ]);
    });
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "umask 077 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_riverrun"), "--root"]);
    let output =
        command.arg(&world.root).args(["run", &world.id("c")]).current_dir(&world.bundle).output().unwrap();
    let expected = "/dev/mine crw-----w- 1000:5 1:5\n/dev/blk brwxrwxrwx 0:0 7:12c\n/dev/chr crw-rw-rw- 0:0 1:3\n\
        /dev/queue prw-r----- 0:7 0:0\n/dev/net/deep crw-rw-rw- 0:0 a:c8\n/here/zero crw-rw-rw- 0:0 1:5\n\
        /real/zero crw-rw-rw- 0:0 1:5\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
    world.assert_nothing_left();
}

#[test]
fn a_node_that_is_there_must_be_the_one_that_is_asked_for() {
    if skipped("a_node_that_is_there_must_be_the_one_that_is_asked_for") {
        return;
    }
    let world = World::new("dev-there");
    let node = world.bundle.join("rootfs/node");
    mknod(&node, SFlag::S_IFCHR, Mode::from_bits_truncate(0o640), makedev(1, 5)).unwrap();
    fs::set_permissions(&node, PermissionsExt::from_mode(0o640)).unwrap();
    chown(&node, Some(3), Some(4)).unwrap();
    fs::write(world.bundle.join("rootfs/file"), "kept").unwrap();
    symlink("/node", world.bundle.join("rootfs/link")).unwrap();
    let with = |device: Value| run(&world, "true", |config| config["linux"]["devices"] = json!([device]));
    let zero = |path: &str| json!({ "path": path, "type": "c", "major": 1, "minor": 5 });
    with(zero("/node")).unwrap();
    let mut exact = zero("/node");
    (exact["fileMode"], exact["uid"], exact["gid"]) = (json!(0o640), json!(3), json!(4));
    with(exact.clone()).unwrap();
    for (member, value, why) in [
        ("minor", json!(3), "another file is there"),
        ("type", json!("b"), "another file is there"),
        ("fileMode", json!(0o666), "it is there with another mode"),
        ("uid", json!(0), "it is there with another owner"),
        ("gid", json!(0), "it is there with another owner"),
    ] {
        let mut other = exact.clone();
        other[member] = value;
        let error = with(other).unwrap_err();
        assert!(error.contains(&format!("make device /node: {why}")), "{member}: {error}");
    }
    for path in ["/file", "/link"] {
        let error = with(zero(path)).unwrap_err();
        assert!(error.contains(&format!("make device {path}: another file is there")), "{error}");
    }
    assert_eq!(fs::read_to_string(world.bundle.join("rootfs/file")).unwrap(), "kept");
    world.assert_nothing_left();
}

#[test]
fn nothing_is_made_in_a_dev_of_the_host() {
    if skipped("nothing_is_made_in_a_dev_of_the_host") {
        return;
    }
    let world = World::new("dev-bound");
    let dev = world.directory.join("dev");
    fs::create_dir(&dev).unwrap();
    fs::write(dev.join("ptmx"), "kept").unwrap();
    let seen = run(&world, "ls /dev", |config| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
        mounts.push(json!({ "destination": "/dev/", "source": dev, "options": ["rbind"] }));
        config["linux"]["devices"] = json!([{ "path": "/dev/zero", "type": "c", "major": 1, "minor": 5 }]);
        config["linux"]["maskedPaths"] = json!([]);
    });
    assert_eq!(seen.unwrap(), "ptmx\n");
    assert_eq!(fs::read_to_string(dev.join("ptmx")).unwrap(), "kept");
    world.assert_nothing_left();
}

//! Namespaces of users, of time, and those that others made; the socket of a service manager.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use serde_json::json;

use crate::scene::{COUNT, LIMIT, Scene, until};

/// A further namespace of its own.
fn add(config: &mut serde_json::Value, namespace: &serde_json::Value) {
    config["linux"]["namespaces"].as_array_mut().unwrap().push(namespace.clone());
}

/// What docs/checkpoint.md says to do with the images of a container in a user namespace.
fn readable_by_group(images: &Path, group: u32) {
    let give = |path: &Path, mode: u32| {
        chown(path, None, Some(group)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    give(images, 0o750);
    for entry in fs::read_dir(images).unwrap().flatten() {
        give(&entry.path(), 0o640);
    }
}

#[test]
fn a_user_namespace_has_the_same_ids_again() {
    const FIRST: u32 = 100_000;
    let scene = Scene::of("userns", |config| {
        add(config, &json!({"type": "user"}));
        let ids = json!([{"containerID": 0, "hostID": FIRST, "size": 65536}]);
        config["linux"]["uidMappings"] = ids.clone();
        config["linux"]["gidMappings"] = ids;
    });
    let Some(scene) = scene else { return };
    let rootfs = scene.world.bundle.join("rootfs");
    for name in ["dev", "proc", "sys"] {
        fs::create_dir(rootfs.join(name)).unwrap();
    }
    chown(&rootfs, Some(FIRST), Some(FIRST)).unwrap();
    let maps = |id: &str| {
        let pid = scene.pid(id);
        ["uid_map", "gid_map", "status"].map(|name| {
            let text = fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
            text.lines().filter(|line| name != "status" || line.starts_with("Cap")).collect::<String>()
        })
    };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    let there = maps(&before);
    scene.checkpoint(&before, &[]);
    // The container's root reads them in its user namespace, in which it is nobody's root.
    let text = scene.fails(&scene.with_images("restore", &after, &["--detach"]));
    assert!(text.contains("Permission denied"), "{text}");
    readable_by_group(&scene.images, FIRST);
    scene.restore(&after, &[]);
    scene.counts();
    assert_eq!(maps(&after), there);
    scene.succeeds(&["exec", &after, "true"]);
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

#[test]
fn a_time_namespace_goes_on_from_its_own_time() {
    const AHEAD: u64 = 1_000_000;
    let scene = Scene::of("timens", |config| {
        add(config, &json!({"type": "time"}));
        config["linux"]["timeOffsets"] = json!({"boottime": {"secs": AHEAD}, "monotonic": {"secs": AHEAD}});
    });
    let Some(scene) = scene else { return };
    let uptime = |id: &str| {
        let output = scene.world.output(&["exec", id, "cat", "/proc/uptime"]);
        let text = String::from_utf8(output.stdout).unwrap();
        text.split('.').next().unwrap().parse::<u64>().unwrap()
    };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    let then = uptime(&before);
    assert!(then >= AHEAD);
    scene.checkpoint(&before, &[]);
    scene.restore(&after, &[]);
    scene.counts();
    // It does not go back, for the processes.
    assert!(uptime(&after) >= then);
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

#[test]
fn what_a_service_manager_is_told_goes_to_the_new_place() {
    let script = format!("({COUNT}) & while :; do /bin/busybox sleep 0.05; done");
    let Some(scene) = Scene::doing("notify", &script, |_| ()) else { return };
    let context = scene.world.context();
    let mut options = scene.world.options();
    options.notify = true;
    (options.io.stdout, options.io.stderr) = (riverrun::Stdio::Null, riverrun::Stdio::Null);
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    let container = context.create(&before, options).unwrap();
    container.start(riverrun::Call::default()).unwrap();
    scene.counts();
    scene.checkpoint(&before, &[]);
    let _ = container.delete(true, riverrun::Call::default());
    scene.restore(&after, &[]);
    scene.counts();
    let restored = context.open(&after).unwrap();
    let socket = UnixDatagram::from(restored.notify_socket().unwrap().expect("it has the directory again"));
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    // The container sees the socket that was made outside.
    let see = ["exec", after.as_str(), "test", "-S", "/run/notify/notify.sock"];
    until("it is seen inside", || scene.world.output(&see).status.success());
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

//! What a container sees of its cgroups on cgroup2, and what it may do there.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use crate::scene::{Scene, members, on_v2, until};

/// Adds a cgroup namespace, and says how /sys/fs/cgroup is mounted.
fn private(config: &mut Value, options: &[&str]) {
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "cgroup" }));
    let mount =
        json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options });
    let mounts = config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["destination"] != "/sys/fs/cgroup");
    mounts.push(mount);
}

#[test]
fn a_cgroup_namespace_shows_the_container_as_the_root_and_read_only_where_it_says_so() {
    let test = "a_cgroup_namespace_shows_the_container_as_the_root_and_read_only_where_it_says_so";
    let Some(scene) = on_v2("shown", test) else { return };
    let script = "cat /sys/fs/cgroup/cgroup.procs /proc/self/cgroup; mkdir /sys/fs/cgroup/a 2>&1; echo $?";
    let script = script.replace("mkdir", "busybox mkdir");
    for (options, expected) in [
        (
            &["nosuid", "noexec", "nodev", "relatime", "ro"][..],
            "mkdir: can't create directory '/sys/fs/cgroup/a': Read-only file system\n1\n",
        ),
        (&["rw"], "0\n"),
    ] {
        scene.config("c", &["sh", "-c", &script], |config| private(config, options));
        let seen = scene.ok(&["run", &scene.world.id("c")]);
        let as_root = seen.starts_with("1\n") && seen.lines().any(|line| line == "0::/");
        assert!(as_root && seen.ends_with(expected), "{options:?}: {seen}");
        scene.world.assert_nothing_left();
    }
}

#[test]
fn without_a_cgroup_namespace_the_hosts_tree_is_shown() {
    let Some(scene) = on_v2("whole", "without_a_cgroup_namespace_the_hosts_tree_is_shown") else { return };
    let id = scene.world.id("c");
    let script = format!("cat /sys/fs/cgroup/{id}/cgroup.procs; echo 1 > /sys/fs/cgroup/{id}/cgroup.freeze");
    scene.config("c", &["sh", "-c", &script], |_| {});
    let output = scene.output(&["run", &id]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(out.starts_with("1\n") && err.contains("Read-only file system"), "{out} {err}");
    scene.world.assert_nothing_left();
}

/// A user namespace whose root may make mount points.
fn mapped(scene: &Scene, config: &mut Value) {
    std::os::unix::fs::chown(scene.world.bundle.join("rootfs"), Some(100_000), Some(100_000)).unwrap();
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 1000 }]);
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
}

#[test]
fn the_root_of_a_user_namespace_rules_the_cgroup_that_it_may_write_to() {
    let test = "the_root_of_a_user_namespace_rules_the_cgroup_that_it_may_write_to";
    let Some(scene) = on_v2("given", test) else { return };
    let script = "busybox mkdir /sys/fs/cgroup/a && echo 0 > /sys/fs/cgroup/a/cgroup.procs && cat /proc/self/cgroup; sleep 1000";
    scene.config("c", &["sh", "-c", script], |config| {
        private(config, &["rw"]);
        mapped(&scene, config);
    });
    let id = scene.start("c");
    let own = scene.cgroup("c");
    let owner = |name: &str| fs::metadata(own.join(name)).unwrap().uid();
    for name in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        assert_eq!(owner(name), 100_000, "{name}");
    }
    assert_eq!(owner("cgroup.max.depth"), 0);
    until("it has moved to a cgroup of its own", || !members(&own.join("a")).is_empty());
    scene.end(&id);
}

#[test]
fn a_cgroup_that_the_container_may_not_write_to_stays_the_hosts() {
    let test = "a_cgroup_that_the_container_may_not_write_to_stays_the_hosts";
    let Some(scene) = on_v2("kept", test) else { return };
    scene.config("c", &["sleep", "1000"], |config| {
        private(config, &["ro"]);
        mapped(&scene, config);
    });
    let id = scene.start("c");
    let owner = |name: &str| fs::metadata(scene.cgroup("c").join(name)).unwrap().uid();
    assert_eq!((owner(""), owner("cgroup.procs")), (0, 0));
    scene.end(&id);
}

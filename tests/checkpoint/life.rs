//! What goes on after a restore.

use std::fs;

use serde_json::json;

use crate::scene::{Scene, until};

/// Keeps for cli: checkpointed_container_goes_on.
#[test]
fn a_counter_goes_on_where_it_was_under_another_id() {
    let Some(scene) = Scene::new("counter") else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    scene.checkpoint(&before, &[]);
    assert_eq!(scene.status(&before), "none", "it is deleted");
    let count = scene.count();
    scene.restore(&after, &["--pid-file", "pid"]);
    until("it counts on", || scene.count() > count);
    assert_eq!(scene.status(&after), "running");
    let pid = scene.pid(&after);
    assert_eq!(fs::read_to_string(scene.world.bundle.join("pid")).unwrap(), pid.to_string());
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(cgroups.lines().all(|line| line.ends_with(&after)), "{cgroups}");
    scene.succeeds(&["exec", &after, "true"]);
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

#[test]
fn a_container_left_running_goes_on_beside_its_images() {
    let Some(scene) = Scene::new("leave") else { return };
    let id = scene.world.id("a");
    scene.start(&id);
    scene.checkpoint(&id, &["--leave-running"]);
    scene.counts();
    assert_eq!(scene.status(&id), "running");
    assert!(scene.images.join("inventory.img").exists() && scene.images.join("descriptors.json").exists());
    scene.delete(&id);
    scene.world.assert_nothing_left();
}

#[test]
fn bind_mounts_and_their_submounts_are_there_again() {
    let Some(scene) = Scene::of("mounts", |config| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        for (destination, source, options) in
            [("/plain", "data", json!(["bind", "ro"])), ("/tree", "/sys/fs", json!(["rbind"]))]
        {
            mounts.push(
                json!({"destination": destination, "source": source, "type": "bind", "options": options}),
            );
        }
        // A link in the root filesystem: CRIU must be told where it leads.
        mounts.push(json!({"destination": "/link/inner", "source": "data", "options": ["bind"]}));
    }) else {
        return;
    };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    let bundle = &scene.world.bundle;
    fs::create_dir_all(bundle.join("data")).unwrap();
    fs::write(bundle.join("data/word"), "hello").unwrap();
    fs::create_dir_all(bundle.join("rootfs/real")).unwrap();
    std::os::unix::fs::symlink("real", bundle.join("rootfs/link")).unwrap();
    scene.start(&before);
    let points = |id: &str| {
        let text = fs::read_to_string(format!("/proc/{}/mountinfo", scene.pid(id))).unwrap();
        let mut points: Vec<String> = text
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                format!("{} {}", words[4], words[5].split(',').next().unwrap())
            })
            .collect();
        points.sort();
        points
    };
    let there = points(&before);
    scene.checkpoint(&before, &[]);
    scene.restore(&after, &[]);
    scene.counts();
    assert_eq!(points(&after), there);
    let word = scene.world.output(&["exec", &after, "cat", "/plain/word", "/link/inner/word"]);
    assert_eq!(String::from_utf8_lossy(&word.stdout), "hellohello");
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

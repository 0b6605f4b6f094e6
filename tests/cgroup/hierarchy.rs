//! The shapes that a cgroup2 can have: controllers that cannot be handed down, threaded subtrees, directories that vanish.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::scene::{Foreign, Scene, members, on_v2, scenes, until};

/// A limit of a controller that counts whole processes, as this cgroup2 has one.
fn of_domains(scene: &Scene, test: &str) -> Option<Value> {
    let controllers = fs::read_to_string(scene.unified().join("cgroup.controllers")).unwrap();
    let has = |name: &str| controllers.split_ascii_whitespace().any(|there| there == name);
    if has("memory") {
        return Some(json!({"memory": {"limit": 64 << 20}}));
    }
    if has("hugetlb") {
        return Some(json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}));
    }
    eprintln!("skipped {test}: needs the memory or hugetlb controller in the cgroup2");
    None
}

/// A configuration for `name` in `parent`, with these limits.
fn inside(scene: &Scene, parent: &Foreign, name: &str, limits: &Value) -> String {
    let path = parent.0.strip_prefix(scene.unified()).unwrap().join(name);
    scene.config("c", &["sh", "-c", "cat /proc/self/cgroup; sleep 1000"], |config| {
        config["linux"]["cgroupsPath"] = json!(format!("/{}", path.display()));
        config["linux"]["resources"] = limits.clone();
    });
    scene.world.id("c")
}

#[test]
fn a_parent_with_processes_of_its_own_is_the_reason_for_a_missing_controller() {
    let test = "a_parent_with_processes_of_its_own_is_the_reason_for_a_missing_controller";
    let Some(scene) = on_v2("internal", test) else { return };
    let Some(limits) = of_domains(&scene, test) else { return };
    let parent = Foreign::new(scene.unified().join(scene.world.id("parent")));
    let mut member = Command::new("/bin/busybox").args(["sleep", "1000"]).spawn().unwrap();
    fs::write(parent.0.join("cgroup.procs"), member.id().to_string()).unwrap();
    let id = inside(&scene, &parent, "below", &limits);
    let told = scene.fails(&["run", &id]);
    let left = fs::read_dir(&parent.0).unwrap().flatten().any(|entry| entry.file_name() == "below");
    // Without limits it needs no controller.
    let id = inside(&scene, &parent, "below", &json!({}));
    scene.quietly(&["run", "--detach", &id]);
    // A threaded one, if the parent has handed threaded controllers down: the kernel lists nobody in it.
    let seen = fs::read_to_string(format!("/proc/{}/cgroup", scene.pid(&id))).unwrap();
    let there = seen.trim_end().ends_with("-parent/below");
    scene.ok(&["delete", "--force", &id]);
    member.kill().unwrap();
    member.wait().unwrap();
    assert!(told.contains("a cgroup with processes of its own cannot hand controllers down"), "{told}");
    assert!(told.contains("use controller ") && told.contains("device or resource busy"), "{told}");
    assert!(!left && there);
    drop(parent);
    scene.world.assert_nothing_left();
}

#[test]
fn a_threaded_subtree_takes_no_limits_of_whole_processes() {
    let test = "a_threaded_subtree_takes_no_limits_of_whole_processes";
    let Some(scene) = on_v2("threaded", test) else { return };
    let Some(limits) = of_domains(&scene, test) else { return };
    let parent = Foreign::new(scene.unified().join(scene.world.id("parent")));
    let kind = |name: &str| fs::read_to_string(parent.0.join(name).join("cgroup.type")).unwrap();
    let threaded = Foreign::new(parent.0.join("threads"));
    fs::write(threaded.0.join("cgroup.type"), "threaded").unwrap();
    assert_eq!((kind("").as_str(), kind("threads").as_str()), ("domain threaded\n", "threaded\n"));
    // One that is there and threaded; one that is made, and is nothing yet beside it.
    for (name, state) in [("threads", "in threaded mode"), ("new", "in an invalid state")] {
        let id = inside(&scene, &parent, name, &limits);
        let told = scene.fails(&["run", &id]);
        assert!(
            told.contains("cannot enter cgroupv2 ")
                && told.contains(&format!("with domain controllers -- it is {state}")),
            "{told}"
        );
        assert!(name == "threads" || !parent.0.join(name).exists());
        assert!(!scene.world.root.join(&id).exists());
    }
    drop((threaded, parent));
    scene.world.assert_nothing_left();
}

#[test]
fn a_container_in_a_threaded_cgroup_is_paused_killed_and_removed() {
    let test = "a_container_in_a_threaded_cgroup_is_paused_killed_and_removed";
    let Some(scene) = on_v2("threads", test) else { return };
    let parent = Foreign::new(scene.unified().join(scene.world.id("parent")));
    let own = Foreign::new(parent.0.join("threads"));
    fs::write(own.0.join("cgroup.type"), "threaded").unwrap();
    let id = inside(&scene, &parent, "threads", &json!({}));
    scene.quietly(&["run", "--detach", &id]);
    let pid = scene.pid(&id);
    // The kernel lists its processes where their domain begins, and has no cgroup.kill for it.
    assert!(fs::read_to_string(own.0.join("cgroup.procs")).is_err());
    assert!(members(&parent.0).contains(&pid));
    scene.ok(&["exec", &id, "true"]);
    scene.ok(&["pause", &id]);
    scene.ok(&["resume", &id]);
    scene.ok(&["kill", &id, "KILL"]);
    until("it has ended", || scene.ok(&["state", &id]).contains("\"stopped\""));
    scene.ok(&["delete", "--force", &id]);
    assert!(!own.0.exists());
    drop((own, parent));
    scene.world.assert_nothing_left();
}

#[test]
fn a_cgroup_that_vanishes_below_a_running_container_is_told_by_every_verb() {
    for scene in scenes("vanished", "a_cgroup_that_vanishes_below_a_running_container_is_told_by_every_verb")
    {
        scene.config("c", &["sleep", "1000"], |_| {});
        let id = scene.start("c");
        let pid = scene.pid(&id);
        let state: Value =
            serde_json::from_slice(&fs::read(scene.world.root.join(&id).join("state.json")).unwrap())
                .unwrap();
        for path in state["cgroup_paths"].as_object().unwrap().values() {
            let path = std::path::Path::new(path.as_str().unwrap());
            // In the view of the command line, and in ours.
            let path = match path.strip_prefix("/sys/fs/cgroup") {
                Ok(below) if scene.v2 => scene.unified().join(below),
                _ => path.to_owned(),
            };
            let above = path.parent().unwrap();
            fs::write(above.join("cgroup.procs"), pid.to_string()).unwrap();
            until("the cgroup can be removed", || !path.exists() || fs::remove_dir(&path).is_ok());
        }
        assert!(scene.ok(&["state", &id]).contains("\"running\""));
        for verb in
            [&["update", "--pids-limit", "9", &id] as &[&str], &["pause", &id], &["exec", &id, "true"]]
        {
            let told = scene.fails(verb);
            let words = ["no such file or directory", "no such device", "not available", "is not there"];
            assert!(words.iter().any(|words| told.contains(words)), "{verb:?}: {told}");
        }
        // These need none, or find nobody.
        let listed = scene.output(&["ps", "--format", "json", &id]);
        assert!(listed.status.code().is_some_and(|code| code <= 1));
        let counted = scene.output(&["events", "--stats", &id]);
        assert!(counted.status.code().is_some_and(|code| code <= 1));
        scene.ok(&["kill", &id, "KILL"]);
        scene.end(&id);
    }
}

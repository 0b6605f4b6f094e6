//! Every verb on a container whose cgroup is a unit: as on any other, and the unit is still systemd's.

use std::fs;

use serde_json::Value;

use crate::scene::{Scene, cgroup, is_user, on_v2, scope, show, skipped, wait_until};

#[test]
fn every_verb_works_on_a_unit_and_leaves_it_active() {
    let name = "every_verb_works_on_a_unit_and_leaves_it_active";
    if skipped(name) {
        return;
    }
    let scene = Scene::new("verbs");
    let id = scene.id("c");
    scene.config(&["sh", "-c", "sleep 1000 & sleep 1000 & wait"], |_| {});
    let pid = scene.start(&id);
    let status = || -> String {
        let state: Value = serde_json::from_str(&scene.ok(&["state", &id])).unwrap();
        state["status"].as_str().unwrap().into()
    };
    scene.ok(&["pause", &id]);
    assert_eq!(status(), "paused");
    assert!(scene.refused(&["exec", &id, "true"]).contains("paused"));
    scene.ok(&["update", "--pids-limit", "40", &id]);
    assert_eq!(status(), "paused", "an update thaws nobody");
    scene.ok(&["resume", &id]);
    assert_eq!(status(), "running");
    wait_until("three processes", || {
        let pids: Vec<i32> = serde_json::from_str(&scene.ok(&["ps", "--format", "json", &id])).unwrap();
        pids.len() == 3 && pids.contains(&pid)
    });
    let stats: Value = serde_json::from_str(&scene.ok(&["events", "--stats", &id])).unwrap();
    assert_eq!((&stats["data"]["pids"]["current"], &stats["data"]["pids"]["limit"]), (&3.into(), &40.into()));
    assert_eq!(show(&scope(&id), "TasksMax"), "40");
    let seen = scene.ok(&["exec", &id, "cat", "/proc/self/cgroup"]);
    assert!(seen.contains(&scope(&id)) || seen.contains(":/\n"), "{seen}");
    if on_v2() && !is_user() {
        // A cgroup of its own for an exec.
        let sub = format!("/sys/fs/cgroup{}/sub", cgroup(pid).display());
        fs::create_dir(&sub).unwrap();
        let seen = scene.ok(&["exec", "--cgroup", "/sub", &id, "cat", "/proc/self/cgroup"]);
        assert!(seen.trim_end().ends_with("/sub"), "{seen}");
    }
    assert_eq!(show(&scope(&id), "ActiveState"), "active");
    scene.ok(&["kill", "--all", &id, "KILL"]);
    wait_until("it has stopped", || status() == "stopped");
    scene.ok(&["delete", &id]);
    scene.assert_nothing_left(&[&scope(&id)]);
}

//! The unit of a container: where it is, what systemd knows of it, and that it ends with the container.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::support::{cycles, device_programs};

use crate::scene::{
    Scene, cgroup, default_slice, is_user, on_v2, scope, show, skipped, systemctl, wait_until,
};

#[test]
fn a_container_is_in_a_scope_of_its_own() {
    if skipped("a_container_is_in_a_scope_of_its_own") {
        return;
    }
    let scene = Scene::new("scope");
    let id = scene.id("c");
    scene.config(&["sleep", "1000"], |config| {
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "cgroup" }));
    });
    let pid = scene.start(&id);
    let place = cgroup(pid);
    assert!(place.ends_with(format!("{}/{}", default_slice(), scope(&id))), "{}", place.display());
    for (property, expected) in [
        ("ActiveState", "active"),
        ("Transient", "yes"),
        ("Slice", default_slice()),
        ("Delegate", "yes"),
        ("DefaultDependencies", "no"),
        ("Description", &format!("libcontainer container {id}")),
        ("CPUAccounting", "yes"),
        ("MemoryAccounting", "yes"),
        ("TasksAccounting", "yes"),
        (if on_v2() { "IOAccounting" } else { "BlockIOAccounting" }, "yes"),
        ("ControlGroup", &place.to_string_lossy()),
    ] {
        assert_eq!(show(&scope(&id), property), expected, "{property}");
    }
    // In its own view it is the root, also for who comes later.
    let seen = scene.ok(&["exec", &id, "cat", "/proc/self/cgroup"]);
    assert!(seen.lines().all(|line| line.ends_with(":/")), "{seen}");
    scene.ok(&["delete", "--force", &id]);
    scene.assert_nothing_left(&[&scope(&id)]);
}

#[test]
fn a_foreground_container_leaves_no_unit() {
    if skipped("a_foreground_container_leaves_no_unit") {
        return;
    }
    let scene = Scene::new("run");
    let id = scene.id("c");
    scene.config(&["sh", "-c", "echo hello"], |_| {});
    assert_eq!(scene.ok(&["run", &id]), "hello\n");
    scene.assert_nothing_left(&[&scope(&id)]);
}

#[test]
fn a_created_container_starts_and_is_in_its_slice() {
    if skipped("a_created_container_starts_and_is_in_its_slice") {
        return;
    }
    let scene = Scene::new("slice");
    let id = scene.id("c");
    let top = format!("rrt{}", std::process::id());
    scene.config(&["sleep", "1000"], |config| {
        config["linux"]["cgroupsPath"] = json!(format!("{top}-deep.slice:kept:{id}"));
    });
    let mut command = scene.command(&["create", &id]);
    assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    let unit = format!("kept-{id}.scope");
    let place = format!("{top}.slice/{top}-deep.slice/{unit}");
    assert!(cgroup(scene.pid(&id)).ends_with(&place));
    scene.ok(&["start", &id]);
    assert_eq!(show(&unit, "Slice"), format!("{top}-deep.slice"));
    scene.ok(&["kill", &id, "KILL"]);
    wait_until("it has stopped", || scene.ok(&["state", &id]).contains("\"stopped\""));
    scene.ok(&["delete", &id]);
    systemctl(&["stop", &format!("{top}.slice")]);
    scene.assert_nothing_left(&[&unit]);
}

#[test]
fn a_container_may_be_a_slice() {
    if skipped("a_container_may_be_a_slice") {
        return;
    }
    let scene = Scene::new("own");
    let (id, unit) = (scene.id("c"), format!("rrtown{}.slice", std::process::id()));
    scene.config(&["sleep", "1000"], |config| {
        config["linux"]["cgroupsPath"] = json!(format!("{}:kept:{unit}", default_slice()));
    });
    let pid = scene.start(&id);
    assert!(cgroup(pid).ends_with(&unit), "{}", cgroup(pid).display());
    assert_eq!(show(&unit, "ActiveState"), "active");
    scene.ok(&["delete", "--force", &id]);
    // A slice can always be named, so systemd always knows it.
    wait_until("it is no more", || show(&unit, "ActiveState") == "inactive");
    scene.assert_nothing_left(&[]);
}

#[test]
fn annotations_are_properties_of_the_unit() {
    if skipped("annotations_are_properties_of_the_unit") {
        return;
    }
    let scene = Scene::new("annotated");
    let id = scene.id("c");
    scene.config(&["sleep", "1000"], |config| {
        config["annotations"] = json!({
            "org.systemd.property.TimeoutStopSec": "uint64 7",
            "org.systemd.property.CollectMode": "'inactive-or-failed'",
            "org.systemd.property.After": "['basic.target']",
        });
    });
    scene.start(&id);
    for (property, expected) in [("TimeoutStopUSec", "7s"), ("CollectMode", "inactive-or-failed")] {
        assert_eq!(show(&scope(&id), property), expected, "{property}");
    }
    assert!(show(&scope(&id), "After").contains("basic.target"));
    scene.ok(&["delete", "--force", &id]);
    for (key, value, told) in [
        (
            "TimeoutStopSec",
            "seven",
            "annotation org.systemd.property.TimeoutStopSec: seven: value parse error",
        ),
        ("NoSuchProperty", "true", "NoSuchProperty"),
        ("x.y", "true", "contains non-alphabetic character"),
    ] {
        scene.config(&["sleep", "1000"], |config| {
            config["annotations"] = json!({ format!("org.systemd.property.{key}"): value });
        });
        let error = scene.refused(&["run", &id]);
        assert!(error.contains(told), "{error}");
        scene.assert_nothing_left(&[&scope(&id)]);
    }
}

/// A scope that somebody else made, with a process in it.
fn foreign(unit: &str, options: &[&str]) -> Child {
    let mut command = Command::new("systemd-run");
    if is_user() {
        command.arg("--user");
    }
    command.args(["--quiet", "--scope", "--unit", unit]).args(options).args(["sleep", "1000"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("systemd-run has made its scope", || show(unit, "LoadState") == "loaded");
    child
}

#[test]
fn a_unit_that_lives_is_refused_and_left_alone() {
    if skipped("a_unit_that_lives_is_refused_and_left_alone") {
        return;
    }
    let scene = Scene::new("lives");
    let id = scene.id("c");
    let mut other = foreign(&scope(&id), &[]);
    wait_until("it is active", || show(&scope(&id), "ActiveState") == "active");
    scene.config(&["true"], |_| {});
    let error = scene.refused(&["run", &id]);
    assert!(error.contains(&format!("start unit {}: ", scope(&id))), "{error}");
    assert_eq!(show(&scope(&id), "ActiveState"), "active");
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
    scene.assert_nothing_left(&[&scope(&id)]);
}

#[test]
fn a_unit_that_has_failed_makes_room() {
    if skipped("a_unit_that_has_failed_makes_room") {
        return;
    }
    let scene = Scene::new("failed");
    let id = scene.id("c");
    let mut other = foreign(&scope(&id), &["--property", "RuntimeMaxSec=1"]);
    wait_until("it has failed", || show(&scope(&id), "ActiveState") == "failed");
    other.wait().unwrap();
    scene.config(&["sh", "-c", "echo there"], |_| {});
    assert_eq!(scene.ok(&["run", &id]), "there\n");
    scene.assert_nothing_left(&[&scope(&id)]);
}

#[test]
fn a_path_that_is_none_of_systemds_is_refused() {
    if skipped("a_path_that_is_none_of_systemds_is_refused") {
        return;
    }
    let scene = Scene::new("path");
    let id = scene.id("c");
    for path in ["/system.slice/x", "../x.slice:a:b", "system.slice:a:../b", "nothing:a:b"] {
        scene.config(&["true"], |config| config["linux"]["cgroupsPath"] = json!(path));
        let error = scene.refused(&["run", &id]);
        assert!(error.contains("linux.cgroupsPath: "), "{error}");
    }
    scene.assert_nothing_left(&[]);
}

#[test]
fn a_runtime_that_is_killed_leaves_what_delete_finds() {
    if skipped("a_runtime_that_is_killed_leaves_what_delete_finds") {
        return;
    }
    let scene = Scene::new("killed");
    scene.config(&["sleep", "1000"], |_| {});
    let mut units = Vec::new();
    for after in [20, 60, 120, 200, 300, 450] {
        let id = scene.id(&format!("c{after}"));
        let mut runtime = scene.command(&["run", "--detach", &id]);
        let mut runtime = runtime.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(after));
        runtime.kill().unwrap();
        runtime.wait().unwrap();
        if scene.root.join(&id).exists() {
            scene.ok(&["delete", "--force", &id]);
        }
        units.push(scope(&id));
    }
    scene.assert_nothing_left(&units.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn cycles_of_run_leave_no_unit_no_cgroup_and_no_program() {
    if skipped("cycles_of_run_leave_no_unit_no_cgroup_and_no_program") {
        return;
    }
    let cycles = cycles();
    let scene = Scene::new("many");
    let id = scene.id("c");
    scene.config(&["true"], |_| {});
    scene.ok(&["run", &id]);
    let count = || {
        let units = systemctl(&["list-units", "--all", "--no-legend", "runc-*", "libcontainer*"]).stdout;
        (String::from_utf8(units).unwrap().lines().count(), directories(), device_programs())
    };
    wait_until("the first is gone", || show(&scope(&id), "LoadState") == "not-found");
    let (units, cgroups, programs) = count();
    for _ in 0..cycles {
        scene.ok(&["run", &id]);
    }
    // Other tests have some, too.
    let some = cycles / 4;
    wait_until("as many units, cgroups and device programs as before", || {
        let now = count();
        now.0 <= units + some && now.1 <= cgroups + some && now.2 <= programs + some
    });
    scene.assert_nothing_left(&[&scope(&id)]);
}

/// Cgroups on the machine.
fn directories() -> usize {
    fn below(path: &std::path::Path) -> usize {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        directories.map(|directory| 1 + below(&directory.path())).sum()
    }
    below(std::path::Path::new("/sys/fs/cgroup"))
}

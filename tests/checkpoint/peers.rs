//! The same as runc 1.3: the order of hooks at a restore, and images that either can restore.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::scene::{Scene, until};

/// The newer runc of tests/peers; `None` says why not.
fn runc(test: &str) -> Option<PathBuf> {
    let output = Command::new("tests/peers/get-peer").arg("runc").output().unwrap();
    if output.status.success() {
        return Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    let why = String::from_utf8_lossy(&output.stderr);
    eprintln!("skipped, {test}: no runc: {}", why.lines().last().unwrap_or("get-peer says nothing"));
    None
}

/// Where hooks write; the scene's directory is not known when they are written down.
fn trace() -> PathBuf {
    std::env::temp_dir().join(format!("rrt-trace-{}", std::process::id()))
}

/// What hooks told of their moments between the checkpoint and the end.
fn hooks_of_a_life(scene: &Scene) -> Vec<String> {
    let trace = trace();
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    let _ = fs::remove_dir_all(&scene.images);
    scene.start(&before);
    scene.checkpoint(&before, &[]);
    fs::remove_file(&trace).unwrap();
    scene.restore(&after, &[]);
    scene.counts();
    scene.delete(&after);
    let text = fs::read_to_string(&trace).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn hooks_run_at_a_restore_in_the_order_that_they_have_with_runc() {
    const TEST: &str = "hooks_run_at_a_restore_in_the_order_that_they_have_with_runc";
    let scene = Scene::of("hooks", |config| {
        let hook = |name: &str| {
            // What a hook sees of its moment: the status, and whether the pid is a process.
            let script = format!(
                "state=$(tr -d '\"{{}}' | tr , '\\n'); field() {{ echo \"$state\" | sed -n \"s/^$1://p\"; }}; \
                 echo {name} $(field status) $([ -d /proc/$(field pid)/fd ] && echo lives) >>{}",
                trace().display()
            );
            json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}])
        };
        let moments = ["prestart", "createRuntime", "poststart", "poststop"];
        config["hooks"] = moments.iter().map(|name| ((*name).to_owned(), hook(name))).collect();
    });
    let Some(mut scene) = scene else { return };
    let Some(runc) = runc(TEST) else { return };
    let ours = hooks_of_a_life(&scene);
    scene.world.assert_nothing_left();
    scene.runtime = Some(runc);
    let theirs = hooks_of_a_life(&scene);
    let moments = |all: &[String]| -> Vec<String> {
        all.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    assert_eq!(moments(&ours), moments(&theirs));
    // Their status is another: runc says "stopped" while the container is being made.
    assert_eq!(ours, ["prestart creating lives", "createRuntime creating lives", "poststop stopped"]);
    fs::remove_file(trace()).unwrap();
}

#[test]
fn images_of_runc_are_restored() {
    let Some(mut scene) = Scene::new("from-runc") else { return };
    let Some(runc) = runc("images_of_runc_are_restored") else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.runtime = Some(runc);
    scene.start(&before);
    scene.checkpoint(&before, &[]);
    let count = scene.count();
    scene.runtime = None;
    scene.restore(&after, &[]);
    until("it counts on", || scene.count() > count);
    scene.succeeds(&["exec", &after, "true"]);
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

#[test]
fn images_of_ours_are_restored_by_runc() {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        // On cgroup v2 alone ours has the host's cgroups bound, without a cgroup namespace, and runc has a mount of its own.
        eprintln!(
            "skipped, to-runc: runc knows no mount of cgroup2 that is the host's: No mapping for 157:(null) mountpoint"
        );
        return;
    }
    let Some(mut scene) = Scene::new("to-runc") else { return };
    let Some(runc) = runc("images_of_ours_are_restored_by_runc") else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    scene.checkpoint(&before, &[]);
    scene.world.assert_nothing_left();
    let count = scene.count();
    scene.runtime = Some(runc);
    scene.restore(&after, &[]);
    until("it counts on", || scene.count() > count);
    scene.succeeds(&["exec", &after, "true"]);
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

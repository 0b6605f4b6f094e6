//! What does not succeed: the container runs on, or nothing is left.

use std::fs::{self, File};

use crate::scene::Scene;

#[test]
fn what_criu_cannot_keep_is_told_with_its_log_and_the_container_runs_on() {
    let Some(scene) = Scene::new("outside") else { return };
    let id = scene.world.id("a");
    let file = File::create(scene.world.directory.join("stdout")).unwrap();
    let status = scene.command(&["run", "--detach", &id]).stdout(file).status().unwrap();
    assert!(status.success());
    let text = scene.fails(&scene.with_images("checkpoint", &id, &[]));
    assert!(text.contains("criu failed: type DUMP") && text.contains("/images/dump.log)"), "{text}");
    assert!(text.contains("stream 1 is the file"), "{text}");
    assert_eq!(scene.status(&id), "running");
    scene.counts();
    scene.delete(&id);
    scene.world.assert_nothing_left();
}

#[test]
fn only_a_running_container_can_be_checkpointed() {
    let Some(scene) = Scene::new("states") else { return };
    let id = scene.world.id("a");
    scene.succeeds(&["create", &id]);
    let text = scene.fails(&scene.with_images("checkpoint", &id, &[]));
    assert!(text.contains("Container cannot be checkpointed in created state"), "{text}");
    assert!(!scene.images.exists());
    for (option, wanted) in [
        (["--parent-path", "/x"], "--parent-path must be relative"),
        (["--manage-cgroups-mode", "x"], "invalid manage-cgroups-mode value"),
        (["--page-server", "x"], "Use --page-server ADDRESS:PORT to specify page server"),
        (["--empty-ns", "ipc"], "is not supported"),
    ] {
        let text = scene.fails(&scene.with_images("checkpoint", &id, &option));
        assert!(text.contains(wanted), "{text}");
    }
    scene.delete(&id);
    scene.world.assert_nothing_left();
}

#[test]
fn a_restore_that_fails_leaves_nothing() {
    let Some(scene) = Scene::new("torn") else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    let text = scene.fails(&scene.with_images("restore", &after, &[]));
    assert!(text.contains("open image directory"), "{text}");
    scene.start(&before);
    scene.checkpoint(&before, &[]);
    // That the memory is missing is found out late, when processes are there already.
    let (pages, away) = (scene.images.join("pages-1.img"), scene.world.directory.join("pages"));
    fs::rename(&pages, &away).unwrap();
    let text = scene.fails(&scene.with_images("restore", &after, &["--detach"]));
    assert!(text.contains("criu failed: type RESTORE") && text.contains("/images/restore.log)"), "{text}");
    assert_eq!(scene.status(&after), "none");
    scene.world.assert_nothing_left();
    fs::rename(&away, &pages).unwrap();
    scene.restore(&after, &[]);
    scene.counts();
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

#[test]
fn without_criu_the_container_is_not_touched() {
    let Some(scene) = Scene::new("absent") else { return };
    let id = scene.world.id("a");
    scene.start(&id);
    let mut command = scene.world.riverrun(&scene.with_images("checkpoint", &id, &[]));
    let output = command.env("PATH", "/nowhere").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    // A host with a CRIU of its own has one in the usual directories.
    if !["/usr/sbin/criu", "/usr/local/sbin/criu", "/usr/bin/criu"].iter().any(|it| fs::metadata(it).is_ok())
    {
        assert!(!output.status.success() && text.contains("find criu"), "{text}");
        scene.counts();
    }
    scene.delete(&id);
    scene.world.assert_nothing_left();
}

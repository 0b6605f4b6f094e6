//! What follows when a hook does not succeed.

use std::fs;
use std::sync::{Arc, Mutex};

use riverrun::{Call, ContextOptions, Kind, Status};
use serde_json::json;

use crate::scene::{ALL, Scene};
use crate::support::skipped;

#[test]
fn a_hook_that_fails_a_create_is_quoted_and_leaves_nothing() {
    if skipped("a_hook_that_fails_a_create_is_quoted_and_leaves_nothing") {
        return;
    }
    let scene = Scene::new("fail");
    let before = |moment: &str| ALL.iter().take_while(|name| **name != moment).copied().collect::<Vec<_>>();
    for moment in ["prestart", "createRuntime", "createContainer"] {
        for (hook, text) in [
            (scene.script("echo out; echo err >&2; exit 3"), "exit status 3, stdout: out, stderr: err"),
            (scene.script("kill -9 $$"), "killed by signal 9, stdout: , stderr: "),
            (json!({ "path": "/nosuch/hook" }), "execute /nosuch/hook: no such file or directory"),
            (json!({ "path": "/etc/passwd" }), "execute /etc/passwd: permission denied"),
        ] {
            let _ = fs::remove_file(scene.log.join("order"));
            // The second of three fails: the first has run, the third does not.
            scene.config(&["true"], |config| {
                let recorder = scene.recorder(moment);
                config["hooks"][moment] = json!([recorder, hook, recorder]);
            });
            let error =
                scene.world.context().create(&scene.world.id("c"), scene.world.options()).unwrap_err();
            let expected = format!("error running {moment} hook #1: {text}");
            assert_eq!((error.kind(), error.to_string()), (Kind::Hook, expected));
            assert_eq!(error.detail("hook"), Some(format!("{moment} hook #1").as_str()));
            let mut ran = before(moment);
            // What the first did is taken back (runtime.md#lifecycle, steps 12 and 13; runc does so).
            ran.extend([moment, "poststop"]);
            assert_eq!(scene.order(), ran, "{moment}: {text}");
            scene.world.assert_nothing_left();
        }
    }
}

#[test]
fn a_start_container_hook_that_fails_stops_the_container() {
    if skipped("a_start_container_hook_that_fails_stops_the_container") {
        return;
    }
    let scene = Scene::new("fail-start");
    scene.config(&["sh", "-c", "echo program >> /log/order"], |config| {
        let fails = json!({ "path": "/bin/sh", "args": ["sh", "-c", "echo no >&2; exit 1"] });
        config["hooks"]["startContainer"].as_array_mut().unwrap().push(fails);
    });
    let expected = "error running startContainer hook #1: exit status 1, stdout: , stderr: no";
    let container = scene.world.context().create(&scene.world.id("c"), scene.world.options()).unwrap();
    let error = container.start(Call::default()).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Hook, expected));
    assert_eq!(container.state().unwrap().status, Status::Stopped);
    assert_eq!(scene.order(), ALL[..4]);
    container.delete(false, Call::default()).unwrap();
    assert_eq!(scene.order()[4..], ["poststop"].map(str::to_owned));
    scene.world.assert_nothing_left();
    // In one go nothing is left to delete.
    let error = scene.world.context().run(&scene.world.id("r"), scene.world.options()).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Hook, expected));
    assert_eq!(scene.order().len(), 10);
    scene.world.assert_nothing_left();
}

#[test]
fn a_poststart_hook_that_fails_kills_the_container() {
    if skipped("a_poststart_hook_that_fails_kills_the_container") {
        return;
    }
    for pid_namespace in [true, false] {
        let scene = Scene::new("fail-poststart");
        scene.config(&["sh", "-c", "sleep 1000 & echo program >> /log/order; sleep 1000"], |config| {
            config["hooks"]["poststart"] = json!([
                scene.script("until grep program LOG/order; do sleep 0.01; done; exit 1"),
                scene.recorder("poststart")
            ]);
            if !pid_namespace {
                config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid");
            }
        });
        let container = scene.world.context().create(&scene.world.id("c"), scene.world.options()).unwrap();
        let error = container.start(Call::default()).unwrap_err();
        let expected = "error running poststart hook #0: exit status 1, stdout: program, stderr: ";
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Hook, expected));
        assert_eq!(container.state().unwrap().status, Status::Stopped);
        container.delete(false, Call::default()).unwrap();
        assert_eq!(scene.order()[3..], ["startContainer", "program", "poststop"].map(str::to_owned));
        scene.world.assert_nothing_left();
        let error = scene.world.context().run(&scene.world.id("r"), scene.world.options()).unwrap_err();
        assert_eq!(error.kind(), Kind::Hook);
        scene.world.assert_nothing_left();
        assert_eq!(scene.order().last().unwrap(), "poststop");
    }
}

#[test]
fn a_poststop_hook_that_fails_is_logged_and_the_rest_run() {
    if skipped("a_poststop_hook_that_fails_is_logged_and_the_rest_run") {
        return;
    }
    let scene = Scene::new("fail-poststop");
    scene.config(&["true"], |config| {
        let list =
            [scene.script("echo no >&2; exit 1"), json!({ "path": "/nosuch" }), scene.recorder("poststop")];
        config["hooks"] = json!({ "poststop": list });
    });
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let context = riverrun::Context::new(ContextOptions {
        root: Some(scene.world.root.clone()),
        log: Some(Arc::new(move |level, line: &str| sink.lock().unwrap().push((level, line.to_owned())))),
        ..ContextOptions::default()
    });
    let container = context.unwrap().create(&scene.world.id("c"), scene.world.options()).unwrap();
    container.delete(true, Call::default()).unwrap();
    assert_eq!(scene.order(), ["poststop"]);
    let lines = lines.lock().unwrap();
    let warnings: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(
        warnings,
        [
            "error running poststop hook #0: exit status 1, stdout: , stderr: no",
            "error running poststop hook #1: execute /nosuch: no such file or directory"
        ]
    );
    assert!(lines.iter().all(|(level, _)| *level == riverrun::Level::Warn));
    scene.world.assert_nothing_left();
}

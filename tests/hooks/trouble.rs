//! Hooks that hang, flood, do not read, leave processes behind; hosts that are killed or ignore signals.

use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use riverrun::{Call, Kind};
use serde_json::{Value, json};

use crate::scene::{ALL, Scene, alive, assert_ends};
use crate::support::skipped;

#[test]
fn a_hook_past_its_timeout_ends_with_its_whole_process_group() {
    if skipped("a_hook_past_its_timeout_ends_with_its_whole_process_group") {
        return;
    }
    for moment in ["createRuntime", "createContainer"] {
        let scene = Scene::new("timeout");
        scene.world.config(&["true"], |config| {
            let script = "/bin/busybox sleep 1000 & echo $! > LOG/grandchild; exec yes";
            let mut hook = scene.script(script);
            hook["timeout"] = json!(1);
            config["hooks"] = json!({ moment: [hook], "poststop": [scene.recorder("poststop")] });
            // Nothing but the kill of the group would end the grandchild.
            config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid");
        });
        let started = Instant::now();
        let error = scene.world.context().create(&scene.world.id("c"), scene.world.options()).unwrap_err();
        let expected = format!("error running {moment} hook #0: hook ran past specified timeout of 1.0s");
        assert_eq!((error.kind(), error.to_string()), (Kind::Hook, expected));
        assert!((1.0..5.0).contains(&started.elapsed().as_secs_f64()), "{:?}", started.elapsed());
        assert_ends(scene.pid("grandchild"));
        assert_eq!(scene.order(), ["poststop"]);
        scene.world.assert_nothing_left();
    }
}

#[test]
fn a_start_container_hook_past_its_timeout_ends_with_its_whole_process_group() {
    if skipped("a_start_container_hook_past_its_timeout_ends_with_its_whole_process_group") {
        return;
    }
    let scene = Scene::new("timeout-start");
    scene.config(&["true"], |config| {
        let script = "sleep 1000 & echo $! > /log/grandchild; exec cat /dev/zero";
        let hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", script], "timeout": 1 });
        config["hooks"] = json!({ "startContainer": [hook] });
        // The end of the first process is not the end of all.
        config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid");
    });
    let container = scene.world.context().create(&scene.world.id("c"), scene.world.options()).unwrap();
    let error = container.start(Call::default()).unwrap_err();
    let expected = "error running startContainer hook #0: hook ran past specified timeout of 1.0s";
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Hook, expected));
    assert_ends(scene.pid("grandchild"));
    container.delete(false, Call::default()).unwrap();
    scene.world.assert_nothing_left();
}

#[test]
fn a_hook_within_its_timeout_is_left_alone() {
    if skipped("a_hook_within_its_timeout_is_left_alone") {
        return;
    }
    let scene = Scene::new("in-time");
    scene.config(&["true"], |config| {
        for moment in ALL {
            config["hooks"][moment][0]["timeout"] = json!(60);
        }
    });
    let output = scene.world.output(&["run", &scene.world.id("c")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(scene.order(), ALL);
}

#[test]
fn a_state_of_any_size_is_read_or_not() {
    if skipped("a_state_of_any_size_is_read_or_not") {
        return;
    }
    for size in [40_000, 70_000, 700_000] {
        let scene = Scene::new("big");
        scene.config(&["sleep", "1000"], |config| {
            config["annotations"] = json!({ "long": "x".repeat(size) });
            for moment in ALL {
                let deaf = json!({ "path": "/bin/busybox", "args": ["true"] });
                config["hooks"][moment].as_array_mut().unwrap().insert(0, deaf);
            }
        });
        let container = scene.world.context().run(&scene.world.id("c"), scene.world.options()).unwrap();
        container.delete(true, Call::default()).unwrap();
        assert_eq!(scene.order(), ALL);
        for moment in ALL {
            assert_eq!(scene.state(moment)["annotations"]["long"].as_str().unwrap().len(), size, "{moment}");
        }
        scene.world.assert_nothing_left();
    }
}

#[test]
fn what_hooks_print_and_leave_behind_stops_nobody() {
    if skipped("what_hooks_print_and_leave_behind_stops_nobody") {
        return;
    }
    let scene = Scene::new("noise");
    scene.world.config(&["sleep", "1000"], |config| {
        // More than a pipe holds; then a process that keeps the streams and outlives the hook.
        let noise = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; sleep 1000 & echo $! > LOG/left";
        config["hooks"] = json!({ "createRuntime": [scene.script(noise)], "createContainer": [scene.script(&noise.replace("left", "inside"))] });
    });
    let container = scene.world.context().run(&scene.world.id("c"), scene.world.options()).unwrap();
    let left = scene.pid("left");
    assert!(alive(left), "a hook may leave a process behind");
    container.delete(true, Call::default()).unwrap();
    // SAFETY: our own hook's child, alive just now.
    unsafe { libc::kill(left, libc::SIGKILL) };
    assert_ends(left);
    scene.world.assert_nothing_left();
    // What an error repeats has an end.
    scene.world.config(&["true"], |config| {
        config["hooks"] = json!({ "createRuntime": [scene.script("yes | head -c 300000; exit 1")] });
    });
    let error = scene.world.context().create(&scene.world.id("d"), scene.world.options()).unwrap_err();
    assert!((4000..5000).contains(&error.to_string().len()), "{}", error.to_string().len());
}

#[test]
fn a_call_that_is_over_takes_its_hook_along() {
    if skipped("a_call_that_is_over_takes_its_hook_along") {
        return;
    }
    for moment in ["createRuntime", "createContainer", "startContainer", "poststart"] {
        let scene = Scene::new("cancel");
        let hangs = |config: &mut Value| {
            let mut hook = scene.script("echo $$ > LOG/hook; exec sleep 1000");
            if moment == "startContainer" {
                hook = json!({ "path": "/bin/sh", "args": ["sh", "-c", "exec sleep 1000"] });
            }
            config["hooks"] = json!({ moment: [hook] });
            config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid");
        };
        scene.world.config(&["sleep", "1000"], hangs);
        let mut options = scene.world.options();
        options.call = Call { timeout: Some(Duration::from_millis(300)), cancel: None };
        let error = scene.world.context().run(&scene.world.id("t"), options).unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout, "{moment}: {error}");
        scene.world.assert_nothing_left();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(theirs);
        let mut options = scene.world.options();
        options.call = Call { timeout: None, cancel: Some(ours.as_fd()) };
        let error = scene.world.context().run(&scene.world.id("c"), options).unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled, "{moment}: {error}");
        scene.world.assert_nothing_left();
    }
}

#[test]
fn a_runtime_that_is_killed_while_a_hook_runs_can_be_cleaned_up_after() {
    if skipped("a_runtime_that_is_killed_while_a_hook_runs_can_be_cleaned_up_after") {
        return;
    }
    for (moment, pid_namespace) in
        [("createRuntime", true), ("createContainer", true), ("createContainer", false), ("poststart", true)]
    {
        let scene = Scene::new("killed");
        scene.config(&["sleep", "1000"], |config| {
            config["hooks"][moment] = json!([scene.script(
                "readlink /proc/self > LOG/link; cut -d' ' -f4 /proc/self/stat > LOG/hook; exec sleep 1000"
            )]);
            if !pid_namespace {
                config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid");
            }
        });
        let id = scene.world.id("c");
        let mut runtime = scene.world.riverrun(&["run", &id]).spawn().unwrap();
        let hook = scene.pid("hook");
        assert!(alive(hook));
        runtime.kill().unwrap();
        runtime.wait().unwrap();
        let deleted = scene.world.output(&["delete", "--force", &id]);
        assert!(deleted.status.success(), "{moment}: {}", String::from_utf8_lossy(&deleted.stderr));
        assert_eq!(scene.order().last().unwrap(), "poststop", "{moment}");
        if moment == "poststart" {
            // It is the host's, and the container was there: a hook that began then ends as it likes.
            // SAFETY: our own hook, alive since nobody kills it.
            unsafe { libc::kill(hook, libc::SIGKILL) };
        }
        assert_ends(hook);
        scene.world.assert_nothing_left();
    }
}

#[test]
fn a_host_that_ignores_its_children_and_sigpipe_has_hooks_that_do_not() {
    if skipped("a_host_that_ignores_its_children_and_sigpipe_has_hooks_that_do_not") {
        return;
    }
    let scene = Scene::new("sigchld");
    scene.config(&["true"], |config| {
        let status = scene.log.join("status");
        let copy = json!({ "path": "/bin/busybox", "args": ["cp", "/proc/self/status", status] });
        config["hooks"]["createRuntime"].as_array_mut().unwrap().push(copy);
    });
    let mut command = scene.world.riverrun(&["run", &scene.world.id("c")]);
    // SAFETY: signal(2) alone, in the child.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGCHLD, libc::SIGPIPE, libc::SIGTERM] {
                libc::signal(signal, libc::SIG_IGN);
            }
            Ok(())
        });
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(scene.order(), ALL);
    assert!(scene.text("status").contains("SigIgn:\t0000000000000000"), "{}", scene.text("status"));
}

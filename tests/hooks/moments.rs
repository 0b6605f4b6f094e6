//! When hooks run, and what they see.

use std::fs;
use std::path::Path;

use riverrun::{Call, Status};
use serde_json::{Value, json};

use crate::scene::{Scene, own_namespace};
use crate::support::skipped;

#[test]
fn each_hook_runs_at_its_moment_with_the_state_and_nothing_else() {
    if skipped("each_hook_runs_at_its_moment_with_the_state_and_nothing_else") {
        return;
    }
    let scene = Scene::new("moments");
    let program = "echo program >> /log/order; cat /made > /log/made; exec sleep 1000";
    let rootfs = scene.world.bundle.join("rootfs").canonicalize().unwrap();
    scene.config(&["sh", "-c", program], |config| {
        config["annotations"] = json!({ "org.example/key": "a \"value\"" });
        config["process"]["user"] = json!({ "uid": 0, "gid": 0, "umask": 0o27 });
        // The root is to be read-only; what is mounted and made is there already, under the host's names.
        let make = scene.script(&format!("test -c {0}/dev/null && echo made > {0}/made", rootfs.display()));
        config["hooks"]["createContainer"].as_array_mut().unwrap().push(make);
    });
    // A descriptor that anybody could inherit.
    // SAFETY: dup(2) of a number; closed below.
    let leak = unsafe { libc::dup(2) };
    let id = scene.world.id("c");
    let context = scene.world.context();
    let container = context.create(&id, scene.world.options()).unwrap();
    assert_eq!(scene.order(), ["prestart", "createRuntime", "createContainer"]);
    let created: Value = serde_json::from_str(&container.state().unwrap().to_json()).unwrap();
    container.start(Call::default()).unwrap();
    assert_eq!(scene.order()[3..5], ["startContainer", "program"].map(str::to_owned));
    assert_eq!(scene.order()[5..], ["poststart"].map(str::to_owned));
    assert_eq!(scene.text("made"), "made\n");
    container.delete(true, Call::default()).unwrap();
    assert_eq!(scene.order()[6..], ["poststop"].map(str::to_owned));
    // SAFETY: ours.
    unsafe { libc::close(leak) };

    same_state_and_nothing_else(&scene, &created);
    for moment in ["prestart", "createRuntime"] {
        let mounts = scene.text(&format!("{moment}.mounts"));
        assert!(
            mounts.contains(&format!("{}/dev/shm", rootfs.display())),
            "{moment}: mounted, not pivoted: {mounts}"
        );
        assert!(scene.text(&format!("{moment}.cgroup")).contains(&id), "{moment}: in its cgroups");
    }
    assert_eq!(scene.fact("createContainer", "umask"), "0022");
    // As the process, when it is the process's turn.
    assert_eq!(
        (scene.fact("startContainer", "umask"), scene.fact("startContainer", "NoNewPrivs")),
        ("0027".into(), "1".into())
    );
    assert_eq!(scene.fact("startContainer", "CapEff"), "0000000020000420");
    scene.world.assert_nothing_left();
}

/// What each was told and given.
fn same_state_and_nothing_else(scene: &Scene, created: &Value) {
    let pid = created["pid"].as_i64().unwrap();
    for (moment, status, pid) in [
        ("prestart", "creating", json!(pid)),
        ("createRuntime", "creating", json!(pid)),
        ("createContainer", "creating", json!(1)),
        ("startContainer", "created", json!(1)),
        ("poststart", "running", json!(pid)),
        ("poststop", "stopped", Value::Null),
    ] {
        let state = scene.state(moment);
        assert_eq!((&state["status"], &state["pid"]), (&json!(status), &pid), "{moment}");
        for key in ["ociVersion", "id", "bundle", "annotations"] {
            assert_eq!(state[key], created[key], "{moment}: {key} is what `state` says");
        }
        assert_eq!(state.as_object().unwrap().len(), if pid.is_null() { 5 } else { 6 }, "{moment}: {state}");
        assert_eq!(scene.fact(moment, "args").split(' ').next(), Some(moment));
        assert_eq!(scene.fact(moment, "fds"), "0 1 2 3", "{moment}: the three, and ls's own");
        let env = scene.text(&format!("{moment}.env"));
        // What the shell that records adds by itself.
        let shell = |line: &&str| {
            line.starts_with("PWD=")
                || line.starts_with("SHLVL=")
                || *line == "PATH=/sbin:/usr/sbin:/bin:/usr/bin"
        };
        let env: Vec<&str> = env.lines().filter(|line| !shell(line)).collect();
        assert_eq!(env, [format!("ONLY={moment}")], "{moment}");
        let signals = (scene.fact(moment, "SigBlk"), scene.fact(moment, "identity"));
        assert_eq!(signals, ("0000000000000000".to_owned(), "0:0".to_owned()), "{moment}");
        let inside = matches!(moment, "createContainer" | "startContainer");
        for kind in ["mnt", "pid", "net", "uts", "ipc"] {
            let own = scene.fact(moment, &format!("ns.{kind}")) == own_namespace(kind);
            assert_eq!(own, !inside, "{moment}: {kind} namespace");
        }
        let bundle = scene.world.bundle.canonicalize().unwrap();
        let directory = if moment == "startContainer" { Path::new("/") } else { &bundle };
        assert_eq!(Path::new(&scene.fact(moment, "cwd")), directory, "{moment}");
    }
}

#[test]
fn a_whole_life_by_the_command_line_has_all_hooks_in_order() {
    if skipped("a_whole_life_by_the_command_line_has_all_hooks_in_order") {
        return;
    }
    let scene = Scene::new("cli");
    let life = [
        "prestart",
        "createRuntime",
        "createContainer",
        "startContainer",
        "program",
        "poststart",
        "poststop",
    ];
    // The program waits for the poststart hook, so that their order is one.
    let program = "echo program >> /log/order; until grep -q poststart /log/order; do sleep 0.01; done";
    scene.config(&["sh", "-c", program], |_| {});
    let output = scene.world.output(&["run", &scene.world.id("run")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(scene.order(), life);
    fs::remove_file(scene.log.join("order")).unwrap();
    let id = scene.world.id("c");
    for (arguments, so_far) in
        [(&["create", &id][..], 3), (&["start", &id], 6), (&["delete", "--force", &id], 7)]
    {
        // The program keeps the streams that create was given: nobody is to wait for their end.
        let status = scene.world.riverrun(arguments).stdout(std::process::Stdio::null()).status().unwrap();
        assert!(status.success(), "{arguments:?}");
        assert_eq!(scene.order(), life[..so_far], "{arguments:?}");
    }
    scene.world.assert_nothing_left();
}

#[test]
fn a_container_is_created_until_its_start_container_hooks_have_ended() {
    if skipped("a_container_is_created_until_its_start_container_hooks_have_ended") {
        return;
    }
    let scene = Scene::new("status");
    scene.config(&["sleep", "1000"], |config| {
        let script = "echo 1 > /log/begun; until test -e /log/seen; do sleep 0.01; done";
        let waits = json!({ "path": "/bin/sh", "args": ["sh", "-c", script] });
        config["hooks"] = json!({ "startContainer": [waits] });
    });
    let container = scene.world.context().create(&scene.world.id("c"), scene.world.options()).unwrap();
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| container.start(Call::default()));
        scene.pid("begun");
        let status = container.state().unwrap().status;
        fs::write(scene.log.join("seen"), "").unwrap();
        starting.join().unwrap().unwrap();
        assert_eq!((status, container.state().unwrap().status), (Status::Created, Status::Running));
    });
    container.delete(true, Call::default()).unwrap();
    scene.world.assert_nothing_left();
}

#[test]
fn a_start_container_hook_that_names_no_variable_has_those_of_the_process_and_is_its_user() {
    if skipped("a_start_container_hook_that_names_no_variable_has_those_of_the_process_and_is_its_user") {
        return;
    }
    let scene = Scene::new("start-env");
    fs::set_permissions(&scene.log, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    scene.config(&["true"], |config| {
        config["hooks"] = json!({ "startContainer": [scene.recorder("startContainer")] });
        config["hooks"]["startContainer"][0]["env"] = json!([]);
        config["process"]["env"] = json!(["PATH=/bin", "FROM=process"]);
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1001 });
    });
    let output = scene.world.output(&["run", &scene.world.id("c")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let env = scene.text("startContainer.env");
    for line in ["PATH=/bin", "FROM=process", "HOME=/"] {
        assert!(env.lines().any(|entry| entry == line), "{env}");
    }
    assert_eq!(scene.fact("startContainer", "identity"), "1000:1001");
    assert_eq!(scene.fact("startContainer", "CapEff"), "0000000000000000");
}

#[test]
fn hooks_are_those_of_the_create_whatever_becomes_of_the_bundle() {
    if skipped("hooks_are_those_of_the_create_whatever_becomes_of_the_bundle") {
        return;
    }
    let scene = Scene::new("edited");
    scene.config(&["sh", "-c", "echo program >> /log/order; sleep 1000"], |_| {});
    let container = scene.world.context().create(&scene.world.id("c"), scene.world.options()).unwrap();
    // Edited, and then gone.
    scene.world.config(&["false"], |config| {
        config["hooks"] =
            json!({ "poststart": [{ "path": "/bin/false" }], "poststop": [{ "path": "/bin/false" }] });
    });
    container.start(Call::default()).unwrap();
    assert_eq!(scene.order()[3..], ["startContainer", "program", "poststart"].map(str::to_owned));
    fs::remove_dir_all(&scene.world.bundle).unwrap();
    container.delete(true, Call::default()).unwrap();
    assert_eq!(scene.order().last().unwrap(), "poststop");
    assert_eq!(scene.fact("poststop", "cwd"), "/");
    scene.world.assert_nothing_left();
}

#[test]
fn hooks_of_an_id_mapped_container_see_their_own_pid_namespace() {
    if skipped("hooks_of_an_id_mapped_container_see_their_own_pid_namespace") {
        return;
    }
    let scene = Scene::new("userns");
    fs::set_permissions(&scene.log, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    scene.config(&["true"], |config| {
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
        let map = json!([{ "containerID": 0, "hostID": 200_000, "size": 65536 }]);
        config["linux"]["uidMappings"] = map.clone();
        config["linux"]["gidMappings"] = map;
    });
    fs::write(scene.log.join("order"), "").unwrap();
    fs::set_permissions(scene.log.join("order"), std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .unwrap();
    std::os::unix::fs::chown(scene.world.bundle.join("rootfs"), Some(200_000), Some(200_000)).unwrap();
    let output = scene.world.output(&["run", &scene.world.id("c")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(scene.order()[..2], ["prestart", "createRuntime"].map(str::to_owned));
    assert_eq!(scene.order().len(), 6, "{:?}", scene.order());
    assert_eq!(
        (scene.fact("prestart", "identity"), scene.fact("createContainer", "identity")),
        ("0:0".into(), "0:0".into())
    );
    assert_eq!(scene.state("createContainer")["pid"], 1);
}

//! A restored container as a service: what the service manager hears, from a socket of the test's in its place.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

use crate::scene::{COUNT, LIMIT, Scene, compile, until};

/// Sends its argument to `$NOTIFY_SOCKET`.
const SAY: &str = include_str!("../support/say.c");

/// A checkpointed container, which had a socket for its service manager or had none; and the manager of its next life.
fn checkpointed(test: &str, had: bool) -> Option<(Scene, UnixDatagram)> {
    let script = format!("(while :; do /bin/say STATUS=alive; /bin/busybox sleep 0.1; done) & {COUNT}");
    let scene = Scene::doing(test, &script, |_| ())?;
    if !compile(test, SAY, &scene.world.bundle.join("rootfs/bin/say")) {
        return None;
    }
    let context = scene.world.context();
    let mut options = scene.world.options();
    options.notify = had;
    (options.io.stdout, options.io.stderr) = (riverrun::Stdio::Null, riverrun::Stdio::Null);
    let before = scene.world.id("before");
    let container = context.create(&before, options).unwrap();
    container.start(riverrun::Call::default()).unwrap();
    scene.counts();
    scene.checkpoint(&before, &[]);
    let _ = container.delete(true, riverrun::Call::default());
    let manager = UnixDatagram::bind(scene.world.directory.join("manager")).unwrap();
    manager.set_read_timeout(Some(LIMIT)).unwrap();
    Some((scene, manager))
}

fn restore(scene: &Scene, more: &[&str], id: &str) -> Command {
    let mut command = scene.command(&scene.with_images("restore", id, more));
    command.env("NOTIFY_SOCKET", scene.world.directory.join("manager")).stdout(Stdio::null());
    command.stderr(fs::File::create(scene.world.directory.join("restore.err")).unwrap());
    command
}

/// The next message; a descriptor beside it is closed by not being received.
fn heard(manager: &UnixDatagram, scene: &Scene) -> String {
    let mut message = [0; 4096];
    let length = manager.recv(&mut message).unwrap_or_else(|error| {
        let told = fs::read_to_string(scene.world.directory.join("restore.err")).unwrap_or_default();
        panic!("{error}: {told}{}", scene.logs())
    });
    String::from_utf8_lossy(&message[..length]).into_owned()
}

fn ends(mut child: Child) -> bool {
    let mut status = None;
    until("restore ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.is_some_and(|status| status.success())
}

#[test]
fn restored_service_in_the_background_is_ready_and_the_container_is_its_main_process() {
    for had in [true, false] {
        let Some((scene, manager)) = checkpointed("ready-behind", had) else { return };
        let (after, pid_file) = (scene.world.id("after"), scene.world.directory.join("pid"));
        let more = ["--detach", "--pid-file", pid_file.to_str().unwrap()];
        let child = restore(&scene, &more, &after).spawn().unwrap();
        let ready = heard(&manager, &scene);
        assert_eq!(ready, format!("READY=1\nMAINPID={}\n", fs::read_to_string(pid_file).unwrap()));
        assert_eq!(heard(&manager, &scene), "BARRIER=1");
        assert!(ends(child));
        scene.counts();
        scene.delete(&after);
        scene.world.assert_nothing_left();
    }
}

#[test]
fn restored_service_in_the_foreground_is_ready_and_heard_further() {
    let Some((scene, manager)) = checkpointed("ready-before", true) else { return };
    let after = scene.world.id("after");
    let child = restore(&scene, &[], &after).spawn().unwrap();
    assert_eq!(heard(&manager, &scene), format!("READY=1\nMAINPID={}\n", child.id()));
    assert_eq!(heard(&manager, &scene), "BARRIER=1");
    assert_eq!(heard(&manager, &scene), "STATUS=alive\n");
    scene.delete(&after);
    assert!(!ends(child), "it was killed");
    scene.world.assert_nothing_left();
}

#[test]
fn nobody_who_listens_is_told_before_anything_is_restored() {
    let Some((scene, manager)) = checkpointed("ready-nobody", true) else { return };
    drop(manager);
    let after = scene.world.id("after");
    let child = restore(&scene, &["--detach"], &after).spawn().unwrap();
    assert!(!ends(child));
    let told = fs::read_to_string(scene.world.directory.join("restore.err")).unwrap();
    assert!(told.contains("connection refused"), "{told}");
    scene.world.assert_nothing_left();
}

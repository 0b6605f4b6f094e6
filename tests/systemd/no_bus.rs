//! Buses that are not there, or are something else: a clear error, soon, and nothing left. Needs no systemd.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Output;
use std::thread;

use crate::scene::{Scene, is_user};

/// The command line with a bus at `address`.
fn run(scene: &Scene, address: &str) -> Output {
    scene.config(&["true"], |_| {});
    let mut command = scene.command(&["run", &scene.id("c")]);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", address).env("DBUS_SESSION_BUS_ADDRESS", address);
    command.output().unwrap()
}

fn refused(output: &Output, told: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains(told), "{told}: {error}");
    assert!(error.contains("ask systemd for its version: "), "{error}");
}

/// An ordinary user's runtime where systemd needs cgroup v2, and there is none, is told that first.
fn skipped(name: &str) -> bool {
    let user = is_user();
    if user {
        eprintln!("skipped, {name}: needs root");
    }
    user
}

#[test]
fn a_bus_that_is_not_there_is_told_with_its_path() {
    if skipped("a_bus_that_is_not_there_is_told_with_its_path") {
        return;
    }
    let scene = Scene::new("absent");
    refused(
        &run(&scene, "unix:path=/no/such/bus"),
        "connect to systemd at /no/such/bus: no such file or directory",
    );
    refused(&run(&scene, "unix:abstract=rrt-no-such-bus"), "connection refused");
    refused(&run(&scene, "tcp:host=localhost"), "no address of its bus is known");
    let file = scene.directory.join("file");
    fs::write(&file, "").unwrap();
    refused(&run(&scene, &format!("unix:path={}", file.display())), "connection refused");
    scene.assert_nothing_left(&[]);
}

/// Answers every connection with `talk` until the listener is no more wanted.
fn bus(scene: &Scene, name: &str, talk: impl Fn(UnixStream) + Send + 'static) -> String {
    let path = scene.directory.join(name);
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(talk));
    format!("unix:path={}", path.display())
}

#[test]
fn what_is_no_bus_is_told() {
    if skipped("what_is_no_bus_is_told") {
        return;
    }
    let scene = Scene::new("none");
    let greet = |mut stream: &UnixStream, answer: &[u8]| {
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(answer);
    };
    let closes = bus(&scene, "closes", drop);
    refused(&run(&scene, &closes), "the connection to systemd was closed");
    let rejects = bus(&scene, "rejects", move |stream| {
        greet(&stream, b"REJECTED EXTERNAL\r\nERROR\r\n");
        let _ = (&stream).read(&mut [0; 512]);
    });
    refused(&run(&scene, &rejects), "the bus does not accept this user: REJECTED EXTERNAL");
    let garbage = bus(&scene, "garbage", move |stream| {
        greet(&stream, b"DATA\r\nOK 0123\r\n");
        let _ = (&stream).write_all(&[b'?'; 64]);
        let _ = (&stream).read(&mut [0; 512]);
    });
    refused(&run(&scene, &garbage), "what answered is not systemd");
    let chatter = bus(&scene, "chatter", move |stream| while (&stream).write_all(&[b'x'; 512]).is_ok() {});
    refused(&run(&scene, &chatter), "what answered is not systemd");
    scene.assert_nothing_left(&[]);
}

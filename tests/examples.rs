//! The C and C++ programs that people copy (examples/c, examples/cpp) do what their first lines say, linked dynamically and statically with what
//! pkg-config would say.
//!
//! What needs root says so and is skipped without it.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, reason = "a test may panic")]

#[path = "abi/host.rs"]
mod host;
#[path = "abi/scene.rs"]
mod scene;

use host::compile_example;
use scene::{Scene, root_or_skip};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Waits for something that is sure to come.
fn until(what: &str, mut there: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !there() {
        assert!(Instant::now() < patience, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn run_takes_a_container_through_its_life_linked_either_way() {
    let programs = [compile_example("c/run.c", false), compile_example("c/run.c", true)];
    if !root_or_skip("run_takes_a_container_through_its_life_linked_either_way, the runs") {
        return;
    }
    let scene = Scene::new("example");
    let bundle = scene.bundle("talker", &["/bin/sh", "-c", "echo from inside; exit 3"]);
    for program in programs {
        let output = Command::new(&program).arg(&bundle).output().expect("the example can be run");
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(3), "{told}{}", String::from_utf8_lossy(&output.stderr));
        assert!(told.contains("\"status\": \"created\"") && told.contains("from inside\n"), "{told}");
    }
}

#[test]
fn pool_hears_of_every_end() {
    let program = compile_example("c/pool.c", false);
    if !root_or_skip("pool_hears_of_every_end, the run") {
        return;
    }
    let scene = Scene::new("pool");
    let bundle = scene.bundle("short", &["/bin/true"]);
    let mut pool = Command::new("timeout");
    pool.args(["--signal=KILL", "300"]).arg(program).arg("-r").arg(scene.root()).args([&bundle, "100", "8"]);
    let output = pool.output().expect("the example can be run");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{told}{}", output.status, String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("pool: 100 of 100 containers"), "{told}");
    println!("{}", told.trim_end());
    assert!(fs::read_dir(scene.root()).is_ok_and(|left| left.count() == 0), "containers are left");
}

#[test]
fn monitor_logs_what_is_printed_and_writes_how_it_ended() {
    let program = compile_example("c/monitor.c", false);
    if !root_or_skip("monitor_logs_what_is_printed_and_writes_how_it_ended, the run") {
        return;
    }
    let scene = Scene::new("monitor");
    let script = "echo to out; echo to err >&2; printf unfinished; exit 7";
    let bundle = scene.bundle("talker", &["/bin/sh", "-c", script]);
    let [log, exit, pid] = ["log", "exit", "pid"].map(|name| scene.path().join(name));
    let id = format!("rr-monitor-{}", std::process::id());
    let mut monitor = Command::new(program);
    monitor.arg("-r").arg(scene.root()).arg("-l").arg(&log).arg("-e").arg(&exit).arg("-p").arg(&pid);
    let output = monitor.args([&bundle, &id]).output().expect("the example can be run");
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text(&exit), "7");
    assert!(text(&pid).parse::<i32>().is_ok());
    let log = text(&log);
    let mut lines: Vec<&str> = log.lines().map(|line| line.split_once(' ').expect("a time").1).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["stderr F to err", "stdout F to out", "stdout P unfinished"], "{log}");
    scene.assert_nothing_left(&id);
}

#[test]
fn monitor_leaves_a_file_when_memory_ran_out() {
    let program = compile_example("c/monitor.c", false);
    if !root_or_skip("monitor_leaves_a_file_when_memory_ran_out, the run") {
        return;
    }
    let scene = Scene::new("full");
    let bundle = scene.bundle("eater", &["/bin/sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"]);
    let config = Path::new(&bundle).join("config.json");
    let mut spec: serde_json::Value = serde_json::from_str(&text(&config)).expect("a bundle's config");
    spec["linux"]["resources"]["memory"]["limit"] = (32 << 20).into();
    fs::write(&config, spec.to_string()).expect("the config is written");
    let [log, exit, oom] = ["log", "exit", "oom"].map(|name| scene.path().join(name));
    let id = format!("rr-full-{}", std::process::id());
    let mut monitor = Command::new(program);
    monitor.arg("-r").arg(scene.root()).arg("-l").arg(&log).arg("-e").arg(&exit).arg("-o").arg(&oom);
    let output = monitor.args([&bundle, &id]).output().expect("the example can be run");
    assert_eq!(output.status.code(), Some(137), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text(&exit), "137");
    assert!(oom.exists());
    scene.assert_nothing_left(&id);
}

#[test]
fn monitor_lets_others_attach_and_passes_signals_on() {
    let program = compile_example("c/monitor.c", false);
    if !root_or_skip("monitor_lets_others_attach_and_passes_signals_on, the run") {
        return;
    }
    let scene = Scene::new("attach");
    let bundle = scene
        .bundle("asker", &["/bin/sh", "-c", "trap 'exit 5' TERM; while read word; do echo got $word; done"]);
    let [log, exit, socket] = ["log", "exit", "attach"].map(|name| scene.path().join(name));
    let id = format!("rr-attach-{}", std::process::id());
    let mut monitor = Command::new(program);
    monitor.arg("-r").arg(scene.root()).arg("-l").arg(&log).arg("-e").arg(&exit).arg("-a").arg(&socket);
    let mut running =
        monitor.args([&bundle, &id]).stdin(Stdio::null()).spawn().expect("the example can be run");
    let mut client = None;
    until("the attach socket", || {
        client = UnixStream::connect(&socket).ok();
        client.is_some()
    });
    let mut client = client.expect("it was connected");
    client.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
    client.write_all(b"a word\n").expect("the client is heard");
    let mut seen = String::new();
    while !seen.ends_with('\n') {
        let mut part = [0; 64];
        let n = client.read(&mut part).expect("the container answers");
        assert!(n > 0, "the monitor hung up after {seen:?}");
        seen.push_str(std::str::from_utf8(&part[..n]).expect("it is text"));
    }
    assert_eq!(seen, "got a word\n");
    let pid = i32::try_from(running.id()).expect("a pid");
    let killed = Command::new("kill").args(["-TERM", &pid.to_string()]).status().expect("kill runs");
    assert!(killed.success());
    // The shell looks at its signals once the read is over.
    let _ = client.write_all(b"another\n"); // nobody may be there any more
    assert_eq!(running.wait().expect("it ends").code(), Some(5));
    assert_eq!(text(&exit), "5");
    assert!(text(&log).contains("stdout F got a word\n"));
    assert!(!socket.exists());
    scene.assert_nothing_left(&id);
}

#[test]
fn loop_follows_containers_until_all_have_ended() {
    let program = compile_example("cpp/loop.cpp", false);
    if !root_or_skip("loop_follows_containers_until_all_have_ended, the run") {
        return;
    }
    let scene = Scene::new("loop");
    let talker = scene.bundle("talker", &["/bin/sh", "-c", "echo one; echo two >&2; printf three; exit 4"]);
    let waiter = scene
        .bundle("waiter", &["/bin/sh", "-c", "trap 'exit 6' TERM; echo ready; while :; do sleep 0.1; done"]);
    let names = ["talks", "waits"].map(|name| format!("rr-loop-{}-{name}", std::process::id()));
    let mut watched = Command::new(program);
    watched.arg("-r").arg(scene.root());
    watched.args([format!("{}={talker}", names[0]), format!("{}={waiter}", names[1])]);
    let log = scene.path().join("said");
    let file = fs::File::create(&log).expect("a log is made");
    let mut running = watched.stdin(Stdio::null()).stdout(file).spawn().expect("the example can be run");
    until("the first end and the second's word", || {
        let said = text(&log);
        said.contains("talks: ended with 4") && said.contains("waits | ready")
    });
    let killed = Command::new("kill").args(["-TERM", &running.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    assert_eq!(running.wait().expect("it ends").code(), Some(6));
    let said = text(&log).replace(&format!("rr-loop-{}-", std::process::id()), "");
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    let wanted = [
        "talks | one",
        "talks | three",
        "talks | two",
        "talks: ended with 4",
        "waits | ready",
        "waits: ended with 6",
    ];
    assert_eq!(lines, wanted, "{said}");
    for name in &names {
        scene.assert_nothing_left(name);
    }
}

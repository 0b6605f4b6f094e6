//! What a container tells of itself: its end, memory that runs out, pauses, stalls, statistics; through the library and
//! through the command line. Needs root.
#![allow(clippy::unwrap_used, reason = "a test panics when it is wrong")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use riverrun::{Call, Container, Event, EventStream, EventsOptions, Kind, Pressure, Resource, Status};
use serde_json::{Value, json};
use support::{World, limit_memory, skipped_anywhere};

/// Far beyond what any of this takes.
const LIMIT: Duration = Duration::from_secs(60);

fn limited() -> Call<'static> {
    Call { timeout: Some(LIMIT), cancel: None }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The next event that is one.
fn next(stream: &EventStream) -> Event {
    loop {
        match stream.next(limited()).unwrap() {
            Event::None => {}
            event => return event,
        }
    }
}

/// All up to the end.
fn rest(stream: &EventStream) -> Vec<Event> {
    let mut events = Vec::new();
    while events.last() != Some(&Event::End) {
        events.push(next(stream));
    }
    events
}

fn readable(fd: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], 0_u8).unwrap() == 1
}

/// (code, signal, killed for lack of memory).
fn exit(event: &Event) -> (i32, i32, bool) {
    match event {
        Event::Exit { exit, oom_killed } => {
            assert!(!exit.status_lost);
            (exit.code, exit.signal, *oom_killed)
        }
        other => panic!("{other:?} is no exit"),
    }
}

const EXIT: EventsOptions = EventsOptions {
    exit: true,
    oom: false,
    oom_if_told: false,
    state: false,
    stats: None,
    pressure: Vec::new(),
};
const OOM: EventsOptions = EventsOptions {
    exit: true,
    oom: true,
    oom_if_told: false,
    state: false,
    stats: None,
    pressure: Vec::new(),
};

/// Grows until it is stopped.
const EATER: &str = "x=aaaaaaaa; while :; do x=$x$x; done";

/// Memory that is soon at its end.
const LITTLE: u64 = 16 << 20;

fn exec(container: &Container, script: &str) -> riverrun::Process {
    let mut process: Value = serde_json::from_slice(&container.process_json().unwrap()).unwrap();
    process["args"] = json!(["sh", "-c", script]);
    let io = riverrun::Io { stdin: riverrun::Stdio::Null, ..Default::default() };
    let options =
        riverrun::ExecOptions { process: process.to_string().into_bytes(), io, ..Default::default() };
    container.exec(options).unwrap()
}

/// Keeps for rust: events_end_with_exit.
#[test]
fn the_exit_comes_then_the_end_and_then_nothing_else() {
    if skipped_anywhere("the_exit_comes_then_the_end_and_then_nothing_else") {
        return;
    }
    let world = World::new("ev-exit");
    world.config(&["sh", "-c", "exit 3"], |_| {});
    let container = world.context().create(&world.id("c"), world.options()).unwrap();
    let stream = container.events(&EXIT).unwrap();
    assert!(!readable(stream.fd()));
    let now = Call { timeout: Some(Duration::ZERO), cancel: None };
    assert_eq!(stream.next(now).unwrap_err().kind(), Kind::Timeout);
    let (read, write) = nix::unistd::pipe().unwrap();
    drop(write);
    let cancelled = Call { timeout: None, cancel: Some(read.as_fd()) };
    assert_eq!(stream.next(cancelled).unwrap_err().kind(), Kind::Cancelled);
    container.start(limited()).unwrap();
    assert_eq!(exit(&next(&stream)), (3, 0, false));
    for _ in 0..3 {
        assert!(readable(stream.fd()), "the end is there to be had");
        assert_eq!(stream.next(now).unwrap(), Event::End);
    }
    assert_eq!(container.init_process().unwrap().wait(limited()).unwrap().code, 3);
    let late = container.events(&EXIT).unwrap();
    assert_eq!(rest(&late).len(), 2, "of a container that has ended the end is told");
    container.delete(false, limited()).unwrap();
    assert_eq!(container.events(&EXIT).unwrap_err().kind(), Kind::NotFound);
    world.assert_nothing_left();
}

/// Keeps for rust: events_of_many_in_one_loop.
#[test]
fn many_containers_are_heard_in_one_loop() {
    if skipped_anywhere("many_containers_are_heard_in_one_loop") {
        return;
    }
    let world = World::new("ev-many");
    let context = world.context();
    let mut streams = Vec::new();
    for code in 0..5 {
        world.config(&["sh", "-c", &format!("exit {code}")], |_| {});
        let container = context.create(&world.id(&code.to_string()), world.options()).unwrap();
        streams.push((container.events(&OOM).unwrap(), container));
    }
    for (_, container) in streams.iter().rev() {
        container.start(limited()).unwrap();
    }
    let mut codes = vec![None; streams.len()];
    let end = Instant::now() + LIMIT;
    while codes.contains(&None) {
        assert!(Instant::now() < end, "not all have ended: {codes:?}");
        let fds = streams.iter().map(|(stream, _)| PollFd::new(stream.fd(), PollFlags::POLLIN));
        let mut fds: Vec<_> = fds.collect();
        poll(&mut fds, 1000_u16).unwrap();
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
        for (index, (stream, _)) in streams.iter().enumerate().filter(|(index, _)| ready[*index]) {
            let now = Call { timeout: Some(Duration::ZERO), cancel: None };
            if let event @ Event::Exit { .. } = stream.next(now).unwrap() {
                codes[index] = Some(exit(&event).0);
            }
        }
    }
    assert_eq!(codes, (0..5).map(Some).collect::<Vec<_>>());
    for (_, container) in &streams {
        container.delete(false, limited()).unwrap();
    }
    world.assert_nothing_left();
}

/// Keeps for rust: events_tell_out_of_memory_before_exit.
#[test]
fn memory_that_ran_out_is_told_before_the_exit() {
    if skipped_anywhere("memory_that_ran_out_is_told_before_the_exit") {
        return;
    }
    let world = World::new("ev-oom");
    world.config(&["sh", "-c", EATER], |_| {});
    let container = world.context().create(&world.id("c"), world.options()).unwrap();
    limit_memory(container.init_process().unwrap().pid(), LITTLE);
    let stream = container.events(&OOM).unwrap();
    container.start(limited()).unwrap();
    let events = rest(&stream);
    let [ooms @ .., exited, Event::End] = events.as_slice() else { panic!("{events:?}") };
    assert!(matches!(ooms, [Event::Oom(1..), .., Event::OomKill(1..)]), "{events:?}");
    assert_eq!(exit(exited), (0, libc::SIGKILL, true));
    container.delete(false, limited()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn another_process_killed_for_lack_of_memory_is_told_while_the_container_runs() {
    if skipped_anywhere("another_process_killed_for_lack_of_memory_is_told_while_the_container_runs") {
        return;
    }
    let world = World::new("ev-oom-other");
    world.config(&["sleep", "1000"], |_| {});
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    limit_memory(container.init_process().unwrap().pid(), LITTLE);
    let stream = container.events(&OOM).unwrap();
    let eater = exec(&container, EATER);
    let (mut oom, mut kills) = (0, 0);
    while kills == 0 {
        match next(&stream) {
            Event::Oom(count) => oom += count,
            Event::OomKill(count) => kills += count,
            other => panic!("{other:?}"),
        }
    }
    assert!(oom >= 1);
    assert_eq!((kills, eater.wait(limited()).unwrap().signal), (1, libc::SIGKILL));
    container.kill(libc::SIGKILL, true).unwrap();
    let events = rest(&stream);
    assert!(matches!(events.as_slice(), [.., Event::Exit { .. }, Event::End]), "{events:?}");
    container.delete(false, limited()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn pauses_are_told_whoever_makes_them() {
    if skipped_anywhere("pauses_are_told_whoever_makes_them") {
        return;
    }
    let world = World::new("ev-state");
    world.config(&["sleep", "1000"], |_| {});
    let container = world.context().create(&world.id("c"), world.options()).unwrap();
    let stream = container.events(&EventsOptions { state: true, ..EXIT }).unwrap();
    container.pause(limited()).unwrap();
    assert_eq!(next(&stream), Event::State(Status::Paused));
    container.resume(limited()).unwrap();
    assert_eq!(next(&stream), Event::State(Status::Created));
    container.start(limited()).unwrap();
    let id = world.id("c");
    assert!(world.output(&["pause", &id]).status.success());
    assert_eq!(next(&stream), Event::State(Status::Paused));
    assert!(world.output(&["resume", &id]).status.success());
    assert_eq!(next(&stream), Event::State(Status::Running));
    container.delete(true, limited()).unwrap();
    let events = rest(&stream);
    assert!(matches!(events.as_slice(), [.., Event::Exit { .. }, Event::End]), "{events:?}");
    world.assert_nothing_left();
}

#[test]
fn statistics_come_in_time() {
    if skipped_anywhere("statistics_come_in_time") {
        return;
    }
    let world = World::new("ev-stats");
    world.config(&["sleep", "1000"], |_| {});
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    let options = EventsOptions { stats: Some(Duration::from_millis(20)), ..EXIT };
    let stream = container.events(&options).unwrap();
    for _ in 0..3 {
        let event = next(&stream);
        let line: Value = serde_json::from_str(&event.to_json("web").unwrap()).unwrap();
        assert_eq!((&line["type"], &line["id"]), (&json!("stats"), &json!("web")));
        assert!(line["data"]["memory"]["usage"]["usage"].as_u64().unwrap() > 0, "{line}");
        assert_eq!(line["data"]["pids"]["current"], 1);
    }
    container.delete(true, limited()).unwrap();
    let events = rest(&stream);
    assert!(matches!(events.as_slice(), [.., Event::Exit { .. }, Event::End]), "{events:?}");
    world.assert_nothing_left();
}

/// Whether the container's cgroup2 counts stalls.
fn counts_pressure(container: &Container) -> bool {
    let pid = container.init_process().unwrap().pid();
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let Some(path) = text.lines().find_map(|line| line.strip_prefix("0::/")) else { return false };
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .iter()
        .any(|mount| fs::read(Path::new(mount).join(path).join("cpu.pressure")).is_ok())
}

#[test]
fn stalls_are_told_as_their_triggers_say() {
    let test = "stalls_are_told_as_their_triggers_say";
    if skipped_anywhere(test) {
        return;
    }
    let world = World::new("ev-pressure");
    let busy = "for i in 1 2 3 4 5 6; do while :; do :; done & done; wait";
    world.config(&["sh", "-c", busy], |_| {});
    let container = world.context().create(&world.id("c"), world.options()).unwrap();
    if !counts_pressure(&container) {
        eprintln!("skipped: {test}: the kernel counts no pressure for the container's cgroup");
        container.delete(true, limited()).unwrap();
        return;
    }
    let cpu = Pressure {
        resource: Resource::Cpu,
        full: false,
        stall: Duration::from_millis(1),
        window: Duration::from_secs(2),
    };
    let never = Pressure { resource: Resource::Memory, full: true, stall: cpu.window, ..cpu };
    let stream = container.events(&EventsOptions { pressure: vec![never, cpu], ..EXIT }).unwrap();
    let bad = Pressure { window: Duration::from_secs(1000), ..cpu };
    let refused = container.events(&EventsOptions { pressure: vec![bad], ..EXIT }).unwrap_err();
    assert_eq!(refused.kind(), Kind::InvalidArgument, "{refused}");
    container.start(limited()).unwrap();
    assert_eq!(next(&stream), Event::Pressure(1));
    container.delete(true, limited()).unwrap();
    let events = rest(&stream);
    assert!(matches!(events.as_slice(), [.., Event::Exit { .. }, Event::End]), "{events:?}");
    world.assert_nothing_left();
}

/// Runs a container by the command line, so that it is nobody's child here.
fn run_elsewhere(world: &World, id: &str) -> Container {
    let mut run = world.riverrun(&["run", "--detach", id]);
    assert!(run.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    world.context().open(id).unwrap()
}

/// Whether the kernel tells how a process ended that its parent has waited for.
fn keeps_exits() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0_u32), numbers.next().unwrap_or(0_u32)) >= (6, 15)
}

/// Keeps for rust: open_finds_what_another_made.
#[test]
fn a_container_of_another_process_is_heard_as_well() {
    if skipped_anywhere("a_container_of_another_process_is_heard_as_well") {
        return;
    }
    let world = World::new("ev-other");
    world.config(&["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.01; done"], |_| {});
    let id = world.id("c");
    let container = run_elsewhere(&world, &id);
    let stream = container.events(&OOM).unwrap();
    // The trap is set once it sleeps.
    until("it sleeps", || container.pids().unwrap().len() > 1);
    container.kill(libc::SIGTERM, false).unwrap();
    match next(&stream) {
        // Reaped by whoever adopted it, and the kernel does not keep it, KERNEL(6.15).
        Event::Exit { exit, .. } if exit.status_lost => assert!(!keeps_exits()),
        event => assert_eq!(exit(&event), (5, 0, false)),
    }
    assert_eq!(next(&stream), Event::End);
    match world.context().open(&id).unwrap().events(&EXIT) {
        // Nobody has reaped it yet.
        Ok(stream) => assert_eq!(rest(&stream).len(), 2),
        Err(error) => assert_eq!(error.kind(), Kind::NotRunning),
    }
    until("it is deleted", || container.delete(false, limited()).is_ok());
    world.assert_nothing_left();
}

#[test]
fn a_stream_outlives_the_container_and_its_cgroups() {
    if skipped_anywhere("a_stream_outlives_the_container_and_its_cgroups") {
        return;
    }
    let world = World::new("ev-gone");
    world.config(&["sleep", "1000"], |_| {});
    let container = run_elsewhere(&world, &world.id("c"));
    let all = EventsOptions { state: true, stats: Some(Duration::from_millis(10)), ..OOM };
    let stream = container.events(&all).unwrap();
    assert!(world.output(&["delete", "--force", &world.id("c")]).status.success());
    world.assert_nothing_left();
    let events = rest(&stream);
    let strange = |event: &&Event| !matches!(event, Event::Stats(_) | Event::Exit { .. } | Event::End);
    assert_eq!(events.iter().find(strange), None, "the removal of the cgroups is no news");
    assert!(matches!(events.as_slice(), [.., Event::Exit { .. }, Event::End]), "{events:?}");
}

/// Keeps for cli: events_tell_out_of_memory_before_exit.
#[test]
fn the_command_line_prints_statistics_and_ooms_until_the_end() {
    if skipped_anywhere("the_command_line_prints_statistics_and_ooms_until_the_end") {
        return;
    }
    let world = World::new("ev-cli");
    world.config(&["sleep", "1000"], |_| {});
    let id = world.id("c");
    let container = run_elsewhere(&world, &id);
    limit_memory(container.init_process().unwrap().pid(), LITTLE);
    let mut child =
        world.riverrun(&["events", "--interval", "50ms", &id]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next()?.unwrap()).ok();
    let first = next().unwrap();
    assert_eq!((&first["type"], &first["id"]), (&json!("stats"), &json!(id)));
    assert_eq!(first["data"]["memory"]["usage"]["limit"], LITTLE);
    let eater = exec(&container, EATER);
    assert_eq!(eater.wait(limited()).unwrap().signal, libc::SIGKILL);
    let oom = std::iter::from_fn(&mut next).find(|line| line["type"] == "oom");
    assert_eq!(oom, Some(json!({ "type": "oom", "id": id })));
    container.kill(libc::SIGKILL, false).unwrap();
    // To the end of its output, which is its own end.
    while next().is_some() {}
    assert_eq!(child.wait().unwrap().code(), Some(0));
    until("it is deleted", || container.delete(false, limited()).is_ok());
    world.assert_nothing_left();
}

#[test]
fn the_command_line_refuses_in_the_words_of_runc() {
    if skipped_anywhere("the_command_line_refuses_in_the_words_of_runc") {
        return;
    }
    let world = World::new("ev-words");
    world.config(&["true"], |_| {});
    let id = world.id("c");
    let container = world.context().run(&id, world.options()).unwrap();
    container.init_process().unwrap().wait(limited()).unwrap();
    let stopped = format!("container with id {id} is not running");
    for (arguments, text) in [
        (vec!["events", "nosuch"], "container does not exist"),
        (vec!["events", "--stats", &id], stopped.as_str()),
        (vec!["events", &id], stopped.as_str()),
        (vec!["events", "--interval", "0s", &id], "duration interval must be greater than 0"),
        (vec!["events", "--interval", "-1s", &id], "duration interval must be greater than 0"),
        (vec!["events", "--interval", "5", &id], "for flag -interval: parse error"),
    ] {
        let output = world.output(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(text), "{arguments:?}: {said}");
        // As runc's: the usage of a command that was misused is on standard output.
        let usage = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            usage.starts_with("Incorrect Usage: "),
            text.contains("parse error"),
            "{arguments:?}: {usage}"
        );
    }
    container.delete(false, limited()).unwrap();
    world.assert_nothing_left();
}

//! pause and resume: what stands still, what is refused meanwhile, and that nothing is left frozen. Needs root.
#![allow(clippy::unwrap_used, reason = "a test panics when it is wrong")]

mod support;

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use riverrun::{Call, Container, ExecOptions, Io, Kind, Status, Stdio};
use serde_json::{Value, json};
use support::{World, cgroup_of, limit, skipped_anywhere};

/// Far beyond what any of this takes.
const LIMIT: Duration = Duration::from_secs(60);

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn limited() -> Call<'static> {
    Call { timeout: Some(LIMIT), cancel: None }
}

/// The directory that freezes a container, by what the kernel says of its first process.
fn freezer(container: &Container) -> PathBuf {
    cgroup_of(container.init_process().unwrap().pid(), "freezer")
}

/// Writes what freezes, or thaws, the cgroup at `path`.
fn set_frozen(path: &Path, frozen: bool) {
    let v1 = path.join("freezer.state");
    if v1.exists() {
        fs::write(v1, if frozen { "FROZEN" } else { "THAWED" }).unwrap();
    } else {
        fs::write(path.join("cgroup.freeze"), if frozen { "1" } else { "0" }).unwrap();
    }
}

/// Clock ticks that a process has spent in its own code.
fn user_time(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    text.rsplit_once(')').unwrap().1.split_whitespace().nth(11).unwrap().parse().unwrap()
}

fn status(container: &Container) -> Status {
    container.state().unwrap().status
}

fn exec_options(container: &Container, args: &[&str]) -> ExecOptions<'static> {
    let mut process: Value = serde_json::from_slice(&container.process_json().unwrap()).unwrap();
    process["args"] = json!(args);
    let io = Io { stdin: Stdio::Null, ..Io::default() };
    ExecOptions { process: process.to_string().into_bytes(), io, ..ExecOptions::default() }
}

/// Keeps for rust: pause_freezes_and_resume_thaws.
#[test]
fn a_paused_container_stands_still_until_it_is_resumed() {
    if skipped_anywhere("a_paused_container_stands_still_until_it_is_resumed") {
        return;
    }
    let world = World::new("pause");
    world.config(&["sh", "-c", "while :; do :; done"], |_| {});
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    let pid = container.init_process().unwrap().pid();
    until("it works", || user_time(pid) > 0);
    container.pause(limited()).unwrap();
    assert_eq!(status(&container), Status::Paused);
    let stood = user_time(pid);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(user_time(pid), stood, "it went on although it is paused");
    let again = container.pause(limited()).unwrap_err();
    assert_eq!((again.kind(), again.to_string().as_str()), (Kind::Paused, "container not running"));
    assert_eq!(container.pids().unwrap(), [pid]);
    let refused = container.delete(false, limited()).unwrap_err();
    assert!(refused.to_string().ends_with("that is not stopped: paused"), "{refused}");
    container.resume(limited()).unwrap();
    assert_eq!(status(&container), Status::Running);
    until("it goes on", || user_time(pid) > stood);
    let again = container.resume(limited()).unwrap_err();
    assert_eq!((again.kind(), again.to_string().as_str()), (Kind::NotPaused, "container not paused"));
    container.delete(true, limited()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn a_created_container_is_paused_and_starts_once_it_is_resumed() {
    if skipped_anywhere("a_created_container_is_paused_and_starts_once_it_is_resumed") {
        return;
    }
    let world = World::new("pause-created");
    world.config(&["sh", "-c", "exit 7"], |_| {});
    let container = world.context().create(&world.id("c"), world.options()).unwrap();
    container.pause(limited()).unwrap();
    assert_eq!(status(&container), Status::Paused);
    let refused = container.start(limited()).unwrap_err();
    assert_eq!(
        (refused.kind(), refused.to_string().as_str()),
        (Kind::Paused, "cannot start a container in the paused state")
    );
    container.resume(limited()).unwrap();
    assert_eq!(status(&container), Status::Created);
    container.start(limited()).unwrap();
    assert_eq!(container.init_process().unwrap().wait(limited()).unwrap().code, 7);
    for refused in [container.pause(limited()), container.resume(limited())] {
        let kind = refused.unwrap_err().kind();
        assert!(matches!(kind, Kind::NotRunning | Kind::NotPaused), "{kind:?}");
    }
    container.delete(false, limited()).unwrap();
    assert_eq!(container.pause(limited()).unwrap_err().kind(), Kind::NotFound);
    world.assert_nothing_left();
}

#[test]
fn paused_container_refuses_exec() {
    if skipped_anywhere("paused_container_refuses_exec") {
        return;
    }
    let world = World::new("pause-exec");
    world.config(&["sleep", "1000"], |_| {});
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    container.pause(limited()).unwrap();
    let refused = container.exec(exec_options(&container, &["true"])).unwrap_err();
    assert_eq!(
        (refused.kind(), refused.to_string().as_str()),
        (Kind::Paused, "cannot exec in a paused container (use --ignore-paused to override)")
    );
    assert_eq!(container.pids().unwrap().len(), 1);
    container.delete(true, limited()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn an_exec_that_ignores_the_pause_begins_when_the_container_goes_on() {
    if skipped_anywhere("an_exec_that_ignores_the_pause_begins_when_the_container_goes_on") {
        return;
    }
    let world = World::new("pause-ignore");
    world.config(&["sleep", "1000"], |_| {});
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    container.pause(limited()).unwrap();
    let process = thread::scope(|scope| {
        let exec = scope.spawn(|| {
            let options = exec_options(&container, &["sh", "-c", "exit 9"]);
            container.exec(ExecOptions { ignore_paused: true, call: limited(), ..options })
        });
        thread::sleep(Duration::from_millis(200));
        assert!(!exec.is_finished(), "the process began in a paused container");
        container.resume(limited()).unwrap();
        exec.join().unwrap().unwrap()
    });
    assert_eq!(process.wait(limited()).unwrap().code, 9);
    container.delete(true, limited()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn an_exec_into_a_pause_that_does_not_end_ends_at_its_deadline() {
    if skipped_anywhere("an_exec_into_a_pause_that_does_not_end_ends_at_its_deadline") {
        return;
    }
    let world = World::new("pause-deadline");
    world.config(&["sleep", "1000"], |_| {});
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    container.pause(limited()).unwrap();
    let call = Call { timeout: Some(Duration::from_millis(300)), cancel: None };
    let options = exec_options(&container, &["true"]);
    let refused = container.exec(ExecOptions { ignore_paused: true, call, ..options }).unwrap_err();
    assert_eq!(refused.kind(), Kind::Timeout, "{refused}");
    assert_eq!(status(&container), Status::Paused, "the container goes on");
    container.resume(limited()).unwrap();
    until("the process is gone", || container.pids().unwrap().len() == 1);
    container.delete(true, limited()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn sigkill_ends_a_paused_container_and_other_signals_wait() {
    if skipped_anywhere("sigkill_ends_a_paused_container_and_other_signals_wait") {
        return;
    }
    let world = World::new("pause-kill");
    world.config(&["sh", "-c", "trap 'exit 5' TERM; while :; do :; done"], |_| {});
    for (name, all) in [("one", false), ("all", true)] {
        let container = world.context().run(&world.id(name), world.options()).unwrap();
        container.pause(limited()).unwrap();
        container.kill(libc::SIGUSR2, false).unwrap();
        assert_eq!(status(&container), Status::Paused);
        container.kill(libc::SIGKILL, all).unwrap();
        let exit = container.init_process().unwrap().wait(limited()).unwrap();
        assert_eq!(exit.signal, libc::SIGKILL);
        container.delete(false, limited()).unwrap();
    }
    world.assert_nothing_left();
}

#[test]
fn a_paused_container_is_deleted_by_force() {
    if skipped_anywhere("a_paused_container_is_deleted_by_force") {
        return;
    }
    let world = World::new("pause-force");
    for own_pids in [true, false] {
        world.config(&["sh", "-c", "sleep 1000 & sleep 1000"], |config| {
            if !own_pids {
                config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid");
            }
        });
        let container = world.context().run(&world.id("c"), world.options()).unwrap();
        until("both sleep", || container.pids().unwrap().len() == 2);
        container.pause(limited()).unwrap();
        container.delete(true, limited()).unwrap();
        world.assert_nothing_left();
    }
}

#[test]
fn processes_that_multiply_are_all_stopped() {
    if skipped_anywhere("processes_that_multiply_are_all_stopped") {
        return;
    }
    let world = World::new("pause-fork");
    world.config(&["sh", "-c", "while :; do (true) & (true); done"], |_| {});
    let container = world.context().create(&world.id("c"), world.options()).unwrap();
    let pid = container.init_process().unwrap().pid();
    limit(pid, ("pids", "pids.max", "pids.max"), 60);
    container.start(limited()).unwrap();
    until("it works", || user_time(pid) > 0);
    for _ in 0..20 {
        container.pause(limited()).unwrap();
        let before = container.pids().unwrap();
        thread::sleep(Duration::from_millis(5));
        assert_eq!(container.pids().unwrap(), before);
        container.resume(limited()).unwrap();
    }
    container.delete(true, limited()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn what_somebody_else_froze_is_paused_and_can_be_resumed() {
    if skipped_anywhere("what_somebody_else_froze_is_paused_and_can_be_resumed") {
        return;
    }
    let world = World::new("pause-other");
    world.config(&["sleep", "1000"], |_| {});
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    let freezer = freezer(&container);
    set_frozen(&freezer, true);
    assert_eq!(status(&container), Status::Paused);
    container.resume(limited()).unwrap();
    assert_eq!(status(&container), Status::Running);
    container.delete(true, limited()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn a_container_below_a_frozen_cgroup_says_that_it_cannot_go_on() {
    if skipped_anywhere("a_container_below_a_frozen_cgroup_says_that_it_cannot_go_on") {
        return;
    }
    let world = World::new("pause-above");
    let above = world.id("above");
    world.config(&["sleep", "1000"], |config| {
        config["linux"]["cgroupsPath"] = json!(format!("/{above}/c"));
    });
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    let freezer = freezer(&container);
    let above = freezer.parent().unwrap();
    container.pause(limited()).unwrap();
    set_frozen(above, true);
    let short = Call { timeout: Some(Duration::from_millis(200)), cancel: None };
    let refused = container.resume(short).unwrap_err();
    assert!(matches!(refused.kind(), Kind::Cgroup | Kind::Timeout), "{refused}");
    assert_eq!(status(&container), Status::Paused);
    set_frozen(above, false);
    until("it goes on", || status(&container) == Status::Running);
    container.delete(true, limited()).unwrap();
    for entry in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        let _ = fs::remove_dir(entry.path().join(above.file_name().unwrap()));
    }
    let _ = fs::remove_dir(above);
    world.assert_nothing_left();
}

#[test]
fn a_call_that_is_cancelled_freezes_nothing() {
    if skipped_anywhere("a_call_that_is_cancelled_freezes_nothing") {
        return;
    }
    let world = World::new("pause-cancel");
    world.config(&["sleep", "1000"], |_| {});
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    let (read, write) = nix::unistd::pipe().unwrap();
    drop(write);
    let cancelled = Call { timeout: None, cancel: Some(read.as_fd()) };
    assert_eq!(container.pause(cancelled).unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(status(&container), Status::Running);
    container.pause(limited()).unwrap();
    assert_eq!(container.resume(cancelled).unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(status(&container), Status::Paused);
    container.delete(true, limited()).unwrap();
    world.assert_nothing_left();
}

/// Keeps for cli: pause_freezes_and_resume_thaws.
#[test]
fn the_command_line_says_what_runc_says() {
    if skipped_anywhere("the_command_line_says_what_runc_says") {
        return;
    }
    let world = World::new("pause-cli");
    world.config(&["sleep", "1000"], |_| {});
    let id = world.id("c");
    // A pipe of ours would stay open as long as the container lives.
    let mut run = world.riverrun(&["run", "--detach", &id]);
    assert!(run.stdout(process::Stdio::null()).stderr(process::Stdio::null()).status().unwrap().success());
    let told = |arguments: &[&str]| {
        let output = world.output(arguments);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(told(&["pause", &id]), (Some(0), String::new()));
    let state: Value = serde_json::from_slice(&world.output(&["state", &id]).stdout).unwrap();
    assert_eq!(state["status"], "paused");
    let pids: Vec<i64> =
        serde_json::from_slice(&world.output(&["ps", "--format", "json", &id]).stdout).unwrap();
    assert_eq!(json!(pids), json!([state["pid"]]));
    for (arguments, text) in [
        (vec!["pause", &id], "container not running"),
        (vec!["exec", &id, "true"], "cannot exec in a paused container (use --ignore-paused to override)"),
        (vec!["resume", "nosuch"], "container does not exist"),
    ] {
        let (code, said) = told(&arguments);
        assert!(code != Some(0) && said.contains(text), "{arguments:?}: {said}");
    }
    assert_eq!(told(&["resume", &id]), (Some(0), String::new()));
    let (code, said) = told(&["resume", &id]);
    assert!(code == Some(1) && said.contains("container not paused"), "{said}");
    assert_eq!(told(&["pause", &id]).0, Some(0));
    assert_eq!(told(&["kill", &id, "KILL"]), (Some(0), String::new()));
    until("it ends", || {
        let state: Value = serde_json::from_slice(&world.output(&["state", &id]).stdout).unwrap();
        state["status"] == "stopped"
    });
    assert_eq!(told(&["delete", &id]), (Some(0), String::new()));
    world.assert_nothing_left();
}

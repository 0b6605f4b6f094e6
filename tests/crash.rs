//! kill -9 of the runtime before each of its system calls: `delete --force` leaves nothing, whichever it was.
//!
//! The runtime is traced and killed at its nth system call, for every n until it gets through.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::zombie_processes,
    reason = "a test panics when it is wrong, and traces its children by hand"
)]

mod support;

use std::os::unix::process::CommandExt;
use std::thread;
use std::time::{Duration, Instant};

use support::{World, skipped};

/// Starts a command that stops at each system call, lets `n` of them begin, and kills it. Whether it got that far.
fn kill_at(mut command: std::process::Command, n: u32) -> bool {
    // SAFETY: ptrace(PTRACE_TRACEME) in the child before it executes.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let child = command.spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let mut status = 0;
    for _ in 0..=2 * n {
        // SAFETY: waitpid and ptrace of our own child.
        let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        assert_eq!(waited, pid);
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            return false;
        }
        // SAFETY: as above; the child is stopped.
        unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, 0) };
    }
    // SAFETY: our own child; then it is reaped.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        while libc::waitpid(pid, &raw mut status, 0) == pid
            && !libc::WIFSIGNALED(status)
            && !libc::WIFEXITED(status)
        {}
    }
    libc::WIFSIGNALED(status)
}

/// Processes of the container end on their own when the socket to the runtime closes; that takes a moment.
fn settle(world: &World) {
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.assert_nothing_left())).is_ok() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    world.assert_nothing_left();
}

/// At every `step`th system call.
fn killed_everywhere(verb: &str, step: usize) {
    let world = World::new(&format!("crash-{verb}-{step}"));
    world.config(&["true"], |_| {});
    // What a check reports while processes are still on their way out is no news.
    std::panic::set_hook(Box::new(|_| {}));
    let mut killed = 0;
    for n in (1..).step_by(step) {
        let id = world.id(&n.to_string());
        if !kill_at(world.riverrun(&[verb, &id]), n) {
            break;
        }
        killed += 1;
        let deleted = world.output(&["delete", "--force", &id]);
        assert!(deleted.status.success(), "killed at {n}: {}", String::from_utf8_lossy(&deleted.stderr));
    }
    let _ = std::panic::take_hook();
    world.output(&["delete", "--force", &world.id("last")]);
    for entry in std::fs::read_dir(&world.root).into_iter().flatten().flatten() {
        world.output(&["delete", "--force", &entry.file_name().to_string_lossy()]);
    }
    settle(&world);
    assert!(killed > 100 / step as u32, "{verb} was killed at {killed} places only");
    eprintln!("{verb}: killed at {killed} system calls");
}

#[test]
fn a_create_that_is_killed_anywhere_can_be_deleted() {
    if !skipped("a_create_that_is_killed_anywhere_can_be_deleted") {
        killed_everywhere("create", 1);
    }
}

#[test]
fn a_run_that_is_killed_anywhere_can_be_deleted() {
    if !skipped("a_run_that_is_killed_anywhere_can_be_deleted") {
        killed_everywhere("run", 1);
    }
}

/// For machines on which all of them take too long.
#[test]
fn a_sample_of_places_to_be_killed_at() {
    if !skipped("a_sample_of_places_to_be_killed_at") {
        killed_everywhere("create", 17);
        killed_everywhere("run", 29);
    }
}

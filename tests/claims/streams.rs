//! The claims about streams, terminals and what a program says of itself, through the Rust API.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use riverrun::{Container, ExecOptions, FdMap, Io, Process, Status, Stdio, WindowSize};
use serde_json::{Value, json};

use crate::rust::{LONG, gone, run, world};

fn all_of(end: OwnedFd) -> String {
    let mut text = String::new();
    File::from(end).read_to_string(&mut text).unwrap();
    text
}

fn pipe(process: &Process, stream: usize) -> OwnedFd {
    process.take_pipe(stream).unwrap()
}

/// The whole numbers that a container prints, one a call.
pub(crate) fn numbers(container: &Container) -> impl FnMut() -> u64 + use<> {
    let output = File::from(pipe(&container.init_process().unwrap(), 1));
    let mut lines = BufReader::new(output).lines();
    move || lines.next().unwrap().unwrap().parse().unwrap()
}

#[test]
fn output_comes_through_a_pipe() {
    let Some(world) = world("output_comes_through_a_pipe", "echo out; echo err >&2") else { return };
    let mut options = world.options();
    (options.io.stdout, options.io.stderr) = (Stdio::Pipe, Stdio::Pipe);
    let container = world.context().run(&world.id("c"), options).unwrap();
    let init = container.init_process().unwrap();
    assert_eq!((all_of(pipe(&init, 1)).as_str(), all_of(pipe(&init, 2)).as_str()), ("out\n", "err\n"));
    gone(&world, &container);
}

#[test]
fn input_goes_through_a_pipe() {
    let Some(world) = world("input_goes_through_a_pipe", "read word; echo got $word") else { return };
    let mut options = world.options();
    (options.io.stdin, options.io.stdout) = (Stdio::Pipe, Stdio::Pipe);
    let container = world.context().run(&world.id("c"), options).unwrap();
    let init = container.init_process().unwrap();
    File::from(pipe(&init, 0)).write_all(b"a-word\n").unwrap();
    assert_eq!(all_of(pipe(&init, 1)), "got a-word\n");
    gone(&world, &container);
}

#[test]
fn output_goes_to_a_descriptor() {
    let Some(world) = world("output_goes_to_a_descriptor", "echo to-a-file") else { return };
    let path = world.directory.join("output");
    let mut options = world.options();
    options.io.stdout = Stdio::Fd(File::create(&path).unwrap().into());
    let container = world.context().run(&world.id("c"), options).unwrap();
    container.init_process().unwrap().wait(LONG).unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "to-a-file\n");
    gone(&world, &container);
}

#[test]
fn null_streams_are_empty() {
    let Some(world) = world("null_streams_are_empty", "cat; exit 5") else { return };
    let mut options = world.options();
    options.io = Io { stdin: Stdio::Null, stdout: Stdio::Null, stderr: Stdio::Null, ..Io::default() };
    let container = world.context().run(&world.id("c"), options).unwrap();
    assert_eq!(container.init_process().unwrap().wait(LONG).unwrap().code, 5);
    gone(&world, &container);
}

#[test]
fn extra_descriptor_arrives() {
    let Some(world) = world("extra_descriptor_arrives", "echo by-five >&5") else { return };
    let (read, write) = nix::unistd::pipe().unwrap();
    let mut options = world.options();
    options.io.fds = vec![FdMap { host: write.as_raw_fd(), container: 5 }];
    let container = world.context().run(&world.id("c"), options).unwrap();
    drop(write);
    assert_eq!(all_of(read), "by-five\n");
    gone(&world, &container);
}

fn says(terminal: &mut File, wanted: &str) {
    let (mut seen, mut piece) = (String::new(), [0; 512]);
    while !seen.contains(wanted) {
        let n = terminal.read(&mut piece).unwrap();
        seen.push_str(&String::from_utf8_lossy(&piece[..n]));
    }
}

#[test]
fn terminal_has_its_size() {
    let script = "busybox stty size; read line; busybox stty size";
    let Some(world) = world("terminal_has_its_size", script) else { return };
    world.config(&["sh", "-c", script], |config| config["process"]["terminal"] = json!(true));
    let mut options = world.options();
    options.io.window = Some(WindowSize { rows: 31, cols: 97 });
    let container = world.context().run(&world.id("c"), options).unwrap();
    let init = container.init_process().unwrap();
    let mut terminal = File::from(init.console().unwrap().as_fd().try_clone_to_owned().unwrap());
    says(&mut terminal, "31 97");
    init.resize(WindowSize { rows: 40, cols: 120 }).unwrap();
    terminal.write_all(b"\n").unwrap();
    says(&mut terminal, "40 120");
    gone(&world, &container);
}

fn execute(container: &Container, args: &[&str], io: Io) -> Process {
    let mut process: Value = serde_json::from_slice(&container.process_json().unwrap()).unwrap();
    process["args"] = json!(args);
    let options = ExecOptions { process: process.to_string().into_bytes(), io, ..ExecOptions::default() };
    container.exec(options).unwrap()
}

#[test]
fn exec_reads_its_input() {
    let Some(world) = world("exec_reads_its_input", "sleep 60") else { return };
    let container = run(&world);
    let io = Io { stdin: Stdio::Pipe, stdout: Stdio::Pipe, ..Io::default() };
    let cat = execute(&container, &["cat"], io);
    File::from(pipe(&cat, 0)).write_all(b"through").unwrap();
    assert_eq!(all_of(pipe(&cat, 1)), "through");
    gone(&world, &container);
}

#[test]
fn executed_process_is_signalled() {
    let Some(world) = world("executed_process_is_signalled", "sleep 60") else { return };
    let container = run(&world);
    let second = execute(&container, &["sleep", "60"], Io { stdin: Stdio::Null, ..Io::default() });
    assert!(second.pid() > 0 && second.pid() != container.state().unwrap().pid);
    second.signal(libc::SIGKILL).unwrap();
    assert_eq!(second.wait(LONG).unwrap().signal, libc::SIGKILL);
    assert_eq!(container.state().unwrap().status, Status::Running);
    gone(&world, &container);
}

#[test]
fn pid_file_holds_the_pid() {
    let Some(world) = world("pid_file_holds_the_pid", "sleep 60") else { return };
    let file = world.directory.join("pid");
    let mut options = world.options();
    options.pid_file = Some(file.clone());
    let container = world.context().run(&world.id("c"), options).unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap(), container.state().unwrap().pid.to_string());
    gone(&world, &container);
}

/// A message to the socket that the container sees, from outside.
#[test]
fn readiness_is_heard() {
    let Some(world) = world("readiness_is_heard", "sleep 60") else { return };
    world.config(&["sleep", "60"], |config| config["root"]["readonly"] = json!(false));
    let mut options = world.options();
    options.notify = true;
    let container = world.context().create(&world.id("c"), options).unwrap();
    let heard = UnixDatagram::from(container.notify_socket().unwrap().unwrap());
    container.start(LONG).unwrap();
    let pid = container.state().unwrap().pid;
    let program = UnixDatagram::unbound().unwrap();
    program.send_to(b"READY=1", format!("/proc/{pid}/root/run/notify/notify.sock")).unwrap();
    let mut message = [0; 64];
    // Its descriptor does not block.
    crate::rust::eventually("it is heard", || {
        heard.recv(&mut message).is_ok_and(|n| &message[..n] == b"READY=1")
    });
    container.delete(true, LONG).unwrap();
    let container = run(&world);
    assert!(container.notify_socket().unwrap().is_none(), "it was not asked for");
    gone(&world, &container);
}

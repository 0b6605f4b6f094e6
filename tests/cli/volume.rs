//! Much output, readers that have had enough, and whose end it is.
#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::process::{ChildStdout, Stdio};
use std::thread;

use nix::pty::openpty;
use serde_json::json;

use super::sandbox::{Sandbox, Watched};

const MUCH: u64 = 100 << 20;
/// A terminal moves 4 KiB at once, under runc as here: the whole of it would take half a minute on a busy machine.
const MUCH_FOR_A_TERMINAL: u64 = 16 << 20;

/// Lines of 16 bytes: what is missing or changed shows at its place.
fn lines(size: u64) -> String {
    format!("yes 0123456789abcde | head -c {size}; exit 3")
}

/// Reads `stdout` to its end: how much it was, and where the first byte is that is not what [`lines`] prints.
fn read_lines(mut stdout: ChildStdout) -> (u64, Option<u64>) {
    let (mut count, mut wrong) = (0, None);
    let line = b"0123456789abcde\n";
    let mut chunk = vec![0; 1 << 16];
    loop {
        let length = stdout.read(&mut chunk).unwrap();
        if length == 0 {
            return (count, wrong);
        }
        for byte in &chunk[..length] {
            if wrong.is_none() && *byte != line[usize::try_from(count % 16).unwrap()] {
                wrong = Some(count);
            }
            count += 1;
        }
    }
}

#[test]
fn hundred_mebibytes_come_whole_through_a_pipe() {
    let Some(sandbox) = Sandbox::with_bundle(&lines(MUCH)) else { return };
    let mut child = Watched::spawn(sandbox.command("run -b bundle web").stdout(Stdio::piped()));
    let read = read_lines(child.0.stdout.take().unwrap());
    assert_eq!((child.wait(), read), (3, (MUCH, None)));
}

#[test]
fn much_output_comes_whole_through_a_terminal_and_a_pipe() {
    let Some(sandbox) = Sandbox::with_bundle(&lines(MUCH_FOR_A_TERMINAL)) else { return };
    let sandbox = sandbox.process("terminal", json!(true));
    let pty = openpty(None, None).unwrap();
    let mut command = sandbox.command("run -b bundle web");
    command.stderr(pty.slave.try_clone().unwrap()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = Watched::spawn(&mut command);
    let read = read_lines(child.0.stdout.take().unwrap());
    assert_eq!((child.wait(), read), (3, (MUCH_FOR_A_TERMINAL, None)));
}

#[test]
fn reader_that_has_had_enough_ends_the_writer() {
    let Some(sandbox) = Sandbox::with_bundle("yes; exit 6") else { return };
    let sandbox = sandbox.process("env", json!(["PATH=/bin"]));
    let mut command = sandbox.command("run -b bundle web");
    assert_eq!(first_line(&mut Watched::spawn(command.stdout(Stdio::piped()).stderr(Stdio::null()))), 6);
    let sandbox = sandbox.process("args", json!(["sh", "-c", "while :; do sleep 0.1; done"]));
    sandbox.run("run -d -b bundle web").ok();
    let mut command = sandbox.command("exec web sh -c");
    command.arg("yes; exit 6");
    assert_eq!(first_line(&mut Watched::spawn(command.stdout(Stdio::piped()).stderr(Stdio::null()))), 6);
}

/// Reads something, closes its end, and returns the status.
fn first_line(child: &mut Watched) -> i32 {
    let mut stdout = child.0.stdout.take().unwrap();
    let mut line = [0; 2];
    stdout.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"y\n");
    drop(stdout);
    child.wait()
}

#[test]
fn writer_that_goes_away_is_the_end_of_the_input() {
    let Some(sandbox) = Sandbox::with_bundle("cat | wc -c; exit 4") else { return };
    let bytes: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
    let mut command = sandbox.command("run -b bundle web");
    let mut child = Watched::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut stdin = child.0.stdin.take().unwrap();
    let count = bytes.len();
    let writer = thread::spawn(move || stdin.write_all(&bytes));
    let mut printed = String::new();
    child.0.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!((child.wait(), printed.trim()), (4, count.to_string().as_str()));
}

//! Streams and descriptors of a process without a terminal: pipes, closed streams, descriptors handed on.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::thread;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::json;

use super::sandbox::{Outcome, RIVERRUN, Sandbox, Watched};

/// Lets a shell rearrange the descriptors before the program runs: `"$@"` is riverrun with its state root.
fn shell(sandbox: &Sandbox, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", RIVERRUN, "--root", &sandbox.root()]);
    command.current_dir(&sandbox.directory).env_remove("LISTEN_FDS").env_remove("LISTEN_PID");
    command
}

/// Keeps for cli: input_goes_through_a_pipe.
#[test]
fn bytes_go_through_pipes_unchanged() {
    let Some(sandbox) = Sandbox::with_bundle("cat") else { return };
    let bytes: Vec<u8> =
        (0..1_000_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut command = sandbox.command("run -b bundle web");
    let mut child = Watched::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let (mut stdin, mut stdout) = (child.0.stdin.take().unwrap(), child.0.stdout.take().unwrap());
    let typed = bytes.clone();
    let writer = thread::spawn(move || stdin.write_all(&typed));
    let mut printed = Vec::new();
    stdout.read_to_end(&mut printed).unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(child.wait(), 0);
    assert!(printed == bytes, "{} bytes of {} came back", printed.len(), bytes.len());
}

/// Keeps for cli: output_comes_through_a_pipe.
#[test]
fn standard_error_is_apart() {
    let Some(sandbox) = Sandbox::with_bundle("echo out; echo err >&2") else { return };
    let outcome = sandbox.run("run -b bundle web");
    assert_eq!((outcome.status, outcome.stdout.as_str(), outcome.stderr.as_str()), (0, "out\n", "err\n"));
}

/// Keeps for cli: null_streams_are_empty.
#[test]
fn closed_streams_are_null_for_the_program_and_the_container() {
    let script =
        "for fd in 0 1 2; do readlink /proc/self/fd/$fd >>/tmp/links; done; ls /proc/self/fd >/tmp/fds";
    let Some(sandbox) = Sandbox::with_bundle(script) else { return };
    let outcome = sandbox.outcome(shell(&sandbox, "\"$@\" run -b bundle web 0<&- 1>&- 2>&-"));
    assert_eq!(outcome.status, 0);
    // The first link is the one of standard input; the others are redirected or inherited.
    let links = fs::read_to_string(sandbox.path("bundle/rootfs/tmp/links")).unwrap();
    assert_eq!(links.lines().next(), Some("/dev/null"), "{links}");
    let outcome = sandbox.outcome(shell(&sandbox, "\"$@\" --log log state nobody 0<&- 1>&- 2>&-; echo $?"));
    assert_eq!(outcome.stdout, "1\n");
    assert!(fs::read_to_string(sandbox.path("log")).unwrap().contains("container does not exist"));
}

#[test]
fn reader_that_goes_away_is_an_error_not_a_panic() {
    let sandbox = Sandbox::empty();
    let outcome = sandbox.outcome(shell(&sandbox, "\"$@\" --help | true; \"$@\" --version >/dev/full"));
    assert_eq!(outcome.status, 1);
    assert!(
        outcome.message().starts_with("write to standard output: no space left on device"),
        "{outcome:?}"
    );
    assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
}

#[test]
fn no_descriptor_of_the_caller_or_ours_reaches_the_container() {
    let Some(sandbox) = Sandbox::with_bundle("cd /proc/self/fd; echo *") else { return };
    let line = "exec 3<config 4<config 9<config; \"$@\" --log log run -b bundle web";
    File::create(sandbox.path("config")).unwrap();
    let outcome = sandbox.outcome(shell(&sandbox, line));
    // The shell's own descriptor for reading the directory is gone when echo prints.
    let fds: Vec<&str> = outcome.stdout.split_whitespace().filter(|fd| fd.parse::<u32>().is_ok()).collect();
    assert!(fds.starts_with(&["0", "1", "2"]) && fds.len() <= 4 && !fds.contains(&"9"), "{outcome:?}");
}

/// Keeps for cli: extra_descriptor_arrives.
#[test]
fn preserved_descriptors_keep_their_numbers() {
    let Some(sandbox) =
        Sandbox::with_bundle("cat <&3; cat <&4; [ ! -e /proc/self/fd/5 ] && echo three and four")
    else {
        return;
    };
    fs::write(sandbox.path("three"), "3\n").unwrap();
    fs::write(sandbox.path("four"), "4\n").unwrap();
    let script = "exec 3<three 4<four 5<four; \"$@\" --log log run --preserve-fds 2 -b bundle web";
    assert_eq!(sandbox.outcome(shell(&sandbox, script)).ok().stdout, "3\n4\nthree and four\n");
    let sandbox = sandbox.process("args", json!(["sh", "-c", "while :; do sleep 0.1; done"]));
    sandbox.run("run -d -b bundle web").ok();
    let script = "exec 3<three; \"$@\" exec --preserve-fds=1 web sh -c 'cat <&3'";
    assert_eq!(sandbox.outcome(shell(&sandbox, script)).ok().stdout, "3\n");
}

#[test]
fn descriptor_that_is_not_open_cannot_be_preserved() {
    let sandbox = Sandbox::empty();
    fs::write(sandbox.path("config.json"), r#"{"ociVersion":"1.0.2","process":{}}"#).unwrap();
    // The log would be descriptor 3 if it were opened first, and pass for the caller's.
    let outcome = sandbox.outcome(shell(&sandbox, "\"$@\" --log log run --preserve-fds 1 web 3<&-"));
    let message = "runc run failed: unable to stat preserved-fd 0 (of 1): bad file descriptor\n";
    assert_eq!((outcome.status, outcome.stderr.as_str()), (1, message));
}

#[test]
fn sockets_of_a_service_manager_are_handed_on_before_preserved_ones() {
    let script = "echo $LISTEN_FDS $LISTEN_PID; cat <&3; cat <&4; cat <&5";
    let Some(sandbox) = Sandbox::with_bundle(script) else { return };
    for name in ["three", "four", "five"] {
        fs::write(sandbox.path(name), format!("{name}\n")).unwrap();
    }
    let open = "exec 3<three 4<four 5<five; export LISTEN_FDS=2";
    let ours = format!("{open} LISTEN_PID=$$; exec \"$@\" run --preserve-fds 1 -b bundle web");
    assert_eq!(sandbox.outcome(shell(&sandbox, &ours)).ok().stdout, "2 1\nthree\nfour\nfive\n");
    let others = format!("{open} LISTEN_PID=1; exec \"$@\" run --preserve-fds 3 -b bundle web");
    assert_eq!(sandbox.outcome(shell(&sandbox, &others)).ok().stdout, "\nthree\nfour\nfive\n");
}

/// Runs the program while listening at the path `socket`; returns the outcome, and what was sent: the text and the
/// number of descriptors beside it.
fn listening(sandbox: &Sandbox, line: &str) -> (Outcome, String, usize) {
    let listener = UnixListener::bind(sandbox.path("socket")).unwrap();
    let receiver = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut text = [0; 64];
        let mut control = nix::cmsg_space!([RawFd; 4]);
        let mut parts = [IoSliceMut::new(&mut text)];
        let message =
            recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)
                .unwrap();
        let count = |entry| if let ControlMessageOwned::ScmRights(fds) = entry { fds.len() } else { 0 };
        let (bytes, fds) = (message.bytes, message.cmsgs().unwrap().map(count).sum());
        (String::from_utf8_lossy(&text[..bytes]).into_owned(), fds)
    });
    let outcome = sandbox.run(line);
    // If nobody connects, this does, so that the test ends.
    drop(UnixStream::connect(sandbox.path("socket")));
    let (text, fds) = receiver.join().unwrap();
    fs::remove_file(sandbox.path("socket")).unwrap();
    (outcome, text, fds)
}

#[test]
fn sockets_are_sent_the_terminal_and_the_pidfd() {
    let Some(sandbox) = Sandbox::with_bundle("while :; do sleep 0.1; done") else { return };
    let sandbox = sandbox.process("terminal", json!(true));
    let sent = |line: &str| {
        let (outcome, text, fds) = listening(&sandbox, line);
        outcome.ok();
        assert_eq!(fds, 1, "{line}");
        text
    };
    assert_eq!(sent("run -d -b bundle --console-socket socket one"), "/dev/pts/0");
    assert_eq!(sent("exec -d -t --console-socket socket one sleep 60"), "/dev/pts/1");
    assert_eq!(sent("exec -d --pidfd-socket socket one sleep 60"), "setns");
    sandbox.run("delete -f one").ok();
    let sandbox = sandbox.process("terminal", json!(false));
    let (outcome, text, fds) = listening(&sandbox, "create -b bundle --pidfd-socket socket two");
    assert_eq!((outcome.ok().status, text.as_str(), fds), (0, "standard", 1));
}

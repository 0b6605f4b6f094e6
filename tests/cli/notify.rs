//! sd_notify through the container, with a socket of the test's in the service manager's place.
#![forbid(unsafe_code)]

use std::fs;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::process::Command;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::json;

use super::contract::{PEERS, peer};
use super::sandbox::{LIMIT, RIVERRUN, Sandbox, Watched, until};

/// Sends its argument to `$NOTIFY_SOCKET`.
const SAY: &str = include_str!("../support/say.c");

/// A container whose program can `say` something, and the service manager's socket.
fn scene(script: &str) -> Option<(Sandbox, UnixDatagram)> {
    let sandbox = Sandbox::with_bundle(script)?;
    fs::write(sandbox.path("say.c"), SAY).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-static", "-o"]).arg(sandbox.path("bundle/rootfs/bin/say")).arg(sandbox.path("say.c"));
    match cc.status() {
        Err(error) => {
            eprintln!("skipped, a program that notifies: cc: {error}");
            return None;
        }
        Ok(status) => assert!(status.success()),
    }
    let manager = UnixDatagram::bind(sandbox.path("manager")).unwrap();
    manager.set_read_timeout(Some(LIMIT)).unwrap();
    Some((sandbox, manager))
}

fn command(sandbox: &Sandbox, line: &str) -> Command {
    let mut command = sandbox.command(line);
    command
        .env("NOTIFY_SOCKET", sandbox.path("manager"))
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID");
    command
}

/// The next message. A descriptor beside it, which a barrier must have, is closed, as a service manager does.
fn heard(manager: &UnixDatagram) -> String {
    let mut message = [0; 4096];
    let mut space = cmsg_space!(RawFd);
    let mut parts = [IoSliceMut::new(&mut message)];
    let received =
        recvmsg::<()>(manager.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC);
    let received = received.expect("a message comes");
    let fds: Vec<RawFd> = received
        .cmsgs()
        .unwrap()
        .flat_map(|control| match control {
            ControlMessageOwned::ScmRights(fds) => fds,
            other => panic!("{other:?}"),
        })
        .collect();
    let length = received.bytes;
    fds.iter().for_each(|fd| nix::unistd::close(*fd).unwrap());
    let text = String::from_utf8_lossy(&message[..length]).into_owned();
    assert_eq!(fds.len(), usize::from(text == "BARRIER=1"), "descriptors beside {text:?}");
    text
}

/// Keeps for cli: readiness_is_heard.
#[test]
fn foreground_passes_on_all_that_a_program_says_of_itself() {
    let script = "for word in STATUS=warm MAINPID=1 READY=1 RELOADING=1 WATCHDOG=1 FDSTORE=1 STOPPING=1; do
        say $word || exit 9; done; say \"$(printf 'READY=1\\nSTATUS=two lines')\"; echo $WATCHDOG_USEC $WATCHDOG_PID";
    let Some((sandbox, manager)) = scene(script) else { return };
    let mut command = command(&sandbox, "run -b bundle web");
    command.env("WATCHDOG_USEC", "3000000");
    let outcome = sandbox.outcome(command);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "3000000 1\n"), "{outcome:?}");
    assert_eq!(heard(&manager), "STATUS=warm\n");
    let ready = heard(&manager);
    let pid = ready.strip_prefix("READY=1\nMAINPID=").expect(&ready);
    assert!(pid.trim().parse::<u32>().is_ok_and(|pid| pid > 1), "{ready}");
    assert_eq!(heard(&manager), "BARRIER=1", "once, after the first READY=1");
    for word in ["RELOADING=1\n", "WATCHDOG=1\n", "STOPPING=1\n"] {
        assert_eq!(heard(&manager), word);
    }
    assert_eq!(heard(&manager), format!("READY=1\nSTATUS=two lines\nMAINPID={pid}"));
}

const SAYS_READY_WHEN_TOLD: &str =
    "echo $NOTIFY_SOCKET >/tmp/began; until [ -e /tmp/go ]; do sleep 0.05; done
    say READY=1; while :; do sleep 0.1; done";

/// Lets the container of `scene` say that it is ready, once it is seen that `child` waits for that.
fn lets_it_be_ready(sandbox: &Sandbox, child: &mut Watched) {
    let began = sandbox.path("bundle/rootfs/tmp/began");
    assert!(until(LIMIT, || fs::read_to_string(&began).is_ok_and(|text| text.ends_with('\n'))));
    assert_eq!(fs::read_to_string(&began).unwrap(), "/run/notify/notify.sock\n");
    assert!(!child.has_ended(), "it did not wait for READY=1");
    fs::write(sandbox.path("bundle/rootfs/tmp/go"), "").unwrap();
}

#[test]
fn detached_run_returns_once_the_program_is_ready() {
    let Some((sandbox, manager)) = scene(SAYS_READY_WHEN_TOLD) else { return };
    let mut child = Watched::spawn(&mut command(&sandbox, "run -d --pid-file pid -b bundle web"));
    lets_it_be_ready(&sandbox, &mut child);
    let pid = fs::read_to_string(sandbox.path("pid")).unwrap();
    assert_eq!(heard(&manager), format!("READY=1\nMAINPID={pid}\n"));
    assert_eq!(heard(&manager), "BARRIER=1");
    assert_eq!(child.wait(), 0);
}

#[test]
fn start_returns_once_the_program_is_ready() {
    let Some((sandbox, manager)) = scene(SAYS_READY_WHEN_TOLD) else { return };
    // An ordinary user of the container may say so, too.
    let sandbox = sandbox.process("user", json!({"uid": 1000, "gid": 1000}));
    fs::set_permissions(
        sandbox.path("bundle/rootfs/tmp"),
        std::os::unix::fs::PermissionsExt::from_mode(0o1777),
    )
    .unwrap();
    sandbox.outcome(command(&sandbox, "create --pid-file pid -b bundle web")).ok();
    let mut child = Watched::spawn(&mut command(&sandbox, "start web"));
    lets_it_be_ready(&sandbox, &mut child);
    let pid = fs::read_to_string(sandbox.path("pid")).unwrap();
    assert_eq!(heard(&manager), format!("READY=1\nMAINPID={pid}\n"));
    assert_eq!(heard(&manager), "BARRIER=1");
    assert_eq!(child.wait(), 0);
    // A further process is not the service.
    assert_eq!(sandbox.sh("exec web", "echo $NOTIFY_SOCKET").ok().stdout, "\n");
}

/// The two lines that a manager hears of a container that says `READY=1`, with names for the pids; then, with `barrier`,
/// that one comes, with a descriptor beside it.
fn told(program: PathBuf, line: &str, barrier: bool) -> Option<Vec<String>> {
    let (mut sandbox, manager) = scene("say READY=1; sleep 2")?;
    sandbox.program = program;
    let mut child = Watched::spawn(&mut command(&sandbox, line));
    let mut lines: Vec<String> = Vec::new();
    while lines.len() < 2 {
        lines.extend(heard(&manager).lines().map(str::to_owned));
    }
    if barrier {
        assert_eq!(heard(&manager), "BARRIER=1");
    }
    // Nobody is left to acknowledge a barrier, which ends the wait for it.
    drop(manager);
    assert_eq!(child.wait(), 0);
    let container = fs::read_to_string(sandbox.path("pid")).unwrap();
    for line in &mut lines {
        let named = line.replace(&format!("={container}"), "=container");
        *line = named.replace(&format!("={}", child.pid()), "=runtime");
    }
    drop(sandbox.run("delete -f web"));
    Some(lines)
}

#[test]
fn service_manager_hears_of_a_ready_container_what_it_hears_with_runc() {
    for (line, pid) in [
        ("run -d --pid-file pid -b bundle web", "MAINPID=container"),
        ("run --pid-file pid -b bundle web", "MAINPID=runtime"),
    ] {
        let Some(ours) = told(RIVERRUN.into(), line, true) else { return };
        assert_eq!(ours, ["READY=1", pid], "{line}");
        for (name, version) in PEERS {
            // It came with runc 1.2.
            let barrier = *name != PEERS[0].0;
            let Some(peer) = peer(name, version) else { continue };
            assert_eq!(Some(&ours), told(peer, line, barrier).as_ref(), "{name}: {line}");
        }
    }
}

#[test]
fn program_that_ends_without_a_word_ends_the_wait() {
    let Some((sandbox, _manager)) = scene("exit 3") else { return };
    sandbox.outcome(command(&sandbox, "run -d -b bundle web")).ok();
    sandbox.run("delete web").ok();
    sandbox.outcome(command(&sandbox, "create -b bundle web")).ok();
    sandbox.outcome(command(&sandbox, "start web")).ok();
}

#[test]
fn nobody_who_listens_is_an_error_and_nothing_is_left() {
    let Some((sandbox, manager)) = scene("exit 0") else { return };
    drop(manager);
    let outcome = sandbox.outcome(command(&sandbox, "run -d -b bundle web"));
    assert_eq!(outcome.status, 1);
    assert!(outcome.message().ends_with("/manager: connection refused"), "{outcome:?}");
    assert_eq!(sandbox.ids(), [""; 0]);
}

#[test]
fn service_manager_may_have_a_socket_without_a_path() {
    let Some((sandbox, _)) = scene("say READY=1") else { return };
    let name = format!("riverrun-test-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    manager.set_read_timeout(Some(LIMIT)).unwrap();
    let mut command = command(&sandbox, "run -b bundle web");
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    sandbox.outcome(command).ok();
    assert!(heard(&manager).starts_with("READY=1\nMAINPID="));
}

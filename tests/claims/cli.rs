//! The claims through the command line, as far as no other test of it keeps them: `Keeps for cli`.

use std::fs;
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, Watched};

#[test]
fn spec_is_a_valid_config() {
    for flags in ["", " --rootless"] {
        let Some(sandbox) = Sandbox::with_bundle("") else { return };
        fs::remove_file(sandbox.path("bundle/config.json")).unwrap();
        sandbox.run(&format!("spec -b bundle{flags}")).ok();
        // All of it but what asks for a terminal, and the name of a cgroup, which goes with the sandbox.
        let path = sandbox.path("bundle/config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["sh", "-c", "exit 7"]);
        config["linux"]["cgroupsPath"] = sandbox.config["linux"]["cgroupsPath"].clone();
        fs::write(path, config.to_string()).unwrap();
        let outcome = sandbox.run("run -b bundle web");
        assert_eq!(outcome.status, 7, "{flags}: {outcome:?}");
    }
}

#[test]
fn bad_config_names_the_place() {
    let Some(sandbox) = Sandbox::with_bundle("") else { return };
    let sandbox = sandbox.process("cwd", json!(7));
    let outcome = sandbox.run("create -b bundle web");
    assert!(outcome.status == 1 && outcome.message().contains("process.cwd"), "{outcome:?}");
    assert_eq!(sandbox.ids(), [""; 0]);
}

#[test]
fn exec_reads_its_input() {
    let Some(sandbox) = Sandbox::with_bundle("while :; do sleep 0.1; done") else { return };
    sandbox.run("run -d -b bundle web").ok();
    let mut command = sandbox.command("exec web cat");
    let mut child = Watched::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    child.0.stdin.take().unwrap().write_all(b"through").unwrap();
    let mut text = String::new();
    child.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((child.wait(), text.as_str()), (0, "through"));
}

/// Whoever listens at `--pidfd-socket` has it.
#[test]
fn pidfd_is_readable_at_the_end() {
    let Some(sandbox) = Sandbox::with_bundle("while :; do sleep 0.1; done") else { return };
    let listener = UnixListener::bind(sandbox.path("socket")).unwrap();
    sandbox.run("run -d -b bundle --pidfd-socket socket web").ok();
    let pidfd = received(&listener.accept().unwrap().0);
    let ended =
        |patience: u16| poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], patience).unwrap() == 1;
    assert!(!ended(0));
    sandbox.run("kill web KILL").ok();
    assert!(ended(60_000));
}

fn received(stream: &UnixStream) -> OwnedFd {
    let (mut text, mut control) = ([0; 64], nix::cmsg_space!([RawFd; 1]));
    let mut parts = [IoSliceMut::new(&mut text)];
    let message =
        recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)
            .unwrap();
    let Some(ControlMessageOwned::ScmRights(fds)) = message.cmsgs().unwrap().next() else {
        panic!("no descriptor came")
    };
    // SAFETY: it was just received, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fds[0]) }
}

//! Ctrl-C, or a service manager's SIGTERM, while a container is being made: it is not made, and nothing is left.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::json;

use super::sandbox::{LIMIT, RIVERRUN, Sandbox, Watched, until};

/// A bundle with a hook that says its pid and goes on for ever, or until the file `go` is there.
fn with_a_hook_that_takes_long() -> Option<Sandbox> {
    let mut sandbox = Sandbox::with_bundle("exit 4")?;
    let directory = sandbox.directory.display();
    let script = format!(
        "grep -q 'SigBlk:.0000000000000000' /proc/self/status || exit 1
        echo $$ >{directory}/new && mv {directory}/new {directory}/began
        until [ -e {directory}/go ]; do sleep 0.05; done"
    );
    sandbox.config["hooks"] = json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]});
    sandbox.write_config();
    Some(sandbox)
}

fn began(sandbox: &Sandbox) -> String {
    let file = sandbox.path("began");
    assert!(until(LIMIT, || file.exists()), "the hook does not run");
    let pid = fs::read_to_string(&file).unwrap().trim().to_owned();
    fs::remove_file(&file).unwrap();
    pid
}

/// Keeps for cli: cancelled_create_leaves_nothing.
#[test]
fn create_that_is_interrupted_leaves_nothing() {
    let Some(sandbox) = with_a_hook_that_takes_long() else { return };
    for (line, signal, status) in [
        ("create --pid-file pid -b bundle web", Signal::SIGINT, 130),
        ("run -d --pid-file pid -b bundle web", Signal::SIGTERM, 143),
        ("run -b bundle web", Signal::SIGHUP, 129),
    ] {
        let mut child = Watched::spawn(&mut sandbox.command(line));
        let hook = began(&sandbox);
        child.signal(signal);
        assert_eq!(child.wait(), status, "{line}");
        assert_eq!(fs::read_dir(sandbox.path("root")).unwrap().count(), 0, "{line}");
        let ended = || match fs::read_to_string(format!("/proc/{hook}/stat")) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        assert!(until(LIMIT, ended), "{line}: the hook goes on");
        let cgroup = sandbox.directory.file_name().unwrap();
        for controller in ["memory", "pids", "unified", ""] {
            let path = Path::new("/sys/fs/cgroup").join(controller).join(cgroup);
            assert!(!path.exists(), "{line}: {} is left", path.display());
        }
        assert!(!sandbox.path("pid").exists(), "{line}");
    }
}

#[test]
fn signal_that_the_caller_ignores_cancels_nothing() {
    let Some(sandbox) = with_a_hook_that_takes_long() else { return };
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh", RIVERRUN, "--root", &sandbox.root()]);
    command.args(["create", "-b", &sandbox.bundle(), "web"]);
    let mut child = Watched::spawn(&mut command);
    began(&sandbox);
    child.signal(Signal::SIGHUP);
    fs::write(sandbox.path("go"), "").unwrap();
    assert_eq!(child.wait(), 0);
    assert_eq!(sandbox.ids(), ["web"]);
}

#[test]
fn exec_that_is_interrupted_leaves_no_process() {
    let Some(sandbox) = Sandbox::with_bundle("while :; do sleep 0.1; done") else { return };
    sandbox.run("run -d -b bundle web").ok();
    for (line, signal, status) in [
        ("exec --ignore-paused --pid-file pid web sleep 600", Signal::SIGINT, 130),
        ("exec --ignore-paused -d --pid-file pid web sleep 600", Signal::SIGTERM, 143),
    ] {
        // Nothing can be executed in a paused container, so that an exec waits until it goes on.
        sandbox.run("pause web").ok();
        let mut child = Watched::spawn(&mut sandbox.command(line));
        let file = format!("/proc/{}/status", child.pid());
        let waits = || {
            let text = fs::read_to_string(&file).unwrap_or_default();
            text.starts_with("Name:\triverrun\n") && !text.contains("SigBlk:\t0000000000000000")
        };
        assert!(until(LIMIT, waits), "{line}: the signals are not blocked");
        child.signal(signal);
        assert_eq!(child.wait(), status, "{line}");
        assert!(!sandbox.path("pid").exists(), "{line}");
        sandbox.run("resume web").ok();
        let processes = sandbox.run("ps web").ok().stdout;
        assert!(
            !processes.contains("sleep 600") && !processes.contains("riverrun-init"),
            "{line}: {processes}"
        );
    }
    assert_eq!(sandbox.run("exec web echo on").ok().stdout, "on\n");
}

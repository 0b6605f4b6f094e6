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

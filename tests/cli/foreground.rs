//! `run` in the foreground without a terminal: exit statuses, signals passed on, what is left behind.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use super::sandbox::{LIMIT, RIVERRUN, Sandbox, Watched, until};

/// Runs `line` and waits until the container has made the file `/tmp/ready`.
fn begun(sandbox: &Sandbox, line: &str) -> Watched {
    let mut command = sandbox.command(line);
    command.stdout(File::create(sandbox.path("out")).unwrap());
    let child = Watched::spawn(&mut command);
    let ready = sandbox.path("bundle/rootfs/tmp/ready");
    assert!(until(LIMIT, || ready.exists()), "the container did not begin");
    child
}

fn printed(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.path("out")).unwrap()
}

#[test]
fn status_of_the_container_becomes_the_status_of_run() {
    for (script, status) in [("exit 0", 0), ("exit 7", 7), ("exit 255", 255)] {
        let Some(sandbox) = Sandbox::with_bundle(script) else { return };
        assert_eq!(sandbox.run("run -b bundle web").status, status, "{script}");
        assert_eq!(sandbox.ids(), [""; 0], "the container is deleted in the end");
    }
}

/// Keeps for cli: kill_ends_by_the_signal.
#[test]
fn death_by_a_signal_is_128_and_its_number() {
    let Some(sandbox) = Sandbox::with_bundle("touch /tmp/ready; sleep 60") else { return };
    let mut child = begun(&sandbox, "run -b bundle web");
    sandbox.run("kill web KILL").ok();
    assert_eq!(child.wait(), 137);
}

/// Keeps for cli: output_goes_to_a_descriptor.
#[test]
fn every_signal_is_passed_on() {
    let script = "for s in HUP INT QUIT USR1 USR2 ALRM TERM TSTP 35 64; do trap \"echo $s\" $s; done
        trap 'exit 3' CONT; : >/tmp/ready; while :; do sleep 0.05; done";
    let Some(sandbox) = Sandbox::with_bundle(script) else { return };
    let mut child = begun(&sandbox, "run -b bundle web");
    let mut expected = String::new();
    for name in ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM", "TSTP", "35", "64"] {
        let sent = Command::new("kill").arg("-s").arg(name).arg(child.pid().to_string()).status();
        assert!(sent.unwrap().success());
        expected += &format!("{name}\n");
        assert!(until(LIMIT, || printed(&sandbox) == expected), "{name}: {}", printed(&sandbox));
    }
    // These are riverrun's own affair.
    for signal in [Signal::SIGCHLD, Signal::SIGURG, Signal::SIGWINCH] {
        child.signal(signal);
    }
    child.signal(Signal::SIGCONT);
    assert_eq!(child.wait(), 3);
    assert_eq!(printed(&sandbox), expected);
}

#[test]
fn signal_that_arrives_early_is_not_lost() {
    let Some(sandbox) = Sandbox::with_bundle("trap 'exit 5' USR1; while :; do sleep 0.05; done") else {
        return;
    };
    let mut child = Watched::spawn(&mut sandbox.command("run -b bundle web"));
    let status = format!("/proc/{}/status", child.pid());
    let blocks = || {
        let status = fs::read_to_string(&status).unwrap_or_default();
        status.starts_with("Name:\triverrun\n") && !status.contains("SigBlk:\t0000000000000000")
    };
    assert!(until(LIMIT, blocks), "the signals are not blocked");
    // The shell may not have its trap when the first one is passed on, so there are more. None kills riverrun.
    assert!(until(LIMIT, || {
        child.signal(Signal::SIGUSR1);
        sleep(Duration::from_millis(50));
        child.has_ended()
    }));
    assert_eq!(child.wait(), 5);
}

#[test]
fn process_begins_with_no_signal_blocked_or_ignored() {
    let Some(sandbox) = Sandbox::with_bundle("") else { return };
    // No shell: it has its own wishes.
    let sandbox = sandbox.process("args", json!(["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]));
    let none = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n";
    let ignoring =
        format!("trap '' HUP QUIT TERM PIPE; {RIVERRUN} --root {} run -b bundle web", sandbox.root());
    let mut command = Command::new("sh");
    command.args(["-c", &ignoring]).current_dir(&sandbox.directory);
    assert_eq!(sandbox.outcome(command).ok().stdout, none);
    let sandbox = sandbox.process("args", json!(["sh", "-c", "sleep 60"]));
    sandbox.run("run -d -b bundle web").ok();
    assert_eq!(sandbox.run("exec web grep -E ^Sig(Blk|Ign) /proc/self/status").ok().stdout, none);
}

#[test]
fn keep_leaves_the_stopped_container() {
    let Some(sandbox) = Sandbox::with_bundle("exit 4") else { return };
    assert_eq!(sandbox.run("run --keep -b bundle web").status, 4);
    assert!(sandbox.run("state web").stdout.contains("\"status\": \"stopped\""));
    sandbox.run("delete web").ok();
}

#[test]
fn orphans_are_reaped() {
    let script = "for i in 1 2 3 4 5 6 7 8; do (sleep 0.2 &) ; done; : >/tmp/ready
        while [ ! -e /tmp/go ]; do sleep 0.05; done";
    let Some(mut sandbox) = Sandbox::with_bundle(script) else { return };
    // Without a pid namespace the orphans come to riverrun, not to the container's first process.
    let namespaces = sandbox.config["linux"]["namespaces"].as_array().unwrap().clone();
    sandbox.config["linux"]["namespaces"] = namespaces.into_iter().filter(|it| it["type"] != "pid").collect();
    sandbox.write_config();
    let mut child = begun(&sandbox, "run -b bundle web");
    let children = || fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.pid())).unwrap();
    let one = || children().split_whitespace().count() == 1;
    assert!(until(LIMIT, one), "children of riverrun: {}", children());
    fs::write(sandbox.path("bundle/rootfs/tmp/go"), "").unwrap();
    assert_eq!(child.wait(), 0);
}

#[test]
fn ignored_child_signal_of_the_caller_does_no_harm() {
    let Some(sandbox) = Sandbox::with_bundle("exit 9") else { return };
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' CHLD; exec \"$@\"", "sh", RIVERRUN, "--root", &sandbox.root()]);
    command.args(["run", "-b", &sandbox.bundle(), "web"]);
    assert_eq!(sandbox.outcome(command).status, 9);
}

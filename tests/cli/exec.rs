//! `exec`: a further process, its options and its exit status.
#![forbid(unsafe_code)]

use std::fs;

use serde_json::json;

use super::sandbox::{LIMIT, Sandbox, until};

fn running() -> Option<Sandbox> {
    let sandbox = Sandbox::with_bundle("while :; do sleep 0.1; done")?;
    let sandbox = sandbox.process("env", json!(["PATH=/bin", "A=config", "B=config"]));
    sandbox.run("run -d -b bundle web").ok();
    Some(sandbox)
}

/// Keeps for cli: exec_has_its_own_exit.
#[test]
fn status_of_the_process_becomes_the_status_of_exec() {
    let Some(sandbox) = running() else { return };
    assert_eq!(sandbox.run("exec web true").ok().stdout, "");
    assert_eq!(sandbox.sh("exec web", "exit 42").status, 42);
    assert_eq!(sandbox.sh("exec web", "kill -9 $$").status, 137);
    assert_eq!(sandbox.sh("exec web", "kill -TERM $$").status, 143);
}

/// Keeps for cli: error_has_its_chain, error_has_its_errno.
#[test]
fn what_could_not_be_executed_is_255_with_a_reason() {
    let Some(sandbox) = running() else { return };
    fs::write(sandbox.path("bundle/rootfs/etc/plain"), "").unwrap();
    for (line, end) in [
        ("exec web nope", "exec: \"nope\": executable file not found in $PATH"),
        ("exec web /nope", "exec: \"/nope\": stat /nope: no such file or directory"),
        ("exec web /etc/plain", "permission denied"),
        ("exec web", "exec args cannot be empty"),
        ("exec -u root web true", "bad uid: \"root\""),
        ("exec --cwd tmp web true", "Cwd must be an absolute path"),
        ("exec -d -t web true", "cannot allocate tty if runc will detach without setting console socket"),
        ("exec -p missing.json web", "open missing.json: no such file or directory"),
        (
            "exec --console-socket s web true",
            "cannot use console socket if runc will not detach or allocate tty",
        ),
    ] {
        let outcome = sandbox.run(line);
        let message = outcome.message();
        assert_eq!(outcome.status, 255, "{line}: {message}");
        assert!(message.starts_with("exec failed: ") && message.ends_with(end), "{line}: {message}");
    }
}

#[test]
fn environment_is_the_containers_with_additions() {
    let Some(sandbox) = running() else { return };
    let outcome = sandbox.sh("exec -e A=typed,with=comma --env C=typed web", "echo $A $B $C").ok();
    assert_eq!(outcome.stdout, "typed,with=comma config typed\n");
}

#[test]
fn user_and_groups_are_as_typed() {
    let Some(sandbox) = running() else { return };
    let ids = |options: &str| sandbox.sh(&format!("exec {options} web"), "id -u; id -g; id -G").ok().stdout;
    assert_eq!(ids("-u 1000"), "1000\n0\n0\n");
    assert_eq!(ids("--user 1000:1001 -g 5 -g 6"), "1000\n1001\n1001 5 6\n");
}

#[test]
fn directory_is_as_typed() {
    let Some(sandbox) = running() else { return };
    assert_eq!(sandbox.run("exec --cwd /tmp web pwd").ok().stdout, "/tmp\n");
}

#[test]
fn words_after_the_id_belong_to_the_command() {
    let Some(sandbox) = running() else { return };
    let outcome = sandbox.run("exec web echo -t --env x -- --help").ok();
    assert_eq!(outcome.stdout, "-t --env x -- --help\n");
}

#[test]
fn capabilities_typed_are_had_and_not_inherited() {
    let Some(mut sandbox) = Sandbox::with_bundle("while :; do sleep 0.1; done") else { return };
    sandbox.config["process"]["capabilities"] = json!({});
    sandbox.write_config();
    sandbox.run("run -d -b bundle web").ok();
    let sets =
        |line: &str| sandbox.sh(line, "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status").ok().stdout;
    let kill = "0000000000000020";
    let none = "0000000000000000";
    let expected =
        format!("CapInh:\t{none}\nCapPrm:\t{kill}\nCapEff:\t{kill}\nCapBnd:\t{kill}\nCapAmb:\t{none}\n");
    assert_eq!(sets("exec -c CAP_KILL web"), expected);
}

#[test]
fn no_new_privs_can_be_asked_for() {
    let Some(sandbox) = Sandbox::with_bundle("while :; do sleep 0.1; done") else { return };
    let sandbox = sandbox.process("noNewPrivileges", json!(false));
    sandbox.run("run -d -b bundle web").ok();
    let flag = |line: &str| sandbox.sh(line, "grep NoNewPrivs /proc/self/status").ok().stdout;
    assert_eq!(flag("exec web"), "NoNewPrivs:\t0\n");
    assert_eq!(flag("exec --no-new-privs web"), "NoNewPrivs:\t1\n");
}

#[test]
fn process_file_is_taken_whole() {
    let Some(sandbox) = running() else { return };
    let process = json!({"cwd": "/tmp", "args": ["sh", "-c", "echo $X $A; pwd; exit 9"], "env": ["PATH=/bin", "X=file"],
        "user": {"uid": 0, "gid": 0}});
    fs::write(sandbox.path("process.json"), process.to_string()).unwrap();
    let outcome = sandbox.run("exec --process process.json web");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (9, "file\n/tmp\n"));
}

#[test]
fn detached_process_goes_on_and_its_pid_is_written() {
    let Some(sandbox) = running() else { return };
    sandbox.sh("exec -d --pid-file pid web", "echo began >/tmp/began; sleep 60").ok();
    let pid = fs::read_to_string(sandbox.path("pid")).unwrap();
    let pids: Vec<u32> = serde_json::from_str(&sandbox.run("ps -f json web").stdout).unwrap();
    assert!(pids.contains(&pid.parse().unwrap()), "{pid} in {pids:?}");
    let began = sandbox.path("bundle/rootfs/tmp/began");
    assert!(until(LIMIT, || began.exists()));
}

#[test]
fn exec_works_in_a_created_container() {
    let Some(sandbox) = Sandbox::with_bundle("exit 0") else { return };
    sandbox.run("create -b bundle web").ok();
    assert_eq!(sandbox.run("exec web echo here").ok().stdout, "here\n");
}

//! A container from create to delete, and what `state`, `list` and `ps` print on the way, byte for byte.
#![forbid(unsafe_code)]

use std::fs;

use serde_json::{Value, json};

use super::sandbox::{LIMIT, Sandbox, until};

const FOREVER: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

fn status(sandbox: &Sandbox, id: &str) -> String {
    let state: Value = serde_json::from_str(&sandbox.run(&format!("state {id}")).ok().stdout).unwrap();
    state["status"].as_str().unwrap().to_owned()
}

fn stopped(sandbox: &Sandbox, id: &str) -> bool {
    until(LIMIT, || status(sandbox, id) == "stopped")
}

/// Keeps for cli: created_running_stopped, existing_id_is_refused, second_start_is_refused, running_container_is_not_deleted, open_finds_what_another_made, pid_file_holds_the_pid, exec_into_a_stopped_container_is_refused.
#[test]
fn a_container_goes_from_created_to_running_to_stopped_to_nothing() {
    let Some(sandbox) = Sandbox::with_bundle(FOREVER) else { return };
    sandbox.run("create -b bundle --pid-file pid web").ok();
    assert_eq!(status(&sandbox, "web"), "created");
    let pid = fs::read_to_string(sandbox.path("pid")).unwrap();
    assert!(!pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit()), "{pid:?}");
    sandbox.run("start web").ok();
    assert_eq!(status(&sandbox, "web"), "running");
    for (line, message) in [
        ("start web", "cannot start an already running container"),
        ("delete web", "cannot delete container web that is not stopped: running"),
        ("create -b bundle web", "runc create failed: container with given ID already exists"),
        ("run -d -b bundle web", "runc run failed: container with given ID already exists"),
        ("kill web FROB", "unknown signal \"FROB\""),
    ] {
        let outcome = sandbox.run(line);
        assert_eq!((outcome.status, outcome.message().as_str()), (1, message), "{line}");
    }
    assert_eq!(status(&sandbox, "web"), "running", "no refusal touches the container");
    sandbox.run("kill web").ok();
    assert!(stopped(&sandbox, "web"), "TERM is the default signal");
    for (line, status, message) in [
        ("start web", 1, "cannot start a container that has stopped"),
        ("kill web KILL", 1, "container not running"),
        ("exec web true", 255, "exec failed: cannot exec in a stopped container"),
    ] {
        let outcome = sandbox.run(line);
        assert_eq!((outcome.status, outcome.message().as_str()), (status, message), "{line}");
    }
    sandbox.run("kill --all web 9").ok();
    sandbox.run("delete web").ok();
    assert_eq!(sandbox.run("state web").message(), "container does not exist");
}

/// Keeps for cli: run_is_create_and_start, state_document_is_the_command_lines.
#[test]
fn state_is_printed_as_runc_prints_it() {
    let Some(sandbox) = Sandbox::with_bundle(FOREVER) else { return };
    sandbox.run("run -d -b bundle --pid-file pid web").ok();
    let text = sandbox.run("state web").ok().stdout;
    let state: Value = serde_json::from_str(&text).unwrap();
    let pid: u32 = fs::read_to_string(sandbox.path("pid")).unwrap().parse().unwrap();
    let bundle = fs::canonicalize(sandbox.path("bundle")).unwrap();
    let expected = json!({
        "ociVersion": state["ociVersion"], "id": "web", "pid": pid, "status": "running",
        "bundle": bundle, "rootfs": bundle.join("rootfs"), "created": state["created"], "owner": state["owner"],
    });
    assert_eq!(text, serde_json::to_string_pretty(&expected).unwrap(), "two blanks a level, no line end");
}

/// Keeps for cli: list_names_the_containers.
#[test]
fn list_is_a_table_or_a_line_of_json() {
    let Some(mut sandbox) = Sandbox::with_bundle(FOREVER) else { return };
    sandbox.run("create -b bundle one").ok();
    let cgroup = sandbox.config["linux"]["cgroupsPath"].as_str().unwrap().to_owned();
    sandbox.config["linux"]["cgroupsPath"] = json!(cgroup + "-other");
    sandbox.write_config();
    sandbox.run("run -d -b bundle a-container-with-a-long-name").ok();
    let state = |id| serde_json::from_str::<Value>(&sandbox.run(&format!("state {id}")).stdout).unwrap();
    let states = [state("a-container-with-a-long-name"), state("one")];
    let json = sandbox.run("list --format json").ok().stdout;
    assert_eq!(json.lines().count(), 1);
    let listed: Value = serde_json::from_str(&json).unwrap();
    let ids: Vec<_> = listed.as_array().unwrap().iter().map(|state| state["id"].clone()).collect();
    assert_eq!(ids, ["a-container-with-a-long-name", "one"]);
    assert_eq!(sandbox.ids(), ["a-container-with-a-long-name", "one"]);

    let text =
        |state: &Value, key: &str| state[key].as_str().map_or_else(|| state[key].to_string(), str::to_owned);
    let bundle = text(&states[0], "bundle").len() + 3;
    let created = states.iter().map(|state| text(state, "created").len()).max().unwrap() + 3;
    let line = |cells: [String; 6]| {
        let [id, pid, status, home, time, owner] = cells;
        format!("{id:<31}{pid:<12}{status:<12}{home:<bundle$}{time:<created$}{owner}\n")
    };
    let mut table = line(["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned));
    for (state, owner) in states.iter().zip([&listed[0], &listed[1]].map(|state| text(state, "owner"))) {
        let [id, pid, status, home, time] =
            ["id", "pid", "status", "bundle", "created"].map(|key| text(state, key));
        table += &line([id, pid, status, home, time, owner]);
    }
    assert_eq!(sandbox.run("list").ok().stdout, table);
}

#[test]
fn broken_entries_do_not_spoil_the_list() {
    let Some(sandbox) = Sandbox::with_bundle(FOREVER) else { return };
    sandbox.run("create -b bundle good").ok();
    fs::create_dir(sandbox.path("root/empty")).unwrap();
    fs::create_dir(sandbox.path("root/broken")).unwrap();
    fs::write(sandbox.path("root/broken/state.json"), "{\"id\": ").unwrap();
    fs::write(sandbox.path("root/a-file"), "").unwrap();
    let outcome = sandbox.run("list -q");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, "good\n"));
    assert!(outcome.stderr.contains("load container broken: "), "{outcome:?}");
    let outcome = sandbox.run("list");
    assert_eq!((outcome.status, outcome.stdout.lines().count()), (0, 2));
}

/// Keeps for cli: members_are_listed.
#[test]
fn ps_shows_the_processes_of_the_container_and_no_other() {
    let Some(sandbox) = Sandbox::with_bundle(FOREVER) else { return };
    sandbox.run("run -d -b bundle --pid-file pid web").ok();
    let pid = fs::read_to_string(sandbox.path("pid")).unwrap();
    let pids: Vec<u32> = serde_json::from_str(&sandbox.run("ps --format json web").ok().stdout).unwrap();
    assert!(pids.contains(&pid.parse().unwrap()), "{pids:?}");
    let table = sandbox.run("ps web").ok().stdout;
    assert!(table.starts_with("UID "), "{table}");
    assert!(table.lines().skip(1).all(|line| !line.contains(" /sbin/init")), "{table}");
    let columns = sandbox.run("ps web -o pid,args").ok().stdout;
    let lines: Vec<&str> = columns.lines().skip(1).collect();
    assert!(lines.iter().any(|line| line.trim().starts_with(&pid)), "{columns}");
    for (line, message) in [
        ("ps web -o args", "couldn't find PID field in ps output"),
        ("ps -f yaml web", "invalid format option"),
    ] {
        assert_eq!(sandbox.run(line).message(), message);
    }
}

/// Keeps for cli: missing_program_is_named.
#[test]
fn create_that_does_not_succeed_leaves_nothing() {
    let Some(sandbox) = Sandbox::with_bundle("") else { return };
    let sandbox = sandbox.process("args", json!(["no-such-program"]));
    for line in ["create -b bundle web", "run -b bundle web", "run -d --keep -b bundle web"] {
        let outcome = sandbox.run(line);
        let message = outcome.message();
        assert_eq!(outcome.status, 1, "{line}");
        assert!(
            message.ends_with("exec: \"no-such-program\": executable file not found in $PATH"),
            "{message}"
        );
        assert!(
            message.starts_with(&format!("runc {} failed: ", &line[..line.find(' ').unwrap()])),
            "{message}"
        );
        assert_eq!(sandbox.ids(), [""; 0], "{line}");
    }
}

/// Keeps for cli: forced_delete_leaves_nothing.
#[test]
fn delete_takes_a_created_one_and_with_force_a_running_one() {
    let Some(sandbox) = Sandbox::with_bundle(FOREVER) else { return };
    sandbox.run("create -b bundle created").ok();
    sandbox.run("delete created").ok();
    sandbox.run("run -d -b bundle running").ok();
    sandbox.run("delete running --force").ok();
    assert_eq!(sandbox.ids(), [""; 0]);
}

#[test]
fn another_configuration_can_stand_in_for_the_bundles() {
    let Some(mut sandbox) = Sandbox::with_bundle("exit 1") else { return };
    sandbox.config["process"]["args"] = json!(["sh", "-c", "exit 6"]);
    fs::write(sandbox.path("other.json"), sandbox.config.to_string()).unwrap();
    assert_eq!(sandbox.run("run -b bundle --config other.json web").status, 6);
}

#[test]
fn relative_paths_are_relative_to_the_caller_not_to_the_bundle() {
    let Some(mut sandbox) = Sandbox::with_bundle("exit 0") else { return };
    sandbox.run("run --bundle bundle --pid-file here web").ok();
    assert!(sandbox.path("here").exists());
    assert!(!sandbox.path("bundle/here").exists());
    // The state root too: the program changes its directory to the bundle on the way.
    sandbox.config["process"]["args"] = json!(["sh", "-c", FOREVER]);
    sandbox.write_config();
    let mut command = std::process::Command::new(super::sandbox::RIVERRUN);
    command.args(["--root", "root", "create", "-b", "bundle", "web"]).current_dir(&sandbox.directory);
    sandbox.outcome(command).ok();
    assert_eq!(sandbox.ids(), ["web"]);
}

#[test]
fn patterns_name_every_container_that_matches() {
    let Some(sandbox) = Sandbox::with_bundle(FOREVER) else { return };
    let cgroup = |mut sandbox: Sandbox, name: &str| {
        let path = format!("/{}-{name}", sandbox.directory.file_name().unwrap().to_string_lossy());
        sandbox.config["linux"]["cgroupsPath"] = json!(path);
        sandbox.write_config();
        sandbox.run(&format!("run -d -b bundle {name}")).ok();
        sandbox
    };
    let sandbox = ["web-1", "web-2", "db"].into_iter().fold(sandbox, cgroup);
    // What a killed create leaves: a directory, and no state.
    fs::create_dir(sandbox.path("root/web-3")).unwrap();
    sandbox.run("kill --regex ^web-[0-9]$ KILL").ok();
    assert!(stopped(&sandbox, "web-1") && stopped(&sandbox, "web-2"));
    assert_eq!(status(&sandbox, "db"), "running");
    // One that fails does not keep the others; the status tells of it.
    let outcome = sandbox.run("delete -r .");
    assert_eq!(outcome.status, 1);
    assert!(
        outcome.message().starts_with("db: cannot delete container db that is not stopped"),
        "{outcome:?}"
    );
    assert_eq!(sandbox.ids(), ["db"]);
    assert!(!sandbox.path("root/web-3").exists());
    sandbox.run("delete --force --regex .*").ok();
    assert_eq!(sandbox.ids(), [""; 0]);
    sandbox.run("kill -r nobody").ok();
    let outcome = sandbox.run("kill --regex ( KILL");
    assert!(outcome.message().starts_with("parse regular expression: "), "{outcome:?}");
    assert_eq!(outcome.status, 1);
}

#[test]
fn process_without_a_user_is_root() {
    let Some(mut sandbox) = Sandbox::with_bundle("id -u; id -g") else { return };
    sandbox.config["process"].as_object_mut().unwrap().remove("user");
    sandbox.write_config();
    assert_eq!(sandbox.run("run -b bundle web").ok().stdout, "0\n0\n");
}

//! `--debug`: what is being done, in the shapes of the log, beside runc's.
#![forbid(unsafe_code)]

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::contract::{PEERS, peer};
use super::sandbox::{RIVERRUN, Sandbox};

/// The log of `line` as the lines of JSON that containerd decodes.
fn logged(sandbox: &Sandbox, line: &str) -> Vec<Value> {
    let _ = sandbox.run(&format!("--log log --log-format json {line}"));
    let text = fs::read_to_string(sandbox.path("log")).unwrap();
    fs::remove_file(sandbox.path("log")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn levels(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["level"].as_str().unwrap()).collect()
}

#[test]
fn debug_lines_have_the_shape_of_runcs_and_come_before_the_error() {
    let peers = PEERS.iter().filter_map(|(name, version)| peer(name, version));
    for program in peers.chain([PathBuf::from(RIVERRUN)]) {
        let Some(mut sandbox) = Sandbox::with_bundle("exit 3") else { return };
        sandbox.program = program;
        sandbox.config["process"]["capabilities"]["ambient"] = json!([]);
        let sandbox = sandbox.process("args", json!(["/nope"]));
        let name = sandbox.program.display();
        let lines = logged(&sandbox, "--debug run -b bundle x");
        let (last, before) = lines.split_last().unwrap();
        assert_eq!(last["level"], "error", "{name}");
        assert!(last["msg"].as_str().unwrap().contains("exec: \"/nope\": stat /nope: "), "{name}: {last}");
        assert!(before.len() > 2, "{name}: {before:?}");
        assert!(levels(before).iter().all(|level| *level == "debug"), "{name}: {before:?}");
        for line in &lines {
            let time = line["time"].as_str().unwrap();
            assert!(time.len() == 20 && time.ends_with('Z'), "{name}: {line}");
            assert!(line["msg"].as_str().is_some_and(|text| !text.is_empty()), "{name}: {line}");
        }
        // Without it there are none.
        assert_eq!(levels(&logged(&sandbox, "run -b bundle x")), ["error"], "{name}");
        // As text.
        let text = sandbox.run("--debug run -b bundle x").stderr;
        assert!(text.lines().count() > 3, "{name}: {text}");
        for line in text.lines().filter(|line| !line.contains("level=error")) {
            let shape = line.starts_with("time=\"") && line.contains("Z\" level=debug msg=");
            assert!(shape, "{name}: {line}");
        }
    }
}

#[test]
fn debug_tells_what_is_done_and_no_secret() {
    let Some(sandbox) = Sandbox::with_bundle("while :; do sleep 0.1; done") else { return };
    let sandbox = sandbox.process("env", json!(["PATH=/bin", "PASSWORD=hunter2"]));
    let group = sandbox.directory.file_name().unwrap().to_string_lossy().into_owned();
    let mut all = String::new();
    for (line, told) in [
        ("create -b bundle x", vec!["bundle ", &group, "init program: ", " is ready"]),
        ("start x", vec!["container x: started"]),
        ("exec -e TOKEN=hunter2 x sh -c true", vec!["steps:", "process exited: status 0"]),
        ("kill x KILL", vec!["container x: signal 9"]),
        ("delete -f x", vec!["container x: deleted"]),
    ] {
        let text = sandbox.run(&format!("--log-level debug {line}")).stderr;
        for words in told {
            assert!(text.contains(words), "{line}: {words:?} is not in {text}");
        }
        all += &text;
    }
    assert!(!all.contains("hunter2"), "{all}");
}

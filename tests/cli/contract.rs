//! What callers of runc rely upon, as a table: each row of [`super::rows`] is a command line with the status, the output
//! and the message that riverrun answers with; the same line is typed to runc, old and new, and the answers compared.
//!
//! A row may say that a peer answers otherwise, and must then say why; a reason that is not needed any more is an error,
//! too. So the table is also the list of all differences.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

use super::rows::{self, Row};
use super::sandbox::{RIVERRUN, Sandbox};

const FOREVER: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
/// Who is asked, by what it says of itself.
pub(crate) const PEERS: &[(&str, &str)] = &[("1.1.5", "runc version 1.1.5"), ("1.3.6", "runc version 1.3.6")];

/// An answer, without what cannot be the same twice.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    status: i32,
    stdout: String,
    message: String,
    /// What the pid file or the log holds, where the line names one.
    file: String,
}

#[test]
fn texts_statuses_and_formats_are_those_of_runc_or_differ_for_a_reason() {
    let Some(stage) = Stage::set(RIVERRUN.into(), "riverrun") else { return };
    let peers: Vec<_> =
        PEERS.iter().filter_map(|(name, version)| Some((*name, peer(name, version)?))).collect();
    let asked: Vec<_> =
        peers.into_iter().map(|(name, path)| (name, thread::spawn(move || ask_all(path)))).collect();
    let ours: Vec<Answer> = rows::all().map(|row| stage.ask(row)).collect();
    let mut wrong = String::new();
    for (row, answer) in rows::all().zip(&ours) {
        let expected = Answer {
            status: row.status,
            stdout: if row.stdout == "*" { answer.stdout.clone() } else { row.stdout.to_owned() },
            message: row.message.to_owned(),
            file: row.file.to_owned(),
        };
        if *answer != expected {
            wrong += &format!("{}\n  expected {expected:?}\n  answered {answer:?}\n", row.line);
        }
    }
    for (name, asked) in asked {
        let theirs: Vec<Answer> = asked.join().unwrap().expect("the peer has its containers");
        for ((row, ours), theirs) in rows::all().zip(&ours).zip(&theirs) {
            let reason = if name == PEERS[0].0 { row.old } else { row.new };
            match (ours == theirs, reason) {
                (true, Some(reason)) => {
                    wrong += &format!("{}\n  runc {name} answers the same, and not: {reason}\n", row.line);
                }
                (false, None) => {
                    wrong += &format!("{}\n  runc {name} {theirs:?}\n  riverrun   {ours:?}\n", row.line);
                }
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn systemd_that_is_not_there_is_told_in_the_words_of_runc() {
    if Path::new("/run/systemd/system").exists() {
        eprintln!("skipped, systemd_that_is_not_there_is_told_in_the_words_of_runc: it is there");
        return;
    }
    let peers = PEERS.iter().filter_map(|(name, version)| peer(name, version));
    for program in peers.chain([PathBuf::from(RIVERRUN)]) {
        let Some(mut sandbox) = Sandbox::with_bundle(FOREVER) else { return };
        sandbox.program = program;
        sandbox.config["linux"].as_object_mut().unwrap().remove("cgroupsPath");
        sandbox.write_config();
        let outcome = sandbox.run("--systemd-cgroup create -b bundle x");
        let words =
            "runc create failed: systemd not running on this host, cannot use systemd cgroups manager";
        assert_eq!(outcome.status, 1, "{outcome:?}");
        assert!(outcome.message().starts_with(words), "{outcome:?}");
    }
}

fn ask_all(program: PathBuf) -> Option<Vec<Answer>> {
    let stage = Stage::set(program, "peer")?;
    Some(rows::all().map(|row| stage.ask(row)).collect())
}

/// Where a peer is: Debian's own, or the one that is kept for comparisons.
pub(crate) fn peer(name: &str, version: &str) -> Option<PathBuf> {
    let mut places = vec![PathBuf::from("/usr/sbin/runc")];
    let kept =
        Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/get-peer")).arg("runc").output();
    if let Some(output) = kept.ok().filter(|output| output.status.success()) {
        places.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    let is_it = |place: &PathBuf| {
        let told = Command::new(place).arg("--version").output();
        told.is_ok_and(|told| String::from_utf8_lossy(&told.stdout).starts_with(version))
    };
    let found = places.into_iter().find(is_it);
    if found.is_none() {
        eprintln!("skipped, runc {name}: it is not here");
    }
    found
}

/// Three containers of one runtime, `created`, `running` and `stopped`, each with a bundle; and the bundle `b`, which a
/// row may change.
struct Stage {
    sandbox: Sandbox,
    name: String,
}

impl Stage {
    fn set(program: PathBuf, name: &str) -> Option<Self> {
        let mut sandbox = Sandbox::with_bundle(FOREVER)?;
        sandbox.program = program;
        std::os::unix::fs::symlink("bundle/rootfs", sandbox.path("link")).unwrap();
        let name = format!("{name} {}", sandbox.directory.display());
        let stage = Self { sandbox, name };
        let stopped = |config: &mut Value| config["process"]["args"] = json!(["sh", "-c", "exit 3"]);
        stage.bundle("running", &|_| {});
        stage.bundle("created", &|_| {});
        stage.bundle("stopped", &stopped);
        for line in
            ["run -d -b running running", "create -b created created", "run --keep -b stopped stopped"]
        {
            let outcome = stage.sandbox.run(line);
            assert!([0, 3].contains(&outcome.status), "{}: {line}: {outcome:?}", stage.name);
        }
        Some(stage)
    }

    fn bundle(&self, name: &str, change: &dyn Fn(&mut Value)) {
        let mut config = self.sandbox.config.clone();
        let group = self.sandbox.directory.file_name().unwrap().to_string_lossy().into_owned();
        config["linux"]["cgroupsPath"] = json!(format!("/{group}-{name}"));
        config["root"]["path"] = json!(self.sandbox.path("bundle/rootfs"));
        // Capabilities that cannot be ambient are a warning each.
        config["process"]["capabilities"]["ambient"] = json!([]);
        change(&mut config);
        fs::create_dir_all(self.sandbox.path(name)).unwrap();
        fs::write(self.sandbox.path(name).join("config.json"), config.to_string()).unwrap();
    }

    fn ask(&self, row: &Row) -> Answer {
        self.bundle("b", &row.config);
        let mut command = self.sandbox.command("");
        command.args(row.line.split(' ').map(|word| word.replace('~', " ")));
        let outcome = self.sandbox.outcome(command);
        let mut answer = Answer {
            status: outcome.status,
            stdout: self.comparable(&outcome.stdout),
            message: match outcome.stderr.contains(" msg=") {
                true => outcome.message(),
                false => self.comparable(&outcome.stderr),
            },
            file: String::new(),
        };
        answer.message = self.plain(&answer.message);
        if let Ok(text) = fs::read_to_string(self.sandbox.path("file")) {
            answer.file = self.comparable(&text);
            fs::remove_file(self.sandbox.path("file")).unwrap();
        }
        if self.sandbox.path("root/x").exists() {
            drop(self.sandbox.run("delete -f x"));
        }
        answer
    }

    /// A message without directories, the program's name and the stages of its work that runc tells beforehand.
    fn plain(&self, message: &str) -> String {
        let mut text = message.trim_end().replace(self.sandbox.directory.to_str().unwrap(), "DIR");
        let own = format!("{}: ", self.sandbox.program.display());
        text = text.replace(&own, "riverrun: ");
        for stage in [
            "unable to start container process: ",
            "unable to create new parent process: ",
            "error during container init: ",
            "unable to setup user: ",
        ] {
            text = text.replace(stage, "");
        }
        text
    }

    /// Output without directories, pids, times and versions; of a help text, that it is one.
    fn comparable(&self, output: &str) -> String {
        if let Some((head, _)) = output.split_once("NAME:\n") {
            return format!("{head}HELP");
        }
        // What is counted is never the same; `tests/stats.rs` compares it key by key.
        if let Some((head, _)) = output.split_once("\"data\":{").filter(|_| output.lines().count() == 1) {
            return format!("{head}DATA\n");
        }
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number(output) {
            return "PID".to_owned();
        }
        let mut text = output.replace(self.sandbox.directory.to_str().unwrap(), "DIR");
        for (key, stand_in) in
            [("created", "TIME"), ("time", "TIME"), ("ociVersion", "VERSION"), ("pid", "PID")]
        {
            text = with_value(&text, key, stand_in);
        }
        text
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for id in ["created", "running", "stopped", "x"] {
            drop(self.sandbox.run(&format!("delete -f {id}")));
        }
    }
}

/// The JSON text with another value at each `key`: a text or a number; a pid of 0 tells something and stays.
fn with_value(text: &str, key: &str, stand_in: &str) -> String {
    let mark = format!("\"{key}\":");
    let mut changed = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(&mark) {
        let blank = if after.starts_with(' ') { " " } else { "" };
        let end = after.find([',', '}', '\n']).unwrap_or(after.len());
        let value = if after[..end].trim() == "0" { "0" } else { stand_in };
        changed += &format!("{before}{mark}{blank}{value}");
        rest = &after[end..];
    }
    changed + rest
}

#[test]
fn values_that_cannot_be_the_same_are_left_out() {
    let text = with_value("{\"pid\": 12,\"a\":{\"pid\":0}}", "pid", "PID");
    assert_eq!(text, "{\"pid\": PID,\"a\":{\"pid\":0}}");
    assert!(Path::new(RIVERRUN).exists());
}

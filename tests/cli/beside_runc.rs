//! The same lines typed to runc and to riverrun: the same exit status, the same standard error, the same answers.
#![forbid(unsafe_code)]

use std::fs;
use std::process::Command;

use super::sandbox::{Outcome, Sandbox};

const RUNC: &str = "/usr/sbin/runc";

/// Lines whose errors must be told in the same words.
const LINES: &[&str] = &[
    "state nobody",
    "start nobody",
    "kill nobody",
    "kill nobody FOO",
    "delete nobody",
    "delete -f nobody",
    "delete --force=true nobody",
    "exec nobody true",
    "exec --tty=false nobody true",
    "ps nobody",
    "list",
    "list -q",
    "list -f json",
    "list -format=table",
    "list -f yaml",
    "list extra",
    "list --frob",
    "kill",
    "run",
    "run a b",
    "start",
    "state a b",
    "frobnicate",
    "--frob list",
    "--root",
    "--log-format xml list",
    "run x",
    "create x",
    "create --bundle nowhere x",
    "run --preserve-fds x y",
    "run --pid-file",
    "--debug=false list",
];

#[test]
fn errors_are_told_in_the_same_words() {
    if !fs::exists(RUNC).unwrap_or(false) {
        eprintln!("skipped: {RUNC} is not installed");
        return;
    }
    let sandbox = Sandbox::empty();
    fs::create_dir(sandbox.path("root")).unwrap();
    for line in LINES {
        let mut runc = Command::new(RUNC);
        runc.arg("--root").arg(sandbox.root()).args(line.split_whitespace()).current_dir(&sandbox.directory);
        let (theirs, ours) = (sandbox.outcome(runc), sandbox.run(line));
        assert_eq!(comparable(&ours), comparable(&theirs), "{line}");
        // Help texts are each program's own.
        if !theirs.stdout.contains("USAGE:") {
            assert_eq!(ours.stdout, theirs.stdout, "{line}");
        }
    }
}

/// The status and the message, without the time and the program's own name.
fn comparable(outcome: &Outcome) -> (i32, String) {
    let message = if outcome.stderr.is_empty() { String::new() } else { outcome.message() };
    let message = message.trim_end().trim_start_matches(RUNC).trim_start_matches("riverrun").to_owned();
    (outcome.status, message)
}

//! What `spec` writes: the same document as runc's, byte for byte, but for the version of the specification.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    reason = "a wrong table, or a machine that cannot write, ends the test at once"
)]

use super::runtime::{Running, Runtime};
use super::say;
use super::stage::{Stage, stage};
use std::fs;
use std::process::Command;

/// Compares the two default documents: for root, and rootless.
pub(crate) fn compare_default_specs() {
    let Some(stage) = stage() else { return };
    let Some(runc) = stage.peers.iter().find(|peer| peer.name == "runc") else {
        return say("default spec: skipped, there is no runc");
    };
    for flags in [&[][..], &["--rootless"]] {
        let ours = write(&stage, &stage.riverrun, flags);
        let theirs = write(&stage, runc, flags);
        let mut lines = ours.lines().zip(theirs.lines()).enumerate();
        if let Some((at, (own, other))) = lines.find(|(_, (own, other))| own != other) {
            panic!(
                "spec {flags:?} differs {at} lines after the version\n  riverrun  {own}\n  runc      {other}"
            );
        }
        assert_eq!(ours.len(), theirs.len(), "spec {flags:?}: one document goes on after the other's end");
    }
}

fn write(stage: &Stage, runtime: &Runtime, flags: &[&str]) -> String {
    let directory = stage.directory().join(format!("spec-{}-{}", runtime.name, flags.len()));
    fs::create_dir_all(&directory).expect("a directory for config.json");
    let mut command = Command::new(&runtime.command[0]);
    command.args(&runtime.command[1..]).arg("spec").arg("--bundle").arg(&directory).args(flags);
    let outcome = Running::start(&mut command).and_then(Running::finish).expect("spec runs");
    assert_eq!(outcome.status, Some(0), "{} spec: {}", runtime.name, outcome.stderr);
    let text = fs::read_to_string(directory.join("config.json")).expect("spec writes config.json");
    let lines = text.lines().filter(|line| !line.contains("\"ociVersion\""));
    let mut text: String = lines.flat_map(|line| [line, "\n"]).collect();
    text.push_str(if fs::read(directory.join("config.json")).is_ok_and(|bytes| bytes.ends_with(b"\n")) {
        ""
    } else {
        "(cut)"
    });
    text
}

//! What passes between the host's mounts and the container's: `rootfsPropagation`, and binds of shared mounts. Needs root.
//!
//! Each test has its host in a mount namespace of its own, where it may share what it likes.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::zombie_processes,
    reason = "a test panics when it is wrong, and traces its children by hand"
)]

mod support;

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{World, skipped};

/// Runs a script with `$RR` (the command line and its root), `$ID`, `$BUNDLE` and `$SOURCE`; what it printed.
fn on_a_host(world: &World, script: &str) -> String {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-euc", script]);
    command.env("RR", format!("{} --root {}", env!("CARGO_BIN_EXE_riverrun"), world.root.display()));
    command.env("ID", world.id("c")).env("BUNDLE", &world.bundle);
    command.env("SOURCE", world.directory.join("source")).current_dir(&world.directory);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The optional fields of the root's line in mountinfo, without their numbers.
fn of_root(seen: &str) -> String {
    let line = seen.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    let fields = line.split(' ').skip(6).take_while(|word| *word != "-");
    fields.map(|field| field.split(':').next().unwrap()).collect::<Vec<_>>().join(" ")
}

const WORDS: [(&str, &str); 9] = [
    ("", ""),
    ("private", ""),
    ("rprivate", ""),
    ("slave", "master"),
    ("rslave", "master"),
    ("shared", "shared"),
    ("rshared", "shared"),
    ("unbindable", "unbindable"),
    ("runbindable", "unbindable"),
];

#[test]
fn the_root_has_the_propagation_that_is_asked_for_and_the_host_sees_nothing() {
    if skipped("the_root_has_the_propagation_that_is_asked_for_and_the_host_sees_nothing") {
        return;
    }
    let world = World::new("propagation");
    for (word, expected) in WORDS {
        world.config(&["cat", "/proc/self/mountinfo"], |config| {
            if word.is_empty() {
                config["linux"].as_object_mut().unwrap().remove("rootfsPropagation");
            } else {
                config["linux"]["rootfsPropagation"] = json!(word);
            }
        });
        // The mount that the root filesystem lies on is shared: pivot_root would refuse it, and mounts would leak.
        let seen = on_a_host(
            &world,
            r#"mount --bind "$BUNDLE" "$BUNDLE"; mount --make-shared "$BUNDLE"
            before=$(wc -l < /proc/self/mountinfo); $RR create --bundle "$BUNDLE" "$ID"
            test "$before" = "$(wc -l < /proc/self/mountinfo)" || { echo leaked; cat /proc/self/mountinfo; }
            $RR start "$ID"; while $RR state "$ID" | grep '"running"' > /dev/null; do sleep 0.02; done; $RR delete "$ID""#,
        );
        assert!(!seen.contains("leaked"), "{word}: {seen}");
        let expected = if word.is_empty() { "master" } else { expected };
        assert_eq!(of_root(&seen), expected, "{word}: {seen}");
    }
    world.assert_nothing_left();
}

/// Whether a mount that the host makes below a shared source after `create` is there in the container, and whether one
/// of the container's is there on the host.
fn passes(root: &str, options: &[&str]) -> (bool, bool) {
    let world = World::new("late");
    fs::create_dir_all(world.directory.join("source")).unwrap();
    let script = "test -e /m/in/file && echo in; mount -t tmpfs none /m/out && echo tried";
    world.config(&["sh", "-c", script], |config: &mut Value| {
        config["linux"]["rootfsPropagation"] = json!(root);
        for set in ["bounding", "effective", "permitted"] {
            config["process"]["capabilities"][set] = json!(["CAP_SYS_ADMIN"]);
        }
        let mount =
            json!({ "destination": "/m", "source": world.directory.join("source"), "options": options });
        config["mounts"].as_array_mut().unwrap().push(mount);
    });
    let seen = on_a_host(
        &world,
        r#"mount -t tmpfs source "$SOURCE"; mount --make-shared "$SOURCE"; mkdir "$SOURCE/in" "$SOURCE/out"
        $RR create --bundle "$BUNDLE" "$ID"
        mount -t tmpfs late "$SOURCE/in"; touch "$SOURCE/in/file"
        $RR start "$ID"; while $RR state "$ID" | grep '"running"' > /dev/null; do sleep 0.02; done
        ! grep -q "source/out " /proc/self/mountinfo || echo out; $RR delete "$ID""#,
    );
    assert!(seen.contains("tried"), "{root} {options:?}: {seen}");
    world.assert_nothing_left();
    (seen.contains("in\n"), seen.contains("out\n"))
}

#[test]
fn mounts_below_a_shared_source_pass_as_is_asked_for() {
    if skipped("mounts_below_a_shared_source_pass_as_is_asked_for") {
        return;
    }
    assert_eq!(passes("rslave", &["rbind"]), (true, false));
    assert_eq!(passes("rslave", &["rbind", "rslave"]), (true, false));
    assert_eq!(passes("rslave", &["rbind", "rprivate"]), (false, false));
    assert_eq!(passes("rprivate", &["rbind"]), (false, false));
    // The way out is cut before it is bound, unless the root itself is shared.
    assert_eq!(passes("rslave", &["rbind", "rshared"]), (true, false));
    assert_eq!(passes("rshared", &["rbind", "rshared"]), (true, true));
    assert_eq!(passes("shared", &["rbind", "rslave"]), (true, false));
    assert_eq!(passes("rshared", &["rbind", "rprivate"]), (false, false));
}

#[test]
fn without_pivot_root_the_root_is_moved_and_private_is_refused() {
    if skipped("without_pivot_root_the_root_is_moved_and_private_is_refused") {
        return;
    }
    let world = World::new("no-pivot");
    let run = |word: &str| {
        world.config(&["sh", "-c", "ls /; ls /.."], |config| {
            config["linux"]["rootfsPropagation"] = json!(word)
        });
        let output = world.output(&["run", "--no-pivot", &world.id("c")]);
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let listing = "bin\ndev\nproc\nsys\n";
    assert_eq!(run("rslave"), format!("{listing}{listing}"));
    assert!(run("private").contains("is not safe without pivot_root"));
    world.assert_nothing_left();
}

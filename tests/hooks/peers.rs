//! The same hooks under riverrun, runc and crun: what each sees must be what it sees under one of the two, field by field.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::scene::{ALL, Scene, own_namespace};
use crate::support::skipped;

type Facts = BTreeMap<String, String>;

fn peers_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers")
}

/// The words that start a peer, or why there is none.
fn peer(name: &str) -> Result<Vec<PathBuf>, String> {
    let found = Command::new(peers_directory().join("get-peer")).arg(name).stdin(Stdio::null()).output();
    let found = found.map_err(|error| error.to_string())?;
    let path = String::from_utf8_lossy(&found.stdout).trim().to_owned();
    if !found.status.success() || path.is_empty() {
        return Err(String::from_utf8_lossy(&found.stderr).trim().to_owned());
    }
    // crun refuses a machine with both kinds of cgroups.
    let view = name == "crun" && Path::new("/sys/fs/cgroup/unified").exists();
    Ok(view.then(|| peers_directory().join("v1view")).into_iter().chain([path.into()]).collect())
}

/// A container's life with a recorder at every moment; what they recorded.
fn facts(name: &str, command: &[PathBuf], change: impl Fn(&mut serde_json::Value)) -> Facts {
    let scene = Scene::new(&format!("peer-{name}"));
    fs::set_permissions(&scene.log, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    fs::write(scene.log.join("order"), "").unwrap();
    fs::set_permissions(scene.log.join("order"), std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .unwrap();
    scene.config(&["sh", "-c", "sleep 0.3"], change);
    let id = scene.world.id("c");
    let mut run = Command::new(&command[0]);
    run.args(&command[1..]).arg("--root").arg(&scene.world.root);
    run.args(["run", "--bundle"]).arg(&scene.world.bundle).arg(&id).stdin(Stdio::null());
    let output = run.output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let neutral = |text: &str| {
        text.replace(&*scene.world.directory.to_string_lossy(), "WORLD").replace(&id, "ID").trim().to_owned()
    };
    let mut facts = Facts::new();
    for moment in ALL {
        let mut note = |key: &str, value: &str| {
            facts.insert(format!("{moment}.{key}"), neutral(value));
        };
        for line in scene.text(&format!("{moment}.facts")).lines() {
            let (key, value) = line.split_once(['=', ':']).unwrap();
            match key.strip_prefix("ns.") {
                // crun itself runs in a mount namespace of its own here.
                Some("mnt") if name == "crun" => {}
                Some(kind) => note(key, if value == own_namespace(kind) { "the host's" } else { "its own" }),
                None => note(key, value),
            }
        }
        let mut env: Vec<String> = scene.text(&format!("{moment}.env")).lines().map(str::to_owned).collect();
        env.sort();
        note("env", &env.join(" "));
        let state = scene.state(moment);
        for key in ["id", "status", "bundle", "annotations"] {
            note(&format!("state.{key}"), &state[key].to_string());
        }
        let pid = match state["pid"].as_i64() {
            Some(pid) if pid > 1 => "a process".to_owned(),
            other => format!("{other:?}"),
        };
        note("state.pid", &pid);
    }
    let order = scene.order();
    facts.insert("order.first".into(), order[..3].join(" "));
    facts.insert("order.last".into(), order.last().unwrap().clone());
    facts
}

#[test]
fn hooks_see_what_they_see_under_runc_or_crun() {
    if skipped("hooks_see_what_they_see_under_runc_or_crun") {
        return;
    }
    let peers: Vec<(&str, Vec<PathBuf>)> = ["runc", "crun"]
        .into_iter()
        .filter_map(|name| match peer(name) {
            Ok(command) => Some((name, command)),
            Err(reason) => {
                eprintln!("not compared with {name}: {reason}");
                None
            }
        })
        .collect();
    if peers.len() < 2 {
        eprintln!("skipped hooks_see_what_they_see_under_runc_or_crun: alone a peer settles nothing");
        return;
    }
    let change = |config: &mut serde_json::Value| {
        config["annotations"] = json!({ "org.example/key": "value" });
        config["process"]["user"] = json!({ "uid": 1000, "gid": 1000 });
        config["hooks"]["startContainer"][0]["env"] = json!([]);
    };
    let ours = facts("riverrun", &[PathBuf::from(env!("CARGO_BIN_EXE_riverrun"))], change);
    let theirs: Vec<(&str, Facts)> =
        peers.iter().map(|(name, command)| (*name, facts(name, command, change))).collect();
    let mut wrong = Vec::new();
    for (name, value) in &ours {
        // Default handlers, whatever the caller and the runtime themselves ignore: theirs come through.
        if name.ends_with(".SigIgn") && value == "0000000000000000" {
            continue;
        }
        if !theirs.iter().any(|(_, facts)| facts.get(name) == Some(value)) {
            let others: Vec<String> =
                theirs.iter().map(|(peer, facts)| format!("{peer} {:?}", facts.get(name))).collect();
            wrong.push(format!("{name}: riverrun {value:?}, {}", others.join(", ")));
        }
    }
    assert!(ours.len() > 80, "{} fields", ours.len());
    assert!(wrong.is_empty(), "{} of {} fields:\n{}", wrong.len(), ours.len(), wrong.join("\n"));
}

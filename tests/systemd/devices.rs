//! Device rules where systemd has an idea of them, too: what a container may open stays over a daemon-reload and over an
//! update, and what it may not open stays closed.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::scene::{Scene, is_user, on_v2, scope, show, skipped, systemctl, wait_until};

/// Devices of this machine that root can open and that containers may not by themselves: rule and node (`/dev/probeN`).
fn devices() -> Vec<(Value, Value)> {
    let candidates = ["/dev/fuse", "/dev/loop-control", "/dev/vda", "/dev/sda", "/dev/net/tun", "/dev/kmsg"];
    let there = candidates.map(PathBuf::from).into_iter().filter(|path| fs::File::open(path).is_ok());
    let one = |(number, path): (usize, PathBuf)| {
        let there = fs::metadata(path).unwrap();
        let kind = if there.file_type().is_block_device() { "b" } else { "c" };
        let (major, minor) = (nix::sys::stat::major(there.rdev()), nix::sys::stat::minor(there.rdev()));
        let rule = json!({"allow": true, "type": kind, "major": major, "minor": minor, "access": "rw"});
        (rule, json!({"path": format!("/dev/probe{number}"), "type": kind, "major": major, "minor": minor}))
    };
    there.filter(|path| path != Path::new("/dev/net/tun")).enumerate().map(one).collect()
}

/// Two such devices, as root.
fn two(name: &str) -> Option<[(Value, Value); 2]> {
    if skipped(name) {
        return None;
    }
    if is_user() {
        eprintln!("skipped, {name}: an ordinary user may load no device program");
        return None;
    }
    let found = devices().into_iter().take(2).collect::<Vec<_>>().try_into().ok();
    if found.is_none() {
        eprintln!("skipped, {name}: needs two devices that can be opened");
    }
    found
}

/// A container with both nodes and these rules, in which somebody uses /dev/null all the time.
fn start(scene: &Scene, id: &str, devices: &[(Value, Value); 2], rules: &Value) {
    // Not `:`, whose redirections may not fail: the shell would end.
    let script = "while true; do true >/dev/null && true >/tmp/ok || true >/tmp/cut; done";
    scene.config(&["sh", "-c", script], |config| {
        config["linux"]["devices"] = json!([devices[0].1, devices[1].1]);
        config["linux"]["resources"] = json!({ "devices": rules });
        config["mounts"].as_array_mut().unwrap().push(json!({
            "destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
        }));
        let all = json!(["CAP_SYS_ADMIN", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"]);
        config["process"]["capabilities"] = json!({"bounding": all, "effective": all, "permitted": all});
    });
    scene.start(id);
}

/// Which of /dev/null and the two may be opened: `n01`.
fn opens(scene: &Scene, id: &str) -> String {
    let script =
        "o=; (: <>/dev/null) && o=n; (: </dev/probe0) && o=${o}0; (: </dev/probe1) && o=${o}1; echo $o";
    let output = scene.output(&["exec", id, "sh", "-c", script]);
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn reload() {
    let output = systemctl(&["daemon-reload"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Nobody was without /dev/null for a moment. On v1 it is systemd itself that denies all before it allows the list anew.
fn assert_never_cut(scene: &Scene, id: &str) {
    wait_until("it has run", || scene.ok(&["exec", id, "ls", "/tmp"]).contains("ok"));
    let seen = scene.ok(&["exec", id, "ls", "/tmp"]);
    assert!(!seen.contains("cut") || !on_v2(), "{seen}");
}

#[test]
fn a_daemon_reload_cuts_no_device_and_gives_none() {
    let Some(devices) = two("a_daemon_reload_cuts_no_device_and_gives_none") else { return };
    let scene = Scene::new("reload");
    let id = scene.id("c");
    let rules = json!([{"allow": false, "access": "rwm"}, devices[0].0]);
    start(&scene, &id, &devices, &rules);
    assert_eq!(opens(&scene, &id), "n0");
    assert_eq!(show(&scope(&id), "DevicePolicy"), "strict");
    let told = show(&scope(&id), "DeviceAllow");
    let (major, minor) = (&devices[0].1["major"], &devices[0].1["minor"]);
    assert!(told.contains(&format!("{major}:{minor} rw")), "{told}");
    assert!(told.contains("/dev/char/1:3 rwm") && told.contains("char-pts rwm"), "{told}");
    for _ in 0..3 {
        reload();
        assert_eq!(opens(&scene, &id), "n0", "after a daemon-reload");
    }
    // Other rules, other limits, and they stay as well.
    crate::told::update(&scene, &id, &json!({"devices": [{"allow": false}, devices[1].0]})).unwrap();
    assert_eq!(opens(&scene, &id), "n1", "after an update");
    reload();
    assert_eq!(opens(&scene, &id), "n1", "after an update and a daemon-reload");
    crate::told::update(&scene, &id, &json!({"pids": {"limit": 100}})).unwrap();
    assert_eq!(opens(&scene, &id), "n1", "an update without rules leaves them alone");
    let wrong = json!({"devices": [{"allow": true, "access": "x"}]});
    crate::told::update(&scene, &id, &wrong).unwrap_err();
    assert_eq!(opens(&scene, &id), "n1", "a refused update, too");
    assert_never_cut(&scene, &id);
    scene.ok(&["delete", "--force", &id]);
    scene.assert_nothing_left(&[&scope(&id)]);
}

#[test]
fn rules_that_systemd_cannot_say_hold_all_the_same() {
    let Some(devices) = two("rules_that_systemd_cannot_say_hold_all_the_same") else { return };
    let scene = Scene::new("unsaid");
    let id = scene.id("c");
    let mut denied = devices[1].0.clone();
    denied["allow"] = json!(false);
    // Everything but one.
    start(&scene, &id, &devices, &json!([{"allow": true}, denied]));
    assert_eq!(opens(&scene, &id), "n0");
    assert_eq!(show(&scope(&id), "DevicePolicy"), if on_v2() { "auto" } else { "strict" });
    reload();
    // On v1 systemd may write the list anew: then what every container has is left, and nothing is gained.
    let seen = opens(&scene, &id);
    assert!(seen == "n0" || (!on_v2() && seen == "n"), "{seen}");
    // All of them, as a privileged container has it; then none.
    crate::told::update(&scene, &id, &json!({"devices": [{"allow": true}]})).unwrap();
    assert_eq!(opens(&scene, &id), "n01");
    assert_eq!(show(&scope(&id), "DevicePolicy"), "auto");
    reload();
    assert_eq!(opens(&scene, &id), "n01", "after a daemon-reload");
    crate::told::update(&scene, &id, &json!({"devices": [{"allow": false}]})).unwrap();
    assert_eq!(opens(&scene, &id), "n");
    reload();
    assert_eq!(opens(&scene, &id), "n", "after another daemon-reload");
    assert_never_cut(&scene, &id);
    scene.ok(&["delete", "--force", &id]);
    scene.assert_nothing_left(&[&scope(&id)]);
}

//! An ordinary user who comes from a cgroup that is not his systemd's, as after a login: only that one can move processes.

use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::scene::{Scene, is_user, on_v2, skipped};

/// Who has a systemd of his own.
fn somebody() -> Option<u32> {
    let users = fs::read_dir("/run/user").into_iter().flatten().flatten();
    let has = |path: PathBuf| path.join("systemd/private").exists().then_some(path);
    let paths = users.filter_map(|entry| has(entry.path()));
    paths.filter_map(|path| path.file_name()?.to_str()?.parse().ok()).find(|uid| *uid != 0)
}

#[test]
fn a_user_from_elsewhere_enters_his_container() {
    let name = "a_user_from_elsewhere_enters_his_container";
    if skipped(name) {
        return;
    }
    let Some(user) = somebody().filter(|_| !is_user() && on_v2()) else {
        eprintln!("skipped, {name}: needs root, cgroup v2 and an ordinary user with a systemd of his own");
        return;
    };
    let scene = Scene::new("session");
    let id = scene.id("c");
    let mut config: Value = serde_json::from_str(&riverrun::default_config(Some((user, user)))).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["sleep", "1000"]);
    fs::write(scene.bundle.join("config.json"), config.to_string()).unwrap();
    fs::create_dir_all(&scene.root).unwrap();
    for path in [&scene.directory, &scene.bundle, &scene.bundle.join("rootfs"), &scene.root] {
        chown(path, Some(user), Some(user)).unwrap();
    }
    // As himself, in a cgroup of the machine's systemd: ours.
    let as_user = |arguments: &[&str]| -> Command {
        let mut command = scene.command(arguments);
        command.uid(user).gid(user).env("XDG_RUNTIME_DIR", format!("/run/user/{user}"));
        command.env_remove("DBUS_SESSION_BUS_ADDRESS");
        command
    };
    let log = scene.directory.join("log");
    let mut run = as_user(&["run", "--detach", &id]);
    let status = run.stdout(Stdio::null()).stderr(File::create(&log).unwrap()).status().unwrap();
    assert!(status.success(), "{}", fs::read_to_string(&log).unwrap());
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    assert!(!own.contains("user@"), "{own}");
    let place = format!("user@{user}.service/user.slice/runc-{id}.scope");
    let look = |arguments: &[&str]| {
        let output = as_user(&[&["exec"], arguments].concat()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    };
    let seen = look(&[&id, "cat", "/proc/self/cgroup"]);
    assert!(seen.trim_end().ends_with(&place) || seen == "0::/\n", "{seen}");
    let state: Value =
        serde_json::from_slice(&fs::read(scene.root.join(&id).join("state.json")).unwrap()).unwrap();
    let directory = PathBuf::from(state["cgroup_paths"][""].as_str().unwrap());
    assert!(directory.ends_with(&place), "{}", directory.display());
    let sub = directory.join("sub");
    fs::create_dir(&sub).unwrap();
    let seen = look(&["--cgroup", "/sub", &id, "cat", "/proc/self/cgroup"]);
    assert!(seen.trim_end().ends_with("/sub"), "{seen}");
    let output = as_user(&["delete", "--force", &id]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!directory.exists());
    scene.assert_nothing_left(&[]);
}

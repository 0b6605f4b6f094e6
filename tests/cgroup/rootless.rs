//! An ordinary user: with cgroups that were given to him, and without.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::scene::{Foreign, Scene, failed, ok, on_v2, scenes};

/// Somebody without a name.
const USER: u32 = 54_321;

/// The configuration of an ordinary user in a world that is his.
fn prepare(scene: &Scene, args: &[&str], change: impl FnOnce(&mut Value)) {
    let mut config: Value = serde_json::from_str(&riverrun::default_config(Some((USER, USER)))).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(args);
    change(&mut config);
    fs::write(scene.world.bundle.join("config.json"), config.to_string()).unwrap();
    let world = &scene.world;
    fs::create_dir_all(&world.root).unwrap();
    for path in [&world.directory, &world.bundle, &world.bundle.join("rootfs"), &world.root] {
        chown(path, Some(USER), Some(USER)).unwrap();
    }
}

/// The command as he would give it, from the cgroup whose `cgroup.procs` this is.
fn as_user(mut command: Command, cgroup: Option<File>) -> Command {
    // SAFETY: system calls alone.
    unsafe {
        command.pre_exec(move || {
            if let Some(mut procs) = cgroup.as_ref() {
                procs.write_all(b"0")?;
            }
            if libc::setgroups(0, std::ptr::null()) != 0 || libc::setgid(USER) != 0 || libc::setuid(USER) != 0
            {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
    command
}

/// Whether an ordinary user can do anything at all here.
fn possible(scene: &Scene, test: &str) -> bool {
    let mut probe = Command::new("/bin/busybox");
    probe.args(["unshare", "-Ur", "/bin/busybox", "ls"]).arg(&scene.world.bundle);
    probe.stdout(Stdio::null()).stderr(Stdio::null());
    let possible = as_user(probe, None).status().is_ok_and(|status| status.success())
        && as_user(scene.riverrun(&["--version"]), None).output().is_ok_and(|output| output.status.success());
    if !possible {
        eprintln!(
            "skipped {test}: an ordinary user has no user namespaces here, or cannot execute what was built"
        );
    }
    possible
}

#[test]
fn an_ordinary_user_without_cgroups_runs_what_asks_nothing_of_them() {
    let test = "an_ordinary_user_without_cgroups_runs_what_asks_nothing_of_them";
    for scene in scenes("alone", test).into_iter().filter(|scene| possible(scene, test)) {
        let id = scene.world.id("c");
        prepare(&scene, &["cat", "/proc/self/cgroup"], |_| {});
        let seen = ok(&as_user(scene.riverrun(&["run", &id]), None).output().unwrap());
        assert!(!seen.contains(&id), "{seen}");
        for change in [json!({ "cgroupsPath": "/x" }), json!({ "resources": { "pids": { "limit": 9 } } })] {
            prepare(&scene, &["true"], |config| {
                config["linux"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            });
            let told = failed(&as_user(scene.riverrun(&["run", &id]), None).output().unwrap());
            // The cgroup2 beside v1 has few controllers.
            let wanted = ["rootless needs no limits + no cgrouppath", "the host has no pids controller"];
            assert!(
                wanted.iter().any(|text| told.contains(text)) || told.contains("not supported"),
                "{told}"
            );
        }
        scene.world.assert_nothing_left();
    }
}

#[test]
fn an_ordinary_user_makes_cgroups_where_he_was_given_one() {
    let test = "an_ordinary_user_makes_cgroups_where_he_was_given_one";
    let Some(scene) = on_v2("own", test).filter(|scene| possible(scene, test)) else { return };
    let id = scene.world.id("c");
    let given = Foreign::new(scene.unified().join(format!("{id}-given")));
    let caller = Foreign::new(given.0.join("caller"));
    for path in [&given.0, &caller.0] {
        for name in ["", "cgroup.procs", "cgroup.subtree_control"] {
            chown(path.join(name), Some(USER), Some(USER)).unwrap();
        }
    }
    prepare(&scene, &["sleep", "1000"], |_| {});
    let entrance = File::options().write(true).open(caller.0.join("cgroup.procs")).unwrap();
    let mut run = as_user(scene.riverrun(&["run", "--detach", &id]), Some(entrance));
    let log = scene.world.directory.join("log");
    let status = run.stdout(Stdio::null()).stderr(File::create(&log).unwrap()).status().unwrap();
    assert!(status.success(), "{}", fs::read_to_string(&log).unwrap());
    let pid = scene.pid(&id);
    let seen = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(seen.contains(&format!("0::/{id}-given/{id}\n")), "{seen}");
    scene.ok(&["delete", "--force", &id]);
    assert!(!given.0.join(&id).exists());
    drop((caller, given));
    scene.world.assert_nothing_left();
}

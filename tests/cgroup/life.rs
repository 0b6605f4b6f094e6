//! From the first process in a cgroup to the last directory that is gone.

use std::fs;
use std::process::Stdio;

use serde_json::json;

use crate::scene::{members, on_v2, scenes, until};
use crate::support::{cycles, device_programs, refusing_syscalls};

#[test]
fn a_container_is_in_its_cgroup_from_the_first_instruction_and_leaves_none() {
    for scene in scenes("born", "a_container_is_in_its_cgroup_from_the_first_instruction_and_leaves_none") {
        scene.config("c", &["cat", "/proc/self/cgroup"], |_| {});
        let id = scene.world.id("c");
        let seen = scene.ok(&["run", &id]);
        let wanted = format!("{}:/{id}", if scene.v2 { "0:" } else { ":pids" });
        assert!(seen.contains(&wanted), "{seen}");
        scene.world.assert_nothing_left();
    }
}

#[test]
fn without_a_path_the_cgroup_is_near_that_of_the_caller() {
    for scene in scenes("near", "without_a_path_the_cgroup_is_near_that_of_the_caller") {
        scene.world.config(&["cat", "/proc/self/cgroup"], |_| {});
        let id = scene.world.id("c");
        let seen = scene.ok(&["run", &id]);
        let key = if scene.v2 { "0::" } else { ":pids:" };
        let line = |text: &str| {
            let line = text.lines().find_map(|line| line.split_once(key).map(|(_, path)| path.to_owned()));
            line.unwrap().trim_end_matches('/').to_owned()
        };
        let own = line(&fs::read_to_string("/proc/self/cgroup").unwrap());
        // Below the caller, or on cgroup2 beside it.
        let base = if scene.v2 { own.rsplit_once('/').map_or("", |(parent, _)| parent) } else { &own };
        assert_eq!(line(&seen), format!("{base}/{id}"));
        scene.world.assert_nothing_left();
    }
}

#[test]
fn every_controller_that_there_is_reaches_the_container() {
    let Some(scene) = on_v2("controllers", "every_controller_that_there_is_reaches_the_container") else {
        return;
    };
    let path = format!("/{}/deep/er", scene.world.id("c"));
    scene.config("c", &["sleep", "1000"], |config| config["linux"]["cgroupsPath"] = json!(path));
    let id = scene.start("c");
    let read = |path: &std::path::Path| fs::read_to_string(path.join("cgroup.controllers")).unwrap();
    assert_eq!(read(&scene.cgroup("c").join("deep/er")), read(&scene.unified()));
    scene.ok(&["delete", "--force", &id]);
    // The parents that a create made are not the container's.
    fs::remove_dir(scene.cgroup("c").join("deep")).unwrap();
    fs::remove_dir(scene.cgroup("c")).unwrap();
    scene.world.assert_nothing_left();
}

#[test]
fn sub_cgroups_are_listed_killed_and_removed_with_the_container() {
    for scene in scenes("nested", "sub_cgroups_are_listed_killed_and_removed_with_the_container") {
        // Without a pid namespace the end of the first process is not the end of the others.
        scene.config("c", &["sh", "-c", "sleep 1000 & sleep 1000 & wait"], |config| {
            config["linux"]["namespaces"] = json!([{ "type": "mount" }]);
            config.as_object_mut().unwrap().remove("hostname");
        });
        let id = scene.start("c");
        let own = scene.cgroup("c");
        until("three members", || members(&own).len() == 3);
        let below = own.join("a/b");
        fs::create_dir_all(&below).unwrap();
        let moved = *members(&own).iter().find(|pid| **pid != scene.pid(&id)).unwrap();
        fs::write(below.join("cgroup.procs"), moved.to_string()).unwrap();
        assert_eq!((members(&own).len(), members(&below)), (2, vec![moved]));
        scene.ok(&["kill", "--all", &id, "KILL"]);
        until("nobody is left", || members(&own).is_empty() && members(&below).is_empty());
        scene.end(&id);
    }
}

#[test]
fn a_cgroup_that_is_gone_or_left_hinders_no_delete() {
    for scene in scenes("gone", "a_cgroup_that_is_gone_or_left_hinders_no_delete") {
        scene.config("c", &["sleep", "1000"], |_| {});
        let id = scene.start("c");
        let (own, pid) = (scene.cgroup("c"), scene.pid(&id));
        fs::write(scene.hierarchy().join("cgroup.procs"), pid.to_string()).unwrap();
        until("the cgroup can be removed", || fs::remove_dir(&own).is_ok());
        let state = scene.ok(&["state", &id]);
        assert!(state.contains("\"running\""), "{state}");
        scene.ok(&["kill", "--all", &id, "TERM"]);
        scene.end(&id);
    }
}

#[test]
fn cgroups_path_never_climbs() {
    for scene in scenes("climb", "cgroups_path_never_climbs") {
        let id = scene.world.id("c");
        let path = format!("/../../{id}");
        scene.config("c", &["cat", "/proc/self/cgroup"], |config| {
            config["linux"]["cgroupsPath"] = json!(path)
        });
        let seen = scene.ok(&["run", &id]);
        assert!(seen.lines().any(|line| line.ends_with(&format!(":/{id}"))), "{seen}");
        scene.world.assert_nothing_left();
    }
}

/// `RIVERRUN_CYCLES` says how many; 100 by default.
#[test]
fn cycles_of_create_and_delete_leave_no_cgroup_and_no_program() {
    let cycles = cycles();
    for scene in scenes("cycles", "cycles_of_create_and_delete_leave_no_cgroup_and_no_program") {
        let before = device_programs();
        for n in 0..cycles {
            let name = n.to_string();
            scene.config(&name, &["true"], |_| {});
            let id = scene.world.id(&name);
            scene.quietly(&["create", &id]);
            scene.ok(&["delete", "--force", &id]);
        }
        scene.world.assert_nothing_left();
        // The kernel frees them after their cgroup; other tests have some, too.
        until("as many device programs as before", || device_programs() < before + cycles / 4);
    }
}

#[test]
fn kernels_that_cannot_clone_into_a_cgroup_move_the_process_there() {
    // No clone3 at all; KERNEL(5.3) to 5.6: one that knows neither the flag nor so long a structure.
    for errno in [libc::ENOSYS, libc::EINVAL, libc::E2BIG] {
        for scene in scenes("clone", "kernels_that_cannot_clone_into_a_cgroup_move_the_process_there") {
            scene.config("c", &["sleep", "1000"], |_| {});
            let id = scene.world.id("c");
            let mut command = scene.riverrun(&["run", "--detach", &id]);
            refusing_syscalls(&mut command, &[libc::SYS_clone3], errno);
            assert!(command.stdout(Stdio::null()).status().unwrap().success());
            let pid = scene.pid(&id);
            assert!(members(&scene.cgroup("c")).contains(&pid));
            let mut command = scene.riverrun(&["exec", &id, "cat", "/proc/self/cgroup"]);
            refusing_syscalls(&mut command, &[libc::SYS_clone3], errno);
            let seen = crate::scene::ok(&command.output().unwrap());
            assert!(seen.lines().any(|line| line.ends_with(&format!(":/{id}"))), "{seen}");
            scene.end(&id);
        }
    }
}

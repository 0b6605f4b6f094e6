//! Cgroups that cannot be had, and containers that want none.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::scene::{Foreign, failed, ok, scenes, until};

#[test]
fn a_cgroup_with_processes_of_others_is_not_taken() {
    for scene in scenes("taken", "a_cgroup_with_processes_of_others_is_not_taken") {
        let foreign = Foreign::new(scene.cgroup("c"));
        let mut member = Command::new("/bin/busybox").args(["sleep", "1000"]).spawn().unwrap();
        fs::write(foreign.0.join("cgroup.procs"), member.id().to_string()).unwrap();
        scene.config("c", &["true"], |_| {});
        let told = scene.fails(&["run", &scene.world.id("c")]);
        let survived = foreign.0.is_dir();
        member.kill().unwrap();
        member.wait().unwrap();
        assert!(told.contains("container's cgroup is not empty: 1 process(es) found"), "{told}");
        assert!(survived);
        drop(foreign);
        scene.world.assert_nothing_left();
    }
}

#[test]
fn a_frozen_cgroup_is_not_taken() {
    for scene in scenes("frozen", "a_frozen_cgroup_is_not_taken") {
        let (base, file, on, off) = if scene.v2 {
            (scene.unified(), "cgroup.freeze", "1", "0")
        } else {
            ("/sys/fs/cgroup/freezer".into(), "freezer.state", "FROZEN", "THAWED")
        };
        if !base.join("cgroup.procs").exists() {
            eprintln!("skipped a_frozen_cgroup_is_not_taken: needs a freezer");
            continue;
        }
        let foreign = Foreign::new(base.join(scene.world.id("c")));
        fs::write(foreign.0.join(file), on).unwrap();
        scene.config("c", &["true"], |_| {});
        let told = scene.fails(&["run", &scene.world.id("c")]);
        let left = fs::read_to_string(foreign.0.join(file)).unwrap();
        fs::write(foreign.0.join(file), off).unwrap();
        assert!(told.contains("container's cgroup unexpectedly frozen"), "{told}");
        assert_eq!(left.trim_end(), on);
        drop(foreign);
        scene.world.assert_nothing_left();
    }
}

#[test]
fn an_empty_cgroup_that_is_there_is_used() {
    for scene in scenes("used", "an_empty_cgroup_that_is_there_is_used") {
        fs::create_dir(scene.cgroup("c")).unwrap();
        scene.config("c", &["cat", "/proc/self/cgroup"], |_| {});
        let id = scene.world.id("c");
        let seen = scene.ok(&["run", &id]);
        assert!(seen.lines().any(|line| line.ends_with(&format!(":/{id}"))), "{seen}");
        scene.world.assert_nothing_left();
    }
}

#[test]
fn read_only_cgroups_are_told_and_done_without_where_the_caller_allows_it() {
    for scene in scenes("ro", "read_only_cgroups_are_told_and_done_without_where_the_caller_allows_it") {
        // On v1 only the tmpfs around the hierarchies is read-only here, not they themselves.
        if !scene.v2 {
            continue;
        }
        scene.config("c", &["true"], |_| {});
        let id = scene.world.id("c");
        let told = failed(&scene.riverrun_read_only(&["run", &id]).output().unwrap());
        assert!(told.contains("read-only file system") && !told.contains("rootless"), "{told}");
        scene.world.assert_nothing_left();
        scene.world.config(&["cat", "/proc/self/cgroup"], |_| {});
        let seen = ok(&scene.riverrun_read_only(&["--rootless=true", "run", &id]).output().unwrap());
        assert!(!seen.contains(&id), "{seen}");
        scene.world.assert_nothing_left();
    }
}

#[test]
fn without_a_manager_a_container_stays_where_its_caller_is() {
    for scene in scenes("none", "without_a_manager_a_container_stays_where_its_caller_is") {
        scene.config("c", &["sh", "-c", "cat /proc/self/cgroup; sleep 1000 & exec sleep 1000"], |_| {});
        let id = scene.world.id("c");
        let log = scene.world.directory.join("log");
        let mut run = scene.riverrun(&["--cgroup-manager=disabled", "run", "--detach", &id]);
        assert!(
            run.stdout(fs::File::create(&log).unwrap()).stderr(Stdio::inherit()).status().unwrap().success()
        );
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        until("it has told", || fs::read_to_string(&log).unwrap() == own);
        assert!(!scene.cgroup("c").exists());
        // No list of members, no need of one.
        scene.ok(&["exec", &id, "true"]);
        let told = scene.fails(&["exec", "--cgroup", "/sub", &id, "true"]);
        assert!(told.contains("the container has no cgroup"), "{told}");
        scene.end(&id);
        scene.config("c", &["true"], |config| {
            config["linux"]["resources"] = json!({ "pids": { "limit": 9 } })
        });
        let told = scene.fails(&["--cgroup-manager=disabled", "run", &id]);
        assert!(told.contains("limits are asked for, and the cgroup manager is disabled"), "{told}");
        let told = scene.fails(&["--cgroup-manager=nosuch", "run", &id]);
        assert!(told.contains("for flag -cgroup-manager: parse error"), "{told}");
        let told = scene.fails(&["--cgroup-manager=disabled", "--systemd-cgroup", "run", &id]);
        assert!(told.contains("exclude each other"), "{told}");
        scene.world.assert_nothing_left();
    }
}

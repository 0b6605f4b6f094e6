//! Where a further process goes.

use std::fs;

use serde_json::json;

use crate::scene::{on_v2, scenes, until};

#[test]
fn exec_enters_the_sub_cgroup_that_it_names() {
    for scene in scenes("sub", "exec_enters_the_sub_cgroup_that_it_names") {
        scene.config("c", &["sleep", "1000"], |_| {});
        let id = scene.start("c");
        fs::create_dir(scene.cgroup("c").join("sub")).unwrap();
        let see = ["cat", "/proc/self/cgroup"];
        let named = if scene.v2 { "/sub" } else { "pids:/sub" };
        let seen = scene.ok(&["exec", "--cgroup", named, &id, see[0], see[1]]);
        let key = if scene.v2 { "0::" } else { ":pids:" };
        assert!(seen.contains(&format!("{key}/{id}/sub")), "{seen}");
        let seen = scene.ok(&["exec", &id, see[0], see[1]]);
        assert!(seen.contains(&format!("{key}/{id}\n")), "{seen}");
        for (named, said) in [
            ("/../other", "bad sub cgroup path: /../other"),
            ("nosuch:/sub", "unknown controller nosuch"),
            (if scene.v2 { "/missing" } else { "pids:/missing" }, "missing: no such file or directory"),
        ] {
            let told = scene.fails(&["exec", "--cgroup", named, &id, "true"]);
            assert!(told.contains(said), "{named}: {told}");
        }
        scene.end(&id);
    }
}

#[test]
fn exec_follows_the_first_process_where_the_containers_own_cgroup_takes_none() {
    let test = "exec_follows_the_first_process_where_the_containers_own_cgroup_takes_none";
    let Some(scene) = on_v2("follow", test) else { return };
    scene.config("c", &["sleep", "1000"], |_| {});
    let id = scene.start("c");
    let (own, pid) = (scene.cgroup("c"), scene.pid(&id));
    fs::create_dir(own.join("init")).unwrap();
    fs::write(own.join("init/cgroup.procs"), pid.to_string()).unwrap();
    let controllers = fs::read_to_string(own.join("cgroup.controllers")).unwrap();
    let of_domains =
        controllers.split_ascii_whitespace().find(|name| ["memory", "io", "hugetlb"].contains(name));
    let Some(controller) = of_domains else {
        eprintln!("skipped {test}: needs a controller in the cgroup2");
        return scene.end(&id);
    };
    until("the controller is handed on", || {
        fs::write(own.join("cgroup.subtree_control"), format!("+{controller}")).is_ok()
    });
    let seen = scene.ok(&["exec", &id, "cat", "/proc/self/cgroup"]);
    assert!(seen.contains(&format!("0::/{id}/init\n")), "{seen}");
    scene.end(&id);
}

#[test]
fn exec_goes_to_a_cgroup_of_its_own_though_bound_to_cpus() {
    for scene in scenes("bound", "exec_goes_to_a_cgroup_of_its_own_though_bound_to_cpus") {
        scene.config("c", &["sleep", "1000"], |config| {
            config["process"]["execCPUAffinity"] = json!({ "initial": "0" });
        });
        let id = scene.start("c");
        let seen = scene.ok(&["exec", &id, "cat", "/proc/self/cgroup"]);
        assert!(seen.lines().any(|line| line.ends_with(&format!(":/{id}"))), "{seen}");
        scene.end(&id);
    }
}

//! What is refused because of the host, in the words of runc: cgroups that are somebody else's, labels and profiles where
//! there is no such security module.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Instant;

use serde_json::json;

use super::contract::{PEERS, peer};
use super::sandbox::{RIVERRUN, Sandbox};

const FOREVER: &str = "while :; do sleep 1; done";

/// riverrun, and those of runc that are here; 1.1.5 is the first.
fn programs() -> Vec<(&'static str, PathBuf)> {
    let peers = PEERS.iter().filter_map(|(name, version)| Some((*name, peer(name, version)?)));
    peers.chain([("riverrun", PathBuf::from(RIVERRUN))]).collect()
}

/// A cgroup of somebody else, at the place that a container's will have.
struct Foreign {
    path: PathBuf,
    member: Option<Child>,
}

impl Foreign {
    /// Of the cgroup2 or, where the controllers are on v1, of `controller`.
    fn at(controller: &str, sandbox: &Sandbox) -> Self {
        let v1 = Path::new("/sys/fs/cgroup").join(controller);
        let top = if v1.is_dir() { v1 } else { "/sys/fs/cgroup".into() };
        let path = top.join(sandbox.directory.file_name().unwrap());
        fs::create_dir(&path).unwrap();
        Self { path, member: None }
    }

    fn with_a_member(mut self) -> Self {
        let member = Command::new("sleep").arg("600").spawn().unwrap();
        fs::write(self.path.join("cgroup.procs"), member.id().to_string()).unwrap();
        self.member = Some(member);
        self
    }

    fn set_frozen(&self, frozen: bool) {
        let (name, value) = match (self.path.join("freezer.state").exists(), frozen) {
            (true, true) => ("freezer.state", "FROZEN"),
            (true, false) => ("freezer.state", "THAWED"),
            (false, true) => ("cgroup.freeze", "1"),
            (false, false) => ("cgroup.freeze", "0"),
        };
        fs::write(self.path.join(name), value).unwrap();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(member) = &mut self.member {
            drop(member.kill());
            drop(member.wait());
        }
        let gone = super::sandbox::until(super::sandbox::LIMIT, || fs::remove_dir(&self.path).is_ok());
        assert!(gone || std::thread::panicking(), "{} stays", self.path.display());
    }
}

#[test]
fn cgroup_with_processes_of_somebody_else_is_refused_in_the_words_of_runc() {
    for (name, program) in programs() {
        if name == PEERS[0].0 {
            continue; // It warns and goes on; it is an error since 1.2.
        }
        let Some(mut sandbox) = Sandbox::with_bundle(FOREVER) else { return };
        sandbox.program = program;
        let foreign = Foreign::at("devices", &sandbox).with_a_member();
        let outcome = sandbox.run("create -b bundle x");
        assert_eq!(outcome.status, 1, "{name}: {outcome:?}");
        let message = outcome.message();
        assert!(message.starts_with("runc create failed: "), "{name}: {message}");
        assert!(
            message.ends_with("container's cgroup is not empty: 1 process(es) found"),
            "{name}: {message}"
        );
        assert_eq!(sandbox.ids(), [""; 0], "{name}");
        drop(foreign);
    }
}

#[test]
fn cgroup_that_is_frozen_is_refused_in_the_words_of_runc() {
    for (name, program) in programs() {
        let Some(mut sandbox) = Sandbox::with_bundle(FOREVER) else { return };
        sandbox.program = program;
        let foreign = Foreign::at("freezer", &sandbox);
        foreign.set_frozen(true);
        let outcome = sandbox.run("run -b bundle x");
        foreign.set_frozen(false);
        assert_eq!(outcome.status, 1, "{name}: {outcome:?}");
        let message = outcome.message();
        assert!(message.starts_with("runc run failed: "), "{name}: {message}");
        assert!(message.ends_with("container's cgroup unexpectedly frozen"), "{name}: {message}");
        assert_eq!(sandbox.ids(), [""; 0], "{name}");
        drop(foreign);
    }
}

/// Whether the kernel has a security module; said, where that ends a test.
fn has(test: &str, module: &str, place: &str) -> bool {
    let there = Path::new(place).exists();
    if there {
        eprintln!("skipped, {test}: {module} is on");
    }
    there
}

/// Starts the bundle as `x`; the next container of it is to have another cgroup.
fn runs_x_and_leaves_its_cgroup(sandbox: &mut Sandbox) {
    // What cannot be ambient is a warning each.
    sandbox.config["process"]["capabilities"]["ambient"] = json!([]);
    sandbox.write_config();
    sandbox.run("run -d -b bundle x").ok();
    let group = sandbox.config["linux"]["cgroupsPath"].as_str().unwrap().to_owned();
    sandbox.config["linux"]["cgroupsPath"] = json!(group + "-y");
}

#[test]
fn label_where_there_is_no_selinux_is_refused_in_the_words_of_runc() {
    let test = "label_where_there_is_no_selinux_is_refused_in_the_words_of_runc";
    if has(test, "SELinux", "/sys/fs/selinux/enforce") {
        return;
    }
    let words = "selinux label is specified in config, but selinux is disabled or not supported";
    for (name, program) in programs() {
        let Some(mut sandbox) = Sandbox::with_bundle(FOREVER) else { return };
        sandbox.program = program;
        runs_x_and_leaves_its_cgroup(&mut sandbox);
        let sandbox = sandbox.process("selinuxLabel", json!("a:b:c:d"));
        for (line, status, during) in [
            ("exec --process-label a:b:c:d x true", 255, "exec failed: "),
            ("create -b bundle y", 1, "runc create failed: "),
        ] {
            let outcome = sandbox.run(line);
            assert_eq!(outcome.status, status, "{name}: {line}: {outcome:?}");
            let message = outcome.message();
            assert!(message.starts_with(during) && message.ends_with(words), "{name}: {line}: {message}");
        }
        assert_eq!(sandbox.ids(), ["x"], "{name}");
    }
}

/// runc has no words of its own here: the kernel refuses its write to `attr/exec`.
#[test]
fn profile_where_there_is_no_apparmor_is_refused_as_by_runc() {
    let test = "profile_where_there_is_no_apparmor_is_refused_as_by_runc";
    if has(test, "AppArmor", "/sys/kernel/security/apparmor")
        || fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.trim() == "Y")
    {
        return;
    }
    for (name, program) in programs() {
        let Some(mut sandbox) = Sandbox::with_bundle(FOREVER) else { return };
        sandbox.program = program;
        runs_x_and_leaves_its_cgroup(&mut sandbox);
        let sandbox = sandbox.process("apparmorProfile", json!("nobodys"));
        for (line, status, during) in [
            ("exec --apparmor nobodys x true", 255, "exec failed: "),
            ("create -b bundle y", 1, "runc create failed: "),
        ] {
            let outcome = sandbox.run(line);
            assert_eq!(outcome.status, status, "{name}: {line}: {outcome:?}");
            let message = outcome.message();
            assert!(message.starts_with(during), "{name}: {line}: {message}");
            if name == "riverrun" {
                let words = "process.apparmorProfile \"nobodys\": AppArmor is not enabled on this host";
                assert_eq!(message, format!("{during}{words}"), "{line}");
            } else {
                assert!(message.contains("apparmor") && message.ends_with("invalid argument"), "{message}");
            }
        }
        assert_eq!(sandbox.ids(), ["x"], "{name}");
    }
}

/// What is said of the first exec that the runtime fails under a limit of what is used and not a byte more. Some of that may
/// be what the kernel has put aside for a CPU, and enough once or twice; and whom it kills may be another: `None`.
fn failed_for_want_of_memory() -> Option<String> {
    let mut sandbox = Sandbox::with_bundle("")?;
    sandbox.config["process"]["args"] = json!(["tail", "-f", "/dev/null"]);
    sandbox.config["linux"]["resources"]["memory"] = json!({"limit": 64 << 20});
    runs_x_and_leaves_its_cgroup(&mut sandbox);
    let group = sandbox.directory.file_name().unwrap();
    let v1 = Path::new("/sys/fs/cgroup/memory");
    let (place, used, limit) = if v1.is_dir() {
        (v1.join(group), "memory.usage_in_bytes", "memory.limit_in_bytes")
    } else {
        (Path::new("/sys/fs/cgroup").join(group), "memory.current", "memory.max")
    };
    let mut tries = (0..50).map(|_| {
        fs::write(place.join(limit), fs::read(place.join(used)).unwrap()).unwrap();
        sandbox.run("exec x true")
    });
    let message = tries.find(|outcome| outcome.status == 255)?.message();
    (message != "exec failed: cannot exec in a stopped container").then_some(message)
}

#[test]
fn exec_that_finds_no_memory_is_told_as_possibly_oom_killed() {
    if Sandbox::with_bundle("").is_none() {
        return;
    }
    let message = (0..20).find_map(|_| failed_for_want_of_memory()).expect("an exec that finds no memory");
    let fits = message.starts_with("exec failed: ") && message.ends_with(" (possibly OOM-killed)");
    assert!(fits, "{message}");
}

/// A cgroup above a container's, which holds it still.
struct Above(PathBuf);

impl Drop for Above {
    fn drop(&mut self) {
        drop(fs::write(self.0.join("freezer.state"), "THAWED"));
        let group = self.0.file_name().unwrap();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let place = hierarchy.path().join(group);
            super::sandbox::until(super::sandbox::LIMIT, || {
                drop(fs::remove_dir(place.join("below")));
                fs::remove_dir(&place).is_ok() || !place.exists()
            });
        }
    }
}

/// On cgroup v1, where not even SIGKILL ends a process that is frozen; on v2 it does.
#[test]
fn container_that_does_not_end_is_told_after_ten_seconds_in_the_words_of_runc() {
    let freezer = Path::new("/sys/fs/cgroup/freezer");
    if !freezer.is_dir() {
        eprintln!("skipped, container_that_does_not_end…: no freezer of cgroup v1");
        return;
    }
    let ask = |name: &str, program: PathBuf| {
        let Some(mut sandbox) = Sandbox::with_bundle(FOREVER) else { return };
        sandbox.program = program;
        let group = sandbox.directory.file_name().unwrap().to_owned();
        sandbox.config["process"]["capabilities"]["ambient"] = json!([]);
        sandbox.config["linux"]["cgroupsPath"] = json!(format!("/{}/below", group.display()));
        sandbox.write_config();
        let above = Above(freezer.join(group));
        sandbox.run("run -d -b bundle x").ok();
        fs::write(above.0.join("freezer.state"), "FROZEN").unwrap();
        let began = Instant::now();
        let outcome = sandbox.run("delete -f x");
        assert!((9..30).contains(&began.elapsed().as_secs()), "{name}: {:?}", began.elapsed());
        assert_eq!(outcome.status, 1, "{name}: {outcome:?}");
        assert!(outcome.message().starts_with("container init still running"), "{name}: {outcome:?}");
        fs::write(above.0.join("freezer.state"), "THAWED").unwrap();
        sandbox.run("delete -f x").ok();
        drop(above);
    };
    std::thread::scope(|scope| {
        for (name, program) in programs() {
            scope.spawn(move || ask(name, program));
        }
    });
}

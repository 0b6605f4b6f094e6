//! A container on a host whose resctrl is a directory of the test: create, exec, delete, a failed create, a create that
//! was killed. Needs root.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use serde_json::{Value, json};

use super::context::Context;
use super::options::{Call, ContextOptions, CreateOptions, ExecOptions, Io, Stdio};
use super::update::UpdateOptions;
use crate::state::directory::Directory;

struct World {
    directory: PathBuf,
    context: Context,
}

impl World {
    /// `None`, and why, where containers cannot be made.
    fn new(name: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() || !Path::new("/bin/busybox").exists() {
            eprintln!("skipped {name}: needs root and /bin/busybox");
            return None;
        }
        let directory = std::env::temp_dir().join(format!("rr-rdt-{name}-{}", std::process::id()));
        fs::create_dir_all(directory.join("rootfs/bin")).unwrap();
        fs::copy("/bin/busybox", directory.join("rootfs/bin/busybox")).unwrap();
        let root = Some(directory.join("state"));
        let context = Context::new(ContextOptions { root, ..ContextOptions::default() }).unwrap();
        let mut host = context.host().clone();
        host.resctrl = directory.join("resctrl");
        let context = Context::on(host, directory.join("state"));
        let world = Self { directory, context };
        world.group("");
        Some(world)
    }

    fn resctrl(&self) -> PathBuf {
        self.directory.join("resctrl")
    }

    /// With the files that the kernel puts into one.
    fn group(&self, name: &str) {
        let group = self.resctrl().join(name);
        fs::create_dir_all(group.join("mon_groups")).unwrap();
        fs::write(group.join("schemata"), "L3:0=f\n").unwrap();
        fs::write(group.join("tasks"), "").unwrap();
    }

    fn options(&self, program: &[&str], rdt: Value) -> CreateOptions<'static> {
        let mut config: Value = serde_json::from_str(&crate::default_config(None)).unwrap();
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(program);
        config["linux"]["intelRdt"] = rdt;
        fs::write(self.directory.join("config.json"), config.to_string()).unwrap();
        let io = Io { stdin: Stdio::Null, ..Io::default() };
        CreateOptions { bundle: Some(self.directory.clone()), io, ..CreateOptions::default() }
    }

    fn tasks(&self, group: &str) -> String {
        fs::read_to_string(self.resctrl().join(group).join("tasks")).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.context.delete(&id(), true, Call::default());
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn id() -> String {
    format!("rr-rdt-{}", thread::current().name().unwrap_or_default().rsplit(':').next().unwrap_or_default())
}

const SLEEP: [&str; 3] = ["/bin/busybox", "sleep", "1000"];

#[test]
fn a_named_group_has_the_first_process_and_the_next_and_stays() {
    let Some(world) = World::new("named") else { return };
    world.group("gold");
    let options = world.options(&SLEEP, json!({"closID": "gold", "l3CacheSchema": "L3:0=f"}));
    let container = world.context.run(&id(), options).unwrap();
    assert_eq!(world.tasks("gold"), container.init_process().unwrap().pid().to_string());
    fs::write(world.resctrl().join("gold/tasks"), "").unwrap();
    let process = container.process_json().unwrap();
    let second = container.exec(ExecOptions { process, ..ExecOptions::default() }).unwrap();
    assert_eq!(world.tasks("gold"), second.pid().to_string());
    container.delete(true, Call::default()).unwrap();
    assert!(world.resctrl().join("gold").is_dir());
    // Of another shape: an error, and nothing is left.
    let options = world.options(&SLEEP, json!({"closID": "gold", "l3CacheSchema": "L3:0=3"}));
    let error = world.context.run(&id(), options).unwrap_err().to_string();
    assert!(error.contains("L3:0 is f there and not 3"), "{error}");
    assert!(Directory::open(world.context.root(), &id()).is_err());
}

#[test]
fn schemas_of_an_update_are_kept_in_the_state_one_by_one() {
    let Some(world) = World::new("kept") else { return };
    world.group("gold");
    let options = world.options(&SLEEP, json!({"closID": "gold"}));
    let container = world.context.run(&id(), options).unwrap();
    let kept = || {
        let (_, state) = container.load().unwrap();
        (state.riverrun.l3_cache_schema, state.riverrun.mem_bw_schema)
    };
    let file = world.resctrl().join("gold/schemata");
    let text = |line: &str| Some(line.to_owned());
    let l3 = UpdateOptions { l3_cache_schema: text("L3:0=3"), ..UpdateOptions::default() };
    container.update(&l3).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "L3:0=3\n");
    assert_eq!(kept(), (text("L3:0=3"), None));
    container.update(&UpdateOptions { mem_bw_schema: text("MB:0=50"), ..UpdateOptions::default() }).unwrap();
    assert_eq!(kept(), (text("L3:0=3"), text("MB:0=50")));
    // What cannot be written is not remembered.
    fs::remove_file(&file).unwrap();
    container
        .update(&UpdateOptions { l3_cache_schema: text("L3:0=1"), ..UpdateOptions::default() })
        .unwrap_err();
    assert_eq!(kept(), (text("L3:0=3"), text("MB:0=50")));
    container.delete(true, Call::default()).unwrap();
}

/// A directory of cgroup v1 has the manners of resctrl: a new one has `tasks` at once, and takes it along.
#[test]
fn an_own_group_ends_with_the_container_and_with_a_failed_create() {
    let Some(mut world) = World::new("own") else { return };
    let stand_in = Path::new("/sys/fs/cgroup/pids").join(id() + "-resctrl");
    if let Err(error) = fs::create_dir(&stand_in) {
        return eprintln!("skipped an_own_group_ends: needs cgroup v1: {error}");
    }
    let mut host = world.context.host().clone();
    host.resctrl.clone_from(&stand_in);
    world.context = Context::on(host, world.directory.join("state"));
    let own = stand_in.join(id());
    let failing = world.options(&["/bin/none"], json!({}));
    world.context.run(&id(), failing).unwrap_err();
    assert!(!own.exists(), "left by a failed create");
    let container = world.context.run(&id(), world.options(&SLEEP, json!({}))).unwrap();
    let (_, state) = container.load().unwrap();
    let tasks = fs::read_to_string(own.join("tasks"));
    let groups: Vec<PathBuf> = state.intel_rdt().map(Path::to_owned).collect();
    container.delete(true, Call::default()).unwrap();
    let removed = !own.exists();
    fs::remove_dir(&stand_in).unwrap();
    assert_eq!(tasks.unwrap().trim(), state.init_process_pid.to_string());
    assert_eq!(groups, [own]);
    assert!(removed);
}

#[test]
fn what_a_killed_create_made_is_found_in_its_state() {
    let Some(world) = World::new("killed") else { return };
    let own = world.resctrl().join(id());
    // As a create leaves it that was killed after its first two steps.
    let directory = Directory::create(world.context.root(), &id()).unwrap();
    let mut state = crate::state::file::StateFile { id: id(), ..Default::default() };
    state.riverrun.intel_rdt_own = vec![own.clone(), own.join("mon_groups").join(id())];
    directory.save(&state.settled()).unwrap();
    drop(directory);
    fs::create_dir_all(&state.riverrun.intel_rdt_own[1]).unwrap();
    fs::remove_dir(own.join("mon_groups").join(id())).unwrap();
    fs::remove_dir(own.join("mon_groups")).unwrap();
    world.context.delete(&id(), true, Call::default()).unwrap();
    assert!(!own.exists());
}

#[test]
fn a_host_without_resctrl_refuses_before_anything_is_made() {
    let Some(world) = World::new("absent") else { return };
    fs::remove_dir_all(world.resctrl()).unwrap();
    let options = world.options(&SLEEP, json!({"enableMonitoring": true}));
    let error = world.context.run(&id(), options).unwrap_err();
    assert!(error.to_string().starts_with("linux.intelRdt: resctrl is not mounted"), "{error}");
    assert!(Directory::open(world.context.root(), &id()).is_err());
}

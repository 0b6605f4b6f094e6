//! A world of containers, the systemd that makes their units, and what it says of those.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;

/// How long something may take that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says why a test that needs a real systemd does nothing, and whether it does.
pub(crate) fn skipped(name: &str) -> bool {
    let reason = if !Path::new("/run/systemd/system").exists() {
        "needs systemd as pid 1"
    } else if !Path::new("/bin/busybox").exists() {
        "needs /bin/busybox (Debian: busybox-static)"
    } else if is_user() && !on_v2() {
        "an ordinary user's systemd needs cgroup v2"
    } else {
        return false;
    };
    eprintln!("skipped, {name}: {reason}");
    true
}

pub(crate) fn is_user() -> bool {
    !nix::unistd::geteuid().is_root()
}

pub(crate) fn on_v2() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

pub(crate) struct Scene(World);

impl Deref for Scene {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl Scene {
    pub(crate) fn new(name: &str) -> Self {
        Self(World::new(&format!("sd{name}")))
    }

    /// The configuration, with what an ordinary user's container needs.
    pub(crate) fn config(&self, args: &[&str], change: impl FnOnce(&mut Value)) {
        self.0.config(args, |config| {
            if is_user() {
                let map = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
                config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
                config["linux"]["uidMappings"] = map(nix::unistd::getuid().as_raw());
                config["linux"]["gidMappings"] = map(nix::unistd::getgid().as_raw());
                for mount in config["mounts"].as_array_mut().unwrap() {
                    if let Some(options) = mount.get_mut("options").and_then(Value::as_array_mut) {
                        options.retain(|option| !option.as_str().unwrap().starts_with("gid="));
                    }
                }
            }
            change(config);
        });
    }

    /// riverrun with systemd as the manager.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.0.riverrun(&[&["--systemd-cgroup"], arguments].concat())
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it printed, if it succeeded.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it said, if it did not.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(!output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Starts one in the background, with nothing of ours open.
    pub(crate) fn start(&self, id: &str) -> i32 {
        let errors = self.directory.join("errors");
        let mut command = self.command(&["run", "--detach", id]);
        command.stdout(Stdio::null()).stderr(fs::File::create(&errors).unwrap());
        assert!(command.status().unwrap().success(), "{}", fs::read_to_string(&errors).unwrap());
        self.pid(id)
    }

    pub(crate) fn pid(&self, id: &str) -> i32 {
        let state: Value = serde_json::from_str(&self.ok(&["state", id])).unwrap();
        i32::try_from(state["pid"].as_i64().unwrap()).unwrap()
    }

    /// Neither containers nor units of this scene are there any more.
    pub(crate) fn assert_nothing_left(&self, units: &[&str]) {
        self.0.assert_nothing_left();
        for unit in units {
            wait_until(&format!("{unit} is forgotten"), || show(unit, "LoadState") == "not-found");
        }
    }
}

/// The scope of a container that has no cgroupsPath.
pub(crate) fn scope(id: &str) -> String {
    format!("runc-{id}.scope")
}

pub(crate) fn default_slice() -> &'static str {
    if is_user() { "user.slice" } else { "system.slice" }
}

pub(crate) fn systemctl(arguments: &[&str]) -> Output {
    let mut command = Command::new("systemctl");
    if is_user() {
        command.arg("--user");
    }
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// A property of a unit, as `systemctl show` prints it.
pub(crate) fn show(unit: &str, property: &str) -> String {
    let output = systemctl(&["show", "--property", property, "--value", "--", unit]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The cgroup of a process in the hierarchy that systemd keeps.
pub(crate) fn cgroup(pid: i32) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let wanted = if on_v2() { "0::" } else { "1:name=systemd:" };
    let line = text.lines().find_map(|line| line.strip_prefix(wanted));
    line.unwrap_or_else(|| panic!("no {wanted} in {text}")).into()
}

/// Polls until it is so.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < until, "timed out: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

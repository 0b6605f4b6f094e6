//! As an ordinary user: what `spec --rootless` writes runs, with a range of ids and without, with cgroups that are
//! delegated and without.
#![forbid(unsafe_code)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::sandbox::{LIMIT, Outcome, RIVERRUN, Sandbox, until};

/// The container. Its cgroup would be the host's `/web` if it were called `web`, and who else's?
fn id() -> String {
    format!("rootless-{}", std::process::id())
}

/// The words of a line in which the container is called `web`.
fn words(line: &str) -> impl Iterator<Item = String> + '_ {
    line.split_whitespace().map(|word| if word == "web" { id() } else { word.to_owned() })
}

/// Nobody's id.
const USER: u32 = 31_234;
const FOREVER: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

/// A user with a bundle of his own.
struct Scene {
    sandbox: Sandbox,
    config: Value,
}

impl Scene {
    /// `None`, said aloud, where an ordinary user cannot have containers.
    fn set(script: &str) -> Option<Self> {
        let mut sandbox = Sandbox::with_bundle(script)?;
        // An ordinary user may not reach the directory of the build.
        sandbox.program = sandbox.path("riverrun");
        fs::copy(RIVERRUN, &sandbox.program).unwrap();
        fs::set_permissions(&sandbox.program, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&sandbox.directory, Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(sandbox.path("xdg")).unwrap();
        fs::remove_file(sandbox.path("bundle/config.json")).unwrap();
        for mine in ["", "xdg", "bundle", "bundle/rootfs"] {
            chown(sandbox.path(mine), Some(USER), Some(USER)).unwrap();
        }
        let mut scene = Self { sandbox, config: Value::Null };
        let mut probe = scene.user("unshare");
        if !probe.args(["--user", "true"]).status().is_ok_and(|status| status.success()) {
            eprintln!("skipped: user namespaces are closed to ordinary users here");
            return None;
        }
        scene.riverrun("spec --rootless -b bundle").ok();
        scene.config =
            serde_json::from_slice(&fs::read(scene.sandbox.path("bundle/config.json")).unwrap()).unwrap();
        scene.config["process"]["terminal"] = json!(false);
        scene.config["process"]["args"] = json!(["sh", "-c", script]);
        scene.write();
        Some(scene)
    }

    fn write(&self) {
        fs::write(self.sandbox.path("bundle/config.json"), self.config.to_string()).unwrap();
    }

    /// `program`, run by the user.
    fn user(&self, program: impl Into<PathBuf>) -> Command {
        let id = USER.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--inh-caps=-all", "--"]);
        command.arg(program.into()).current_dir(&self.sandbox.directory);
        command.env("HOME", "/").env("USER", "somebody").env("XDG_RUNTIME_DIR", self.sandbox.path("xdg"));
        command.env_remove("LISTEN_FDS").env_remove("NOTIFY_SOCKET").stdin(std::process::Stdio::null());
        command
    }

    fn riverrun(&self, line: &str) -> Outcome {
        let mut command = self.user(&self.sandbox.program);
        command.args(words(line));
        self.sandbox.outcome(command)
    }

    /// The same by way of root's `script`, in whose `"$@"` the line is.
    fn after(&self, script: &str, line: &str) -> Outcome {
        let user = self.user(&self.sandbox.program);
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", &format!("{script}\n exec \"$@\""), "sh"]);
        command.arg(user.get_program()).args(user.get_args()).args(words(line));
        for (name, value) in user.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(&self.sandbox.directory).stdin(std::process::Stdio::null());
        self.sandbox.outcome(command)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(self.riverrun("delete --force web"));
    }
}

#[test]
fn ordinary_user_runs_what_spec_rootless_writes() {
    let Some(mut scene) = Scene::set("id -u; cat /proc/self/uid_map; cat /proc/self/setgroups") else {
        return;
    };
    let printed = scene.riverrun("run -b bundle web").ok().stdout;
    let numbers: Vec<&str> = printed.split_whitespace().collect();
    assert_eq!(numbers, ["0", "0", &USER.to_string(), "1", "deny"]);
    let root = scene.sandbox.path("xdg/riverrun");
    // The sticky bit keeps those who tidy up in temporary directories away.
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o7777, 0o1700);
    scene.config["process"]["args"] = json!(["sh", "-c", FOREVER]);
    scene.write();
    scene.riverrun("run -d -b bundle web").ok();
    let state =
        |scene: &Scene| -> Value { serde_json::from_str(&scene.riverrun("state web").ok().stdout).unwrap() };
    assert_eq!(state(&scene)["status"], "running");
    assert_eq!(state(&scene)["owner"], format!("#{USER}"));
    assert_eq!(scene.riverrun("list -q").ok().stdout, format!("{}\n", id()));
    assert_eq!(scene.riverrun("exec web id -u").ok().stdout, "0\n");
    assert_eq!(scene.riverrun("ps -f json web").ok().stdout, format!("[{}]\n", state(&scene)["pid"]));
    scene.riverrun("kill web KILL").ok();
    assert!(until(LIMIT, || state(&scene)["status"] == "stopped"));
    scene.riverrun("delete web").ok();
    assert_eq!(fs::read_dir(root).unwrap().count(), 0);
}

/// The range's files stand in for the host's in a mount namespace of the test's own.
#[test]
fn range_of_ids_needs_an_entry_for_it() {
    if !Path::new("/usr/bin/newuidmap").exists() {
        eprintln!("skipped: newuidmap is not installed (uidmap)");
        return;
    }
    let Some(mut scene) = Scene::set("cat /proc/self/uid_map") else { return };
    for which in ["uidMappings", "gidMappings"] {
        let range = json!({"containerID": 1, "hostID": 200_000, "size": 1000});
        scene.config["linux"][which].as_array_mut().unwrap().push(range);
    }
    scene.write();
    let entries = |range: &str| {
        format!(
            "printf '{range}' >subid; printf 'somebody:x:{USER}:{USER}::/:/bin/sh\\n' | cat - /etc/passwd >passwd
            mount --bind subid /etc/subuid; mount --bind subid /etc/subgid; mount --bind passwd /etc/passwd"
        )
    };
    let outcome = scene.after(&entries("somebody:200000:1000\\n"), "run -b bundle web").ok();
    let numbers: Vec<&str> = outcome.stdout.split_whitespace().collect();
    assert_eq!(numbers, ["0", &USER.to_string(), "1", "1", "200000", "1000"]);
    let outcome = scene.after(&entries("somebody:200000:10\\n"), "run -b bundle web");
    assert_eq!(outcome.status, 1);
    assert!(outcome.message().contains("idmap: "), "{outcome:?}");
    assert_eq!(scene.riverrun("list -q").ok().stdout, "");
}

#[test]
fn limits_need_cgroups_and_nothing_else_does() {
    let Some(mut scene) = Scene::set("exit 0") else { return };
    scene.riverrun("--rootless=auto run -b bundle web").ok();
    scene.riverrun("--rootless=true run -b bundle web").ok();
    let outcome = scene.riverrun("--rootless=false run -b bundle web");
    assert_eq!(outcome.status, 1);
    assert!(outcome.message().contains("permission denied"), "{outcome:?}");
    scene.config["linux"]["resources"] = json!({"pids": {"limit": 7}});
    scene.write();
    let outcome = scene.riverrun("run -b bundle web");
    let text = "rootless needs no limits + no cgrouppath when no permission is granted for cgroups";
    assert_eq!(outcome.status, 1);
    assert!(outcome.message().contains(text), "{outcome:?}");
    assert_eq!(scene.riverrun("list -q").ok().stdout, "");
}

#[test]
fn delegated_cgroups_are_used() {
    if !Path::new("/sys/fs/cgroup/pids/tasks").exists() {
        eprintln!("skipped: cgroup v1 is what is delegated here");
        return;
    }
    let Some(mut scene) = Scene::set(FOREVER) else { return };
    scene.config["linux"]["resources"] = json!({"pids": {"limit": 7}});
    scene.write();
    let name = format!("riverrun-delegated-{}", std::process::id());
    let delegate = format!(
        "for root in /sys/fs/cgroup/*; do
            [ -L $root ] && continue
            [ -e $root/cgroup.procs ] || continue
            mkdir $root/{name}
            if [ -e $root/cpuset.cpus ]; then
                cat $root/cpuset.cpus >$root/{name}/cpuset.cpus
                cat $root/cpuset.mems >$root/{name}/cpuset.mems
            fi
            chown -R {USER} $root/{name}
            echo $$ >$root/{name}/cgroup.procs
        done"
    );
    let outcome = scene.after(&delegate, "run -d -b bundle web");
    let limit = fs::read_to_string(format!("/sys/fs/cgroup/pids/{name}/{}/pids.max", id()));
    scene.riverrun("delete --force web");
    let left: Vec<PathBuf> =
        fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|e| e.path().join(&name)).collect();
    let gone = until(LIMIT, || {
        left.iter().for_each(|path| drop(fs::remove_dir(path)));
        !left.iter().any(|path| path.exists())
    });
    outcome.ok();
    assert_eq!(limit.unwrap(), "7\n");
    assert!(gone, "cgroups are left");
}

//! CRIU or the runtime ends in the middle, the disk is full, CRIU is too old or no CRIU: the source runs on, unfrozen, and
//! `delete --force` finds whatever a restore left.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::scene::{Scene, compile, until};

/// A file that CRIU reads its own options from, at the moments of which it calls `script`.
fn action_script(scene: &Scene, script: &str) -> PathBuf {
    let program = scene.world.directory.join("action");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let options = scene.world.directory.join("criu.conf");
    fs::write(&options, format!("action-script {}\n", program.display())).unwrap();
    options
}

/// Where the scene's CRIU looks for its own options.
fn annotated(test: &str, directory: &Path) -> Option<Scene> {
    let options = directory.join(format!("rrt-criu-{}-{test}.conf", std::process::id()));
    Scene::of(test, |config| {
        config["annotations"] = json!({"org.criu.config": options});
    })
}

/// No cgroup of the container is frozen.
fn assert_not_frozen(scene: &Scene, id: &str) {
    let pid = scene.pid(id);
    let stat = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(stat.contains("TracerPid:\t0\n"), "nobody traces it: {stat}");
    let freezer = crate::support::cgroup_of(pid, "freezer");
    if let Ok(state) = fs::read_to_string(freezer.join("freezer.state")) {
        assert_eq!(state, "THAWED\n");
    }
    if let Ok(events) = fs::read_to_string(freezer.join("cgroup.events")) {
        assert!(events.contains("frozen 0"), "{events}");
    }
}

#[test]
fn a_criu_that_is_killed_in_a_dump_leaves_the_container_running() {
    let temporary = std::env::temp_dir();
    let Some(scene) = annotated("killed", &temporary) else { return };
    let options =
        action_script(&scene, "[ \"$CRTOOLS_SCRIPT_ACTION\" = network-lock ] && kill -9 $PPID; exit 0");
    let place = temporary.join(format!("rrt-criu-{}-killed.conf", std::process::id()));
    fs::copy(options, &place).unwrap();
    let id = scene.world.id("a");
    scene.start(&id);
    let text = scene.fails(&scene.with_images("checkpoint", &id, &[]));
    assert!(text.contains("CRIU ended without an answer") && text.contains("/images/dump.log)"), "{text}");
    assert_not_frozen(&scene, &id);
    scene.counts();
    fs::remove_file(&place).unwrap();
    // And it can be checkpointed all the same afterwards; no options, as the annotation's file is gone.
    fs::write(&place, "").unwrap();
    scene.checkpoint(&id, &["--leave-running"]);
    scene.counts();
    scene.delete(&id);
    scene.world.assert_nothing_left();
    fs::remove_file(&place).unwrap();
}

#[test]
fn a_full_disk_leaves_the_container_running() {
    let Some(scene) = Scene::new("full") else { return };
    let id = scene.world.id("a");
    scene.start(&id);
    fs::create_dir(&scene.images).unwrap();
    let images = scene.images.to_str().unwrap();
    let mount =
        |arguments: &[&str]| assert!(Command::new("mount").args(arguments).status().unwrap().success());
    mount(&["-t", "tmpfs", "-o", "size=64k", "riverrun-test", images]);
    let logs = scene.world.directory.join("logs");
    let output = scene.run(&scene.with_images("checkpoint", &id, &["--work-path", logs.to_str().unwrap()]));
    assert!(Command::new("umount").arg(images).status().unwrap().success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    let log = format!("{})", logs.join("dump.log").display());
    assert!(text.contains("No space left on device") && text.contains(&log), "{text}");
    assert_not_frozen(&scene, &id);
    scene.counts();
    scene.delete(&id);
    scene.world.assert_nothing_left();
}

/// Answers every question of a client with a fixed version, as `criu swrk` does.
const OLD: &str = r#"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
int main(int argc, char **argv) {
  if (argc != 3 || strcmp(argv[1], "swrk")) return 1;
  char request[65536];
  while (recv(atoi(argv[2]), request, sizeof request, 0) > 0) {
    /* criu_resp: type 10, success, version { major 2, minor 10 } */
    const char answer[] = {0x08, 10, 0x10, 1, 0x52, 4, 0x08, 2, 0x10, 10};
    if (send(atoi(argv[2]), answer, sizeof answer, 0) < 0) return 1;
  }
  return 0;
}
"#;

/// A command line with this program as its CRIU.
fn with_criu(scene: &Scene, directory: &Path, arguments: &[&str]) -> String {
    let mut command = scene.world.riverrun(arguments);
    let path = std::env::var("PATH").unwrap_or_default();
    let output = command.env("PATH", format!("{}:{path}", directory.display())).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_criu_that_is_too_old_or_none_is_told_by_what_it_lacks() {
    let Some(scene) = Scene::new("old") else { return };
    let id = scene.world.id("a");
    scene.start(&id);
    let directory = scene.world.directory.join("old");
    fs::create_dir(&directory).unwrap();
    let program = directory.join("criu");
    if !compile("old", OLD, &program) {
        return scene.delete(&id);
    }
    let text = with_criu(&scene, &directory, &scene.with_images("checkpoint", &id, &[]));
    assert!(text.contains("checkpoint and restore needs CRIU 3.0; the host's is 2.10"), "{text}");
    scene.counts();
    // One that is none at all.
    fs::remove_file(&program).unwrap();
    fs::write(&program, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let text = with_criu(&scene, &directory, &scene.with_images("checkpoint", &id, &[]));
    assert!(text.contains("CRIU ended without an answer"), "{text}");
    scene.counts();
    assert_not_frozen(&scene, &id);
    scene.delete(&id);
    scene.world.assert_nothing_left();
}

/// A restore whose CRIU waits for a hook that does not end: the processes are half there.
struct Hanging {
    scene: Scene,
    /// Of the container that is restored.
    id: String,
    restore: Child,
    mark: PathBuf,
}

impl Hanging {
    fn new(name: &str) -> Option<Self> {
        let mark = std::env::temp_dir().join(format!("rrt-{name}-{}", std::process::id()));
        let scene = Scene::of(name, |config| {
            let script = format!("[ -e {0}.wait ] && >{0} && exec sleep 1000; true", mark.display());
            config["hooks"] = json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]});
        })?;
        let (before, id) = (scene.world.id("a"), scene.world.id("b"));
        scene.start(&before);
        scene.checkpoint(&before, &[]);
        fs::write(mark.with_extension("wait"), "").unwrap();
        let mut arguments = scene.with_images("restore", &id, &[]);
        arguments.insert(1, "--detach");
        let restore = scene.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("the hook runs", || mark.exists());
        Some(Self { scene, id, restore, mark })
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        for mark in [&self.mark, &self.mark.with_extension("wait")] {
            drop(fs::remove_file(mark));
        }
    }
}

#[test]
fn delete_finds_all_that_a_killed_restore_left() {
    let Some(mut hanging) = Hanging::new("killed-restore") else { return };
    hanging.restore.kill().unwrap();
    hanging.restore.wait().unwrap();
    fs::remove_file(hanging.mark.with_extension("wait")).unwrap();
    let (scene, id) = (&hanging.scene, &hanging.id);
    scene.delete(id);
    until("the last of its processes are reaped", || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scene.world.assert_nothing_left())).is_ok()
    });
    // The images are as they were.
    scene.restore(id, &[]);
    scene.counts();
    scene.delete(id);
    scene.world.assert_nothing_left();
}

#[test]
fn ctrl_c_ends_a_restore_that_hangs() {
    let Some(mut hanging) = Hanging::new("hanging") else { return };
    let pid = nix::unistd::Pid::from_raw(hanging.restore.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::SIGINT).unwrap();
    let mut status = None;
    until("it ends", || {
        status = hanging.restore.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(130));
    assert_eq!(hanging.scene.status(&hanging.id), "none");
    hanging.scene.world.assert_nothing_left();
}

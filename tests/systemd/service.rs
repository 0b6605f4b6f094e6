//! Containers as services: the recipes of docs/systemd.md, each as a unit that systemd really starts and stops.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::scene::{Scene, is_user, show, skipped, systemctl, wait_until};

/// A unit file for as long as the test runs.
struct Service {
    name: String,
    path: PathBuf,
}

impl Service {
    fn new(name: String, text: &str) -> Self {
        let directory = match std::env::var("XDG_RUNTIME_DIR") {
            Ok(runtime) if is_user() => Path::new(&runtime).join("systemd/user"),
            _ => PathBuf::from("/run/systemd/system"),
        };
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join(&name);
        fs::write(&path, text).unwrap();
        assert!(systemctl(&["daemon-reload"]).status.success());
        Self { name, path }
    }

    fn start(&self) {
        let output = systemctl(&["start", &self.name]);
        let status = systemctl(&["status", "--no-pager", "--full", &self.name]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    }

    fn show(&self, property: &str) -> String {
        show(&self.name, property)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = systemctl(&["stop", &self.name]);
        let _ = systemctl(&["reset-failed", &self.name]);
        let _ = fs::remove_file(&self.path);
        let _ = systemctl(&["daemon-reload"]);
    }
}

/// riverrun with its options, as a line of a unit has it.
fn riverrun(scene: &Scene) -> String {
    format!("{} --systemd-cgroup --root {}", env!("CARGO_BIN_EXE_riverrun"), scene.root.display())
}

#[test]
fn a_forking_service_is_its_container() {
    let name = "a_forking_service_is_its_container";
    if skipped(name) {
        return;
    }
    if is_user() {
        eprintln!("skipped, {name}: a user's systemd takes no main process from another unit");
        return;
    }
    let scene = Scene::new("forking");
    let (id, riverrun) = (scene.id("c"), riverrun(&scene));
    scene.config(&["sleep", "1000"], |_| {});
    let (bundle, pid) = (scene.bundle.display(), scene.directory.join("pid"));
    let pid = pid.display();
    let service = Service::new(
        format!("{id}.service"),
        &format!(
            "[Service]\nType=forking\nPIDFile={pid}\nExecStart={riverrun} run --detach --bundle {bundle} --pid-file {pid} {id}\n\
             ExecStopPost={riverrun} delete --force {id}\nKillSignal=SIGKILL\n"
        ),
    );
    service.start();
    assert_eq!(service.show("ActiveState"), "active");
    assert_eq!(service.show("MainPID"), scene.pid(&id).to_string());
    assert!(systemctl(&["stop", &service.name]).status.success());
    scene.assert_nothing_left(&[]);
    // The end of the container is the end of the service.
    systemctl(&["reset-failed", &service.name]);
    service.start();
    scene.ok(&["kill", &id, "KILL"]);
    wait_until("the service has ended", || {
        service.show("ActiveState") != "active" && service.show("SubState") != "stop-post"
    });
    drop(service);
    scene.assert_nothing_left(&[]);
}

/// The machine's own programs, which need more than a busybox.
fn with_the_hosts_programs(scene: &Scene, config: &mut Value) {
    for path in ["usr", "lib", "lib64"] {
        let source = Path::new("/").join(path);
        if source.exists() {
            fs::create_dir_all(scene.bundle.join("rootfs").join(path)).unwrap();
            config["mounts"].as_array_mut().unwrap().push(json!({
                "destination": source, "type": "bind", "source": source, "options": ["rbind", "ro"],
            }));
        }
    }
    // For /run/notify.
    fs::create_dir_all(scene.bundle.join("rootfs/run/notify")).unwrap();
}

#[test]
fn a_notify_service_is_ready_when_its_container_says_so() {
    if skipped("a_notify_service_is_ready_when_its_container_says_so") {
        return;
    }
    let scene = Scene::new("notify");
    let (id, riverrun) = (scene.id("c"), riverrun(&scene));
    let script = "trap 'exit 0' TERM; systemd-notify --status=warming; systemd-notify --ready; \
        systemd-notify --status=serving; while :; do sleep 1 & wait $!; done";
    scene.config(&["sh", "-c", script], |config| {
        with_the_hosts_programs(&scene, config);
        config["process"]["env"] = json!(["PATH=/bin:/usr/bin"]);
    });
    let bundle = scene.bundle.display();
    let service = Service::new(
        format!("{id}.service"),
        &format!(
            "[Service]\nType=notify\nExecStart={riverrun} run --bundle {bundle} {id}\n\
             ExecStopPost=-{riverrun} delete --force {id}\nTimeoutStartSec=120\nTimeoutStopSec=120\n"
        ),
    );
    service.start();
    assert_eq!(service.show("ActiveState"), "active");
    assert_ne!(service.show("MainPID"), scene.pid(&id).to_string(), "in the foreground it is riverrun");
    wait_until("the container's status is the service's", || service.show("StatusText") == "serving");
    assert!(systemctl(&["stop", &service.name]).status.success());
    assert_eq!(service.show("Result"), "success");
    drop(service);
    scene.assert_nothing_left(&[]);
}

/// A notify service whose container says whatever a file in its root filesystem holds, and nothing twice.
fn obedient(scene: &Scene, id: &str, more: &str) -> Service {
    let script = "systemd-notify --ready; while :; do \
        if [ -e /say ]; then mv /say /saying; systemd-notify $(cat /saying); fi; \
        if [ -e /alive ]; then systemd-notify WATCHDOG=1; fi; sleep 0.5; done";
    scene.config(&["sh", "-c", &format!("mv() {{ busybox mv $@; }}; {script}")], |config| {
        with_the_hosts_programs(scene, config);
        config["process"]["env"] = json!(["PATH=/bin:/usr/bin"]);
        config["root"]["readonly"] = json!(false);
    });
    let (bundle, riverrun) = (scene.bundle.display(), riverrun(scene));
    Service::new(
        format!("{id}.service"),
        &format!(
            "[Service]\nType=notify\nExecStart={riverrun} run --bundle {bundle} {id}\nKillSignal=SIGKILL\n\
             ExecStopPost=-{riverrun} delete --force {id}\nTimeoutStartSec=120\nTimeoutStopSec=120\n{more}"
        ),
    )
}

fn says(scene: &Scene, words: &str) {
    let rootfs = scene.bundle.join("rootfs");
    fs::write(rootfs.join("words"), words).unwrap();
    fs::rename(rootfs.join("words"), rootfs.join("say")).unwrap();
}

#[test]
fn a_notify_service_reloads_and_stops_when_its_container_says_so() {
    if skipped("a_notify_service_reloads_and_stops_when_its_container_says_so") {
        return;
    }
    let scene = Scene::new("words");
    let id = scene.id("c");
    let service = obedient(&scene, &id, "");
    service.start();
    assert_eq!(service.show("ActiveState"), "active");
    says(&scene, "RELOADING=1 STATUS=reading");
    wait_until("the service reloads", || service.show("ActiveState") == "reloading");
    wait_until("it says why", || service.show("StatusText") == "reading");
    says(&scene, "READY=1");
    wait_until("the service is active again", || service.show("ActiveState") == "active");
    says(&scene, "STOPPING=1");
    wait_until("the service stops", || service.show("ActiveState") == "deactivating");
    drop(service);
    scene.assert_nothing_left(&[]);
}

#[test]
fn a_container_keeps_the_watchdog_of_its_service_quiet_until_it_says_nothing_more() {
    if skipped("a_container_keeps_the_watchdog_of_its_service_quiet_until_it_says_nothing_more") {
        return;
    }
    let scene = Scene::new("watchdog");
    let id = scene.id("c");
    let service = obedient(&scene, &id, "WatchdogSec=20\nTimeoutAbortSec=5\n");
    let alive = scene.bundle.join("rootfs/alive");
    fs::write(&alive, "").unwrap();
    service.start();
    let seen = || service.show("WatchdogTimestampMonotonic");
    let first = seen();
    wait_until("a sign of life has come through", || seen() != first);
    assert_eq!(service.show("ActiveState"), "active");
    fs::remove_file(alive).unwrap();
    wait_until("the watchdog has ended the service", || service.show("Result") == "watchdog");
    // The watchdog's SIGABRT is the container's, whose first process does not die of a signal that it has no handler for.
    wait_until("it has stopped", || service.show("ActiveState") == "failed");
    drop(service);
    scene.assert_nothing_left(&[]);
}

#[test]
fn a_listening_socket_is_the_containers_from_the_first_connection_on() {
    let name = "a_listening_socket_is_the_containers_from_the_first_connection_on";
    if skipped(name) {
        return;
    }
    if !Path::new("/usr/bin/python3").exists() {
        eprintln!("skipped, {name}: needs /usr/bin/python3 to accept a connection with");
        return;
    }
    let scene = Scene::new("listen");
    let (id, riverrun) = (scene.id("c"), riverrun(&scene));
    let program = "import os, socket\n\
        listener = socket.socket(fileno=3)\n\
        told = ' '.join(os.environ[name] for name in ('LISTEN_FDS', 'LISTEN_PID'))\n\
        for _ in range(2):\n    \
        stream, _ = listener.accept()\n    \
        stream.sendall(told.encode())\n    \
        stream.close()\n";
    scene.config(&["/usr/bin/python3", "-c", program], |config| {
        with_the_hosts_programs(&scene, config);
        config["process"]["env"] = json!(["PATH=/bin:/usr/bin"]);
    });
    let (bundle, path) = (scene.bundle.display(), scene.directory.join("socket"));
    let service = Service::new(
        format!("{id}.service"),
        &format!("[Service]\nExecStart={riverrun} run --bundle {bundle} {id}\n"),
    );
    let text = format!("[Socket]\nListenStream={}\n", path.display());
    let socket = Service::new(format!("{id}.socket"), &text);
    socket.start();
    assert!(!scene.root.join(&id).exists(), "nobody has asked yet");
    for _ in 0..2 {
        let mut said = String::new();
        UnixStream::connect(&path).unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "1 1");
    }
    drop(socket);
    wait_until("the container is gone", || !scene.root.join(&id).exists());
    drop(service);
    scene.assert_nothing_left(&[]);
}

#[test]
fn a_socket_starts_its_container_and_is_handed_to_it() {
    if skipped("a_socket_starts_its_container_and_is_handed_to_it") {
        return;
    }
    let scene = Scene::new("socket");
    let (id, riverrun) = (scene.id("c"), riverrun(&scene));
    scene.config(&["sh", "-c", "echo $LISTEN_FDS $LISTEN_PID $$ >&3"], |_| {});
    let (bundle, path) = (scene.bundle.display(), scene.directory.join("socket"));
    let instance = Service::new(
        format!("{id}@.service"),
        &format!("[Service]\nExecStart={riverrun} run --bundle {bundle} {id}\n"),
    );
    let text = format!("[Socket]\nListenStream={}\nAccept=yes\n", path.display());
    let socket = Service::new(format!("{id}.socket"), &text);
    socket.start();
    let mut said = String::new();
    UnixStream::connect(&path).unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "1 1 1\n");
    drop(socket);
    wait_until("the container is gone", || !scene.root.join(&id).exists());
    systemctl(&["stop", &format!("{id}@*.service")]);
    drop(instance);
    scene.assert_nothing_left(&[]);
}

//! The claims about a container's life, about errors, waiting and the host, through the Rust API, as far as no other test of it
//! keeps them: `Keeps for rust`.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use riverrun::{
    Call, Container, ContextOptions, CreateOptions, CriuOptions, Error, Kind, Level, MigrateOptions,
    MigrationEvent, ReceiveOptions, Status, Stdio, UpdateOptions,
};
use serde_json::{Value, json};

use crate::criu;
use crate::support::{World, skipped};

pub(crate) const LONG: Call<'static> = Call { timeout: Some(Duration::from_secs(60)), cancel: None };

/// A world whose containers run `script`; `None`, said aloud, where there can be none.
pub(crate) fn world(claim: &str, script: &str) -> Option<World> {
    if skipped(claim) {
        return None;
    }
    let world = World::new(claim);
    world.config(&["sh", "-c", script], |_| {});
    Some(world)
}

/// A running container of it.
pub(crate) fn run(world: &World) -> Container {
    world.context().run(&world.id("c"), world.options()).unwrap()
}

/// It is deleted, and nothing is left.
pub(crate) fn gone(world: &World, container: &Container) {
    container.delete(true, LONG).unwrap();
    world.assert_nothing_left();
}

pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "not within a minute: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

// ---- what needs no container ----

#[test]
fn version_is_the_headers() {
    let number = riverrun::ffi::RR_VERSION_NUMBER;
    assert_eq!(riverrun::VERSION, format!("{}.{}.{}", number >> 24, number >> 16 & 255, number >> 8 & 255));
}

#[test]
fn spec_is_a_valid_config() {
    for rootless in [None, Some((1000, 1000))] {
        riverrun::check_config(riverrun::default_config(rootless).as_bytes()).unwrap();
    }
}

#[test]
fn bad_config_names_the_place() {
    let refused = riverrun::check_config(br#"{"ociVersion":"1.0.2","process":{"cwd":7}}"#).unwrap_err();
    assert!(refused.kind() == Kind::InvalidSpec && refused.to_string().contains("process.cwd"), "{refused}");
}

#[test]
fn features_document_is_complete() {
    let document: Value = serde_json::from_str(&riverrun::features()).unwrap();
    let has = |key: &str, value: &str| document[key].as_array().unwrap().contains(&json!(value));
    assert!(has("hooks", "startContainer") && has("mountOptions", "rbind"), "{document}");
}

// ---- errors ----

/// What a create says whose bundle is not there.
fn no_bundle() -> Error {
    let world = World::new("no-bundle");
    let bundle = Some(world.directory.join("no-bundle"));
    world.context().create(&world.id("c"), CreateOptions { bundle, ..CreateOptions::default() }).unwrap_err()
}

#[test]
fn error_has_code_and_message() {
    let error = World::new("message").context().open("nobody").unwrap_err();
    assert_eq!(error.kind().code(), riverrun::ffi::RR_E_NOT_FOUND);
    assert!(error.to_string().contains("does not exist"), "{error}");
}

#[test]
fn error_has_its_chain() {
    let error = no_bundle();
    assert!(error.chain().len() > 1 && error.chain().join(": ") == error.to_string(), "{error:?}");
}

#[test]
fn error_has_its_errno() {
    assert_eq!(no_bundle().errno(), Some(libc::ENOENT));
}

#[test]
fn error_has_its_details() {
    let world = World::new("details");
    let refused = world.context().create(&world.id("c"), world.options()).unwrap_err();
    assert!(refused.detail("path").unwrap().contains(world.bundle.to_str().unwrap()), "{refused:?}");
    assert_eq!(refused.detail("weather"), None);
}

#[test]
fn invalid_id_is_refused() {
    let world = World::new("invalid-id");
    let refused = world.context().create("a/b", world.options()).unwrap_err();
    assert_eq!(refused.kind(), Kind::InvalidId);
}

#[test]
fn missing_container_is_not_found() {
    assert_eq!(World::new("missing").context().open("nobody").unwrap_err().kind(), Kind::NotFound);
}

// ---- the life of a container ----

#[test]
fn config_without_a_bundle() {
    let Some(world) = world("config_without_a_bundle", "exit 3") else { return };
    let path = world.bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::remove_file(path).unwrap();
    config["root"]["path"] = json!(world.bundle.join("rootfs"));
    let options =
        CreateOptions { bundle: None, config: Some(config.to_string().into_bytes()), ..world.options() };
    let container = world.context().run(&world.id("c"), options).unwrap();
    assert_eq!(container.init_process().unwrap().wait(LONG).unwrap().code, 3);
    gone(&world, &container);
}

#[test]
fn state_document_is_the_command_lines() {
    let Some(world) = world("state_document_is_the_command_lines", "sleep 60") else { return };
    let container = run(&world);
    let printed = world.output(&["state", &world.id("c")]).stdout;
    assert_eq!(container.state().unwrap().to_json(), String::from_utf8(printed).unwrap());
    gone(&world, &container);
}

#[test]
fn list_names_the_containers() {
    let Some(world) = world("list_names_the_containers", "sleep 60") else { return };
    let context = world.context();
    let made = ["a", "b"].map(|name| context.create(&world.id(name), world.options()).unwrap());
    let listed = context.list().unwrap();
    let ids: Vec<_> = listed.containers.iter().map(|state| state.id.clone()).collect();
    assert_eq!(ids, [world.id("a"), world.id("b")]);
    made[0].delete(true, LONG).unwrap();
    gone(&world, &made[1]);
}

#[test]
fn kill_ends_by_the_signal() {
    let Some(world) = world("kill_ends_by_the_signal", "sleep 60") else { return };
    let container = run(&world);
    container.kill(libc::SIGKILL, false).unwrap();
    let exit = container.init_process().unwrap().wait(LONG).unwrap();
    assert_eq!((exit.code, exit.signal), (0, libc::SIGKILL));
    gone(&world, &container);
}

#[test]
fn many_may_wait() {
    let Some(world) = world("many_may_wait", "sleep 1; exit 9") else { return };
    let container = run(&world);
    let init = container.init_process().unwrap();
    let codes = thread::scope(|scope| {
        let waiters = [(); 8].map(|()| scope.spawn(|| init.wait(LONG).unwrap().code));
        waiters.map(|waiter| waiter.join().unwrap())
    });
    assert_eq!(codes, [9; 8]);
    gone(&world, &container);
}

#[test]
fn pidfd_is_readable_at_the_end() {
    let Some(world) = world("pidfd_is_readable_at_the_end", "sleep 60") else { return };
    let container = run(&world);
    let init = container.init_process().unwrap();
    let ended = |patience: u16| {
        let mut fds = [nix::poll::PollFd::new(init.pidfd(), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut fds, patience).unwrap() == 1
    };
    assert!(!ended(0));
    container.kill(libc::SIGKILL, false).unwrap();
    assert!(ended(60_000));
    gone(&world, &container);
}

#[test]
fn members_are_listed() {
    let Some(world) = world("members_are_listed", "sleep 60 & sleep 60 & wait") else { return };
    let container = run(&world);
    eventually("there are three", || container.pids().unwrap().len() == 3);
    assert!(container.pids().unwrap().contains(&container.state().unwrap().pid));
    gone(&world, &container);
}

#[test]
fn update_changes_a_limit() {
    let Some(world) = world("update_changes_a_limit", "sleep 60") else { return };
    let container = run(&world);
    let resources = br#"{"pids":{"limit":77}}"#.to_vec();
    container.update(&UpdateOptions { resources, ..UpdateOptions::default() }).unwrap();
    assert_eq!(container.usage(riverrun::StatsSet::PIDS).unwrap().pids_limit, 77);
    gone(&world, &container);
}

// ---- the host ----

#[test]
fn log_lines_arrive() {
    let Some(world) = world("log_lines_arrive", "true") else { return };
    world.config(&["true"], |config| {
        config["process"]["capabilities"]["bounding"] = json!(["CAP_OF_NOBODY"]);
    });
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = {
        let heard = Arc::clone(&heard);
        Arc::new(move |level: Level, line: &str| heard.lock().unwrap().push((level, line.to_owned())))
    };
    let options =
        ContextOptions { root: Some(world.root.clone()), log: Some(log), ..ContextOptions::default() };
    let context = riverrun::Context::new(options).unwrap();
    let container = context.run(&world.id("c"), world.options()).unwrap();
    let warned = |(level, line): &(Level, String)| *level == Level::Warn && line.contains("CAP_OF_NOBODY");
    assert!(heard.lock().unwrap().iter().any(warned), "{heard:?}");
    gone(&world, &container);
}

#[test]
fn handles_outlive_their_context() {
    let Some(world) = world("handles_outlive_their_context", "sleep 60") else { return };
    let context = world.context();
    let container = context.run(&world.id("c"), world.options()).unwrap();
    let init = container.init_process().unwrap();
    drop(context);
    container.delete(true, LONG).unwrap();
    drop(container);
    assert_eq!(init.wait(LONG).unwrap().signal, libc::SIGKILL);
    world.assert_nothing_left();
}

/// Dispositions, umask, threads, capabilities; descriptors, working directory.
fn host() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let keys = ["SigBlk", "SigIgn", "SigCgt", "Umask", "Threads", "Cap", "NoNew"];
    let mut kept: Vec<String> = status
        .lines()
        .filter(|line| keys.iter().any(|key| line.starts_with(key)))
        .map(str::to_owned)
        .collect();
    let mut fds: Vec<String> = (0..1024)
        // SAFETY: fcntl(F_GETFD) takes any number and touches no memory.
        .filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0)
        .map(|fd| fd.to_string())
        .collect();
    kept.append(&mut fds);
    kept.push(std::env::current_dir().unwrap().display().to_string());
    kept.join("\n")
}

/// In a process of its own, since the tests beside it open files meanwhile.
#[test]
fn host_is_untouched() {
    const ALONE: &str = "RIVERRUN_CLAIM_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", "rust::host_is_untouched", "--test-threads=1", "--nocapture"]).env(ALONE, "1");
        let output = alone.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && told.contains("1 passed"), "{told}");
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let Some(world) = world("host_is_untouched", "true") else { return };
    gone(&world, &run(&world));
    let before = host();
    for _ in 0..20 {
        gone(&world, &run(&world));
    }
    assert_eq!(host(), before);
}

#[test]
fn namespace_is_opened() {
    let Some(world) = world("namespace_is_opened", "sleep 60") else { return };
    let container = run(&world);
    let opened = container.open_namespace(riverrun::Namespace::Uts).unwrap();
    let link = |path: String| fs::read_link(path).unwrap();
    let theirs = link(format!("/proc/self/fd/{}", opened.as_raw_fd()));
    assert_eq!(theirs, link(format!("/proc/{}/ns/uts", container.state().unwrap().pid)));
    assert_ne!(theirs, Path::new(&link("/proc/self/ns/uts".to_owned())));
    gone(&world, &container);
}

#[test]
fn cgroup_is_opened() {
    let Some(world) = world("cgroup_is_opened", "exec sleep 60") else { return };
    let container = run(&world);
    let directory = container.open_cgroup().unwrap();
    let members = format!("/proc/self/fd/{}/cgroup.procs", directory.as_raw_fd());
    assert_eq!(fs::read_to_string(members).unwrap(), format!("{}\n", container.state().unwrap().pid));
    gone(&world, &container);
}

#[test]
fn seccomp_listener_is_taken() {
    let Some(world) = world("seccomp_listener_is_taken", "sleep 60") else { return };
    world.config(&["sleep", "60"], |config| {
        let syscalls = json!([{"names": ["swapon"], "action": "SCMP_ACT_NOTIFY"}]);
        config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": syscalls});
    });
    let options = CreateOptions { want_seccomp_listener: true, ..world.options() };
    let container = world.context().run(&world.id("c"), options).unwrap();
    let listener = container.take_seccomp_listener().unwrap();
    let link = fs::read_link(format!("/proc/self/fd/{}", listener.as_raw_fd())).unwrap();
    assert!(link.to_string_lossy().contains("seccomp notify"), "{}", link.display());
    assert_eq!(container.take_seccomp_listener().unwrap_err().kind(), Kind::Seccomp);
    gone(&world, &container);
}

// ---- migration ----

#[test]
fn migrated_container_goes_on() {
    let test = "migrated_container_goes_on";
    let Some(world) = world(test, "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done") else { return };
    let criu = match criu::program() {
        Ok(program) => CriuOptions { criu: Some(program), ..CriuOptions::default() },
        Err(reason) => return eprintln!("skipped: {test}: {reason}"),
    };
    let _alone = criu::alone();
    // CRIU makes a directory in it, before the root filesystem may not be written to.
    fs::create_dir(world.bundle.join("rootfs/tmp")).unwrap();
    let there = World::new("there");
    let mut options = world.options();
    options.io.stdout = Stdio::Pipe;
    let container = world.context().run(&world.id("c"), options).unwrap();
    let mut counted = crate::streams::numbers(&container);
    while counted() < 3 {}
    let seen = counted();
    let (here, beyond) = UnixStream::pair().unwrap();
    let mut steps = Vec::new();
    let (migrated, received) = thread::scope(|scope| {
        let receive = scope.spawn(|| {
            let mut create = there.options();
            (create.bundle, create.io.stdout, create.call) = (None, Stdio::Pipe, LONG);
            let id = Some(there.id("c"));
            there.context().receive(
                beyond.into(),
                ReceiveOptions { id, create, criu: criu.clone(), ..Default::default() },
            )
        });
        let wanted = MigrateOptions { criu: criu.clone(), ..MigrateOptions::default() };
        let migrated = container.migrate(here.into(), &wanted, LONG, &mut |event| steps.push(event.clone()));
        (migrated.unwrap(), receive.join().unwrap().unwrap())
    });
    assert!(matches!(steps.first(), Some(MigrationEvent::Accepted)), "{steps:?}");
    assert!(matches!(steps.last(), Some(MigrationEvent::Restored)), "{steps:?}");
    let state = received.state().unwrap();
    assert_eq!((state.status, state.pid), (Status::Running, migrated.pid));
    assert!(crate::streams::numbers(&received)() > seen);
    assert_eq!(container.state().unwrap_err().kind(), Kind::NotFound);
    gone(&there, &received);
    world.assert_nothing_left();
}

#[test]
fn migration_to_nobody_leaves_it_running() {
    let Some(world) = world("migration_to_nobody_leaves_it_running", "sleep 60") else { return };
    let container = run(&world);
    let (here, beyond) = UnixStream::pair().unwrap();
    drop(beyond);
    let socket = here.as_fd().try_clone_to_owned().unwrap();
    container.migrate(socket, &MigrateOptions::default(), LONG, &mut |_| ()).unwrap_err();
    assert_eq!(container.state().unwrap().status, Status::Running);
    gone(&world, &container);
}

//! The life of a container through the Rust API: states, refusals, what is left. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::zombie_processes,
    reason = "a test panics when it is wrong, and traces its children by hand"
)]

mod support;

use std::fs;
use std::io::Read;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use riverrun::{Call, ExecOptions, Io, Kind, Status, Stdio};
use serde_json::{Value, json};
use support::{World, skipped};

fn exec_options(container: &riverrun::Container, args: &[&str]) -> ExecOptions<'static> {
    let mut process: Value = serde_json::from_slice(&container.process_json().unwrap()).unwrap();
    process["args"] = json!(args);
    let io = Io { stdin: Stdio::Null, stdout: Stdio::Pipe, ..Io::default() };
    ExecOptions { process: process.to_string().into_bytes(), io, ..ExecOptions::default() }
}

fn read_all(process: &riverrun::Process) -> String {
    let mut text = String::new();
    fs::File::from(process.take_pipe(1).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// Keeps for rust: created_running_stopped, existing_id_is_refused, exec_into_a_stopped_container_is_refused.
#[test]
fn created_running_stopped_deleted() {
    if skipped("created_running_stopped_deleted") {
        return;
    }
    let world = World::new("life");
    world.config(&["sh", "-c", "echo hello; exit 3"], |_| {});
    let context = world.context();
    let mut options = world.options();
    options.io.stdout = Stdio::Pipe;
    let id = world.id("c");
    let container = context.create(&id, options).unwrap();
    let process = container.init_process().unwrap();
    let state = container.state().unwrap();
    assert_eq!((state.status, state.pid), (Status::Created, process.pid()));
    assert_eq!(context.create(&id, world.options()).unwrap_err().kind(), Kind::Exists);
    container.start(Call::default()).unwrap();
    assert_eq!(read_all(&process), "hello\n");
    let exit = process.wait(Call::default()).unwrap();
    assert_eq!((exit.code, exit.signal, exit.status_lost), (3, 0, false));
    let state = container.state().unwrap();
    assert_eq!((state.status, state.pid), (Status::Stopped, 0));
    assert_eq!(
        container.start(Call::default()).unwrap_err().to_string(),
        "cannot start a container that has stopped"
    );
    assert_eq!(container.kill(15, false).unwrap_err().to_string(), "container not running");
    let refused = container.exec(exec_options(&container, &["true"])).unwrap_err();
    assert_eq!(
        (refused.kind(), refused.to_string().as_str()),
        (Kind::NotRunning, "cannot exec in a stopped container")
    );
    container.delete(false, Call::default()).unwrap();
    assert_eq!(container.state().unwrap_err().kind(), Kind::NotFound);
    assert_eq!(container.delete(false, Call::default()).unwrap_err().kind(), Kind::NotFound);
    container.delete(true, Call::default()).unwrap();
    world.assert_nothing_left();
}

/// Keeps for rust: run_is_create_and_start, second_start_is_refused, running_container_is_not_deleted, forced_delete_leaves_nothing.
#[test]
fn a_running_container_is_deleted_by_force_only() {
    if skipped("a_running_container_is_deleted_by_force_only") {
        return;
    }
    let world = World::new("force");
    world.config(&["sleep", "1000"], |_| {});
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    assert_eq!(
        container.start(Call::default()).unwrap_err().to_string(),
        "cannot start an already running container"
    );
    let refused = container.delete(false, Call::default()).unwrap_err();
    assert!(refused.to_string().ends_with("that is not stopped: running"), "{refused}");
    assert_eq!(container.pids().unwrap(), [container.init_process().unwrap().pid()]);
    container.delete(true, Call::default()).unwrap();
    let exit = container.init_process().unwrap().wait(Call::default()).unwrap();
    assert_eq!(exit.shell_status(), 137);
    world.assert_nothing_left();
}

#[test]
fn a_created_container_is_killed_by_delete() {
    if skipped("a_created_container_is_killed_by_delete") {
        return;
    }
    let world = World::new("created");
    world.config(&["true"], |_| {});
    let container = world.context().create(&world.id("c"), world.options()).unwrap();
    container.delete(false, Call::default()).unwrap();
    world.assert_nothing_left();
}

/// Keeps for rust: exec_has_its_own_exit.
#[test]
fn exec_shares_the_containers_namespaces_and_reports_its_own_exit() {
    if skipped("exec_shares_the_containers_namespaces_and_reports_its_own_exit") {
        return;
    }
    let world = World::new("exec");
    world.config(&["sleep", "1000"], |_| {});
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    let script = "cat /proc/1/cmdline | tr '\\0' ' ' 2>/dev/null || cat /proc/1/cmdline; hostname; exit 9";
    let process = container.exec(exec_options(&container, &["sh", "-c", script])).unwrap();
    let text = read_all(&process);
    assert!(text.contains("sleep") && text.contains("runc"), "{text:?}");
    assert_eq!(process.wait(Call::default()).unwrap().code, 9);
    for (args, kind) in [
        (&["nosuch"][..], Kind::ExecNotFound),
        (&["/nosuch"], Kind::ExecNotFound),
        (&["/bin"], Kind::ExecPermission),
        (&["/proc/self/status"], Kind::ExecPermission),
    ] {
        assert_eq!(container.exec(exec_options(&container, args)).unwrap_err().kind(), kind, "{args:?}");
    }
    container.delete(true, Call::default()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn one_of_two_racing_creates_wins() {
    if skipped("one_of_two_racing_creates_wins") {
        return;
    }
    let world = World::new("race");
    world.config(&["true"], |_| {});
    let context = world.context();
    for round in 0..10 {
        let id = world.id(&round.to_string());
        let barrier = Barrier::new(2);
        let outcomes = thread::scope(|scope| {
            let racers = [(), ()].map(|()| {
                scope.spawn(|| {
                    barrier.wait();
                    context.create(&id, world.options()).map(drop).map_err(|error| error.kind())
                })
            });
            racers.map(|racer| racer.join().unwrap())
        });
        assert!(outcomes.contains(&Ok(())) && outcomes.contains(&Err(Kind::Exists)), "{outcomes:?}");
        context.delete(&id, false, Call::default()).unwrap();
    }
    world.assert_nothing_left();
}

#[test]
fn changes_of_the_bundle_after_create_have_no_effect() {
    if skipped("changes_of_the_bundle_after_create_have_no_effect") {
        return;
    }
    let world = World::new("bundle");
    world.config(&["sleep", "1000"], |config| config["process"]["env"] = json!(["PATH=/bin", "A=before"]));
    let container = world.context().create(&world.id("c"), world.options()).unwrap();
    fs::remove_file(world.bundle.join("config.json")).unwrap();
    container.start(Call::default()).unwrap();
    let process = container.exec(exec_options(&container, &["sh", "-c", "echo $A"])).unwrap();
    assert_eq!(read_all(&process), "before\n");
    container.delete(true, Call::default()).unwrap();
    world.assert_nothing_left();
}

/// Keeps for rust: wait_has_a_deadline, wait_is_cancelled.
#[test]
fn waiting_ends_at_its_deadline_and_by_its_cancel_descriptor() {
    if skipped("waiting_ends_at_its_deadline_and_by_its_cancel_descriptor") {
        return;
    }
    let world = World::new("deadline");
    world.config(&["sleep", "1000"], |_| {});
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    let process = container.init_process().unwrap();
    let timeout = Call { timeout: Some(Duration::from_millis(10)), cancel: None };
    assert_eq!(process.wait(timeout).unwrap_err().kind(), Kind::Timeout);
    let (read, write) = nix::unistd::pipe().unwrap();
    drop(write);
    let cancelled = Call { timeout: None, cancel: Some(std::os::fd::AsFd::as_fd(&read)) };
    assert_eq!(process.wait(cancelled).unwrap_err().kind(), Kind::Cancelled);
    container.delete(true, Call::default()).unwrap();
    world.assert_nothing_left();
}

/// Keeps for rust: cancelled_create_leaves_nothing.
#[test]
fn a_cancelled_create_leaves_nothing() {
    if skipped("a_cancelled_create_leaves_nothing") {
        return;
    }
    let world = World::new("cancel");
    world.config(&["true"], |_| {});
    let (read, write) = nix::unistd::pipe().unwrap();
    drop(write);
    let call = Call { timeout: None, cancel: Some(std::os::fd::AsFd::as_fd(&read)) };
    let outcome = world.context().create(&world.id("c"), riverrun::CreateOptions { call, ..world.options() });
    // The init program may have been faster than the poll: then there is a container, and it is whole.
    match outcome {
        Ok(container) => container.delete(false, Call::default()).unwrap(),
        Err(error) => assert_eq!(error.kind(), Kind::Cancelled),
    }
    world.assert_nothing_left();
}

/// Keeps for rust: missing_program_is_named.
#[test]
fn failing_creates_leak_no_descriptors() {
    if skipped("failing_creates_leak_no_descriptors") {
        return;
    }
    let world = World::new("leak");
    world.config(&["/nosuch"], |_| {});
    let context = world.context();
    let _warm = context.create(&world.id("warm"), world.options()).unwrap_err();
    let count = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = count();
    for round in 0..30 {
        let error = context.create(&world.id(&round.to_string()), world.options()).unwrap_err();
        assert_eq!(error.kind(), Kind::ExecNotFound);
        assert_eq!(error.to_string(), "exec: \"/nosuch\": stat /nosuch: no such file or directory");
    }
    // Other tests of this process open files meanwhile: a leak of one a round would show all the same.
    assert!(count() < before + 20, "{} descriptors before, {} after", before, count());
    world.assert_nothing_left();
}

#[test]
fn paths_of_a_hostile_image_stay_inside_the_root() {
    if skipped("paths_of_a_hostile_image_stay_inside_the_root") {
        return;
    }
    let world = World::new("hostile");
    let outside = world.directory.join("outside");
    fs::create_dir(&outside).unwrap();
    let rootfs = world.bundle.join("rootfs");
    // /mnt/x leads out by an absolute link, /etc by a relative one: both mean a place below the root.
    std::os::unix::fs::symlink(&outside, rootfs.join("mnt")).unwrap();
    std::os::unix::fs::symlink("../../../../../../..", rootfs.join("up")).unwrap();
    world.config(&["true"], |config| {
        let mounts = config["mounts"].as_array_mut().unwrap();
        for target in ["/mnt/a", "/up/b"] {
            mounts.push(json!({ "destination": target, "type": "tmpfs", "source": "tmpfs" }));
        }
        config["linux"]["maskedPaths"].as_array_mut().unwrap().push(json!("/up/etc"));
        config["process"]["cwd"] = json!("/mnt/made");
    });
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    container.init_process().unwrap().wait(Call::default()).unwrap();
    container.delete(false, Call::default()).unwrap();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "something was made outside of the root");
    assert!(rootfs.join("b").is_dir() && rootfs.join(outside.strip_prefix("/").unwrap()).join("a").is_dir());
    world.assert_nothing_left();
}

#[test]
fn a_proc_behind_a_link_is_refused() {
    if skipped("a_proc_behind_a_link_is_refused") {
        return;
    }
    let world = World::new("fake-proc");
    fs::create_dir(world.bundle.join("rootfs/fake")).unwrap();
    std::os::unix::fs::symlink("fake", world.bundle.join("rootfs/proc")).unwrap();
    world.config(&["true"], |_| {});
    let error = world.context().create(&world.id("c"), world.options()).unwrap_err();
    assert_eq!(error.kind(), Kind::UnsafePath, "{error}");
    world.assert_nothing_left();
}

#[test]
fn a_false_null_device_masks_nothing() {
    if skipped("a_false_null_device_masks_nothing") {
        return;
    }
    let world = World::new("false-null");
    fs::create_dir(world.bundle.join("rootfs/dev")).unwrap();
    fs::write(world.bundle.join("rootfs/dev/null"), "not a device").unwrap();
    fs::write(world.bundle.join("rootfs/secret"), "x").unwrap();
    world.config(&["true"], |config| {
        config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] == "/proc");
        config["linux"]["maskedPaths"] = json!(["/secret"]);
    });
    let error = world.context().create(&world.id("c"), world.options()).unwrap_err();
    assert!(error.to_string().contains("/dev/null"), "{error}");
    world.assert_nothing_left();
}

#[test]
fn a_bundle_that_disappears_after_create_is_not_missed_by_start() {
    if skipped("a_bundle_that_disappears_after_create_is_not_missed_by_start") {
        return;
    }
    let world = World::new("gone");
    world.config(&["sh", "-c", "exit 5"], |_| {});
    let container = world.context().create(&world.id("c"), world.options()).unwrap();
    let elsewhere = world.directory.join("elsewhere");
    fs::rename(&world.bundle, &elsewhere).unwrap();
    container.start(Call::default()).unwrap();
    assert_eq!(container.init_process().unwrap().wait(Call::default()).unwrap().code, 5);
    container.delete(false, Call::default()).unwrap();
    fs::rename(&elsewhere, &world.bundle).unwrap();
    world.assert_nothing_left();
}

#[test]
fn a_full_state_directory_fails_the_create_and_keeps_nothing() {
    if skipped("a_full_state_directory_fails_the_create_and_keeps_nothing") {
        return;
    }
    let world = World::new("full");
    world.config(&["true"], |_| {});
    fs::create_dir(&world.root).unwrap();
    let mut failed = 0;
    for inodes in 2..8 {
        // A tmpfs with room for so many files, in a mount namespace of its own.
        let script = r#"mount -t tmpfs -o size=64k,nr_inodes="$1" full "$2" && shift 2 && "$@"; s=$?; ls "$STATE"; exit $s"#;
        let id = world.id(&inodes.to_string());
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh", &inodes.to_string()]);
        command.arg(&world.root).arg(env!("CARGO_BIN_EXE_riverrun")).arg("--root").arg(&world.root);
        command.args(["run", &id]).env("STATE", &world.root).current_dir(&world.bundle);
        let output = command.stdin(std::process::Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "left in the state directory: {said}");
        if !output.status.success() {
            assert!(said.contains("no space left on device"), "{said}");
            failed += 1;
        }
    }
    assert!(failed >= 2, "a state directory was never full");
    world.assert_nothing_left();
}

#[test]
fn an_exec_into_an_ending_container_is_told_so_and_leaves_nobody() {
    if skipped("an_exec_into_an_ending_container_is_told_so_and_leaves_nobody") {
        return;
    }
    let world = World::new("ending");
    world.config(&["true"], |_| {});
    let context = world.context();
    for round in 0..60 {
        let container = context.create(&world.id(&round.to_string()), world.options()).unwrap();
        let options = exec_options(&container, &["true"]);
        container.start(Call::default()).unwrap();
        match container.exec(options) {
            Ok(process) => drop(process),
            Err(error) => assert_eq!(error.kind(), Kind::NotRunning, "round {round}: {error}"),
        }
        container.delete(true, Call { timeout: Some(Duration::from_secs(5)), cancel: None }).unwrap();
    }
    world.assert_nothing_left();
}

/// Zombies of this process that were init programs. One that another test is about to wait for is gone in a moment.
fn zombies_of_ours() -> Vec<String> {
    let own = format!(" Z {} ", std::process::id());
    let stats = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("stat"));
    let texts = stats.filter_map(|path| fs::read_to_string(path).ok());
    texts.filter(|text| text.contains("(riverrun-init)") && text.contains(&own)).collect()
}

#[test]
fn a_program_that_the_kernel_refuses_leaves_nobody_and_no_pid_file() {
    if skipped("a_program_that_the_kernel_refuses_leaves_nobody_and_no_pid_file") {
        return;
    }
    let world = World::new("enoexec");
    let garbage = world.bundle.join("rootfs/garbage");
    fs::write(&garbage, [0x7f, 0, 1, 2]).unwrap();
    fs::set_permissions(&garbage, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let context = world.context();
    let pid_file = Some(world.directory.join("pid"));
    // Only execve(2) itself can tell, after everything else is done.
    world.config(&["/garbage"], |_| {});
    let options = riverrun::CreateOptions { pid_file: pid_file.clone(), ..world.options() };
    let error = context.run(&world.id("run"), options).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (Kind::ExecPermission, "exec: \"/garbage\": exec format error")
    );
    assert!(!world.directory.join("pid").exists());
    world.config(&["sleep", "1000"], |_| {});
    let container = context.run(&world.id("c"), world.options()).unwrap();
    let options = ExecOptions { pid_file, ..exec_options(&container, &["/garbage"]) };
    assert_eq!(container.exec(options).unwrap_err().kind(), Kind::ExecPermission);
    assert!(!world.directory.join("pid").exists());
    let gone = (0..100).any(|_| {
        zombies_of_ours().is_empty() || {
            thread::sleep(Duration::from_millis(20));
            false
        }
    });
    assert!(gone, "{:?}", zombies_of_ours());
    container.delete(true, Call::default()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn a_failed_create_removes_no_cgroup_that_was_there_before() {
    if skipped("a_failed_create_removes_no_cgroup_that_was_there_before") {
        return;
    }
    let world = World::new("foreign");
    let name = world.id("pod");
    let foreign = std::path::Path::new("/sys/fs/cgroup/pids").join(&name);
    if !foreign.parent().unwrap().join("cgroup.procs").exists() {
        eprintln!(
            "skipped a_failed_create_removes_no_cgroup_that_was_there_before: needs the pids hierarchy"
        );
        return;
    }
    fs::create_dir_all(foreign.join("sub")).unwrap();
    let mut member = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(foreign.join("cgroup.procs"), member.id().to_string()).unwrap();
    world.config(&["true"], |config| config["linux"]["cgroupsPath"] = json!(format!("/{name}")));
    let outcome = world.context().create(&world.id("c"), world.options()).map(drop);
    let survived = foreign.join("sub").is_dir();
    member.kill().unwrap();
    member.wait().unwrap();
    fs::remove_dir(foreign.join("sub")).unwrap();
    fs::remove_dir(&foreign).unwrap();
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("container's cgroup is not empty: 1 process(es) found"), "{error}");
    assert!(survived, "the sub-cgroup of somebody else is gone");
    world.config(&["/nosuch"], |config| config["linux"]["cgroupsPath"] = json!(format!("/{name}/deep/er")));
    world.context().create(&world.id("c"), world.options()).unwrap_err();
    world.assert_nothing_left();
}

#[test]
fn the_oom_score_of_a_container_is_not_the_hosts() {
    if skipped("the_oom_score_of_a_container_is_not_the_hosts") {
        return;
    }
    let world = World::new("oom-score");
    world.config(&["sleep", "1000"], |config| config["process"]["oomScoreAdj"] = json!(700));
    let score = |pid: &str| fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    let before = score("self");
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    let pid = container.init_process().unwrap().pid().to_string();
    assert_eq!((score("self"), score(&pid)), (before, "700\n".to_owned()));
    container.delete(true, Call::default()).unwrap();
    world.assert_nothing_left();
}

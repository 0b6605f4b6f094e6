//! Namespaces new, joined by path and inherited; user namespaces beside others; clocks; who ends with whom. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::zombie_processes,
    reason = "a test panics when it is wrong, and traces its children by hand"
)]

#[path = "namespaces/numbers.rs"]
mod numbers;
mod support;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use riverrun::{Call, Container, Context, ExecOptions, Io, Kind, Process, Status, Stdio};
use serde_json::{Value, json};
use support::{World, skipped};

/// The kinds that can be joined: as configurations and as /proc name them.
const KINDS: [(&str, &str); 7] = [
    ("cgroup", "cgroup"),
    ("ipc", "ipc"),
    ("network", "net"),
    ("pid", "pid"),
    ("time", "time"),
    ("user", "user"),
    ("uts", "uts"),
];

/// The namespace of this kind that a process is in.
fn of(pid: i32, file: &str) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap()
}

fn of_host(file: &str) -> PathBuf {
    fs::read_link(format!("/proc/self/ns/{file}")).unwrap()
}

fn path_of(pid: i32, file: &str) -> String {
    format!("/proc/{pid}/ns/{file}")
}

/// Exactly these namespaces, and only the mounts that work in whatever owns them.
fn namespaces(config: &mut Value, list: &[Value]) {
    config["linux"]["namespaces"] = json!(list);
    config["mounts"].as_array_mut().unwrap().retain(|mount| {
        !["/proc", "/sys", "/dev/mqueue", "/sys/fs/cgroup"].contains(&mount["destination"].as_str().unwrap())
    });
    config["linux"]["maskedPaths"] = json!([]);
    config["linux"]["readonlyPaths"] = json!([]);
    config["hostname"] = json!("");
}

fn mappings(config: &mut Value, list: &Value) {
    config["linux"]["uidMappings"] = list.clone();
    config["linux"]["gidMappings"] = list.clone();
}

fn exec(container: &Container, args: &[&str]) -> riverrun::Result<Process> {
    let mut process: Value = serde_json::from_slice(&container.process_json().unwrap()).unwrap();
    process["args"] = json!(args);
    let io = Io { stdin: Stdio::Null, stdout: Stdio::Pipe, ..Io::default() };
    container.exec(ExecOptions { process: process.to_string().into_bytes(), io, ..ExecOptions::default() })
}

fn read_all(process: &Process) -> String {
    let mut text = String::new();
    fs::File::from(process.take_pipe(1).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// An exec that lives, and is in the same namespaces as the first process.
fn assert_exec_is_beside(container: &Container) {
    let init = container.init_process().unwrap().pid();
    let process = exec(container, &["sleep", "1000"]).unwrap();
    for (kind, file) in KINDS.into_iter().chain([("mount", "mnt")]) {
        assert_eq!(of(process.pid(), file), of(init, file), "{kind} namespace of an exec");
    }
    process.signal(9).unwrap();
    process.wait(Call::default()).unwrap();
}

/// A container that holds a namespace of every kind but mount and user, or of every kind.
fn pause(world: &World, context: &Context, user: bool) -> Container {
    world.config(&["sleep", "1000"], |config| {
        let kinds = ["cgroup", "ipc", "mount", "network", "pid", "time", "uts"];
        let user = user.then_some("user");
        let list: Vec<Value> = kinds.into_iter().chain(user).map(|kind| json!({"type": kind})).collect();
        namespaces(config, &list);
        if user.is_some() {
            mappings(config, &user_map());
        }
    });
    context.run(&world.id("pause"), world.options()).unwrap()
}

const HUNDRED_THOUSAND: &str = r#"[{"containerID": 0, "hostID": 100000, "size": 65536}]"#;

fn user_map() -> Value {
    serde_json::from_str(HUNDRED_THOUSAND).unwrap()
}

/// The root file system belongs to root of [`user_map`], and may be reached by it.
fn hand_over(world: &World) {
    use std::os::unix::fs::{PermissionsExt, chown};
    fs::set_permissions(&world.directory, fs::Permissions::from_mode(0o755)).unwrap();
    for path in [world.bundle.clone(), world.bundle.join("rootfs"), world.bundle.join("rootfs/bin")] {
        chown(path, Some(100_000), Some(100_000)).unwrap();
    }
}

#[test]
fn each_kind_is_new_joined_or_inherited() {
    if skipped("each_kind_is_new_joined_or_inherited") {
        return;
    }
    let world = World::new("ns");
    hand_over(&world);
    for (user, foreign) in [(false, false), (true, false), (false, true), (true, true)] {
        // Made by the host, or by the root of another user namespace.
        let pause = pause(&world, &world.context(), foreign);
        let maker = pause.init_process().unwrap().pid();
        for (kind, file) in KINDS.into_iter().filter(|(kind, _)| *kind != "user") {
            for way in ["new", "joined", "inherited"] {
                let what = format!("{kind} {way}, user namespace: {user}, another's: {foreign}");
                world.config(&["sleep", "1000"], |config| {
                    let mut list = vec![json!({"type": "mount"})];
                    match way {
                        "new" => list.push(json!({"type": kind})),
                        "joined" => list.push(json!({"type": kind, "path": path_of(maker, file)})),
                        _ => {}
                    }
                    if user {
                        list.push(json!({"type": "user"}));
                        mappings(config, &user_map());
                    }
                    namespaces(config, &list);
                });
                let container = world.context().run(&world.id("c"), world.options()).expect(&what);
                let init = container.init_process().unwrap().pid();
                for (other, file) in KINDS {
                    let (is, host) = (of(init, file), of_host(file));
                    match way {
                        "joined" if other == kind => assert_eq!(is, of(maker, file), "{what}: {other}"),
                        "new" if other == kind => {
                            assert_ne!(is, host, "{what}: {other}");
                            assert_ne!(is, of(maker, file), "{what}: {other}");
                        }
                        _ if other == "user" && user => assert_ne!(is, host, "{what}: {other}"),
                        _ => assert_eq!(is, host, "{what}: {other}"),
                    }
                }
                assert_exec_is_beside(&container);
                container.delete(true, Call::default()).expect(&what);
            }
        }
        pause.delete(true, Call::default()).unwrap();
    }
    world.assert_nothing_left();
}

#[test]
fn a_user_namespace_is_joined_with_all_that_it_owns() {
    if skipped("a_user_namespace_is_joined_with_all_that_it_owns") {
        return;
    }
    let world = World::new("ns-user");
    hand_over(&world);
    let kinds = ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"];
    world.config(&["sleep", "1000"], |config| {
        namespaces(config, &kinds.map(|kind| json!({"type": kind})));
        mappings(config, &user_map());
    });
    let maker = world.context().run(&world.id("maker"), world.options()).unwrap();
    let pid = maker.init_process().unwrap().pid();
    // Every subset that podman and containerd make, and each kind alone: given ones, new ones, with and without maps.
    let subsets: [&[&str]; 5] =
        [&[], &["network", "ipc", "uts"], &["network", "ipc", "uts", "pid"], &["pid", "time"], &["cgroup"]];
    for with_maps in [false, true] {
        for given in subsets {
            let script = "id -u; echo $$; cat /proc/self/uid_map";
            let write = |args: &[&str]| {
                world.config(args, |config| {
                    let rest: Vec<Value> = KINDS
                        .iter()
                        .map(|(kind, file)| match kind {
                            kind if *kind == "user" || given.contains(kind) => {
                                json!({"type": kind, "path": path_of(pid, file)})
                            }
                            kind => json!({"type": kind}),
                        })
                        .chain([json!({"type": "mount"})])
                        .collect();
                    namespaces(config, &rest);
                    let proc = json!({"destination": "/proc", "type": "proc", "source": "proc"});
                    config["mounts"].as_array_mut().unwrap().push(proc);
                    if with_maps {
                        mappings(config, &user_map());
                    }
                });
            };
            write(&["sh", "-c", script]);
            let mut options = world.options();
            options.io.stdout = Stdio::Pipe;
            let what = format!("{given:?}, maps: {with_maps}");
            let container = world.context().run(&world.id("c"), options).expect(&what);
            let process = container.init_process().unwrap();
            let text = read_all(&process);
            assert_eq!(process.wait(Call::default()).unwrap().shell_status(), 0, "{what}: {text}");
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines[0], "0", "{what}: {text}");
            assert_eq!(lines[1] == "1", !given.contains(&"pid"), "{what}: {text}");
            assert_eq!(
                lines[2].split_whitespace().collect::<Vec<_>>(),
                ["0", "100000", "65536"],
                "{what}: {text}"
            );
            container.delete(true, Call::default()).expect(&what);
            write(&["sleep", "1000"]);
            let container = world.context().run(&world.id("c"), world.options()).expect(&what);
            let init = container.init_process().unwrap().pid();
            for (kind, file) in KINDS {
                let same = of(init, file) == of(pid, file);
                assert_eq!(same, kind == "user" || given.contains(&kind), "{what}: {kind}");
                assert_ne!(of(init, file), of_host(file), "{what}: {kind}");
            }
            assert_exec_is_beside(&container);
            container.delete(true, Call::default()).expect(&what);
        }
    }
    maker.delete(true, Call::default()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn mappings_beside_a_joined_user_namespace_are_its_own_and_streams_its_users() {
    if skipped("mappings_beside_a_joined_user_namespace_are_its_own_and_streams_its_users") {
        return;
    }
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    let world = World::new("ns-maps");
    hand_over(&world);
    world.config(&["sleep", "1000"], |config| {
        namespaces(config, &[json!({"type": "user"}), json!({"type": "mount"})]);
        mappings(config, &user_map());
    });
    let maker = world.context().run(&world.id("maker"), world.options()).unwrap();
    let user = path_of(maker.init_process().unwrap().pid(), "user");
    // And by a path that says nothing about a process in it.
    let file = fs::File::open(&user).unwrap();
    let held = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let config = |path: &str, maps: Option<Value>, uid: u32| {
        world.config(&["sleep", "1000"], |config| {
            namespaces(config, &[json!({"type": "user", "path": path}), json!({"type": "mount"})]);
            config["process"]["user"] = json!({"uid": uid, "gid": uid});
            maps.iter().for_each(|maps| mappings(config, maps));
        });
    };
    let other = json!([{"containerID": 0, "hostID": 100_000, "size": 65_537}]);
    config(&user, Some(other), 0);
    let refused = world.context().run(&world.id("c"), world.options()).unwrap_err();
    assert_eq!(refused.kind(), Kind::InvalidSpec, "{refused}");
    assert!(refused.to_string().contains("linux.uidMappings: not those of the user namespace"), "{refused}");
    config(&user, None, 70_000);
    let refused = world.context().run(&world.id("c"), world.options()).unwrap_err();
    assert!(refused.to_string().contains("unmapped user"), "{refused}");
    for (path, uid) in [(&user, 0), (&held, 7)] {
        config(path, None, uid);
        let mut options = world.options();
        options.io.stdout = Stdio::Pipe;
        let container = world.context().run(&world.id("c"), options).unwrap();
        let stream = |pid: i32| fs::metadata(format!("/proc/{pid}/fd/1")).unwrap().uid();
        assert_eq!(stream(container.init_process().unwrap().pid()), 100_000 + uid);
        let beside = exec(&container, &["sleep", "1000"]).unwrap();
        assert_eq!(stream(beside.pid()), 100_000 + uid);
        container.delete(true, Call::default()).unwrap();
    }
    maker.delete(true, Call::default()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn a_path_that_is_no_such_namespace_is_refused_by_name_and_at_once() {
    if skipped("a_path_that_is_no_such_namespace_is_refused_by_name_and_at_once") {
        return;
    }
    let world = World::new("ns-path");
    let fifo = world.directory.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let plain = world.bundle.join("config.json");
    let begun = Instant::now();
    let cases: [(&str, &Path, &str); 6] = [
        ("network", Path::new("/proc/self/ns/uts"), "it is a namespace of type uts"),
        ("pid", &fifo, "not a namespace"),
        ("uts", &plain, "not a namespace"),
        ("ipc", Path::new("/dev/zero"), "not a namespace"),
        ("user", &world.directory, "not a namespace"),
        ("time", &world.directory.join("missing"), "no such file or directory"),
    ];
    for (kind, path, why) in cases {
        world.config(&["true"], |config| {
            namespaces(config, &[json!({"type": "mount"}), json!({"type": kind, "path": path})]);
        });
        let refused = world.context().run(&world.id("c"), world.options()).unwrap_err().to_string();
        let expected = format!("open {kind} namespace {}: {why}", path.display());
        assert_eq!(refused, expected);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "something blocked: {:?}", begun.elapsed());
    for (namespace, why) in [
        (json!({"type": "network", "path": "run/netns/a"}), "is not an absolute path"),
        (json!({"type": "mount", "path": "/proc/self/ns/mnt"}), "joining a mount namespace by path"),
    ] {
        world.config(&["true"], |config| namespaces(config, &[json!({"type": "mount"}), namespace.clone()]));
        let refused = world.context().run(&world.id("c"), world.options()).unwrap_err().to_string();
        assert!(refused.contains(why) || refused.contains("given twice"), "{refused}");
    }
    world.assert_nothing_left();
}

#[test]
fn the_hosts_own_namespace_by_path_is_the_hosts() {
    if skipped("the_hosts_own_namespace_by_path_is_the_hosts") {
        return;
    }
    let world = World::new("ns-own");
    let by_path = |config: &mut Value| {
        let list: Vec<Value> = KINDS
            .iter()
            .map(|(kind, file)| json!({"type": kind, "path": format!("/proc/self/ns/{file}")}))
            .chain([json!({"type": "mount"})])
            .collect();
        namespaces(config, &list);
    };
    world.config(&["sleep", "1000"], by_path);
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    let init = container.init_process().unwrap().pid();
    for (kind, file) in KINDS {
        assert_eq!(of(init, file), of_host(file), "{kind}");
    }
    assert_exec_is_beside(&container);
    container.delete(true, Call::default()).unwrap();
    for change in
        [json!({"hostname": "not-the-hosts"}), json!({"linux": {"sysctl": {"net.ipv4.ip_forward": "1"}}})]
    {
        world.config(&["true"], |config| {
            by_path(config);
            if change["hostname"].is_string() {
                config["hostname"] = change["hostname"].clone();
            } else {
                config["linux"]["sysctl"] = change["linux"]["sysctl"].clone();
            }
        });
        let refused = world.context().run(&world.id("c"), world.options()).unwrap_err();
        assert_eq!(refused.kind(), Kind::InvalidSpec, "{change}: {refused}");
    }
    world.assert_nothing_left();
}

#[test]
fn a_guest_of_a_pause_container_ends_alone_and_with_it() {
    if skipped("a_guest_of_a_pause_container_ends_alone_and_with_it") {
        return;
    }
    let world = World::new("ns-pause");
    let context = world.context();
    // Each order in which a pod may end: the guest is killed, is deleted, loses its host.
    for order in ["killed", "deleted", "host killed", "host deleted"] {
        let pause = pause(&world, &context, false);
        let maker = pause.init_process().unwrap().pid();
        world.config(&["sh", "-c", "sleep 1000 & sleep 1000"], |config| {
            let joined = ["pid", "network", "ipc", "uts"].map(|kind| {
                let file = if kind == "network" { "net" } else { kind };
                json!({"type": kind, "path": path_of(maker, file)})
            });
            namespaces(config, &[joined.to_vec(), vec![json!({"type": "mount"})]].concat());
        });
        let guest = context.run(&world.id("guest"), world.options()).unwrap();
        let process = guest.init_process().unwrap();
        assert_ne!(guest.state().unwrap().pid, maker);
        assert_eq!(guest.state().unwrap().pid, process.pid());
        wait_for(|| guest.pids().unwrap().len() == 2);
        match order {
            "killed" => {
                guest.kill(9, false).unwrap();
                assert_eq!(process.wait(Call::default()).unwrap().signal, 9);
                wait_for(|| guest.pids().unwrap().is_empty());
            }
            "host killed" => {
                pause.kill(9, false).unwrap();
                assert_eq!(process.wait(Call::default()).unwrap().signal, 9);
                assert_eq!(guest.state().unwrap().status, Status::Stopped);
            }
            "host deleted" => {
                let begun = Instant::now();
                pause.delete(true, Call::default()).unwrap();
                assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
            }
            _ => {}
        }
        guest.delete(true, Call::default()).unwrap();
        if !order.starts_with("host") {
            assert_eq!(pause.state().unwrap().status, Status::Running, "{order}");
        }
        pause.delete(true, Call::default()).unwrap();
        world.assert_nothing_left();
    }
}

fn wait_for(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not come");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn without_a_pid_namespace_kill_and_delete_end_all_members() {
    if skipped("without_a_pid_namespace_kill_and_delete_end_all_members") {
        return;
    }
    let world = World::new("ns-hostpid");
    let context = world.context();
    // A child that leaves the session, and one in a cgroup below.
    let script = "(trap '' TERM; setsid sleep 1000 & sleep 1000) & sleep 1000";
    for order in ["delete --force", "kill KILL", "kill TERM, delete", "kill --all KILL", "init ends, delete"]
    {
        world.config(&["sh", "-c", script], |config| {
            config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid");
        });
        let container = context.run(&world.id("c"), world.options()).unwrap();
        let process = container.init_process().unwrap();
        wait_for(|| container.pids().unwrap().len() >= 3);
        match order {
            "kill KILL" => {
                container.kill(9, false).unwrap();
                wait_for(|| container.pids().unwrap().is_empty());
            }
            "kill --all KILL" => container.kill(9, true).unwrap(),
            "kill TERM, delete" => {
                // To the first process and no other.
                container.kill(15, false).unwrap();
                process.wait(Call::default()).unwrap();
                thread::sleep(Duration::from_millis(20));
                assert!(!container.pids().unwrap().is_empty());
            }
            "init ends, delete" => {
                process.signal(9).unwrap();
                process.wait(Call::default()).unwrap();
                assert!(!container.pids().unwrap().is_empty());
                assert_eq!(container.state().unwrap().status, Status::Stopped);
            }
            _ => {}
        }
        if order != "delete --force" {
            process.wait(Call::default()).unwrap();
        }
        container.delete(order == "delete --force", Call::default()).expect(order);
        world.assert_nothing_left();
    }
}

#[test]
fn who_makes_processes_faster_than_they_are_listed_is_ended_too() {
    if skipped("who_makes_processes_faster_than_they_are_listed_is_ended_too") {
        return;
    }
    let world = World::new("ns-bomb");
    let script = "exec 2>/dev/null; f() { while :; do f & done; }; f & f & f & wait";
    world.config(&["sh", "-c", script], |config| {
        config["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "pid");
        config["linux"]["resources"]["pids"] = json!({"limit": 100});
    });
    // A shell that may not fork gives up: a bomb of which all do so at once is none.
    for try_again in (0..50).rev() {
        let container = world.context().run(&world.id("c"), world.options()).unwrap();
        let mut many = false;
        wait_for(|| {
            many = container.pids().unwrap().len() > 50;
            many || container.state().unwrap().status == Status::Stopped
        });
        container.delete(true, Call::default()).unwrap();
        world.assert_nothing_left();
        if many {
            return;
        }
        assert_ne!(try_again, 0, "no bomb");
    }
}

#[test]
fn an_exec_enters_what_the_container_inherited() {
    if skipped("an_exec_enters_what_the_container_inherited") {
        return;
    }
    use std::os::unix::process::CommandExt;
    let world = World::new("ns-caller");
    world.config(&["sleep", "1000"], |config| {
        namespaces(config, &[json!({"type": "mount"})]);
        let proc = json!({"destination": "/proc", "type": "proc", "source": "proc"});
        config["mounts"].as_array_mut().unwrap().push(proc);
    });
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    // Called by somebody who is elsewhere.
    let links = ["net", "ipc", "uts"].map(|file| format!("/proc/self/ns/{file}"));
    let script = format!("for link in {}; do /bin/busybox readlink $link; done", links.join(" "));
    let mut command = world.riverrun(&["exec", &world.id("c"), "sh", "-c", &script]);
    let elsewhere = libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    // SAFETY: unshare(2) in the child before it executes.
    unsafe {
        command.pre_exec(move || match libc::unshare(elsewhere) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let output = command.output().unwrap();
    let expected = links.map(|link| fs::read_link(link).unwrap().to_string_lossy().into_owned());
    let seen = String::from_utf8_lossy(&output.stdout);
    assert_eq!(seen.lines().collect::<Vec<_>>(), expected, "{output:?}");
    container.delete(true, Call::default()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn a_guest_that_fails_leaves_nobody() {
    if skipped("a_guest_that_fails_leaves_nobody") {
        return;
    }
    let world = World::new("ns-fail");
    let context = world.context();
    let pause = pause(&world, &context, false);
    let maker = pause.init_process().unwrap().pid();
    for (user, args) in [(false, "sleep"), (true, "sleep"), (false, "nosuch"), (true, "nosuch")] {
        world.config(&[args, "1000"], |config| {
            let mut list =
                vec![json!({"type": "mount"}), json!({"type": "pid", "path": path_of(maker, "pid")})];
            if user {
                list.push(json!({"type": "user"}));
                mappings(config, &user_map());
            }
            namespaces(config, &list);
            if args == "sleep" {
                let bad =
                    json!({"destination": "/mnt", "type": "bind", "source": "/nosuch", "options": ["bind"]});
                config["mounts"].as_array_mut().unwrap().push(bad);
            }
        });
        let refused = context.run(&world.id("guest"), world.options()).unwrap_err();
        assert!(refused.to_string().contains("no"), "{refused}");
        let members = fs::read_to_string(format!("/proc/{maker}/task/{maker}/children")).unwrap();
        assert_eq!(members, "", "{refused}");
        assert_eq!(fs::read_dir(&world.root).unwrap().count(), 1, "{refused}");
    }
    pause.delete(true, Call::default()).unwrap();
    world.assert_nothing_left();
}

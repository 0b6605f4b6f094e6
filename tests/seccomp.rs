//! Seccomp filters in real containers: what each call gets, every combination of privilege and moment, the agent. Root.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::zombie_processes,
    reason = "a test panics when it is wrong, and traces its children by hand"
)]

mod support;

use std::fs;
use std::io::{IoSliceMut, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;
use std::thread::{self, JoinHandle};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use riverrun::{Call, Container, ExecOptions, Io, Kind, Stdio};
use serde_json::{Value, json};
use support::{World, skipped};

const GETPRIORITY: i64 = libc::SYS_getpriority;

fn profile() -> Value {
    serde_json::from_str(include_str!("seccomp/profile.json")).unwrap()
}

/// A world with `/bin/calls`, or the reason why there is none.
fn world(name: &str) -> Option<World> {
    if skipped(name) {
        return None;
    }
    let world = World::new(&format!("seccomp-{name}"));
    let compiled = Command::new("cc")
        .args(["-O1", "-static", "-o"])
        .arg(world.bundle.join("rootfs/bin/calls"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/seccomp/calls.c"))
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        eprintln!("skipped {name}: needs a C compiler with a static C library");
        return None;
    }
    Some(world)
}

/// What the calls got in a container with this profile.
fn outcomes(world: &World, calls: &[&str], change: impl FnOnce(&mut Value)) -> Vec<String> {
    let args: Vec<&str> = std::iter::once("/bin/calls").chain(calls.iter().copied()).collect();
    world.config(&args, change);
    let output = world.output(&["run", &world.id("c")]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn each_action_does_what_it_says() {
    let Some(world) = world("actions") else { return };
    let actions = [
        (json!({"action": "SCMP_ACT_ERRNO"}), "1"),
        (json!({"action": "SCMP_ACT_ERRNO", "errnoRet": 5}), "5"),
        (json!({"action": "SCMP_ACT_ALLOW"}), "ok"),
        (json!({"action": "SCMP_ACT_LOG"}), "ok"),
        (json!({"action": "SCMP_ACT_KILL"}), "signal 31"),
        (json!({"action": "SCMP_ACT_KILL_THREAD"}), "signal 31"),
        (json!({"action": "SCMP_ACT_KILL_PROCESS"}), "signal 31"),
        (json!({"action": "SCMP_ACT_TRAP"}), "signal 31"),
        // No tracer: the call is not made.
        (json!({"action": "SCMP_ACT_TRACE", "errnoRet": 7}), "38"),
    ];
    for (mut rule, outcome) in actions {
        rule["names"] = json!(["getpriority", "no_such_call"]);
        let seen = outcomes(&world, &[&GETPRIORITY.to_string(), "39"], |config| {
            config["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
        });
        assert_eq!(seen, [outcome, "ok"], "{rule}");
    }
    world.assert_nothing_left();
}

#[test]
fn an_allow_list_refuses_and_does_not_know_what_is_newer() {
    let Some(world) = world("list") else { return };
    if !cfg!(target_arch = "x86_64") {
        eprintln!("skipped an_allow_list_refuses_and_does_not_know_what_is_newer: numbers of x86_64");
        return;
    }
    let calls = [
        ("39", "ok"),             // getpid
        ("165", "1"),             // mount: not in the list
        ("41:40", "1"),           // socket(AF_VSOCK)
        ("41:1:1", "ok"),         // socket(AF_UNIX)
        ("135:0xffffffff", "ok"), // personality: the last of five alternatives
        ("135:4", "1"),
        ("435", "38"), // clone3: by its rule
        ("469", "38"), // newer than all in the list
        ("600", "38"),
        ("-1", "1"),
        ("x86:20", "ok"), // getpid
        ("x86:21", "1"),  // mount
        ("x86:600", "38"),
        ("x86:102:1", "14"), // socketcall(SYS_SOCKET, NULL): EFAULT, so it got there
        ("x32:165", "1"),
        ("x32:600", "38"),
    ];
    let names: Vec<&str> = calls.iter().map(|(call, _)| *call).collect();
    let seen = outcomes(&world, &names, |config| config["linux"]["seccomp"] = profile());
    let expected: Vec<&str> = calls.iter().map(|(_, outcome)| *outcome).collect();
    assert_eq!(seen, expected, "{names:?}");
    // An architecture that is not listed ends whoever uses it.
    let seen = outcomes(&world, &["39", "x86:20", "x32:39"], |config| {
        config["linux"]["seccomp"] = profile();
        config["linux"]["seccomp"]["architectures"] = json!([]);
    });
    assert_eq!(seen, ["ok", "signal 31", "signal 31"]);
    world.assert_nothing_left();
}

/// What no program can do without, and nothing of what the init program does.
fn tight() -> Value {
    let names = [
        "execve",
        "exit_group",
        "exit",
        "brk",
        "mmap",
        "munmap",
        "mprotect",
        "arch_prctl",
        "set_tid_address",
        "set_robust_list",
        "rseq",
        "prlimit64",
        "readlinkat",
        "readlink",
        "getrandom",
        "write",
        "clone",
        "fork",
        "wait4",
        "newfstatat",
        "fstat",
        "rt_sigprocmask",
        "gettid",
        "getpid",
        "writev",
        "ioctl",
    ];
    json!({"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]})
}

#[test]
fn every_combination_of_privilege_and_moment_loads_the_filter() {
    let Some(world) = world("moments") else { return };
    for no_new_privileges in [true, false] {
        for uid in [0, 1000] {
            for (name, filter) in [("wide", profile()), ("tight", tight())] {
                for capabilities in [json!([]), json!(["CAP_KILL"])] {
                    world.config(&["/bin/calls", "39", "165"], |config| {
                        config["linux"]["seccomp"] = filter.clone();
                        config["process"]["noNewPrivileges"] = json!(no_new_privileges);
                        config["process"]["user"] = json!({"uid": uid, "gid": uid});
                        for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
                            config["process"]["capabilities"][set] = capabilities.clone();
                        }
                    });
                    let what = format!("{no_new_privileges} {uid} {name} {capabilities}");
                    let mut options = world.options();
                    options.io.stdout = Stdio::Pipe;
                    let container = world.context().create(&world.id("c"), options).unwrap();
                    let process = container.init_process().unwrap();
                    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
                    let kept = field(&status, "CapPrm") & (1 << 21) != 0;
                    assert_eq!(
                        kept,
                        !no_new_privileges && name == "tight",
                        "CAP_SYS_ADMIN before start: {what}"
                    );
                    container.start(Call::default()).unwrap();
                    let expected = if name == "tight" { "ok\nsignal 31\n" } else { "ok\n1\n" };
                    assert_eq!(read_all(&process), expected, "{what}");
                    assert_eq!(process.wait(Call::default()).unwrap().shell_status(), 0, "{what}");
                    container.delete(false, Call::default()).unwrap();
                }
            }
        }
    }
    world.assert_nothing_left();
}

#[test]
fn the_capability_that_loads_the_filter_ends_with_it() {
    let Some(world) = world("caps") else { return };
    for uid in [0, 1000] {
        let mut filter = tight();
        let more = [
            "open", "openat", "read", "close", "sendfile", "getuid", "setuid", "getgid", "setgid", "lseek",
            "stat",
        ];
        filter["syscalls"].as_array_mut().unwrap().push(json!({"names": more, "action": "SCMP_ACT_ALLOW"}));
        filter["defaultAction"] = json!("SCMP_ACT_ERRNO");
        world.config(&["/bin/busybox", "cat", "/proc/self/status"], |config| {
            config["linux"]["seccomp"] = filter;
            config["process"]["noNewPrivileges"] = json!(false);
            config["process"]["user"] = json!({"uid": uid, "gid": uid});
        });
        let output = world.output(&["run", &world.id("c")]);
        let status = String::from_utf8_lossy(&output.stdout).into_owned();
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(&status, set) & (1 << 21), 0, "{set} {uid}: {status}");
        }
        assert!(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t0"), "{status}");
    }
    world.assert_nothing_left();
}

fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    u64::from_str_radix(value.unwrap().trim(), 16).unwrap()
}

fn read_all(process: &riverrun::Process) -> String {
    let mut text = String::new();
    fs::File::from(process.take_pipe(1).unwrap()).read_to_string(&mut text).unwrap();
    text
}

fn exec(container: &Container, args: &[&str]) -> riverrun::Result<riverrun::Process> {
    let mut process: Value = serde_json::from_slice(&container.process_json().unwrap()).unwrap();
    process["args"] = json!(args);
    let io = Io { stdin: Stdio::Null, stdout: Stdio::Pipe, ..Io::default() };
    container.exec(ExecOptions { process: process.to_string().into_bytes(), io, ..ExecOptions::default() })
}

#[test]
fn exec_is_under_the_same_filter() {
    let Some(world) = world("exec") else { return };
    for no_new_privileges in [true, false] {
        world.config(&["/bin/calls", "hold"], |config| {
            config["linux"]["seccomp"] = profile();
            config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        });
        let container = world.context().run(&world.id("c"), world.options()).unwrap();
        let process = exec(&container, &["/bin/calls", "39", "165", "600"]).unwrap();
        assert_eq!(read_all(&process), "ok\n1\n38\n");
        container.delete(true, Call::default()).unwrap();
    }
    world.assert_nothing_left();
}

#[test]
fn a_profile_that_no_program_could_start_under_is_refused_by_name() {
    let Some(world) = world("refused") else { return };
    for action in ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_TRAP"] {
        for no_new_privileges in [true, false] {
            world.config(&["/bin/calls"], |config| {
                config["linux"]["seccomp"] = json!({"defaultAction": action});
                config["process"]["noNewPrivileges"] = json!(no_new_privileges);
            });
            let error = world.context().create(&world.id("c"), world.options()).unwrap_err();
            assert_eq!(error.kind(), Kind::Seccomp);
            assert!(error.to_string().contains("execve is refused by the profile"), "{error}");
        }
    }
    world.assert_nothing_left();
}

/// An agent that takes one listener, hears `calls` notifications and answers each with errno 1000 + its place.
fn agent(world: &World, calls: usize) -> (PathBuf, JoinHandle<(Value, Vec<i32>)>) {
    let path = world.directory.join("agent.sock");
    let _ = fs::remove_file(&path);
    let socket = UnixListener::bind(&path).unwrap();
    let agent = thread::spawn(move || {
        let (peer, _) = socket.accept().unwrap();
        let (message, listener) = receive(&peer);
        let numbers = (0..calls).map(|turn| notify::answer(&listener, 100 + i32::try_from(turn).unwrap()));
        (message, numbers.collect())
    });
    (path, agent)
}

fn receive(peer: &impl AsRawFd) -> (Value, OwnedFd) {
    let mut bytes = vec![0; 1 << 16];
    let mut control = nix::cmsg_space!([i32; 2]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let message =
        recvmsg::<()>(peer.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC).unwrap();
    let mut fds = Vec::new();
    for entry in message.cmsgs().unwrap() {
        if let ControlMessageOwned::ScmRights(more) = entry {
            fds.extend(more);
        }
    }
    let length = message.bytes;
    assert_eq!(fds.len(), 1);
    // SAFETY: just received, and nobody else's.
    let listener = unsafe { OwnedFd::from_raw_fd(fds[0]) };
    (serde_json::from_slice(&bytes[..length]).unwrap(), listener)
}

/// seccomp_unotify(2).
mod notify {
    use std::os::fd::{AsRawFd, OwnedFd};

    #[repr(C)]
    #[derive(Default)]
    struct Notification {
        id: u64,
        pid: u32,
        flags: u32,
        number: i32,
        architecture: u32,
        instruction: u64,
        arguments: [u64; 6],
    }

    #[repr(C)]
    struct Response {
        id: u64,
        value: i64,
        error: i32,
        flags: u32,
    }

    const RECV: libc::c_ulong = 0xc050_2100;
    const SEND: libc::c_ulong = 0xc018_2101;

    /// Lets the kernel make every call, until nobody is under the filter any more; how many there were.
    pub(super) fn let_all_go_on(listener: &OwnedFd) -> usize {
        const CONTINUE: u32 = 1;
        let mut heard = 0;
        loop {
            let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one live pollfd.
            assert!(unsafe { libc::poll(&raw mut poll, 1, 20_000) } >= 0);
            if poll.revents & libc::POLLIN == 0 {
                return heard;
            }
            let mut call = Notification::default();
            // SAFETY: the request's size is the struct's. A call whose process was killed meanwhile is gone.
            if unsafe { libc::ioctl(listener.as_raw_fd(), RECV as _, &raw mut call) } != 0 {
                continue;
            }
            let mut response = Response { id: call.id, value: 0, error: 0, flags: CONTINUE };
            // SAFETY: the same.
            heard +=
                usize::from(unsafe { libc::ioctl(listener.as_raw_fd(), SEND as _, &raw mut response) } == 0);
        }
    }

    /// Hears one call and refuses it with `errno`; its number.
    pub(super) fn answer(listener: &OwnedFd, errno: i32) -> i32 {
        let mut call = Notification::default();
        // SAFETY: the request's size is the struct's.
        assert_eq!(unsafe { libc::ioctl(listener.as_raw_fd(), RECV as _, &raw mut call) }, 0);
        let mut response = Response { id: call.id, value: 0, error: -errno, flags: 0 };
        // SAFETY: the same.
        assert_eq!(unsafe { libc::ioctl(listener.as_raw_fd(), SEND as _, &raw mut response) }, 0);
        call.number
    }
}

fn notifying(path: &std::path::Path) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "listenerMetadata": "for the agent",
        "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_TSYNC"],
        "syscalls": [{"names": ["getpriority"], "action": "SCMP_ACT_NOTIFY"}]})
}

#[test]
fn the_agent_hears_of_the_process_and_answers_its_calls() {
    let Some(world) = world("notify") else { return };
    let priority = GETPRIORITY.to_string();
    for no_new_privileges in [true, false] {
        let (path, first) = agent(&world, 2);
        world.config(&["/bin/calls", &priority, &priority, "39"], |config| {
            config["linux"]["seccomp"] = notifying(&path);
            config["process"]["noNewPrivileges"] = json!(no_new_privileges);
            config["annotations"] = json!({"a": "b"});
        });
        let mut options = world.options();
        options.io.stdout = Stdio::Pipe;
        let container = world.context().create(&world.id("c"), options).unwrap();
        let process = container.init_process().unwrap();
        container.start(Call::default()).unwrap();
        assert_eq!(read_all(&process), "100\n101\nok\n");
        let (message, numbers) = first.join().unwrap();
        let number = i32::try_from(GETPRIORITY).unwrap();
        assert_eq!(numbers, [number, number]);
        let (pid, bundle) = (process.pid(), world.bundle.canonicalize().unwrap());
        let state = json!({"ociVersion": riverrun::OCI_VERSION, "id": world.id("c"), "status": "creating", "pid": pid,
            "bundle": bundle, "annotations": {"a": "b"}});
        let expected = json!({"ociVersion": riverrun::OCI_VERSION, "fds": ["seccompFd"], "pid": pid,
            "metadata": "for the agent", "state": state});
        assert_eq!(message, expected);
        container.delete(true, Call::default()).unwrap();
    }
    world.assert_nothing_left();
}

#[test]
fn exec_has_a_listener_of_its_own_and_leaks_none() {
    let Some(world) = world("notify-exec") else { return };
    let (path, first) = agent(&world, 0);
    world.config(&["/bin/calls", "hold"], |config| config["linux"]["seccomp"] = notifying(&path));
    let container = world.context().run(&world.id("c"), world.options()).unwrap();
    let init = container.init_process().unwrap().pid();
    assert_eq!(first.join().unwrap().0["pid"], init);
    let (_, second) = agent(&world, 1);
    let process = exec(&container, &["/bin/calls", &GETPRIORITY.to_string()]).unwrap();
    assert_eq!(read_all(&process), "100\n");
    let (message, _) = second.join().unwrap();
    assert_eq!(message["pid"], process.pid());
    assert_eq!((&message["state"]["pid"], &message["state"]["status"]), (&json!(init), &json!("running")));
    let (_, third) = agent(&world, 0);
    let process = exec(&container, &["/bin/calls", "fds"]).unwrap();
    assert_eq!(read_all(&process), "end\n");
    third.join().unwrap();
    // Nobody listens: no process, and nothing of it left.
    fs::remove_file(&path).unwrap();
    let error = exec(&container, &["/bin/calls", "39"]).unwrap_err();
    assert_eq!(error.kind(), Kind::Seccomp, "{error}");
    assert_eq!(container.pids().unwrap(), [init]);
    container.delete(true, Call::default()).unwrap();
    world.assert_nothing_left();
}

#[test]
fn without_an_agent_nothing_is_created_and_nothing_left() {
    let Some(world) = world("no-agent") else { return };
    let path = world.directory.join("nobody.sock");
    world.config(&["/bin/calls", "39"], |config| config["linux"]["seccomp"] = notifying(&path));
    let before = descriptors();
    for _ in 0..5 {
        let error = world.context().create(&world.id("c"), world.options()).unwrap_err();
        assert_eq!(error.kind(), Kind::Seccomp);
        assert!(error.to_string().starts_with("send the seccomp listener to "), "{error}");
    }
    assert!(descriptors() < before + 5, "descriptors leak");
    world.assert_nothing_left();
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn what_the_init_program_calls_itself_goes_to_the_agent_too() {
    let Some(world) = world("notify-init") else { return };
    for no_new_privileges in [true, false] {
        let path = world.directory.join("agent.sock");
        let _ = fs::remove_file(&path);
        let socket = UnixListener::bind(&path).unwrap();
        world.config(&["/bin/calls", "39"], |config| {
            config["linux"]["seccomp"] = notifying(&path);
            let names = json!(["sendmsg", "accept4", "close", "execve", "read", "capset"]);
            config["linux"]["seccomp"]["syscalls"][0]["names"] = names;
            config["process"]["noNewPrivileges"] = json!(no_new_privileges);
        });
        let heard = thread::spawn(move || {
            let (_, listener) = receive(&socket.accept().unwrap().0);
            notify::let_all_go_on(&listener)
        });
        let mut options = world.options();
        options.io.stdout = Stdio::Pipe;
        let container = world.context().create(&world.id("c"), options).unwrap();
        let process = container.init_process().unwrap();
        container.start(Call::default()).unwrap();
        assert_eq!(read_all(&process), "ok\n");
        process.wait(Call::default()).unwrap();
        container.delete(true, Call::default()).unwrap();
        assert!(heard.join().unwrap() >= 4);
    }
    world.assert_nothing_left();
}

//! A connection over a pair of veth devices, between two network namespaces, is the same one after a restore.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use serde_json::json;

use crate::scene::{COUNT, LIMIT, Scene, until};

/// `ip` in the calling thread's network namespace.
fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Where the calling thread's network namespace is found.
fn own_network() -> String {
    // SAFETY: gettid(2) takes nothing.
    let thread = unsafe { libc::gettid() };
    format!("/proc/{}/task/{thread}/ns/net", std::process::id())
}

fn unshare() {
    // SAFETY: unshare(2) of the network changes nothing but this thread's view of it.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
}

/// Runs `story` in a thread with a network namespace of its own, 192.0.2.1; it gets the path of a second one, 192.0.2.2,
/// to which its veth pair leads.
fn between_two_networks(story: impl FnOnce(&str) + Send) {
    let (tell, told) = mpsc::channel();
    let (done, end) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            unshare();
            ip("link set lo up");
            ip("link add rr1 type veth peer name rr0");
            ip("address add 192.0.2.2/24 dev rr1");
            ip("link set rr1 up");
            tell.send(own_network()).unwrap();
            // Until the other one drops its end.
            let _ = end.recv();
        });
        let path = told.recv().unwrap();
        let other = scope.spawn(move || {
            let _until_then = done;
            unshare();
            let own = own_network();
            let moved = Command::new("nsenter")
                .args([&format!("--net={path}"), "ip", "link", "set", "rr0", "netns"])
                .arg(&own)
                .output()
                .unwrap();
            assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
            ip("link set lo up");
            ip("address add 192.0.2.1/24 dev rr0");
            ip("link set rr0 up");
            story(&path);
        });
        other.join().unwrap();
    });
}

/// A container in the network namespace of a path.
fn in_network(test: &str, path: &str, script: &str) -> Option<Scene> {
    in_network_with(test, path, script, None)
}

/// The same with a file of CRIU's own options.
fn in_network_with(test: &str, path: &str, script: &str, options: Option<&Path>) -> Option<Scene> {
    Scene::doing(test, script, |config| {
        if let Some(options) = options {
            config["annotations"] = json!({"org.criu.config": options});
        }
        for namespace in config["linux"]["namespaces"].as_array_mut().unwrap() {
            if namespace["type"] == "network" {
                *namespace = json!({"type": "network", "path": path});
            }
        }
    })
}

/// A container in the namespace of a path that says what it hears, and a connection to it.
fn connected(test: &str, path: &str) -> Option<(Scene, TcpStream)> {
    let script = "echo >/ready; exec /bin/busybox nc -l -p 7000 -e /bin/busybox cat";
    let scene = in_network(test, path, script)?;
    let stream = called(&scene);
    Some((scene, stream))
}

/// Starts it, and calls it.
fn called(scene: &Scene) -> TcpStream {
    scene.start_quietly(&scene.world.id("a"));
    until("it is about to listen", || scene.world.bundle.join("rootfs/ready").exists());
    let address: SocketAddr = "192.0.2.2:7000".parse().unwrap();
    let mut stream = None;
    until("it listens", || {
        stream = TcpStream::connect(address).ok();
        stream.is_some()
    });
    let stream = stream.unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// What is said comes back; from where it was said.
fn echoed(stream: &mut TcpStream, text: &[u8]) -> SocketAddr {
    stream.write_all(text).unwrap();
    let mut echo = vec![0; text.len()];
    stream.read_exact(&mut echo).unwrap();
    assert_eq!(echo, text);
    stream.local_addr().unwrap()
}

#[test]
fn a_connection_over_a_veth_goes_on_in_a_network_that_others_made() {
    if crate::support::skipped("connection") {
        return;
    }
    between_two_networks(|path| {
        let Some((scene, mut stream)) = connected("tcp", path) else { return };
        let (before, after) = (scene.world.id("a"), scene.world.id("b"));
        let local = echoed(&mut stream, b"before");
        // Without the option it is refused, and the connection is untouched.
        let text = scene.fails(&scene.with_images("checkpoint", &before, &[]));
        assert!(text.contains("tcp-established"), "{text}");
        echoed(&mut stream, b"refused");
        scene.checkpoint(&before, &["--tcp-established"]);
        // What is sent now is lost on its way, and sent again by the kernel.
        let writer = stream.try_clone().unwrap();
        (&writer).write_all(b"meanwhile").unwrap();
        scene.restore(&after, &["--tcp-established"]);
        let mut echo = [0; 9];
        (&writer).read_exact(&mut echo).unwrap();
        assert_eq!(&echo, b"meanwhile");
        assert_eq!(echoed(&mut stream, b"after"), local);
        let inside = fs::read_link(format!("/proc/{}/ns/net", scene.pid(&after))).unwrap();
        assert_eq!(inside, fs::read_link(path).unwrap(), "the namespace is that of the path");
        drop(stream);
        drop(writer);
        scene.delete(&after);
        scene.world.assert_nothing_left();
    });
}

#[test]
fn a_connection_is_closed_at_the_restore_where_it_is_to_be() {
    if crate::support::skipped("closed") {
        return;
    }
    between_two_networks(|path| {
        let Some((scene, stream)) = connected("closed", path) else { return };
        let (before, after) = (scene.world.id("a"), scene.world.id("b"));
        scene.checkpoint(&before, &["--tcp-established"]);
        scene.restore(&after, &["--tcp-close"]);
        // Its program sees the end of the connection, and ends.
        until("it has ended", || scene.status(&after) == "stopped");
        drop(stream);
        scene.delete(&after);
        scene.world.assert_nothing_left();
    });
}

#[test]
fn a_connection_that_nobody_has_accepted_is_left_out_where_it_is_to_be() {
    if crate::support::skipped("inflight") {
        return;
    }
    between_two_networks(|path| {
        // It listens, and is stopped before anybody calls.
        let script = format!(
            "/bin/busybox nc -l -p 7000 & p=$!; \
             until /bin/busybox grep -q :1B58 /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done; kill -STOP $p; {COUNT}"
        );
        let Some(scene) = in_network("inflight", path, &script) else { return };
        let (before, after) = (scene.world.id("a"), scene.world.id("b"));
        scene.start(&before);
        let address: SocketAddr = "192.0.2.2:7000".parse().unwrap();
        let waiting = TcpStream::connect_timeout(&address, LIMIT).unwrap();
        let text = scene.fails(&scene.with_images("checkpoint", &before, &[]));
        assert!(text.contains("In-flight connection"), "{text}");
        scene.counts();
        scene.checkpoint(&before, &["--tcp-skip-in-flight"]);
        scene.restore(&after, &[]);
        scene.counts();
        drop(waiting);
        TcpStream::connect_timeout(&address, LIMIT).unwrap();
        scene.delete(&after);
        scene.world.assert_nothing_left();
    });
}

#[test]
fn connections_are_kept_still_by_what_is_named() {
    if crate::support::skipped("lock") {
        return;
    }
    between_two_networks(|path| {
        // CRIU calls it when all is written; the rules are those of the container's network then.
        let options = std::env::temp_dir().join(format!("rrt-criu-{}-lock.conf", std::process::id()));
        let script = "echo >/ready; exec /bin/busybox nc -l -p 7000 -e /bin/busybox cat";
        let Some(scene) = in_network_with("lock", path, script, Some(&options)) else { return };
        let (rules, action) = (scene.world.directory.join("rules"), scene.world.directory.join("action"));
        let program = format!(
            "#!/bin/sh\n[ $CRTOOLS_SCRIPT_ACTION != post-dump ] || nsenter --net={path} iptables-save >{}\n",
            rules.display()
        );
        fs::write(&action, program).unwrap();
        fs::set_permissions(&action, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(&options, format!("action-script {}\n", action.display())).unwrap();
        let mut stream = called(&scene);
        let id = scene.world.id("a");
        let local = echoed(&mut stream, b"before");
        for (lock, has_rules) in [("iptables", true), ("skip", false), ("nftables", false)] {
            let _ = fs::remove_dir_all(&scene.images);
            let more = ["--tcp-established", "--leave-running", "--network-lock", lock];
            let output = scene.run(&scene.with_images("checkpoint", &id, &more));
            let text = String::from_utf8_lossy(&output.stderr);
            if lock == "nftables" && !output.status.success() {
                assert!(text.contains("nftables") || text.contains("Lock"), "{text}");
                eprintln!("skipped: network lock by nftables: {}", text.trim());
            } else {
                assert!(output.status.success(), "{lock}: {text}");
                let rules = fs::read_to_string(&rules).unwrap();
                assert_eq!(rules.contains(":CRIU"), has_rules, "{lock}: {rules}");
            }
            assert_eq!(echoed(&mut stream, b"after"), local, "{lock}");
        }
        drop(stream);
        scene.delete(&id);
        scene.world.assert_nothing_left();
        fs::remove_file(&options).unwrap();
    });
}

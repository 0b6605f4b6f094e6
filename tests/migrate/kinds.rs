//! Containers of other kinds, each by every way that memory can take.

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener;

use serde_json::json;

use crate::pair::{Pair, lazy_is_possible};
use crate::scene::{COUNT, until};
use crate::terminal::{nonblocking, read_until, received};

/// The ways of memory that there are here.
fn ways(pair: &Pair) -> Vec<&'static [&'static str]> {
    let mut ways: Vec<&[&str]> = vec![&[], &["--page-server"]];
    if lazy_is_possible(pair) {
        ways.push(&["--lazy"]);
    } else {
        eprintln!(
            "skipped: --lazy: CRIU cannot serve pages: no userfaultfd, or no pipes of 4 MiB (fs.pipe-max-size)"
        );
    }
    ways
}

#[test]
fn a_user_namespace_has_the_same_ids_at_the_target() {
    const FIRST: u32 = 100_000;
    let pair = Pair::prepared("userns", COUNT, |config| {
        config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        let ids = json!([{"containerID": 0, "hostID": FIRST, "size": 65536}]);
        config["linux"]["uidMappings"] = ids.clone();
        config["linux"]["gidMappings"] = ids;
    });
    let Some(mut pair) = pair else { return };
    let rootfs = pair.scene.world.bundle.join("rootfs");
    for name in ["dev", "proc", "sys"] {
        fs::create_dir(rootfs.join(name)).unwrap();
    }
    chown(&rootfs, Some(FIRST), Some(FIRST)).unwrap();
    let facts = |pid: i32| {
        ["uid_map", "gid_map", "status"].map(|name| {
            let text = fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
            text.lines().filter(|line| name != "status" || line.starts_with("Cap")).collect::<String>()
        })
    };
    for (number, way) in ways(&pair).into_iter().enumerate() {
        pair.there = pair.target.id(&format!("b{number}"));
        pair.scene.start(&pair.here);
        let here = facts(pair.scene.pid(&pair.here));
        let received = pair.listen(pair.receiving(&[]));
        let (sent, received) = (pair.send(way).end(), received.end());
        let setting = fs::read_to_string("/proc/sys/vm/unprivileged_userfaultfd").unwrap_or_default();
        if way.contains(&"--lazy") && setting.trim() != "1" {
            let wanted = "set vm.unprivileged_userfaultfd to 1";
            assert!(!sent.status.success() && sent.text.contains(wanted), "{}", sent.text);
            pair.scene.counts();
            break;
        }
        assert!(sent.status.success() && received.status.success(), "{way:?} {}{}", sent.text, received.text);
        assert_eq!(pair.status_there(), "running");
        pair.scene.counts();
        assert_eq!(facts(pair.pid_there()), here, "{way:?}");
        pair.no_images();
        assert!(pair.target.output(&["exec", &pair.there, "true"]).status.success());
        assert!(pair.target.output(&["delete", "--force", &pair.there]).status.success());
    }
    pair.delete();
}

#[test]
fn a_session_on_a_terminal_goes_on_at_the_target() {
    let pair = Pair::prepared("session", "", |config| {
        config["process"]["terminal"] = json!(true);
        config["process"]["args"] = json!(["sh"]);
        config["process"]["env"] = json!(["PATH=/bin", "PS1=> "]);
    });
    let Some(mut pair) = pair else { return };
    let context = pair.scene.world.context();
    for (number, way) in ways(&pair).into_iter().enumerate() {
        pair.there = pair.target.id(&format!("b{number}"));
        let container = context.run(&pair.here, pair.scene.world.options()).unwrap();
        let process = container.init_process().unwrap();
        let mut master = nonblocking(process.console().unwrap());
        master.write_all(b"word=kept; echo so $((40+2))\n").unwrap();
        read_until(&mut master, "so 42");
        let console = pair.target.directory.join("console");
        let listener = UnixListener::bind(&console).unwrap();
        let receiving = pair.receiving(&["--console-socket", console.to_str().unwrap()]);
        let receiving = pair.listen(receiving);
        let (sent, ended) = (pair.send(way).end(), receiving.end());
        assert!(sent.status.success() && ended.status.success(), "{way:?} {}{}", sent.text, ended.text);
        drop((master, process, container));
        let (peer, _) = listener.accept().unwrap();
        let master = received(&peer);
        let mut master = nonblocking(std::os::fd::AsFd::as_fd(&master));
        master.write_all(b"echo it was $word\n").unwrap();
        read_until(&mut master, "it was kept");
        master.write_all(b"exit\n").unwrap();
        until("it ends", || pair.status_there() == "stopped");
        assert!(pair.target.output(&["delete", &pair.there]).status.success());
        fs::remove_file(&console).unwrap();
    }
    pair.delete();
}

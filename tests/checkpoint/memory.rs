//! Memory in parts: before the dump, through a page server, when it is touched, into images that were cut off.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use riverrun::{Call, CheckpointOptions, CriuOptions, ImageDirectory, Kind, RestoreOptions};
use serde_json::json;

use crate::scene::{LIMIT, Scene, size, until};

/// Whether CRIU says that it and this kernel can do it.
pub(crate) fn can(scene: &Scene, feature: &str) -> bool {
    Command::new(scene.criu()).args(["check", "--feature", feature]).output().unwrap().status.success()
}

/// A number that nobody listens on just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether somebody listens on a port (proc_pid_net(5), `tcp`), without a connection that he would take for a client.
fn listens(port: u16) -> bool {
    let text = fs::read_to_string("/proc/net/tcp").unwrap();
    text.lines().skip(1).any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next().is_some_and(|local| local.ends_with(&format!(":{port:04X}")));
        local && words.nth(1) == Some("0A")
    })
}

/// A CRIU of our own, ended with the value.
struct Helper(Child);

impl Helper {
    fn new(scene: &Scene, arguments: &[&str]) -> Self {
        let null = || Stdio::null();
        let mut command = Command::new(scene.criu());
        command.args(arguments).stdin(null()).stdout(null()).stderr(null());
        Self(command.spawn().unwrap())
    }

    fn ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn memory_is_written_before_the_dump_or_the_message_says_that_the_kernel_cannot() {
    let Some(mut scene) = Scene::new("predump") else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    let all = scene.images.clone();
    scene.images = all.join("1");
    if can(&scene, "mem_dirty_track") {
        scene.checkpoint(&before, &["--pre-dump"]);
        scene.counts();
        assert_eq!(scene.status(&before), "running");
        scene.images = all.join("2");
        scene.checkpoint(&before, &["--parent-path", "../1"]);
        assert!(fs::symlink_metadata(scene.images.join("parent")).is_ok_and(|it| it.is_symlink()));
        scene.restore(&after, &[]);
        scene.counts();
        scene.delete(&after);
    } else {
        let text = scene.fails(&scene.with_images("checkpoint", &before, &["--pre-dump"]));
        let wanted = "CRIU is missing features: tracking of changed memory, on this kernel";
        assert!(text.contains(wanted), "{text}");
        scene.counts();
        scene.delete(&before);
    }
    scene.world.assert_nothing_left();
}

#[test]
fn memory_goes_to_a_page_server() {
    let Some(scene) = Scene::new("pageserver") else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    let port = free_port();
    let other = scene.world.directory.join("other");
    fs::create_dir(&other).unwrap();
    let (there, number) = (other.to_str().unwrap(), port.to_string());
    let arguments = ["page-server", "--images-dir", there, "--address", "127.0.0.1", "--port", &number];
    let mut server = Helper::new(&scene, &arguments);
    until("the page server listens", || listens(port));
    scene.checkpoint(&before, &["--page-server", &format!("127.0.0.1:{port}")]);
    until("the page server has all", || server.ended());
    assert!(!scene.images.join("pages-1.img").exists() && size(&other) > 4096);
    for entry in fs::read_dir(&other).unwrap().flatten() {
        fs::rename(entry.path(), scene.images.join(entry.file_name())).unwrap();
    }
    scene.restore(&after, &[]);
    scene.counts();
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

#[test]
fn memory_comes_when_it_is_touched_or_the_message_says_that_the_kernel_cannot() {
    let Some(scene) = Scene::new("lazy") else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    if !can(&scene, "uffd-noncoop") {
        let text = scene.fails(&scene.with_images("checkpoint", &before, &["--lazy-pages"]));
        assert!(text.contains("CRIU is missing features: lazy pages, on this kernel"), "{text}");
        scene.counts();
        scene.delete(&before);
        return scene.world.assert_nothing_left();
    }
    scene.checkpoint(&before, &[]);
    let images = scene.images.to_str().unwrap();
    let mut daemon = Helper::new(&scene, &["lazy-pages", "--images-dir", images, "--work-dir", images]);
    until("it has its socket", || scene.images.join("lazy-pages.socket").exists() || daemon.ended());
    let count = scene.count();
    scene.restore(&after, &["--lazy-pages"]);
    until("it counts on", || scene.count() > count);
    until("all memory is there", || daemon.ended());
    scene.counts();
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

#[test]
fn a_dump_that_serves_memory_says_when_and_is_cancelled_without_harm() {
    let Some(scene) = Scene::new("serving") else { return };
    let id = scene.world.id("a");
    scene.start(&id);
    if !can(&scene, "uffd-noncoop") {
        eprintln!("skipped: serving: the kernel has no userfaultfd that CRIU can use");
        return scene.delete(&id);
    }
    let container = scene.world.context().open(&id).unwrap();
    let (mut ready, status) = std::io::pipe().unwrap();
    let (cancelled, mut cancel) = std::io::pipe().unwrap();
    let (scene, container) = (&scene, &container);
    let outcome = thread::scope(|scope| {
        // Nobody fetches, so that it serves for ever; the processes stand still meanwhile.
        let dump = scope.spawn(move || {
            let options = CheckpointOptions {
                images: ImageDirectory::Path(scene.images.clone()),
                page_server: Some(("127.0.0.1".to_owned(), free_port())),
                status_fd: Some(status.as_fd()),
                criu: CriuOptions { lazy_pages: true, criu: Some(scene.criu()), ..CriuOptions::default() },
                ..CheckpointOptions::default()
            };
            container.checkpoint(&options, Call { timeout: Some(LIMIT), cancel: Some(cancelled.as_fd()) })
        });
        let mut byte = [1];
        ready.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}{}", scene.logs()));
        assert_eq!(byte, [0]);
        cancel.write_all(b"x").unwrap();
        dump.join().unwrap()
    });
    assert_eq!(outcome.unwrap_err().kind(), Kind::Cancelled);
    scene.counts();
    assert_eq!(scene.status(&id), "running");
    scene.delete(&id);
    scene.world.assert_nothing_left();
}

#[test]
fn images_that_were_cut_off_are_refused_at_once() {
    let Some(scene) = Scene::new("cut") else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    scene.checkpoint(&before, &[]);
    let pages = scene.images.join("pages-1.img");
    let whole = fs::read(&pages).unwrap();
    OpenOptions::new().write(true).open(&pages).unwrap().set_len(4096).unwrap();
    let text = scene.fails(&scene.with_images("restore", &after, &["--detach"]));
    let wanted = format!("pages-1.img: it has 4096 bytes and should have {}", whole.len());
    assert!(text.contains(&wanted), "{text}");
    scene.world.assert_nothing_left();
    fs::write(&pages, whole).unwrap();
    // An earlier dump may have left the map of a process that is none of these: 100000 pages in the same file.
    let stale = b"\x19\x43\x56\x54\x25\x40\x08\x56\x02\0\0\0\x08\x01\x08\0\0\0\x08\0\x10\xa0\x8d\x06\x20\x04";
    fs::write(scene.images.join("pagemap-9999.img"), stale).unwrap();
    scene.restore(&after, &[]);
    scene.counts();
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

#[test]
fn a_restore_ends_at_its_deadline_and_leaves_nothing() {
    let scene = Scene::of("deadline", |config| {
        let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "[ ! -e wait ] || exec sleep 1000"]});
        config["hooks"] = json!({"createRuntime": [hook]});
    });
    let Some(scene) = scene else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    scene.checkpoint(&before, &[]);
    // Hooks run in the bundle.
    let wait = scene.world.bundle.join("wait");
    fs::write(&wait, "").unwrap();
    let mut options = scene.world.options();
    (options.io.stdout, options.io.stderr) = (riverrun::Stdio::Null, riverrun::Stdio::Null);
    options.call = Call { timeout: Some(Duration::from_secs(2)), cancel: None };
    let restore = RestoreOptions {
        images: ImageDirectory::Path(scene.images.clone()),
        criu: CriuOptions { criu: Some(scene.criu()), ..CriuOptions::default() },
        ..RestoreOptions::default()
    };
    let error = scene.world.context().restore(&after, options, &restore).unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout, "{error}");
    scene.world.assert_nothing_left();
}

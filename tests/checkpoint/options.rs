//! Options that say what CRIU is to make of a thing: a session's terminal that began outside, a parent's pages, labels.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use nix::pty::openpty;

use crate::scene::{COUNT, Scene, size};
use crate::terminal::nonblocking;

/// A terminal of the host: whoever has the master, and three streams.
fn terminal() -> (fs::File, OwnedFd) {
    let pty = openpty(None, None).unwrap();
    (nonblocking(pty.master.as_fd()), pty.slave)
}

fn stream(slave: &OwnedFd) -> Stdio {
    slave.try_clone().unwrap().into()
}

#[test]
fn a_terminal_of_the_host_is_refused_before_it_is_lost_and_a_shell_job_without_one_goes_on() {
    let script = format!("while read word; do echo \"heard $word\"; done & {COUNT}");
    let Some(scene) = Scene::doing("shelljob", &script, |_| ()) else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    let (_master, slave) = terminal();
    let mut run = scene.command(&["run", "--detach", &before]);
    run.stdin(stream(&slave)).stdout(stream(&slave)).stderr(stream(&slave));
    assert!(run.status().unwrap().success());
    scene.counts();
    // With the option CRIU 4.2.1 would write it, end the container, and crash at the restore.
    for more in [&[][..], &["--shell-job"]] {
        let text = scene.fails(&scene.with_images("checkpoint", &before, more));
        assert!(text.contains("stream 0 is /dev/pts/") && text.contains("a terminal of the host"), "{text}");
        scene.counts();
    }
    scene.delete(&before);
    scene.start(&before);
    scene.checkpoint(&before, &["--shell-job"]);
    scene.restore(&after, &["--shell-job"]);
    scene.counts();
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

#[test]
fn pages_of_a_parent_that_are_written_again_are_freed_where_they_are_to_be() {
    let script = "x=$(/bin/busybox head -c 4000000 /dev/zero | /bin/busybox tr '\\0' x); n=0; while :; do \
                  n=$((n+1)); x=$n${x#?}; echo $n >/count.new; mv /count.new /count; sleep 0.05; done";
    let Some(mut scene) = Scene::doing("dedup", script, |_| ()) else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    if !crate::memory::can(&scene, "mem_dirty_track") {
        eprintln!("skipped: dedup: the kernel does not tell which memory has changed");
        return scene.delete(&before);
    }
    let all = scene.images.clone();
    scene.images = all.join("1");
    scene.checkpoint(&before, &["--pre-dump"]);
    let blocks = |name: &str| {
        let files = fs::read_dir(all.join(name)).unwrap().flatten();
        let pages = files.filter(|file| file.file_name().to_string_lossy().starts_with("pages-"));
        pages.map(|file| file.metadata().unwrap().blocks() * 512).sum::<u64>()
    };
    let there = blocks("1");
    assert!(there > 4_000_000 && size(&all.join("1")) >= there);
    scene.counts();
    scene.images = all.join("2");
    scene.checkpoint(&before, &["--parent-path", "../1", "--auto-dedup"]);
    let written = blocks("2");
    assert!(written > 1 << 20, "it changes its memory: {written}");
    assert!(blocks("1") + written / 2 < there, "{there} before, {} now, {written} written", blocks("1"));
    scene.restore(&after, &[]);
    scene.counts();
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

fn label_of(scene: &Scene, id: &str) -> String {
    let label = fs::read_to_string(format!("/proc/{}/attr/current", scene.pid(id))).unwrap_or_default();
    label.trim().trim_end_matches('\0').to_owned()
}

#[test]
fn labels_are_asked_for_and_a_kernel_without_them_says_so() {
    let Some(scene) = Scene::new("labels") else { return };
    let (before, after) = (scene.world.id("a"), scene.world.id("b"));
    scene.start(&before);
    scene.checkpoint(&before, &[]);
    let has = |module: &str| {
        fs::read_to_string("/sys/kernel/security/lsm")
            .is_ok_and(|all| all.split(',').any(|one| one == module))
    };
    let labels = [("apparmor", "apparmor:rr-no-such-profile"), ("selinux", "selinux:u:r:t:s0")];
    for (module, label) in labels {
        let arguments = ["--detach", "--lsm-profile", label];
        if has(module) {
            // CRIU gives it to processes that had one; these had none.
            scene.restore(&after, &arguments[1..]);
            assert_eq!(label_of(&scene, &after), "unconfined", "{label}");
            scene.delete(&after);
        } else {
            let text = scene.fails(&scene.with_images("restore", &after, &arguments));
            let wanted = format!("{module} LSM specified but {module} not supported by kernel");
            assert!(text.contains(&wanted), "{text}");
        }
        scene.world.assert_nothing_left();
    }
    // Of a mount that had a context; none of these has, so that it changes nothing.
    scene.restore(&after, &["--lsm-mount-context", "u:object_r:t:s0"]);
    scene.counts();
    scene.delete(&after);
    scene.world.assert_nothing_left();
}

//! What gets lost: a message, a side, the room for it. One copy runs, or none and a paused one that is told of.

use std::process::Command;
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pair::Pair;
use crate::proxy::{
    ACCEPTED, ENTRY, GO, IMAGE, IMAGES, IMAGES_END, Lost, OFFER, READY, RESTORE, RUNNING, STORED, TREE_END,
    between,
};
use crate::scene::until;

/// Loses it, and nothing else happens: what the source said.
fn lose(pair: &Pair, lost: Lost) -> String {
    let received = pair.receive(&[]);
    let sent = pair.send_to(&between(&pair.socket, lost, Box::new(|| ())), &["--rootfs", "copy"]).end();
    assert!(!sent.status.success(), "{lost:?}");
    let received = received.end();
    assert_eq!(received.status.success(), lost == Lost::Message(RUNNING), "{lost:?}: {}", received.text);
    sent.text
}

/// Sends the container, and kills whoever sends it when that message gets lost, before it can react to the end of the
/// connection. It has not succeeded.
pub(crate) fn kill_source_at(pair: &Pair, message: u8, how: &[&str]) {
    let victim = Arc::new(Mutex::new(None));
    let of = Arc::clone(&victim);
    let then = Box::new(move || {
        until("the source is known", || of.lock().unwrap().is_some());
        kill(of.lock().unwrap().unwrap(), Signal::SIGKILL).unwrap();
    });
    let sent = pair.send_to(&between(&pair.socket, Lost::Message(message), then), how);
    *victim.lock().unwrap() = Some(Pid::from_raw(i32::try_from(sent.child.id()).unwrap()));
    assert!(!sent.end().status.success());
}

/// Keeps for cli: migration_to_nobody_leaves_it_running.
#[test]
fn whatever_is_lost_before_the_word_go_it_runs_on_at_the_source() {
    let Some(pair) = Pair::new("lost") else { return };
    let messages = [OFFER, ACCEPTED, ENTRY, TREE_END, STORED, IMAGES, IMAGE, IMAGES_END, RESTORE, READY]
        .map(Lost::Message);
    for lost in [Lost::SourceHello, Lost::TargetHello].into_iter().chain(messages) {
        let text = lose(&pair, lost);
        assert!(text.contains("the other side"), "{lost:?}: {text}");
        pair.stayed();
    }
    pair.delete();
}

#[test]
fn after_the_word_go_a_source_that_hears_nothing_stays_paused() {
    let Some(pair) = Pair::new("unknown") else { return };
    // It does not arrive: nobody runs, and the source can be resumed.
    let text = lose(&pair, Lost::Message(GO));
    assert!(text.contains("stays paused here") && text.contains("resume it"), "{text}");
    assert_eq!(pair.scene.status(&pair.here), "paused");
    assert_eq!(pair.status_there(), "none");
    pair.target.assert_nothing_left();
    pair.scene.succeeds(&["resume", &pair.here]);
    pair.stayed();
    // It arrives, and the answer does not: the target runs, and the source does not.
    let text = lose(&pair, Lost::Message(RUNNING));
    assert!(text.contains("stays paused here"), "{text}");
    assert_eq!(pair.status_there(), "running");
    assert_eq!(pair.scene.status(&pair.here), "paused");
    let (count, there) = (pair.scene.count(), pair.count_there());
    until("it counts on there", || pair.count_there() > there);
    assert_eq!(pair.scene.count(), count);
    pair.scene.delete(&pair.here);
    pair.went();
    pair.delete();
}

/// Kills `pid` when the message has come.
fn killing(pid: u32) -> Box<dyn FnMut() + Send> {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap());
    Box::new(move || kill(pid, Signal::SIGKILL).unwrap())
}

#[test]
fn a_target_that_is_killed_leaves_the_source_running_and_nothing_that_delete_does_not_find() {
    let Some(pair) = Pair::new("target") else { return };
    for message in [IMAGES, READY] {
        let received = pair.receive(&[]);
        let proxy = between(&pair.socket, Lost::Message(message), killing(received.child.id()));
        let sent = pair.send_to(&proxy, &[]).end();
        assert!(!sent.status.success());
        assert!(!received.end().status.success());
        until("it runs on here", || pair.scene.status(&pair.here) == "running");
        pair.scene.counts();
        assert_ne!(pair.status_there(), "running");
        let deleted = pair.target.output(&["delete", "--force", &pair.there]);
        assert!(deleted.status.success());
        pair.target.assert_nothing_left();
        let left = std::fs::read_dir(pair.work()).unwrap().count();
        assert!(left <= 1, "what the one before has left is gone");
    }
    // And what this one has left, with the next that begins.
    let received = pair.listen(pair.receiving(&[]));
    assert!(pair.send(&[]).end().status.success() && received.end().status.success());
    pair.no_images();
    pair.delete();
}

#[test]
fn a_source_that_is_killed_before_the_word_go_runs_on_and_after_it_stays_paused() {
    let Some(pair) = Pair::new("source") else { return };
    for (message, here, there) in
        [(IMAGES, "running", "none"), (READY, "running", "none"), (RUNNING, "paused", "running")]
    {
        let received = pair.listen(pair.receiving(&[]));
        kill_source_at(&pair, message, &["--rounds", "0"]);
        received.end();
        until("CRIU has let go of it", || pair.scene.status(&pair.here) == here);
        assert_eq!(pair.status_there(), there, "{message}");
        if here == "running" {
            pair.scene.counts();
        }
    }
    pair.delete();
}

#[test]
fn a_target_without_room_says_so_and_the_source_runs_on() {
    let Some(pair) = Pair::new("room") else { return };
    let work = pair.target.directory.join("small");
    std::fs::create_dir(&work).unwrap();
    let place = work.to_str().unwrap();
    let plain = pair.receiving(&["--bundle", pair.bundle.to_str().unwrap(), "--work-path", place]);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c"]);
    command.arg(format!("mount -t tmpfs -o size=64k tmpfs {place} && exec \"$@\"")).arg("sh");
    command.arg(plain.get_program()).args(plain.get_args());
    command.env("PATH", pair.path()).env("TMPDIR", pair.work());
    let received = pair.listen(command);
    let sent = pair.send(&["--rootfs", "copy"]).end();
    assert!(!sent.status.success() && sent.text.contains("no space left on device"), "{}", sent.text);
    assert!(!received.end().status.success());
    pair.stayed();
    let received = pair.receive(&["--limit", "1m"]);
    let sent = pair.send(&["--rootfs", "copy"]).end();
    assert!(!sent.status.success() && sent.text.contains("more than the limit"), "{}", sent.text);
    received.end();
    pair.stayed();
    pair.delete();
}

#[test]
fn an_id_or_a_bundle_that_is_there_is_not_touched() {
    let Some(pair) = Pair::new("there") else { return };
    std::fs::create_dir(&pair.bundle).unwrap();
    std::fs::write(pair.bundle.join("mine"), "").unwrap();
    let received = pair.receive(&[]);
    let sent = pair.send(&["--rootfs", "copy"]).end();
    assert!(!sent.status.success() && sent.text.contains("make bundle"), "{}", sent.text);
    received.end();
    assert!(pair.bundle.join("mine").exists());
    std::fs::remove_dir_all(&pair.bundle).unwrap();
    // The cgroup of the source has the same name when the id has: its processes are not the target's to end.
    let command = pair.receiving_as(&pair.here, &["--bundle", pair.bundle.to_str().unwrap()]);
    let received = pair.listen(command);
    let sent = pair.send(&["--rootfs", "copy"]).end();
    assert!(!sent.status.success() && sent.text.contains("cgroup is not empty"), "{}", sent.text);
    received.end();
    pair.stayed();
    pair.delete();
}

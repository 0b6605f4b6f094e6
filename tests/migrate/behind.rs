//! What gets lost while memory goes over a page server, or comes behind a container that runs at the target already.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::losses::kill_source_at;
use crate::pair::{Pair, lazy_is_possible};
use crate::proxy::{ARRIVED, GO, IMAGES_END, Lost, PAGES, PAGES_END, READY, RESTORE, RUNNING, between};
use crate::scene::{COUNT, until};

/// A counter with so much memory that it is still under way when something gets lost.
fn large(test: &str) -> Option<Pair> {
    let memory = "x=$(/bin/busybox head -c 32000000 /dev/zero | /bin/busybox tr '\\0' x)";
    Pair::doing(test, &format!("{memory}; {COUNT}"), |_| ())
}

/// The same where memory can come behind it.
fn lazy(test: &str) -> Option<Pair> {
    let pair = large(test)?;
    if lazy_is_possible(&pair) {
        return Some(pair);
    }
    eprintln!(
        "skipped: {test}: CRIU cannot serve pages: no userfaultfd, or no pipes of 4 MiB (fs.pipe-max-size)"
    );
    pair.delete();
    None
}

/// Loses it, and nothing else happens: what the source said, and whether the target succeeded.
fn lose(pair: &Pair, lost: u8, how: &str) -> (String, bool) {
    let received = pair.listen(pair.receiving(&[]));
    let proxy = between(&pair.socket, Lost::Message(lost), Box::new(|| ()));
    let sent = pair.send_to(&proxy, &[how]).end();
    assert!(!sent.status.success(), "{lost}");
    (sent.text, received.end().status.success())
}

#[test]
fn a_page_server_that_nobody_ends_leaves_the_source_running() {
    let Some(pair) = large("pagesend") else { return };
    for lost in [PAGES, PAGES_END, IMAGES_END, READY] {
        let (text, succeeded) = lose(&pair, lost, "--page-server");
        assert!(!succeeded && text.contains("the other side"), "{lost}: {text}");
        pair.stayed();
    }
    pair.delete();
}

#[test]
fn without_room_for_memory_the_source_runs_on() {
    let Some(pair) = large("pagesroom") else { return };
    let received = pair.listen(pair.receiving(&["--limit", "8m"]));
    let sent = pair.send(&["--page-server"]).end();
    assert!(!sent.status.success() && sent.text.contains("more than the limit"), "{}", sent.text);
    assert!(!received.end().status.success());
    pair.stayed();
    pair.delete();
}

#[test]
fn whatever_is_lost_before_a_lazy_container_may_run_it_runs_on_at_the_source() {
    let Some(pair) = lazy("lazylost") else { return };
    for lost in [IMAGES_END, RESTORE, READY] {
        let (text, succeeded) = lose(&pair, lost, "--lazy");
        assert!(!succeeded && text.contains("the other side"), "{lost}: {text}");
        pair.stayed();
    }
    pair.delete();
}

#[test]
fn a_lazy_container_whose_memory_does_not_come_is_ended_there_and_is_paused_here() {
    let Some(pair) = lazy("lazycut") else { return };
    for lost in [GO, RUNNING] {
        let (text, succeeded) = lose(&pair, lost, "--lazy");
        assert!(!succeeded && text.contains("stays paused here"), "{lost}: {text}");
        assert_eq!(pair.scene.status(&pair.here), "paused");
        assert_eq!(pair.status_there(), "none");
        pair.target.assert_nothing_left();
        pair.scene.succeeds(&["resume", &pair.here]);
        pair.stayed();
    }
    // All of it has come, and the source does not hear of it.
    let (text, succeeded) = lose(&pair, ARRIVED, "--lazy");
    assert!(succeeded && text.contains("stays paused here"), "{text}");
    assert_eq!((pair.scene.status(&pair.here), pair.status_there()), ("paused".into(), "running".into()));
    pair.scene.counts();
    pair.delete();
}

#[test]
fn a_lazy_source_that_is_killed_is_paused_and_the_target_ends_what_it_cannot_complete() {
    let Some(pair) = lazy("lazysource") else { return };
    let received = pair.listen(pair.receiving(&[]));
    kill_source_at(&pair, RUNNING, &["--lazy"]);
    let received = received.end();
    assert!(!received.status.success() && received.text.contains("container was ended"), "{}", received.text);
    until("CRIU has let go of it", || pair.scene.status(&pair.here) == "paused");
    assert_eq!(pair.status_there(), "none");
    pair.target.assert_nothing_left();
    pair.scene.succeeds(&["resume", &pair.here]);
    pair.scene.counts();
    pair.delete();
}

#[test]
fn a_lazy_target_that_is_killed_waits_for_its_memory_until_it_is_deleted() {
    let Some(pair) = lazy("lazytarget") else { return };
    let received = pair.listen(pair.receiving(&[]));
    let pid = Pid::from_raw(i32::try_from(received.child.id()).unwrap());
    let then = Box::new(move || kill(pid, Signal::SIGKILL).unwrap());
    let sent = pair.send_to(&between(&pair.socket, Lost::Message(RUNNING), then), &["--lazy"]).end();
    assert!(!sent.status.success() && sent.text.contains("stays paused here"), "{}", sent.text);
    assert!(!received.end().status.success());
    assert_eq!(pair.scene.status(&pair.here), "paused");
    // Nobody has given it zeroes for what it does not have.
    assert_eq!(pair.status_there(), "running");
    let deleted = pair.target.output(&["delete", "--force", &pair.there]);
    assert!(deleted.status.success());
    pair.target.assert_nothing_left();
    pair.scene.succeeds(&["resume", &pair.here]);
    pair.scene.counts();
    pair.delete();
}

/// The `criu lazy-pages` of this pair, once it has memory to watch.
fn daemon(pair: &Pair) -> Option<Pid> {
    let work = pair.work();
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let command = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        if !command.contains("lazy-pages") || !command.contains(work.to_str().unwrap()) {
            return None;
        }
        let watches = |fd: fs::DirEntry| {
            fs::read_link(fd.path()).is_ok_and(|is| is.as_os_str() == "anon_inode:[userfaultfd]")
        };
        fs::read_dir(entry.path().join("fd")).ok()?.flatten().any(watches).then_some(())?;
        entry.file_name().to_str()?.parse().ok().map(Pid::from_raw)
    })
}

#[test]
fn when_nobody_brings_its_memory_a_lazy_container_is_ended_and_runs_on_at_the_source() {
    let Some(pair) = lazy("lazydaemon") else { return };
    let received = pair.listen(pair.receiving(&[]));
    let sent = pair.send(&["--lazy"]);
    let mut found = None;
    until("it is brought its memory", || {
        found = daemon(&pair);
        found.is_some()
    });
    kill(found.unwrap(), Signal::SIGKILL).unwrap();
    let (sent, received) = (sent.end(), received.end());
    assert!(!sent.status.success() && !received.status.success(), "{}{}", sent.text, received.text);
    assert!(sent.text.contains("criu lazy-pages failed"), "{}", sent.text);
    until("it runs on here", || pair.scene.status(&pair.here) == "running");
    pair.scene.counts();
    assert_eq!(pair.status_there(), "none");
    pair.target.assert_nothing_left();
    pair.delete();
}

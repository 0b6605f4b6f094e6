//! Migrations that succeed.

use std::fs;

use serde_json::Value;

use crate::pair::{Background, Pair};
use crate::scene::until;

fn lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn finished(sent: Background, received: Background) -> Vec<Value> {
    let (sent, received) = (sent.end(), received.end());
    assert!(sent.status.success() && received.status.success(), "{}{}", sent.text, received.text);
    lines(&sent.text)
}

/// Keeps for cli: migrated_container_goes_on.
#[test]
fn a_counter_goes_on_at_the_target_with_its_files_and_is_gone_at_the_source() {
    let Some(pair) = Pair::new("moves") else { return };
    let received = pair.receive(&[]);
    let events = finished(pair.send(&["--rootfs", "copy"]), received);
    let names: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(names.first(), Some(&"accepted"));
    assert_eq!(names.last(), Some(&"done"));
    for name in ["files", "frozen", "images", "restored"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let done = events.last().unwrap();
    assert!(done["downtimeMs"].as_u64().unwrap() <= done["totalMs"].as_u64().unwrap());
    assert!(done["bytes"].as_u64().unwrap() > 1 << 20, "busybox alone is more");
    let left_at = pair.scene.count();
    assert!(pair.count_there() >= left_at, "it went on where it was");
    pair.went();
    assert_eq!(pair.scene.count(), left_at, "nobody counts here any more");
    assert!(!pair.socket.exists());
    pair.delete();
}

#[test]
fn a_shared_root_filesystem_stays_where_it_is() {
    let Some(pair) = Pair::new("shared") else { return };
    let received = pair.listen(pair.receiving(&[]));
    let events = finished(pair.send(&["--rounds", "0"]), received);
    assert!(!events.iter().any(|event| event["event"] == "files" || event["event"] == "noRounds"));
    assert_eq!(pair.scene.status(&pair.here), "none");
    assert_eq!(pair.status_there(), "running");
    pair.scene.counts();
    pair.delete();
}

#[test]
fn a_container_goes_there_and_back() {
    let Some(pair) = Pair::new("back") else { return };
    let received = pair.receive(&[]);
    finished(pair.send(&["--rootfs", "copy"]), received);
    let count = pair.count_there();
    // What was made there is the source now.
    let (home, place) = (pair.target.directory.join("home"), format!("unix:{}", pair.socket.display()));
    let words = ["receive", "--listen", &place, "--bundle", home.to_str().unwrap(), &pair.here];
    let received = pair.listen(pair.scene.command(&words));
    let words = ["migrate", "--to", &place, "--rootfs", "copy", &pair.there];
    let sent = Background::start(pair.at_target(&words), pair.target.directory.join("migrate.out"));
    finished(sent, received);
    let now = || fs::read_to_string(home.join("rootfs/count")).unwrap_or_default();
    until("it counts on at home", || now().trim().parse().is_ok_and(|now: u64| now > count));
    assert_eq!(pair.status_there(), "none");
    assert_eq!(pair.scene.status(&pair.here), "running");
    pair.delete();
}

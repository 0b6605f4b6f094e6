//! Migrations that succeed.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::pair::{Background, Pair, lazy_is_possible};
use crate::scene::{COUNT, until};

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

/// A counter with some memory that it does not change.
const LARGE: &str = "x=$(/bin/busybox head -c 8000000 /dev/zero | /bin/busybox tr '\\0' x)";

/// With so much room where the source keeps images.
fn send_from_little_room(pair: &Pair, more: &[&str]) -> Background {
    let little = pair.scene.world.directory.join("little");
    fs::create_dir_all(&little).unwrap();
    let (place, work) = (format!("unix:{}", pair.socket.display()), little.to_str().unwrap());
    let mut words = vec!["migrate", "--progress", "json", "--to", &place, "--work-path", work];
    words.extend(more);
    words.push(&pair.here);
    let plain = pair.scene.command(&words);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c"]);
    command.arg(format!("mount -t tmpfs -o size=2m tmpfs {work} && exec \"$@\"")).arg("sh");
    command.arg(plain.get_program()).args(plain.get_args()).env("PATH", pair.path());
    command.current_dir(&pair.scene.world.bundle);
    Background::start(command, pair.scene.world.directory.join("migrate.out"))
}

#[test]
fn memory_for_a_page_server_takes_no_room_at_the_source() {
    let Some(pair) = Pair::doing("pages", &format!("{LARGE}; {COUNT}"), |_| ()) else { return };
    let received = pair.listen(pair.receiving(&[]));
    let sent = send_from_little_room(&pair, &[]).end();
    assert!(!sent.status.success(), "8 MB of memory as files: {}", sent.text);
    received.end();
    pair.scene.counts();
    for more in [&["--page-server"][..], &["--page-server", "--auto-dedup", "--rounds=3"]] {
        let received = pair.listen(pair.receiving(&[]));
        let events = finished(send_from_little_room(&pair, more), received);
        let images = events.iter().find(|event| event["event"] == "images").unwrap();
        let rounds: Vec<_> = events.iter().filter(|event| event["event"] == "round").collect();
        let first = rounds.first().map_or(images, |round| *round);
        assert!(first["memory"].as_u64().unwrap() > 8_000_000, "{events:?}");
        if let Some(last) = rounds.last().filter(|_| rounds.len() > 1) {
            assert!(last["memory"].as_u64() < first["memory"].as_u64(), "{rounds:?}");
        }
        assert_eq!(pair.scene.status(&pair.here), "none");
        assert_eq!(pair.status_there(), "running");
        pair.scene.counts();
        // And back, to go once more.
        let place = format!("unix:{}", pair.socket.display());
        let words = ["receive", "--listen", &place, &pair.here];
        let received = pair.listen(pair.scene.command(&words));
        let words = ["migrate", "--to", &place, "--page-server", &pair.there];
        let sent = Background::start(pair.at_target(&words), pair.target.directory.join("migrate.out"));
        finished(sent, received);
        pair.scene.counts();
    }
    pair.delete();
}

#[test]
fn a_container_goes_on_before_its_memory_is_there_or_the_message_says_what_it_takes() {
    let Some(pair) = Pair::doing("lazy", &format!("{LARGE}; {COUNT}"), |_| ()) else { return };
    let received = pair.listen(pair.receiving(&[]));
    let sent = pair.send(&["--lazy"]);
    if !lazy_is_possible(&pair) {
        let sent = sent.end();
        assert!(!sent.status.success() && sent.text.contains("migrate container lazily: "), "{}", sent.text);
        received.end();
        pair.stayed();
        return pair.delete();
    }
    let events = finished(sent, received);
    let names: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(names, ["accepted", "frozen", "images", "restored", "running", "done"]);
    let memory = |name: &str| events.iter().find(|event| event["event"] == name).unwrap()["memory"].as_u64();
    assert!(memory("images").unwrap() < 4_000_000, "{events:?}");
    let done = events.last().unwrap();
    assert!(done["bytes"].as_u64().unwrap() > 8_000_000, "all of it came: {events:?}");
    assert_eq!(pair.scene.status(&pair.here), "none");
    assert_eq!(pair.status_there(), "running");
    pair.scene.counts();
    pair.no_images();
    pair.delete();
}

//! Images that lay links where the runtime mounts, makes and hides: everything stays inside the root. Needs root.
//!
//! Beside the root filesystem lies a directory that nobody may touch; each way out of the image is tried with each
//! thing that a configuration can have made.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::zombie_processes,
    reason = "a test panics when it is wrong, and traces its children by hand"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};
use support::{World, skipped};

/// Everything below a directory that a trespasser would change: kind, mode, owner, size, times.
fn picture(path: &Path) -> BTreeMap<PathBuf, (u32, u32, u64, i64, i64)> {
    let mut all = BTreeMap::new();
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let data = path.symlink_metadata().unwrap();
        if data.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let facts = (data.mode(), data.uid(), data.size(), data.ctime(), data.ctime_nsec());
        all.insert(path, facts);
    }
    all
}

/// A world with a decoy beside the root filesystem.
fn decoy(name: &str) -> (World, PathBuf) {
    let world = World::new(name);
    let outside = world.directory.join("outside");
    fs::create_dir_all(outside.join("dir")).unwrap();
    for file in ["ptmx", "null", "file", "passwd", "dir/key"] {
        fs::write(outside.join(file), "untouched").unwrap();
    }
    (world, outside)
}

/// A way to `target` (a path on the host) that begins at `/way` in the image.
fn lay(rootfs: &Path, kind: &str, target: &Path) {
    let way = rootfs.join("way");
    match kind {
        "absolute" => symlink(target, way).unwrap(),
        "relative" => symlink(format!("../../../../../../../..{}", target.display()), way).unwrap(),
        "chain" => {
            symlink("hop/../hop2", &way).unwrap();
            fs::create_dir(rootfs.join("hop")).unwrap();
            symlink(target, rootfs.join("hop2")).unwrap();
        }
        "dots" => {
            fs::create_dir_all(rootfs.join("a/b")).unwrap();
            symlink(format!("a/b/../../../..{}", target.display()), way).unwrap();
        }
        _ => unreachable!(),
    }
}

/// Has something made at a place; the path is that of the things beside the bundle.
type Making = fn(&mut Value, &str, &Path);

#[test]
fn no_link_leads_anything_that_is_made_out_of_the_root() {
    if skipped("no_link_leads_anything_that_is_made_out_of_the_root") {
        return;
    }
    let (world, outside) = decoy("links");
    fs::create_dir(world.directory.join("source")).unwrap();
    fs::write(world.directory.join("one"), "x").unwrap();
    let rootfs = world.bundle.join("rootfs");
    let before = picture(&outside);
    let things: [(&str, Making); 9] = [
        ("bind of a directory", |config, place, beside| {
            push(
                config,
                json!({ "destination": place, "source": beside.join("source"), "options": ["bind"] }),
            );
        }),
        ("bind of a file", |config, place, beside| {
            push(config, json!({ "destination": place, "source": beside.join("one"), "options": ["bind"] }));
        }),
        ("tmpfs", |config, place, _| {
            push(config, json!({ "destination": place, "type": "tmpfs", "options": ["mode=755"] }));
        }),
        ("copy", |config, place, _| {
            push(config, json!({ "destination": place, "type": "tmpfs", "options": ["tmpcopyup"] }));
        }),
        ("device", |config, place, _| {
            config["linux"]["devices"] = json!([{ "path": place, "type": "c", "major": 1, "minor": 5 }]);
        }),
        ("mask", |config, place, _| config["linux"]["maskedPaths"] = json!([place])),
        ("read-only path", |config, place, _| config["linux"]["readonlyPaths"] = json!([place])),
        ("working directory", |config, place, _| config["process"]["cwd"] = json!(place)),
        ("remount", |config, place, _| {
            push(config, json!({ "destination": place, "options": ["remount", "bind", "ro"] }));
        }),
    ];
    // Itself, something in it that is there, and something missing.
    let ends = ["", "/dir", "/dir/key", "/new/deep"];
    for kind in ["absolute", "relative", "chain", "dots"] {
        for (thing, change) in things {
            for end in ends {
                fs::remove_dir_all(&rootfs).unwrap();
                fs::create_dir_all(rootfs.join("bin")).unwrap();
                fs::hard_link(world.directory.join("busybox"), rootfs.join("bin/sh"))
                    .or_else(|_| fs::copy("/bin/busybox", world.directory.join("busybox")).map(drop))
                    .unwrap();
                let _ = fs::hard_link(world.directory.join("busybox"), rootfs.join("bin/sh"));
                lay(&rootfs, kind, &outside);
                world.config(&["/bin/sh", "-c", "true"], |config| {
                    change(config, &format!("/way{end}"), &world.directory);
                });
                // Whether it runs depends on what the way ends at; where it leads does not.
                let output = world.output(&["run", &world.id("c")]);
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(picture(&outside), before, "{thing} by {kind} link, {end:?}: {said}");
            }
        }
    }
    world.assert_nothing_left();
}

fn push(config: &mut Value, mount: Value) {
    config["mounts"].as_array_mut().unwrap().push(mount);
}

#[test]
fn a_proc_or_sys_that_is_a_link_is_refused_and_a_dev_stays_inside() {
    if skipped("a_proc_or_sys_that_is_a_link_is_refused_and_a_dev_stays_inside") {
        return;
    }
    for (name, refused) in [("proc", true), ("sys", true), ("dev", false)] {
        for up in [false, true] {
            let (world, outside) = decoy("fake");
            let before = picture(&outside);
            let target = if up {
                format!("../../../../../..{}", outside.display())
            } else {
                outside.display().to_string()
            };
            symlink(target, world.bundle.join("rootfs").join(name)).unwrap();
            world.config(&["true"], |config| {
                if !refused {
                    // The image's own /dev, links and nodes and all.
                    let mounts = config["mounts"].as_array_mut().unwrap();
                    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
                    config["root"]["readonly"] = json!(false);
                }
            });
            let output = world.output(&["run", &world.id("c")]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), !refused, "{name}: {said}");
            assert!(!refused || said.contains("not an ordinary directory"), "{name}: {said}");
            assert_eq!(picture(&outside), before, "{name}: {said}");
            world.assert_nothing_left();
        }
    }
}

#[test]
fn a_null_device_that_is_none_masks_nothing_and_is_not_touched() {
    if skipped("a_null_device_that_is_none_masks_nothing_and_is_not_touched") {
        return;
    }
    for link in [false, true] {
        let (world, outside) = decoy("null");
        let rootfs = world.bundle.join("rootfs");
        fs::create_dir(rootfs.join("dev")).unwrap();
        if link {
            symlink(outside.join("null"), rootfs.join("dev/null")).unwrap();
        } else {
            fs::write(rootfs.join("dev/null"), "kept").unwrap();
        }
        fs::write(rootfs.join("secret"), "x").unwrap();
        let before = picture(&outside);
        world.config(&["cat", "/secret"], |config| {
            let mounts = config["mounts"].as_array_mut().unwrap();
            mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
            config["root"]["readonly"] = json!(false);
            config["linux"]["maskedPaths"] = json!(["/secret"]);
        });
        let output = world.output(&["run", &world.id("c")]);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        assert_eq!(picture(&outside), before, "{output:?}");
        assert!(link || fs::read_to_string(rootfs.join("dev/null")).unwrap() == "kept");
        world.assert_nothing_left();
    }
}

/// renameat2(2) with RENAME_EXCHANGE, on and on.
fn exchange(one: &Path, other: &Path, stop: &AtomicBool) {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    while !stop.load(Ordering::Relaxed) {
        renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE).unwrap();
    }
}

#[test]
fn a_directory_that_turns_into_a_link_again_and_again_leads_nobody_out() {
    if skipped("a_directory_that_turns_into_a_link_again_and_again_leads_nobody_out") {
        return;
    }
    let (world, outside) = decoy("exchange");
    let rootfs = world.bundle.join("rootfs");
    fs::create_dir(rootfs.join("swing")).unwrap();
    symlink(&outside, rootfs.join("other")).unwrap();
    let before = picture(&outside);
    let stop = AtomicBool::new(false);
    let mut ran = 0;
    world.config(&["true"], |config| {
        for number in 0..10 {
            push(config, json!({ "destination": format!("/swing/t{number}/deep"), "type": "tmpfs" }));
            let file = format!("/swing/f{number}");
            push(config, json!({ "destination": file, "source": "/dev/null", "options": ["bind"] }));
        }
        config["linux"]["devices"] = json!([{ "path": "/swing/zero", "type": "c", "major": 1, "minor": 5 }]);
        config["process"]["cwd"] = json!("/swing/cwd");
        for list in ["maskedPaths", "readonlyPaths"] {
            config["linux"][list].as_array_mut().unwrap().extend([json!("/swing/dir"), json!("/swing/file")]);
        }
    });
    thread::scope(|scope| {
        scope.spawn(|| exchange(&rootfs.join("swing"), &rootfs.join("other"), &stop));
        for round in 0..60 {
            let output = world.output(&["run", &world.id(&round.to_string())]);
            ran += u32::from(output.status.success());
        }
        stop.store(true, Ordering::Relaxed);
    });
    // The times of the decoy's own directory change with the kernel's look at it; what is in it must not.
    assert_eq!(picture(&outside), before, "{ran} of 60 ran");
    world.assert_nothing_left();
}

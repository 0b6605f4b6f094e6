//! A scene: a folder with a state root and bundles, and the search for what a test may have left on the machine.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "each suite has its own use of it")]

use super::host::root;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that goes away with the value.
pub(crate) struct Scene {
    folder: PathBuf,
}

impl Scene {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("riverrun-abi-{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a scene can be made");
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// The state root, which the library makes when it needs it.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// A busybox bundle that runs `args`.
    pub(crate) fn bundle(&self, name: &str, args: &[&str]) -> String {
        let bundle = self.folder.join(name);
        let made = Command::new(root().join("tests/setup/bundle")).arg(&bundle).args(args).output();
        let made = made.expect("tests/setup/bundle can be run");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        bundle.to_str().expect("the scene has a plain name").to_owned()
    }

    /// That no container directory, cgroup, mount or process with `tag` in its name is left.
    pub(crate) fn assert_nothing_left(&self, tag: &str) {
        let mut left = Vec::new();
        let entries = fs::read_dir(self.root()).into_iter().flatten().flatten();
        left.extend(entries.map(|entry| format!("state {}", entry.path().display())));
        find_folders(Path::new("/sys/fs/cgroup"), tag, 6, &mut left);
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("proc is mounted");
        let folder = self.folder.to_str().expect("the scene has a plain name");
        left.extend(mounts.lines().filter(|line| line.contains(folder)).map(|line| format!("mount {line}")));
        for process in fs::read_dir("/proc").expect("proc is mounted").flatten() {
            let cgroups = fs::read_to_string(process.path().join("cgroup")).unwrap_or_default();
            if cgroups.contains(tag) {
                left.push(format!("process {}", process.path().display()));
            }
        }
        assert!(left.is_empty(), "{tag}: left behind: {left:#?}");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn find_folders(below: &Path, tag: &str, depth: u32, found: &mut Vec<String>) {
    if depth == 0 {
        return;
    }
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().contains(tag) {
            found.push(format!("cgroup {}", entry.path().display()));
        }
        find_folders(&entry.path(), tag, depth - 1, found);
    }
}

/// Whether containers can be made here; says so if not.
pub(crate) fn root_or_skip(test: &str) -> bool {
    let root = fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("\nUid:\t0\t0\t"));
    if !root {
        eprintln!("skipped: {test}: needs root");
    }
    root
}

//! The layouts, and a world in each.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::World;

const MOUNT: &str = "/sys/fs/cgroup";

/// A layout, and a world whose containers are made in it.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) v2: bool,
    /// The machine has it already.
    native: bool,
}

/// A scene for every layout that can be had here.
pub(crate) fn scenes(name: &str, test: &str) -> Vec<Scene> {
    if !nix::unistd::geteuid().is_root() || !Path::new("/bin/busybox").exists() {
        eprintln!("skipped {test}: needs root and /bin/busybox (Debian: busybox-static)");
        return Vec::new();
    }
    let alone = Path::new(MOUNT).join("cgroup.controllers").exists();
    let beside = Path::new(MOUNT).join("unified/cgroup.controllers").exists();
    let v1 = Path::new(MOUNT).join("pids/cgroup.procs").exists();
    let scene = |v2, native| Scene {
        world: World::new(&format!("{name}-{}", if v2 { "v2" } else { "v1" })),
        v2,
        native,
    };
    let mut found = Vec::new();
    if v1 && !alone {
        found.push(scene(false, true));
    }
    if alone || beside {
        found.push(scene(true, alone));
    }
    if found.is_empty() {
        eprintln!("skipped {test}: needs cgroups");
    }
    found
}

/// The scene with cgroup2 alone.
pub(crate) fn on_v2(name: &str, test: &str) -> Option<Scene> {
    let found = scenes(name, test).into_iter().find(|scene| scene.v2);
    if found.is_none() {
        eprintln!("skipped {test}: needs a cgroup2");
    }
    found
}

impl Scene {
    /// The cgroup2, as the test sees it.
    pub(crate) fn unified(&self) -> PathBuf {
        if self.native && self.v2 { PathBuf::from(MOUNT) } else { Path::new(MOUNT).join("unified") }
    }

    /// The hierarchy that claims are checked in.
    pub(crate) fn hierarchy(&self) -> PathBuf {
        if self.v2 { self.unified() } else { Path::new(MOUNT).join("pids") }
    }

    /// The cgroup of the container `name`, if it was given by [`config`](Self::config).
    pub(crate) fn cgroup(&self, name: &str) -> PathBuf {
        self.hierarchy().join(self.world.id(name))
    }

    /// A configuration whose cgroup is at the top, named after the container.
    pub(crate) fn config(&self, name: &str, args: &[&str], change: impl FnOnce(&mut Value)) {
        let path = format!("/{}", self.world.id(name));
        self.world.config(args, |config| {
            config["linux"]["cgroupsPath"] = json!(path);
            change(config);
        });
    }

    /// The command line in this layout.
    pub(crate) fn riverrun(&self, arguments: &[&str]) -> Command {
        self.with(arguments, false)
    }

    /// With read-only cgroups.
    pub(crate) fn riverrun_read_only(&self, arguments: &[&str]) -> Command {
        self.with(arguments, true)
    }

    fn with(&self, arguments: &[&str], read_only: bool) -> Command {
        let mut command = self.world.riverrun(arguments);
        let bind = self.v2 && !self.native;
        if bind || read_only {
            // SAFETY: system calls alone, on constants.
            unsafe { command.pre_exec(move || private(bind, read_only)) };
        }
        command
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.riverrun(arguments).output().unwrap()
    }

    /// What it prints, if all goes well.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        ok(&self.output(arguments))
    }

    /// What goes well and leaves a container behind, which keeps the streams.
    pub(crate) fn quietly(&self, arguments: &[&str]) {
        let log = self.world.directory.join("log");
        let mut command = self.riverrun(arguments);
        command.stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        let status = command.status().unwrap();
        assert!(status.success(), "{arguments:?}: {}", fs::read_to_string(&log).unwrap());
    }

    /// What it says as it fails.
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        failed(&self.output(arguments))
    }

    /// Runs `name` in the background.
    pub(crate) fn start(&self, name: &str) -> String {
        let id = self.world.id(name);
        self.quietly(&["run", "--detach", &id]);
        id
    }

    /// The pid of its first process.
    pub(crate) fn pid(&self, id: &str) -> i32 {
        let state: Value = serde_json::from_str(&self.ok(&["state", id])).unwrap();
        state["pid"].as_i64().unwrap().try_into().unwrap()
    }

    /// Ends `name`; nothing is left.
    pub(crate) fn end(&self, id: &str) {
        self.ok(&["delete", "--force", id]);
        self.world.assert_nothing_left();
    }
}

pub(crate) fn ok(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {err}", output.status);
    out.into_owned()
}

pub(crate) fn failed(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A mount namespace in which /sys/fs/cgroup is the cgroup2, or read-only.
fn private(unified: bool, read_only: bool) -> std::io::Result<()> {
    let mount = |source: &std::ffi::CStr, flags: libc::c_ulong| {
        // SAFETY: NUL-terminated constants.
        let done = unsafe {
            libc::mount(source.as_ptr(), c"/sys/fs/cgroup".as_ptr(), c"".as_ptr(), flags, std::ptr::null())
        };
        if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: numbers and constants.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS) != 0
            || libc::mount(
                c"".as_ptr(),
                c"/".as_ptr(),
                c"".as_ptr(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ) != 0
        {
            return Err(std::io::Error::last_os_error());
        }
    }
    if unified {
        mount(c"/sys/fs/cgroup/unified", libc::MS_BIND)?;
    }
    if read_only {
        mount(c"/sys/fs/cgroup", libc::MS_BIND)?;
        mount(c"/sys/fs/cgroup", libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY)?;
    }
    Ok(())
}

/// Waits until something is so, for a minute.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < end, "still not: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The members of a cgroup itself.
pub(crate) fn members(path: &Path) -> Vec<i32> {
    let text = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Removes a cgroup that a test made, once it is empty.
pub(crate) struct Foreign(pub(crate) PathBuf);

impl Foreign {
    pub(crate) fn new(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let end = Instant::now() + Duration::from_secs(10);
        while fs::remove_dir(&self.0).is_err() && self.0.exists() && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

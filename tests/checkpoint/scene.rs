//! CRIU, a container that counts, and the wait for what is to become true.
#![allow(dead_code, reason = "each test uses its part")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::criu;
use crate::support::{self, World};

/// How long anything here may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The directory of a CRIU that starts here; `None` says why not.
fn directory(test: &str) -> Option<PathBuf> {
    if support::skipped(test) {
        return None;
    }
    match criu::program() {
        Ok(path) => path.parent().map(Path::to_owned),
        Err(reason) => {
            eprintln!("skipped, {test}: {reason}");
            None
        }
    }
}

/// Counts into the file `/count`.
pub(crate) const COUNT: &str =
    "i=0; while :; do i=$((i+1)); echo $i >/count.new; mv /count.new /count; sleep 0.05; done";

/// Compiles a C program, without libraries that a container would have to have; false without a compiler, which it says.
pub(crate) fn compile(test: &str, source: &str, program: &Path) -> bool {
    let file = program.with_extension("c");
    fs::write(&file, source).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(["-static", "-O1", "-Wall", "-Werror", "-D_GNU_SOURCE", "-o"]).arg(program).arg(&file);
    match gcc.output() {
        Ok(made) => {
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            fs::remove_file(file).unwrap();
            true
        }
        Err(error) => {
            eprintln!("skipped, {test}: gcc: {error}");
            false
        }
    }
}

/// Waits until it is true.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A world with a CRIU in the path of its command line.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) images: PathBuf,
    /// Instead of our command line.
    pub(crate) runtime: Option<PathBuf>,
    criu: PathBuf,
    _alone: File,
}

impl Scene {
    /// With a container that counts into the file `/count`.
    pub(crate) fn new(test: &str) -> Option<Self> {
        Self::of(test, |_| ())
    }

    pub(crate) fn of(test: &str, change: impl FnOnce(&mut Value)) -> Option<Self> {
        Self::doing(test, COUNT, change)
    }

    /// With a container that runs a script.
    pub(crate) fn doing(test: &str, script: &str, change: impl FnOnce(&mut Value)) -> Option<Self> {
        let criu = directory(test)?;
        let alone = criu::alone();
        let world = World::new(test);
        world.config(
            &["/bin/busybox", "sh", "-c", &format!("mv() {{ /bin/busybox mv $@; }}; {script}")],
            |config| {
                config["root"]["readonly"] = json!(false);
                change(config);
            },
        );
        let images = world.directory.join("images");
        Some(Self { world, images, runtime: None, criu, _alone: alone })
    }

    /// CRIU's program.
    pub(crate) fn criu(&self) -> PathBuf {
        self.criu.join("criu")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.runtime {
            None => self.world.riverrun(arguments),
            Some(program) => {
                let mut command = Command::new(program);
                command.arg("--root").arg(&self.world.root).args(arguments).current_dir(&self.world.bundle);
                command.stdin(Stdio::null());
                command
            }
        };
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.criu.display()));
        command
    }

    /// Runs to the end, whatever a container that it leaves behind keeps open.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let text = self.world.directory.join("output");
        let file = File::create(&text).unwrap();
        let status = self.command(arguments).stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
        let stderr = fs::read(&text).unwrap();
        Output { status, stdout: Vec::new(), stderr }
    }

    pub(crate) fn succeeds(&self, arguments: &[&str]) {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}{}", self.logs());
    }

    /// It fails: what it says.
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments:?} succeeded: {text}");
        text
    }

    /// Starts the container in the background, its streams on /dev/null, and sees it count.
    pub(crate) fn start(&self, id: &str) {
        self.start_quietly(id);
        self.counts();
    }

    /// The same for one that does not count.
    pub(crate) fn start_quietly(&self, id: &str) {
        let (log, null) = (self.world.directory.join("run.log"), || Stdio::null());
        let arguments = ["--log", log.to_str().unwrap(), "run", "--detach", id];
        let status = self.command(&arguments).stdout(null()).stderr(null()).status().unwrap();
        assert!(status.success(), "run {id}: {}", fs::read_to_string(log).unwrap_or_default());
    }

    pub(crate) fn checkpoint(&self, id: &str, more: &[&str]) {
        self.succeeds(&self.with_images("checkpoint", id, more));
    }

    pub(crate) fn restore(&self, id: &str, more: &[&str]) {
        let arguments = self.with_images("restore", id, more);
        let mut detached = arguments.clone();
        detached.insert(1, "--detach");
        let output = self.command(&detached).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // The container has the same stream and keeps it open: only the first line of an error is of interest.
        let output = Waited::new(output);
        assert!(output.success, "restore: {}{}", output.text, self.logs());
    }

    pub(crate) fn with_images<'a>(&'a self, verb: &'a str, id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec![verb, "--image-path", self.images.to_str().unwrap()];
        arguments.extend(more);
        arguments.push(id);
        arguments
    }

    pub(crate) fn count(&self) -> u64 {
        let text = fs::read_to_string(self.world.bundle.join("rootfs/count")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// Waits until the count has gone on.
    pub(crate) fn counts(&self) {
        let from = self.count();
        until("the container counts on", || self.count() > from);
    }

    pub(crate) fn status(&self, id: &str) -> String {
        let output = self.world.output(&["state", id]);
        let state: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        state["status"].as_str().unwrap_or("none").to_owned()
    }

    pub(crate) fn pid(&self, id: &str) -> i32 {
        let output = self.world.output(&["state", id]);
        let state: Value = serde_json::from_slice(&output.stdout).unwrap();
        i32::try_from(state["pid"].as_i64().unwrap()).unwrap()
    }

    /// The ends of CRIU's logs, for a test that fails.
    pub(crate) fn logs(&self) -> String {
        let tail = |name: &str| {
            let text = fs::read_to_string(self.images.join(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(30).collect();
            lines.into_iter().rev().fold(format!("\n{name}:\n"), |all, line| all + line + "\n")
        };
        tail("dump.log") + &tail("restore.log")
    }

    pub(crate) fn delete(&self, id: &str) {
        self.succeeds(&["delete", "--force", id]);
    }
}

/// A program that has ended, though what it started may still have its streams.
struct Waited {
    success: bool,
    text: String,
}

impl Waited {
    fn new(mut child: std::process::Child) -> Self {
        let mut status = None;
        until("the program ends", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        let success = status.is_some_and(|status| status.success());
        let text = if success {
            String::new()
        } else {
            String::from_utf8_lossy(&child.wait_with_output().unwrap().stderr).into_owned()
        };
        Self { success, text }
    }
}

/// The bytes of all files below a directory.
pub(crate) fn size(directory: &Path) -> u64 {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(there) if there.is_dir() => size(&entry.path()),
            Ok(there) => there.len(),
            Err(_) => 0,
        })
        .sum()
}

//! A place for one test: a directory with a state root and a bundle made of busybox, and the program run in it with
//! a limit of time. All of it goes when the test ends, passed or not.
#![forbid(unsafe_code)]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, process};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// The program under test.
pub(crate) const RIVERRUN: &str = env!("CARGO_BIN_EXE_riverrun");
const BUSYBOX: &str = "/bin/busybox";
const APPLETS: &[&str] = &[
    "cat", "dd", "echo", "env", "false", "grep", "head", "id", "kill", "ls", "printf", "ps", "pwd",
    "readlink", "sh", "sleep", "stty", "tail", "tr", "true", "tty", "wc", "yes",
];
/// How long any single run of the program may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What a run left: its status and all that it printed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The message of the last log line on standard error.
    pub(crate) fn message(&self) -> String {
        let line = self.stderr.lines().last().unwrap_or_default();
        let (head, message) = line.split_once(" msg=").unwrap_or_else(|| panic!("no log line: {self:?}"));
        assert!(head.starts_with("time=\"") && head.ends_with("Z\" level=error"), "{head}");
        serde_json::from_str(message).unwrap_or_else(|_| message.to_owned())
    }

    /// The outcome, which must be a success that says nothing on standard error.
    pub(crate) fn ok(self) -> Self {
        assert_eq!((self.status, self.stderr.as_str()), (0, ""), "{self:?}");
        self
    }
}

/// A directory, a state root and a bundle.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) directory: PathBuf,
    /// The process of the bundle, from config.json.
    pub(crate) config: Value,
    /// What is run: riverrun, or a peer to compare it with.
    pub(crate) program: PathBuf,
}

impl Sandbox {
    /// A place without a bundle, for what needs no container.
    pub(crate) fn empty() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("riverrun-cli-{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        Self { directory, config: Value::Null, program: RIVERRUN.into() }
    }

    /// A place with a bundle that runs `script` in busybox's sh. `None`, said aloud, where containers cannot be.
    pub(crate) fn with_bundle(script: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: a container needs root here");
            return None;
        }
        if !Path::new(BUSYBOX).exists() {
            eprintln!("skipped: {BUSYBOX} is not installed (busybox-static)");
            return None;
        }
        let mut sandbox = Self::empty();
        let bin = sandbox.path("bundle/rootfs/bin");
        for directory in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
            fs::create_dir_all(sandbox.path("bundle/rootfs").join(directory)).unwrap();
        }
        fs::copy(BUSYBOX, bin.join("busybox")).unwrap();
        fs::set_permissions(bin.join("busybox"), Permissions::from_mode(0o755)).unwrap();
        for applet in APPLETS {
            symlink("busybox", bin.join(applet)).unwrap();
        }
        sandbox.config = serde_json::from_str(&riverrun::default_config(None)).unwrap();
        sandbox.config["process"]["terminal"] = json!(false);
        sandbox.config["process"]["cwd"] = json!("/");
        sandbox.config["process"]["args"] = json!(["/bin/sh", "-c", script]);
        sandbox.config["root"] = json!({ "path": "rootfs" });
        let name = sandbox.directory.file_name().unwrap().to_string_lossy().into_owned();
        sandbox.config["linux"]["cgroupsPath"] = json!(format!("/{name}"));
        sandbox.write_config();
        Some(sandbox)
    }

    /// Changes the process of the bundle.
    pub(crate) fn process(mut self, key: &str, value: Value) -> Self {
        self.config["process"][key] = value;
        self.write_config();
        self
    }

    pub(crate) fn write_config(&self) {
        fs::write(self.path("bundle/config.json"), self.config.to_string()).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn bundle(&self) -> String {
        self.path("bundle").to_str().unwrap().to_owned()
    }

    pub(crate) fn root(&self) -> String {
        self.path("root").to_str().unwrap().to_owned()
    }

    /// The program with the sandbox's state root, in its directory; the words of `line` follow.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.root()).args(line.split_whitespace());
        command.current_dir(&self.directory).stdin(Stdio::null()).env_remove("LISTEN_FDS");
        command
    }

    /// Runs the program with the words of `line`.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        self.outcome(self.command(line))
    }

    /// Runs the program with the words of `line` and one more argument for a shell in the container.
    pub(crate) fn sh(&self, line: &str, script: &str) -> Outcome {
        let mut command = self.command(line);
        command.args(["/bin/sh", "-c", script]);
        self.outcome(command)
    }

    /// Runs `command` to its end. Its output goes to files: a detached container keeps a pipe open.
    pub(crate) fn outcome(&self, mut command: Command) -> Outcome {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (self.path(&format!("stdout-{number}")), self.path(&format!("stderr-{number}")));
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let mut child = command.spawn().unwrap();
        let status = wait(&mut child);
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        Outcome { status, stdout: read(&out), stderr: read(&err) }
    }

    /// What `list -q` prints.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.run("list -q").stdout.lines().map(str::to_owned).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.config.is_object() && self.path("root").exists() {
            for entry in fs::read_dir(self.path("root")).into_iter().flatten().flatten() {
                let mut delete = self.command("delete --force");
                drop(delete.arg(entry.file_name()).stdout(Stdio::null()).stderr(Stdio::null()).status());
            }
        }
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// A child that does not outlive its test.
#[derive(Debug)]
pub(crate) struct Watched(pub(crate) Child);

impl Watched {
    /// Starts `command`.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub(crate) fn wait(&mut self) -> i32 {
        wait(&mut self.0)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits for a child and returns its status, or 128 and its signal. One that takes too long is killed.
fn wait(child: &mut Child) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let mut status = None;
    let ended = until(LIMIT, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    if !ended {
        drop(child.kill());
        drop(child.wait());
        panic!("the program did not end within {LIMIT:?}");
    }
    let status = status.unwrap();
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
}

/// Asks again and again until it holds or the time is up; tells which.
pub(crate) fn until(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        sleep(Duration::from_millis(5));
    }
}

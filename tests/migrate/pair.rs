//! Two state roots, a container in the first, and the commands that move it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use serde_json::Value;

use crate::scene::{COUNT, Scene, until};
use crate::support::World;

/// What a command has said when it ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) text: String,
}

/// A command in the background, with all that it says in a file.
pub(crate) struct Background {
    pub(crate) child: Child,
    output: PathBuf,
}

impl Background {
    pub(crate) fn start(mut command: Command, output: PathBuf) -> Self {
        let file = File::create(&output).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { child, output }
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    pub(crate) fn end(mut self) -> Ended {
        let mut status = None;
        until("the command ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        Ended { status: status.unwrap(), text: self.text() }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Of a test that has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The source is the scene's world.
pub(crate) struct Pair {
    pub(crate) scene: Scene,
    pub(crate) target: World,
    pub(crate) here: String,
    pub(crate) there: String,
    /// Where the target listens.
    pub(crate) socket: PathBuf,
    /// The bundle that it makes.
    pub(crate) bundle: PathBuf,
}

impl Pair {
    /// With a running container that counts.
    pub(crate) fn new(test: &str) -> Option<Self> {
        Self::of(test, |_| ())
    }

    pub(crate) fn of(test: &str, change: impl FnOnce(&mut Value)) -> Option<Self> {
        Self::doing(test, COUNT, change)
    }

    /// With one that runs a script.
    pub(crate) fn doing(test: &str, script: &str, change: impl FnOnce(&mut Value)) -> Option<Self> {
        let pair = Self::prepared(test, script, change)?;
        pair.scene.start(&pair.here);
        Some(pair)
    }

    /// With one that does not run yet.
    pub(crate) fn prepared(test: &str, script: &str, change: impl FnOnce(&mut Value)) -> Option<Self> {
        let scene = Scene::doing(test, script, change)?;
        let target = World::new(&format!("{test}-t"));
        let (here, there) = (scene.world.id("a"), target.id("b"));
        let (socket, bundle) = (target.directory.join("socket"), target.directory.join("new"));
        fs::create_dir(target.directory.join("work")).unwrap();
        Some(Self { scene, target, here, there, socket, bundle })
    }

    /// The command line at the target, with a CRIU.
    pub(crate) fn at_target(&self, arguments: &[&str]) -> Command {
        let mut command = self.target.riverrun(arguments);
        command.env("PATH", self.path()).env("TMPDIR", self.work());
        command
    }

    /// Where both sides keep images.
    pub(crate) fn work(&self) -> PathBuf {
        self.target.directory.join("work")
    }

    /// The search path with a CRIU in it.
    pub(crate) fn path(&self) -> OsString {
        let command = self.scene.command(&[]);
        command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned()
    }

    /// `receive` as it is typed, without a bundle.
    pub(crate) fn receiving(&self, more: &[&str]) -> Command {
        self.receiving_as(&self.there, more)
    }

    pub(crate) fn receiving_as(&self, id: &str, more: &[&str]) -> Command {
        let place = format!("unix:{}", self.socket.display());
        let mut words = vec!["receive", "--listen", &place];
        words.extend(more);
        words.push(id);
        self.at_target(&words)
    }

    /// Waits for a container, and listens when this returns.
    pub(crate) fn receive(&self, more: &[&str]) -> Background {
        let bundle = self.bundle.to_str().unwrap().to_owned();
        let mut words = vec!["--bundle", &bundle];
        words.extend(more);
        self.listen(self.receiving(&words))
    }

    pub(crate) fn listen(&self, command: Command) -> Background {
        let background = Background::start(command, self.target.directory.join("receive.out"));
        until("the target listens", || background.text().contains("waiting for a container at"));
        background
    }

    /// Sends the container to whoever listens at `socket`.
    pub(crate) fn send_to(&self, socket: &Path, more: &[&str]) -> Background {
        let place = format!("unix:{}", socket.display());
        let mut words = vec!["migrate", "--progress", "json", "--to", &place];
        words.extend(more);
        words.push(&self.here);
        let mut command = self.scene.command(&words);
        command.env("TMPDIR", self.work());
        Background::start(command, self.scene.world.directory.join("migrate.out"))
    }

    pub(crate) fn send(&self, more: &[&str]) -> Background {
        self.send_to(&self.socket, more)
    }

    /// A stranger's connection to the target.
    pub(crate) fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).unwrap()
    }

    /// The status at the target.
    pub(crate) fn status_there(&self) -> String {
        let output = self.target.output(&["state", &self.there]);
        let state: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        state["status"].as_str().unwrap_or("none").to_owned()
    }

    /// The first process at the target.
    pub(crate) fn pid_there(&self) -> i32 {
        let output = self.target.output(&["state", &self.there]);
        let state: Value = serde_json::from_slice(&output.stdout).unwrap();
        i32::try_from(state["pid"].as_i64().unwrap()).unwrap()
    }

    /// The count in the bundle that the target made.
    pub(crate) fn count_there(&self) -> u64 {
        let text = fs::read_to_string(self.bundle.join("rootfs/count")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// It runs here, and only here, and the target has nothing of it.
    pub(crate) fn stayed(&self) {
        until("it runs on here", || self.scene.status(&self.here) == "running");
        self.scene.counts();
        assert_eq!(self.status_there(), "none");
        self.target.assert_nothing_left();
        assert!(!self.bundle.exists(), "the bundle is left");
        self.no_images();
    }

    /// It runs there, and only there, and the source has nothing of it.
    pub(crate) fn went(&self) {
        assert_eq!(self.scene.status(&self.here), "none");
        assert_eq!(self.status_there(), "running");
        let from = self.count_there();
        until("it counts on there", || self.count_there() > from);
        self.scene.world.assert_nothing_left();
        self.no_images();
    }

    /// Images hold memory: none stays on either side, unless that was killed.
    pub(crate) fn no_images(&self) {
        let left: Vec<_> =
            fs::read_dir(self.work()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Nothing of either container is wanted any more.
    pub(crate) fn delete(&self) {
        self.scene.delete(&self.here);
        let deleted = self.target.output(&["delete", "--force", &self.there]);
        assert!(deleted.status.success());
        self.scene.world.assert_nothing_left();
        self.target.assert_nothing_left();
    }
}

/// Whether CRIU can serve pages here: it takes userfaultfd, and pipes of a size that needs a privilege or a setting.
pub(crate) fn lazy_is_possible(pair: &Pair) -> bool {
    let mut check = Command::new(pair.scene.criu());
    let has = check.args(["check", "--feature", "uffd-noncoop"]).output().unwrap().status.success();
    let limit: u64 = fs::read_to_string("/proc/sys/fs/pipe-max-size").unwrap().trim().parse().unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    let capabilities = u64::from_str_radix(capabilities, 16).unwrap();
    const CAP_SYS_RESOURCE: u64 = 1 << 24;
    has && (limit >= 4 << 20 || capabilities & CAP_SYS_RESOURCE != 0)
}

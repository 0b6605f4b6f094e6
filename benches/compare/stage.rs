//! What a run of the comparison needs on disk: a rootfs with busybox, two bundles, the floor programs, a place for
//! state. Made new for each run in a temporary directory, and removed with it.
//!
//! The config is what `riverrun spec` writes, without a terminal and with the oldest common version: the same file for
//! every runtime.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");

/// The names of busybox that the containers use.
const APPLETS: &[&str] = &["sh", "true", "sleep"];

/// Mount points: made here, so that no runtime pays for them in the first round only.
const MOUNT_POINTS: &[&str] = &["proc", "dev", "sys"];

/// Where state is kept: on a tmpfs, as `/run` is where these programs live. On a disk each rename would be one of its.
const STATE: &str = "/dev/shm";

/// The directories of one run. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    dir: PathBuf,
    state: PathBuf,
}

impl Stage {
    /// Builds the floor programs and writes the bundles.
    pub(crate) fn set_up() -> Result<Self, String> {
        let name = format!("riverrun-bench.{}", std::process::id());
        let stage = Self { dir: std::env::temp_dir().join(&name), state: Path::new(STATE).join(&name) };
        for dir in [&stage.dir, &stage.state] {
            fs::create_dir_all(dir).map_err(|error| format!("make {}: {error}", dir.display()))?;
        }
        stage.build("floor")?;
        stage.build("parts")?;
        stage.furnish().map_err(|error| format!("furnish the rootfs: {error}"))?;
        stage.write_bundle("true", &["/bin/true"], &Value::Null)?;
        stage.write_bundle("filtered", &["/bin/true"], &profile()?)?;
        stage.write_bundle("sleep", &["/bin/sleep", "1000"], &Value::Null)?;
        Ok(stage)
    }

    /// The rootfs that all containers use.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.dir.join("rootfs")
    }

    /// The bundle of a container that ends at once.
    pub(crate) fn short(&self) -> PathBuf {
        self.dir.join("true")
    }

    /// The same under a seccomp profile.
    pub(crate) fn filtered(&self) -> PathBuf {
        self.dir.join("filtered")
    }

    /// The bundle of a container that stays.
    pub(crate) fn long(&self) -> PathBuf {
        self.dir.join("sleep")
    }

    /// `floor` or `parts`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    /// A file or directory of this run that nothing else uses.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The state root of one program.
    pub(crate) fn state_root(&self, of: &str) -> PathBuf {
        self.state.join(of)
    }

    fn build(&self, name: &str) -> Result<(), String> {
        let program = self.program(name);
        fs::create_dir_all(self.dir.join("bin")).map_err(|error| format!("make bin: {error}"))?;
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "gcc".into());
        let status = Command::new(&compiler)
            .args(["-O2", "-static", "-o"])
            .arg(&program)
            .arg(Path::new(SOURCES).join(format!("{name}.c")))
            .status()
            .map_err(|error| format!("run {}: {error}", compiler.display()))?;
        if status.success() { Ok(()) } else { Err(format!("build {name}: {status}")) }
    }

    fn furnish(&self) -> std::io::Result<()> {
        let bin = self.rootfs().join("bin");
        fs::create_dir_all(&bin)?;
        for point in MOUNT_POINTS {
            fs::create_dir(self.rootfs().join(point))?;
        }
        let busybox = find_program("busybox").ok_or_else(|| std::io::Error::other("no busybox in PATH"))?;
        fs::copy(busybox, bin.join("busybox"))?;
        APPLETS.iter().try_for_each(|applet| symlink("busybox", bin.join(applet)))
    }

    fn write_bundle(&self, name: &str, args: &[&str], seccomp: &Value) -> Result<(), String> {
        let mut config: Value = serde_json::from_str(&riverrun::default_config(None))
            .map_err(|error| format!("read config: {error}"))?;
        config["ociVersion"] = json!("1.0.2"); // older runtimes refuse a newer one
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(args);
        config["root"]["path"] = json!(self.rootfs());
        if !seccomp.is_null() {
            config["linux"]["seccomp"] = seccomp.clone();
        }
        let dir = self.dir.join(name);
        fs::create_dir(&dir)
            .and_then(|()| fs::write(dir.join("config.json"), config.to_string()))
            .map_err(|error| format!("write bundle {name}: {error}"))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for dir in [&self.dir, &self.state] {
            if let Err(error) = fs::remove_dir_all(dir) {
                eprintln!("compare: remove {}: {error}", dir.display());
            }
        }
    }
}

/// An allow-list as engines have them; that of the tests.
fn profile() -> Result<Value, String> {
    let text = include_str!("../../tests/seccomp/profile.json");
    serde_json::from_str(text).map_err(|error| format!("read profile: {error}"))
}

/// The first program of this name in `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|candidate| candidate.is_file())
}

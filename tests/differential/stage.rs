//! What all cases share: the compiled probe, the runtimes, a directory for the bundles; and the loop over the cases.
//!
//! Made when the first test of this program needs it, gone with the last: nothing is left on the machine.
#![forbid(unsafe_code)]

use super::case::Case;
use super::runtime::Runtime;
use super::{cgroup, compare, flow, say};
use std::env;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// In place of our own program, for work on the suite itself: any runtime with runc's command line.
const RUNTIME: &str = "RIVERRUN_TEST_RUNTIME";
/// Only the cases whose name has this in it.
const ONLY: &str = "RIVERRUN_TEST_ONLY";
/// Set: say where runc and crun disagree as well.
pub(crate) const VERBOSE: &str = "RIVERRUN_TEST_VERBOSE";

static CASES: AtomicUsize = AtomicUsize::new(0);
static FIELDS: AtomicUsize = AtomicUsize::new(0);

/// The shared things.
#[derive(Debug)]
pub(crate) struct Stage {
    directory: PathBuf,
    probe: PathBuf,
    /// Ours.
    pub(crate) riverrun: Runtime,
    /// Those to compare with, as far as they can be had.
    pub(crate) peers: Vec<Runtime>,
    view: Option<View>,
}

/// The stage, or why there can be none (which has been said).
pub(crate) fn stage() -> Option<Arc<Stage>> {
    static CURRENT: Mutex<Option<Weak<Stage>>> = Mutex::new(None);
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stage) = current.as_ref().and_then(Weak::upgrade) {
        return Some(stage);
    }
    match Stage::build() {
        Ok(stage) => {
            let stage = Arc::new(stage);
            *current = Some(Arc::downgrade(&stage));
            Some(stage)
        }
        Err(reason) => {
            say(&format!("skipped: {reason}"));
            None
        }
    }
}

/// Runs the cases and fails with all differences at once.
pub(crate) fn check(group: &str, cases: Vec<Case>) {
    let Some(stage) = stage() else { return };
    let only = env::var(ONLY).unwrap_or_default();
    let mut failures = Vec::new();
    for case in cases.iter().filter(|case| case.name.contains(&only)) {
        match one(case, &stage) {
            Ok(fields) => {
                CASES.fetch_add(usize::from(fields > 0), Ordering::Relaxed);
                FIELDS.fetch_add(fields, Ordering::Relaxed);
            }
            Err(text) => failures.push(text),
        }
    }
    let many = failures.len();
    assert!(many == 0, "{many} of {} cases of `{group}` differ\n\n{}", cases.len(), failures.join("\n"));
}

fn one(case: &Case, stage: &Stage) -> Result<usize, String> {
    let told = |name: &str, error: std::io::Error| format!("case `{}` under {name}: {error}\n", case.name);
    let ours = flow::run(case, &stage.riverrun, stage).map_err(|error| told("riverrun", error))?;
    let mut theirs = Vec::new();
    for peer in &stage.peers {
        match case.without.iter().find(|(name, _)| *name == peer.name) {
            Some((_, reason)) => say(&format!("{}: {} is not asked: {reason}", case.name, peer.name)),
            None => {
                let facts = flow::run(case, peer, stage).map_err(|error| told(peer.name, error))?;
                theirs.push((peer.name, facts));
            }
        }
    }
    let theirs: Vec<_> = theirs.iter().map(|(name, facts)| (*name, facts)).collect();
    compare::judge(case.name, &ours, &theirs)
}

impl Stage {
    fn build() -> Result<Self, String> {
        if !fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            return Err("containers of root need root".to_owned());
        }
        // A stage of its own name each time: the one before may be going still.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("rrdiff-{}-stage{number}", std::process::id()));
        fs::create_dir_all(&directory).map_err(|error| format!("make {}: {error}", directory.display()))?;
        // A container's user walks through it, whatever umask the tester has.
        fs::set_permissions(&directory, Permissions::from_mode(0o755)).map_err(|error| error.to_string())?;
        let program = env::var_os(RUNTIME).unwrap_or_else(|| env!("CARGO_BIN_EXE_riverrun").into());
        let riverrun = Runtime { name: "riverrun", command: vec![program] };
        let probe = directory.join("probe");
        let mut stage = Self { directory, probe, riverrun, peers: Vec::new(), view: None };
        compile_probe(&stage.probe)?;
        stage.gather_peers();
        Ok(stage)
    }

    /// Where the bundles are written.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The probe's program.
    pub(crate) fn probe(&self) -> &Path {
        &self.probe
    }

    fn gather_peers(&mut self) {
        for name in ["runc", "crun"] {
            let found = fetch(name).and_then(|program| self.peer(name, program));
            match found {
                Ok(peer) => self.peers.push(peer),
                Err(reason) => say(&format!("no comparison with {name}: {reason}")),
            }
        }
        // The table of intended differences says where runc is followed; what crun then has is no measure.
        if self.peers.iter().all(|peer| peer.name != "runc") && !self.peers.is_empty() {
            say("no comparison with crun either: alone it settles nothing");
            self.peers.clear();
        }
    }

    fn peer(&mut self, name: &'static str, program: OsString) -> Result<Runtime, String> {
        let mut command = Vec::new();
        // crun refuses a machine with both kinds of cgroups when cgroup2 has a controller.
        if name == "crun" && Path::new("/sys/fs/cgroup/unified").exists() {
            let view = View::open()?;
            let target = format!("--target={}", view.0.id());
            command.extend(["nsenter", "--mount", &target].map(OsString::from));
            self.view = Some(view);
        }
        command.push(program);
        let peer = Runtime { name, command };
        let version = peer.version().map_err(|error| format!("run {name} --version: {error}"))?;
        say(&format!("compared with {version}"));
        Ok(peer)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let (cases, fields) = (CASES.load(Ordering::Relaxed), FIELDS.load(Ordering::Relaxed));
        say(&format!("{cases} cases agree, {fields} fields compared so far"));
        cgroup::sweep(&format!("rrdiff-{}", std::process::id()));
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            say(&format!("remove {}: {error}", self.directory.display()));
        }
    }
}

/// A process that keeps a mount namespace with cgroup v1 alone; it ends when its stdin does.
#[derive(Debug)]
struct View(Child);

impl View {
    fn open() -> Result<Self, String> {
        let mut command = Command::new(tests("peers/v1view"));
        command.args(["sh", "-c", "echo ready; read -r end"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut view = Self(command.spawn().map_err(|error| format!("run v1view: {error}"))?);
        let mut word = [0; 5];
        let stdout = view.0.stdout.as_mut().ok_or("v1view has no stdout")?;
        std::io::Read::read_exact(stdout, &mut word).map_err(|error| format!("run v1view: {error}"))?;
        Ok(view)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn tests(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn compile_probe(program: &Path) -> Result<(), String> {
    let sources = fs::read_dir(tests("probe")).map_err(|error| format!("read tests/probe: {error}"))?;
    let sources =
        sources.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "c"));
    let mut gcc = Command::new("gcc");
    gcc.args(["-static", "-Os", "-Wall", "-Wextra", "-Werror", "-o"]).arg(program).args(sources);
    let output = gcc.output().map_err(|error| format!("run gcc: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("compile the probe: {}", String::from_utf8_lossy(&output.stderr)))
}

/// A peer's program, from where `get-peer` keeps it, or else fetched.
fn fetch(name: &str) -> Result<OsString, String> {
    let mut command = Command::new(tests("peers/get-peer"));
    let output =
        command.arg(name).stdin(Stdio::null()).output().map_err(|error| format!("run get-peer: {error}"))?;
    let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match output.status.success() && !path.is_empty() {
        true => Ok(path.into()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

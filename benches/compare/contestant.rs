//! Who is compared, and one life of a container in the hands of each, command by command.
//!
//! The programs take turns: round 1 is A B C D, round 2 is B C D A, and so on, so that what one leaves behind for the
//! kernel (network namespaces are taken down later, by a worker) does not always fall on the same neighbour.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::samples::Samples;
use crate::stage::{Stage, find_program};
use crate::{Rounds, WARM_UP};

const GET_PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/get-peer");

/// How long the machine rests before each timed command.
const REST: Duration = Duration::from_millis(2);

/// What a program is in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The bare system calls.
    Floor,
    /// The project's command line.
    Riverrun,
    /// The newest runc.
    NewRunc,
    /// The newest crun.
    NewCrun,
    /// The installed runc.
    OldRunc,
    /// The installed crun.
    OldCrun,
}

impl Role {
    const ALL: &[Role] =
        &[Role::Floor, Role::Riverrun, Role::NewCrun, Role::NewRunc, Role::OldCrun, Role::OldRunc];

    /// crun does not start where cgroup2 with a controller stands beside v1.
    pub(crate) fn refuses_hybrid(self) -> bool {
        matches!(self, Role::NewCrun | Role::OldCrun)
    }

    fn find(self, stage: &Stage) -> Result<PathBuf, String> {
        let installed = |name: &str| find_program(name).ok_or_else(|| format!("no {name} in PATH"));
        match self {
            Role::Floor => Ok(stage.program("floor")),
            Role::Riverrun => Ok(std::env::var_os("RIVERRUN_BIN")
                .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_riverrun")), PathBuf::from)),
            Role::NewRunc => newest("runc"),
            Role::NewCrun => newest("crun"),
            Role::OldRunc => installed("runc"),
            Role::OldCrun => installed("crun"),
        }
    }
}

fn newest(name: &str) -> Result<PathBuf, String> {
    let output = Command::new(GET_PEER)
        .arg(name)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("run get-peer: {error}"))?;
    if !output.status.success() {
        return Err(format!("get-peer {name}: {}", output.status));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// A timed command of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    /// A container with `/bin/true` from nothing to nothing.
    Run,
    /// The same under an allow-list of 350 calls.
    RunFiltered,
    /// Until the container waits for `start`.
    Create,
    /// Starts it.
    Start,
    /// `/bin/true` in the running container, to its end.
    Exec,
    /// Prints its state.
    State,
    /// Sends it SIGKILL.
    Kill,
    /// Removes it, dead.
    Delete,
}

impl Op {
    /// In the order of the table.
    pub(crate) const ALL: &[Op] =
        &[Op::Run, Op::RunFiltered, Op::Create, Op::Start, Op::Exec, Op::State, Op::Kill, Op::Delete];

    /// The command's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Op::Run => "run",
            Op::RunFiltered => "run, seccomp",
            Op::Create => "create",
            Op::Start => "start",
            Op::Exec => "exec",
            Op::State => "state",
            Op::Kill => "kill",
            Op::Delete => "delete",
        }
    }

    /// The command's arguments for a container.
    fn args(self, stage: &Stage, id: &str) -> Vec<String> {
        let text = |path: PathBuf| path.display().to_string();
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        match self {
            Op::Run => own(&["run", "--bundle", &text(stage.short()), id]),
            Op::RunFiltered => own(&["run", "--bundle", &text(stage.filtered()), id]),
            Op::Create => own(&[
                "create",
                "--bundle",
                &text(stage.long()),
                "--pid-file",
                &text(stage.scratch("pid")),
                id,
            ]),
            Op::Exec => own(&["exec", id, "/bin/true"]),
            Op::Kill => own(&["kill", id, "KILL"]),
            Op::Start | Op::State | Op::Delete => own(&[self.name(), id]),
        }
    }
}

/// One program of the comparison.
#[derive(Debug)]
pub(crate) struct Contestant {
    /// What it is here.
    pub(crate) role: Role,
    /// How the tables call it: name and version.
    pub(crate) name: String,
    /// The program.
    pub(crate) program: PathBuf,
    root: PathBuf,
}

/// The programs that are here and wanted; says on standard error what is not here.
pub(crate) fn find(stage: &Stage, wanted: impl Fn(Role) -> bool) -> Vec<Contestant> {
    let mut found = Vec::new();
    for role in Role::ALL.iter().copied().filter(|role| wanted(*role)) {
        let contestant = role.find(stage).and_then(|program| {
            let name = name_of(role, &program)?;
            Ok(Contestant { role, root: stage.state_root(&format!("{role:?}")), name, program })
        });
        match contestant {
            Ok(contestant) => found.push(contestant),
            Err(reason) => eprintln!("compare: without {role:?}: {reason}"),
        }
    }
    found
}

/// `crun 1.28`, from the first line of `--version`.
fn name_of(role: Role, program: &Path) -> Result<String, String> {
    if role == Role::Floor {
        return Ok("floor".to_owned());
    }
    let output = Command::new(program)
        .arg("--version")
        .output()
        .map_err(|error| format!("run {}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.lines().next().unwrap_or_default().split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(name), Some("version"), Some(version)) => {
            // riverrun calls itself runc here, for callers that look.
            let name = if role == Role::Riverrun { "riverrun" } else { name };
            Ok(format!("{name} {}", version.split('+').next().unwrap_or(version)))
        }
        _ => Err(format!("{} --version: {}", program.display(), output.status)),
    }
}

/// The times of each contestant, in the order of the contestants.
pub(crate) type Times = Vec<BTreeMap<Op, Samples>>;

/// Lets all take turns.
pub(crate) fn race(stage: &Stage, contestants: &[Contestant], rounds: Rounds) -> Result<Times, String> {
    let mut times: Times = vec![BTreeMap::new(); contestants.len()];
    for round in 0..WARM_UP + rounds.counted {
        for turn in 0..contestants.len() {
            let who = (round + turn) % contestants.len();
            let life = contestants[who].life(stage, &format!("bench-{}-{round}", std::process::id()))?;
            if round >= WARM_UP {
                for (op, time) in life {
                    times[who].entry(op).or_default().push(time);
                }
            }
        }
    }
    Ok(times)
}

impl Contestant {
    /// `run` once, then a container through all other commands.
    fn life(&self, stage: &Stage, id: &str) -> Result<Vec<(Op, Duration)>, String> {
        if self.role == Role::Floor {
            return Ok(vec![(Op::Run, timed(Command::new(&self.program).arg(stage.rootfs()))?)]);
        }
        let mut life = vec![(Op::Run, self.time(stage, Op::Run, id)?)];
        life.push((Op::RunFiltered, self.time(stage, Op::RunFiltered, id)?));
        let staged = self.staged(stage, id, &mut life);
        if staged.is_err() {
            self.discard(id);
        }
        reap_strays();
        staged.map(|()| life)
    }

    fn staged(&self, stage: &Stage, id: &str, life: &mut Vec<(Op, Duration)>) -> Result<(), String> {
        life.push((Op::Create, self.time(stage, Op::Create, id)?));
        for op in [Op::State, Op::Start, Op::Exec, Op::Kill] {
            life.push((op, self.time(stage, op, id)?));
        }
        wait_until_dead(init_pid(stage)?);
        life.push((Op::Delete, self.time(stage, Op::Delete, id)?));
        Ok(())
    }

    /// The command line of an operation.
    pub(crate) fn command(&self, stage: &Stage, op: Op, id: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.root).args(op.args(stage, id));
        command
    }

    fn time(&self, stage: &Stage, op: Op, id: &str) -> Result<Duration, String> {
        timed(&mut self.command(stage, op, id))
            .map_err(|error| format!("{} {}: {error}", self.name, op.name()))
    }

    /// After an error: the container must not stay. The error was told; what this says adds nothing.
    fn discard(&self, id: &str) {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.root).args(["delete", "--force", id]);
        let _told_already = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// From before the spawn to after the wait. Its output is dropped unless it does not succeed.
pub(crate) fn timed(command: &mut Command) -> Result<Duration, String> {
    sleep(REST);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let status = command.status().map_err(|error| error.to_string())?;
    let time = begin.elapsed();
    if status.success() { Ok(time) } else { Err(format!("{status} of {command:?}")) }
}

fn init_pid(stage: &Stage) -> Result<Pid, String> {
    let text =
        fs::read_to_string(stage.scratch("pid")).map_err(|error| format!("read the pid file: {error}"))?;
    text.trim().parse().map(Pid::from_raw).map_err(|error| format!("read pid {text}: {error}"))
}

/// The container's first process was the runtime's child and is this one's now, as its subreaper. A runtime that keeps
/// it until `delete` has been dealt with when it is a zombie or gone.
fn wait_until_dead(pid: Pid) {
    while let Err(errno) = waitpid(pid, None) {
        if errno != Errno::EINTR && !is_running(pid) {
            return;
        }
        sleep(Duration::from_micros(200));
    }
}

fn is_running(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

fn reap_strays() {
    while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status.pid().is_some()) {}
}

/// Memory and sizes of one contestant, in KiB.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sizes {
    /// Peak resident memory of `run`: the runtime and what it waits for.
    pub(crate) run_peak: u64,
    /// Peak resident memory of `create`.
    pub(crate) create_peak: Option<u64>,
    /// Resident memory of the container's first process, created and not started.
    pub(crate) init_rss: Option<u64>,
    /// The same, with pages that others share divided among them.
    pub(crate) init_pss: Option<u64>,
    /// The program that this process executes.
    pub(crate) init_binary: Option<u64>,
    /// The command line's program.
    pub(crate) binary: u64,
}

/// Measures memory and sizes once.
pub(crate) fn weigh(stage: &Stage, one: &Contestant) -> Result<Sizes, String> {
    let binary = fs::metadata(&one.program).map_err(|error| format!("{}: {error}", one.name))?.len() / 1024;
    if one.role == Role::Floor {
        let run_peak = peak(stage, Command::new(&one.program).arg(stage.rootfs()))?;
        return Ok(Sizes { run_peak, binary, ..Sizes::default() });
    }
    let id = format!("bench-{}-weigh", std::process::id());
    let run_peak = peak(stage, &one.command(stage, Op::Run, &id))?;
    let create_peak = peak(stage, &one.command(stage, Op::Create, &id))?;
    let sizes = init_pid(stage).map(|pid| Sizes {
        run_peak,
        create_peak: Some(create_peak),
        init_rss: rollup(pid, "Rss:"),
        init_pss: rollup(pid, "Pss:"),
        init_binary: fs::metadata(format!("/proc/{pid}/exe")).ok().map(|exe| exe.len().div_ceil(1024)),
        binary,
    });
    one.discard(&id);
    reap_strays();
    sizes
}

/// Runs the command below `parts --maxrss`, which is small enough not to count itself.
fn peak(stage: &Stage, command: &Command) -> Result<u64, String> {
    let path = stage.scratch("maxrss");
    // A file, not a pipe: the container's first process keeps it open, and a pipe would never end.
    let file = File::create(&path).map_err(|error| format!("make {}: {error}", path.display()))?;
    let status = Command::new(stage.program("parts"))
        .arg("--maxrss")
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .status()
        .map_err(|error| format!("run parts: {error}"))?;
    let text = fs::read_to_string(&path).map_err(|error| format!("read {}: {error}", path.display()))?;
    if !status.success() {
        return Err(format!("{status} of {command:?}: {text}"));
    }
    let number = text.lines().rev().find_map(|line| line.strip_prefix("maxrss ")?.parse().ok());
    number.ok_or_else(|| format!("no peak of {command:?}"))
}

fn rollup(pid: Pid, key: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_suffix(" kB")?.trim().parse().ok())
}

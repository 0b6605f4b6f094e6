//! The library as engines use it: containers made one after the other in one process, against the floor's own loop.
//!
//! No program is spawned by the library's side but the container's, so what is compared is the work of the calls.
#![forbid(unsafe_code)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use riverrun::{Call, Container, Context, ContextOptions, CreateOptions, ExecOptions, Io};

use crate::samples::Samples;
use crate::stage::Stage;
use crate::{Rounds, WARM_UP};

/// The times of the library and of the floor's loop.
#[derive(Debug, Default)]
pub(crate) struct Loops {
    /// `run`, wait, delete.
    pub(crate) run: Samples,
    /// The floor: one phase.
    pub(crate) floor_run: Samples,
    /// `create`, `start`, wait, delete.
    pub(crate) staged: Samples,
    /// The parts of it: create, start, wait, delete.
    pub(crate) parts: [Samples; 4],
    /// The floor: two phases.
    pub(crate) floor_staged: Samples,
    /// A process in a running container, and the wait for it.
    pub(crate) exec: Samples,
}

/// Lets the library and the floor take turns.
pub(crate) fn race(stage: &Stage, rounds: Rounds) -> Result<Loops, String> {
    let options = ContextOptions { root: Some(stage.state_root("library")), ..ContextOptions::default() };
    let context = Context::new(options).map_err(|error| format!("library: {error}"))?;
    let mut loops = Loops::default();
    for round in 0..WARM_UP + rounds.counted {
        let fresh = turn(&context, stage, rounds.in_process).inspect_err(|_| {
            // The container of an error must not stay; the error is told, what this says adds nothing.
            let _told_already = context.delete(ID, true, Call::default());
        })?;
        if round >= WARM_UP {
            loops.take(fresh);
        }
    }
    Ok(loops)
}

/// One turn of each.
fn turn(context: &Context, stage: &Stage, count: usize) -> Result<Loops, String> {
    let mut fresh = Loops::default();
    for _ in 0..count {
        fresh.run.push(run(context, stage).map_err(|error| format!("library: run: {error}"))?);
    }
    fresh.floor_run.push(floor(stage, count, &["--loop"])?);
    for _ in 0..count {
        let parts = staged(context, stage).map_err(|error| format!("library: create: {error}"))?;
        fresh.staged.push(parts.iter().sum());
        fresh.parts.iter_mut().zip(parts).for_each(|(all, part)| all.push(part));
    }
    fresh.floor_staged.push(floor(stage, count, &["--two-phase", "--loop"])?);
    exec(context, stage, count, &mut fresh.exec).map_err(|error| format!("library: exec: {error}"))?;
    Ok(fresh)
}

impl Loops {
    /// One sample a round and kind: the median of the round, as the floor's loop reports it.
    fn take(&mut self, fresh: Loops) {
        let [create, start, wait, delete] = &mut self.parts;
        let [fresh_create, fresh_start, fresh_wait, fresh_delete] = fresh.parts;
        let pairs = [
            (create, fresh_create),
            (start, fresh_start),
            (wait, fresh_wait),
            (delete, fresh_delete),
            (&mut self.run, fresh.run),
            (&mut self.floor_run, fresh.floor_run),
            (&mut self.staged, fresh.staged),
            (&mut self.floor_staged, fresh.floor_staged),
            (&mut self.exec, fresh.exec),
        ];
        for (all, round) in pairs {
            if let Some(median) = round.median() {
                all.push(Duration::from_secs_f64(median / 1e3));
            }
        }
    }
}

const ID: &str = "bench-library";

fn quiet() -> Io {
    use riverrun::Stdio::Null;
    Io { stdin: Null, stdout: Null, stderr: Null, ..Io::default() }
}

fn run(context: &Context, stage: &Stage) -> riverrun::Result<Duration> {
    let begin = Instant::now();
    let options = CreateOptions { bundle: Some(stage.short()), io: quiet(), ..CreateOptions::default() };
    let container = context.run(ID, options)?;
    wait(&container)?;
    container.delete(false, Call::default())?;
    Ok(begin.elapsed())
}

/// How long create, start, wait and delete took.
fn staged(context: &Context, stage: &Stage) -> riverrun::Result<[Duration; 4]> {
    let mut last = Instant::now();
    let mut lap = || {
        let before = std::mem::replace(&mut last, Instant::now());
        last - before
    };
    let options = CreateOptions { bundle: Some(stage.short()), io: quiet(), ..CreateOptions::default() };
    let container = context.create(ID, options)?;
    let create = lap();
    container.start(Call::default())?;
    let start = lap();
    wait(&container)?;
    let wait = lap();
    container.delete(false, Call::default())?;
    Ok([create, start, wait, lap()])
}

fn wait(container: &Container) -> riverrun::Result<()> {
    let exit = container.init_process()?.wait(Call::default())?;
    assert_eq!(exit.shell_status(), 0, "/bin/true in the container");
    Ok(())
}

fn exec(context: &Context, stage: &Stage, count: usize, times: &mut Samples) -> riverrun::Result<()> {
    let options = CreateOptions { bundle: Some(stage.long()), io: quiet(), ..CreateOptions::default() };
    let container = context.run(ID, options)?;
    let process = with_args(&container.process_json()?);
    for _ in 0..count {
        let begin = Instant::now();
        let options = ExecOptions { process: process.clone(), io: quiet(), ..ExecOptions::default() };
        let exit = container.exec(options)?.wait(Call::default())?;
        times.push(begin.elapsed());
        assert_eq!(exit.shell_status(), 0, "/bin/true executed in the container");
    }
    container.delete(true, Call::default())
}

/// The container's own `process`, executing `/bin/true`.
fn with_args(process: &[u8]) -> Vec<u8> {
    let mut process: serde_json::Value = serde_json::from_slice(process).unwrap_or_default();
    process["args"] = serde_json::json!(["/bin/true"]);
    process.to_string().into_bytes()
}

/// The median of a loop of the floor program.
fn floor(stage: &Stage, count: usize, mode: &[&str]) -> Result<Duration, String> {
    let output = Command::new(stage.program("floor"))
        .args(mode)
        .arg(count.to_string())
        .arg(stage.rootfs())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("run floor: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let median = text.strip_prefix("median ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    match median {
        Some(nanos) if output.status.success() => Ok(Duration::from_nanos(nanos)),
        _ => Err(format!("floor: {}: {}", output.status, String::from_utf8_lossy(&output.stderr))),
    }
}

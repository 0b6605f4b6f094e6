//! The comparison: riverrun against the floor program, runc and crun, interleaved in one run, as ratios.
//!
//! What is run and how is told in `docs/performance.md`. Times of one machine on one day say little; the ratio of two
//! programs that took turns within the same minute says much. Nothing here is a test: the bars of the project are
//! printed with their measured values, and a bar that is missed does not make this program fail.
//!
//! `cargo bench --bench compare -- [--rounds N | --quick] [--in-process]`. As root, on cgroup v1 or a hybrid machine.
//! `RIVERRUN_BIN` names another riverrun than the one just built.
#![forbid(unsafe_code)]

mod bars;
mod contestant;
mod crowd;
mod in_process;
mod samples;
mod stage;
mod table;

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};

use contestant::Contestant;
use stage::Stage;

/// Set for the second instance of this program, which runs inside the v1 view.
const IN_VIEW: &str = "RIVERRUN_BENCH_IN_VIEW";

const VIEW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/v1view");

/// Rounds that are run and not counted.
const WARM_UP: usize = 2;

/// How often an operation is measured.
#[derive(Clone, Copy, Debug)]
struct Rounds {
    counted: usize,
    /// Containers that are made in one process, one after the other, in each round.
    in_process: usize,
    /// Only the library against the floor's loop.
    loops_alone: bool,
}

fn main() -> ExitCode {
    match parse(env::args().skip(1)).and_then(compare) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("compare: {message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Rounds, String> {
    let mut rounds = Rounds { counted: 40, in_process: 10, loops_alone: false };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => {} // cargo's own
            "--quick" => rounds = Rounds { counted: 6, in_process: 5, ..rounds },
            "--in-process" => rounds.loops_alone = true,
            "--rounds" => {
                let count = args.next().and_then(|text| text.parse().ok()).filter(|count| *count > 0);
                rounds.counted = count.ok_or("--rounds needs a number")?;
            }
            _ => return Err(format!("unknown argument {arg}: usage: [--rounds N | --quick] [--in-process]")),
        }
    }
    Ok(rounds)
}

fn compare(rounds: Rounds) -> Result<(), String> {
    // Containers that outlive the runtime that made them become this process's children, and are reaped here.
    nix::sys::prctl::set_child_subreaper(true).map_err(|errno| format!("become subreaper: {errno}"))?;
    let in_view = env::var_os(IN_VIEW).is_some();
    let hybrid = !in_view && is_hybrid();
    if hybrid {
        run_in_view()?;
    }
    let stage = Stage::set_up()?;
    let contestants = contestant::find(&stage, |role| !hybrid || !role.refuses_hybrid());
    let place = match (in_view, hybrid) {
        (true, _) => "view of the cgroup v1 hierarchies only",
        (_, true) => "the machine's own hybrid cgroup layout",
        _ => "the machine's own cgroup layout",
    };
    println!("# {place}: {} rounds, {WARM_UP} more dropped; {}\n", rounds.counted, machine());
    measure(&stage, &contestants, rounds, !hybrid)
}

/// Measures all, prints the tables and, in the main place, sizes and bars.
fn measure(
    stage: &Stage,
    contestants: &[Contestant],
    rounds: Rounds,
    main_place: bool,
) -> Result<(), String> {
    if rounds.loops_alone {
        table::print_in_process(&in_process::race(stage, rounds)?);
        return Ok(());
    }
    let times = contestant::race(stage, contestants, rounds)?;
    table::print_commands(contestants, &times);
    let loops = in_process::race(stage, rounds)?;
    table::print_in_process(&loops);
    table::print_crowd(contestants, &crowd::race(stage, contestants, rounds)?);
    let sizes = contestants.iter().map(|one| contestant::weigh(stage, one)).collect::<Result<Vec<_>, _>>()?;
    table::print_sizes(contestants, &sizes);
    if main_place {
        bars::print(contestants, &times, &sizes, &loops);
    }
    Ok(())
}

/// The kernel and the processors, for whoever compares two reports.
fn machine() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.split('-').next().unwrap_or_default().trim().to_owned();
    format!("Linux {kernel}, {} CPUs", std::thread::available_parallelism().map_or(0, usize::from))
}

/// Whether cgroup2 is mounted beside v1 hierarchies.
fn is_hybrid() -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.contains(" - cgroup ") && mounts.contains(" - cgroup2 ")
}

fn run_in_view() -> Result<(), String> {
    let program = env::current_exe().map_err(|error| format!("find this program: {error}"))?;
    let status = Command::new(VIEW)
        .arg(program)
        .args(env::args_os().skip(1))
        .env(IN_VIEW, "1")
        .status()
        .map_err(|error| format!("run {}: {error}", Path::new(VIEW).display()))?;
    println!();
    if status.success() { Ok(()) } else { Err(format!("the run inside the view: {status}")) }
}

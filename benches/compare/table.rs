//! The tables on standard output, in Markdown, so that a run can be pasted where it is talked about.
#![forbid(unsafe_code)]

use crate::contestant::{Contestant, Op, Role, Sizes, Times};
use crate::crowd::Pair;
use crate::in_process::Loops;
use crate::samples::Samples;

/// What is printed where nothing was measured.
const NOTHING: &str = "–";

/// The median of an operation of the contestant with this role.
pub(crate) fn median(contestants: &[Contestant], times: &Times, role: Role, op: Op) -> Option<f64> {
    let who = contestants.iter().position(|one| one.role == role)?;
    times[who].get(&op)?.median()
}

/// Commands: median, minimum in parentheses, ratio to riverrun; for `run` also the ratio to the floor.
pub(crate) fn print_commands(contestants: &[Contestant], times: &Times) {
    println!("Command line, ms: median (min), × riverrun's median\n");
    let heads: Vec<_> = Op::ALL.iter().map(|op| op.name().to_owned()).collect();
    row("", heads.iter().map(String::as_str).chain(["run / floor"]));
    rule(Op::ALL.len() + 1);
    for (one, ops) in contestants.iter().zip(times) {
        let mut cells: Vec<_> = Op::ALL
            .iter()
            .map(|op| cell(ops.get(op), median(contestants, times, Role::Riverrun, *op)))
            .collect();
        let run = ops.get(&Op::Run).and_then(Samples::median);
        cells.push(ratio(run, median(contestants, times, Role::Floor, Op::Run)));
        row(&one.name, cells.iter().map(String::as_str));
    }
    println!();
}

/// The library against the floor's loop.
pub(crate) fn print_in_process(loops: &Loops) {
    println!("In one process, ms: median (min)\n");
    row("", ["library", "floor", "library / floor"]);
    rule(3);
    let [create, start, wait, delete] = &loops.parts;
    let rows = [
        ("run, wait, delete", &loops.run, Some(&loops.floor_run)),
        ("create, start, wait, delete", &loops.staged, Some(&loops.floor_staged)),
        ("  create", create, None),
        ("  start", start, None),
        ("  wait", wait, None),
        ("  delete", delete, None),
        ("exec, wait", &loops.exec, None),
    ];
    for (name, library, floor) in rows {
        let quotient = ratio(library.median(), floor.and_then(Samples::median));
        let (library, floor) = (cell(Some(library), None), cell(floor, None));
        row(name, [library.as_str(), &floor, &quotient]);
    }
    println!();
}

/// What a thousand mounts of the host add to a `run`.
pub(crate) fn print_crowd(contestants: &[Contestant], times: &[Pair]) {
    println!("`run` on a host with 1,000 more mounts, ms: median (min)\n");
    row("", ["without", "with", "with / without"]);
    rule(3);
    for (one, [without, with]) in contestants.iter().zip(times) {
        let quotient = ratio(with.median(), without.median());
        row(&one.name, [cell(Some(without), None).as_str(), &cell(Some(with), None), &quotient]);
    }
    println!();
}

/// Memory and sizes.
pub(crate) fn print_sizes(contestants: &[Contestant], sizes: &[Sizes]) {
    println!("KiB\n");
    let heads = ["peak of run", "peak of create", "init RSS", "init PSS", "init's program", "binary"];
    row("", heads);
    rule(heads.len());
    for (one, size) in contestants.iter().zip(sizes) {
        let cells = [
            Some(size.run_peak),
            size.create_peak,
            size.init_rss,
            size.init_pss,
            size.init_binary,
            Some(size.binary),
        ];
        let cells = cells.map(|number| number.map_or(NOTHING.to_owned(), |number| number.to_string()));
        row(&one.name, cells.iter().map(String::as_str));
    }
    println!();
}

/// One row.
pub(crate) fn row<'text>(name: &str, cells: impl IntoIterator<Item = &'text str>) {
    let cells: Vec<_> = cells.into_iter().collect();
    println!("| {name} | {} |", cells.join(" | "));
}

/// The line below the heads.
pub(crate) fn rule(columns: usize) {
    println!("|---|{}", "---|".repeat(columns));
}

fn cell(samples: Option<&Samples>, unit: Option<f64>) -> String {
    let Some((samples, median)) = samples.and_then(|samples| Some((samples, samples.median()?))) else {
        return NOTHING.to_owned();
    };
    let min = samples.min().unwrap_or(median);
    match unit {
        Some(unit) => format!("{median:.2} ({min:.2}) ×{:.2}", median / unit),
        None => format!("{median:.2} ({min:.2})"),
    }
}

fn ratio(part: Option<f64>, whole: Option<f64>) -> String {
    part.zip(whole).map_or(NOTHING.to_owned(), |(part, whole)| format!("{:.2}", part / whole))
}

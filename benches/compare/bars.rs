//! The bars that the project set itself, each with what was measured and whether it is met. One table.
#![forbid(unsafe_code)]

use crate::contestant::{Contestant, Op, Role, Sizes, Times};
use crate::in_process::Loops;
use crate::samples::Samples;
use crate::table;

/// A measured number that should not be above its limit.
struct Bar {
    name: &'static str,
    limit: f64,
    measured: Option<f64>,
}

/// Prints the bars.
pub(crate) fn print(contestants: &[Contestant], times: &Times, sizes: &[Sizes], loops: &Loops) {
    println!("Bars\n");
    table::row("", ["at most", "measured", "met"]);
    table::rule(3);
    for bar in bars(contestants, times, sizes, loops) {
        let digits = if bar.limit < 10.0 { 2 } else { 0 }; // a ratio, or KiB
        let measured = bar.measured.map_or("not measured".to_owned(), |number| format!("{number:.digits$}"));
        let met = bar.measured.map_or("–", |number| if number <= bar.limit { "yes" } else { "**no**" });
        table::row(bar.name, [bar.limit.to_string().as_str(), &measured, met]);
    }
    println!();
}

fn bars(contestants: &[Contestant], times: &Times, sizes: &[Sizes], loops: &Loops) -> Vec<Bar> {
    let against = |role, op| {
        let own = table::median(contestants, times, Role::Riverrun, op)?;
        Some(own / table::median(contestants, times, role, op)?)
    };
    let filtered = table::median(contestants, times, Role::Riverrun, Op::RunFiltered);
    let unfiltered = table::median(contestants, times, Role::Riverrun, Op::Run);
    let in_process = |own: &Samples, floor: &Samples| Some(own.median()? / floor.median()?);
    let own = contestants.iter().position(|one| one.role == Role::Riverrun).map(|who| &sizes[who]);
    let kib = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok()).map(f64::from);
    let bar = |name, limit, measured| Bar { name, limit, measured };
    vec![
        bar("run / newest crun's", 0.5, against(Role::NewCrun, Op::Run)),
        bar("run / newest runc's", 0.3, against(Role::NewRunc, Op::Run)),
        bar("run / the floor program", 2.0, against(Role::Floor, Op::Run)),
        bar(
            "run with a seccomp profile / without",
            1.1,
            filtered.zip(unfiltered).map(|(with, without)| with / without),
        ),
        bar("exec / newest crun's", 0.7, against(Role::NewCrun, Op::Exec)),
        bar(
            "in process: create, start, wait, delete / floor's loop",
            1.3,
            in_process(&loops.staged, &loops.floor_staged),
        ),
        bar("init RSS, KiB", 512.0, kib(own.and_then(|sizes| sizes.init_rss))),
        bar("init's program, KiB", 128.0, kib(own.and_then(|sizes| sizes.init_binary))),
    ]
}

//! The differential suite: the same bundles under riverrun, runc and crun, seen from inside by one probe.
//!
//! `case.rs` says what a bundle is, `bundles/` holds the table of them, `bundle.rs` writes one down, `runtime.rs` knows
//! how each runtime is called, `flow.rs` runs a case, `compare.rs` judges, `intended.rs` lists where we differ on
//! purpose. The probe is a C program in `tests/probe/`, compiled once a run. Not a conformance test: no runtime here
//! is the truth, and where runc and crun disagree either will do.
#![forbid(unsafe_code)]

mod bundle;
pub(crate) mod bundles;
mod case;
mod cgroup;
mod compare;
mod facts;
mod flow;
mod intended;
mod runtime;
mod spec;
mod stage;

pub(crate) use spec::compare_default_specs;
pub(crate) use stage::check;

use std::io::Write as _;

/// Says a line on stderr past the test harness, which would swallow it when the test passes: a skip must be seen.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "differential: {line}");
}

//! The hooks of the runtime's namespaces in the life of a container: when they run, and what follows if they fail.
//!
//! Before the program is executed a failure undoes the create; after it, it kills the container (runtime.md#lifecycle).
//! Only those after a delete change nothing any more: each of them runs, and what goes wrong is logged.
#![forbid(unsafe_code)]

use super::context::Context;
use super::deadline::Deadline;
use super::options::Level;
use crate::error::Result;
use crate::hook::apply::{Limits, outcomes};
use crate::hook::plan::{self, Owner};
use crate::spec::{self, Moment};
use crate::state::directory::Directory;
use crate::state::file::StateFile;
use crate::wire::Hooks;

/// Runs those that belong to the making, until one does not succeed.
pub(super) fn run_creating(all: &[Hooks], pid: i32, deadline: &Deadline<'_>) -> Result<()> {
    run(all, Moment::Prestart, pid, deadline)?;
    run(all, Moment::CreateRuntime, pid, deadline)
}

/// Runs those of one moment until one does not succeed.
pub(super) fn run(all: &[Hooks], moment: Moment, pid: i32, deadline: &Deadline<'_>) -> Result<()> {
    // A runtime that is killed in a create leaves nobody who goes on preparing for the container.
    let limits = limits(deadline, moment != Moment::Poststart);
    of(all, moment).try_for_each(|hooks| outcomes(hooks, pid, limits).collect())
}

/// Runs those after the end of a container, whatever becomes of each.
pub(super) fn run_poststop(context: &Context, all: &[Hooks], deadline: &Deadline<'_>) {
    for hooks in of(all, Moment::Poststop) {
        for error in outcomes(hooks, 0, limits(deadline, false)).filter_map(Result::err) {
            context.log(Level::Warn, &error.to_string());
        }
    }
}

fn limits<'fd>(deadline: &Deadline<'fd>, dies_with_caller: bool) -> Limits<'fd> {
    Limits { until: deadline.until(), cancel: deadline.cancel(), dies_with_caller }
}

fn of(all: &[Hooks], moment: Moment) -> impl Iterator<Item = &Hooks> {
    all.iter().filter(move |hooks| hooks.moment == moment.name())
}

/// Those of the configuration that the container was created with; it is not read unless it has some.
pub(super) fn saved(directory: &Directory, state: &StateFile) -> Result<Vec<Hooks>> {
    if !state.riverrun.hooks {
        return Ok(Vec::new());
    }
    let spec = spec::parse(&directory.config()?)?;
    Ok(plan::of_runtime(&spec, Owner { id: &state.id, bundle: &state.riverrun.bundle }))
}

//! The hooks of the runtime's namespaces in the life of a container: when they run, and what follows if they fail.
//!
//! Before the program is executed a failure undoes the create; after it, it kills the container (runtime.md#lifecycle).
//! Only those after a delete change nothing any more: each of them runs, and what goes wrong is logged.
#![forbid(unsafe_code)]

use super::context::Context;
use super::deadline::Deadline;
use super::options::{HookMoment, HostHook, Level};
use crate::error::{Error, Kind, Result};
use crate::hook::apply::{Limits, outcomes};
use crate::hook::plan::{self, Owner};
use crate::spec::{self, Moment};
use crate::state::directory::Directory;
use crate::state::file::StateFile;
use crate::wire::Hooks;
use crate::wording;

/// Runs those that belong to the making, until one does not succeed.
pub(super) fn run_creating(
    all: &[Hooks],
    host: Option<&HostHook>,
    pid: i32,
    deadline: &Deadline<'_>,
) -> Result<()> {
    run(all, host, Moment::Prestart, pid, deadline)?;
    run(all, host, Moment::CreateRuntime, pid, deadline)
}

/// Runs those of one moment until one does not succeed, then calls the host.
pub(super) fn run(
    all: &[Hooks],
    host: Option<&HostHook>,
    moment: Moment,
    pid: i32,
    deadline: &Deadline<'_>,
) -> Result<()> {
    // A runtime that is killed in a create leaves nobody who goes on preparing for the container.
    let limits = limits(deadline, moment != Moment::Poststart);
    of(all, moment).try_for_each(|hooks| {
        outcomes(hooks, pid, limits).collect::<Result<()>>()?;
        call(host, moment, pid, hooks)
    })
}

/// The host's function in its moment.
fn call(host: Option<&HostHook>, moment: Moment, pid: i32, hooks: &Hooks) -> Result<()> {
    let moment_of_host = match moment {
        Moment::Prestart => HookMoment::Prestart,
        Moment::CreateRuntime => HookMoment::CreateRuntime,
        Moment::Poststart => HookMoment::Poststart,
        Moment::Poststop => HookMoment::Poststop,
        Moment::CreateContainer | Moment::StartContainer => return Ok(()),
    };
    let Some(host) = host else { return Ok(()) };
    let name = format!("{} function", moment.name());
    host.call(moment_of_host, pid, &hooks.state.with_pid(pid)).map_err(|error| {
        Error::new(Kind::Hook, error.to_string()).during(wording::hook(&name)).detailed("hook", &name)
    })
}

/// Runs those after the end of a container, whatever becomes of each.
pub(super) fn run_poststop(
    context: &Context,
    all: &[Hooks],
    host: Option<&HostHook>,
    deadline: &Deadline<'_>,
) {
    for hooks in of(all, Moment::Poststop) {
        let called = std::iter::once_with(|| call(host, Moment::Poststop, 0, hooks));
        for error in outcomes(hooks, 0, limits(deadline, false)).chain(called).filter_map(Result::err) {
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

/// Those of the configuration that the container was created with; it is not read unless it has some, or the host has a
/// function.
pub(super) fn saved(directory: &Directory, state: &StateFile, calls: bool) -> Result<Vec<Hooks>> {
    if !state.riverrun.hooks && !calls {
        return Ok(Vec::new());
    }
    let spec = spec::parse(&directory.config()?)?;
    Ok(plan::of_runtime(&spec, Owner { id: &state.id, bundle: &state.riverrun.bundle, calls }))
}

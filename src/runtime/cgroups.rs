//! The cgroups of a container that exists, from what `state.json` says of them.
#![forbid(unsafe_code)]

use crate::cgroup::plan::Layout;
use crate::cgroup::systemd::unit::UnitName;
use crate::cgroup::{self, Manager};
use crate::state::file::StateFile;

/// The manager that made them.
pub(super) fn of(state: &StateFile) -> Box<dyn Manager> {
    let paths = state.cgroups();
    let layout = Layout::of_name(&state.riverrun.cgroups).unwrap_or(match paths.as_slice() {
        [] => Layout::None,
        [(controller, _)] if controller.is_empty() => Layout::V2,
        _ => Layout::V1,
    });
    let unit = state.riverrun.unit.clone().map(|name| UnitName { name, user: state.riverrun.unit_of_user });
    cgroup::manager(layout, paths, unit.as_ref())
}

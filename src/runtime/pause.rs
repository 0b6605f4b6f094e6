//! pause: all processes of a container stopped by the freezer, or none.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::context::{Container, loaded};
use super::deadline::Deadline;
use super::options::Call;
use crate::cgroup::freezer::Freezer;
use crate::error::{Error, Kind, Result};
use crate::state::directory::Directory;
use crate::state::file::StateFile;
use crate::state::status::{Status, observe};
use crate::wording;

/// How long the kernel may take without a deadline of the caller's.
const FREEZE_DEADLINE: Duration = Duration::from_secs(10);

impl Container {
    /// Stops all processes of a container, created or running, until [`resume`](Self::resume). Without a timeout it gives
    /// up after ten seconds; whenever it does not succeed, the processes go on.
    ///
    /// # Errors
    /// [`Kind::NotRunning`] if the container has stopped, [`Kind::Paused`] if it is paused already;
    /// [`Kind::Cgroup`] if it has no freezer.
    pub fn pause(&self, call: Call<'_>) -> Result<()> {
        let doing = "pause container";
        let deadline = within(call, doing)?;
        let directory = Directory::open(self.context.root(), &self.id)?;
        deadline.lock(&directory)?;
        let state = loaded(&directory)?;
        match observe(&directory, &state) {
            Status::Created | Status::Running => {}
            // COMPAT(runc): the same words for both.
            Status::Paused => return Err(Error::new(Kind::Paused, wording::NOT_RUNNING)),
            Status::Stopped | Status::Creating => {
                return Err(Error::new(Kind::NotRunning, wording::NOT_RUNNING));
            }
        }
        freezer(&state, doing)?.freeze(&mut || deadline.pause(doing))
    }
}

/// The call's own time, or ours.
pub(super) fn within<'fd>(call: Call<'fd>, doing: &str) -> Result<Deadline<'fd>> {
    Deadline::begin(Call { timeout: call.timeout.or(Some(FREEZE_DEADLINE)), ..call }, doing)
}

/// What freezes it.
pub(super) fn freezer(state: &StateFile, doing: &str) -> Result<Freezer> {
    Freezer::of(&state.cgroups())
        .ok_or_else(|| Error::new(Kind::Cgroup, "the container has no freezer cgroup").during(doing))
}

/// Waits until a container is no longer paused. A process that is born into a frozen cgroup, or enters it, stops at once,
/// and the one that waits for it with it.
pub(super) fn goes_on(directory: &Directory, state: &StateFile, deadline: &Deadline<'_>) -> Result<()> {
    while observe(directory, state) == Status::Paused {
        deadline.pause("wait for the paused container to go on")?;
    }
    Ok(())
}

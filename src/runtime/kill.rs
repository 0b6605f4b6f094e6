//! kill: a signal to the first process; to all if asked for, or where no pid namespace makes its end theirs.
#![forbid(unsafe_code)]

use super::cgroups;
use super::context::Container;
use super::process::Process;
use crate::error::{Error, Kind, Result};
use crate::state::file::StateFile;
use crate::state::status::is_alive;
use crate::wording;

impl Container {
    /// Sends a signal to the first process; with `all` to every member. So does SIGKILL in a container without a pid
    /// namespace of its own, where the others would outlive the first.
    ///
    /// # Errors
    /// [`Kind::NotRunning`] if the container has stopped (with `all` that is success);
    /// [`Kind::InvalidArgument`] for a number that is no signal.
    pub fn kill(&self, signal: i32, all: bool) -> Result<()> {
        let (_, state) = self.load()?;
        if !(0..=64).contains(&signal) {
            return Err(Error::new(Kind::InvalidArgument, format!("{signal} is not a signal")));
        }
        self.context.trace(|| format!("container {}: signal {signal}", self.id));
        if all || (signal == libc::SIGKILL && !state.owns_pid_namespace()) {
            let cgroups = cgroups::of(&state);
            let sent = if signal == libc::SIGKILL { cgroups.kill_all() } else { cgroups.signal_all(signal) }?;
            if sent || all {
                return Ok(());
            }
        }
        if !is_alive(&state) {
            return Err(Error::new(Kind::NotRunning, wording::NOT_RUNNING));
        }
        Process::open(state.init_process_pid, state.init_process_start)?.signal(signal)?;
        if signal == libc::SIGKILL {
            let_go(&state);
        }
        Ok(())
    }
}

/// In a v1 freezer SIGKILL, too, has to wait until the container goes on.
pub(super) fn let_go(state: &StateFile) {
    // A container without a freezer is not frozen; of one that is gone nobody is left.
    let _ = cgroups::of(state).thaw();
}

//! delete: everything that a create made, gone; also after a create that was killed half-way.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::cgroups;
use super::context::{Container, Context, valid_id};
use super::deadline::Deadline;
use super::hooks;
use super::kill::let_go;
use super::options::{Call, HostHook, Level};
use super::process::Process;
use crate::cgroup::Manager;
use crate::error::{Error, Kind, Result};
use crate::intel_rdt;
use crate::state::directory::{self, Directory};
use crate::state::file::StateFile;
use crate::state::status::{Status, observe};
use crate::wire::Hooks;
use crate::wording;

/// How long a killed process may take to end.
const KILL_DEADLINE: Duration = Duration::from_secs(10);

impl Container {
    /// Deletes the container: stopped or created; with `force` in any state.
    ///
    /// # Errors
    /// [`Kind::Running`] if it runs and `force` is not given; [`Kind::NotFound`] if it is gone (never with `force`).
    pub fn delete(&self, force: bool, call: Call<'_>) -> Result<()> {
        self.context.delete_calling(&self.id, force, call, self.hook.as_ref())
    }
}

impl Context {
    /// Deletes a container by id; with `force` one that is only half there, too, and one that is not there at all.
    ///
    /// # Errors
    /// As [`Container::delete`].
    pub fn delete(&self, id: &str, force: bool, call: Call<'_>) -> Result<()> {
        self.delete_calling(id, force, call, None)
    }

    fn delete_calling(&self, id: &str, force: bool, call: Call<'_>, host: Option<&HostHook>) -> Result<()> {
        valid_id(id)?;
        let deadline = Deadline::begin(call, "delete container")?;
        let directory = match Directory::open(self.root(), id) {
            Err(error) if force && error.kind() == Kind::NotFound => return Ok(()),
            opened => opened?,
        };
        deadline.lock(&directory)?;
        let state = match directory.load() {
            Ok(Some(state)) => state,
            Ok(None) if force => StateFile::default(),
            Ok(None) => {
                // Nothing was made yet, or all of it is gone: only the directory is left (runc says the same).
                directory.remove()?;
                return Err(directory::not_found());
            }
            // Unreadable: what it pointed to is lost, the directory need not stay for ever.
            Err(error) if force && error.kind() == Kind::StateCorrupt => StateFile::default(),
            Err(error) => return Err(error),
        };
        match observe(&directory, &state) {
            Status::Stopped => {}
            Status::Created => self.end(&state, call)?,
            _ if force => self.end(&state, call)?,
            Status::Creating => return Err(directory::not_found()),
            other => {
                return Err(Error::new(Kind::Running, wording::delete_not_stopped(id, &other.to_string())));
            }
        }
        let cgroups = cgroups::of(&state);
        if force || !state.owns_pid_namespace() {
            // Without a pid namespace the others outlive the first; with one, a CRIU that brings its memory does.
            end_members(cgroups.as_ref(), call)?;
        }
        // Those that were started here and nobody waited for: no zombie stays behind.
        for child in self.adopted(id) {
            let _ = child.has_ended();
        }
        let hooks = hooks::saved(&directory, &state, host.is_some());
        cgroups.remove()?;
        intel_rdt::apply::remove(&state.riverrun.intel_rdt_own)?;
        directory.remove()?;
        self.disown(id);
        self.trace(|| format!("container {id}: deleted"));
        self.after(hooks, host, &deadline);
        Ok(())
    }

    /// The hooks that come after the end; they and the lack of them change nothing any more.
    fn after(&self, hooks: Result<Vec<Hooks>>, host: Option<&HostHook>, deadline: &Deadline<'_>) {
        match hooks {
            Ok(hooks) => hooks::run_poststop(self, &hooks, host, deadline),
            // A create that was killed before it kept the configuration had run none.
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => self.log(Level::Warn, &error.during("find the poststop hooks").to_string()),
        }
    }

    /// Kills the first process and waits for its end; with its pid namespace all others end before it does.
    pub(super) fn end(&self, state: &StateFile, call: Call<'_>) -> Result<()> {
        if state.init_process_pid == 0 {
            return end_members(cgroups::of(state).as_ref(), call);
        }
        let process = match Process::open(state.init_process_pid, state.init_process_start) {
            Err(error) if error.kind() == Kind::NotRunning => return Ok(()),
            opened => opened?,
        };
        match process.signal(libc::SIGKILL) {
            Err(error) if error.kind() == Kind::NotRunning => return Ok(()),
            sent => sent?,
        }
        let_go(state);
        let timeout = Some(call.timeout.map_or(KILL_DEADLINE, |timeout| timeout.min(KILL_DEADLINE)));
        let deadline = Deadline::new(Call { timeout, ..call });
        // The first process of a pid namespace ends after all others have been waited for, also by us.
        let mut children = self.adopted_and_guests(&state.id);
        loop {
            children.retain(|child| child.pid() != process.pid() && !child.has_ended());
            let fds = std::iter::once(process.pidfd()).chain(children.iter().map(Process::pidfd)).collect();
            if deadline.any_readable(fds, wording::INIT_STILL_RUNNING)? == 0 {
                return Ok(());
            }
        }
    }
}

/// Kills the members of the cgroup until there are none.
pub(super) fn end_members(cgroups: &dyn Manager, call: Call<'_>) -> Result<()> {
    let timeout = Some(call.timeout.map_or(KILL_DEADLINE, |timeout| timeout.min(KILL_DEADLINE)));
    let deadline = Deadline::new(Call { timeout, ..call });
    while !cgroups.pids()?.is_empty() {
        cgroups.kill_all()?;
        deadline.pause(wording::INIT_STILL_RUNNING)?;
    }
    Ok(())
}

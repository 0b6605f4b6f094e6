//! Takes back what a create or a restore has made, where something after it failed.
#![forbid(unsafe_code)]

use std::fs;
use std::path::PathBuf;

use super::context::Context;
use super::deadline::Deadline;
use super::delete::end_members;
use super::hooks;
use super::options::{Call, HostHook, Level};
use crate::cgroup::apply::Made;
use crate::cgroup::plan::Layout;
use crate::cgroup::{self, Manager};
use crate::error::{Error, Kind};
use crate::intel_rdt;
use crate::state::directory::Directory;
use crate::wire::Hooks;
use crate::wording;

/// Takes back what was made, unless it is disarmed. Killing the process is `spawn`'s.
pub(super) struct Undo<'a> {
    pub(super) context: &'a Context,
    pub(super) directory: Directory,
    pub(super) cgroups: &'a dyn Manager,
    pub(super) made: Made,
    pub(super) layout: Layout,
    pub(super) intel_rdt: Vec<PathBuf>,
    pub(super) pid_file: Option<PathBuf>,
    /// Those of the host.
    pub(super) hooks: &'a [Hooks],
    pub(super) host_hook: Option<&'a HostHook>,
    /// There are some, of the host or of the container.
    pub(super) with_hooks: bool,
    pub(super) armed: bool,
}

impl Undo<'_> {
    /// The kernel does not tell a process why it kills it.
    pub(super) fn explain(&self, error: Error) -> Error {
        // Born in its cgroup, it may find no memory for its first execve, and is not even killed.
        let refused = error.errno() == Some(libc::ENOMEM) && cgroup::oom::shortages(self.cgroups) > 0;
        if refused || cgroup::oom::kills(self.cgroups) > 0 {
            return Error::new(Kind::Oom, wording::INIT_OOM);
        }
        error
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        if let Some(path) = &self.pid_file {
            let _ = fs::remove_file(path);
        }
        if self.with_hooks {
            // What a hook left behind in the container; with a pid namespace it ended with the init program.
            let own = cgroup::manager(self.layout, self.made.own().to_vec(), None);
            let _ = end_members(own.as_ref(), Call::default());
        }
        // The directory goes last: as long as it is there, `delete --force` finds what could not be removed.
        let removed =
            self.cgroups.unmake(&self.made).and_then(|()| intel_rdt::apply::remove(&self.intel_rdt));
        match removed.and_then(|()| self.directory.remove()) {
            // What a hook did for the container another takes back (runtime.md#lifecycle: on to step 12).
            Ok(()) => {
                let forever = Deadline::new(Call::default());
                hooks::run_poststop(self.context, self.hooks, self.host_hook, &forever);
            }
            Err(error) => self.context.log(Level::Warn, &format!("clean up after a failed create: {error}")),
        }
    }
}

//! Cgroups of the container (config-linux.md#control-groups): which directories, which values, and who makes them.
//!
//! `plan.rs` decides from the configuration and the host's layout. A [`Manager`] acts: `v1.rs` (with the cgroup2 beside
//! it), `v2.rs` and `disabled.rs` are siblings, chosen in [`manager`] and nowhere else; `systemd/` stands before one of them. `apply.rs` is what they share.
#![forbid(unsafe_code)]

use std::fmt::Debug;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::sys::{Errno, pidfd};

pub(crate) mod apply;
mod controllers;
pub(crate) mod devices;
mod disabled;
pub(crate) mod freezer;
pub(crate) mod oom;
pub(crate) mod plan;
pub(crate) mod resources;
pub(crate) mod stats;
pub(crate) mod systemd;
mod v1;
mod v2;
pub(crate) mod watch;

use apply::{Entrances, Made};
use devices::rules::Rule;
use plan::{CgroupPlan, Layout};
use resources::Write;
use systemd::manager::Systemd;
use systemd::unit::UnitName;

/// Controller to directory, as runc names them: `memory`, `name=systemd`; the cgroup2's key is empty.
pub(crate) type Paths = Vec<(String, PathBuf)>;

/// What the runtime asks of a container's cgroups. What exists is in [`paths`](Self::paths); what a create makes is in
/// its plan, and what it did make in [`Made`].
pub(crate) trait Manager: Debug {
    /// The directories.
    fn paths(&self) -> &[(String, PathBuf)];

    /// Before there is a process: makes what it is born in, and sets what must be set before it is there. On failure the
    /// caller unmakes what was made.
    fn make(&self, plan: &CgroupPlan, made: &mut Made) -> Result<Entrances>;

    /// While the init program works, with the pid that stays: makes the rest and sets the limits. What it returns goes
    /// to the init program, which writes itself to each.
    fn enter(&self, plan: &CgroupPlan, pid: i32, made: &mut Made) -> Result<Vec<OwnedFd>>;

    /// Takes back what a create made.
    fn unmake(&self, made: &Made) -> Result<()> {
        made.unmake()
    }

    /// Where a further process goes: the container's own directories, or those below them that `sub` names, each as
    /// `[CONTROLLER[,CONTROLLER]:]PATH`. `init` is the pid of the container's first process.
    fn entrances(&self, sub: &[String], init: i32) -> Result<Entrances>;

    /// Moves a process that could not be born in the cgroup2 directory of its entrances, by whoever is allowed to.
    fn attach(&self, _pid: i32, to: &Path) -> Result<()> {
        Err(Error::os(Kind::Permission, format!("join cgroup {}", to.display()), libc::EACCES))
    }

    /// Writes values of limits; the first that cannot be had is the error.
    fn set(&self, writes: &[Write]) -> Result<()> {
        resources::apply::write(&|controller| self.directory(controller).map(Path::to_owned), writes)
    }

    /// Brings back what was [`before`](resources::apply::before); what cannot be had stays.
    fn take_back(&self, before: &[Write]) {
        resources::apply::take_back(&|controller| self.directory(controller).map(Path::to_owned), before);
    }

    /// Tells whoever keeps device rules of his own besides the cgroup.
    fn announce_devices(&self, _: &[Rule]) -> Result<()> {
        Ok(())
    }

    /// Whether he then writes them anew, with a moment in which nothing is allowed.
    fn rewrites_devices(&self) -> bool {
        false
    }

    /// The directory that has `controller`.
    fn directory(&self, controller: &str) -> Option<&Path> {
        let found = self.paths().iter().find(|(name, _)| name == controller);
        found.map(|(_, path)| path.as_path())
    }

    /// All members, those of sub-cgroups included.
    fn pids(&self) -> Result<Vec<i32>>;

    /// Stops all members. On failure nobody stays frozen.
    fn freeze(&self) -> Result<()>;

    /// Lets them go on.
    fn thaw(&self) -> Result<()>;

    /// Sends a signal to every member; whether there was one.
    fn signal_all(&self, signal: i32) -> Result<bool> {
        let mut any = false;
        for pid in self.pids()? {
            match pidfd::open(pid).and_then(|fd| pidfd::send_signal(fd.as_fd(), signal)) {
                Ok(()) => any = true,
                // Gone between the list and the signal.
                Err(Errno::ESRCH) => {}
                Err(errno) => {
                    return Err(Error::os(Kind::Permission, format!("signal process {pid}"), errno as i32));
                }
            }
        }
        Ok(any)
    }

    /// Kills every member, frozen or not; whether there was one. Nobody new comes meanwhile.
    fn kill_all(&self) -> Result<bool> {
        kill_frozen(self)
    }

    /// Removes the directories and all below them.
    fn remove(&self) -> Result<()> {
        apply::remove(self.paths())
    }
}

/// Frozen, they cannot make more faster than they end. Without a freezer they go on as they are.
fn kill_frozen<M: Manager + ?Sized>(manager: &M) -> Result<bool> {
    let frozen = manager.freeze();
    let sent = manager.signal_all(libc::SIGKILL);
    let thawed = manager.thaw();
    let sent = sent?;
    if frozen.is_ok() { thawed.map(|()| sent) } else { Ok(sent) }
}

/// The manager of a container's cgroups: the one place where it is chosen.
pub(crate) fn manager(layout: Layout, paths: Paths, unit: Option<&UnitName>) -> Box<dyn Manager> {
    let files: Box<dyn Manager> = match layout {
        Layout::V1 => Box::new(v1::V1::new(paths)),
        Layout::V2 => Box::new(v2::V2::new(paths)),
        Layout::None => Box::new(disabled::Disabled),
    };
    match unit {
        Some(unit) => Box::new(Systemd::new(unit.clone(), files)),
        None => files,
    }
}

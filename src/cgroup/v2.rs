//! One cgroup2 for all controllers (cgroup-v2.rst). The process is born in its directory, whose limits are set before.
#![forbid(unsafe_code)]

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::apply::{self, Entrances, Made};
use super::plan::{self, CgroupPlan};
use super::{Manager, Paths, controllers, kill_frozen};
use crate::error::{Error, Kind, Result};
use crate::host::CGROUPS as MOUNT;
use crate::sys::{Errno, file};

#[derive(Debug)]
pub(super) struct V2 {
    paths: Paths,
}

impl V2 {
    pub(super) fn new(paths: Paths) -> Self {
        Self { paths }
    }

    fn path(&self) -> Option<&Path> {
        self.paths.first().map(|(_, path)| path.as_path())
    }

    fn write(&self, name: &str, value: &str) -> std::result::Result<(), (PathBuf, Errno)> {
        let Some(path) = self.path().map(|path| path.join(name)) else { return Ok(()) };
        file::write_value(&path, value).map_err(|errno| (path, errno))
    }

    fn set_frozen(&self, value: &str) -> Result<()> {
        self.write("cgroup.freeze", value).map_err(cannot_write(value))
    }
}

fn cannot_write(value: &str) -> impl Fn((PathBuf, Errno)) -> Error {
    move |(path, errno)| Error::os(Kind::Cgroup, format!("write {value} to {}", path.display()), errno as i32)
}

impl Manager for V2 {
    fn paths(&self) -> &[(String, PathBuf)] {
        &self.paths
    }

    fn make(&self, plan: &CgroupPlan, made: &mut Made) -> Result<Entrances> {
        let unified = plan.unified.as_ref().map(|unified| apply::make_unified(unified, made)).transpose()?;
        Ok(Entrances { unified, ..Entrances::default() })
    }

    fn enter(&self, _: &CgroupPlan, _: i32, _: &mut Made) -> Result<Vec<OwnedFd>> {
        Ok(Vec::new())
    }

    /// A container that has handed controllers on, as systemd in it does, has no process in its own cgroup any more, and
    /// nobody may enter: then where its first process is.
    fn entrances(&self, sub: &[String], init: i32) -> Result<Entrances> {
        let own = plan::sub_cgroups(&self.paths, sub)?;
        let internal = || self.path().is_none_or(controllers::is_internal);
        if sub.is_empty()
            && internal()
            && let Some(path) = self.path().and_then(|own| cgroup_of(init, own))
        {
            return apply::open(&[(String::new(), path)]);
        }
        apply::open(&own)
    }

    fn directory(&self, _: &str) -> Option<&Path> {
        self.path()
    }

    fn pids(&self) -> Result<Vec<i32>> {
        self.path().map_or_else(|| Ok(Vec::new()), apply::members)
    }

    fn freeze(&self) -> Result<()> {
        self.set_frozen("1")
    }

    fn thaw(&self) -> Result<()> {
        self.set_frozen("0")
    }

    /// By one write, which reaches sub-cgroups and those who fork meanwhile, frozen or not. KERNEL(5.14).
    fn kill_all(&self) -> Result<bool> {
        let some = !self.pids()?.is_empty();
        match self.write("cgroup.kill", "1") {
            Ok(()) => Ok(some),
            Err((_, Errno::ENOENT | Errno::ENODEV)) if !some => Ok(false),
            // EOPNOTSUPP: a threaded cgroup.
            Err((_, Errno::ENOENT | Errno::EOPNOTSUPP)) => kill_frozen(self),
            Err(failed) => Err(cannot_write("1")(failed)),
        }
    }
}

/// Where a process is, if that is in or below `own`.
fn cgroup_of(pid: i32, own: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let found = Path::new(MOUNT).join(text.lines().find_map(|line| line.strip_prefix("0::/"))?);
    found.starts_with(own).then_some(found)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn without_cgroup_kill_members_are_frozen_killed_and_let_go() {
        let place = std::env::temp_dir().join(format!("rr-nokill-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let mut member = Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
        fs::write(place.join("cgroup.procs"), format!("{}\n", member.id())).unwrap();
        fs::write(place.join("cgroup.freeze"), "0").unwrap();
        fs::write(place.join("cgroup.events"), "populated 1\nfrozen 1\n").unwrap();
        let manager = V2::new(vec![(String::new(), place.clone())]);
        assert!(manager.kill_all().unwrap(), "there was somebody");
        assert!(!member.wait().unwrap().success());
        assert_eq!(fs::read_to_string(place.join("cgroup.freeze")).unwrap(), "0", "nobody stays frozen");
        fs::write(place.join("cgroup.procs"), "").unwrap();
        assert!(!manager.kill_all().unwrap(), "there is nobody any more");
        fs::remove_dir_all(place).unwrap();
    }
}

//! One cgroup2 for all controllers (cgroup-v2.rst). The process is born in its directory, whose limits are set before.
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::apply::{self, Entrances, Made};
use super::plan::{self, CgroupPlan};
use super::{Manager, Paths};
use crate::error::{Error, Kind, Result};
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
        self.write("cgroup.freeze", value).map_err(|(path, errno)| {
            Error::os(Kind::Cgroup, format!("write {value} to {}", path.display()), errno as i32)
        })
    }
}

impl Manager for V2 {
    fn paths(&self) -> &[(String, PathBuf)] {
        &self.paths
    }

    fn make(&self, plan: &CgroupPlan, made: &mut Made) -> Result<Entrances> {
        let unified = plan.unified.as_ref().map(|unified| apply::make_unified(unified, made)).transpose()?;
        Ok(Entrances { tasks: Vec::new(), unified })
    }

    fn enter(&self, _: &CgroupPlan, _: i32, _: &mut Made) -> Result<Vec<OwnedFd>> {
        Ok(Vec::new())
    }

    fn entrances(&self, sub: &[String], _: i32) -> Result<Entrances> {
        apply::open(&plan::sub_cgroups(&self.paths, sub)?)
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
}

//! Controllers on v1 hierarchies, and the cgroup2 beside them where there is one (hybrid). The process is born in the
//! cgroup2 directory, and writes itself to the `tasks` files of the others (cgroup-v1/cgroups.rst).
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::apply::{self, Entrances, Made};
use super::plan::{self, CgroupPlan};
use super::{Manager, Paths};
use crate::error::{Error, Kind, Result};
use crate::sys::file;

#[derive(Debug)]
pub(super) struct V1 {
    paths: Paths,
}

impl V1 {
    pub(super) fn new(paths: Paths) -> Self {
        Self { paths }
    }

    fn write_state(&self, state: &str) -> Result<()> {
        let Some(path) = self.directory("freezer") else {
            return Err(Error::new(Kind::Cgroup, "the host has no freezer controller").during("freeze"));
        };
        let path = path.join("freezer.state");
        file::write_value(&path, state).map_err(|errno| {
            Error::os(Kind::Cgroup, format!("write {state} to {}", path.display()), errno as i32)
        })
    }
}

impl Manager for V1 {
    fn paths(&self) -> &[(String, PathBuf)] {
        &self.paths
    }

    fn make(&self, plan: &CgroupPlan, made: &mut Made) -> Result<Entrances> {
        let unified = plan.unified.as_ref().map(|unified| apply::make_unified(unified, made)).transpose()?;
        Ok(Entrances { unified, ..Entrances::default() })
    }

    fn enter(&self, plan: &CgroupPlan, _: i32, made: &mut Made) -> Result<Vec<OwnedFd>> {
        plan.v1.iter().map(|directory| apply::make_v1(directory, made)).collect()
    }

    fn entrances(&self, sub: &[String], _: i32) -> Result<Entrances> {
        apply::open(&plan::sub_cgroups(&self.paths, sub)?)
    }

    /// Of its first hierarchy: the devices one is where nobody moves on their own; any other will do.
    fn pids(&self) -> Result<Vec<i32>> {
        let path = self.directory("devices").or_else(|| self.paths.first().map(|(_, path)| path.as_path()));
        path.map_or_else(|| Ok(Vec::new()), apply::members)
    }

    fn freeze(&self) -> Result<()> {
        self.write_state("FROZEN")
    }

    fn thaw(&self) -> Result<()> {
        self.write_state("THAWED")
    }
}

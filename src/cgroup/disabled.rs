//! No cgroups: the container stays where the runtime is. So it is for an ordinary user whom nobody gave any, where the
//! host has none, and where the caller wants none.
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::Manager;
use super::apply::{Entrances, Made};
use super::plan::CgroupPlan;
use super::resources::Write;
use crate::error::{Error, Kind, Result};

#[derive(Debug)]
pub(super) struct Disabled;

impl Manager for Disabled {
    fn paths(&self) -> &[(String, PathBuf)] {
        &[]
    }

    fn make(&self, _: &CgroupPlan, _: &mut Made) -> Result<Entrances> {
        Ok(Entrances::default())
    }

    fn enter(&self, _: &CgroupPlan, _: i32, _: &mut Made) -> Result<Vec<OwnedFd>> {
        Ok(Vec::new())
    }

    fn entrances(&self, sub: &[String], _: i32) -> Result<Entrances> {
        if sub.is_empty() { Ok(Entrances::default()) } else { Err(none("enter a sub-cgroup")) }
    }

    fn set(&self, writes: &[Write]) -> Result<()> {
        if writes.is_empty() { Ok(()) } else { Err(none("set limits")) }
    }

    fn pids(&self) -> Result<Vec<i32>> {
        Ok(Vec::new())
    }

    fn freeze(&self) -> Result<()> {
        Err(none("freeze"))
    }

    fn thaw(&self) -> Result<()> {
        Err(none("thaw"))
    }

    fn kill_all(&self) -> Result<bool> {
        Ok(false)
    }
}

fn none(doing: &str) -> Error {
    Error::new(Kind::Cgroup, "the container has no cgroup").during(doing)
}

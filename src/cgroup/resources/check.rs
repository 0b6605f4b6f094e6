//! What of `linux.resources` cannot be had: on any host, and on this one. Pure.
#![forbid(unsafe_code)]

use oci_spec::runtime::LinuxResources;

use super::convert::swap;
use super::is_given;
use super::table::{Home, TABLE, v2_name};
use crate::error::{Error, Kind, Result};
use crate::host::{Cgroups, Hierarchy};

/// The controllers that the container's cgroups have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Available<'a> {
    /// Of all v1 hierarchies.
    pub(crate) v1: Vec<&'a str>,
    /// Of the cgroup2, alone or beside them; `None`: there is none.
    pub(crate) v2: Option<Vec<&'a str>>,
}

impl<'a> Available<'a> {
    /// Those of a host.
    pub(crate) fn on(cgroups: &'a Cgroups) -> Self {
        let of_v2 = |hierarchy: &'a Hierarchy| hierarchy.available.iter().map(String::as_str).collect();
        match cgroups {
            Cgroups::V1 { hierarchies, unified } => Self {
                v1: hierarchies.iter().flat_map(|hierarchy| hierarchy.controllers.split(',')).collect(),
                v2: unified.as_ref().map(of_v2),
            },
            Cgroups::V2(hierarchy) => Self { v1: Vec::new(), v2: Some(of_v2(hierarchy)) },
            Cgroups::Absent => Self::default(),
        }
    }

    pub(super) fn on_v1(&self, controller: &str) -> bool {
        self.v1.contains(&controller)
    }

    pub(super) fn on_v2(&self, controller: &str) -> bool {
        self.v2.iter().flatten().any(|name| *name == controller)
    }
}

/// Everything that is asked for can be had; the warnings of what is done without.
pub(crate) fn check(resources: &LinuxResources, available: &Available<'_>) -> Result<Vec<String>> {
    values(resources)?;
    let mut warnings = Vec::new();
    for row in TABLE.iter().filter(|row| is_given(row, resources)) {
        let property = format!("linux.resources.{}", row.property);
        if available.on_v1(row.controller) {
            continue;
        }
        match row.v2 {
            Home::Refused if available.v2.is_some() => {
                return Err(unsupported(&property, "cgroup v2 has nothing like it"));
            }
            _ if !available.on_v2(v2_name(row.controller)) => {
                // A limit whose controller the host lacks cannot be kept: an error, not silence.
                let controller = row.controller;
                let message = format!("{property}: the host has no {controller} controller");
                return Err(Error::new(Kind::Cgroup, message));
            }
            Home::LeftOut => warnings.push(format!("{property}: cgroup v2 has nothing like it: left out")),
            _ => {}
        }
    }
    if !available.on_v1("cpu") {
        // cgroup v2 takes no shares of an idle group, and v1 only warns nobody.
        idle_has_no_shares(resources)?;
    } else {
        shares_of_v1(resources)?;
    }
    unified(resources, available)?;
    Ok(warnings)
}

fn unsupported(property: &str, cause: &str) -> Error {
    Error::new(Kind::Unsupported, format!("{property}: {cause}"))
}

fn invalid(property: &str, cause: &str) -> Error {
    Error::new(Kind::InvalidSpec, format!("linux.resources.{property}: {cause}"))
}

/// What is wrong on every host.
pub(crate) fn values(resources: &LinuxResources) -> Result<()> {
    if let Some(memory) = resources.memory() {
        swap(memory)?;
        for (name, value) in
            [("limit", memory.limit()), ("swap", memory.swap()), ("reservation", memory.reservation())]
        {
            if value.is_some_and(|value| value < -1) {
                return Err(invalid(&format!("memory.{name}"), "less than -1"));
            }
        }
        if memory.swappiness().is_some_and(|value| value > 100) {
            return Err(invalid(
                "memory.swappiness",
                "invalid memory swappiness value (valid range is 0-100)",
            ));
        }
    }
    if let Some(cpu) = resources.cpu() {
        if cpu.idle().is_some_and(|idle| idle != 0 && idle != 1) {
            return Err(invalid("cpu.idle", "neither 0 nor 1"));
        }
        if cpu.quota().is_some_and(|quota| quota < -1) {
            return Err(invalid("cpu.quota", "less than -1"));
        }
        for (name, list) in [("cpus", cpu.cpus()), ("mems", cpu.mems())] {
            one_line(&format!("cpu.{name}"), list.as_deref().unwrap_or_default())?;
        }
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        let size = limit.page_size();
        if !is_page_size(size) {
            return Err(invalid("hugepageLimits", &format!("{size:?} is not a page size like 2MB")));
        }
        if limit.limit() < 0 {
            return Err(invalid("hugepageLimits", "less than 0"));
        }
    }
    block_io(resources)?;
    let priorities = resources.network().as_ref().and_then(|network| network.priorities().as_deref());
    for priority in priorities.unwrap_or_default() {
        one_word("network.priorities", priority.name())?;
    }
    for (name, _) in resources.rdma().iter().flatten() {
        one_word("rdma", name)?;
    }
    Ok(())
}

fn block_io(resources: &LinuxResources) -> Result<()> {
    let Some(block_io) = resources.block_io() else { return Ok(()) };
    let weights = [("weight", block_io.weight()), ("leafWeight", block_io.leaf_weight())];
    let devices = block_io.weight_device().as_deref().unwrap_or_default();
    let more = devices.iter().map(|device| ("weightDevice", device.weight()));
    let leaves = devices.iter().map(|device| ("weightDevice", device.leaf_weight()));
    for (name, weight) in weights.into_iter().chain(more).chain(leaves) {
        if weight.is_some_and(|weight| weight != 0 && !(10..=1000).contains(&weight)) {
            return Err(invalid(&format!("blockIO.{name}"), "not between 10 and 1000"));
        }
    }
    Ok(())
}

/// `2MB`, `1GB`, `64KB`.
fn is_page_size(size: &str) -> bool {
    let number = size.trim_end_matches("KB").trim_end_matches("MB").trim_end_matches("GB");
    number.len() + 2 == size.len() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn one_line(property: &str, text: &str) -> Result<()> {
    if text.contains(['\n', '\0']) {
        Err(invalid(property, &format!("not one line: {text:?}")))
    } else {
        Ok(())
    }
}

fn one_word(property: &str, text: &str) -> Result<()> {
    if text.is_empty() || text.contains([' ', '\n', '\0']) {
        return Err(invalid(property, &format!("not a name: {text:?}")));
    }
    Ok(())
}

fn idle_has_no_shares(resources: &LinuxResources) -> Result<()> {
    let cpu = resources.cpu().as_ref();
    if cpu.is_some_and(|cpu| cpu.idle() == Some(1) && cpu.shares().is_some_and(|shares| shares != 0)) {
        return Err(invalid("cpu.shares", "an idle group has none"));
    }
    Ok(())
}

/// The kernel would take the nearest that it can.
fn shares_of_v1(resources: &LinuxResources) -> Result<()> {
    let shares = resources.cpu().as_ref().and_then(oci_spec::runtime::LinuxCpu::shares).filter(|n| *n != 0);
    match shares {
        Some(shares) if shares < 2 => Err(invalid("cpu.shares", "the minimum allowed cpu-shares is 2")),
        Some(shares) if shares > 262_144 => {
            Err(invalid("cpu.shares", "the maximum allowed cpu-shares is 262144"))
        }
        _ => Ok(()),
    }
}

fn unified(resources: &LinuxResources, available: &Available<'_>) -> Result<()> {
    let mut keys: Vec<&String> = resources.unified().iter().flatten().map(|(key, _)| key).collect();
    keys.sort();
    for key in keys {
        let quoted = |rest: &str| {
            Error::new(Kind::Cgroup, format!("unified resource {key:?} {rest}")).during("linux.resources")
        };
        if key.contains('/') {
            return Err(quoted("must be a file name (no slashes)"));
        }
        let Some((controller, parameter)) = key.split_once('.') else {
            return Err(quoted("must be in the form CONTROLLER.PARAMETER"));
        };
        if controller.is_empty() || parameter.is_empty() || key.contains('\0') {
            return Err(quoted("must be in the form CONTROLLER.PARAMETER"));
        }
        if available.v2.is_none() {
            return Err(invalid("unified", "invalid configuration: cannot use unified on cgroup v1"));
        }
        if controller != "cgroup" && !available.on_v2(controller) {
            return Err(quoted(&format!("can't be set: controller {controller:?} not available")));
        }
    }
    Ok(())
}

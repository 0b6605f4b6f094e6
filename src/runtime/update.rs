//! update: other limits for a container that is there; all of them, or those that were.
//!
//! The order: limits, device rules, resctrl, `state.json`. Whatever fails takes back what came before it.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::{fs, io};

use oci_spec::runtime::LinuxResources;

use super::cgroups;
use super::context::{Container, loaded};
use super::deadline::Deadline;
use super::options::{Call, Level};
use crate::cgroup::Manager;
use crate::cgroup::devices::attach;
use crate::cgroup::devices::list::List;
use crate::cgroup::devices::rules::{Rule, rules};
use crate::cgroup::resources::{self, Available, Update};
use crate::error::{Error, Kind, Result};
use crate::state::directory::Directory;
use crate::state::file::StateFile;
use crate::state::status::{Status, is_alive, observe};
use crate::sys::errno_of;
use crate::{intel_rdt, spec, wording};

/// What an update changes.
#[derive(Clone, Debug, Default)]
pub struct UpdateOptions<'fd> {
    /// A `linux.resources` object as JSON. What it leaves out keeps its value; 0 leaves out a limit, -1 lifts it. Device
    /// rules, where there are any, take the place of all that were.
    pub resources: Vec<u8>,
    /// A line for the container's group in resctrl: `L3:0=f`.
    pub l3_cache_schema: Option<String>,
    /// Likewise: `MB:0=50`.
    pub mem_bw_schema: Option<String>,
    /// How long it may wait for another call on this container.
    pub call: Call<'fd>,
}

impl Container {
    /// Changes the limits of a container that has not stopped, and remembers them.
    ///
    /// # Errors
    /// [`Kind::NotRunning`] if it has stopped; [`Kind::InvalidSpec`] and [`Kind::Unsupported`] for what cannot be asked
    /// for, [`Kind::Cgroup`] for what the kernel refuses. Everything is as it was, then.
    pub fn update(&self, options: &UpdateOptions<'_>) -> Result<()> {
        let deadline = Deadline::begin(options.call, "update container")?;
        let change = match options.resources.as_slice() {
            [] => LinuxResources::default(),
            json => spec::parse_resources(json)?,
        };
        let directory = Directory::open(self.context.root(), &self.id)?;
        deadline.lock(&directory)?;
        let mut state = loaded(&directory)?;
        if !is_alive(&state) {
            return Err(Error::new(Kind::NotRunning, wording::NOT_RUNNING));
        }
        let saved = saved(&directory, &state)?;
        let manager = cgroups::of(&state);
        let changing = Changing {
            manager: &*manager,
            paused: observe(&directory, &state) == Status::Paused,
            contained: self.context.host().in_user_namespace,
        };
        let update = changing.decide(&saved, &change)?;
        for line in update.warnings.iter().chain(&resources::outdated(&change)) {
            self.context.log(Level::Warn, line);
        }
        let schemata = [&options.l3_cache_schema, &options.mem_bw_schema];
        let schemata: Vec<&str> = schemata.into_iter().flatten().map(String::as_str).collect();
        let mut done = Done { changing: &changing, limits: Vec::new(), devices: None, schemata: None };
        done.limits(&update)?;
        done.devices(&saved, &change)?;
        if !schemata.is_empty() {
            done.schemata(&state, self.context.host().mounted_resctrl(), &schemata)?;
        }
        state.riverrun.resources = serde_json::to_value(&update.merged).ok();
        keep(&mut state.riverrun.l3_cache_schema, options.l3_cache_schema.as_ref());
        keep(&mut state.riverrun.mem_bw_schema, options.mem_bw_schema.as_ref());
        directory.save(&state.settled())?;
        done.keep();
        Ok(())
    }
}

fn keep(saved: &mut Option<String>, given: Option<&String>) {
    if let Some(given) = given {
        *saved = Some(given.clone());
    }
}

/// The limits that hold: those of the last update, or of the configuration.
fn saved(directory: &Directory, state: &StateFile) -> Result<LinuxResources> {
    if let Some(resources) = &state.riverrun.resources {
        return serde_json::from_value(resources.clone()).map_err(|error| {
            Error::new(Kind::StateCorrupt, error.to_string()).during("load saved resources")
        });
    }
    let spec = spec::parse(&directory.config()?)?;
    Ok(spec.linux().as_ref().and_then(|linux| linux.resources().clone()).unwrap_or_default())
}

struct Changing<'a> {
    manager: &'a dyn Manager,
    paused: bool,
    /// The host is in a user namespace, which enforces device rules of its own.
    contained: bool,
}

impl Changing<'_> {
    fn find(&self, controller: &str) -> Option<PathBuf> {
        self.manager.directory(controller).map(Path::to_owned)
    }

    fn unified(&self) -> Option<&Path> {
        self.manager.paths().iter().find(|(name, _)| name.is_empty()).map(|(_, path)| path.as_path())
    }

    fn decide(&self, saved: &LinuxResources, change: &LinuxResources) -> Result<Update> {
        let read = |path: &Path| {
            let gone = |error: io::Error| {
                let doing = format!("read controllers of cgroup {}", path.display());
                Error::os(Kind::Cgroup, doing, errno_of(&error))
            };
            fs::read_to_string(path.join("cgroup.controllers")).map_err(gone)
        };
        let controllers = self.unified().map(read).transpose()?;
        let v1 = self.manager.paths().iter().map(|(name, _)| name.as_str()).filter(|name| !name.is_empty());
        let v2 = controllers.as_ref().map(|text| text.split_ascii_whitespace().collect());
        let update = resources::update(saved, change, &Available { v1: v1.collect(), v2 })?;
        self.usage_allows(&update.merged, change)?;
        Ok(update)
    }

    /// checkBeforeUpdate: the kernel would kill for a limit below what is used.
    fn usage_allows(&self, merged: &LinuxResources, change: &LinuxResources) -> Result<()> {
        let (Some(merged), Some(change)) = (merged.memory(), change.memory()) else { return Ok(()) };
        if merged.check_before_update() != Some(true) {
            return Ok(());
        }
        let Some(directory) = self.find("memory").or_else(|| self.find("")) else { return Ok(()) };
        let usage = ["memory.current", "memory.usage_in_bytes"]
            .iter()
            .find_map(|name| fs::read_to_string(directory.join(name)).ok()?.trim().parse::<i64>().ok());
        // What cannot be read cannot be compared.
        let Some(usage) = usage else { return Ok(()) };
        for (what, limit) in [("memory+swap", change.swap()), ("memory", change.limit())] {
            if let Some(limit) = limit.filter(|limit| *limit > 0 && *limit <= usage) {
                return Err(Error::new(Kind::Cgroup, wording::usage_above(what, limit, usage)));
            }
        }
        Ok(())
    }

    /// From one set of rules to another, without a moment in which a device is gone that both allow; or back.
    fn devices(&self, from: &[Rule], to: &[Rule]) -> Result<()> {
        self.turn(from, to).inspect_err(|_| drop(self.turn(to, from)))
    }

    fn turn(&self, from: &[Rule], to: &[Rule]) -> Result<()> {
        let named = |name: &str| self.manager.paths().iter().find(|(controller, _)| controller == name);
        let Some((_, directory)) = named("devices") else {
            let path = self.unified().ok_or_else(|| {
                Error::new(Kind::Cgroup, "linux.resources.devices: the host has no devices controller")
            })?;
            self.manager.announce_devices(to)?;
            return attach::set(path, to, false);
        };
        let (known, target) = (List::of(from)?, List::of(to)?);
        let turned = attach::list(directory, known.clone()).is_turned_by(&target);
        // Another default is set before its exceptions: nobody looks meanwhile.
        let stop =
            (turned || self.manager.rewrites_devices()) && !self.paused && self.manager.freeze().is_ok();
        let written = self
            .manager
            .announce_devices(to)
            .and_then(|()| attach::write(directory, &attach::list(directory, known).transition(&target)));
        let thawed = if stop { self.manager.thaw() } else { Ok(()) };
        written.and(thawed)
    }
}

/// What was changed; taken back when it is dropped, unless it is to be kept.
struct Done<'a> {
    changing: &'a Changing<'a>,
    limits: Vec<resources::Write>,
    devices: Option<(Vec<Rule>, Vec<Rule>)>,
    schemata: Option<(PathBuf, PathBuf, String)>,
}

impl Done<'_> {
    fn limits(&mut self, update: &Update) -> Result<()> {
        let find = |controller: &str| self.changing.find(controller);
        self.limits = resources::apply::before(&find, &update.writes);
        self.changing.manager.set(&update.writes)
    }

    fn devices(&mut self, saved: &LinuxResources, change: &LinuxResources) -> Result<()> {
        let Some(wanted) = change.devices().as_ref().filter(|_| !self.changing.contained) else {
            return Ok(());
        };
        let from = rules(saved.devices().as_deref().unwrap_or_default())?;
        let to = rules(wanted)?;
        self.changing.devices(&from, &to)?;
        self.devices = Some((to, from));
        Ok(())
    }

    fn schemata(&mut self, state: &StateFile, root: Option<&Path>, schemata: &[&str]) -> Result<()> {
        let group = state.intel_rdt().next().zip(root);
        let (group, root) = group.ok_or_else(|| Error::new(Kind::Unsupported, wording::NO_INTEL_RDT))?;
        let before = intel_rdt::apply::rewrite(root, group, schemata)?;
        self.schemata = Some((root.to_owned(), group.to_owned(), before));
        Ok(())
    }

    fn keep(mut self) {
        self.limits.clear();
        self.devices = None;
        self.schemata = None;
    }
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        if let Some((root, group, before)) = &self.schemata {
            let _ = intel_rdt::apply::rewrite(root, group, &[before.trim_end()]);
        }
        if let Some((from, to)) = &self.devices {
            let _ = self.changing.devices(from, to);
        }
        if !self.limits.is_empty() {
            self.changing.manager.take_back(&self.limits);
        }
    }
}

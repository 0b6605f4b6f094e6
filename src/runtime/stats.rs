//! stats: what the kernel counts for a container, all of it for a person or a tool, or a few numbers for an engine that
//! asks a thousand containers every second.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use super::context::Container;
use super::stats_json::{Line, to_json};
use crate::cgroup::stats::{self, CgroupStats, StatsSet, Usage};
use crate::error::{Error, Kind, Result};
use crate::intel_rdt::stats::{self as intel_rdt, IntelRdtStats};
use crate::state::status::is_alive;

/// Everything that is counted for a container.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// By its cgroups.
    pub cgroup: CgroupStats,
    /// By its group in resctrl, if it has one.
    pub intel_rdt: Option<IntelRdtStats>,
}

impl Stats {
    /// The `data` of what `events --stats` prints, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(self)
    }

    /// The line that `events` prints, without its end.
    #[must_use]
    pub fn to_event_json(&self, id: &str) -> String {
        Line::stats(id, self).to_json()
    }
}

/// The directories of a container as they were when `state.json` was this file.
#[derive(Debug)]
pub(super) struct Known {
    stamp: (u64, u64, i64, i64),
    cgroups: Vec<(String, PathBuf)>,
}

impl Container {
    /// Everything that the kernel counts.
    ///
    /// # Errors
    /// [`Kind::NotRunning`] if the container has stopped, [`Kind::Cgroup`] if it has no cgroups or one cannot be read.
    pub fn stats(&self) -> Result<Stats> {
        let (_, state) = self.load()?;
        if !is_alive(&state) {
            return Err(stopped(&self.id));
        }
        let resctrl = state.intel_rdt().last().map(|group| (self.context.host().resctrl.as_path(), group));
        read_stats(&state.cgroups(), resctrl)
    }

    /// The few numbers that `what` names, with as little work as they need: not even whether the container runs is asked.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if the container is gone; [`Kind::Cgroup`] if it has no cgroups, or they are gone.
    pub fn usage(&self, what: StatsSet) -> Result<Usage> {
        let known = self.known_cgroups()?;
        stats::usage(&known.cgroups, what)
    }

    /// `state.json` is read again only when it is another file: one stat(2) instead of a read and a parse.
    fn known_cgroups(&self) -> Result<Arc<Known>> {
        let gone = |_| crate::state::directory::not_found();
        let path = self.context.root().join(&self.id).join("state.json");
        let metadata = fs::metadata(&path).map_err(gone)?;
        let stamp = (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| known.stamp == stamp) {
            return Ok(Arc::clone(known));
        }
        let cgroups = self.load()?.1.cgroups();
        if cgroups.is_empty() {
            return Err(uncounted());
        }
        Ok(Arc::clone(known.insert(Arc::new(Known { stamp, cgroups }))))
    }
}

/// `resctrl`: its mount point, and the container's group.
pub(super) fn read_stats(cgroups: &[(String, PathBuf)], resctrl: Option<(&Path, &Path)>) -> Result<Stats> {
    if cgroups.is_empty() {
        return Err(uncounted());
    }
    let intel_rdt = resctrl.map(|(root, group)| intel_rdt::read(root, group));
    Ok(Stats { cgroup: stats::read(cgroups)?, intel_rdt })
}

/// COMPAT(runc): the words of its `events`.
pub(super) fn stopped(id: &str) -> Error {
    Error::new(Kind::NotRunning, format!("container with id {id} is not running"))
}

fn uncounted() -> Error {
    Error::new(Kind::Cgroup, "the container has no cgroups that could count").during("read statistics")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::stats::{Scratch, lay_out};

    /// `RIVERRUN_BLESS=1` writes them anew.
    #[test]
    fn json_of_recorded_cgroups_is_the_recorded_json() {
        for name in ["v1", "v2"] {
            let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stats-files");
            let scratch = Scratch::new(&format!("json-{name}"));
            let text = fs::read_to_string(files.join(format!("{name}.txt"))).unwrap();
            let stats = read_stats(&lay_out(&text, &scratch.0), None).unwrap();
            let json = stats.to_event_json("web") + "\n";
            let golden = files.join(format!("{name}.json"));
            if std::env::var_os("RIVERRUN_BLESS").is_some() {
                fs::write(&golden, &json).unwrap();
            }
            assert_eq!(json, fs::read_to_string(&golden).unwrap(), "{name}");
        }
    }
}

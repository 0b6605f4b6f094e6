//! Which group, what is written to it, and whose it is. Pure.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxIntelRdt};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// The container's place in resctrl.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IntelRdtPlan {
    /// The mount point.
    pub(crate) root: PathBuf,
    /// The directory of the group.
    pub(crate) group: PathBuf,
    pub(crate) whose: Whose,
    /// For the group's `schemata` file, in this order; none: it is left alone.
    pub(crate) schemata: Vec<String>,
    /// The directory of a monitoring group within.
    pub(crate) monitoring: Option<PathBuf>,
}

/// Who made the group, and who removes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Whose {
    /// Named after the container; it ends with it.
    Containers,
    /// Named by the configuration: it has to be there.
    Existing,
    /// Likewise, made if it is missing; one that is there must have these schemata. It stays.
    Named,
}

/// What the configuration asks for, if it does.
pub(crate) fn wanted(linux: &Linux) -> Option<&LinuxIntelRdt> {
    linux.intel_rdt().as_ref()
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

impl IntelRdtPlan {
    /// `root`: where resctrl is mounted, if it is.
    pub(crate) fn new(id: &str, linux: &Linux, root: Option<&Path>) -> Result<Option<Self>> {
        let Some(rdt) = wanted(linux) else { return Ok(None) };
        let root = root.ok_or_else(|| {
            let message = "linux.intelRdt: resctrl is not mounted on this host, or its CPUs do not have it";
            Error::new(Kind::Unsupported, message)
        })?;
        let schemata = schemata(rdt);
        let (name, whose) = match given(rdt.clos_id()) {
            None => (id, Whose::Containers),
            Some(name) if schemata.is_empty() => (name, Whose::Existing),
            Some(name) => (name, Whose::Named),
        };
        if ["info", "mon_data", "mon_groups"].contains(&name) {
            let message = format!("linux.intelRdt.closID: {name:?} is the kernel's");
            return Err(Error::new(Kind::InvalidSpec, message));
        }
        // "/" is the group of all that are in no other.
        let group = if name == "/" { root.to_owned() } else { root.join(name) };
        let monitoring = (*rdt.enable_monitoring() == Some(true)).then(|| group.join("mon_groups").join(id));
        Ok(Some(Self { root: root.to_owned(), group, whose, schemata, monitoring }))
    }

    /// What the container has to have alone, from the top: these end with it, if they were not there before.
    pub(crate) fn own(&self) -> Vec<PathBuf> {
        let group = (self.whose == Whose::Containers).then(|| self.group.clone());
        group.into_iter().chain(self.monitoring.clone()).collect()
    }
}

/// The lines in the order of their properties: of two for the same resource the kernel keeps the last.
fn schemata(rdt: &LinuxIntelRdt) -> Vec<String> {
    let lines = |text: Option<&str>| -> Vec<String> {
        text.unwrap_or_default().lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
    };
    let bandwidth = lines(given(rdt.mem_bw_schema()));
    let mut all = lines(given(rdt.l3_cache_schema()));
    if !bandwidth.is_empty() {
        // The specification: lines of MB in the cache's schema give way to the bandwidth's own.
        all.retain(|line| !line.trim_start().starts_with("MB:"));
    }
    all.extend(bandwidth);
    all.extend(rdt.schemata().iter().flatten().filter(|line| !line.is_empty()).cloned());
    all
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn plan(rdt: Value) -> Result<Option<IntelRdtPlan>> {
        let linux: Linux = from_value(json!({ "intelRdt": rdt })).unwrap();
        IntelRdtPlan::new("web", &linux, Some(Path::new("/r")))
    }

    #[test]
    fn without_a_name_the_group_is_the_containers_and_ends_with_it() {
        let plan = plan(json!({"l3CacheSchema": "L3:0=f", "enableMonitoring": true})).unwrap().unwrap();
        assert_eq!((plan.group.as_path(), plan.whose), (Path::new("/r/web"), Whose::Containers));
        assert_eq!(plan.own(), [PathBuf::from("/r/web"), "/r/web/mon_groups/web".into()]);
    }

    #[test]
    fn a_named_group_stays_and_has_to_be_there_where_nothing_says_how_to_make_it() {
        let existing = plan(json!({"closID": "gold"})).unwrap().unwrap();
        assert_eq!((existing.whose, existing.own()), (Whose::Existing, Vec::new()));
        let named = plan(json!({"closID": "gold", "schemata": ["MB:0=20"]})).unwrap().unwrap();
        assert_eq!(named.whose, Whose::Named);
        let root = plan(json!({"closID": "/", "enableMonitoring": true})).unwrap().unwrap();
        assert_eq!(root.group, Path::new("/r"));
        assert_eq!(root.own(), [PathBuf::from("/r/mon_groups/web")]);
        assert!(plan(json!({"closID": "info"})).unwrap_err().to_string().contains("closID"));
    }

    #[test]
    fn schemata_keep_their_order_and_bandwidth_has_one_source() {
        let all =
            json!({"l3CacheSchema": "MB:0=70\nL3:0=f\n", "memBwSchema": "MB:0=20", "schemata": ["L2:0=1"]});
        assert_eq!(plan(all).unwrap().unwrap().schemata, ["L3:0=f", "MB:0=20", "L2:0=1"]);
        let cache = json!({"l3CacheSchema": "MB:0=70\nL3:0=f"});
        assert_eq!(plan(cache).unwrap().unwrap().schemata, ["MB:0=70", "L3:0=f"]);
    }

    #[test]
    fn a_host_without_resctrl_refuses_by_name() {
        let linux: Linux = from_value(json!({"intelRdt": {}})).unwrap();
        let error = IntelRdtPlan::new("web", &linux, None).unwrap_err();
        assert!(error.to_string().starts_with("linux.intelRdt: resctrl is not mounted"), "{error}");
    }
}

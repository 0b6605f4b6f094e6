//! `state.json`: runc's key names, because tools read them; what only we need is under `riverrun`.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateFile {
    pub(crate) id: String,
    /// 0 while the container is being created.
    pub(crate) init_process_pid: i32,
    /// Clock ticks since the machine started: tells a process from a later one of the same number.
    pub(crate) init_process_start: u64,
    pub(crate) created: String,
    pub(crate) config: Config,
    pub(crate) rootless: bool,
    /// Controller to directory; the cgroup2's key is empty.
    pub(crate) cgroup_paths: BTreeMap<String, PathBuf>,
    /// `NEWPID` and the like to /proc/PID/ns/pid.
    pub(crate) namespace_paths: BTreeMap<String, PathBuf>,
    pub(crate) external_descriptors: Vec<String>,
    /// The groups in resctrl, which an exec enters.
    #[serde(default)]
    pub(crate) intel_rdt_path: PathBuf,
    #[serde(default)]
    pub(crate) intel_rdt_mon_path: PathBuf,
    pub(crate) riverrun: Own,
}

/// The part of runc's `config` that tools read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) rootfs: PathBuf,
    pub(crate) hostname: String,
    /// `key=value`: the annotations, and the bundle.
    pub(crate) labels: Vec<String>,
}

/// What nobody else reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Own {
    pub(crate) version: String,
    pub(crate) bundle: PathBuf,
    pub(crate) annotations: BTreeMap<String, String>,
    /// `CLONE_NEW*` of the namespaces that an exec joins.
    pub(crate) namespaces: u64,
    /// Those of them that others made.
    #[serde(default)]
    pub(crate) joined: u64,
    pub(crate) deny_setgroups: bool,
    pub(crate) created_ns: i64,
    /// Which manager made the cgroups.
    #[serde(default)]
    pub(crate) cgroups: String,
    /// The unit that systemd made them with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<String>,
    /// It is of the user's own systemd.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unit_of_user: bool,
    /// The configuration has hooks: `start` and `delete` look into it.
    #[serde(default)]
    pub(crate) hooks: bool,
    /// The directories in resctrl that end with the container.
    #[serde(default)]
    pub(crate) intel_rdt_own: Vec<PathBuf>,
    /// `linux.resources` as an update has left it; none: the configuration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resources: Option<serde_json::Value>,
    /// The line for resctrl of the last update that had one; none: the configuration's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) l3_cache_schema: Option<String>,
    /// Likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mem_bw_schema: Option<String>,
}

/// The bytes of a `state.json`.
#[derive(Debug)]
pub(crate) struct Settled(pub(super) Vec<u8>);

impl StateFile {
    /// The document as bytes.
    pub(crate) fn settled(&self) -> Settled {
        // A struct of strings and numbers: serialising cannot fail.
        Settled(serde_json::to_vec(self).unwrap_or_default())
    }

    /// The cgroup directories, each with the controller that it is for.
    pub(crate) fn cgroups(&self) -> Vec<(String, PathBuf)> {
        self.cgroup_paths.iter().map(|(name, path)| (name.clone(), path.clone())).collect()
    }

    /// The groups in resctrl.
    pub(crate) fn intel_rdt(&self) -> impl Iterator<Item = &Path> {
        let paths = [self.intel_rdt_path.as_path(), &self.intel_rdt_mon_path];
        paths.into_iter().filter(|path| !path.as_os_str().is_empty())
    }

    /// Whether the container has a pid namespace of its own: then the end of its first process is the end of all.
    pub(crate) fn owns_pid_namespace(&self) -> bool {
        const CLONE_NEWPID: u64 = 0x2000_0000;
        self.riverrun.namespaces & !self.riverrun.joined & CLONE_NEWPID != 0
    }
}

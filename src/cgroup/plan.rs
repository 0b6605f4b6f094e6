//! Where the container's cgroups are, and what is written to them before it is in them. Pure.
#![forbid(unsafe_code)]

use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxNamespaceType};
use serde::{Deserialize, Serialize};

use super::resources;
use crate::error::{Error, Kind, Result};
use crate::host::{Cgroups, Hierarchy, Host};

/// The container's cgroups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CgroupPlan {
    /// One directory a v1 hierarchy.
    pub(crate) v1: Vec<Directory>,
    /// The directory in the cgroup2 beside them.
    pub(crate) unified: Option<PathBuf>,
    /// The container has a cgroup namespace of its own.
    pub(crate) private: bool,
    /// None is made: the host may not, and nothing in the configuration needs them. The container stays where the host
    /// process is; the directories are the host's, and only shown.
    pub(crate) borrowed: bool,
}

/// One directory, and what is written into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Directory {
    /// As in /proc/self/cgroup: `memory`, `name=systemd`.
    pub(crate) controllers: String,
    /// The mount point of the hierarchy.
    pub(crate) mount: PathBuf,
    pub(crate) path: PathBuf,
    /// File and value, in this order.
    pub(crate) writes: Vec<(String, String)>,
}

impl CgroupPlan {
    pub(crate) fn new(id: &str, linux: &Linux, host: &Host) -> Result<Self> {
        let (hierarchies, unified) = match &host.cgroups {
            Cgroups::V1 { hierarchies, unified } => (hierarchies, unified),
            Cgroups::V2(_) if host.is_rootless() && !needs_cgroups(linux) => return Ok(Self::default()),
            Cgroups::V2(_) => {
                let message = "cgroups: a host with cgroup v2 alone is not supported by this version";
                return Err(Error::new(Kind::Unsupported, message));
            }
            Cgroups::Absent => return without(linux),
        };
        let configured = linux.cgroups_path().as_deref().filter(|path| !path.as_os_str().is_empty());
        let borrowed = host.is_rootless() && !host.cgroups_writable && !needs_cgroups(linux);
        let place =
            |hierarchy: &Hierarchy| if borrowed { own(hierarchy) } else { place(hierarchy, configured, id) };
        let v1 = hierarchies
            .iter()
            .map(|hierarchy| {
                Ok(Directory {
                    controllers: hierarchy.controllers.clone(),
                    mount: hierarchy.mount.clone(),
                    path: place(hierarchy),
                    writes: resources::writes(hierarchy, linux, host)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        resources::all_have_a_controller(linux, hierarchies)?;
        Ok(Self {
            v1,
            unified: unified.as_ref().map(place),
            private: linux.namespaces().iter().flatten().any(|n| n.typ() == LinuxNamespaceType::Cgroup),
            borrowed,
        })
    }

    /// How many `tasks` files a process writes itself to.
    pub(crate) fn entrances(&self) -> u32 {
        if self.borrowed { 0 } else { u32::try_from(self.v1.len()).unwrap_or(u32::MAX) }
    }

    /// What `state.json` says: controller to directory, as runc names them.
    pub(crate) fn paths(&self) -> Vec<(String, PathBuf)> {
        if self.borrowed {
            return Vec::new();
        }
        let v1 = self.v1.iter().flat_map(|directory| {
            directory.controllers.split(',').map(|controller| (controller.to_owned(), directory.path.clone()))
        });
        v1.chain(self.unified.iter().map(|path| (String::new(), path.clone()))).collect()
    }
}

/// A host without cgroups can run what asks nothing of them.
fn without(linux: &Linux) -> Result<CgroupPlan> {
    if needs_cgroups(linux) {
        return Err(Error::new(Kind::Cgroup, "cgroups: no cgroup filesystem is mounted at /sys/fs/cgroup"));
    }
    Ok(CgroupPlan::default())
}

fn needs_cgroups(linux: &Linux) -> bool {
    linux.cgroups_path().as_ref().is_some_and(|path| !path.as_os_str().is_empty())
        || linux.resources().as_ref().is_some_and(resources::has_limits)
}

/// `cgroupsPath` is absolute below the hierarchy's mount, or relative to where the host process is; without one the
/// id is the name (config-linux.md#cgroups-path). It is cleaned first, so that it cannot climb.
fn place(hierarchy: &Hierarchy, configured: Option<&Path>, id: &str) -> PathBuf {
    match configured {
        Some(path) if path.is_absolute() => hierarchy.mount.join(clean(path)),
        Some(path) => own(hierarchy).join(clean(path)),
        None => own(hierarchy).join(id),
    }
}

/// Where the host process is.
fn own(hierarchy: &Hierarchy) -> PathBuf {
    hierarchy.mount.join(hierarchy.own.strip_prefix("/").unwrap_or(&hierarchy.own))
}

/// Without `/` in front, `.`, and what `..` undoes.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => drop(cleaned.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Hierarchy {
        Hierarchy {
            controllers: "memory".into(),
            mount: "/sys/fs/cgroup/memory".into(),
            own: "/engine".into(),
        }
    }

    #[test]
    fn a_cgroups_path_never_climbs_out_of_its_mount() {
        let at = |path: &str| place(&memory(), Some(Path::new(path)), "id");
        assert_eq!(at("/../../etc"), Path::new("/sys/fs/cgroup/memory/etc"));
        assert_eq!(at("/a/../b/./c"), Path::new("/sys/fs/cgroup/memory/b/c"));
        assert_eq!(at("a/../../b"), Path::new("/sys/fs/cgroup/memory/engine/b"));
    }

    #[test]
    fn without_a_path_the_id_is_the_name_below_the_own_cgroup() {
        assert_eq!(place(&memory(), None, "web"), Path::new("/sys/fs/cgroup/memory/engine/web"));
    }
}

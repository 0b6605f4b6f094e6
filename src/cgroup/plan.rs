//! Where the container's cgroups are, and what is written to them before it is in them. Pure.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxNamespaceType, Mount, Spec};
use serde::{Deserialize, Serialize};

use super::devices::list::List;
use super::devices::rules::{Rule, rules};
use super::resources::{self, Available, Write};
pub(crate) use super::systemd::unit::Facts;
use super::systemd::unit::{self, Place, Unit, UnitName};
use super::systemd::{devices, properties};
use crate::error::{Error, Kind, Result};
use crate::host::{CGROUPS, Cgroups, Hierarchy, Host};

/// Who makes the cgroups of containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupManager {
    /// The library itself, in the cgroup filesystems.
    #[default]
    Cgroupfs,
    /// systemd, asked over D-Bus.
    Systemd,
    /// Nobody: containers stay in the cgroup of the host process, and limits are an error.
    Disabled,
}

/// Which manager a container has: its caller's choice where the host allows it. `state.json` keeps the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Layout {
    /// None is made. The directories of a plan are the host's, and only shown.
    #[default]
    None,
    /// Controllers on v1, and the cgroup2 beside them.
    V1,
    V2,
}

impl Layout {
    const ALL: [Self; 3] = [Self::None, Self::V1, Self::V2];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }

    /// By its name in `state.json`.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.name() == name)
    }

    /// The choice.
    fn choose(wanted: &Wanted<'_>, linux: &Linux, host: &Host) -> Result<Self> {
        let without = wanted.rootless && !host.cgroups_writable && !needs_cgroups(linux);
        let wanted = wanted.manager;
        let refused = |kind, message: &str| Err(Error::new(kind, format!("cgroups: {message}")));
        if wanted == CgroupManager::Disabled {
            if linux.resources().as_ref().is_some_and(resources::has_limits) {
                return refused(Kind::Cgroup, "limits are asked for, and the cgroup manager is disabled");
            }
            return Ok(Self::None);
        }
        match (wanted, &host.cgroups) {
            (_, Cgroups::Absent) if !needs_cgroups(linux) => Ok(Self::None),
            (_, Cgroups::Absent) => {
                refused(Kind::Cgroup, "no cgroup filesystem is mounted at /sys/fs/cgroup")
            }
            (CgroupManager::Systemd, Cgroups::V1 { .. }) if host.is_rootless() => {
                let message = "the systemd cgroup manager of an ordinary user needs cgroup v2";
                refused(Kind::Unsupported, message)
            }
            (CgroupManager::Systemd, Cgroups::V1 { .. }) => Ok(Self::V1),
            (CgroupManager::Systemd, Cgroups::V2(_)) => Ok(Self::V2),
            _ if without => Ok(Self::None),
            (_, Cgroups::V1 { .. }) => Ok(Self::V1),
            (_, Cgroups::V2(_)) => Ok(Self::V2),
        }
    }
}

/// The container's cgroups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CgroupPlan {
    pub(crate) layout: Layout,
    /// One directory a v1 hierarchy.
    pub(crate) v1: Vec<Directory>,
    /// The directory in the cgroup2: beside them, or alone.
    pub(crate) unified: Option<Directory>,
    /// The container has a cgroup namespace of its own.
    pub(crate) private: bool,
    /// systemd makes them, with this unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<Unit>,
}

/// Whom the caller wants, and what there is to know of him.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) manager: CgroupManager,
    /// What asks nothing of cgroups is done without them where they cannot be had.
    pub(crate) rootless: bool,
    /// Of systemd, where it is the manager.
    pub(crate) systemd: Option<&'a Facts>,
    pub(crate) annotations: Option<&'a HashMap<String, String>>,
}

/// One directory, and what is written into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Directory {
    /// As in /proc/self/cgroup: `memory`, `name=systemd`; empty for cgroup2.
    pub(crate) controllers: String,
    /// The mount point of the hierarchy.
    pub(crate) mount: PathBuf,
    pub(crate) path: PathBuf,
    /// Controllers that are enabled on the way from the mount point to the directory (cgroup2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) enable: Vec<String>,
    /// Whom the directory is given to, in the ids of the host (cgroup2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<u32>,
    /// Lines for its files.
    pub(crate) writes: Vec<Write>,
    /// Device rules (cgroup2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) devices: Option<Vec<Rule>>,
}

impl CgroupPlan {
    pub(crate) fn new(id: &str, linux: &Linux, host: &Host, wanted: &Wanted<'_>) -> Result<Self> {
        let configured = linux.cgroups_path().as_deref().filter(|path| !path.as_os_str().is_empty());
        let Some(facts) = wanted.systemd else {
            return Self::in_files(id, linux, host, wanted, configured);
        };
        let place = Place::new(configured, id, facts.user)?;
        let path = Path::new("/").join(&facts.cgroup).join(place.path()?);
        let mut plan = Self::in_files(id, linux, host, wanted, Some(&path))?;
        let mut properties = unit::basics(&place, plan.layout == Layout::V1);
        for directory in plan.v1.iter().chain(&plan.unified) {
            properties.extend(properties::of(&directory.writes, facts.version)?);
        }
        // An ordinary user's systemd may load no program either.
        if !facts.user {
            let v1 = plan.layout == Layout::V1;
            properties.extend(devices::of(&device_rules(linux)?, v1, facts.version)?);
        }
        properties.extend(unit::annotated(wanted.annotations)?);
        plan.unit = Some(Unit { name: UnitName { name: place.name, user: facts.user }, properties });
        Ok(plan)
    }

    fn in_files(
        id: &str,
        linux: &Linux,
        host: &Host,
        wanted: &Wanted<'_>,
        configured: Option<&Path>,
    ) -> Result<Self> {
        let layout = Layout::choose(wanted, linux, host)?;
        let made = layout != Layout::None;
        let directory = |hierarchy: &Hierarchy, base: PathBuf| Directory {
            controllers: hierarchy.controllers.clone(),
            mount: hierarchy.mount.clone(),
            path: if made { place(hierarchy, &base, configured, id) } else { own(hierarchy) },
            enable: Vec::new(),
            owner: None,
            writes: Vec::new(),
            devices: None,
        };
        let asked = linux.resources().as_ref().filter(|_| made);
        if let Some(resources) = asked {
            resources::check(resources, &Available::on(&host.cgroups))?;
        }
        let private = linux.namespaces().iter().flatten().any(|n| n.typ() == LinuxNamespaceType::Cgroup);
        match &host.cgroups {
            Cgroups::Absent => Ok(Self { layout, private, ..Self::default() }),
            Cgroups::V1 { hierarchies, unified } => {
                let one = |hierarchy: &Hierarchy| {
                    let mut writes = asked
                        .map(|asked| resources::v1(asked, &|name| hierarchy.has(name)))
                        .unwrap_or_default();
                    if made && hierarchy.has("devices") && !host.is_rootless() {
                        writes
                            .extend(List::of(&device_rules(linux)?)?.lines().into_iter().map(Write::device));
                    }
                    Ok(Directory { writes, ..directory(hierarchy, own(hierarchy)) })
                };
                let v1 = hierarchies.iter().map(one).collect::<Result<_>>()?;
                let beside = |hierarchy: &Hierarchy| {
                    let writes = asked.map(|asked| resources::v2(asked, &|name| hierarchy.has(name)));
                    let writes = writes.unwrap_or_default();
                    let enable = if writes.is_empty() { Vec::new() } else { hierarchy.available.clone() };
                    Directory { writes, enable, ..directory(hierarchy, own(hierarchy)) }
                };
                Ok(Self { layout, v1, unified: unified.as_ref().map(beside), private, unit: None })
            }
            Cgroups::V2(hierarchy) => {
                // A cgroup with processes in it cannot hand controllers down (cgroup-v2.rst, "no internal process"),
                // so that the container is beside the host process, not below it.
                let base = own(hierarchy).parent().map_or_else(|| hierarchy.mount.clone(), Path::to_owned);
                let base = if base.starts_with(&hierarchy.mount) { base } else { hierarchy.mount.clone() };
                let mut unified = directory(hierarchy, base);
                if made {
                    let writes = asked.map(|asked| resources::v2(asked, &|name| hierarchy.has(name)));
                    unified.writes = writes.unwrap_or_default();
                    // An ordinary user may load no program. COMPAT(runc): he runs without.
                    unified.devices = (!host.is_rootless()).then(|| device_rules(linux)).transpose()?;
                    unified.enable.clone_from(&hierarchy.available);
                }
                Ok(Self { layout, v1: Vec::new(), unified: Some(unified), private, unit: None })
            }
        }
    }

    /// The cgroup2 of a container that has it as its root and may write there is given to whom its first process is
    /// (runtime-spec, config-linux.md#cgroup-ownership). `uid` is his id on the host, if he has one.
    pub(crate) fn delegate(&mut self, spec: &Spec, uid: Option<u32>, host: &Host) {
        let writable = |mount: &&Mount| {
            let has = |name: &str| mount.options().iter().flatten().any(|option| option == name);
            matches!(mount.typ().as_deref(), Some("cgroup" | "cgroup2"))
                && mount.destination() == Path::new(CGROUPS)
                && !has("ro")
        };
        if self.layout == Layout::V2
            && self.private
            && uid != Some(host.euid)
            && spec.mounts().iter().flatten().any(|mount| writable(&mount))
        {
            self.unified.iter_mut().for_each(|unified| unified.owner = uid);
        }
    }

    /// How many `tasks` files a process writes itself to. Into the cgroup2 it is born, unless a unit has to come first.
    pub(crate) fn entrances(&self) -> u32 {
        let unified = usize::from(self.unit.is_some() && self.unified.is_some());
        let v1 = if self.layout == Layout::V1 { self.v1.len() } else { 0 };
        u32::try_from(v1 + unified).unwrap_or(u32::MAX)
    }

    /// What `state.json` says: controller to directory, as runc names them.
    pub(crate) fn paths(&self) -> super::Paths {
        if self.layout == Layout::None {
            return Vec::new();
        }
        self.v1.iter().chain(&self.unified).flat_map(Directory::names).collect()
    }
}

impl Directory {
    /// One entry a controller.
    pub(crate) fn names(&self) -> impl Iterator<Item = (String, PathBuf)> {
        self.controllers.split(',').map(|controller| (controller.to_owned(), self.path.clone()))
    }
}

fn device_rules(linux: &Linux) -> Result<Vec<Rule>> {
    let resources = linux.resources().as_ref();
    rules(resources.and_then(|resources| resources.devices().as_deref()).unwrap_or_default())
}

fn needs_cgroups(linux: &Linux) -> bool {
    linux.cgroups_path().as_ref().is_some_and(|path| !path.as_os_str().is_empty())
        || linux.resources().as_ref().is_some_and(resources::has_limits)
}

/// `cgroupsPath` is absolute below the hierarchy's mount, or relative to `base`; without one the id is the name
/// (config-linux.md#cgroups-path). It is cleaned first, so that it cannot climb.
fn place(hierarchy: &Hierarchy, base: &Path, configured: Option<&Path>, id: &str) -> PathBuf {
    match configured {
        Some(path) if path.is_absolute() => hierarchy.mount.join(clean(path)),
        Some(path) => base.join(clean(path)),
        None => base.join(id),
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

/// `[CONTROLLER[,CONTROLLER]:]PATH` below the container's own directories; without controllers, in all of them.
pub(crate) fn sub_cgroups(own: &[(String, PathBuf)], wanted: &[String]) -> Result<super::Paths> {
    let mut paths = own.to_vec();
    for entry in wanted {
        let (controllers, path) =
            entry.split_once(':').map_or((None, entry.as_str()), |(c, path)| (Some(c), path));
        let below = Path::new(path.trim_start_matches('/'));
        if below.components().any(|component| component == Component::ParentDir) {
            return Err(Error::new(Kind::InvalidArgument, format!("bad sub cgroup path: {path}")));
        }
        let named: Option<Vec<&str>> = controllers.map(|controllers| controllers.split(',').collect());
        for name in named.iter().flatten() {
            if !own.iter().any(|(controller, _)| controller == name) {
                return Err(Error::new(Kind::InvalidArgument, format!("unknown controller {name}")));
            }
        }
        for ((controller, path), (_, base)) in paths.iter_mut().zip(own) {
            if named.as_ref().is_none_or(|named| named.contains(&controller.as_str())) {
                *path = base.join(below);
            }
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Hierarchy {
        Hierarchy {
            controllers: "memory".into(),
            mount: "/sys/fs/cgroup/memory".into(),
            own: "/engine".into(),
            available: Vec::new(),
        }
    }

    #[test]
    fn a_cgroups_path_never_climbs_out_of_its_mount() {
        let at = |path: &str| place(&memory(), &own(&memory()), Some(Path::new(path)), "id");
        assert_eq!(at("/../../etc"), Path::new("/sys/fs/cgroup/memory/etc"));
        assert_eq!(at("/a/../b/./c"), Path::new("/sys/fs/cgroup/memory/b/c"));
        assert_eq!(at("a/../../b"), Path::new("/sys/fs/cgroup/memory/engine/b"));
    }

    #[test]
    fn without_a_path_the_id_is_the_name_below_the_own_cgroup() {
        assert_eq!(
            place(&memory(), &own(&memory()), None, "web"),
            Path::new("/sys/fs/cgroup/memory/engine/web")
        );
    }

    fn of_web() -> Vec<(String, PathBuf)> {
        [("memory", "/m/web"), ("pids", "/p/web")]
            .map(|(name, path)| (name.to_owned(), PathBuf::from(path)))
            .to_vec()
    }

    #[test]
    fn a_sub_cgroup_stays_below_the_containers_own() {
        let refused = sub_cgroups(&of_web(), &["/../other".into()]).unwrap_err();
        assert!(refused.to_string().contains("bad sub cgroup path"));
        assert!(
            sub_cgroups(&of_web(), &["cpu:/a".into()])
                .unwrap_err()
                .to_string()
                .contains("unknown controller")
        );
    }

    #[test]
    fn controllers_choose_which_directory_moves() {
        let paths = sub_cgroups(&of_web(), &["memory:/a".into()]).unwrap();
        assert_eq!(
            paths,
            [("memory".to_owned(), PathBuf::from("/m/web/a")), ("pids".to_owned(), "/p/web".into())]
        );
    }
}

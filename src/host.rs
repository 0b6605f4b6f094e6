//! Facts about the host, looked at once and passed as a value: who we are, where the cgroups are.
//!
//! Plans take a [`Host`] and never look themselves; a test's host is a row of a fixture.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::sys::file::filesystem_type;

/// What the plans may know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Host {
    /// The effective ids of the host process.
    pub(crate) euid: u32,
    pub(crate) egid: u32,
    /// Whether the host process is in a user namespace that does not map every id to itself.
    pub(crate) in_user_namespace: bool,
    pub(crate) cgroups: Cgroups,
    /// Whether cgroups can be made where the host process is, or on cgroup2 beside it.
    pub(crate) cgroups_writable: bool,
    /// Where resctrl is mounted, if it is.
    #[serde(default)]
    pub(crate) resctrl: PathBuf,
}

/// How the host's cgroups are laid out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cgroups {
    /// Controllers on v1 hierarchies, perhaps with a cgroup2 beside them (hybrid).
    V1 { hierarchies: Vec<Hierarchy>, unified: Option<Hierarchy> },
    /// One cgroup2 for all.
    V2(Hierarchy),
    /// None that we can see.
    Absent,
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hierarchy {
    /// `memory`, `cpu,cpuacct`, `name=systemd`; empty for cgroup2.
    pub(crate) controllers: String,
    pub(crate) mount: PathBuf,
    /// The host process's own cgroup in it.
    pub(crate) own: PathBuf,
    /// The controllers that a cgroup2 has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) available: Vec<String>,
}

impl Hierarchy {
    /// Whether `controller` is managed here.
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.split(',').any(|name| name == controller)
            || self.available.iter().any(|name| name == controller)
    }
}

/// Security modules that label processes; looked for only where a configuration names a label.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SecurityModules {
    pub(crate) apparmor: bool,
    pub(crate) selinux: bool,
}

impl SecurityModules {
    /// Looks.
    pub(crate) fn probe() -> Self {
        const SELINUX_MAGIC: i64 = 0xf97c_ff8c;
        let enabled = fs::read("/sys/module/apparmor/parameters/enabled").unwrap_or_default();
        Self {
            apparmor: enabled.starts_with(b"Y"),
            selinux: filesystem_type(Path::new("/sys/fs/selinux")) == Some(SELINUX_MAGIC),
        }
    }
}

const CGROUP_SUPER_MAGIC: i64 = 0x27_e0eb;
const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;
/// Where the cgroup filesystems are mounted.
pub(crate) const CGROUPS: &str = "/sys/fs/cgroup";
const RESCTRL: &str = "/sys/fs/resctrl";

impl Host {
    /// Looks.
    pub(crate) fn probe() -> Self {
        let (euid, in_user_namespace) = Self::probe_user();
        let cgroups = probe_cgroups();
        let cgroups_writable = writable(&cgroups);
        Self {
            euid,
            egid: nix::unistd::getegid().as_raw(),
            in_user_namespace,
            cgroups,
            cgroups_writable,
            resctrl: PathBuf::from(RESCTRL),
        }
    }

    /// The mount point of resctrl, if it is mounted: looked at only for a container that wants it.
    pub(crate) fn mounted_resctrl(&self) -> Option<&Path> {
        self.resctrl.join("tasks").exists().then_some(&self.resctrl)
    }

    /// The effective uid, and whether the user namespace is not the initial one.
    pub(crate) fn probe_user() -> (u32, bool) {
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        (nix::unistd::geteuid().as_raw(), !identity_map(&map))
    }

    /// As a caller wants it who does (`Some(false)`) without no cgroup: what may not be made is an error then.
    pub(crate) fn insisting(mut self, rootless: Option<bool>) -> Self {
        self.cgroups_writable |= rootless == Some(false);
        self
    }

    /// Whether cgroups and devices may be out of reach.
    pub(crate) fn is_rootless(&self) -> bool {
        self.euid != 0 || self.in_user_namespace
    }
}

/// Whether the own cgroup of every controller lets this process make another below it.
fn writable(cgroups: &Cgroups) -> bool {
    let may = |hierarchy: &Hierarchy| {
        let path = hierarchy.mount.join(strip(&hierarchy.own));
        // The second lets a process come from there: a v1 directory may be given away without it.
        let files = [path.clone(), path.join("cgroup.procs")];
        let files = &files[..if hierarchy.controllers.is_empty() { 2 } else { 1 }];
        files.iter().all(|path| nix::unistd::eaccess(path, nix::unistd::AccessFlags::W_OK).is_ok())
    };
    match cgroups {
        Cgroups::V1 { hierarchies, unified } => hierarchies.iter().chain(unified).all(may),
        // The container is beside us, see the plan.
        Cgroups::V2(hierarchy) => {
            let above = hierarchy.own.parent().unwrap_or(&hierarchy.own).to_owned();
            may(&Hierarchy { own: above, ..hierarchy.clone() })
        }
        Cgroups::Absent => false,
    }
}

/// The initial user namespace maps all ids onto themselves, perhaps in more than one line. No file: no user namespaces.
fn identity_map(map: &str) -> bool {
    let mut covered: u64 = 0;
    for line in map.lines() {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(inside)), Some(Ok(outside)), Some(Ok(size))) if inside == outside => covered += size,
            _ => return false,
        }
    }
    map.is_empty() || covered >= u64::from(u32::MAX)
}

fn probe_cgroups() -> Cgroups {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    if filesystem_type(Path::new(CGROUPS)) == Some(CGROUP2_SUPER_MAGIC) {
        let own = parse_own(&own).into_iter().find(|(controllers, _)| controllers.is_empty());
        let own = own.map_or_else(|| PathBuf::from("/"), |(_, path)| path);
        let available = available(Path::new(CGROUPS));
        return Cgroups::V2(Hierarchy { controllers: String::new(), mount: CGROUPS.into(), own, available });
    }
    let mut hierarchies = Vec::new();
    let mut unified = None;
    for (controllers, own) in parse_own(&own) {
        let name = if controllers.is_empty() { "unified" } else { controllers.trim_start_matches("name=") };
        let mount = Path::new(CGROUPS).join(name);
        let wanted = if controllers.is_empty() { CGROUP2_SUPER_MAGIC } else { CGROUP_SUPER_MAGIC };
        if filesystem_type(&mount) != Some(wanted) {
            continue;
        }
        // Seen from a container without a cgroup namespace, the path is the host's and not below our mount.
        let own =
            if own != Path::new("/") && !mount.join(strip(&own)).is_dir() { PathBuf::from("/") } else { own };
        let available = if controllers.is_empty() { available(&mount) } else { Vec::new() };
        let hierarchy = Hierarchy { controllers, mount, own, available };
        if hierarchy.controllers.is_empty() {
            unified = Some(hierarchy);
        } else {
            hierarchies.push(hierarchy);
        }
    }
    if hierarchies.is_empty() { Cgroups::Absent } else { Cgroups::V1 { hierarchies, unified } }
}

/// The controllers of a cgroup2 that no v1 hierarchy has taken.
fn available(mount: &Path) -> Vec<String> {
    let text = fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

fn strip(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// The lines of /proc/self/cgroup (cgroups(7)): `4:memory:/a`, `1:name=systemd:/`, `0::/`.
fn parse_own(text: &str) -> Vec<(String, PathBuf)> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            Some((fields.next()?.to_owned(), PathBuf::from(fields.next()?)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_maps_are_recognised_in_one_line_and_in_many() {
        assert!(identity_map("         0          0 4294967295\n"));
        assert!(identity_map("0 0 1000\n1000 1000 4294966295\n"));
        assert!(!identity_map("0 1000 1\n"));
        assert!(!identity_map("0 0 1\n"));
    }

    #[test]
    fn own_cgroups_are_read_with_their_controllers() {
        let own = parse_own("4:memory:/a:b\n1:name=systemd:/\n0::/c\n");
        let expected = [("memory", "/a:b"), ("name=systemd", "/"), ("", "/c")];
        assert_eq!(own, expected.map(|(name, path)| (name.to_owned(), PathBuf::from(path))));
    }
}

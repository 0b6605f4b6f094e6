//! Which namespaces are made and which are joined, in which order, with which maps. Pure.
//!
//! A new namespace belongs to the user namespace in which it is made, and only its root has power over it. So there are
//! three ways into them (user_namespaces(7)):
//!
//! * no other user namespace: new ones by the clone, then the given ones are joined; a network namespace may come last;
//! * a new user namespace alone: the clone makes it together with the others;
//! * a user namespace that is joined, or a new one beside given namespaces, which the new one's root may not enter: the
//!   init program is born with none, enters the given ones, then the user namespace, then makes the others.
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::path::Path;

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxIdMappingBuilder, LinuxNamespaceType};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::host::{Cgroups, Host};
use crate::wire::{Entrance, Step};

/// Each kind of namespace: its `CLONE_NEW*` flag, its name in configurations, its name below /proc/PID/ns.
pub(crate) const KINDS: [(LinuxNamespaceType, &str, &str); 8] = [
    (LinuxNamespaceType::Cgroup, "cgroup", "cgroup"),
    (LinuxNamespaceType::Ipc, "ipc", "ipc"),
    (LinuxNamespaceType::Mount, "mount", "mnt"),
    (LinuxNamespaceType::Network, "network", "net"),
    (LinuxNamespaceType::Pid, "pid", "pid"),
    (LinuxNamespaceType::Time, "time", "time"),
    (LinuxNamespaceType::User, "user", "user"),
    (LinuxNamespaceType::Uts, "uts", "uts"),
];

const CGROUP: u64 = LinuxNamespaceType::Cgroup as u64;
const IPC: u64 = LinuxNamespaceType::Ipc as u64;
const NETWORK: u64 = LinuxNamespaceType::Network as u64;
const PID: u64 = LinuxNamespaceType::Pid as u64;
const TIME: u64 = LinuxNamespaceType::Time as u64;
const USER: u64 = LinuxNamespaceType::User as u64;

/// What was found behind a path of `linux.namespaces`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Joined {
    /// `CLONE_NEW*`.
    pub(crate) flag: u64,
    pub(crate) path: String,
    /// It is the one that the host process is in: nothing to enter, nothing that the container has to itself.
    pub(crate) own: bool,
}

/// Namespaces, made and joined, and what the host writes for a new user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamespacePlan {
    /// `CLONE_NEW*` of the clone: all but those that need something done first.
    pub(crate) clone: u64,
    /// Given namespaces that the init program enters.
    pub(crate) join: Vec<Entrance>,
    /// The new user namespace is unshared by the init program, after it entered the given ones.
    pub(crate) unshare_user: bool,
    /// `CLONE_NEW*` that the init program unshares, as root of its user namespace if it has one.
    pub(crate) unshare: u64,
    /// A new time namespace, and the text for its offsets.
    pub(crate) time: Option<String>,
    /// A cgroup namespace, unshared once the cgroups are joined.
    pub(crate) cgroup: bool,
    pub(crate) maps: Option<IdMaps>,
}

/// The contents of the map files (user_namespaces(7)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdMaps {
    pub(crate) uid: String,
    pub(crate) gid: String,
    /// An unprivileged gid map needs it.
    pub(crate) deny_setgroups: bool,
    /// The maps hold more than the one id that an unprivileged process may map: newuidmap and newgidmap write them.
    pub(crate) by_helpers: bool,
}

impl NamespacePlan {
    /// `first`: the number of the first descriptor of those that are joined; they follow each other.
    pub(crate) fn new(linux: &Linux, host: &Host, joined: &[Joined], first: i32) -> Self {
        let given = |flag: u64| joined.iter().any(|joined| joined.flag == flag);
        let flags = linux.namespaces().iter().flatten().map(|namespace| namespace.typ() as u64);
        let new = flags.filter(|flag| !given(*flag)).fold(0, |all, flag| all | flag);
        let join: Vec<Entrance> = (first..)
            .zip(joined.iter().filter(|joined| !joined.own))
            .map(|(descriptor, Joined { flag, path, .. })| {
                let name = name(*flag);
                Entrance { flag: *flag, descriptor, name: format!("{name} namespace {path}") }
            })
            .collect();
        let joins_user = join.iter().any(|entrance| entrance.flag == USER);
        let mut plan = Self {
            unshare_user: new & USER != 0 && !join.is_empty(),
            time: (new & TIME != 0).then(|| offsets(linux)),
            cgroup: new & CGROUP != 0,
            maps: (new & USER != 0).then(|| maps(linux, host)),
            join,
            ..Self::default()
        };
        let new = new & !(TIME | CGROUP);
        if joins_user || plan.unshare_user {
            plan.unshare = new & !USER;
        } else if new & USER != 0 {
            // Its message queues belong to who makes it: in a user namespace that must be its root, who is nobody
            // before the maps are written.
            plan.unshare = new & IPC;
            plan.clone = new & !IPC;
        } else {
            // The costliest by far, and nothing before needs it: the init program makes it while the runtime makes the
            // cgroups. On cgroup2 there is one to make, and what is made inside it counts as the container's memory.
            plan.unshare = if matches!(host.cgroups, Cgroups::V1 { .. }) { new & NETWORK } else { 0 };
            plan.clone = new & !plan.unshare;
        }
        plan
    }

    /// Whether the container has a new namespace of this kind.
    pub(crate) fn has(&self, kind: LinuxNamespaceType) -> bool {
        self.new_ones() & kind as u64 != 0
    }

    /// Whether it has one that is not the host's.
    pub(crate) fn has_private(&self, kind: LinuxNamespaceType) -> bool {
        self.all() & kind as u64 != 0
    }

    fn new_ones(&self) -> u64 {
        let flag = |wanted: bool, flag: u64| if wanted { flag } else { 0 };
        self.clone
            | self.unshare
            | flag(self.unshare_user, USER)
            | flag(self.time.is_some(), TIME)
            | flag(self.cgroup, CGROUP)
    }

    /// The namespaces that others made.
    pub(crate) fn joined(&self) -> u64 {
        self.join.iter().fold(0, |all, entrance| all | entrance.flag)
    }

    /// All in which the container differs from the host.
    pub(crate) fn all(&self) -> u64 {
        self.new_ones() | self.joined()
    }

    /// The user namespace is entered by the init program itself.
    pub(crate) fn enters_user(&self) -> bool {
        self.unshare_user || self.joined() & USER != 0
    }

    /// There is nothing more that setgroups(2) could drop: it is denied in the new user namespace, or becoming root of
    /// the one that was joined has dropped what may be dropped there.
    pub(crate) fn denies_setgroups(&self) -> bool {
        self.maps.as_ref().is_some_and(|maps| maps.deny_setgroups) || self.joined() & USER != 0
    }

    /// Namespaces that the configuration names by path.
    pub(crate) fn given(linux: &Linux) -> Vec<(u64, &Path)> {
        let given = linux.namespaces().iter().flatten().filter_map(|namespace| {
            let path = namespace.path().as_deref().filter(|path| !path.as_os_str().is_empty())?;
            Some((namespace.typ() as u64, path))
        });
        given.collect()
    }

    /// From the birth of the init program into all namespaces but the cgroup's.
    pub(crate) fn entry(&self, privileged: bool, steps: &mut Vec<Step>) {
        let offsets = self.time.as_ref().is_some_and(|offsets| !offsets.is_empty());
        if self.enters_user() {
            if privileged {
                steps.push(Step::Conceal);
            }
            if offsets {
                // As root of the user namespace we may write to it, and not open it: it belongs to the outer root.
                steps.push(Step::OpenTimeOffsets);
            }
        } else {
            if self.maps.is_some() {
                // Until the maps are written, an unprivileged runtime must be able to write them: not concealed yet.
                steps.push(Step::AwaitIdMap);
                steps.push(Step::BecomeRoot);
            }
            steps.push(Step::Conceal);
            if offsets {
                steps.push(Step::OpenTimeOffsets);
            }
        }
        if !self.join.is_empty() {
            steps.push(Step::EnterNamespaces { namespaces: self.join.clone() });
        }
        if self.unshare_user {
            steps.push(Step::Unshare { flags: USER });
            steps.push(Step::TellUserNamespace);
            steps.push(Step::AwaitIdMap);
        }
        if self.enters_user() {
            steps.push(Step::BecomeRoot);
            steps.push(Step::Conceal);
        }
        if self.unshare != 0 {
            steps.push(Step::Unshare { flags: self.unshare });
        }
        steps.extend(self.time.clone().map(|offsets| Step::NewTimeNamespace { offsets }));
        if (self.unshare | self.joined()) & PID != 0 {
            steps.push(Step::Hop);
        }
        // One that was given has been set up by whoever made it.
        if self.has(LinuxNamespaceType::Network) {
            steps.push(Step::LoopbackUp);
        }
    }
}

/// The name of a kind in configurations.
pub(crate) fn name(flag: u64) -> &'static str {
    KINDS.iter().find(|(kind, ..)| *kind as u64 == flag).map_or("unknown", |(_, name, _)| name)
}

/// The name of a kind below /proc/PID/ns.
pub(crate) fn file(flag: u64) -> &'static str {
    KINDS.iter().find(|(kind, ..)| *kind as u64 == flag).map_or("unknown", |(_, _, file)| file)
}

/// What is written to /proc/self/timens_offsets (time_namespaces(7)).
fn offsets(linux: &Linux) -> String {
    let mut lines: Vec<String> = linux
        .time_offsets()
        .iter()
        .flatten()
        .map(|(clock, offset)| {
            format!("{clock} {} {}\n", offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0))
        })
        .collect();
    lines.sort();
    lines.concat()
}

fn maps(linux: &Linux, host: &Host) -> IdMaps {
    let uids = linux.uid_mappings().as_deref().unwrap_or_default();
    let gids = linux.gid_mappings().as_deref().unwrap_or_default();
    let own = |mappings: &[LinuxIdMapping], id: u32| matches!(mappings, [only] if only.size() == 1 && only.host_id() == id);
    let privileged = host.euid == 0;
    let only_own = own(uids, host.euid) && own(gids, host.egid);
    let by_helpers = !privileged && !only_own;
    IdMaps { uid: lines(uids), gid: lines(gids), deny_setgroups: !privileged && !by_helpers, by_helpers }
}

/// As the kernel's map files want them.
pub(crate) fn lines(mappings: &[LinuxIdMapping]) -> String {
    mappings.iter().fold(String::new(), |mut text, mapping| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {} {}", mapping.container_id(), mapping.host_id(), mapping.size());
        text
    })
}

/// The host's id behind one of the container's.
pub(crate) fn host_id(mappings: &[LinuxIdMapping], id: u32) -> Option<u32> {
    mappings.iter().find_map(|mapping| {
        let offset = id.checked_sub(mapping.container_id())?;
        (offset < mapping.size()).then(|| mapping.host_id().checked_add(offset)).flatten()
    })
}

/// The maps of a user namespace that exists, as the host sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FoundMaps {
    pub(crate) uid: Vec<LinuxIdMapping>,
    pub(crate) gid: Vec<LinuxIdMapping>,
}

/// The lines of /proc/PID/uid_map; one that is no map is left out.
pub(crate) fn parse_map(text: &str) -> Vec<LinuxIdMapping> {
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_ascii_whitespace().map(|number| number.parse::<u32>().ok());
            let (inside, outside, size) = (numbers.next()??, numbers.next()??, numbers.next()??);
            LinuxIdMappingBuilder::default().container_id(inside).host_id(outside).size(size).build().ok()
        })
        .collect()
}

/// A container that joins a user namespace has the mappings of that; a configuration that names some must name those.
pub(crate) fn adopt(linux: &mut Linux, found: FoundMaps) -> Result<()> {
    let agree = |configured: &Option<Vec<LinuxIdMapping>>, found: &[LinuxIdMapping]| {
        let configured = configured.as_deref().unwrap_or_default();
        configured.is_empty() || joined_up(configured) == joined_up(found)
    };
    for (name, configured, found) in
        [("uidMappings", linux.uid_mappings(), &found.uid), ("gidMappings", linux.gid_mappings(), &found.gid)]
    {
        if found.is_empty() {
            let message = format!("linux.{name}: the user namespace that is to be joined has none");
            return Err(Error::new(Kind::Userns, message));
        }
        if !agree(configured, found) {
            let message = format!("linux.{name}: not those of the user namespace that is to be joined");
            return Err(Error::new(Kind::InvalidSpec, message));
        }
    }
    linux.set_uid_mappings(Some(found.uid)).set_gid_mappings(Some(found.gid));
    Ok(())
}

/// The same map in as few extents as possible, in the order of the container's ids.
fn joined_up(mappings: &[LinuxIdMapping]) -> Vec<(u64, u64, u64)> {
    let wide = |mapping: &LinuxIdMapping| {
        (u64::from(mapping.container_id()), u64::from(mapping.host_id()), u64::from(mapping.size()))
    };
    let mut extents: Vec<_> = mappings.iter().map(wide).collect();
    extents.sort_unstable();
    let mut merged: Vec<(u64, u64, u64)> = Vec::new();
    for (inside, outside, size) in extents {
        match merged.last_mut() {
            Some(last) if last.0 + last.2 == inside && last.1 + last.2 == outside => last.2 += size,
            _ => merged.push((inside, outside, size)),
        }
    }
    merged
}

#[cfg(test)]
mod tests;

//! Which namespaces are made, and with which maps. Pure.
#![forbid(unsafe_code)]

use std::fmt::Write;

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType};
use serde::{Deserialize, Serialize};

use crate::host::Host;

/// New namespaces, and what the host writes for the user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamespacePlan {
    /// `CLONE_NEW*` of the clone: all but those that need something done first.
    pub(crate) clone: u64,
    /// `CLONE_NEW*` that the init program unshares.
    pub(crate) unshare: u64,
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
    pub(crate) fn new(linux: &Linux, host: &Host) -> Self {
        let mut plan = Self::default();
        let user =
            linux.namespaces().iter().flatten().any(|namespace| namespace.typ() == LinuxNamespaceType::User);
        for namespace in linux.namespaces().iter().flatten() {
            let flag = namespace.typ() as u64;
            if namespace.typ() == LinuxNamespaceType::Cgroup {
                plan.cgroup = true;
            } else if user && namespace.typ() == LinuxNamespaceType::Ipc {
                // Its message queues belong to who makes it: in a user namespace that must be its root, who is
                // nobody before the maps are written.
                plan.unshare |= flag;
            } else {
                plan.clone |= flag;
            }
        }
        if plan.clone & LinuxNamespaceType::User as u64 != 0 {
            plan.maps = Some(maps(linux, host));
        }
        plan
    }

    pub(crate) fn has(&self, kind: LinuxNamespaceType) -> bool {
        self.all() & kind as u64 != 0
    }

    /// All new namespaces.
    pub(crate) fn all(&self) -> u64 {
        self.clone | self.unshare | if self.cgroup { LinuxNamespaceType::Cgroup as u64 } else { 0 }
    }
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

fn lines(mappings: &[LinuxIdMapping]) -> String {
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

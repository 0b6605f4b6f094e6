//! Which mounts get ids of their own (`idmap`, `ridmap`, `uidMappings`, `gidMappings`), and whose they are. Pure.
//!
//! A mapping is told to the kernel as a user namespace: the container's, or one that is made for nothing else. Each
//! distinct one has a number among the descriptors of whoever opens the sources.
#![forbid(unsafe_code)]

use oci_spec::runtime::{Linux, LinuxIdMapping, Mount};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::namespace::plan::{IdMaps, lines};
use crate::wire::Idmap;

/// A user namespace for mappings of mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MountUserns {
    /// The container's own.
    Container,
    /// One that no process stays in.
    Made(IdMaps),
}

/// Collects the user namespaces of all mounts.
#[derive(Debug)]
pub(super) struct Idmaps<'a> {
    pub(super) linux: Option<&'a Linux>,
    pub(super) user_namespace: bool,
    /// The runtime is the host's root.
    pub(super) privileged: bool,
    pub(super) first_descriptor: i32,
    pub(super) found: Vec<MountUserns>,
}

impl Idmaps<'_> {
    /// What the mount on `target` asks for; `option` is its `idmap` or `ridmap`.
    pub(super) fn of(&mut self, mount: &Mount, target: &str, option: Option<bool>) -> Result<Option<Idmap>> {
        let uids = mount.uid_mappings().as_deref().unwrap_or_default();
        let gids = mount.gid_mappings().as_deref().unwrap_or_default();
        let refused = |kind, why: &str| {
            Err(Error::new(kind, format!("mounts: {target}: uidMappings, gidMappings: {why}")))
        };
        if uids.is_empty() != gids.is_empty() {
            return refused(Kind::InvalidSpec, "one without the other");
        }
        let Some(recursive) = option.or((!uids.is_empty()).then_some(false)) else { return Ok(None) };
        if !self.privileged {
            return refused(Kind::Unsupported, "ids of a mount are changed by root only");
        }
        let userns = if self.is_containers(uids, gids) {
            MountUserns::Container
        } else if uids.is_empty() {
            return refused(Kind::InvalidSpec, "idmap needs them where there is no user namespace");
        } else {
            MountUserns::Made(IdMaps {
                uid: lines(uids),
                gid: lines(gids),
                deny_setgroups: false,
                by_helpers: false,
            })
        };
        let index = self.found.iter().position(|known| *known == userns).unwrap_or(self.found.len());
        if index == self.found.len() {
            self.found.push(userns);
        }
        // Few: each is a distinct mapping of the document.
        let number = i32::try_from(index).unwrap_or(i32::MAX - self.first_descriptor);
        Ok(Some(Idmap { userns: self.first_descriptor + number, recursive }))
    }

    /// Nothing said means as the container; the same said is the same.
    fn is_containers(&self, uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> bool {
        let Some(linux) = self.linux.filter(|_| self.user_namespace) else { return false };
        let own = |mappings: &Option<Vec<LinuxIdMapping>>| lines(mappings.as_deref().unwrap_or_default());
        uids.is_empty()
            || (lines(uids) == own(linux.uid_mappings()) && lines(gids) == own(linux.gid_mappings()))
    }
}

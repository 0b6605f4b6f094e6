//! Namespaces that a configuration names by path: opened and looked at by the host, entered by init programs alone.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use std::path::Path;

use oci_spec::runtime::{Linux, LinuxNamespaceType, Spec};

use super::context::Context;
use super::deadline::Deadline;
use super::io::Streams;
use super::spawn::{Birth, Spawned};
use crate::cgroup::apply::Entrances;
use crate::error::Result;
use crate::namespace::apply;
use crate::namespace::plan::{self, FoundMaps, Joined, NamespacePlan};
use crate::plan::joined_number;
use crate::sys::namespace;
use crate::wire::{BUILD_ID, Entrance, InitPlan, Step};

const USER: u64 = LinuxNamespaceType::User as u64;

/// What is behind the paths.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) facts: Vec<Joined>,
    /// Of those that are not the host's, in the same order.
    descriptors: Vec<OwnedFd>,
}

impl Given {
    /// Opens them. A user namespace that is joined gives `spec` its mappings.
    pub(super) fn open(context: &Context, spec: &mut Spec, deadline: &Deadline<'_>) -> Result<Self> {
        let mut given = Self::default();
        let Some(linux) = spec.linux_mut() else { return Ok(given) };
        for (flag, path) in NamespacePlan::given(linux) {
            let (fact, file) = apply::open(flag, path)?;
            if !fact.own {
                given.descriptors.push(file);
            }
            given.facts.push(fact);
        }
        if given.facts.iter().any(|fact| fact.own && fact.flag == USER) {
            plan::adopt(linux, apply::read_maps(std::process::id().cast_signed())?)?;
            // It is the host's: no id is another in it.
            linux.set_uid_mappings(None).set_gid_mappings(None);
        }
        if let Some((user, file)) = given.entered().find(|(fact, _)| fact.flag == USER) {
            plan::adopt(linux, maps_of(context, user, file, deadline)?)?;
        }
        Ok(given)
    }

    /// Those that are not the host's, by descriptor.
    pub(super) fn descriptors(&self) -> &[OwnedFd] {
        &self.descriptors
    }

    fn entered(&self) -> impl Iterator<Item = (&Joined, BorrowedFd<'_>)> {
        self.facts.iter().filter(|fact| !fact.own).zip(self.descriptors.iter().map(AsFd::as_fd))
    }

    /// Hands the descriptors to the init program, under the numbers that the plan knows them by.
    pub(super) fn add_to(&self, streams: &mut Streams, keep_below: i32) {
        for (number, file) in (joined_number(keep_below)..).zip(&self.descriptors) {
            streams.add(file.as_fd(), number);
        }
    }
}

/// The namespaces that the configuration names by path: `CLONE_NEW*` and the path.
pub(super) fn given(linux: &Linux) -> Vec<(u64, &Path)> {
    NamespacePlan::given(linux)
}

/// What an exec has to enter: all in which the container differed from the host process that made it, and what that had
/// to itself and this one has not.
pub(super) fn to_enter(init: i32, made: u64) -> u64 {
    /// Those that engines and their callers are in at times.
    const INHERITED: [LinuxNamespaceType; 4] = [
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Network,
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Uts,
    ];
    let inherited = INHERITED.iter().map(|kind| *kind as u64).filter(|flag| made & flag == 0);
    let elsewhere = inherited.filter(|flag| {
        let name = plan::file(*flag);
        // What cannot be compared is what the host process has.
        matches!((namespace::identity_of(init, name), namespace::own_identity(name)), (Ok(its), Ok(own)) if its != own)
    });
    elsewhere.fold(made, |all, flag| all | flag)
}

/// Gives the configuration of a container the mappings of the user namespace that it joined.
pub(super) fn adopt_of(init: i32, joined: u64, spec: &mut Spec) -> Result<()> {
    match spec.linux_mut() {
        Some(linux) if joined & USER != 0 => plan::adopt(linux, apply::read_maps(init)?),
        _ => Ok(()),
    }
}

/// The kernel tells the maps of a process's user namespace only, and not whose it is: an init program enters it, is
/// looked at, and is killed.
fn maps_of(
    context: &Context,
    user: &Joined,
    file: BorrowedFd<'_>,
    deadline: &Deadline<'_>,
) -> Result<FoundMaps> {
    const NAMESPACE: i32 = 3;
    let name = format!("{} namespace {}", plan::name(user.flag), user.path);
    let entrance = Entrance { flag: user.flag, descriptor: NAMESPACE, name };
    let mut steps =
        vec![Step::EnterNamespaces { namespaces: vec![entrance] }, Step::TellUserNamespace, Step::AwaitIdMap];
    if context.host().euid == 0 {
        steps.insert(0, Step::Conceal);
    }
    let birth = Birth {
        program: context.init_program()?,
        namespaces: 0,
        entrances: &Entrances::default(),
        oom_score_adj: None,
        affinity: &[],
        unmapped: false,
        orphan: false,
        context,
    };
    let mut streams = Streams::default();
    streams.add(file, NAMESPACE);
    let looker = InitPlan { build_id: BUILD_ID.to_owned(), steps };
    let looker = Spawned::new(&birth, &looker, streams, NAMESPACE + 1)?.in_user_namespace(deadline)?;
    apply::read_maps(looker.pid())
}

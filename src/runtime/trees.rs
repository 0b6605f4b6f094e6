//! Sources of mounts that the init program may not open itself, and user namespaces that hold the ids of mounts.
//!
//! The root of a user namespace may be kept out of a directory that its runtime can read, and may not change the ids of
//! the host's files. For such a source the init program asks, and a helper opens it: another init program, with the
//! runtime's privileges, that joins the container's mount namespace and nothing else. A host with threads could not
//! join it, and a tree from the host's own mount namespace would come without the flags that are locked for the
//! container. The helper is started at the first question and ends with the last: containers that ask nothing pay nothing.
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use super::context::Context;
use super::deadline::Deadline;
use super::io::Streams;
use super::spawn::{Birth, Spawned};
use crate::cgroup::apply::Entrances;
use crate::error::{Error, Kind, Result};
use crate::mount::plan::MountUserns;
use crate::namespace;
use crate::namespace::plan::IdMaps;
use crate::plan::Plan;
use crate::sys::clone::Child;
use crate::sys::errno_of;
use crate::wire::{BUILD_ID, InitPlan, OpenedBy, Step, Tree};

/// Where the helper finds the container's pidfd,
const PIDFD: i32 = 3;
/// its socket,
const SOCKET: i32 = 4;
/// and the user namespaces.
const USERNS: i32 = 5;

/// Opens sources for one init program.
#[derive(Debug)]
pub(super) struct Trees<'a> {
    context: &'a Context,
    plan: &'a Plan,
    /// The first of the user namespaces among the descriptors of the plan.
    first: i32,
    deadline: &'a Deadline<'a>,
    helper: Option<Spawned>,
}

impl<'a> Trees<'a> {
    pub(super) const fn new(
        context: &'a Context,
        plan: &'a Plan,
        first: i32,
        deadline: &'a Deadline<'a>,
    ) -> Self {
        Self { context, plan, first, deadline, helper: None }
    }

    /// User namespaces for an init program that opens all sources itself, with the numbers that the plan gave them.
    pub(super) fn userns_for_init(&self) -> Result<Vec<(OwnedFd, i32)>> {
        let user_namespace = self.plan.own_namespaces & libc::CLONE_NEWUSER as u64 != 0;
        let made = self.plan.mount_userns.iter().filter_map(|userns| match userns {
            MountUserns::Made(maps) if !user_namespace => Some(maps),
            _ => None,
        });
        made.zip(self.first..).map(|(maps, number)| Ok((self.make_userns(maps)?, number))).collect()
    }

    /// The source of a step of `init`.
    pub(super) fn open(&mut self, step: u32, init: &Child) -> Result<OwnedFd> {
        let helper = match self.helper.take() {
            Some(helper) => helper,
            None => self.start(init)?,
        };
        self.helper.insert(helper).tree(step, self.deadline)
    }

    fn start(&self, init: &Child) -> Result<Spawned> {
        let mut held = Vec::new();
        let mut streams = Streams::default();
        streams.add(init.pidfd.as_fd(), PIDFD);
        for userns in &self.plan.mount_userns {
            held.push(match userns {
                MountUserns::Container => open_userns(init.pid)?,
                MountUserns::Made(maps) => self.make_userns(maps)?,
            });
        }
        for (number, userns) in (USERNS..).zip(&held) {
            streams.add(userns.as_fd(), number);
        }
        let mount_namespace = libc::CLONE_NEWNS as u64;
        let steps = vec![
            Step::Conceal,
            Step::JoinNamespaces { flags: mount_namespace, pidfd: PIDFD },
            Step::OpenTrees { trees: self.trees() },
        ];
        self.spawn(0, steps, streams, SOCKET)
    }

    /// Everything that may be asked for; the user namespaces have the helper's numbers.
    fn trees(&self) -> Vec<Tree> {
        let moved = USERNS - self.first;
        let tree = |(step, source): (u32, &Step)| match source {
            Step::OpenRoot { path, opened_by } if *opened_by != OpenedBy::Init => Some(Tree {
                step,
                source: path.clone(),
                target: "/".to_owned(),
                recursive: true,
                idmap: None,
            }),
            Step::Bind(bind) if bind.opened_by != OpenedBy::Init => Some(Tree {
                step,
                source: bind.source.clone(),
                target: bind.target.clone(),
                recursive: bind.recursive,
                idmap: bind.idmap.map(|mut idmap| {
                    idmap.userns += moved;
                    idmap
                }),
            }),
            _ => None,
        };
        (0..).zip(&self.plan.init.steps).filter_map(tree).collect()
    }

    /// A user namespace with these maps. Its one process waits until it is killed; the descriptor keeps the namespace.
    fn make_userns(&self, maps: &IdMaps) -> Result<OwnedFd> {
        let process =
            self.spawn(libc::CLONE_NEWUSER as u64, vec![Step::AwaitIdMap], Streams::default(), SOCKET)?;
        namespace::apply::write_maps(process.pid(), maps)
            .map_err(|error| error.during("make a user namespace for uidMappings, gidMappings of a mount"))?;
        open_userns(process.pid())
    }

    fn spawn(&self, namespaces: u64, steps: Vec<Step>, streams: Streams, socket: i32) -> Result<Spawned> {
        let birth = Birth {
            program: self.context.init_program()?,
            namespaces,
            entrances: &Entrances::default(),
            oom_score_adj: None,
            affinity: &[],
            unmapped: false,
            orphan: false,
            context: self.context,
        };
        Spawned::new(&birth, &InitPlan { build_id: BUILD_ID.to_owned(), steps }, streams, socket)
    }
}

fn open_userns(pid: i32) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/ns/user");
    let file = File::open(&path)
        .map_err(|error| Error::os(Kind::Userns, format!("open {path}"), errno_of(&error)))?;
    Ok(file.into())
}

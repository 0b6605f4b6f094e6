//! What the managers share: making, filling, listing and removing the directories of a plan.
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::controllers;
use super::devices::attach;
use super::plan::Directory;
use super::resources;
use crate::error::{Error, Kind, Result};
use crate::sys::{Errno, errno_of, file};
use crate::wording;

/// What a new process needs to be born in the cgroups.
#[derive(Debug, Default)]
pub(crate) struct Entrances {
    /// `tasks` of each v1 directory.
    pub(crate) tasks: Vec<OwnedFd>,
    /// The cgroup2 directory.
    pub(crate) unified: Option<OwnedFd>,
    /// Its path.
    pub(crate) place: Option<PathBuf>,
    /// Who may not be born there is to be [attached](super::Manager::attach).
    pub(crate) by_pid: bool,
}

/// The directories that a create made itself. Others were there before, with whatever is in them.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// The container's own.
    own: Vec<(String, PathBuf)>,
    /// Those on the way to them, from the top.
    parents: Vec<PathBuf>,
    /// systemd has made the unit.
    pub(super) unit: bool,
}

impl Made {
    /// The container's own.
    pub(crate) fn own(&self) -> &[(String, PathBuf)] {
        &self.own
    }

    /// Removes them.
    pub(super) fn unmake(&self) -> Result<()> {
        let removed = remove(&self.own);
        for parent in self.parents.iter().rev() {
            // One that somebody else has moved into meanwhile stays.
            let _ = fs::remove_dir(parent);
        }
        removed
    }
}

/// Makes, fills and opens a cgroup2 directory, in which the process is born.
pub(super) fn make_unified(directory: &Directory, made: &mut Made) -> Result<OwnedFd> {
    let fresh = make_directory(directory, made).map_err(no_permission)?;
    let refused = controllers::enable(directory);
    controllers::check(directory, refused.as_ref())?;
    fill(directory)?;
    if let Some(rules) = &directory.devices {
        attach::set(&directory.path, rules, fresh)?;
    }
    if let Some(owner) = directory.owner {
        delegate(&directory.path, owner)?;
    }
    file::open_directory(&directory.path).map_err(cannot_open(&directory.path))
}

/// Makes and fills a v1 directory, and opens its `tasks` file.
pub(super) fn make_v1(directory: &Directory, made: &mut Made) -> Result<OwnedFd> {
    let fresh = make_directory(directory, made).map_err(no_permission)?;
    if directory.controllers.split(',').any(|controller| controller == "cpuset") {
        inherit_cpuset(&directory.path, &directory.mount, fresh)?;
    }
    fill(directory)?;
    open_tasks(&directory.path)
}

/// Fills and opens a directory of a unit's, in which the process may be already; makes it where systemd keeps none.
pub(super) fn adopt(directory: &Directory, made: &mut Made) -> Result<OwnedFd> {
    let path = directory.path.as_path();
    let make = make_parents(path, made).and_then(|()| match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        made => made.map(|()| true),
    });
    let fresh = make.map_err(|error| no_permission(cgroup_error("make cgroup", path, &error)))?;
    made.own.extend(directory.names());
    if directory.controllers.is_empty() {
        // Those that systemd does not know, like hugetlb.
        let refused = controllers::enable(directory);
        controllers::check(directory, refused.as_ref())?;
    }
    if directory.controllers.split(',').any(|controller| controller == "cpuset") {
        inherit_cpuset(path, &directory.mount, fresh)?;
    }
    fill(directory)?;
    if let Some(rules) = &directory.devices {
        attach::set(path, rules, fresh)?;
    }
    let entrance = if directory.controllers.is_empty() { "cgroup.procs" } else { "tasks" };
    if let Some(owner) = directory.owner {
        delegate(path, owner)?;
    }
    file::open_writable(&path.join(entrance)).map_err(cannot_open(path))
}

/// Gives a cgroup2 directory to the root of the container's user namespace, with the files that the kernel says may be
/// given away (cgroup-v2.rst, "Model of Delegation").
fn delegate(path: &Path, uid: u32) -> Result<()> {
    const USUAL: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";
    let files = fs::read_to_string("/sys/kernel/cgroup/delegate").unwrap_or_else(|_| USUAL.to_owned());
    let give = |path: &Path| std::os::unix::fs::chown(path, Some(uid), None);
    give(path).map_err(|error| cgroup_error("change owner of cgroup", path, &error))?;
    for path in files.lines().map(|name| path.join(name)) {
        match give(&path) {
            // The list is the kernel's, not this cgroup's.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            given => given.map_err(|error| cgroup_error("change owner of cgroup", &path, &error))?,
        }
    }
    Ok(())
}

/// An ordinary user who asks for limits learns what it would take.
fn no_permission(error: Error) -> Error {
    // Nobody can write where it is read-only.
    let denied = error.kind() == Kind::Permission && error.errno() != Some(libc::EROFS);
    if denied { error.during(wording::ROOTLESS_CGROUP) } else { error }
}

/// Whether it was made, and not there already.
fn make_directory(directory: &Directory, made: &mut Made) -> Result<bool> {
    let path = directory.path.as_path();
    let mut create = fs::create_dir(path);
    if create.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        create = make_parents(path, made).and_then(|()| fs::create_dir(path));
    }
    match create {
        Ok(()) => {
            made.own.extend(directory.names());
            Ok(true)
        }
        // Left by a container that was killed, or made by an engine for this one.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => empty(path).map(|()| false),
        Err(error) => Err(error),
    }
    .map_err(|error| cgroup_error("make cgroup", path, &error))
}

fn make_parents(path: &Path, made: &mut Made) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().skip(1).take_while(|parent| !parent.is_dir()).collect();
    for parent in missing.into_iter().rev() {
        match fs::create_dir(parent) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => {
                outcome?;
                made.parents.push(parent.to_owned());
            }
        }
    }
    Ok(())
}

/// Processes of somebody else must not come under this container's limits, and this one must not be frozen with them.
fn empty(path: &Path) -> io::Result<()> {
    let is = |name: &str, value: &str| {
        fs::read_to_string(path.join(name)).is_ok_and(|text| text.trim_end() == value)
    };
    if is("cgroup.freeze", "1") || is("freezer.state", "FROZEN") {
        return Err(io::Error::other(wording::CGROUP_FROZEN));
    }
    let mut members = Vec::new();
    collect(path, &mut members)?;
    match members.len() {
        0 => Ok(()),
        members => Err(io::Error::other(wording::cgroup_not_empty(members))),
    }
}

fn cgroup_error(doing: &str, path: &Path, error: &io::Error) -> Error {
    let doing = format!("{doing} {}", path.display());
    if error.raw_os_error().is_none() {
        return Error::new(Kind::Cgroup, error.to_string()).during(doing);
    }
    let errno = errno_of(error);
    let denied = [libc::EACCES, libc::EPERM, libc::EROFS].contains(&errno);
    Error::os(if denied { Kind::Permission } else { Kind::Cgroup }, doing, errno)
}

fn fill(directory: &Directory) -> Result<()> {
    resources::apply::write(&|_| Some(directory.path.clone()), &directory.writes)
}

/// A new cpuset has no CPUs and no memory, and nobody can enter it (cpuset(7)): it takes its parent's, from the top.
fn inherit_cpuset(path: &Path, mount: &Path, fresh: bool) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        inherit(path, mount, name, fresh).map_err(|error| cgroup_error("fill cpuset of", path, &error))?;
    }
    Ok(())
}

/// `fresh`: made just now, so there is nothing in it to be kept.
fn inherit(path: &Path, mount: &Path, name: &str, fresh: bool) -> io::Result<String> {
    if !fresh || path == mount {
        let own = fs::read_to_string(path.join(name))?;
        if !own.trim().is_empty() || path == mount {
            return Ok(own);
        }
    }
    let inherited = match path.parent() {
        Some(parent) => inherit(parent, mount, name, false)?,
        None => return Ok(String::new()),
    };
    fs::write(path.join(name), inherited.trim_end())?;
    Ok(inherited)
}

/// Opens what a process writes itself to, or is born in.
pub(super) fn open(paths: &[(String, PathBuf)]) -> Result<Entrances> {
    let mut entrances = Entrances::default();
    let mut opened: Vec<&Path> = Vec::new();
    for (controller, path) in paths {
        // Controllers that share a hierarchy share the directory.
        if opened.contains(&path.as_path()) {
            continue;
        }
        opened.push(path);
        if controller.is_empty() {
            entrances.unified = Some(file::open_directory(path).map_err(cannot_open(path))?);
            entrances.place = Some(path.clone());
        } else {
            entrances.tasks.push(open_tasks(path)?);
        }
    }
    Ok(entrances)
}

fn open_tasks(path: &Path) -> Result<OwnedFd> {
    file::open_writable(&path.join("tasks")).map_err(cannot_open(path))
}

fn cannot_open(path: &Path) -> impl Fn(Errno) -> Error {
    move |errno| Error::os(Kind::Cgroup, format!("open cgroup {}", path.display()), errno as i32)
}

/// The members of a cgroup, those of its sub-cgroups included.
pub(super) fn members(path: &Path) -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    collect(path, &mut pids).map_err(|error| cgroup_error("list members of cgroup", path, &error))?;
    Ok(pids)
}

fn collect(path: &Path, pids: &mut Vec<i32>) -> io::Result<()> {
    // The processes of a threaded cgroup are listed where their domain begins.
    let gone = |error: &io::Error| [libc::ENOENT, libc::ENODEV, libc::EOPNOTSUPP].contains(&errno_of(error));
    let text = match fs::read_to_string(path.join("cgroup.procs")) {
        Err(error) if gone(&error) => return Ok(()),
        text => text?,
    };
    pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
    let Ok(entries) = fs::read_dir(path) else { return Ok(()) };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        collect(&entry.path(), pids)?;
    }
    Ok(())
}

/// Removes the directories and their sub-cgroups. A process that is still on its way out keeps them busy for a moment.
pub(super) fn remove(paths: &[(String, PathBuf)]) -> Result<()> {
    let mut first = None;
    for (_, path) in paths {
        if let Err(error) = remove_one(path) {
            first.get_or_insert(cgroup_error("remove cgroup", path, &error));
        }
    }
    first.map_or(Ok(()), Err)
}

fn remove_one(path: &Path) -> io::Result<()> {
    const TRIES: u32 = 10;
    let mut pause = Duration::from_millis(1);
    for attempt in 1.. {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if attempt == TRIES => return Err(error),
            Err(_) => {}
        }
        remove_below(path);
        if fs::remove_dir(path).is_ok() {
            return Ok(());
        }
        thread::sleep(pause);
        pause *= 2;
    }
    Ok(())
}

/// Sub-cgroups, deepest first. What cannot go now is tried again with its parent.
fn remove_below(path: &Path) {
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_below(&entry.path());
        let _ = fs::remove_dir(entry.path());
    }
}

//! What a cgroup tells without being asked: memory that ran out, a freeze or a thaw, stalls.
//!
//! Files of cgroup2 are urgent for poll(2) when they changed; v1 has an eventfd for memory and nothing for its freezer,
//! whose file is watched by inotify(7) instead. Each source says by which descriptor it is heard, and is then looked at.
#![forbid(unsafe_code)]

mod pressure;
mod v1;
mod v2;

use std::fmt::Debug;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

pub(crate) use self::pressure::Trigger;
pub use self::pressure::{Pressure, Resource};
use crate::error::{Error, Kind, Result};
use crate::sys::Errno;

/// How often memory ran out since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ooms {
    pub(crate) oom: u64,
    pub(crate) kills: u64,
    /// Somebody may be killed any moment, and nothing will tell.
    pub(crate) unsettled: bool,
}

/// Memory that runs out.
pub(crate) trait Memory: Debug + Send {
    /// What is ready when there may be something new, and whether that is urgent data.
    fn fd(&self) -> (BorrowedFd<'_>, bool);

    /// What is new. Nothing, once the cgroup is gone.
    fn look(&mut self) -> Ooms;

    /// The cgroup is gone, and its descriptor is ready for ever.
    fn is_gone(&self) -> bool;
}

/// Whether all stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freezing {
    Frozen,
    Thawed,
    /// On the way; nothing tells when it is over.
    Unsettled,
    Gone,
}

/// The freezer.
pub(crate) trait Freezer: Debug + Send {
    /// What is ready when it may have changed, and whether that is urgent data.
    fn fd(&self) -> (BorrowedFd<'_>, bool);

    /// How it is now.
    fn look(&mut self) -> Freezing;
}

fn of<'a>(paths: &'a [(String, PathBuf)], controller: &str) -> Option<&'a Path> {
    paths.iter().find(|(name, _)| name == controller).map(|(_, path)| path.as_path())
}

/// The cgroup2, where it has the controllers.
fn v2_of(paths: &[(String, PathBuf)]) -> Option<&Path> {
    if paths.len() == 1 { of(paths, "") } else { None }
}

/// Watches a container's memory; `None` if nobody counts it.
pub(crate) fn memory(paths: &[(String, PathBuf)]) -> Result<Option<Box<dyn Memory>>> {
    if let Some(path) = of(paths, "memory") {
        return Ok(Some(Box::new(v1::Memory::new(path)?)));
    }
    match v2_of(paths) {
        Some(path) => Ok(v2::Memory::new(path)?.map(|memory| Box::new(memory) as Box<dyn Memory>)),
        None => Ok(None),
    }
}

/// Watches its freezer; `None` if there is none.
pub(crate) fn freezer(paths: &[(String, PathBuf)]) -> Result<Option<Box<dyn Freezer>>> {
    if let Some(path) = of(paths, "freezer") {
        return Ok(Some(Box::new(v1::Freezer::new(path)?)));
    }
    match of(paths, "") {
        Some(path) => Ok(Some(Box::new(v2::Freezer::new(path)?))),
        None => Ok(None),
    }
}

/// Has the kernel tell of stalls, which the cgroup2 counts, whoever has the controllers.
pub(crate) fn trigger(paths: &[(String, PathBuf)], wanted: &Pressure) -> Result<Trigger> {
    match of(paths, "") {
        Some(path) => Trigger::new(path, wanted),
        None => Err(Error::new(Kind::Cgroup, "the container is in no cgroup2").during("watch pressure")),
    }
}

fn cannot_watch(path: &Path) -> impl Fn(Errno) -> Error {
    move |errno| Error::os(Kind::Cgroup, format!("watch {}", path.display()), errno as i32)
}

/// The first bytes of a file that is open: enough for what is looked at here. `None`: the cgroup is gone.
fn now(file: &std::fs::File) -> Option<String> {
    let mut bytes = [0; 1024];
    let length = std::os::unix::fs::FileExt::read_at(file, &mut bytes, 0).ok()?;
    Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

/// A number by its name, of lines of both.
fn value(text: &str, name: &str) -> u64 {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_whole_name() {
        let text = "low 0\nhigh 0\nmax 5\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!((value(text, "oom"), value(text, "oom_kill"), value(text, "kill")), (3, 2, 0));
    }
}

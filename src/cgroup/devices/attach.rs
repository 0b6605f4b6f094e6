//! Changes the device rules of a cgroup: lines for v1, a program for v2.
//!
//! All programs of a cgroup and of those above it must allow. Ours takes the place of its predecessor in one step, so that
//! there is no moment without any, and none is left behind; so it does with systemd's, whose rules are the same.
#![forbid(unsafe_code)]

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use super::list::{Line, List};
use super::program;
use super::rules::Rule;

use crate::error::{Error, Kind, Result};
use crate::sys::bpf::{self, Instruction};
use crate::sys::{Errno, file};

/// What a v1 cgroup has now. Exceptions from allowing everything cannot be read: those that `known` leads to, then.
pub(crate) fn list(directory: &Path, known: List) -> List {
    let text = fs::read_to_string(directory.join("devices.list")).unwrap_or_default();
    match List::parse(&text) {
        Some(list) if list.allows_by_default() && known.allows_by_default() => known,
        Some(list) => list,
        None => known,
    }
}

/// Writes lines to a v1 cgroup.
pub(crate) fn write(directory: &Path, lines: &[Line]) -> Result<()> {
    for (name, rule) in lines {
        let path = directory.join(name);
        file::write_value(&path, rule).map_err(|errno| {
            let kind = if errno == Errno::EPERM { Kind::Permission } else { Kind::Cgroup };
            let doing = format!("write {rule:?} to {}", path.display());
            Error::os(kind, doing, errno as i32).during("set linux.resources.devices")
        })?;
    }
    Ok(())
}

/// Gives a cgroup2 directory the program of these rules. `fresh`: it has none.
pub(crate) fn set(directory: &Path, rules: &[Rule], fresh: bool) -> Result<()> {
    match program::compile(rules) {
        Some(program) => attach(directory, &program),
        None if fresh => Ok(()),
        None => attach(directory, &program::everything()),
    }
}

/// Attaches the program; what was attached before is gone then. On failure it is still there.
fn attach(directory: &Path, program: &[Instruction]) -> Result<()> {
    let error = |doing: &str, errno: Errno| {
        let kind = if errno == Errno::EPERM { Kind::Permission } else { Kind::Cgroup };
        let doing = format!("{doing} device rules of cgroup {}", directory.display());
        let error = Error::os(kind, doing, errno as i32);
        if errno == Errno::E2BIG {
            error.replace_cause("the cgroup has 64 device programs already")
        } else {
            error
        }
    };
    let cgroup = file::open_directory(directory).map_err(|errno| error("open", errno))?;
    let cgroup = cgroup.as_fd();
    let new = bpf::load_device_program(program).map_err(|errno| error("load", errno))?;
    let mut old = present(cgroup).map_err(|errno| error("look for", errno))?;
    match (instead(cgroup, new.as_fd(), &mut old), old.pop()) {
        // No room: the last goes first. The kernel refuses also one that takes another's place.
        (Err(Errno::E2BIG), Some(last)) => {
            bpf::detach(cgroup, last.as_fd()).map_err(|errno| error("detach former", errno))?;
            instead(cgroup, new.as_fd(), &mut old).map_err(|errno| {
                let _ = bpf::attach(cgroup, last.as_fd(), None);
                error("attach", errno)
            })?;
        }
        (attached, last) => {
            old.extend(last);
            attached.map_err(|errno| error("attach", errno))?;
        }
    }
    for program in &old {
        match bpf::detach(cgroup, program.as_fd()) {
            // Gone meanwhile is gone.
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(error("detach former", errno)),
        }
    }
    Ok(())
}

/// In the place of the first, which is no longer among the others then; or beside them.
fn instead(
    cgroup: BorrowedFd<'_>,
    new: BorrowedFd<'_>,
    old: &mut Vec<OwnedFd>,
) -> std::result::Result<(), Errno> {
    if let Some(first) = old.first() {
        match bpf::attach(cgroup, new, Some(first.as_fd())) {
            // KERNEL(5.6): before, it is attached beside it first; EPERM: somebody attached his to be alone.
            Err(Errno::EINVAL) => {}
            Err(errno) => return Err(errno),
            Ok(()) => {
                old.remove(0);
                return Ok(());
            }
        }
    }
    bpf::attach(cgroup, new, None)
}

/// Those that we may open.
fn present(cgroup: BorrowedFd<'_>) -> std::result::Result<Vec<OwnedFd>, Errno> {
    let mut programs = Vec::new();
    for id in bpf::attached(cgroup)? {
        match bpf::by_id(id) {
            Ok(program) => programs.push(program),
            // Detached meanwhile; or of a user namespace above ours.
            Err(Errno::ENOENT | Errno::EPERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(programs)
}

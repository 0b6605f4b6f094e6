//! The host's half of namespaces: opening given ones, the id maps of a new user namespace. None is entered here.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::plan::{self, FoundMaps, IdMaps, Joined};
use crate::error::{Error, Kind, Result};
use crate::sys::{Errno, file, namespace};

/// Opens a namespace by its path, and makes sure that it is one, and of this kind.
pub(crate) fn open(flag: u64, path: &Path) -> Result<(Joined, OwnedFd)> {
    let object = format!("{} namespace {}", plan::name(flag), path.display());
    let error = |errno: Errno| Error::os(Kind::System, format!("open {object}"), errno as i32);
    let file = namespace::open(path).map_err(error)?;
    match namespace::kind(file.as_fd()).map_err(error)? {
        Some(kind) if kind == flag => {}
        Some(other) => {
            let what = format!("it is a namespace of type {}", plan::name(other));
            return Err(Error::new(Kind::InvalidSpec, what).during(format!("open {object}")));
        }
        None => return Err(Error::new(Kind::InvalidSpec, "not a namespace").during(format!("open {object}"))),
    }
    let own = namespace::own_identity(plan::file(flag)).map_err(error)?;
    let own = namespace::identity(file.as_fd()).map_err(error)? == own;
    Ok((Joined { flag, path: path.to_string_lossy().into_owned(), own }, file))
}

/// The maps of the user namespace that a process is in.
pub(crate) fn read_maps(pid: i32) -> Result<FoundMaps> {
    let read = |name: &str| {
        let path = format!("/proc/{pid}/{name}");
        std::fs::read_to_string(&path)
            .map(|text| plan::parse_map(&text))
            .map_err(|error| Error::os(Kind::Userns, format!("read {path}"), crate::sys::errno_of(&error)))
    };
    Ok(FoundMaps { uid: read("uid_map")?, gid: read("gid_map")? })
}

/// Writes the maps of the process `pid`, which waits for them.
pub(crate) fn write_maps(pid: i32, maps: &IdMaps) -> Result<()> {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    if maps.deny_setgroups {
        write(&proc.join("setgroups"), "deny")?;
    }
    if maps.by_helpers {
        by_helper("newgidmap", pid, &maps.gid)?;
        return by_helper("newuidmap", pid, &maps.uid);
    }
    write_map(&proc.join("gid_map"), &maps.gid)?;
    write_map(&proc.join("uid_map"), &maps.uid)
}

/// The kernel reads less than a page (user_namespaces(7)): long numbers may not leave room for its 340 extents.
fn write_map(path: &Path, map: &str) -> Result<()> {
    write(path, map).map_err(|error| {
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
        if usize::try_from(page).is_ok_and(|page| map.len() < page) {
            return error;
        }
        let why = format!("{} bytes of mappings, and the kernel takes less than a page of {page}", map.len());
        Error::new(Kind::Userns, why).during(format!("write {}", path.display()))
    })
}

fn write(path: &Path, text: &str) -> Result<()> {
    file::write_value(path, text)
        .map_err(|errno| Error::os(Kind::Userns, format!("write {}", path.display()), errno as i32))
}

/// newuidmap(1) and newgidmap(1) may map what /etc/subuid and /etc/subgid grant. By absolute path only: they are
/// setuid, and `$PATH` is the caller's.
fn by_helper(name: &str, pid: i32, map: &str) -> Result<()> {
    let program = ["/usr/bin", "/bin", "/usr/local/bin"].iter().map(|dir| Path::new(dir).join(name));
    let program = program.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        Error::os(Kind::Userns, format!("find {name} to write more than one id"), Errno::ENOENT as i32)
    })?;
    let mut command = Command::new(&program);
    command.arg(pid.to_string()).args(map.split_ascii_whitespace());
    let output = command.env_clear().stdin(Stdio::null()).output().map_err(|error| {
        Error::os(Kind::Userns, format!("execute {}", program.display()), crate::sys::errno_of(&error))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::new(Kind::Userns, said).during(format!("write map by {name}")))
}

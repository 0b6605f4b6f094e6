//! The host's half of a user namespace: its id maps.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::plan::IdMaps;
use crate::error::{Error, Kind, Result};
use crate::sys::{Errno, file};

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
    write(&proc.join("gid_map"), &maps.gid)?;
    write(&proc.join("uid_map"), &maps.uid)
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

//! What holds for one invocation: the global options, the log, the library's context.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use riverrun::{CgroupManager, Context, ContextOptions, Exit, FdMap, Level};

use crate::args::Matches;
use crate::args::parse::truth;
use crate::failure::{FAILED, Failure, io_failure};
use crate::logging::Log;

/// One invocation of the program.
#[derive(Debug)]
pub(crate) struct Session {
    globals: Matches,
    log: Arc<Log>,
    handed: Result<Vec<FdMap>, String>,
    listen_fds: u32,
}

impl Session {
    /// `handed` are the caller's descriptors, looked at before anything of ours was opened; the first `listen_fds` of
    /// them came from a service manager.
    pub(crate) fn new(
        globals: Matches,
        log: Arc<Log>,
        handed: Result<Vec<FdMap>, String>,
        listen_fds: u32,
    ) -> Self {
        Self { globals, log, handed, listen_fds }
    }

    /// The library, set up as the global options say.
    pub(crate) fn context(&self) -> Result<Context, Failure> {
        let log = Arc::clone(&self.log);
        let rootless = match self.globals.text("rootless") {
            None | Some("auto") => None,
            Some(word) => match truth(word) {
                Some(known) => Some(known),
                None => {
                    return Err(format!("invalid value \"{word}\" for flag -rootless: parse error").into());
                }
            },
        };
        Ok(Context::new(ContextOptions {
            root: self.root()?,
            cgroup_manager: self.cgroup_manager()?,
            rootless,
            log_level: self.log.level(),
            log: Some(Arc::new(move |level: Level, message: &str| log.line(level, message))),
            init_path: None,
        })?)
    }

    /// Who makes the cgroups; `--systemd-cgroup` is runc's word for one of them.
    fn cgroup_manager(&self) -> Result<CgroupManager, Failure> {
        let systemd = self.globals.switch("systemd-cgroup");
        match self.globals.text("cgroup-manager") {
            None if systemd => Ok(CgroupManager::Systemd),
            Some("systemd") => Ok(CgroupManager::Systemd),
            Some(word) if systemd => {
                Err(format!("--systemd-cgroup and --cgroup-manager={word} exclude each other").into())
            }
            None | Some("cgroupfs") => Ok(CgroupManager::Cgroupfs),
            Some("disabled") => Ok(CgroupManager::Disabled),
            Some(word) => {
                Err(format!("invalid value \"{word}\" for flag -cgroup-manager: parse error").into())
            }
        }
    }

    /// The state root that was asked for, absolute.
    pub(crate) fn root(&self) -> Result<Option<PathBuf>, Failure> {
        let Some(given) = self.globals.text("root") else { return Ok(None) };
        let root = absolute_path(given)?;
        if root == Path::new("/") {
            return Err("Option --root argument should not be set to /".into());
        }
        Ok(Some(root))
    }

    /// The descriptors that the caller hands on to the process.
    pub(crate) fn handed_fds(&self) -> Result<Vec<FdMap>, Failure> {
        self.handed.clone().map_err(Failure::from)
    }

    /// Logs what went wrong beside the command's own outcome.
    pub(crate) fn log_error(&self, message: &str) {
        self.log.line(Level::Error, message);
    }

    /// The status of this program after the end of the process that it stayed with.
    pub(crate) fn status(&self, exit: &Exit) -> u8 {
        let status = exit.shell_status();
        self.log.line(Level::Debug, &format!("process exited: status {status}"));
        u8::try_from(status).unwrap_or(FAILED)
    }

    /// A line about what is not as it was asked for.
    pub(crate) fn log_warning(&self, message: &str) {
        self.log.line(Level::Warn, message);
    }

    /// How many of them came from a service manager.
    pub(crate) fn listen_fds(&self) -> u32 {
        self.listen_fds
    }
}

/// The path without `.` and `..` and from the root on, whether or not something is there.
pub(crate) fn absolute_path(path: &str) -> Result<PathBuf, Failure> {
    let path = absolute(path).map_err(|error| io_failure(&format!("make {path} absolute"), &error))?;
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    Ok(clean)
}

/// The value of an option that names a file, absolute: the program changes its directory to the bundle later.
pub(crate) fn path_option(matches: &Matches, long: &str) -> Result<Option<PathBuf>, Failure> {
    matches.text(long).map(absolute_path).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_are_lexically_clean() {
        assert_eq!(absolute_path("/a/./b/../c//d").unwrap(), Path::new("/a/c/d"));
        assert_eq!(absolute_path("/../..").unwrap(), Path::new("/"));
        assert!(absolute_path("x").unwrap().is_absolute());
    }
}

//! A CRIU beside the one that dumps or restores: `criu page-server`, which stores memory, and `criu lazy-pages`, which
//! brings it when it is touched. Started as any CRIU of ours; ended with the handle.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use crate::cgroup::apply::Entrances;
use crate::checkpoint::ImageDirectory;
use crate::error::{Error, Kind, Result};
use crate::runtime::context::Context;
use crate::runtime::criu::{self, Opened, Session};
use crate::runtime::deadline::Deadline;
use crate::runtime::io::Streams;
use crate::runtime::options::{Call, Io, Stdio};
use crate::runtime::spawn::Spawned;
use crate::sys::{Errno, pidfd};
use crate::wire::{BUILD_ID, InitPlan};

/// How it is started.
#[derive(Debug)]
pub(super) struct Tool<'a> {
    /// CRIU's program.
    pub(super) program: Option<&'a Path>,
    /// What it is to be.
    pub(super) command: &'static str,
    pub(super) options: &'a [&'a str],
    /// Where images and its log are.
    pub(super) directory: &'a Path,
    /// From [`FIRST`] on.
    pub(super) descriptors: &'a [OwnedFd],
    /// The cgroups that it is born in.
    pub(super) entrances: &'a Entrances,
}

/// The number of its first descriptor.
pub(super) const FIRST: i32 = 3;

/// It runs.
#[derive(Debug)]
pub(super) struct Working {
    process: Session,
    command: &'static str,
    directory: Opened,
}

impl Tool<'_> {
    pub(super) fn start(self, context: &Context, deadline: &Deadline<'_>) -> Result<Working> {
        let program = criu::find(self.program)?;
        let directory = Opened::open(&ImageDirectory::Path(self.directory.to_owned()), false)?;
        let mut streams = Streams::open(&mut quiet(), false)?;
        let mut keep_below = FIRST;
        for descriptor in self.descriptors {
            streams.add(descriptor.as_fd(), keep_below);
            keep_below += 1;
        }
        let place = directory.path.to_string_lossy().into_owned();
        let words = [self.command, "--images-dir", &place, "--work-dir", &place, "-v4", "--log-file"];
        let mut args = vec![program.to_string_lossy().into_owned()];
        args.extend(words.map(str::to_owned));
        args.push(log_name(self.command));
        args.extend(self.options.iter().map(|option| (*option).to_owned()));
        let steps = Session::steps(args, keep_below).to_vec();
        let plan = InitPlan { build_id: BUILD_ID.to_owned(), steps };
        let birth = Session::birth(context, 0, self.entrances)?;
        let process = Spawned::new(&birth, &plan, streams, keep_below)
            .and_then(|spawned| Session::execute(spawned, deadline))
            .map_err(|error| error.during(format!("start {}", program.display())))?;
        Ok(Working { process, command: self.command, directory })
    }
}

/// Nothing to read, and its log says all.
fn quiet() -> Io {
    Io { stdin: Stdio::Null, stdout: Stdio::Null, stderr: Stdio::Null, ..Io::default() }
}

fn log_name(command: &str) -> String {
    format!("{command}.log")
}

impl Working {
    /// Readable once it has ended.
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.process.pidfd()
    }

    /// Waits for its end, and says whether that was a good one.
    pub(super) fn end(&self, patience: Duration) -> Result<()> {
        let doing = format!("wait for criu {}", self.command);
        let patience = Call { timeout: Some(patience), cancel: None };
        Deadline::new(patience).readable(self.process.pidfd(), &doing)?;
        let ended = match pidfd::try_wait(self.process.pidfd()) {
            Err(Errno::ECHILD) => pidfd::exit_of_reaped(self.process.pidfd()),
            waited => waited.ok().flatten(),
        };
        match ended {
            Some(ended) if ended.code == 0 && ended.signal == 0 => Ok(()),
            // A host that reaps every child, and a kernel that does not tell: its log does.
            None if !self.has_errors() => Ok(()),
            _ => Err(self.failed()),
        }
    }

    fn has_errors(&self) -> bool {
        let log = self.directory.read(&log_name(self.command)).ok().flatten().unwrap_or_default();
        !crate::checkpoint::log::decisive(&String::from_utf8_lossy(&log)).is_empty()
    }

    /// That it has ended badly, and why.
    pub(super) fn failed(&self) -> Error {
        let error = Error::new(Kind::Criu, format!("criu {} failed", self.command));
        criu::with_log(error, None, &self.directory, &log_name(self.command))
    }

    /// Our own copies of its userfaultfds: as long as one is open, a page that is missing is waited for.
    pub(super) fn userfaultfds(&self) -> Result<Vec<OwnedFd>> {
        let mut all = Vec::new();
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.process.pid()));
        for entry in entries.into_iter().flatten().flatten() {
            let is = std::fs::read_link(entry.path()).unwrap_or_default();
            let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let Some(number) = number.filter(|_| is.as_os_str() == "anon_inode:[userfaultfd]") else {
                continue;
            };
            match pidfd::take_fd(self.process.pidfd(), number) {
                Ok(fd) => all.push(fd),
                // Closed, or gone, since it was looked at.
                Err(Errno::EBADF | Errno::ESRCH) => {}
                Err(errno) => {
                    let doing = "copy a userfaultfd of criu lazy-pages";
                    return Err(Error::os(Kind::System, doing, errno as i32));
                }
            }
        }
        Ok(all)
    }
}

//! A CRIU beside the one that dumps or restores: `criu page-server`, which stores memory, and `criu lazy-pages`, which
//! brings it when it is touched. Started as any CRIU of ours; ended with the handle.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use crate::cgroup::apply::Entrances;
use crate::checkpoint::ImageDirectory;
use crate::error::{Error, Kind, Result};
use crate::runtime::context::Context;
use crate::runtime::criu::{self, DIRECTORIES, Opened};
use crate::runtime::deadline::Deadline;
use crate::runtime::io::Streams;
use crate::runtime::options::{Call, Io, Stdio};
use crate::runtime::spawn::{Birth, Released, Spawned};
use crate::sys::{Errno, pidfd, process};
use crate::wire::{BUILD_ID, Execute, InitPlan, Step};

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
    process: Released,
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
        let execute = Execute {
            args,
            env: vec![format!("PATH={DIRECTORIES}")],
            home_of: None,
            listener: None,
            keep_below,
        };
        let plan =
            InitPlan { build_id: BUILD_ID.to_owned(), steps: vec![Step::NewSession, Step::Execute(execute)] };
        let birth = Birth {
            program: context.init_program()?,
            namespaces: 0,
            entrances: self.entrances,
            oom_score_adj: None,
            affinity: &[],
            unmapped: false,
            orphan: false,
            context,
        };
        let nothing = &mut |_, _: &_| Err(Error::new(Kind::Internal, "CRIU's init program asks for nothing"));
        let started = Spawned::new(&birth, &plan, streams, keep_below)
            .and_then(|spawned| spawned.ready(deadline, nothing))
            .and_then(|ready| ready.execute(deadline, &[], None));
        let process = started.map_err(|error| error.during(format!("start {}", program.display())))?;
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
    pub(super) fn pidfd(&self) -> &OwnedFd {
        &self.process.pidfd
    }

    /// Waits for its end, and says whether that was a good one.
    pub(super) fn end(&self, patience: Duration) -> Result<()> {
        let doing = format!("wait for criu {}", self.command);
        let patience = Call { timeout: Some(patience), cancel: None };
        Deadline::new(patience).readable(self.process.pidfd.as_fd(), &doing)?;
        let ended = match pidfd::try_wait(self.process.pidfd.as_fd()) {
            Err(Errno::ECHILD) => pidfd::exit_of_reaped(self.process.pidfd.as_fd()),
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
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.process.pid));
        for entry in entries.into_iter().flatten().flatten() {
            let is = std::fs::read_link(entry.path()).unwrap_or_default();
            let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let Some(number) = number.filter(|_| is.as_os_str() == "anon_inode:[userfaultfd]") else {
                continue;
            };
            match pidfd::take_fd(self.process.pidfd.as_fd(), number) {
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

impl Drop for Working {
    fn drop(&mut self) {
        process::kill_group(self.process.pid);
        let _ = pidfd::send_signal(self.process.pidfd.as_fd(), libc::SIGKILL);
        process::reap_group(self.process.pid);
        pidfd::reap(&self.process.pidfd);
    }
}

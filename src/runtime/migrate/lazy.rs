//! Post-copy at the target: the container runs, and `criu lazy-pages` brings its memory when it is touched, and all the rest
//! behind that. What it asks for goes over the stream to the CRIU that has dumped it.
//!
//! When the last descriptor of a userfaultfd closes the kernel lets the processes go on, with zeroes for what is missing.
//! So the daemon must not be the only one who has them: we have copies, and kill the container before they are closed. The
//! daemon is born in the container's cgroups, so that it is not ended with us but with the container; and it has both
//! ends of its socket, so that without us it waits, and with it the processes.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use oci_spec::runtime::{LinuxNamespace, LinuxNamespaceType, Spec};

use super::tool::{FIRST, Tool, Working};
use crate::cgroup::Manager;
use crate::error::{Error, Kind, Result};
use crate::migrate::apply::pages::Pages;
use crate::migrate::apply::stream::{Stream, too_much};
use crate::migrate::plan::frame::{Frame, Message, unexpected};
use crate::runtime::context::Context;
use crate::runtime::deadline::Deadline;
use crate::runtime::options::Call;
use crate::sys::{Errno, pipe, poll};

/// How often it is looked which userfaultfds there are: forks make new ones, and those of processes that have all their
/// memory are closed.
const LOOK: Duration = Duration::from_millis(100);

/// The daemon and what is between it and the stream.
#[derive(Debug)]
pub(super) struct Lazy {
    pages: Pages,
    daemon: Working,
    guard: Vec<OwnedFd>,
    looked: Instant,
    patience: Duration,
    /// It has asked for all.
    asked: bool,
    /// It has ended well: all memory is here.
    arrived: bool,
    left: u64,
}

/// How it is started.
#[derive(Debug)]
pub(super) struct Begin<'a> {
    pub(super) context: &'a Context,
    pub(super) program: Option<&'a std::path::Path>,
    pub(super) images: PathBuf,
    pub(super) patience: Duration,
    pub(super) call: Call<'a>,
    pub(super) left: u64,
}

impl Begin<'_> {
    /// The daemon, in the cgroups that `criu` is in; it waits for the restore.
    pub(super) fn start(&self, cgroups: &dyn Manager, criu: i32) -> Result<Lazy> {
        let deadline = Deadline::new(self.call);
        let (pages, theirs) = Pages::pair(self.patience)?;
        let (ready, status) =
            pipe::pair().map_err(|errno| Error::os(Kind::System, "make pipe", errno as i32))?;
        let descriptors = [theirs, pages.keeper()?, status];
        let (socket, status) = (FIRST.to_string(), (FIRST + 2).to_string());
        let entrances = cgroups.entrances(&[], criu)?;
        let tool = Tool {
            program: self.program,
            command: "lazy-pages",
            options: &["--page-server", "--ps-socket", &socket, "--status-fd", &status],
            directory: &self.images,
            descriptors: &descriptors,
            entrances: &entrances,
        };
        let daemon = tool.start(self.context, &deadline)?;
        drop(descriptors);
        let fds = vec![ready.as_fd(), daemon.pidfd()];
        deadline.any_readable(fds, "wait for criu lazy-pages")?;
        let mut byte = [0; 1];
        if File::from(ready).read(&mut byte).unwrap_or(0) == 0 {
            return Err(daemon.failed());
        }
        Ok(Lazy {
            pages,
            daemon,
            guard: Vec::new(),
            looked: Instant::now(),
            patience: self.patience,
            asked: false,
            arrived: false,
            left: self.left,
        })
    }
}

impl Lazy {
    /// Before anything runs: from here on nothing of it goes on without its memory.
    pub(super) fn watch(&mut self) -> Result<()> {
        self.looked = Instant::now();
        let now = self.daemon.userfaultfds()?;
        // A daemon that has ended has none, and ours are the last.
        if !is_readable(self.daemon.pidfd()) {
            self.guard = now;
        }
        Ok(())
    }

    /// What is waited for.
    pub(super) fn beside<'a>(&'a self, stream: &'a Stream<'_>) -> Vec<BorrowedFd<'a>> {
        if self.arrived {
            return Vec::new();
        }
        let mut fds = vec![stream.as_fd(), self.daemon.pidfd()];
        fds.extend(self.pages.as_fd());
        fds
    }

    /// Takes what is there from one to the other, up to the word that it may run. An error: the rest of its memory will
    /// not come.
    pub(super) fn turn(&mut self, stream: &mut Stream<'_>) -> Result<Turn> {
        if self.looked.elapsed() > LOOK {
            self.watch()?;
        }
        if self.pages.as_fd().is_some_and(is_readable) {
            self.asked |= self.pages.pass_on_requests(stream)?;
        }
        while stream.has_something() {
            match stream.hear()? {
                Frame::Bytes(bytes) => {
                    self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(too_much)?;
                    self.pages.put(&bytes)?;
                }
                Frame::Message(Message::Go) => return Ok(Turn::Go),
                other => return Err(unexpected(&other)),
            }
        }
        if is_readable(self.daemon.pidfd()) || self.asked {
            self.daemon.end(self.patience)?;
            self.arrived = true;
            self.guard.clear();
        }
        Ok(Turn::Passed)
    }

    /// Until the source says that it may run. Memory is needed before already, by what restores the processes.
    pub(super) fn until_go(&mut self, stream: &mut Stream<'_>) -> Result<()> {
        while self.passed(stream)? != Turn::Go {}
        Ok(())
    }

    /// Until all memory is here.
    pub(super) fn finish(&mut self, stream: &mut Stream<'_>) -> Result<()> {
        while !self.arrived {
            if self.passed(stream)? == Turn::Go {
                return Err(unexpected(&Frame::Message(Message::Go)));
            }
        }
        Ok(())
    }

    /// Waits for something to pass on, as long as the other side may say nothing.
    fn passed(&mut self, stream: &mut Stream<'_>) -> Result<Turn> {
        let until = Instant::now().checked_add(self.patience);
        loop {
            let soon = Instant::now() + LOOK;
            let ready = match poll::readable(&self.beside(stream), Some(soon)) {
                Ok(ready) => ready.is_some() || stream.heard_early(),
                Err(errno) => return Err(Error::os(Kind::System, "wait for pages", errno as i32)),
            };
            let turn = self.turn(stream)?;
            if ready || self.arrived || turn == Turn::Go {
                return Ok(turn);
            }
            if until.is_some_and(|until| until < soon) {
                let message = format!("nothing of it has come for {} s", self.patience.as_secs());
                return Err(Error::new(Kind::Timeout, message).during("wait for the rest of the memory"));
            }
        }
    }
}

/// What a turn has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Passed,
    Go,
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    matches!(poll::readable(&[fd], Some(Instant::now())), Ok(Some(_)))
}

/// That CRIU may make a userfaultfd for what restores the processes, who are nobody's root here in a user namespace.
pub(super) fn allowed(spec: &Spec) -> Result<()> {
    const SETTING: &str = "/proc/sys/vm/unprivileged_userfaultfd";
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    let is_user = |one: &LinuxNamespace| one.typ() == LinuxNamespaceType::User;
    if !namespaces.is_some_and(|all| all.iter().any(is_user))
        || std::fs::read_to_string(SETTING).is_ok_and(|text| text.trim() == "1")
    {
        return Ok(());
    }
    Err(Error::new(
        Kind::Unsupported,
        "receive container lazily: it has a user namespace, in which CRIU may make no userfaultfd: set \
         vm.unprivileged_userfaultfd to 1",
    ))
}

/// That this kernel has what the CRIU needs that serves the pages: pipes of a size that is beyond the usual limit.
///
/// # Errors
/// It may not have them. CRIU would fail only once the container runs at the target.
pub(super) fn pipes_are_large_enough() -> Result<()> {
    match pipe::may_have(CRIU_PIPE) {
        Ok(()) => Ok(()),
        Err(Errno::EPERM) => Err(Error::new(
            Kind::Unsupported,
            "CRIU needs pipes of 4 MiB to serve pages: set fs.pipe-max-size to 4194304, or give it CAP_SYS_RESOURCE",
        )),
        Err(errno) => Err(Error::os(Kind::System, "make a pipe of 4 MiB", errno as i32)),
    }
}

/// `PIPE_MAX_SIZE` pages (`criu/include/page-pipe.h`), which the kernel rounds up to the next power of two.
const CRIU_PIPE: i32 = 819 * 4096;

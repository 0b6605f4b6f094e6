//! Triggers of the kernel's pressure stall information (psi.rst). Asking a trigger's own descriptor consumes the news, so
//! that it would be lost on its way through a second epoll; the file's inotify watch stays readable until it is read.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::sys::event::Inotify;
use crate::sys::{Errno, file, poll};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Processors.
    Cpu,
    /// Memory.
    Memory,
    /// Block devices.
    Io,
}

/// Stalls that are worth an event: `stall` of waiting within a `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressure {
    /// For what.
    pub resource: Resource,
    /// All processes wait, not only some.
    pub full: bool,
    /// At least this long in sum.
    pub stall: Duration,
    /// Half a second to ten; without CAP_SYS_RESOURCE a multiple of two (KERNEL 6.5).
    pub window: Duration,
}

#[derive(Debug)]
pub(crate) struct Trigger {
    /// The trigger lives as long as this is open.
    file: OwnedFd,
    changed: Inotify,
}

impl Trigger {
    pub(super) fn new(directory: &Path, wanted: &Pressure) -> Result<Self> {
        let resource = match wanted.resource {
            Resource::Cpu => "cpu",
            Resource::Memory => "memory",
            Resource::Io => "io",
        };
        let path = directory.join(format!("{resource}.pressure"));
        let (stall, window) = (wanted.stall.as_micros(), wanted.window.as_micros());
        let line = format!("{} {stall} {window}\0", if wanted.full { "full" } else { "some" });
        let error = |errno| match errno {
            Errno::ENOENT | Errno::EOPNOTSUPP => {
                Error::new(Kind::Unsupported, "the kernel counts no pressure").during(doing(&path))
            }
            Errno::EINVAL => {
                let cause = "the window must be half a second to ten, without CAP_SYS_RESOURCE a multiple of two, \
                             and no shorter than the stall";
                Error::new(Kind::InvalidArgument, cause).during(doing(&path))
            }
            errno => Error::os(Kind::Cgroup, doing(&path), errno as i32),
        };
        let file = file::open_for_both(&path).map_err(error)?;
        nix::unistd::write(&file, line.as_bytes()).map_err(error)?;
        // Only then: what was written is no news.
        let changed = Inotify::new().map_err(error)?;
        changed.watch(&path).map_err(error)?;
        Ok(Self { file, changed })
    }

    /// Readable when there may be news.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.changed.fd()
    }

    /// Whether there was a stall since the last look.
    pub(crate) fn look(&self) -> bool {
        self.changed.clear();
        poll::urgent(self.file.as_fd())
    }
}

fn doing(path: &Path) -> String {
    format!("watch {}", path.display())
}

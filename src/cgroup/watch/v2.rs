//! Cgroup2: `memory.events` and `cgroup.events`, whose changes poll(2) tells (cgroup-v2.rst). A file is urgent until it is
//! read again, and for ever once its cgroup is gone.
#![forbid(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use super::{Freezing, Ooms, cannot_watch, now, value};
use crate::error::Result;
use crate::sys::{Errno, file};

#[derive(Debug)]
pub(super) struct Memory {
    events: File,
    oom: u64,
    kills: u64,
    gone: bool,
}

impl Memory {
    /// `None`: the cgroup does not have the controller.
    pub(super) fn new(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join("memory.events");
        let events = match file::open_readable(&path) {
            Err(Errno::ENOENT) => return Ok(None),
            opened => File::from(opened.map_err(cannot_watch(&path))?),
        };
        let text = now(&events).unwrap_or_default();
        let (oom, kills) = (value(&text, "oom"), value(&text, "oom_kill"));
        Ok(Some(Self { events, oom, kills, gone: false }))
    }
}

impl super::Memory for Memory {
    fn fd(&self) -> (BorrowedFd<'_>, bool) {
        (self.events.as_fd(), true)
    }

    fn look(&mut self) -> Ooms {
        let Some(text) = now(&self.events) else {
            self.gone = true;
            return Ooms::default();
        };
        let new = |name: &str, seen: &mut u64| {
            let more = value(&text, name).saturating_sub(*seen);
            *seen += more;
            more
        };
        Ooms { oom: new("oom", &mut self.oom), kills: new("oom_kill", &mut self.kills), unsettled: false }
    }

    fn is_gone(&self) -> bool {
        self.gone
    }
}

#[derive(Debug)]
pub(super) struct Freezer {
    events: File,
}

impl Freezer {
    pub(super) fn new(directory: &Path) -> Result<Self> {
        let path = directory.join("cgroup.events");
        let events = file::open_readable(&path).map_err(cannot_watch(&path))?;
        Ok(Self { events: File::from(events) })
    }
}

impl super::Freezer for Freezer {
    fn fd(&self) -> (BorrowedFd<'_>, bool) {
        (self.events.as_fd(), true)
    }

    fn look(&mut self) -> Freezing {
        match now(&self.events) {
            Some(text) if value(&text, "frozen") == 1 => Freezing::Frozen,
            Some(_) => Freezing::Thawed,
            None => Freezing::Gone,
        }
    }
}

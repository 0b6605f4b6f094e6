//! Cgroup v1: an eventfd registered in `cgroup.event_control` (memory.rst, 10. OOM Control), which counts how often memory
//! ran out, and is raised once more when the cgroup is removed; `memory.oom_control` counts who was killed for it, later.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use super::{Freezing, Ooms, cannot_watch, now, value};
use crate::error::Result;
use crate::sys::event::{Inotify, Signal};
use crate::sys::file;

#[derive(Debug)]
pub(super) struct Memory {
    raised: Signal,
    control: File,
    kills: u64,
    gone: bool,
}

impl Memory {
    pub(super) fn new(directory: &Path) -> Result<Self> {
        let path = directory.join("memory.oom_control");
        let error = cannot_watch(&path);
        let raised = Signal::new().map_err(&error)?;
        let control = File::from(file::open_readable(&path).map_err(&error)?);
        let line = format!("{} {}", raised.number(), control.as_raw_fd());
        file::write_value(&directory.join("cgroup.event_control"), &line).map_err(&error)?;
        let kills = now(&control).map(|text| value(&text, "oom_kill")).unwrap_or_default();
        Ok(Self { raised, control, kills, gone: false })
    }
}

impl super::Memory for Memory {
    fn fd(&self) -> (BorrowedFd<'_>, bool) {
        (self.raised.fd(), false)
    }

    fn look(&mut self) -> Ooms {
        let raised = self.raised.clear();
        let Some(text) = now(&self.control) else {
            // One of them was for the removal.
            let oom = if self.gone { raised } else { raised.saturating_sub(1) };
            self.gone = true;
            return Ooms { oom, ..Ooms::default() };
        };
        let kills = value(&text, "oom_kill").saturating_sub(self.kills);
        self.kills += kills;
        Ooms { oom: raised, kills, unsettled: raised > kills }
    }

    fn is_gone(&self) -> bool {
        self.gone
    }
}

/// The kernel tells nobody of it; but whoever freezes or thaws writes to this file.
#[derive(Debug)]
pub(super) struct Freezer {
    written: Inotify,
    path: PathBuf,
}

impl Freezer {
    pub(super) fn new(directory: &Path) -> Result<Self> {
        let path = directory.join("freezer.state");
        let written = Inotify::new().map_err(cannot_watch(&path))?;
        written.watch(&path).map_err(cannot_watch(&path))?;
        Ok(Self { written, path })
    }
}

impl super::Freezer for Freezer {
    fn fd(&self) -> (BorrowedFd<'_>, bool) {
        (self.written.fd(), false)
    }

    fn look(&mut self) -> Freezing {
        self.written.clear();
        match fs::read_to_string(&self.path).as_deref().map(str::trim_end) {
            Ok("FROZEN") => Freezing::Frozen,
            Ok("THAWED") => Freezing::Thawed,
            Ok(_) => Freezing::Unsettled,
            Err(_) => Freezing::Gone,
        }
    }
}

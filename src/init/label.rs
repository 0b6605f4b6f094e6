//! Labels of security modules, for the coming execve and for new keys.
//!
//! Runs in: the init program. The files are in a procfs, and a label that went into a look-alike would leave the program
//! unconfined (CVE-2019-16884, CVE-2025-52881): the container's own `/proc` is never used. [`open_proc`] comes before any
//! of the container's mounts is in reach, and what it opens is held by descriptor.

use alloc::format;
use alloc::string::String;

use linux_raw_sys::general as k;

use crate::channel::{Doing, Outcome};
use crate::procfs;
use crate::sys::{self, ENOENT, Fd, Text, call};
use crate::wire::{Class, Failure};

/// A procfs that is mounted nowhere, with nothing but processes in it; where the kernel refuses that (before 5.2, or in a
/// user namespace below a procfs with masks), the host's.
pub(crate) fn open_proc() -> Outcome<Fd> {
    match procfs::detached(true) {
        Ok(proc) => Ok(proc),
        Err(_) => procfs::of_host().doing(Class::Label, "open", "procfs"),
    }
}

/// Writes `value` into the first of `files` that this kernel has, in `attr` of this process.
pub(crate) fn set(proc: Option<&Fd>, property: &str, files: &[String], value: &str) -> Outcome {
    let file = open_attribute(proc, files).doing(Class::Label, "open file of", property)?;
    let written = call!(__NR_write, file.number(), value.as_ptr(), value.len());
    match written.doing(Class::Label, "set", property)? {
        n if n == value.len() => Ok(()),
        _ => Err(Failure {
            class: Class::Label,
            verb: "set".into(),
            object: format!("{property}: written in part"),
            errno: 0,
        }),
    }
}

fn open_attribute(proc: Option<&Fd>, files: &[String]) -> sys::Result<Fd> {
    let proc = proc.ok_or(ENOENT)?;
    let mut missing = ENOENT;
    for file in files {
        let path = Text::new(&format!("self/attr/{file}"));
        // Nothing below is another filesystem's: a mount over a part of the host's procfs is refused.
        let resolve = k::RESOLVE_BENEATH | k::RESOLVE_NO_XDEV | k::RESOLVE_NO_MAGICLINKS;
        match sys::open_at2(proc.number(), &path, k::O_WRONLY, 0, resolve) {
            Err(ENOENT) => {}
            Ok(file) => return Ok(file),
            Err(errno) => missing = errno,
        }
    }
    Err(missing)
}

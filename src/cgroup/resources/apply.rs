//! Writes the lines to the files of a container's cgroups.
//!
//! Some values are only legal beside others: a limit not above that of memory and swap, a quota not below its burst, a
//! period that fits its quota. Whatever the kernel refuses as it stands (EINVAL) is tried again after the others, as
//! long as that gets any further: raising and lowering need no order of their own then.
#![forbid(unsafe_code)]

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::{Without, Write};
use crate::error::{Error, Kind, Result};
use crate::sys::{Errno, file};

/// The directory of a controller; the cgroup2's key is empty.
pub(crate) type Find<'a> = dyn Fn(&str) -> Option<PathBuf> + 'a;

/// Writes all; the first that cannot be had is the error.
pub(crate) fn write(find: &Find<'_>, writes: &[Write]) -> Result<()> {
    let mut left: Vec<&Write> = writes.iter().collect();
    // Device rules are many lines for one file.
    let mut open = None;
    loop {
        let (count, mut refused, mut first) = (left.len(), Vec::new(), None);
        for write in left {
            match one(find, write, &mut open) {
                Err(error) if error.errno() == Some(libc::EINVAL) => {
                    refused.push(write);
                    first.get_or_insert(error);
                }
                outcome => outcome?,
            }
        }
        match first {
            None => return Ok(()),
            Some(error) if refused.len() == count => return Err(error),
            Some(_) => left = refused,
        }
    }
}

/// The lines that bring back what is there before `writes`.
pub(crate) fn before(find: &Find<'_>, writes: &[Write]) -> Vec<Write> {
    writes.iter().filter_map(|write| present(find, write)).collect()
}

/// Brings it back. What cannot be taken back stays; the error that led here is the one worth telling.
pub(crate) fn take_back(find: &Find<'_>, before: &[Write]) {
    // In rounds as well: each lets go through what an earlier one could not yet.
    for _ in 0..before.len().min(4) {
        for write in before {
            if one(find, write, &mut None).is_err() && write.value.is_empty() {
                let _ = refill(find, write);
            }
        }
    }
}

/// An empty cpuset of cgroup2 has what the cgroup above has, and once it is not empty the kernel does not empty it as
/// long as there are processes in it (cpuset.c, `validate_change`): it gets what it had from there.
fn refill(find: &Find<'_>, write: &Write) -> Option<()> {
    let path = place(find, write, &write.file).ok()?;
    let above = path.parent()?.with_file_name(format!("{}.effective", write.file));
    file::write_value(&path, fs::read_to_string(above).ok()?.trim_end()).ok()
}

type Open = Option<(PathBuf, OwnedFd)>;

fn put(path: &Path, value: &str, open: &mut Open) -> std::result::Result<(), Errno> {
    let file = match open.take() {
        Some((last, file)) if last == path => file,
        _ => file::open_writable(path)?,
    };
    // Nothing at all is no write for the kernel: an empty line empties a cpuset.
    let bytes = if value.is_empty() { "\n" } else { value }.as_bytes();
    let written = nix::unistd::write(&file, bytes).map(drop);
    *open = Some((path.to_owned(), file));
    written
}

fn one(find: &Find<'_>, write: &Write, open: &mut Open) -> Result<()> {
    let path = place(find, write, &write.file)?;
    match put(&path, &write.value, open) {
        Err(Errno::ENOENT) => match &write.without {
            Without::Fail => Err(error(write, &path, &write.value, Errno::ENOENT)),
            Without::Skip => Ok(()),
            Without::Instead(name, value) => {
                let path = place(find, write, name)?;
                file::write_value(&path, value).map_err(|errno| error(write, &path, value, errno))
            }
        },
        outcome => outcome.map_err(|errno| error(write, &path, &write.value, errno)),
    }
}

/// The file's controller is its name up to the first dot.
fn place(find: &Find<'_>, write: &Write, name: &str) -> Result<PathBuf> {
    let controller = name.split('.').next().unwrap_or_default();
    let directory = find(controller).or_else(|| find("")).ok_or_else(|| {
        let message = format!("linux.resources.{}: the container has no {controller} cgroup", write.property);
        Error::new(Kind::Cgroup, message)
    })?;
    Ok(directory.join(name))
}

fn error(write: &Write, path: &Path, value: &str, errno: Errno) -> Error {
    let doing = format!("write {value:?} to {}", path.display());
    let property = format!("set linux.resources.{}", write.property);
    if errno == Errno::EBUSY && write.property == "memory.limit" {
        // COMPAT(runc): in its words.
        let number =
            |name| fs::read_to_string(path.with_file_name(name)).unwrap_or_default().trim().to_owned();
        let (usage, peak) = (number("memory.usage_in_bytes"), number("memory.max_usage_in_bytes"));
        let message =
            format!("unable to set memory limit to {value} (current usage: {usage}, peak usage: {peak})");
        return Error::os(Kind::Cgroup, doing, errno as i32).during(message).during(property);
    }
    let denied = [Errno::EACCES, Errno::EPERM, Errno::EROFS].contains(&errno);
    let kind = if denied { Kind::Permission } else { Kind::Cgroup };
    Error::os(kind, doing, errno as i32).during(property)
}

/// The line that brings back what stands in the file now.
fn present(find: &Find<'_>, write: &Write) -> Option<Write> {
    let path = place(find, write, &write.file).ok()?;
    let (file, text) = match (fs::read_to_string(&path), &write.without) {
        (Ok(text), _) => (write.file.clone(), text),
        (Err(_), Without::Instead(name, _)) => {
            (name.clone(), fs::read_to_string(place(find, write, name).ok()?).ok()?)
        }
        _ => return None,
    };
    let value = line_before(&text, write)?;
    Some(Write { file, value, without: Without::Skip, undo: None, ..write.clone() })
}

fn line_before(text: &str, write: &Write) -> Option<String> {
    let key = write.value.split(' ').next().unwrap_or_default();
    let same = text.lines().find(|line| line.split(' ').next() == Some(key) && line.contains(' '));
    match (&write.undo, same) {
        (Some(_), Some(line)) => Some(line.trim_end().to_owned()),
        (Some(undo), None) => Some(undo.clone()),
        // `oom_kill_disable 0`, and more lines.
        (None, _) if write.file == "memory.oom_control" => {
            text.lines().next()?.split(' ').next_back().map(str::to_owned)
        }
        (None, _) => text.lines().next().map(|line| line.trim_end().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_is_found_in_files_of_one_line_and_of_many() {
        let write = |file: &str, value: &str| Write::new(file, value.to_owned());
        let before = |text: &str, write: &Write| line_before(text, write).unwrap();
        assert_eq!(before("max 100000\n", &write("cpu.max", "5 10")), "max 100000");
        assert_eq!(before("oom_kill_disable 0\nunder_oom 0\n", &write("memory.oom_control", "1")), "0");
        let throttle = write("io.max", "8:0 rbps=5").undone_by("8:0 rbps=max");
        assert_eq!(before("8:16 rbps=1 wbps=2\n8:0 rbps=7 wbps=max\n", &throttle), "8:0 rbps=7 wbps=max");
        assert_eq!(before("8:16 rbps=1 wbps=2\n", &throttle), "8:0 rbps=max");
    }
}

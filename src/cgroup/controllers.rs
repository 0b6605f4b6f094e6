//! Controllers of cgroup2: handed down from the mount point to the parent of a directory (cgroup-v2.rst, "Controlling
//! Controllers"), and what the kernel's refusals mean.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use super::plan::Directory;
use crate::error::{Error, Kind, Result};
use crate::sys::{Errno, file};

/// Controllers that a threaded cgroup cannot have.
const OF_DOMAINS: [&str; 5] = ["memory", "io", "hugetlb", "rdma", "misc"];

/// Hands down all controllers that there are, as far as it goes: whoever needs one learns in [`check`] why it is missing.
/// The answer is what went wrong first.
pub(super) fn enable(directory: &Directory) -> Option<Refusal> {
    let mut refused = None;
    if directory.enable.is_empty() {
        return refused;
    }
    let above = directory.path.ancestors().skip(1).take_while(|path| path.starts_with(&directory.mount));
    for path in above.collect::<Vec<_>>().into_iter().rev() {
        let has = words(path, "cgroup.controllers");
        let given = words(path, "cgroup.subtree_control");
        let missing = |name: &&String| has.contains(*name) && !given.contains(*name);
        let missing: Vec<String> =
            directory.enable.iter().filter(missing).map(|name| format!("+{name}")).collect();
        let file = path.join("cgroup.subtree_control");
        if missing.is_empty() {
            continue;
        }
        let all = missing.join(" ");
        match file::write_value(&file, &all) {
            Ok(()) => continue,
            // It has processes. What comes of the next attempts would hide that: some of them make it a threaded one.
            Err(errno @ Errno::EBUSY) => {
                refused.get_or_insert(Refusal { file: file.clone(), value: all, errno });
            }
            Err(_) => {}
        }
        // All or nothing, and one of them may be impossible here.
        for one in &missing {
            if let Err(errno) = file::write_value(&file, one) {
                refused.get_or_insert(Refusal { file: file.clone(), value: one.clone(), errno });
            }
        }
    }
    refused
}

/// A controller that could not be handed down.
#[derive(Debug)]
pub(super) struct Refusal {
    file: PathBuf,
    value: String,
    errno: Errno,
}

impl Refusal {
    fn told(&self) -> Error {
        let doing = format!("write {} to {}", self.value, self.file.display());
        let error = Error::os(Kind::Cgroup, doing, self.errno as i32);
        match self.errno {
            Errno::EBUSY => error.during("a cgroup with processes of its own cannot hand controllers down"),
            Errno::EOPNOTSUPP => error.during("a threaded cgroup hands no such controller down"),
            _ => error,
        }
    }
}

/// Whether the directory has every controller that its values need.
pub(super) fn check(directory: &Directory, refused: Option<&Refusal>) -> Result<()> {
    let path = directory.path.as_path();
    let needed = || directory.writes.iter().filter_map(|write| write.file.split('.').next());
    let shape = threaded(path, needed().any(|controller| OF_DOMAINS.contains(&controller)));
    // A parent with processes that hands down some controllers, and not these, makes a threaded subtree: that it has
    // processes is then the reason.
    if refused.is_none_or(|refused| refused.errno != Errno::EBUSY) {
        shape.clone()?;
    }
    let known = |name: &&str| directory.enable.iter().any(|known| known == name);
    let has = if needed().any(|name| known(&name)) { words(path, "cgroup.controllers") } else { Vec::new() };
    for controller in needed().filter(known) {
        if !has.iter().any(|name| name == controller) {
            let doing = format!("use controller {controller} in cgroup {}", path.display());
            return Err(match refused {
                Some(refused) => refused.told().during(doing),
                None => Error::new(Kind::Cgroup, "it is not handed down to it").during(doing),
            });
        }
    }
    shape
}

/// A cgroup in a threaded subtree takes processes of that subtree alone, and no limits of whole processes.
fn threaded(path: &Path, of_domains: bool) -> Result<()> {
    let kind = fs::read_to_string(path.join("cgroup.type")).unwrap_or_default();
    let state = match kind.trim_end() {
        "" | "domain" | "domain threaded" if !of_domains => return Ok(()),
        "" | "domain" => return Ok(()),
        "domain invalid" if !of_domains => {
            let file = path.join("cgroup.type");
            return file::write_value(&file, "threaded").map_err(|errno| {
                Error::os(Kind::Cgroup, format!("write threaded to {}", file.display()), errno as i32)
            });
        }
        "threaded" if !of_domains => return Ok(()),
        "domain invalid" => "in an invalid state",
        "domain threaded" => "in domain threaded mode",
        _ => "in threaded mode",
    };
    let message =
        format!("cannot enter cgroupv2 {:?} with domain controllers -- it is {state}", path.display());
    Err(Error::new(Kind::Cgroup, message))
}

/// Whether a cgroup is there for its sub-cgroups alone, or not there at all: no process can enter it.
pub(super) fn is_internal(path: &Path) -> bool {
    match fs::read_to_string(path.join("cgroup.subtree_control")) {
        Ok(text) => text
            .split_ascii_whitespace()
            .any(|name| !matches!(name, "cpu" | "cpuset" | "pids" | "perf_event")),
        Err(_) => true,
    }
}

fn words(path: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(path.join(name)).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

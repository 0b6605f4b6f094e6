//! `linux.resources` (config-linux.md#control-groups): from the properties to lines for the files of a cgroup.
//!
//! `table.rs` says for every property which file and which value, in cgroup v1 and in v2; `convert.rs` calculates;
//! `check.rs` says what cannot be had; `update.rs` puts an update over what
//! was: all of them are pure. `apply.rs` writes.
//! Device rules are no lines: see `../devices/`.
#![forbid(unsafe_code)]

pub(crate) mod apply;
mod check;
mod convert;
mod table;
mod update;

use oci_spec::runtime::{Linux, LinuxResources};
use serde::{Deserialize, Serialize};

use crate::host::Host;
pub(crate) use check::{Available, check};
use table::{Home, Row, TABLE, v2_name};
pub(crate) use update::{Update, update};

/// One line for one file. In a plan it is these two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(String, String)", from = "(String, String)")]
pub(crate) struct Write {
    /// Below `linux.resources`.
    pub(crate) property: String,
    pub(crate) file: String,
    pub(crate) value: String,
    /// What to do where there is no such file.
    pub(crate) without: Without,
    /// In a file of many lines: the line that takes this one back, where there was none before.
    pub(crate) undo: Option<String>,
}

/// Where a file is missing although its controller is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Without {
    /// The property cannot be had.
    #[default]
    Fail,
    /// Nothing is missed.
    Skip,
    /// This file, this value.
    Instead(String, String),
}

impl From<Write> for (String, String) {
    fn from(write: Write) -> Self {
        (write.file, write.value)
    }
}

impl From<(String, String)> for Write {
    fn from((file, value): (String, String)) -> Self {
        Self::new(&file, value)
    }
}

impl Write {
    fn new(file: &str, value: String) -> Self {
        let (property, without) = (String::new(), Without::Fail);
        Self { property, file: file.to_owned(), value, without, undo: None }
    }

    /// A line of a v1 list of devices.
    pub(super) fn device((file, rule): (String, String)) -> Self {
        Self { property: String::from("devices"), ..Self::new(&file, rule) }
    }

    fn without(self, without: Without) -> Self {
        Self { without, ..self }
    }

    fn undone_by(self, line: &str) -> Self {
        Self { undo: Some(line.to_owned()), ..self }
    }
}

/// The lines of a v1 hierarchy with these controllers. What is missing everywhere is [`check`]'s.
pub(crate) fn v1(resources: &LinuxResources, has: &dyn Fn(&str) -> bool) -> Vec<Write> {
    let rows = TABLE.iter().filter(|row| has(row.controller));
    rows.flat_map(|row| lines(row.property, row.v1, resources)).collect()
}

/// The lines of a cgroup2 directory with these controllers; `unified` comes last, as it may refine what is before it.
pub(crate) fn v2(resources: &LinuxResources, has: &dyn Fn(&str) -> bool) -> Vec<Write> {
    let rows = TABLE.iter().filter(|row| has(v2_name(row.controller)));
    let mut writes: Vec<Write> = rows.flat_map(|row| lines(row.property, row.v2, resources)).collect();
    writes.extend(unified(resources));
    writes
}

/// Line by line: the kernel reads no further.
fn unified(resources: &LinuxResources) -> Vec<Write> {
    let mut keys: Vec<_> = resources.unified().iter().flatten().collect();
    keys.sort();
    let mut writes = Vec::new();
    for (key, value) in keys {
        for line in value.split('\n').filter(|line| !line.is_empty()) {
            let write = Write::new(key, line.to_owned());
            writes.push(Write { property: String::from("unified"), ..write });
        }
    }
    writes
}

fn lines(property: &str, home: Home, resources: &LinuxResources) -> Vec<Write> {
    let lines = match home {
        Home::File(file, value) => {
            value(resources).map(|value| Write::new(file, value)).into_iter().collect()
        }
        Home::Lines(lines) => lines(resources),
        Home::Beside | Home::LeftOut | Home::Refused => Vec::new(),
    };
    lines.into_iter().map(|write| Write { property: property.to_owned(), ..write }).collect()
}

/// Whether the configuration asks for it. Every property has a place in v1, with the one that is `Beside`.
fn is_given(row: &Row, resources: &LinuxResources) -> bool {
    let lines = lines(row.property, row.v1, resources);
    // An OOM killer that is to stay is no wish.
    lines.iter().any(|write| write.file != "memory.oom_control" || write.value != "0")
}

/// Whether anything asks for a limit; device rules do not, since a user namespace enforces them anyway.
pub(crate) fn has_limits(resources: &LinuxResources) -> bool {
    TABLE.iter().any(|row| is_given(row, resources))
        || resources.unified().as_ref().is_some_and(|unified| !unified.is_empty())
}

/// What this host does not do, or no kernel does any more, and runc's users still write.
pub(crate) fn warnings(linux: &Linux, host: &Host) -> Vec<String> {
    let Some(resources) = linux.resources() else { return Vec::new() };
    let mut warnings = check(resources, &Available::on(&host.cgroups)).unwrap_or_default();
    warnings.extend(outdated(resources));
    warnings
}

/// What no kernel does any more.
pub(crate) fn outdated(resources: &LinuxResources) -> Vec<String> {
    let memory = resources.memory().as_ref();
    #[allow(deprecated, reason = "deprecated by the specification is why it is told")]
    let given = [
        ("kernel", memory.is_some_and(|memory| memory.kernel().is_some())),
        ("kernelTCP", memory.is_some_and(|memory| memory.kernel_tcp().is_some())),
        ("useHierarchy", memory.is_some_and(|memory| memory.use_hierarchy() == Some(false))),
    ];
    let given = given.into_iter().filter(|(_, given)| *given);
    given
        .map(|(name, _)| format!("linux.resources.memory.{name}: the kernel has no such limit: left out"))
        .collect()
}

#[cfg(test)]
mod tests;

//! What a container sees of its cgroups: a mount of type `cgroup`, whatever the host's layout is.
#![forbid(unsafe_code)]

use std::path::Path;

use super::super::options::{NODEV, NOEXEC, NOSUID, Options, RDONLY};
use super::Around;
use crate::cgroup::plan::{CgroupPlan, Directory};
use crate::wire::{Bind, CgroupV1, Filesystem, Step};

const FLAGS: u64 = NOSUID | NODEV | NOEXEC;

pub(super) fn mount(target: &str, options: Options, around: &Around<'_>, steps: &mut Vec<Step>) {
    match &around.cgroups.unified {
        Some(unified) if around.cgroups.v1.is_empty() => {
            steps.push(on_v2(target, options, around, unified));
        }
        _ => on_v1(target, &options, around.cgroups, steps),
    }
}

/// With a cgroup namespace it is mounted anew and shows the container as its root; without, the host's own is bound:
/// a new one would be the same, and would take the options of its own (`nsdelegate`) away from the host's.
fn on_v2(target: &str, options: Options, around: &Around<'_>, unified: &Directory) -> Step {
    let (target, source) = (target.to_owned(), unified.mount.to_string_lossy().into_owned());
    let mut attributes = options.mount;
    attributes.set |= FLAGS;
    // Options that say what the host has anyway, like relatime, are no reason to fail on a locked flag of it.
    attributes.clear |= std::mem::take(&mut attributes.must_clear);
    if around.cgroups.private {
        return Step::Mount(Filesystem {
            fstype: String::from("cgroup2"),
            source: String::from("cgroup"),
            target,
            attributes: attributes.set | options.tree.set,
            // Read-only is the mount, not what others see of the same filesystem.
            options: options.data.into_iter().filter(|(key, value)| key != "ro" || value.is_some()).collect(),
            propagation: options.propagation,
            ..Filesystem::default()
        });
    }
    Step::Bind(Bind {
        source,
        target,
        attributes,
        tree_attributes: options.tree,
        propagation: options.propagation,
        opened_by: around.opened_by(),
        ..Bind::default()
    })
}

/// A `cgroup` mount on cgroup v1: a tmpfs with one directory a hierarchy. With a cgroup namespace each is mounted anew
/// and shows the container as its root; without, the container's own directory is bound.
fn on_v1(target: &str, options: &Options, cgroups: &CgroupPlan, steps: &mut Vec<Step>) {
    let read_only = (options.mount.set | options.tree.set) & RDONLY;
    let tmpfs = Filesystem {
        fstype: String::from("tmpfs"),
        source: String::from("tmpfs"),
        target: target.to_owned(),
        options: vec![(String::from("mode"), Some(String::from("755")))],
        attributes: FLAGS,
        propagation: options.propagation.clone(),
        ..Filesystem::default()
    };
    let names: Vec<String> = cgroups.v1.iter().map(|directory| name(&directory.mount)).collect();
    let links = cgroups.v1.iter().zip(&names).flat_map(|(directory, name)| {
        let several = directory.controllers.contains(',');
        let others = directory.controllers.split(',').filter(move |other| several && other != name);
        others.map(|other| (other.to_owned(), name.clone()))
    });
    if !cgroups.private {
        let sources = cgroups.v1.iter().map(|directory| directory.path.to_string_lossy().into_owned());
        let binds = names.iter().cloned().zip(sources).collect();
        let attributes = FLAGS | read_only;
        steps.push(Step::MountCgroupV1(CgroupV1 { tmpfs, binds, links: links.collect(), attributes }));
        return;
    }
    steps.push(Step::Mount(tmpfs));
    for (directory, name) in cgroups.v1.iter().zip(&names) {
        let named = directory.controllers.starts_with("name=");
        steps.push(Step::Mount(Filesystem {
            fstype: String::from("cgroup"),
            source: String::from(if named { name } else { "cgroup" }),
            target: format!("{target}/{name}"),
            options: directory.controllers.split(',').map(key_and_value).collect(),
            attributes: FLAGS | read_only,
            ..Filesystem::default()
        }));
    }
    steps.extend(links.map(|(link, name)| Step::Symlink {
        target: name,
        path: format!("{target}/{link}"),
        replace: false,
    }));
    if read_only != 0 {
        steps.push(Step::MountAttributes { path: target.to_owned(), set: RDONLY });
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn key_and_value(word: &str) -> (String, Option<String>) {
    match word.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (word.to_owned(), None),
    }
}

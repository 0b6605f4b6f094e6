//! From `mounts`, `maskedPaths`, `readonlyPaths` and `root` to steps. Pure: paths are claims, nothing is resolved.
#![forbid(unsafe_code)]

use std::path::Path;

use oci_spec::runtime::{Mount, Spec};

use super::options::{MS_REC, MS_SLAVE, NODEV, NOEXEC, NOSUID, Options, RDONLY, propagation};
use crate::cgroup::plan::CgroupPlan;
use crate::error::{Error, Kind, Result};
use crate::wire::{Bind, CgroupV1, Filesystem, Step};

/// The mounts of the configuration, in its order; `join` comes as late as it can.
pub(crate) fn mounts(
    spec: &Spec,
    bundle: &Path,
    cgroups: &CgroupPlan,
    join: Vec<Step>,
    steps: &mut Vec<Step>,
) -> Result<()> {
    let mut join = Some(join);
    for mount in spec.mounts().iter().flatten() {
        if !free_of_cgroups(mount) {
            steps.extend(join.take().into_iter().flatten());
        }
        one(mount, bundle, cgroups, steps)?;
    }
    steps.extend(join.into_iter().flatten());
    Ok(())
}

/// A new filesystem of the kernel's own, still empty: it neither shows the cgroups nor holds memory that should be
/// accounted to them.
fn free_of_cgroups(mount: &Mount) -> bool {
    let fstype = mount.typ().as_deref().unwrap_or_default();
    let plain = |option: &String| !matches!(option.as_str(), "bind" | "rbind" | "tmpcopyup");
    matches!(fstype, "proc" | "sysfs" | "devpts" | "mqueue" | "tmpfs")
        && mount.options().iter().flatten().all(plain)
}

fn one(mount: &Mount, bundle: &Path, cgroups: &CgroupPlan, steps: &mut Vec<Step>) -> Result<()> {
    let words = mount.options().iter().flatten().map(String::as_str);
    let options = Options::parse(words)?;
    let destination = mount.destination().to_string_lossy();
    let target = clean(&destination);
    let fstype = mount.typ().as_deref().unwrap_or_default();
    let source = mount.source().as_ref().map(|source| source.to_string_lossy().into_owned());
    if let Some(recursive) = options.bind {
        return bind(bundle, source, target, recursive, options, steps);
    }
    let source = source.filter(|source| !source.is_empty()).unwrap_or_else(|| fstype.to_owned());
    match fstype {
        "" | "none" | "bind" => {
            let message = format!("mounts: {target}: neither a filesystem type nor bind among the options");
            return Err(Error::new(Kind::InvalidSpec, message));
        }
        "cgroup" => return cgroup(&target, &options, cgroups, steps),
        _ => {}
    }
    let has_mode = options.data.iter().any(|(key, _)| key == "mode");
    let mut filesystem = Filesystem {
        fstype: fstype.to_owned(),
        source,
        target,
        // A new filesystem is a tree of one mount.
        attributes: options.mount.set | options.tree.set,
        propagation: options.propagation,
        inherit_mode: fstype == "tmpfs" && !has_mode,
        real_directory: matches!(fstype, "proc" | "sysfs"),
        options: options.data,
    };
    if made_read_only_later(&filesystem) {
        filesystem.attributes &= !RDONLY;
        filesystem.options.retain(|(key, value)| key != "ro" || value.is_some());
    }
    steps.push(Step::Mount(filesystem));
    Ok(())
}

fn bind(
    bundle: &Path,
    source: Option<String>,
    target: String,
    recursive: bool,
    options: Options,
    steps: &mut Vec<Step>,
) -> Result<()> {
    let source = source.filter(|source| !source.is_empty()).ok_or_else(|| {
        Error::new(Kind::InvalidSpec, format!("mounts: {target}: a bind mount needs a source"))
    })?;
    // Flags of the superblock are those of the source; "ro" is told by the mount's attributes.
    if let Some((key, _)) = options.data.iter().find(|(key, value)| value.is_some() || key != "ro") {
        let message = format!("mounts: {target}: option {key} has no meaning for a bind mount");
        return Err(Error::new(Kind::InvalidSpec, message));
    }
    steps.push(Step::Bind(Bind {
        source: bundle.join(source).to_string_lossy().into_owned(),
        target,
        recursive,
        attributes: options.mount,
        tree_attributes: options.tree,
        propagation: options.propagation,
    }));
    Ok(())
}

/// Mount points and device nodes are made in these, so they are writable until all is there.
fn made_read_only_later(filesystem: &Filesystem) -> bool {
    filesystem.attributes & RDONLY != 0 && (filesystem.fstype == "tmpfs" || filesystem.target == "/dev")
}

/// Absolute, without `.`, `..` and doubled slashes: words only, links are the init program's concern.
fn clean(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

/// A `cgroup` mount on cgroup v1: a tmpfs with one directory a hierarchy. With a cgroup namespace each is mounted anew
/// and shows the container as its root; without, the container's own directory is bound.
fn cgroup(target: &str, options: &Options, cgroups: &CgroupPlan, steps: &mut Vec<Step>) -> Result<()> {
    const FLAGS: u64 = NOSUID | NODEV | NOEXEC;
    let read_only = (options.mount.set | options.tree.set) & RDONLY;
    let tmpfs = Filesystem {
        fstype: String::from("tmpfs"),
        source: String::from("tmpfs"),
        target: target.to_owned(),
        options: vec![(String::from("mode"), Some(String::from("755")))],
        attributes: FLAGS,
        propagation: options.propagation.clone(),
        inherit_mode: false,
        real_directory: false,
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
        return Ok(());
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
            propagation: Vec::new(),
            inherit_mode: false,
            real_directory: false,
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
    Ok(())
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

/// What the host's mounts and the container's have to do with each other; before anything is mounted.
pub(crate) fn host_propagation(spec: &Spec, steps: &mut Vec<Step>) -> Result<()> {
    let wanted = root_propagation(spec)?;
    // Shared and unbindable are for the container's root alone: the host's mounts stay out of it (runc#1755).
    let flags = wanted.filter(|flags| flags & (MS_SLAVE | super::options::MS_PRIVATE) != 0);
    steps.push(Step::Propagate { flags: flags.unwrap_or(MS_SLAVE) | MS_REC });
    Ok(())
}

/// `linux.rootfsPropagation`, for the root once it is `/`.
pub(crate) fn root_propagation(spec: &Spec) -> Result<Option<u64>> {
    let word = spec.linux().as_ref().and_then(|linux| linux.rootfs_propagation().as_deref());
    word.filter(|word| !word.is_empty()).map(propagation).transpose()
}

/// Whether /dev is the host's: then nothing is made in it.
pub(crate) fn dev_is_bound(spec: &Spec) -> bool {
    spec.mounts().iter().flatten().any(|mount| {
        let bind = |word: &String| word == "bind" || word == "rbind";
        mount.destination().components().eq(Path::new("/dev").components())
            && mount.options().iter().flatten().any(bind)
    })
}

/// `ro` of what had to be writable, `readonlyPaths`, `maskedPaths`, `root.readonly`: last, over everything that was
/// mounted.
pub(crate) fn protections(spec: &Spec, steps: &mut Vec<Step>) -> Result<()> {
    for mount in spec.mounts().iter().flatten() {
        let options = Options::parse(mount.options().iter().flatten().map(String::as_str))?;
        let path = clean(&mount.destination().to_string_lossy());
        let delayed = mount.typ().as_deref() == Some("tmpfs") || path == "/dev";
        if options.bind.is_none() && delayed && (options.mount.set | options.tree.set) & RDONLY != 0 {
            steps.push(Step::MountAttributes { path, set: RDONLY });
        }
    }
    let Some(linux) = spec.linux() else { return Ok(()) };
    steps.extend(linux.readonly_paths().iter().flatten().map(|path| Step::ReadOnly { path: path.clone() }));
    steps.extend(linux.masked_paths().iter().flatten().map(|path| Step::Mask { path: path.clone() }));
    if spec.root().as_ref().is_some_and(|root| root.readonly() == Some(true)) {
        steps.push(Step::RootAttributes { set: RDONLY });
    }
    Ok(())
}

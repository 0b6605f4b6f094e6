//! From `mounts`, `maskedPaths`, `readonlyPaths` and `root` to steps. Pure: paths are claims, nothing is resolved.
#![forbid(unsafe_code)]

use std::path::Path;

use oci_spec::runtime::{Mount, Spec};

use super::options::{MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, Options, RDONLY, propagation};
use crate::cgroup::plan::CgroupPlan;
use crate::error::{Error, Kind, Result};
use crate::wire::{Bind, Filesystem, OpenedBy, Remount, Step};
use crate::wording;
use idmap::Idmaps;
pub(crate) use idmap::MountUserns;

mod cgroup;
mod idmap;

/// What may be mounted over below /proc: files that lxcfs and the like tell better. Everything else would let a mount
/// pretend what the kernel says (CVE-2019-16884).
const BELOW_PROC: [&str; 10] = [
    "cpuinfo",
    "diskstats",
    "meminfo",
    "stat",
    "swaps",
    "uptime",
    "loadavg",
    "slabinfo",
    "sys/kernel/ns_last_pid",
    "sys/crypto/fips_enabled",
];

/// What the mounts depend on beside the document.
#[derive(Debug)]
pub(crate) struct Around<'a> {
    pub(crate) bundle: &'a Path,
    pub(crate) cgroups: &'a CgroupPlan,
    /// The container has a user namespace of its own.
    pub(crate) user_namespace: bool,
    /// The runtime is root.
    pub(crate) privileged: bool,
    /// The kernel has SELinux.
    pub(crate) selinux: bool,
    /// Where the descriptors of user namespaces for mounts begin.
    pub(crate) first_descriptor: i32,
}

impl Around<'_> {
    /// Who opens things of the host: only root can help the root of a user namespace.
    pub(crate) fn opened_by(&self) -> OpenedBy {
        if self.user_namespace && self.privileged { OpenedBy::EitherOne } else { OpenedBy::Init }
    }
}

/// The mounts of the configuration, in its order; `join` comes as late as it can. Answers with the user namespaces
/// that they need.
pub(crate) fn mounts(
    spec: &Spec,
    around: &Around<'_>,
    join: Vec<Step>,
    steps: &mut Vec<Step>,
) -> Result<Vec<MountUserns>> {
    let mut join = Some(join);
    let label = mount_label(spec, around)?;
    let mut idmaps = Idmaps {
        linux: spec.linux().as_ref(),
        user_namespace: around.user_namespace,
        privileged: around.privileged,
        first_descriptor: around.first_descriptor,
        found: Vec::new(),
    };
    for mount in spec.mounts().iter().flatten() {
        if !free_of_cgroups(mount) {
            steps.extend(join.take().into_iter().flatten());
        }
        one(mount, around, label, &mut idmaps, steps)?;
    }
    steps.extend(join.into_iter().flatten());
    Ok(idmaps.found)
}

/// A new filesystem of the kernel's own, still empty: it neither shows the cgroups nor holds memory that should be
/// accounted to them.
fn free_of_cgroups(mount: &Mount) -> bool {
    let fstype = mount.typ().as_deref().unwrap_or_default();
    let plain = |option: &String| !matches!(option.as_str(), "bind" | "rbind" | "tmpcopyup" | "remount");
    matches!(fstype, "proc" | "sysfs" | "devpts" | "mqueue" | "tmpfs")
        && mount.options().iter().flatten().all(plain)
}

/// `linux.mountLabel`, which means nothing without SELinux.
fn mount_label<'s>(spec: &'s Spec, around: &Around<'_>) -> Result<Option<&'s str>> {
    let label = spec.linux().as_ref().and_then(|linux| linux.mount_label().as_deref());
    let label = label.filter(|label| !label.is_empty());
    if label.is_some() && !around.selinux {
        return Err(Error::new(Kind::Lsm, wording::NO_SELINUX).during("linux.mountLabel"));
    }
    Ok(label)
}

fn one(
    mount: &Mount,
    around: &Around<'_>,
    label: Option<&str>,
    idmaps: &mut Idmaps<'_>,
    steps: &mut Vec<Step>,
) -> Result<()> {
    let options = Options::parse(mount.options().iter().flatten().map(String::as_str));
    let target = clean(&mount.destination().to_string_lossy());
    let fstype = mount.typ().as_deref().unwrap_or_default();
    place(&target, fstype, &options)?;
    let invalid = |why: &str| Err(Error::new(Kind::InvalidSpec, format!("mounts: {target}: {why}")));
    if options.copy_up && (fstype != "tmpfs" || options.bind.is_some() || options.remount) {
        return invalid("option tmpcopyup is for a new tmpfs");
    }
    let idmap = idmaps.of(mount, &target, options.idmap)?;
    if idmap.is_some() && options.remount {
        return invalid("the ids of a mount that is there cannot be changed");
    }
    if options.remount {
        steps.push(Step::Remount(remount(target, options)));
        return Ok(());
    }
    let source = mount.source().as_ref().map(|source| source.to_string_lossy().into_owned());
    if let Some(recursive) = options.bind {
        let opened_by = if idmap.is_some() && around.user_namespace {
            // Only who rules the filesystem may change its ids.
            OpenedBy::Runtime
        } else {
            around.opened_by()
        };
        let bind =
            Bind { target, recursive, opened_by, idmap, ..bound(around.bundle, source, mount, options)? };
        steps.push(Step::Bind(bind));
        return Ok(());
    }
    match fstype {
        "" | "none" | "bind" => {
            return invalid("neither a filesystem type nor bind among the options");
        }
        "cgroup" if idmap.is_some() => return invalid("the ids of cgroups cannot be changed"),
        "cgroup" => {
            cgroup::mount(&target, options, around, steps);
            return Ok(());
        }
        _ => {}
    }
    if idmap.is_some() && around.user_namespace {
        let message = format!("mounts: {target}: idmap of a new filesystem in a user namespace");
        return Err(Error::new(Kind::Unsupported, format!("{message}: the kernel has that for binds only")));
    }
    let source = source.filter(|source| !source.is_empty()).unwrap_or_else(|| fstype.to_owned());
    let filesystem = Filesystem { source, idmap, ..made(fstype, target, options, label) };
    steps.push(Step::Mount(filesystem));
    Ok(())
}

/// Whether a mount may be there at all.
fn place(target: &str, fstype: &str, options: &Options) -> Result<()> {
    let invalid = |message: String| Err(Error::new(Kind::InvalidSpec, message));
    if target == "/" {
        return invalid("mounts: mounting on /: the root filesystem is root.path".to_owned());
    }
    if target == "/proc" && options.bind.is_none() && !options.remount && fstype != "proc" {
        return invalid(format!("mounts: {target:?} cannot be mounted because it is not of type proc"));
    }
    if target.strip_prefix("/proc/").is_some_and(|below| !BELOW_PROC.contains(&below)) {
        return invalid(format!("mounts: {target:?} cannot be mounted because it is inside /proc"));
    }
    Ok(())
}

/// A new filesystem, but for its source and its ids.
fn made(fstype: &str, target: String, options: Options, label: Option<&str>) -> Filesystem {
    let has = |key: &str| options.data.iter().any(|(name, _)| name == key);
    let (has_mode, has_context) = (has("mode"), has("context"));
    let mut filesystem = Filesystem {
        fstype: fstype.to_owned(),
        target,
        // A new filesystem is a tree of one mount.
        attributes: options.mount.set | options.tree.set,
        propagation: options.propagation,
        inherit_mode: fstype == "tmpfs" && !has_mode,
        real_directory: matches!(fstype, "proc" | "sysfs"),
        options: options.data,
        copy_up: options.copy_up,
        ..Filesystem::default()
    };
    if let Some(label) = label.filter(|_| !matches!(fstype, "proc" | "sysfs") && !has_context) {
        filesystem.options.push(("context".to_owned(), Some(label.to_owned())));
    }
    if made_read_only_later(&filesystem) {
        filesystem.attributes &= !RDONLY;
        filesystem.options.retain(|(key, value)| key != "ro" || value.is_some());
    }
    filesystem
}

/// A bind mount, but for its place and who opens its source.
fn bound(bundle: &Path, source: Option<String>, mount: &Mount, options: Options) -> Result<Bind> {
    let target = clean(&mount.destination().to_string_lossy());
    let source = source.filter(|source| !source.is_empty()).ok_or_else(|| {
        Error::new(Kind::InvalidSpec, format!("mounts: {target}: a bind mount needs a source"))
    })?;
    // Flags of the superblock are those of the source; "ro" is told by the mount's attributes.
    if let Some((key, _)) = options.data.iter().find(|(key, value)| value.is_some() || key != "ro") {
        let message = format!("mounts: {target}: option {key} has no meaning for a bind mount");
        return Err(Error::new(Kind::InvalidSpec, message));
    }
    Ok(Bind {
        source: bundle.join(source).to_string_lossy().into_owned(),
        procfs: target == "/proc",
        attributes: options.mount,
        tree_attributes: options.tree,
        propagation: options.propagation,
        ..Bind::default()
    })
}

fn remount(target: String, options: Options) -> Remount {
    Remount {
        target,
        bind: options.bind.is_some(),
        options: options.data,
        attributes: options.mount,
        propagation: options.propagation,
    }
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

/// What the host's mounts and the container's have to do with each other; before anything is mounted.
///
/// With a shared root the host's shared mounts stay so: what the container mounts below a bind of them is meant for the
/// host as well. Only the place of the root filesystem is parted from it. An unbindable root is the container's affair.
pub(crate) fn host_propagation(spec: &Spec, rootfs: &str, steps: &mut Vec<Step>) -> Result<()> {
    let wanted = root_propagation(spec)?.unwrap_or(MS_SLAVE);
    steps.push(if wanted & MS_SHARED != 0 {
        Step::PartFromHost { path: rootfs.to_owned() }
    } else {
        Step::Propagate { flags: (if wanted & MS_PRIVATE != 0 { MS_PRIVATE } else { MS_SLAVE }) | MS_REC }
    });
    Ok(())
}

/// `linux.rootfsPropagation`, for the root once it is `/`.
pub(crate) fn root_propagation(spec: &Spec) -> Result<Option<u64>> {
    let word = spec.linux().as_ref().and_then(|linux| linux.rootfs_propagation().as_deref());
    word.filter(|word| !word.is_empty()).map(propagation).transpose()
}

/// Without pivot_root(2) the host's mounts stay below the container's root: those that the host takes off must go
/// there, too.
pub(crate) fn allow_no_pivot(spec: &Spec) -> Result<()> {
    if root_propagation(spec)?.is_some_and(|flags| flags & MS_PRIVATE != 0) {
        let message = "linux.rootfsPropagation of [r]private is not safe without pivot_root";
        return Err(Error::new(Kind::InvalidSpec, message));
    }
    Ok(())
}

/// Whether /dev is the host's: then nothing is made in it.
pub(crate) fn dev_is_bound(spec: &Spec) -> bool {
    spec.mounts().iter().flatten().any(|mount| {
        let options = Options::parse(mount.options().iter().flatten().map(String::as_str));
        clean(&mount.destination().to_string_lossy()) == "/dev" && options.bind.is_some() && !options.remount
    })
}

/// `ro` of what had to be writable, `readonlyPaths`, `maskedPaths`, `root.readonly`: last, over everything that was
/// mounted.
pub(crate) fn protections(spec: &Spec, steps: &mut Vec<Step>) {
    for mount in spec.mounts().iter().flatten() {
        let options = Options::parse(mount.options().iter().flatten().map(String::as_str));
        let path = clean(&mount.destination().to_string_lossy());
        let delayed = mount.typ().as_deref() == Some("tmpfs") || path == "/dev";
        if options.bind.is_none()
            && !options.remount
            && delayed
            && (options.mount.set | options.tree.set) & RDONLY != 0
        {
            steps.push(Step::MountAttributes { path, set: RDONLY });
        }
    }
    let Some(linux) = spec.linux() else { return };
    steps.extend(linux.readonly_paths().iter().flatten().map(|path| Step::ReadOnly { path: path.clone() }));
    steps.extend(linux.masked_paths().iter().flatten().map(|path| Step::Mask { path: path.clone() }));
    if spec.root().as_ref().is_some_and(|root| root.readonly() == Some(true)) {
        steps.push(Step::RootAttributes { set: RDONLY });
    }
}

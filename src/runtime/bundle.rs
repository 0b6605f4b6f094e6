//! What a caller brings to a create: the bundle, its configuration, the root filesystem.
#![forbid(unsafe_code)]

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;

use super::options::CreateOptions;
use crate::error::{Error, Kind, Result};
use crate::host::SecurityModules;
use crate::process::plan::label;
use crate::sys::{errno_of, file};
use crate::{spec, wording};

/// The bundle, absolute and without links. A configuration that comes as bytes needs none: the host's cwd stands in.
pub(super) fn find(options: &CreateOptions<'_>) -> Result<PathBuf> {
    let bundle = match (&options.bundle, &options.config) {
        (Some(bundle), _) => bundle.as_path(),
        (None, Some(_)) => Path::new("."),
        (None, None) => {
            return Err(Error::new(Kind::InvalidArgument, "neither a bundle nor a configuration is given"));
        }
    };
    bundle.canonicalize().map_err(|error| {
        Error::os(Kind::InvalidArgument, format!("open bundle {}", bundle.display()), errno_of(&error))
    })
}

/// The configuration's bytes: those that were given, or the bundle's.
pub(super) fn config(given: Option<Vec<u8>>, bundle: &Path) -> Result<Vec<u8>> {
    if let Some(config) = given {
        return Ok(config);
    }
    let path = bundle.join("config.json");
    fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Error::new(Kind::InvalidSpec, wording::CONFIG_NOT_FOUND).detailed("path", path.to_string_lossy())
        }
        _ => Error::os(Kind::InvalidSpec, format!("read {}", path.display()), errno_of(&error)),
    })
}

/// The configuration, if it is one that can be had here, and what it says that nobody knows.
pub(super) fn legal(config: &[u8], want_seccomp_listener: bool) -> Result<(Spec, Vec<String>)> {
    let (mut spec, unknown) = spec::parse_telling(config)?;
    if want_seccomp_listener {
        listen_ourselves(&mut spec);
    }
    spec::validate(&spec)?;
    if let Some(process) = spec.process().as_ref().filter(|process| label::wanted(process)) {
        label::possible(process, SecurityModules::probe())?;
    }
    Ok((spec, unknown))
}

/// The root filesystem's path and, where it came as a descriptor, what has to be there.
pub(super) fn chosen_rootfs(
    options: &CreateOptions<'_>,
    spec: &Spec,
    bundle: &Path,
) -> Result<(PathBuf, Option<(u64, u64)>)> {
    match &options.rootfs {
        Some(directory) => given_rootfs(directory.as_fd()).map(|(path, identity)| (path, Some(identity))),
        None => rootfs(spec, bundle).map(|path| (path, None)),
    }
}

/// The root filesystem: a directory, and not a link that somebody could turn elsewhere.
fn rootfs(spec: &Spec, bundle: &Path) -> Result<PathBuf> {
    let path = bundle.join(spec.root().as_ref().map(|root| root.path().clone()).unwrap_or_default());
    let error = |error: std::io::Error| {
        Error::os(Kind::Rootfs, format!("open root filesystem {}", path.display()), errno_of(&error))
    };
    let there = fs::symlink_metadata(&path).map_err(error)?;
    if there.is_symlink() {
        return Err(Error::new(Kind::Rootfs, "invalid rootfs: not an absolute path, or a symlink"));
    }
    if !there.is_dir() {
        return Err(Error::os(
            Kind::Rootfs,
            format!("open root filesystem {}", path.display()),
            libc::ENOTDIR,
        ));
    }
    path.canonicalize().map_err(error)
}

/// The root filesystem behind a descriptor: where it is, and what it has to be when the init program opens it there.
fn given_rootfs(directory: BorrowedFd<'_>) -> Result<(PathBuf, (u64, u64))> {
    let found = file::place_of(directory).map_err(|errno| {
        Error::os(Kind::Rootfs, "find the root filesystem by its descriptor", errno as i32)
    })?;
    match found.place {
        Some(_) if !found.is_directory => {
            Err(Error::os(Kind::Rootfs, "use the root filesystem's descriptor", libc::ENOTDIR))
        }
        Some(path) => Ok((path, found.identity)),
        None => {
            let message =
                "find the root filesystem by its descriptor: it has no path in this mount namespace";
            Err(Error::new(Kind::Rootfs, message))
        }
    }
}

/// The rules want to know where listeners go. Here they stay; what is named is never connected to.
fn listen_ourselves(spec: &mut Spec) {
    let seccomp = spec.linux_mut().as_mut().and_then(|linux| linux.seccomp_mut().as_mut());
    if let Some(seccomp) = seccomp
        && seccomp.listener_path().as_ref().is_none_or(|path| path.as_os_str().is_empty())
    {
        seccomp.set_listener_path(Some(PathBuf::from("/")));
    }
}

pub(super) fn names_mount_label(spec: &Spec) -> bool {
    spec.linux().as_ref().is_some_and(|linux| linux.mount_label().is_some())
}

//! `riverrun checkpoint`: the container as images. Also the options that `restore` shares with it.
#![forbid(unsafe_code)]

use std::fs::{self, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::{env, io};

use riverrun::{Call, CheckpointOptions, CriuOptions, ImageDirectory, ManageCgroups, NetworkLock};

use crate::args::Matches;
use crate::ending::Ending;
use crate::failure::{Failure, Outcome, io_failure};
use crate::session::{Session, path_option};

/// Checkpoints the container; it is deleted unless it goes on.
pub(crate) fn checkpoint(session: &Session, matches: &Matches) -> Outcome {
    let container = session.context()?.open(matches.id())?;
    let images = image_path(matches)?;
    let status = status_fd(matches)?;
    let options = CheckpointOptions {
        parent: parent_path(matches, &images)?,
        images: ImageDirectory::Path(images),
        work: path_option(matches, "work-path")?.map(ImageDirectory::Path),
        leave_running: matches.switch("leave-running"),
        pre_dump: matches.switch("pre-dump"),
        tcp_skip_in_flight: matches.switch("tcp-skip-in-flight"),
        link_remap: matches.switch("link-remap"),
        page_server: page_server(matches)?,
        status_fd: status.as_ref().map(AsFd::as_fd),
        criu: criu_options(matches)?,
    };
    let ending = Ending::block()?;
    container.checkpoint(&options, ending.call()).map_err(|error| ending.failure(error))?;
    if !options.leave_running && !options.pre_dump {
        container.delete(true, Call::default())?;
    }
    Ok(0)
}

/// `--image-path`, or where runc looks.
pub(crate) fn image_path(matches: &Matches) -> Result<PathBuf, Failure> {
    match path_option(matches, "image-path")? {
        Some(path) => Ok(path),
        None => crate::session::absolute_path("checkpoint"),
    }
}

/// What `checkpoint` and `restore` have in common.
pub(crate) fn criu_options(matches: &Matches) -> Result<CriuOptions, Failure> {
    let manage_cgroups = match matches.text("manage-cgroups-mode") {
        None => None,
        Some("soft") => Some(ManageCgroups::Soft),
        Some("full") => Some(ManageCgroups::Full),
        Some("strict") => Some(ManageCgroups::Strict),
        Some("ignore") => Some(ManageCgroups::Ignore),
        Some(_) => return Err("invalid manage-cgroups-mode value".into()),
    };
    let network_lock = match matches.text("network-lock") {
        None => None,
        Some("iptables") => Some(NetworkLock::Iptables),
        Some("nftables") => Some(NetworkLock::Nftables),
        Some("skip") => Some(NetworkLock::Skip),
        Some(word) => return Err(format!("invalid network-lock value {word:?}").into()),
    };
    // CRIU can leave no other empty.
    if let Some(other) = matches.list("empty-ns").find(|name| *name != "network") {
        return Err(format!("namespace {other:?} is not supported").into());
    }
    Ok(CriuOptions {
        tcp_established: matches.switch("tcp-established"),
        ext_unix_sk: matches.switch("ext-unix-sk"),
        shell_job: matches.switch("shell-job"),
        file_locks: matches.switch("file-locks"),
        lazy_pages: matches.switch("lazy-pages"),
        auto_dedup: matches.switch("auto-dedup"),
        manage_cgroups,
        empty_ns: 0,
        network_lock,
        criu: in_path("criu"),
    })
}

/// A program in `$PATH`.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

/// COMPAT(runc): relative to the images, and there.
fn parent_path(matches: &Matches, images: &Path) -> Result<Option<PathBuf>, Failure> {
    let Some(parent) = matches.text("parent-path").map(PathBuf::from) else { return Ok(None) };
    if parent.is_absolute() {
        return Err("--parent-path must be relative".into());
    }
    // The way up from the images begins in their directory.
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(images);
    made.map_err(|error| io_failure(&format!("make {}", images.display()), &error))?;
    let place = images.join(&parent);
    let there = fs::metadata(&place).and_then(|there| {
        if there.is_dir() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ENOTDIR)) }
    });
    there.map_err(|error| io_failure(&format!("invalid --parent-path: stat {}", place.display()), &error))?;
    Ok(Some(parent))
}

/// `ADDRESS:PORT`; brackets around an address with colons.
fn page_server(matches: &Matches) -> Result<Option<(String, u16)>, Failure> {
    let Some(text) = matches.text("page-server") else { return Ok(None) };
    let malformed = || Failure::from("Use --page-server ADDRESS:PORT to specify page server");
    let (address, port) = text.rsplit_once(':').ok_or_else(malformed)?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    if address.is_empty() || port.is_empty() {
        return Err(malformed());
    }
    let port = port.parse().map_err(|_| Failure::from("Invalid port number"))?;
    Ok(Some((address.to_owned(), port)))
}

/// The caller's descriptor, as a copy.
fn status_fd(matches: &Matches) -> Result<Option<OwnedFd>, Failure> {
    let Some(text) = matches.text("status-fd") else { return Ok(None) };
    let number: u32 =
        text.parse().map_err(|_| format!("invalid value \"{text}\" for flag -status-fd: parse error"))?;
    let opened = OpenOptions::new().write(true).open(format!("/proc/self/fd/{number}"));
    opened
        .map(|file| Some(file.into()))
        .map_err(|error| io_failure(&format!("invalid --status-fd argument {number}"), &error))
}

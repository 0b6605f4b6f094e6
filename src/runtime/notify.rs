//! notify: the socket on which a container's program says that it is ready (sd_notify(3)), and how it gets there.
//!
//! The directory `notify` in the state directory is mounted read-only at `/run/notify`, and `$NOTIFY_SOCKET` names the
//! socket in it. The socket is made later, by whoever starts the container and is going to listen: names and places
//! are runc's.
#![forbid(unsafe_code)]

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use oci_spec::runtime::{Mount, Process, Spec};

use super::context::Container;
use super::options::CreateOptions;
use crate::error::{Error, Kind, Result};
use crate::state::directory::Directory;
use crate::sys::errno_of;

const DIRECTORY: &str = "notify";
const SOCKET: &str = "notify.sock";
const INSIDE: &str = "/run/notify";

/// Adds the mount and the variable to the configuration, where they are wanted.
pub(super) fn add_to(spec: &mut Spec, options: &CreateOptions<'_>, root: &Path, id: &str) {
    if !options.notify {
        return;
    }
    mount(spec, root, id);
    if let Some(process) = spec.process_mut() {
        announce(process);
    }
}

/// The mount alone.
pub(super) fn mount(spec: &mut Spec, root: &Path, id: &str) {
    let mut mount = Mount::default();
    mount
        .set_destination(INSIDE.into())
        .set_typ(Some("bind".into()))
        .set_source(Some(root.join(id).join(DIRECTORY)))
        .set_options(Some(["bind", "nosuid", "noexec", "nodev", "ro"].map(String::from).to_vec()));
    spec.mounts_mut().get_or_insert_with(Vec::new).push(mount);
}

fn announce(process: &mut Process) {
    process.env_mut().get_or_insert_with(Vec::new).push(format!("NOTIFY_SOCKET={INSIDE}/{SOCKET}"));
}

/// Makes the directory, which any user of the container may enter.
pub(super) fn make(directory: &Directory, options: &CreateOptions<'_>) -> Result<()> {
    if !options.notify {
        return Ok(());
    }
    let path = format!("/proc/self/fd/{}/{DIRECTORY}", directory.fd().as_raw_fd());
    let made = DirBuilder::new().mode(0o755).create(&path);
    // The umask is the host's.
    made.and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o755)))
        .map_err(|error| fail("make notify directory", &error))
}

/// Whether the container has it.
pub(super) fn is_in(directory: &Directory) -> bool {
    Path::new(&format!("/proc/self/fd/{}/{DIRECTORY}", directory.fd().as_raw_fd())).is_dir()
}

impl Container {
    /// The socket on which the program tells that it is ready, if the container was created with
    /// [`notify`](crate::CreateOptions::notify): a new one each time, to be asked for before `start`.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if the container is gone, [`Kind::System`] if the socket cannot be made.
    pub fn notify_socket(&self) -> Result<Option<OwnedFd>> {
        let (directory, _) = self.load()?;
        if !is_in(&directory) {
            return Ok(None);
        }
        let path = format!("/proc/self/fd/{}/{DIRECTORY}/{SOCKET}", directory.fd().as_raw_fd());
        let bound = remove(&path).and_then(|()| UnixDatagram::bind(&path)).and_then(|socket| {
            fs::set_permissions(&path, Permissions::from_mode(0o777))?;
            Ok(socket)
        });
        bound.map(|socket| Some(socket.into())).map_err(|error| fail("make notify socket", &error))
    }
}

/// That of an earlier start, which has nobody who listens.
fn remove(path: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn fail(doing: &str, error: &io::Error) -> Error {
    Error::os(Kind::System, doing, errno_of(error))
}

//! state: what is true of a container now, in the words and bytes of runc's `state`.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use super::context::Container;
use crate::OCI_VERSION;
use crate::error::Result;
use crate::passwd;
use crate::state::directory::Directory;
use crate::state::file::StateFile;
use crate::state::status::{Status, observe};

/// What is true of a container.
#[derive(Clone, Debug)]
pub struct State {
    /// The version of the runtime specification.
    pub oci_version: String,
    /// The id.
    pub id: String,
    /// The pid of the first process as the host sees it; 0 when stopped.
    pub pid: i32,
    /// Observed just now.
    pub status: Status,
    /// The bundle directory.
    pub bundle: PathBuf,
    /// The root filesystem.
    pub rootfs: PathBuf,
    /// When it was created: RFC 3339, UTC, nanoseconds.
    pub created: String,
    /// The same as nanoseconds since 1970.
    pub created_ns: i64,
    /// When its first process started, in clock ticks since the machine did.
    pub start_time: u64,
    /// Those of the configuration.
    pub annotations: BTreeMap<String, String>,
    /// The name of the user whom the state belongs to, or `#uid`.
    pub owner: String,
}

/// The document; the order of the keys is runc's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    oci_version: &'a str,
    id: &'a str,
    pid: i32,
    status: String,
    bundle: &'a PathBuf,
    rootfs: &'a PathBuf,
    created: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    owner: &'a str,
}

impl State {
    pub(super) fn observe(directory: &Directory, file: &StateFile) -> Self {
        let status = observe(directory, file);
        Self {
            oci_version: OCI_VERSION.to_owned(),
            id: file.id.clone(),
            pid: if status == Status::Stopped { 0 } else { file.init_process_pid },
            status,
            bundle: file.riverrun.bundle.clone(),
            rootfs: file.config.rootfs.clone(),
            created: file.created.clone(),
            created_ns: file.riverrun.created_ns,
            start_time: file.init_process_start,
            annotations: file.riverrun.annotations.clone(),
            owner: owner(directory.owner()),
        }
    }

    /// What `state` prints: indented by two, no newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings and numbers: serialising cannot fail.
        serde_json::to_string_pretty(&self.document()).unwrap_or_default()
    }

    /// One entry of what `list --format json` prints.
    #[must_use]
    pub fn to_json_line(&self) -> String {
        serde_json::to_string(&self.document()).unwrap_or_default()
    }

    fn document(&self) -> Document<'_> {
        Document {
            oci_version: &self.oci_version,
            id: &self.id,
            pid: self.pid,
            status: self.status.to_string(),
            bundle: &self.bundle,
            rootfs: &self.rootfs,
            created: &self.created,
            annotations: &self.annotations,
            owner: &self.owner,
        }
    }
}

/// From /etc/passwd alone: a lookup through the C library could load modules into the host process.
fn owner(uid: u32) -> String {
    let passwd = fs::read("/etc/passwd").unwrap_or_default();
    passwd::entry_of(uid, &passwd).map_or_else(|| format!("#{uid}"), |entry| entry.name.to_owned())
}

impl Container {
    /// What is true now.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::Kind::NotFound) if it is gone.
    pub fn state(&self) -> Result<State> {
        let (directory, file) = self.load()?;
        Ok(State::observe(&directory, &file))
    }
}

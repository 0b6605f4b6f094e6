//! The agent: a program that listens at a path and gets the listener of a filter (config-linux.md, containerprocessstate).
//!
//! One message on a connection of its own: the state of the container and of the process as JSON, the descriptor beside it.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use serde::Serialize;

use super::plan::Receiver;
use crate::error::{Error, Kind, Result};
use crate::sys::{Errno, pidfd, socket};

/// Who gets the listener, and what he is told.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) receiver: Receiver,
    pub(crate) container: State,
}

/// The container's state (runtime.md#state).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct State {
    pub(crate) oci_version: &'static str,
    pub(crate) id: String,
    pub(crate) status: String,
    /// Of the first process; 0 where that is the one that the filter is for.
    pub(crate) pid: i32,
    pub(crate) bundle: PathBuf,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// The container process state.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    oci_version: &'static str,
    fds: [&'static str; 1],
    pid: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    metadata: &'a str,
    state: &'a State,
}

/// Fetches the listener that has the number `fd` in the process. Fetched, and not sent by the process: to send may be
/// what its profile hands to the listener.
pub(crate) fn fetch(pidfd: BorrowedFd<'_>, fd: i32) -> Result<OwnedFd> {
    pidfd::take_fd(pidfd, fd)
        .map_err(|errno| Error::os(Kind::Seccomp, "take the seccomp listener", errno as i32))
}

impl Agent {
    /// Fetches the listener that has the number `fd` in the process, connects, sends, and closes: nothing of it stays.
    pub(crate) fn hand_over(&self, pid: i32, pidfd: BorrowedFd<'_>, fd: i32) -> Result<()> {
        let listener = fetch(pidfd, fd)?;
        let mut state = self.container.clone();
        if state.pid == 0 {
            state.pid = pid;
        }
        let message = Message {
            oci_version: state.oci_version,
            fds: ["seccompFd"],
            pid,
            metadata: &self.receiver.metadata,
            state: &state,
        };
        // Strings and numbers: serialising cannot fail.
        let text = serde_json::to_vec(&message).unwrap_or_default();
        let error = |errno: Errno| {
            let doing = format!("send the seccomp listener to {}", self.receiver.path.display());
            Error::os(Kind::Seccomp, doing, errno as i32)
        };
        let agent = socket::connect_to(&self.receiver.path).map_err(error)?;
        socket::send(agent.as_fd(), &text, &[listener.as_fd()]).map_err(error)
    }
}

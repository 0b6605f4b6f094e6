//! What a container is made of, by descriptor: its namespaces and its cgroup, for hosts that look or enter themselves.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::PoisonError;

use super::context::Container;
use super::process::Process;
use crate::error::{Error, Kind, Result};
use crate::seccomp::apply::fetch;
use crate::sys::clone::Child;
use crate::sys::{self, file, namespace};
use crate::wire::ToInit;
use crate::wording;

/// A kind of namespace (namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Namespace {
    /// Mounts.
    Mount = 1,
    /// Processes.
    Pid = 2,
    /// Network devices, addresses, routes.
    Net = 3,
    /// System V IPC and message queues.
    Ipc = 4,
    /// Host and domain name.
    Uts = 5,
    /// Users, groups, capabilities.
    User = 6,
    /// The root of the cgroups.
    Cgroup = 7,
    /// Offsets of the monotonic and the boot clock.
    Time = 8,
}

impl Namespace {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] =
        [Self::Mount, Self::Pid, Self::Net, Self::Ipc, Self::Uts, Self::User, Self::Cgroup, Self::Time];

    /// Its file in `/proc/PID/ns`.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Mount => "mnt",
            Self::Pid => "pid",
            Self::Net => "net",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }
}

impl Container {
    /// The namespace that the first process is in, its own or one that it shares with the host.
    ///
    /// # Errors
    /// [`Kind::NotRunning`] if the first process has ended; [`Kind::Unsupported`] if the kernel has no such namespaces.
    pub fn open_namespace(&self, kind: Namespace) -> Result<OwnedFd> {
        let (_, state) = self.load()?;
        let (pid, start_time) = (state.init_process_pid, state.init_process_start);
        Process::open(pid, start_time)?;
        let opened = namespace::open(Path::new(&format!("/proc/{pid}/ns/{}", kind.file())));
        // Asked after it was opened: until here the number may have become somebody else's.
        if sys::process::stat(pid).is_none_or(|stat| stat.start_time != start_time || stat.is_dead()) {
            return Err(Error::new(Kind::NotRunning, wording::NOT_RUNNING));
        }
        opened.map_err(|errno| {
            let kind_of_error = match errno {
                sys::Errno::ENOENT => Kind::Unsupported,
                sys::Errno::EACCES | sys::Errno::EPERM => Kind::Permission,
                _ => Kind::System,
            };
            Error::os(kind_of_error, format!("open {} namespace of process {pid}", kind.file()), errno as i32)
        })
    }

    /// The listener of the seccomp filter of the first process, then those of the processes that this handle executed, in
    /// their order, each once. For a container that was created with
    /// [`want_seccomp_listener`](crate::CreateOptions::want_seccomp_listener), from the handle that the create gave.
    ///
    /// # Errors
    /// [`Kind::Seccomp`] if there is none.
    pub fn take_seccomp_listener(&self) -> Result<OwnedFd> {
        let mut kept = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pop_front().ok_or_else(|| {
            Error::new(Kind::Seccomp, "take seccomp listener: none was asked for, was made, or is left")
        })
    }

    /// Fetches the listener that has this number in a process that is being made.
    pub(super) fn keep_listener(&self, child: &Child, number: i32) -> Result<(ToInit, Option<OwnedFd>)> {
        let listener = fetch(child.pidfd.as_fd(), number)?;
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push_back(listener);
        Ok((ToInit::Listened, None))
    }

    /// The container's directory in the cgroup2 filesystem.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] if it has none there; [`Kind::Cgroup`] if it cannot be opened.
    pub fn open_cgroup(&self) -> Result<OwnedFd> {
        let (_, state) = self.load()?;
        let path = state.cgroup_paths.get("").ok_or_else(|| {
            Error::new(
                Kind::Unsupported,
                "open cgroup: the container has no directory in a cgroup2 filesystem",
            )
        })?;
        file::open_directory(path)
            .map_err(|errno| Error::os(Kind::Cgroup, format!("open cgroup {}", path.display()), errno as i32))
    }
}

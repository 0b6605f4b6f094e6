//! What callers wish of a migration, and what they are told of it. Values only.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

use crate::checkpoint::CriuOptions;
use crate::error::Error;
use crate::runtime::options::CreateOptions;

/// How the target comes by the root filesystem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RootfsTransfer {
    /// It has the same files already: a shared filesystem, or a read-only image.
    #[default]
    Shared,
    /// All files are sent: once while the container runs, and what has changed since when it is frozen.
    Copy,
}

/// How a container is sent away.
#[derive(Clone, Debug)]
pub struct MigrateOptions {
    /// How the target comes by the root filesystem.
    pub rootfs: RootfsTransfer,
    /// At most so many rounds of memory while the container runs; 0: it is frozen at once. None with [`lazy`](Self::lazy).
    pub rounds: u32,
    /// Memory goes over CRIU's page server straight into the target's images, and is never written here.
    pub page_server: bool,
    /// The container runs at the target before its memory is there, which comes when it is touched, or behind that
    /// (post-copy, userfaultfd). Until all of it is there the source is needed: if its host dies, the container is lost.
    pub lazy: bool,
    /// How long the other side may say nothing before it counts as gone.
    pub patience: Duration,
    /// Where images are kept until all is over; `None`: a new directory in that for temporary files.
    pub work: Option<PathBuf>,
    /// What CRIU is asked for, here and at the target.
    pub criu: CriuOptions,
    /// Keep files that are open and have no name any more by giving them one.
    pub link_remap: bool,
    /// Leave out connections that are not established yet.
    pub tcp_skip_in_flight: bool,
}

impl Default for MigrateOptions {
    fn default() -> Self {
        Self {
            rootfs: RootfsTransfer::Shared,
            rounds: DEFAULT_ROUNDS,
            page_server: false,
            lazy: false,
            patience: DEFAULT_PATIENCE,
            work: None,
            criu: CriuOptions::default(),
            link_remap: false,
            tcp_skip_in_flight: false,
        }
    }
}

const DEFAULT_ROUNDS: u32 = 8;
const DEFAULT_PATIENCE: Duration = Duration::from_secs(300);

/// How a container is received. Its configuration comes with it, hooks and all: a source is as trusted as root.
#[derive(Debug)]
pub struct ReceiveOptions<'fd> {
    /// What the container is called here; `None`: as at the source.
    pub id: Option<String>,
    /// How it is created. `bundle`: the directory that its relative paths start in (none: that of the source's path),
    /// and with [`RootfsTransfer::Copy`] one that is made. `config`: used in place of the source's.
    pub create: CreateOptions<'fd>,
    /// How long the other side may say nothing before it counts as gone.
    pub patience: Duration,
    /// Where images are kept until all is over; `None`: a new directory in that for temporary files.
    pub work: Option<PathBuf>,
    /// What CRIU is asked for beside what the source says: its program, how connections are kept still, cgroups.
    pub criu: CriuOptions,
    /// At most so many bytes of files and images are stored.
    pub limit: u64,
}

impl Default for ReceiveOptions<'_> {
    fn default() -> Self {
        Self {
            id: None,
            create: CreateOptions::default(),
            patience: DEFAULT_PATIENCE,
            work: None,
            criu: CriuOptions::default(),
            limit: u64::MAX,
        }
    }
}

/// What has been sent of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferTotals {
    /// Files, and directories, links and the like.
    pub files: u64,
    /// Bytes on the stream.
    pub bytes: u64,
    /// How long it took.
    pub time: Duration,
}

/// What happens during a migration, at the source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MigrationEvent {
    /// The target has accepted the container.
    Accepted,
    /// The files of the root filesystem were sent; `frozen`: what had changed since.
    Files {
        /// What was sent.
        sent: TransferTotals,
        /// The container is frozen.
        frozen: bool,
    },
    /// A round of memory was written while the container ran, and sent.
    Round {
        /// From 1 on.
        number: u32,
        /// Bytes of memory that had changed since the last one.
        memory: u64,
        /// What was sent.
        sent: TransferTotals,
    },
    /// Memory is not sent in rounds, and why.
    NoRounds {
        /// Nothing is wrong: this kernel, or this CRIU, cannot tell which pages have changed.
        reason: Error,
    },
    /// The container is frozen; its downtime begins.
    Frozen,
    /// All that was left was sent.
    Images {
        /// Bytes of memory that no round had.
        memory: u64,
        /// What was sent.
        sent: TransferTotals,
    },
    /// The target has restored it, and is told to let it run.
    Restored,
    /// With [`MigrateOptions::lazy`]: it runs there, and the rest of its memory is still here.
    Running {
        /// The first process, in the target's pid namespace.
        pid: i32,
        /// The downtime is over.
        downtime: Duration,
    },
}

/// A migration that has succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// From the moment at which the container was to be frozen until the target said that it runs.
    pub downtime: Duration,
    /// All of it.
    pub total: Duration,
    /// On the stream, both ways.
    pub bytes: u64,
    /// Rounds of memory before the container was frozen.
    pub rounds: u32,
    /// The first process, in the target's pid namespace.
    pub pid: i32,
}

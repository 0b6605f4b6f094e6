//! What callers wish of a checkpoint and of a restore. Values only.
#![forbid(unsafe_code)]

use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// A directory of the host, named or open.
#[derive(Clone, Debug)]
pub enum ImageDirectory<'fd> {
    /// By its path.
    Path(PathBuf),
    /// By its descriptor.
    Fd(BorrowedFd<'fd>),
}

impl Default for ImageDirectory<'_> {
    fn default() -> Self {
        Self::Path(PathBuf::from("checkpoint"))
    }
}

/// What CRIU does about cgroups (criu(8), `--manage-cgroups`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ManageCgroups {
    /// Nothing.
    Ignore = 0,
    /// Restores properties of those that it makes.
    Soft = 3,
    /// Restores all properties.
    Full = 4,
    /// The cgroups must not be there, or have the same properties.
    Strict = 5,
}

/// How connections are kept still while nobody holds them (criu(8), `--network-lock`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum NetworkLock {
    /// By rules of iptables.
    Iptables = 1,
    /// By rules of nftables.
    Nftables = 2,
    /// By nothing.
    Skip = 3,
}

/// What a checkpoint and a restore have in common. The images of a checkpoint made with one of the first five need it at
/// the restore, too.
#[derive(Clone, Debug, Default)]
pub struct CriuOptions {
    /// Keep established TCP connections.
    pub tcp_established: bool,
    /// Leave the other end of unix sockets outside the container alone.
    pub ext_unix_sk: bool,
    /// Keep the terminal of a session that began outside.
    pub shell_job: bool,
    /// Keep file locks.
    pub file_locks: bool,
    /// Bring memory over when it is touched (userfaultfd).
    pub lazy_pages: bool,
    /// Free pages in the images of a parent that this checkpoint, or this restore, makes superfluous.
    pub auto_dedup: bool,
    /// What to do about cgroups; `None`: [`ManageCgroups::Soft`].
    pub manage_cgroups: Option<ManageCgroups>,
    /// `CLONE_NEW*` of namespaces whose contents are neither kept nor brought back, beside the network's, whose devices
    /// are whoever's who made them.
    pub empty_ns: u64,
    /// How connections are kept still; `None`: as CRIU does by itself.
    pub network_lock: Option<NetworkLock>,
    /// CRIU's program; `None`: the first `criu` in the usual directories.
    pub criu: Option<PathBuf>,
}

/// How a container is checkpointed.
#[derive(Debug, Default)]
pub struct CheckpointOptions<'fd> {
    /// Where the images go; made if it is not there.
    pub images: ImageDirectory<'fd>,
    /// Where CRIU's log and its working files go; `None`: to the images.
    pub work: Option<ImageDirectory<'fd>>,
    /// Images of an earlier [`pre_dump`](Self::pre_dump), relative to the images: what is in them is not written again.
    pub parent: Option<PathBuf>,
    /// The container goes on afterwards.
    pub leave_running: bool,
    /// Write the memory alone, without stopping the container but for a moment.
    pub pre_dump: bool,
    /// Leave out connections that are not established yet.
    pub tcp_skip_in_flight: bool,
    /// Keep files that are open and have no name any more by giving them one.
    pub link_remap: bool,
    /// Send memory to a page server, ADDRESS and port, instead of writing it.
    pub page_server: Option<(String, u16)>,
    /// Gets a zero byte once memory can be asked for (with `lazy_pages`).
    pub status_fd: Option<BorrowedFd<'fd>>,
    /// What a restore would need, too.
    pub criu: CriuOptions,
}

/// How a container is restored, beside how it is created.
#[derive(Debug, Default)]
pub struct RestoreOptions<'fd> {
    /// Where the images are.
    pub images: ImageDirectory<'fd>,
    /// Where CRIU's log and its working files go; `None`: to the images.
    pub work: Option<ImageDirectory<'fd>>,
    /// Close established TCP connections instead of keeping them.
    pub tcp_close: bool,
    /// `TYPE:NAME`: the label of the security module, instead of the one that the processes had.
    pub lsm_profile: Option<String>,
    /// The SELinux context of mounts, instead of the one that they had.
    pub lsm_mount_context: Option<String>,
    /// What the checkpoint was made with.
    pub criu: CriuOptions,
}

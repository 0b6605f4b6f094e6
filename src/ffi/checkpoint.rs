//! `rr_checkpoint` and `rr_restore`: a container as files, and back, by CRIU.

use super::arg::{descriptor, invalid, known_bits, path, require, text, unsupported};
use super::call::{read_call, rr_call};
use super::code::rr_code;
use super::container::rr_container;
use super::context::rr_context;
use super::create::{deliver, read_options, rr_create_options};
use super::error::rr_error;
use super::guard::{attempt, report};
use super::handle;
use super::sized::{self, Sized};
use crate::{
    CheckpointOptions, CriuOptions, ImageDirectory, Kind, ManageCgroups, NetworkLock, RestoreOptions, Result,
};
use std::ffi::c_char;
use std::path::PathBuf;

/// Keep established TCP connections; at both ends of a checkpoint. Since 0.1.
pub const RR_CRIU_TCP_ESTABLISHED: u64 = 1 << 0;
/// Leave the other end of unix sockets outside the container alone; at both. Since 0.1.
pub const RR_CRIU_EXT_UNIX_SK: u64 = 1 << 1;
/// Keep the terminal of a session that began outside; at both. Since 0.1.
pub const RR_CRIU_SHELL_JOB: u64 = 1 << 2;
/// Keep file locks; at both. Since 0.1.
pub const RR_CRIU_FILE_LOCKS: u64 = 1 << 3;
/// Bring memory over when it is touched (userfaultfd(2)); at both. Since 0.1.
pub const RR_CRIU_LAZY_PAGES: u64 = 1 << 4;
/// Free pages in the images of a parent that become superfluous. Since 0.1.
pub const RR_CRIU_AUTO_DEDUP: u64 = 1 << 5;
/// Checkpoint: the container goes on afterwards. Since 0.1.
pub const RR_CHECKPOINT_LEAVE_RUNNING: u64 = 1 << 16;
/// Checkpoint: write the memory alone, without stopping the container but for a moment; the images serve as `parent` of
/// the next. Since 0.1.
pub const RR_CHECKPOINT_PRE_DUMP: u64 = 1 << 17;
/// Checkpoint: leave out TCP connections that are not established yet. Since 0.1.
pub const RR_CHECKPOINT_TCP_SKIP_IN_FLIGHT: u64 = 1 << 18;
/// Checkpoint: keep open files that have no name any more by giving them one. Since 0.1.
pub const RR_CHECKPOINT_LINK_REMAP: u64 = 1 << 19;
/// Restore: close established TCP connections instead of keeping them. Since 0.1.
pub const RR_RESTORE_TCP_CLOSE: u64 = 1 << 24;

/// Cgroups: as `RR_CRIU_CGROUPS_SOFT`. Since 0.1.
pub const RR_CRIU_CGROUPS_DEFAULT: u32 = 0;
/// Cgroups: CRIU does nothing about them. Since 0.1.
pub const RR_CRIU_CGROUPS_IGNORE: u32 = 1;
/// Cgroups: CRIU restores the properties of those that it makes. Since 0.1.
pub const RR_CRIU_CGROUPS_SOFT: u32 = 2;
/// Cgroups: CRIU restores all properties. Since 0.1.
pub const RR_CRIU_CGROUPS_FULL: u32 = 3;
/// Cgroups: they must not be there, or have the same properties. Since 0.1.
pub const RR_CRIU_CGROUPS_STRICT: u32 = 4;

/// Connections are kept still as CRIU does by itself. Since 0.1.
pub const RR_CRIU_LOCK_DEFAULT: u32 = 0;
/// Connections are kept still by rules of iptables. Since 0.1.
pub const RR_CRIU_LOCK_IPTABLES: u32 = 1;
/// Connections are kept still by rules of nftables. Since 0.1.
pub const RR_CRIU_LOCK_NFTABLES: u32 = 2;
/// Connections are kept still by nothing. Since 0.1.
pub const RR_CRIU_LOCK_SKIP: u32 = 3;

/// How a container is checkpointed. Fill it with `rr_checkpoint_options_init`; one of `images` and `images_fd_plus1` is
/// needed. Everything in it is copied or only borrowed for the call. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_checkpoint_options {
    /// Set by `rr_checkpoint_options_init`.
    pub size: usize,
    /// `RR_CRIU_*` and `RR_CHECKPOINT_*`.
    pub flags: u64,
    /// The directory that the images go to; made, for its owner alone, if it is not there.
    pub images: *const c_char,
    /// The same directory as an open descriptor plus one; 0: none.
    pub images_fd_plus1: i32,
    /// The directory of CRIU's log and working files as an open descriptor plus one; 0: none.
    pub work_fd_plus1: i32,
    /// That directory as a path; with neither: that of the images.
    pub work: *const c_char,
    /// The images of an earlier `RR_CHECKPOINT_PRE_DUMP`, a path relative to the images: what is in them is not written
    /// again; NULL: none.
    pub parent: *const c_char,
    /// The address of a page server (`criu page-server`) that memory is sent to, instead of to files; NULL: none.
    pub page_server: *const c_char,
    /// Its port, 1 to 65535; 0 without an address.
    pub page_server_port: u32,
    /// A descriptor plus one that gets a zero byte once memory can be asked for, with `RR_CRIU_LAZY_PAGES`; 0: none.
    pub status_fd_plus1: i32,
    /// `RR_CRIU_CGROUPS_*`.
    pub manage_cgroups: u32,
    /// `RR_CRIU_LOCK_*`.
    pub network_lock: u32,
    /// CRIU's program; NULL: the first `criu` in the usual directories.
    pub criu: *const c_char,
    /// Deadline and cancellation; NULL: neither.
    pub call: *const rr_call,
}

// SAFETY: repr(C), size first, integers and pointers only.
unsafe impl Sized for rr_checkpoint_options {
    const NAME: &'static str = "options";
}

/// How a container is restored, beside how it is created. Fill it with `rr_restore_options_init`; one of `images` and
/// `images_fd_plus1` is needed. Everything in it is copied or only borrowed for the call. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_restore_options {
    /// Set by `rr_restore_options_init`.
    pub size: usize,
    /// `RR_CRIU_*`, those that the checkpoint was made with, and `RR_RESTORE_*`.
    pub flags: u64,
    /// The directory of the images.
    pub images: *const c_char,
    /// The same directory as an open descriptor plus one; 0: none.
    pub images_fd_plus1: i32,
    /// The directory of CRIU's log and working files as an open descriptor plus one; 0: none.
    pub work_fd_plus1: i32,
    /// That directory as a path; with neither: that of the images.
    pub work: *const c_char,
    /// `RR_CRIU_CGROUPS_*`.
    pub manage_cgroups: u32,
    /// `RR_CRIU_LOCK_*`.
    pub network_lock: u32,
    /// `TYPE:NAME`, the label of the security module instead of the one that the processes had; NULL: theirs.
    pub lsm_profile: *const c_char,
    /// The SELinux context of mounts instead of the one that they had; NULL: theirs.
    pub lsm_mount_context: *const c_char,
    /// CRIU's program; NULL: the first `criu` in the usual directories.
    pub criu: *const c_char,
}

// SAFETY: repr(C), size first, integers and pointers only.
unsafe impl Sized for rr_restore_options {
    const NAME: &'static str = "restore";
}

/// Fills options with the default of everything: pass `sizeof(rr_checkpoint_options)` as `size`.
///
/// NULL is fine. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_checkpoint_options_init(options: *mut rr_checkpoint_options, size: usize) {
    // SAFETY: rule 3 is passed on.
    unsafe { sized::init(options, size) };
}

/// Fills options with the default of everything: pass `sizeof(rr_restore_options)` as `size`.
///
/// NULL is fine. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_restore_options_init(options: *mut rr_restore_options, size: usize) {
    // SAFETY: rule 3 is passed on.
    unsafe { sized::init(options, size) };
}

/// Writes a container's processes, with their memory and what they have open, as images from which `rr_restore` makes
/// them again. Afterwards they are gone and the container has stopped, to be deleted, unless
/// `RR_CHECKPOINT_LEAVE_RUNNING` or `RR_CHECKPOINT_PRE_DUMP` let it go on.
///
/// CRIU (criu.org, 3.0 or later) does it, a program that has to be installed; it is a child of the calling process for
/// the time of the call. Images hold the container's memory: whoever can read them can read its secrets.
///
/// On failure the container runs on, or stays paused if it was. The error's detail `"criu-log"` is the path of CRIU's
/// log, the message has its decisive lines. Any thread. Blocks until all is written, as long as `options->call` allows;
/// other calls that change the container wait. Since 0.1; criu(8).
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL, no images, a directory that cannot be opened, options that exclude each
/// other), `RR_E_NOT_RUNNING`, `RR_E_NOT_FOUND`, `RR_E_CRIU` (CRIU is not there, or refuses), `RR_E_UNSUPPORTED` (this
/// CRIU or this kernel cannot do it; unknown bits), `RR_E_BUSY`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`,
/// `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_checkpoint(
    c: *mut rr_container,
    options: *const rr_checkpoint_options,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        // SAFETY: rule 3 is passed on.
        let options = unsafe { sized::read(options)? };
        // SAFETY: rules 3 to 5 are passed on.
        let call = unsafe { read_call(options.call)? };
        // SAFETY: rules 4 and 5 are passed on.
        c.container.checkpoint(&unsafe { checkpoint_options(&options)? }, call)
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// Makes a container of the images of a checkpoint: its processes go on where they were, under the id `id`, which may be
/// another.
///
/// `options` are those of `rr_create`, with the same owners: the configuration says where the root filesystem, the
/// mounts and the cgroups are, what the images say of them notwithstanding. The streams in `options->io` take the place
/// of those of the first process that were pipes or sockets; its terminal, where it had one, goes to
/// `console_socket`, or is had by `rr_process_console_fd`. Hooks of the config and `hook` are called as at a create; none
/// of `poststart`, which was called when the program was started.
/// `RR_CREATE_NO_PIVOT` and `RR_CREATE_NO_NEW_KEYRING` have no effect. `restore` says where the images are.
///
/// On success `*out` is the caller's (`rr_container_unref`), and the first process a child of the calling process. On
/// failure nothing is left behind, and the error tells of CRIU's log as that of `rr_checkpoint`. Any thread. Blocks
/// until the processes run, as long as `options->call` allows: CRIU does not end on images that are damaged in some
/// ways, so that a deadline is advisable. Since 0.1; criu(8).
///
/// Errors: those of `rr_create`; `RR_E_INVALID_ARGUMENT` (no images, or not those of a container), `RR_E_CRIU`,
/// `RR_E_UNSUPPORTED` (further descriptors in `options->io`, `RR_CREATE_DETACHED`, `RR_CREATE_WANT_SECCOMP_FD`; this
/// CRIU or this kernel cannot do it; unknown bits).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_restore(
    ctx: *mut rr_context,
    id: *const c_char,
    options: *const rr_create_options,
    restore: *const rr_restore_options,
    out: *mut *mut rr_container,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let ctx = unsafe { handle::borrow(ctx)? };
        require(out, "out")?;
        // SAFETY: rule 4 is passed on.
        let id = unsafe { text(id, "id", Kind::InvalidId)? };
        // SAFETY: rule 3 is passed on.
        let wanted = unsafe { sized::read(restore)? };
        // SAFETY: rules 3 to 5 are passed on.
        let (options, pipes) = unsafe { read_options(options)? };
        // SAFETY: rules 4 and 5 are passed on.
        let container = ctx.context.restore(id, options, &unsafe { restore_options(&wanted)? })?;
        // SAFETY: rule 3 is passed on; `out` is not NULL.
        unsafe { deliver(container, pipes, out) }
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

const RR_CRIU_KNOWN: u64 = RR_CRIU_TCP_ESTABLISHED
    | RR_CRIU_EXT_UNIX_SK
    | RR_CRIU_SHELL_JOB
    | RR_CRIU_FILE_LOCKS
    | RR_CRIU_LAZY_PAGES
    | RR_CRIU_AUTO_DEDUP;
const RR_CHECKPOINT_KNOWN: u64 = RR_CHECKPOINT_LEAVE_RUNNING
    | RR_CHECKPOINT_PRE_DUMP
    | RR_CHECKPOINT_TCP_SKIP_IN_FLIGHT
    | RR_CHECKPOINT_LINK_REMAP;

/// # Safety
/// Rules 4 and 5 of `ffi`'s list.
unsafe fn checkpoint_options<'call>(options: &rr_checkpoint_options) -> Result<CheckpointOptions<'call>> {
    let flags = options.flags;
    known_bits(flags, RR_CRIU_KNOWN | RR_CHECKPOINT_KNOWN)?;
    let status_fd = match options.status_fd_plus1 {
        0 => None,
        // SAFETY: rule 5 is passed on.
        plus1 => Some(unsafe { descriptor(plus1.wrapping_sub(1), "status_fd_plus1")? }),
    };
    // SAFETY: rule 4 is passed on.
    let address = unsafe { optional(options.page_server, "page_server")? };
    let page_server = match (address, u16::try_from(options.page_server_port)) {
        (None, Ok(0)) => None,
        (Some(address), Ok(port)) if port != 0 => Some((address, port)),
        _ => return Err(invalid("page_server_port", "it is not the port of an address")),
    };
    Ok(CheckpointOptions {
        // SAFETY: rules 4 and 5 are passed on.
        images: unsafe { images(options.images, options.images_fd_plus1)? },
        // SAFETY: rules 4 and 5 are passed on.
        work: unsafe { directory(options.work, options.work_fd_plus1, "work")? },
        // SAFETY: rule 4 is passed on.
        parent: unsafe { path(options.parent) },
        leave_running: flags & RR_CHECKPOINT_LEAVE_RUNNING != 0,
        pre_dump: flags & RR_CHECKPOINT_PRE_DUMP != 0,
        tcp_skip_in_flight: flags & RR_CHECKPOINT_TCP_SKIP_IN_FLIGHT != 0,
        link_remap: flags & RR_CHECKPOINT_LINK_REMAP != 0,
        page_server,
        status_fd,
        // SAFETY: rule 4 is passed on.
        criu: criu(flags, options.manage_cgroups, options.network_lock, unsafe { path(options.criu) })?,
    })
}

/// # Safety
/// Rules 4 and 5 of `ffi`'s list.
unsafe fn restore_options<'call>(options: &rr_restore_options) -> Result<RestoreOptions<'call>> {
    let flags = options.flags;
    known_bits(flags, RR_CRIU_KNOWN | RR_RESTORE_TCP_CLOSE)?;
    Ok(RestoreOptions {
        // SAFETY: rules 4 and 5 are passed on.
        images: unsafe { images(options.images, options.images_fd_plus1)? },
        // SAFETY: rules 4 and 5 are passed on.
        work: unsafe { directory(options.work, options.work_fd_plus1, "work")? },
        tcp_close: flags & RR_RESTORE_TCP_CLOSE != 0,
        // SAFETY: rule 4 is passed on.
        lsm_profile: unsafe { optional(options.lsm_profile, "lsm_profile")? },
        // SAFETY: rule 4 is passed on.
        lsm_mount_context: unsafe { optional(options.lsm_mount_context, "lsm_mount_context")? },
        // SAFETY: rule 4 is passed on.
        criu: criu(flags, options.manage_cgroups, options.network_lock, unsafe { path(options.criu) })?,
    })
}

pub(super) fn criu(flags: u64, cgroups: u32, lock: u32, criu: Option<PathBuf>) -> Result<CriuOptions> {
    let unknown = |name: &str, number: u32| unsupported(name, format!("{number} is not known here"));
    Ok(CriuOptions {
        tcp_established: flags & RR_CRIU_TCP_ESTABLISHED != 0,
        ext_unix_sk: flags & RR_CRIU_EXT_UNIX_SK != 0,
        shell_job: flags & RR_CRIU_SHELL_JOB != 0,
        file_locks: flags & RR_CRIU_FILE_LOCKS != 0,
        lazy_pages: flags & RR_CRIU_LAZY_PAGES != 0,
        auto_dedup: flags & RR_CRIU_AUTO_DEDUP != 0,
        manage_cgroups: match cgroups {
            RR_CRIU_CGROUPS_DEFAULT => None,
            RR_CRIU_CGROUPS_IGNORE => Some(ManageCgroups::Ignore),
            RR_CRIU_CGROUPS_SOFT => Some(ManageCgroups::Soft),
            RR_CRIU_CGROUPS_FULL => Some(ManageCgroups::Full),
            RR_CRIU_CGROUPS_STRICT => Some(ManageCgroups::Strict),
            other => return Err(unknown("manage_cgroups", other)),
        },
        network_lock: match lock {
            RR_CRIU_LOCK_DEFAULT => None,
            RR_CRIU_LOCK_IPTABLES => Some(NetworkLock::Iptables),
            RR_CRIU_LOCK_NFTABLES => Some(NetworkLock::Nftables),
            RR_CRIU_LOCK_SKIP => Some(NetworkLock::Skip),
            other => return Err(unknown("network_lock", other)),
        },
        criu,
        ..CriuOptions::default()
    })
}

/// # Safety
/// Rules 4 and 5 of `ffi`'s list.
unsafe fn images<'call>(path: *const c_char, fd_plus1: i32) -> Result<ImageDirectory<'call>> {
    // SAFETY: rules 4 and 5 are passed on.
    unsafe { directory(path, fd_plus1, "images")? }
        .ok_or_else(|| invalid("images", "neither a path nor a descriptor is given"))
}

/// # Safety
/// Rules 4 and 5 of `ffi`'s list.
unsafe fn directory<'call>(
    directory: *const c_char,
    fd_plus1: i32,
    name: &str,
) -> Result<Option<ImageDirectory<'call>>> {
    // SAFETY: rule 4 is passed on.
    match (unsafe { path(directory) }, fd_plus1) {
        (None, 0) => Ok(None),
        (Some(path), 0) => Ok(Some(ImageDirectory::Path(path))),
        (None, plus1) => {
            // SAFETY: rule 5 is passed on.
            let open = unsafe { descriptor(plus1.wrapping_sub(1), name)? };
            Ok(Some(ImageDirectory::Fd(open)))
        }
        (Some(_), _) => Err(invalid(name, "it is given twice, by path and by descriptor")),
    }
}

/// # Safety
/// Rule 4 of `ffi`'s list.
unsafe fn optional(value: *const c_char, name: &str) -> Result<Option<String>> {
    if value.is_null() {
        return Ok(None);
    }
    // SAFETY: rule 4 is passed on.
    unsafe { text(value, name, Kind::InvalidArgument) }.map(|text| Some(text.to_owned()))
}

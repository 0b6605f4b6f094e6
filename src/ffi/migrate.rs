//! `rr_migrate` and `rr_receive`: a running container to another host, over a socket that both hosts have connected.

use super::arg::{duplicate, invalid, known_bits, path, require, reserved, text};
use super::call::{read_call, rr_call};
use super::checkpoint::{
    RR_CHECKPOINT_LINK_REMAP, RR_CHECKPOINT_TCP_SKIP_IN_FLIGHT, RR_CRIU_EXT_UNIX_SK, RR_CRIU_FILE_LOCKS,
    RR_CRIU_SHELL_JOB, RR_CRIU_TCP_ESTABLISHED, criu,
};
use super::code::rr_code;
use super::container::rr_container;
use super::context::rr_context;
use super::create::{deliver, read_create_options, rr_create_options};
use super::error::{c_text, rr_error};
use super::guard::{attempt, report};
use super::handle;
use super::sized::{self, Sized};
use crate::{Kind, MigrateOptions, Migrated, MigrationEvent, ReceiveOptions, Result, RootfsTransfer};
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::time::Duration;

/// Migrate: all files of the root filesystem are sent, once while the container runs and what has changed since when it is
/// frozen; without it the target has the same files already. Since 0.1.
pub const RR_MIGRATE_COPY_ROOTFS: u64 = 1 << 26;
/// Migrate: no memory is sent before the container is frozen. Since 0.1.
pub const RR_MIGRATE_NO_ROUNDS: u64 = 1 << 27;
/// Migrate: memory goes over CRIU's page server straight into the target's images, and is never written here. Since 0.1.
pub const RR_MIGRATE_PAGE_SERVER: u64 = 1 << 28;
/// Migrate: the container runs at the target before its memory is there, which comes when it is touched, or behind that
/// (userfaultfd(2)). Until all of it is there this host is needed: if it dies, the container is lost. There are no rounds, no
/// page server and no established TCP connections then. What CRIU or the kernel cannot do is `RR_E_UNSUPPORTED`, before
/// anything is done. Since 0.1.
pub const RR_MIGRATE_LAZY: u64 = 1 << 29;

/// Migration: the target has accepted the container. Since 0.1.
pub const RR_MIGRATION_ACCEPTED: i32 = 1;
/// Migration: files of the root filesystem were sent; `frozen`: those that had changed since the first time. Since 0.1.
pub const RR_MIGRATION_FILES: i32 = 2;
/// Migration: a round of memory was written while the container ran, and sent. Since 0.1.
pub const RR_MIGRATION_ROUND: i32 = 3;
/// Migration: memory is not sent in rounds, and `reason` says why: this kernel, or this CRIU, cannot tell which pages have
/// changed. Since 0.1.
pub const RR_MIGRATION_NO_ROUNDS: i32 = 4;
/// Migration: the container is frozen; its downtime begins. Since 0.1.
pub const RR_MIGRATION_FROZEN: i32 = 5;
/// Migration: all memory that was left was sent. Since 0.1.
pub const RR_MIGRATION_IMAGES: i32 = 6;
/// Migration: the target has restored it, and is told to let it run. Since 0.1.
pub const RR_MIGRATION_RESTORED: i32 = 7;
/// Migration: it runs there, and the rest of its memory is still here (`RR_MIGRATE_LAZY`). Since 0.1.
pub const RR_MIGRATION_RUNNING: i32 = 8;

/// What happens during a migration, at the source. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_migration_event {
    /// How much of it the library has written; what this header has beyond that is not there.
    pub size: usize,
    /// `RR_MIGRATION_*`; a later version may have more: pass them over.
    pub r#type: i32,
    /// ROUND: its number, from 1 on.
    pub round: u32,
    /// FILES, ROUND, IMAGES: how many files were sent, with directories, links and the like.
    pub files: u64,
    /// FILES, ROUND, IMAGES: bytes on the stream for it.
    pub bytes: u64,
    /// FILES, ROUND, IMAGES: nanoseconds that the sending took.
    pub sending_ns: u64,
    /// ROUND, IMAGES: bytes of memory that no round before had.
    pub memory: u64,
    /// RUNNING: nanoseconds; the downtime is over.
    pub downtime_ns: u64,
    /// RUNNING: the first process, in the target's pid namespace.
    pub pid: libc::pid_t,
    /// FILES: 1 if the container is frozen.
    pub frozen: u32,
    /// NO_ROUNDS: one line, borrowed until the function returns; else NULL.
    pub reason: *const c_char,
}

// SAFETY: repr(C), size first, integers and a pointer.
unsafe impl Sized for rr_migration_event {
    const NAME: &'static str = "event";
}

/// Receives what happens during a migration: `data` is the options' `progress_data`, `event` borrowed until it returns.
///
/// It runs on the thread that called `rr_migrate`, during that call and never after it. What it takes from
/// `RR_MIGRATION_FROZEN` on is downtime. It may call this library, but not for the container that is migrated. It must not
/// unwind (C++ exceptions), longjmp, or give away a handle that the call uses; to end the migration it makes the call's
/// `cancel_fd` readable. Since 0.1.
pub type rr_migration_fn = Option<unsafe extern "C" fn(data: *mut c_void, event: *const rr_migration_event)>;

/// How a container is sent away. NULL in its place, or all zero: the target has its files, and memory goes in rounds. Fill
/// it with `rr_migrate_options_init`. Everything in it is copied or only borrowed for the call. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_migrate_options {
    /// Set by `rr_migrate_options_init`.
    pub size: usize,
    /// `RR_MIGRATE_*`; `RR_CRIU_TCP_ESTABLISHED`, `_EXT_UNIX_SK`, `_SHELL_JOB` and `_FILE_LOCKS`, which hold for the target
    /// as well; `RR_CHECKPOINT_LINK_REMAP` and `_TCP_SKIP_IN_FLIGHT`.
    pub flags: u64,
    /// At most so many rounds of memory while the container runs; 0: 8, or none with `RR_MIGRATE_LAZY`.
    pub rounds: u32,
    /// Milliseconds that the other side may say nothing before it counts as gone; 0: 300000.
    pub patience_ms: u32,
    /// A directory in which images are kept until all is over; NULL: that for temporary files.
    pub work: *const c_char,
    /// `RR_CRIU_CGROUPS_*`.
    pub manage_cgroups: u32,
    /// `RR_CRIU_LOCK_*`.
    pub network_lock: u32,
    /// CRIU's program; NULL: the first `criu` in the usual directories.
    pub criu: *const c_char,
    /// Told what happens; NULL: nobody.
    pub progress: rr_migration_fn,
    /// The first argument of `progress`.
    pub progress_data: *mut c_void,
    /// Deadline and cancellation; NULL: neither.
    pub call: *const rr_call,
}

// SAFETY: repr(C), size first, integers and pointers only.
unsafe impl Sized for rr_migrate_options {
    const NAME: &'static str = "options";
}

/// How a container is received, beside how it is created. NULL in its place, or all zero: the default of everything. Fill it
/// with `rr_receive_options_init`. Everything in it is copied or only borrowed for the call. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_receive_options {
    /// Set by `rr_receive_options_init`.
    pub size: usize,
    /// 0.
    pub flags: u64,
    /// At most so many bytes of files and images are stored; 0: any number.
    pub limit: u64,
    /// Milliseconds that the other side may say nothing before it counts as gone; 0: 300000.
    pub patience_ms: u32,
    /// `RR_CRIU_CGROUPS_*`.
    pub manage_cgroups: u32,
    /// `RR_CRIU_LOCK_*`.
    pub network_lock: u32,
    /// 0.
    pub reserved0: u32,
    /// A directory in which images are kept until all is over; NULL: that for temporary files.
    pub work: *const c_char,
    /// CRIU's program; NULL: the first `criu` in the usual directories.
    pub criu: *const c_char,
}

// SAFETY: repr(C), size first, integers and pointers only.
unsafe impl Sized for rr_receive_options {
    const NAME: &'static str = "receive";
}

/// A migration that has succeeded. Set `size` to `sizeof(rr_migrated)` before the call; only so much is written. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_migrated {
    /// `sizeof(rr_migrated)`, set by the caller.
    pub size: usize,
    /// The first process, in the target's pid namespace.
    pub pid: libc::pid_t,
    /// Rounds of memory before the container was frozen.
    pub rounds: u32,
    /// On the stream, both ways.
    pub bytes: u64,
    /// Nanoseconds from the moment at which the container was to be frozen until the target said that it runs.
    pub downtime_ns: u64,
    /// Nanoseconds, all of it.
    pub total_ns: u64,
}

// SAFETY: repr(C), size first, integers only.
unsafe impl Sized for rr_migrated {
    const NAME: &'static str = "out";
}

/// Fills options with the default of everything: pass `sizeof(rr_migrate_options)` as `size`.
///
/// NULL is fine. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_migrate_options_init(options: *mut rr_migrate_options, size: usize) {
    // SAFETY: rule 3 is passed on.
    unsafe { sized::init(options, size) };
}

/// Fills options with the default of everything: pass `sizeof(rr_receive_options)` as `size`.
///
/// NULL is fine. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_receive_options_init(options: *mut rr_receive_options, size: usize) {
    // SAFETY: rule 3 is passed on.
    unsafe { sized::init(options, size) };
}

/// Sends a running container to whoever calls `rr_receive`, or `riverrun receive`, at the other end of `socket`, a connected
/// stream socket of any family, and deletes it here once it runs there. At no time do two copies run.
///
/// `socket` stays the caller's, who closes it afterwards: what is left in it says nothing more. Nothing on it is encrypted and
/// nobody proves who they are. CRIU is needed as for `rr_checkpoint`, and a freezer (`RR_E_CGROUP`). `out` may be NULL;
/// else `out->size` must be set. Hooks are called as at `rr_delete`. The handle remains to be given back.
///
/// Until the target is told to run it every failure leaves the container running here and nothing there. If nothing is heard
/// from the target after that, the container stays here *paused*: the error's detail `"migration"` is `"undecided"` then, and
/// only a look at the target tells whether to `rr_resume` or to `rr_delete` it.
///
/// Any thread. Blocks until the container runs there with all of its memory, as long as `options->call` allows, and up to five seconds more to tell the
/// other side that it does not; from the moment at which the target is told to run it, only the other side's silence ends it.
/// Other calls that change the container wait. Since 0.1; criu(8).
///
/// Errors: those of `rr_checkpoint`; `RR_E_INVALID_ARGUMENT` (NULL, no stream socket), `RR_E_PAUSED` (resume it first),
/// `RR_E_UNSUPPORTED` (the other side is of another version, or cannot have it; unknown bits), `RR_E_CGROUP`, and whatever
/// code the target gives its own failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_migrate(
    c: *mut rr_container,
    socket: c_int,
    options: *const rr_migrate_options,
    out: *mut rr_migrated,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        // SAFETY: rule 5 is passed on.
        let socket = unsafe { duplicate(socket, "socket")? };
        let size = if out.is_null() {
            None
        } else {
            // SAFETY: not NULL, and readable for its size (rule 3).
            Some(unsafe { sized::size_at(out)? })
        };
        // SAFETY: rule 3 is passed on.
        let options = unsafe { sized::read(options)? };
        // SAFETY: rules 3 and 5 are passed on.
        let call = unsafe { read_call(options.call)? };
        // SAFETY: rule 4 is passed on.
        let wanted = unsafe { migrate_options(&options)? };
        let migrated = c.container.migrate(socket, &wanted, call, &mut |event| tell(&options, event))?;
        if let Some(size) = size {
            // SAFETY: rule 3 is passed on, and `size` was checked.
            unsafe { sized::write(out, size, &flat(migrated)) };
        }
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// Receives a container from whoever calls `rr_migrate`, or `riverrun migrate`, at the other end of `socket`, a connected
/// stream socket of any family. It runs when this returns.
///
/// `socket` stays the caller's, who closes it afterwards. Whoever can write to it is as good as root: the configuration comes
/// with the container, hooks and all, and images are as good as programs. `id` is what the container is called here; NULL: as
/// at the source. `options`, which may be NULL, are those of `rr_restore`, but that neither a bundle nor a config is
/// needed: `bundle` is the directory that relative paths start in (NULL: that of the source's path), and one that is made if
/// the source sends the root filesystem; `config` is used in place of the source's. `receive` may be NULL.
///
/// On success `*out` is the caller's (`rr_container_unref`), and the first process a child of the calling process. On failure
/// nothing is left behind, and the source's container runs on. Any thread. Blocks as `rr_migrate` does. Since 0.1; criu(8).
///
/// Errors: those of `rr_restore`; `RR_E_EXISTS` (an id or a bundle that is there), `RR_E_INVALID_ARGUMENT` (no stream socket),
/// `RR_E_UNSUPPORTED` (a source of another version or architecture), and whatever code the source gives its own failure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_receive(
    ctx: *mut rr_context,
    socket: c_int,
    id: *const c_char,
    options: *const rr_create_options,
    receive: *const rr_receive_options,
    out: *mut *mut rr_container,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let ctx = unsafe { handle::borrow(ctx)? };
        require(out, "out")?;
        // SAFETY: rule 5 is passed on.
        let socket = unsafe { duplicate(socket, "socket")? };
        let id = match id.is_null() {
            true => None,
            // SAFETY: rule 4 is passed on.
            false => Some(unsafe { text(id, "id", Kind::InvalidId)? }.to_owned()),
        };
        // SAFETY: rule 3 is passed on.
        let wanted = unsafe { sized::read(receive)? };
        // SAFETY: rules 3 to 5 are passed on.
        let (create, pipes) = unsafe { read_create_options(options)? };
        // SAFETY: rule 4 is passed on.
        let wanted = ReceiveOptions { id, create, ..unsafe { receive_options(&wanted)? } };
        let container = ctx.context.receive(socket, wanted)?;
        // SAFETY: rule 3 is passed on; `out` is not NULL.
        unsafe { deliver(container, pipes, out) }
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

const RR_MIGRATE_KNOWN: u64 = RR_MIGRATE_COPY_ROOTFS
    | RR_MIGRATE_NO_ROUNDS
    | RR_MIGRATE_PAGE_SERVER
    | RR_MIGRATE_LAZY
    | RR_CRIU_TCP_ESTABLISHED
    | RR_CRIU_EXT_UNIX_SK
    | RR_CRIU_SHELL_JOB
    | RR_CRIU_FILE_LOCKS
    | RR_CHECKPOINT_LINK_REMAP
    | RR_CHECKPOINT_TCP_SKIP_IN_FLIGHT;

/// # Safety
/// Rule 4 of `ffi`'s list.
unsafe fn migrate_options(options: &rr_migrate_options) -> Result<MigrateOptions> {
    let flags = options.flags;
    known_bits(flags, RR_MIGRATE_KNOWN)?;
    let default = MigrateOptions::default();
    Ok(MigrateOptions {
        rootfs: match flags & RR_MIGRATE_COPY_ROOTFS {
            0 => RootfsTransfer::Shared,
            _ => RootfsTransfer::Copy,
        },
        rounds: match (flags & (RR_MIGRATE_NO_ROUNDS | RR_MIGRATE_LAZY), options.rounds) {
            (0, 0) => default.rounds,
            (0, rounds) => rounds,
            (_, 0) => 0,
            (_, _) => return Err(invalid("rounds", "there are to be none")),
        },
        page_server: flags & RR_MIGRATE_PAGE_SERVER != 0,
        lazy: flags & RR_MIGRATE_LAZY != 0,
        patience: patience(options.patience_ms, default.patience),
        // SAFETY: rule 4 is passed on.
        work: unsafe { path(options.work) },
        // SAFETY: rule 4 is passed on.
        criu: criu(flags, options.manage_cgroups, options.network_lock, unsafe { path(options.criu) })?,
        link_remap: flags & RR_CHECKPOINT_LINK_REMAP != 0,
        tcp_skip_in_flight: flags & RR_CHECKPOINT_TCP_SKIP_IN_FLIGHT != 0,
    })
}

/// # Safety
/// Rule 4 of `ffi`'s list.
unsafe fn receive_options<'call>(options: &rr_receive_options) -> Result<ReceiveOptions<'call>> {
    known_bits(options.flags, 0)?;
    reserved(options.reserved0)?;
    let default = ReceiveOptions::default();
    Ok(ReceiveOptions {
        patience: patience(options.patience_ms, default.patience),
        // SAFETY: rule 4 is passed on.
        work: unsafe { path(options.work) },
        // SAFETY: rule 4 is passed on.
        criu: criu(0, options.manage_cgroups, options.network_lock, unsafe { path(options.criu) })?,
        limit: if options.limit == 0 { default.limit } else { options.limit },
        ..default
    })
}

fn patience(ms: u32, default: Duration) -> Duration {
    if ms == 0 { default } else { Duration::from_millis(ms.into()) }
}

/// Calls C's function, if there is one.
fn tell(options: &rr_migrate_options, event: &MigrationEvent) {
    let Some(function) = options.progress else { return };
    let (flat, _reason) = flat_event(event);
    // SAFETY: the event and its reason outlive the call; function and data are the caller's, who keeps them usable
    // during rr_migrate (rule 6).
    unsafe { function(options.progress_data, &raw const flat) };
}

/// The event, and the text that it points to.
fn flat_event(event: &MigrationEvent) -> (rr_migration_event, Option<CString>) {
    let mut flat =
        rr_migration_event { size: size_of::<rr_migration_event>(), ..rr_migration_event::zeroed() };
    let (mut totals, mut reason) = (None, None);
    match event {
        MigrationEvent::Accepted => flat.r#type = RR_MIGRATION_ACCEPTED,
        MigrationEvent::Files { sent, frozen } => {
            (flat.r#type, flat.frozen) = (RR_MIGRATION_FILES, (*frozen).into());
            totals = Some(sent);
        }
        MigrationEvent::Round { number, memory, sent } => {
            (flat.r#type, flat.round, flat.memory) = (RR_MIGRATION_ROUND, *number, *memory);
            totals = Some(sent);
        }
        MigrationEvent::NoRounds { reason: error } => {
            flat.r#type = RR_MIGRATION_NO_ROUNDS;
            reason = Some(c_text(&error.to_string()));
        }
        MigrationEvent::Frozen => flat.r#type = RR_MIGRATION_FROZEN,
        MigrationEvent::Images { memory, sent } => {
            (flat.r#type, flat.memory) = (RR_MIGRATION_IMAGES, *memory);
            totals = Some(sent);
        }
        MigrationEvent::Restored => flat.r#type = RR_MIGRATION_RESTORED,
        MigrationEvent::Running { pid, downtime } => {
            (flat.r#type, flat.pid, flat.downtime_ns) = (RR_MIGRATION_RUNNING, *pid, nanoseconds(*downtime));
        }
    }
    if let Some(sent) = totals {
        (flat.files, flat.bytes, flat.sending_ns) = (sent.files, sent.bytes, nanoseconds(sent.time));
    }
    flat.reason = reason.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    (flat, reason)
}

fn flat(migrated: Migrated) -> rr_migrated {
    rr_migrated {
        pid: migrated.pid,
        rounds: migrated.rounds,
        bytes: migrated.bytes,
        downtime_ns: nanoseconds(migrated.downtime),
        total_ns: nanoseconds(migrated.total),
        ..rr_migrated::zeroed()
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

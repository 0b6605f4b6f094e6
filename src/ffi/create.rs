//! `rr_create` and `rr_run`: from a config to a container. All or nothing: a call that fails leaves nothing
//! behind.

use super::arg::{duplicate, invalid, known_bits, path, require, reserved, slice, text};
use super::call::{read_call, rr_call};
use super::code::rr_code;
use super::container::rr_container;
use super::context::rr_context;
use super::error::rr_error;
use super::guard::{attempt, report};
use super::handle;
use super::hook::{hook, rr_hook_fn};
use super::io::{Pipes, read_io, rr_io};
use super::sized::{self, Sized};
use crate::{Call, Container, Context, CreateOptions, Kind, Result};
use std::ffi::{c_char, c_void};

/// The container's first process is not a child of the calling process: it goes to the nearest subreaper
/// (`PR_SET_CHILD_SUBREAPER`), or to the first process of the caller's pid namespace, as that of the command line's
/// `create` does. How it ended is known only where the kernel keeps it (`RR_EXIT_STATUS_LOST`). Since 0.1.
pub const RR_CREATE_DETACHED: u64 = 1 << 0;
/// `MS_MOVE` and chroot instead of pivot_root, for a host whose root is an initramfs. Since 0.1.
pub const RR_CREATE_NO_PIVOT: u64 = 1 << 1;
/// Keep the caller's session keyring. Since 0.1.
pub const RR_CREATE_NO_NEW_KEYRING: u64 = 1 << 2;
/// Keep the listener of the config's seccomp filter (`SCMP_ACT_NOTIFY`) for `rr_take_seccomp_fd`; `listenerPath` is not
/// needed then, and not used. Since 0.1.
pub const RR_CREATE_WANT_SECCOMP_FD: u64 = 1 << 3;
/// Give the program a socket to say on that it is ready, at `$NOTIFY_SOCKET` (sd_notify(3)); the other side is
/// `rr_open_notify`'s. Since 0.1.
pub const RR_CREATE_NOTIFY: u64 = 1 << 4;

/// How a container is created. Fill it with `rr_create_options_init`; `bundle` or `config` is needed.
/// Everything in it is copied or duplicated before the call returns. Since 0.1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct rr_create_options {
    /// Set by `rr_create_options_init`.
    pub size: usize,
    /// `RR_CREATE_*`.
    pub flags: u64,
    /// The directory that holds `config.json`; a relative `root.path` starts here.
    pub bundle: *const c_char,
    /// The bytes of a `config.json`, instead of the bundle's; NULL: read the bundle's.
    pub config: *const c_char,
    /// How many bytes.
    pub config_len: usize,
    /// The root filesystem, a descriptor plus one: an open directory, instead of the config's `root.path`; 0: none. It is
    /// found by its path in the caller's mount namespace, and it is an error if another directory is there by then.
    pub rootfs_fd_plus1: i32,
    /// Zero.
    pub reserved0: u32,
    /// A file that receives the pid of the container's first process, decimal digits and nothing else; NULL:
    /// none.
    pub pid_file: *const c_char,
    /// Streams, terminal, descriptors of the first process; NULL: the host's own streams. Pipes are written
    /// back into it.
    pub io: *mut rr_io,
    /// A function of the host's at the moments of hooks; NULL: none. The handle that the call gives keeps it.
    pub hook: rr_hook_fn,
    /// The first argument of `hook`, usable as long as that handle is.
    pub hook_data: *mut c_void,
    /// Deadline and cancellation; NULL: neither.
    pub call: *const rr_call,
}

// SAFETY: repr(C), size first, integers and pointers only.
unsafe impl Sized for rr_create_options {
    const NAME: &'static str = "options";
}

/// Fills options with the default of everything: pass `sizeof(rr_create_options)` as `size`.
///
/// NULL is fine. Any thread, does not block. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_create_options_init(options: *mut rr_create_options, size: usize) {
    // SAFETY: rule 3 is passed on.
    unsafe { sized::init(options, size) };
}

/// Creates a container: all of it but the execution of its program, for which `rr_start` gives the word.
///
/// `id` is letters, digits and `_ + - .`; it is unique in the state root. On success `*out` is the caller's
/// (`rr_container_unref`, which leaves the container alone), and so are the host's ends of pipes in
/// `options->io`. The first process is a child of the calling process and inherits from the calling *thread*
/// what a child does: credentials, namespaces, cgroup, affinity, nice value, keyring, seccomp filter
/// (`RR_CREATE_DETACHED`: it inherits the same, and is nobody's child). On failure nothing is left behind.
///
/// Any thread. Blocks until the container is ready, as long as `options->call` allows; hooks of the config
/// run meanwhile. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL, neither bundle nor config, a descriptor that is not open),
/// `RR_E_INVALID_ID`, `RR_E_EXISTS`, `RR_E_INVALID_SPEC` (the message names the place in the JSON),
/// `RR_E_ROOTFS`, `RR_E_MOUNT`, `RR_E_UNSAFE_PATH`, `RR_E_CGROUP`, `RR_E_HOOK`, `RR_E_CONSOLE`,
/// `RR_E_PERMISSION`, `RR_E_TIMEOUT`, `RR_E_CANCELLED`, `RR_E_FORKED`, `RR_E_UNSUPPORTED`, `RR_E_SYSTEM` with
/// its errno, and the other codes of a part that refuses (`RR_E_LSM`, `RR_E_SECCOMP`, ...).
/// `RR_E_EXEC_NOT_FOUND`, `RR_E_EXEC_PERMISSION` and `RR_E_CWD` come from here where the program can be
/// looked at beforehand, otherwise from `rr_start`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_create(
    ctx: *mut rr_context,
    id: *const c_char,
    options: *const rr_create_options,
    out: *mut *mut rr_container,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rules 1 and 3 to 5 are passed on.
        unsafe { make(Context::create, ctx, id, options, out) }
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// Creates a container and starts it: `rr_create` and `rr_start` in one, and a step cheaper.
///
/// Arguments, owners, threads and blocking as in `rr_create`; errors those of both. On failure nothing is
/// left behind. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_run(
    ctx: *mut rr_context,
    id: *const c_char,
    options: *const rr_create_options,
    out: *mut *mut rr_container,
    err: *mut *mut rr_error,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rules 1 and 3 to 5 are passed on.
        unsafe { make(Context::run, ctx, id, options, out) }
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

/// # Safety
/// Rules 1 and 3 to 5 of `ffi`'s list.
unsafe fn make(
    verb: fn(&Context, &str, CreateOptions<'_>) -> Result<Container>,
    ctx: *mut rr_context,
    id: *const c_char,
    options: *const rr_create_options,
    out: *mut *mut rr_container,
) -> Result<()> {
    // SAFETY: rule 1 is passed on.
    let ctx = unsafe { handle::borrow(ctx)? };
    require(out, "out")?;
    // SAFETY: rule 4 is passed on.
    let id = unsafe { text(id, "id", Kind::InvalidId)? };
    // SAFETY: rules 3 to 5 are passed on.
    let (options, pipes) = unsafe { read_options(options)? };
    let container = verb(&ctx.context, id, options)?;
    // SAFETY: rule 3 is passed on; `out` is not NULL.
    unsafe { deliver(container, pipes, out) }
}

/// Gives C a container that was just made, and the host's ends of its pipes.
///
/// # Safety
/// Rule 3 of `ffi`'s list; `out` is not NULL.
pub(super) unsafe fn deliver(container: Container, pipes: Pipes, out: *mut *mut rr_container) -> Result<()> {
    // SAFETY: rule 3 is passed on.
    if let Err(error) = unsafe { hand_over(&container, pipes) } {
        // The container is there, but C would never get its pipes: undo it. Its own error would hide the
        // reason.
        let _ = container.delete(true, Call::default());
        return Err(error);
    }
    // SAFETY: not NULL, so writable for one pointer (rule 3).
    unsafe { out.write(handle::into_raw(rr_container::new(container))) };
    Ok(())
}

const RR_CREATE_KNOWN: u64 = RR_CREATE_DETACHED
    | RR_CREATE_NO_PIVOT
    | RR_CREATE_NO_NEW_KEYRING
    | RR_CREATE_WANT_SECCOMP_FD
    | RR_CREATE_NOTIFY;

/// Options that say what is created.
///
/// # Safety
/// Rules 3 to 6 of `ffi`'s list.
pub(super) unsafe fn read_options<'call>(
    options: *const rr_create_options,
) -> Result<(CreateOptions<'call>, Pipes)> {
    // SAFETY: rules 3 to 6 are passed on.
    let (options, pipes) = unsafe { read_create_options(options)? };
    if options.bundle.is_none() && options.config.is_none() {
        return Err(invalid("options", "it has neither a bundle nor a config"));
    }
    Ok((options, pipes))
}

/// Options that may leave open what is created.
///
/// # Safety
/// Rules 3 to 6 of `ffi`'s list.
pub(super) unsafe fn read_create_options<'call>(
    options: *const rr_create_options,
) -> Result<(CreateOptions<'call>, Pipes)> {
    // SAFETY: rule 3 is passed on.
    let options = unsafe { sized::read(options)? };
    known_bits(options.flags, RR_CREATE_KNOWN)?;
    reserved(options.reserved0)?;
    // SAFETY: rule 4 is passed on.
    let bundle = unsafe { path(options.bundle) };
    let config = if options.config.is_null() && options.config_len == 0 {
        None
    } else {
        // SAFETY: rule 4 is passed on.
        Some(unsafe { slice(options.config.cast::<u8>(), options.config_len, "config")? }.to_vec())
    };
    let rootfs = match options.rootfs_fd_plus1 {
        0 => None,
        // SAFETY: rule 5 is passed on.
        plus1 => Some(unsafe { duplicate(plus1.wrapping_sub(1), "rootfs_fd_plus1")? }),
    };
    // SAFETY: rules 3 to 5 are passed on.
    let (io, pipes) = unsafe { read_io(options.io)? };
    let options = CreateOptions {
        rootfs,
        hook: hook(options.hook, options.hook_data),
        want_seccomp_listener: options.flags & RR_CREATE_WANT_SECCOMP_FD != 0,
        detached: options.flags & RR_CREATE_DETACHED != 0,
        bundle,
        config,
        // SAFETY: rule 4 is passed on.
        pid_file: unsafe { path(options.pid_file) },
        pidfd_socket: None, // C has the pidfd itself: rr_process_pidfd
        io,
        no_pivot: options.flags & RR_CREATE_NO_PIVOT != 0,
        no_new_keyring: options.flags & RR_CREATE_NO_NEW_KEYRING != 0,
        notify: options.flags & RR_CREATE_NOTIFY != 0,
        // SAFETY: rules 3 and 5 are passed on.
        call: unsafe { read_call(options.call)? },
    };
    Ok((options, pipes))
}

/// # Safety
/// Rule 3 of `ffi`'s list.
unsafe fn hand_over(container: &Container, pipes: Pipes) -> Result<()> {
    if !pipes.any() {
        return Ok(());
    }
    let init = container.init_process()?;
    // SAFETY: rule 3 is passed on.
    unsafe { pipes.hand_over(&init) }
}

//! What a container is made of, as descriptors: `rr_open_ns`, `rr_open_cgroup`, `rr_open_notify`,
//! `rr_take_seccomp_fd`. They are the caller's.

use super::arg::{invalid, require};
use super::code::rr_code;
use super::container::rr_container;
use super::error::rr_error;
use super::guard::{attempt, report};
use super::handle;
use crate::{Container, Error, Kind, Namespace, Result};
use std::ffi::c_int;
use std::os::fd::{IntoRawFd, OwnedFd};

/// Namespace: mounts. Since 0.1.
pub const RR_NS_MOUNT: i32 = 1;
/// Namespace: processes. Since 0.1.
pub const RR_NS_PID: i32 = 2;
/// Namespace: network devices, addresses, routes. Since 0.1.
pub const RR_NS_NET: i32 = 3;
/// Namespace: System V IPC and message queues. Since 0.1.
pub const RR_NS_IPC: i32 = 4;
/// Namespace: host and domain name. Since 0.1.
pub const RR_NS_UTS: i32 = 5;
/// Namespace: users, groups, capabilities. Since 0.1.
pub const RR_NS_USER: i32 = 6;
/// Namespace: the root of the cgroups. Since 0.1.
pub const RR_NS_CGROUP: i32 = 7;
/// Namespace: offsets of the monotonic and the boot clock. Since 0.1.
pub const RR_NS_TIME: i32 = 8;

const _: () = assert!(
    RR_NS_MOUNT == Namespace::Mount as i32
        && RR_NS_PID == Namespace::Pid as i32
        && RR_NS_NET == Namespace::Net as i32
        && RR_NS_IPC == Namespace::Ipc as i32
        && RR_NS_UTS == Namespace::Uts as i32
        && RR_NS_USER == Namespace::User as i32
        && RR_NS_CGROUP == Namespace::Cgroup as i32
        && RR_NS_TIME == Namespace::Time as i32
);

/// Opens a namespace of a container's first process, its own or one that it shares with the host: for setns(2) and the
/// ioctls of ioctl_nsfs(2). It holds the namespace, also after the container's end.
///
/// `ns` is one of `RR_NS_*`. On success `*fd` is the caller's to close, close-on-exec. Any thread, does not block. Since
/// 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL, no such kind), `RR_E_NOT_RUNNING`, `RR_E_NOT_FOUND` (it was deleted),
/// `RR_E_UNSUPPORTED` (this kernel has no such namespaces), `RR_E_PERMISSION`, `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_open_ns(
    c: *mut rr_container,
    ns: c_int,
    fd: *mut c_int,
    err: *mut *mut rr_error,
) -> rr_code {
    // SAFETY: rules 1 to 3 are passed on.
    unsafe {
        give(c, fd, err, |container| {
            let kind = Namespace::ALL.into_iter().find(|kind| *kind as i32 == ns);
            container.open_namespace(
                kind.ok_or_else(|| invalid("ns", format!("no namespace has the number {ns}")))?,
            )
        })
    }
}

/// Opens a container's directory in the cgroup2 filesystem, to read its files or to be the `cgroup` of clone3(2).
///
/// On success `*fd` is the caller's to close, close-on-exec. Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_FOUND` (it was deleted), `RR_E_UNSUPPORTED` (the container has no
/// directory in a cgroup2 filesystem), `RR_E_CGROUP`, `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_open_cgroup(
    c: *mut rr_container,
    fd: *mut c_int,
    err: *mut *mut rr_error,
) -> rr_code {
    // SAFETY: rules 1 to 3 are passed on.
    unsafe { give(c, fd, err, Container::open_cgroup) }
}

/// Makes the socket on which a container's program says that it is ready, and more (sd_notify(3)), of a container that
/// was created with `RR_CREATE_NOTIFY`: to be called before `rr_start`, since what the program says before is lost. One
/// that was made earlier hears nothing any more.
///
/// On success `*fd` is a datagram socket, the caller's to read from and to close, close-on-exec: each message is lines
/// such as `READY=1`. It is also in reach of every process of the container. Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_NOT_FOUND` (it was deleted), `RR_E_UNSUPPORTED` (it was created without
/// `RR_CREATE_NOTIFY`), `RR_E_STATE_CORRUPT`, `RR_E_FORKED`, `RR_E_SYSTEM`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_open_notify(
    c: *mut rr_container,
    fd: *mut c_int,
    err: *mut *mut rr_error,
) -> rr_code {
    let open = |container: &Container| {
        let none = || Error::new(Kind::Unsupported, "the container was created without a notify socket");
        container.notify_socket()?.ok_or_else(none)
    };
    // SAFETY: rules 1 to 3 are passed on.
    unsafe { give(c, fd, err, open) }
}

/// Takes the listener of the seccomp filter of a container that was created with `RR_CREATE_WANT_SECCOMP_FD`, from the
/// handle that the create gave (seccomp_unotify(2)); then those of the processes that this handle executed, in their
/// order. Each can be taken once; what nobody takes is closed with the handle, and the calls that it would answer fail
/// with ENOSYS.
///
/// On success `*fd` is the caller's to close, close-on-exec. Any thread, does not block. Since 0.1.
///
/// Errors: `RR_E_INVALID_ARGUMENT` (NULL), `RR_E_SECCOMP` (there is none: not asked for, none in the profile, or taken),
/// `RR_E_FORKED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rr_take_seccomp_fd(
    c: *mut rr_container,
    fd: *mut c_int,
    err: *mut *mut rr_error,
) -> rr_code {
    // SAFETY: rules 1 to 3 are passed on.
    unsafe { give(c, fd, err, Container::take_seccomp_listener) }
}

/// # Safety
/// Rules 1 to 3 of `ffi`'s list.
unsafe fn give(
    c: *mut rr_container,
    fd: *mut c_int,
    err: *mut *mut rr_error,
    open: impl FnOnce(&Container) -> Result<OwnedFd>,
) -> rr_code {
    let outcome = attempt(|| {
        // SAFETY: rule 1 is passed on.
        let c = unsafe { handle::borrow(c)? };
        require(fd, "fd")?;
        let opened = open(&c.container)?;
        // SAFETY: not NULL, so writable for one int (rule 3).
        unsafe { fd.write(opened.into_raw_fd()) };
        Ok(())
    });
    // SAFETY: rule 2 is passed on.
    unsafe { report(outcome, err) }
}

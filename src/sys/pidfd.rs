//! pidfds: a process without the race of its number.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{Errno, Result};

/// pidfd_open(2), KERNEL(5.3).
pub(crate) fn open(pid: i32) -> Result<OwnedFd> {
    // SAFETY: two numbers.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the kernel just made it; pidfds are close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// pidfd_send_signal(2), KERNEL(5.1).
pub(crate) fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result {
    let none = ptr::null::<libc::siginfo_t>();
    // SAFETY: a NULL siginfo means that of kill(2).
    Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) })
        .map(drop)
}

/// pidfd_getfd(2), KERNEL(5.6): our own copy of a descriptor of the process, close-on-exec.
pub(crate) fn take_fd(pidfd: BorrowedFd<'_>, number: i32) -> Result<OwnedFd> {
    // SAFETY: three numbers.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) })?;
    // SAFETY: the kernel just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// How a process ended, as waitid(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) signal: i32,
    pub(crate) core_dumped: bool,
}

impl Ended {
    /// From the word of wait(2).
    fn from_wait_status(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            return Self { code: 0, signal: libc::WTERMSIG(status), core_dumped: libc::WCOREDUMP(status) };
        }
        Self { code: libc::WEXITSTATUS(status), signal: 0, core_dumped: false }
    }
}

/// waitid(2) with P_PIDFD, without blocking. `None`: it has not ended. ECHILD: not our child, or reaped by somebody.
pub(crate) fn try_wait(pidfd: BorrowedFd<'_>) -> Result<Option<Ended>> {
    // SAFETY: siginfo_t is plain data.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    // SAFETY: waitid fills the siginfo.
    Errno::result(unsafe { libc::waitid(libc::P_PIDFD, pidfd.as_raw_fd() as u32, &raw mut info, flags) })?;
    // SAFETY: a SIGCHLD siginfo, or zeroes when nothing ended.
    if unsafe { info.si_pid() } == 0 {
        return Ok(None);
    }
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    Ok(Some(match info.si_code {
        libc::CLD_EXITED => Ended { code: status, signal: 0, core_dumped: false },
        code => Ended { code: 0, signal: status, core_dumped: code == libc::CLD_DUMPED },
    }))
}

/// Waits for a child that is about to end and forgets how; one that somebody else reaped is as well.
pub(crate) fn reap(pidfd: &OwnedFd) {
    // SAFETY: siginfo_t is plain data.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: waitid fills the siginfo.
    while unsafe {
        libc::waitid(libc::P_PIDFD, pidfd.as_raw_fd() as u32, &raw mut info, libc::WEXITED | libc::__WALL)
    } == -1
        && Errno::last() == Errno::EINTR
    {}
}

/// struct pidfd_info, its first version (linux/pidfd.h, KERNEL(6.13)).
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroupid: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ids: [u32; 8],
    exit_code: i32,
}

const PIDFD_INFO_PID: u64 = 1;
const PIDFD_INFO_EXIT: u64 = 8;

fn info(pidfd: BorrowedFd<'_>, mask: u64) -> Result<PidfdInfo> {
    /// `_IOWR(0xFF, 11, struct pidfd_info)` with the first version's size.
    const PIDFD_GET_INFO: libc::c_ulong = 0xc000_0000 | (64 << 16) | (0xff << 8) | 11;
    const { assert!(size_of::<PidfdInfo>() == 64) };
    let mut info = PidfdInfo { mask, ..PidfdInfo::default() };
    // SAFETY: the size is in the request number, and the struct has it.
    Errno::result(unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) })?;
    Ok(info)
}

/// How a process ended whom somebody else reaped, KERNEL(6.15).
pub(crate) fn exit_of_reaped(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    let info = info(pidfd, PIDFD_INFO_EXIT).ok()?;
    (info.mask & PIDFD_INFO_EXIT != 0).then(|| Ended::from_wait_status(info.exit_code))
}

/// How a process ended whom its parent has not waited for yet: `pid` is its number.
pub(crate) fn exit_of_zombie(pidfd: BorrowedFd<'_>, pid: i32) -> Option<Ended> {
    let status = super::process::status_of_zombie(pid)?;
    // It is still there, so the number was its own all the time.
    send_signal(pidfd, 0).ok()?;
    Some(Ended::from_wait_status(status))
}

/// The process's number as the caller sees it: by ioctl, KERNEL(6.13), or from the descriptor's fdinfo.
pub(crate) fn pid_of(pidfd: BorrowedFd<'_>) -> Result<i32> {
    if let Ok(info) = info(pidfd, PIDFD_INFO_PID)
        && info.mask & PIDFD_INFO_PID != 0
    {
        return i32::try_from(info.tgid).map_err(|_| Errno::ERANGE);
    }
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))
        .map_err(|error| Errno::from_raw(super::errno_of(&error)))?;
    let pid =
        text.lines().find_map(|line| line.strip_prefix("Pid:")).and_then(|number| number.trim().parse().ok());
    pid.filter(|pid| *pid > 0).ok_or(Errno::ESRCH)
}

//! Facts about processes: what /proc/PID says, limits, ids.

use std::fs::File;
use std::io::Read;

use super::{Errno, Result};

/// The two fields of /proc/PID/stat that identify a process and tell whether it lives (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// `R`, `S`, `Z`, …
    pub(crate) state: u8,
    /// In clock ticks since the machine started.
    pub(crate) start_time: u64,
}

impl Stat {
    /// Whether the process has ended already.
    pub(crate) fn is_dead(self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// Reads /proc/PID/stat; `None` if there is no such process.
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    // Fifty-two numbers and a name of fifteen bytes: one read.
    let mut line = [0; 2048];
    let length = File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut line)).ok()?;
    parse_stat(line.get(..length)?)
}

/// The second field may hold anything, blanks and brackets included: what counts begins after the last bracket.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let after_name = text.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(text.get(after_name + 1..)?).ok()?.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    // starttime is field 22, the state field 3.
    let start_time = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, start_time })
}

/// The word of wait(2) of a process that has ended and that its parent has not waited for yet (`exit_code`, field 52).
/// `None`: there is none, or it is not for us to know; then the kernel would say 0.
pub(crate) fn status_of_zombie(pid: i32) -> Option<i32> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after_name = text.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(text.get(after_name + 1..)?).ok()?.split_ascii_whitespace();
    let status = (fields.next()? == "Z").then(|| fields.nth(48)?.parse().ok()).flatten()?;
    // The same right is asked for: a zombie has no such namespace any more, and whoever may look is told so.
    let refused = std::fs::read_link(format!("/proc/{pid}/ns/net"))
        .is_err_and(|error| [libc::EACCES, libc::EPERM].contains(&super::errno_of(&error)));
    (!refused).then_some(status)
}

/// prlimit(2) of another process.
pub(crate) fn set_limit(pid: i32, resource: u32, soft: u64, hard: u64) -> Result {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the new limit is read, the old one is not asked for.
    Errno::result(unsafe { libc::prlimit64(pid, resource as _, &raw const limit, std::ptr::null_mut()) })
        .map(drop)
}

/// kill(2) of a process group; one that is gone is as well.
pub(crate) fn kill_group(leader: i32) {
    // SAFETY: numbers only; the caller's child leads the group and has not been waited for, so the number is its own.
    let _ = unsafe { libc::kill(-leader, libc::SIGKILL) };
}

/// waitid(2) for the children of ours that have ended in the process group of `leader`, which nobody has waited for yet.
pub(crate) fn reap_group(leader: i32) {
    let flags = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    loop {
        // SAFETY: siginfo_t is plain data.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: waitid fills the siginfo.
        let waited = unsafe { libc::waitid(libc::P_PGID, leader.cast_unsigned(), &raw mut info, flags) };
        // SAFETY: a SIGCHLD siginfo, or zeroes when nothing ended.
        if waited != 0 || unsafe { info.si_pid() } == 0 {
            return;
        }
    }
}

/// sysconf(3): how many bytes a page of memory has.
pub(crate) fn page_size() -> u64 {
    // SAFETY: a number only.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

/// Whether a descriptor of this number is open.
pub(crate) fn is_open(fd: i32) -> bool {
    // SAFETY: numbers only.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// Sends another process away from the CPU that we run on, if it may be elsewhere: a kernel that sees the other CPUs busy for
/// the moment lets a new process wait behind its parent. It is bound to the rest until it binds itself.
pub(crate) fn send_to_another_cpu(pid: i32) {
    use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
    let others = || -> Result<CpuSet> {
        let (mut cpus, here) = (sched_getaffinity(nix::unistd::Pid::from_raw(0))?, sched_getcpu()?);
        cpus.unset(here)?;
        Ok(cpus)
    };
    // None but this one: EINVAL, and it stays. It is a matter of time only.
    if let Ok(others) = others() {
        let _ = sched_setaffinity(nix::unistd::Pid::from_raw(pid), &others);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_do_not_shift_the_fields() {
        let line = b"7 (a) Z (b)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1";
        assert_eq!(parse_stat(line), Some(Stat { state: b'S', start_time: 4711 }));
    }

    #[test]
    fn own_stat_is_alive() {
        let own = stat(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(!own.is_dead() && own.start_time > 0);
    }
}

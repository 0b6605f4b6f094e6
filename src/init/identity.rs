//! Who the process is: capabilities, ids, no_new_privs, working directory.
//!
//! Runs in: the init program, after pivot_root, losing privilege with each step; the order is the plan's.

use core::mem::size_of_val;

use alloc::format;
use linux_raw_sys::general as k;
use linux_raw_sys::prctl as p;

use crate::channel::{Doing, Outcome};
use crate::sys::{self, EACCES, EINVAL, EPERM, Text, call};
use crate::wire::{Class, Failure};

const NO_NEW_PRIVS: u32 = 38;

/// Neither ptrace nor /proc/PID/{mem,fd,exe} from now on, until the container's program is executed.
pub(crate) fn conceal() {
    // Cannot fail: 0 is a valid value (prctl(2)).
    let _ = sys::prctl(p::PR_SET_DUMPABLE, 0, 0);
}

pub(crate) fn no_new_privileges() -> Outcome {
    sys::prctl(NO_NEW_PRIVS, 1, 0).doing(Class::System, "set", "no_new_privs")?;
    Ok(())
}

/// 0:0 of the user namespace, once it has a map.
pub(crate) fn become_root() -> Outcome {
    let root = || -> sys::Result<()> {
        // Denied where the map was written without privilege (setgroups: deny); there are none to drop then.
        let _ = call!(__NR_setgroups, 0, 0);
        call!(__NR_setresgid, 0, 0, 0)?;
        call!(__NR_setresuid, 0, 0, 0)?;
        Ok(())
    };
    root().doing(Class::Userns, "become root of", "the user namespace")
}

/// Drops every capability that is not in `keep` from the bounding set.
pub(crate) fn bound(keep: u64) -> Outcome {
    for capability in 0..64 {
        if keep & (1 << capability) != 0 {
            continue;
        }
        match sys::prctl(p::PR_CAPBSET_DROP, capability, 0) {
            // The first number that the kernel does not know ends the list.
            Err(EINVAL) => break,
            Ok(_) => {}
            // A host that lacks the capability itself has nothing to drop.
            Err(EPERM) if sys::prctl(p::PR_CAPBSET_READ, capability, 0) == Ok(0) => {}
            Err(errno) => {
                return Err(errno).doing(
                    Class::Capability,
                    "drop from bounding set",
                    &format!("{capability}"),
                );
            }
        }
    }
    Ok(())
}

/// setgroups, setresgid, setresuid; permitted capabilities survive until [`set_capabilities`].
pub(crate) fn become_user(uid: u32, gid: u32, groups: &[u32], set_groups: bool) -> Outcome {
    let object = format!("{uid}:{gid}");
    sys::prctl(p::PR_SET_KEEPCAPS, 1, 0).doing(Class::User, "keep capabilities for", &object)?;
    if set_groups {
        // Always called, also with none: the caller's groups never stay.
        call!(__NR_setgroups, groups.len(), groups.as_ptr()).doing(Class::User, "set groups of", &object)?;
    }
    call!(__NR_setresgid, gid, gid, gid).doing(Class::User, "set gid of", &object)?;
    call!(__NR_setresuid, uid, uid, uid).doing(Class::User, "set uid of", &object)?;
    sys::prctl(p::PR_SET_KEEPCAPS, 0, 0).doing(Class::User, "keep capabilities for", &object)?;
    // A change of ids makes the process dumpable again where /proc/sys/fs/suid_dumpable says so (prctl(2)).
    conceal();
    Ok(())
}

const VERSION_3: u32 = 0x2008_0522;

/// What is permitted, but went out of effect with the change of the user.
pub(crate) fn raise() -> Outcome {
    let header: [u32; 2] = [VERSION_3, 0];
    let mut data: [u32; 6] = [0; 6];
    let mut all = || -> sys::Result {
        call!(__NR_capget, header.as_ptr(), data.as_mut_ptr())?;
        (data[0], data[3]) = (data[1], data[4]);
        call!(__NR_capset, header.as_ptr(), data.as_ptr())
    };
    all().map(drop).doing(Class::Capability, "raise", "capabilities")
}

/// capset(2), then the ambient set one by one.
pub(crate) fn set_capabilities(effective: u64, permitted: u64, inheritable: u64, ambient: u64) -> Outcome {
    let header: [u32; 2] = [VERSION_3, 0];
    let low = |set: u64| set as u32;
    let high = |set: u64| (set >> 32) as u32;
    let data: [u32; 6] = [
        low(effective),
        low(permitted),
        low(inheritable),
        high(effective),
        high(permitted),
        high(inheritable),
    ];
    debug_assert!(size_of_val(&data) == 24);
    call!(__NR_capset, header.as_ptr(), data.as_ptr()).doing(Class::Capability, "apply", "capabilities")?;
    // KERNEL(4.3) knows the ambient set; an older one has nothing to clear.
    let _ = sys::prctl(p::PR_CAP_AMBIENT, p::PR_CAP_AMBIENT_CLEAR_ALL as usize, 0);
    for capability in (0..64).filter(|number| ambient & (1 << number) != 0) {
        let raise = p::PR_CAP_AMBIENT_RAISE as usize;
        sys::prctl(p::PR_CAP_AMBIENT, raise, capability).doing(
            Class::Capability,
            "raise ambient",
            &format!("{capability}"),
        )?;
    }
    Ok(())
}

/// chdir(2) where root may go and the user may not; what fails here is tried again as the user.
pub(crate) fn try_working_directory(path: &str) {
    let _ = call!(__NR_chdir, Text::new(path).as_ptr());
}

/// chdir(2) as the user, then the proof that the directory is below the root (CVE-2024-21626).
pub(crate) fn working_directory(path: &str) -> Outcome {
    match call!(__NR_chdir, Text::new(path).as_ptr()) {
        // Entered as root already, and not reachable for the user: stay.
        Err(EACCES) if current_is(path) => {}
        entered => drop(entered.doing(Class::WorkingDirectory, "chdir to cwd", path)?),
    }
    let mut buffer = [0_u8; 4096];
    let n = call!(__NR_getcwd, buffer.as_mut_ptr(), buffer.len()).doing(
        Class::WorkingDirectory,
        "getcwd in",
        path,
    )?;
    if n > 0 && buffer[0] == b'/' {
        return Ok(());
    }
    let object = format!("{path}: outside of the container's root");
    Err(Failure { class: Class::WorkingDirectory, verb: "chdir to cwd".into(), object, errno: 0 })
}

/// Whether the current directory is what [`try_working_directory`] entered.
fn current_is(path: &str) -> bool {
    let mut buffer = [0_u8; 4096];
    match call!(__NR_getcwd, buffer.as_mut_ptr(), buffer.len()) {
        Ok(n) => n > 1 && &buffer[..n - 1] == path.trim_end_matches('/').as_bytes(),
        Err(_) => false,
    }
}

/// prlimit64(2) of this process.
pub(crate) fn limit(resource: u32, soft: u64, hard: u64) -> Outcome {
    let limits = [soft, hard];
    call!(__NR_prlimit64, 0, resource, limits.as_ptr(), 0).doing(
        Class::System,
        "set rlimit type",
        &format!("{resource}"),
    )?;
    Ok(())
}

/// sched_setaffinity(2) to more CPUs than any machine has: the kernel takes those that the cpuset allows. A kernel or
/// filter that refuses leaves the affinity as it is, which is what the caller had.
pub(crate) fn reset_affinity() {
    let all = [0xff_u8; 1024];
    let _ = call!(__NR_sched_setaffinity, 0, all.len(), all.as_ptr());
}

/// umask(2).
pub(crate) fn umask(mask: u32) {
    let _ = call!(__NR_umask, mask);
}

/// Default dispositions and an empty mask: a host that ignores SIGPIPE must not hand that down.
pub(crate) fn default_signals() {
    let default = [0_usize; 4];
    for signal in 1..=64 {
        // SIGKILL and SIGSTOP refuse (EINVAL), and have no other disposition.
        let _ = call!(__NR_rt_sigaction, signal, default.as_ptr(), 0, 8);
    }
    let none: u64 = 0;
    let _ = call!(__NR_rt_sigprocmask, k::SIG_SETMASK, &raw const none, 0, 8);
}

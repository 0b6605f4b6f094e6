//! Namespaces and the session: joining, leaving, the hop into a pid namespace, names, the keyring.
//!
//! Runs in: the init program. Joining is done here and nowhere else: before this program runs, no process of the
//! engine's image is ever inside a container's namespace (CVE-2016-9962).

use alloc::vec::Vec;

use linux_raw_sys::general as k;

use crate::channel::{Channel, Doing, Outcome};
use crate::sys::{self, EDQUOT, EINVAL, EPERM, Fd, Text, call};
use crate::wire::{Class, Entrance, Failure, ToRuntime};

/// setns(2) into the namespaces of the process behind a pidfd, KERNEL(5.8).
pub(crate) fn join(flags: u64, pidfd: i32) -> Outcome {
    let pidfd = Fd::own(pidfd as usize);
    call!(__NR_setns, pidfd.number(), flags).doing(
        Class::Namespace,
        "join",
        "namespaces of the container",
    )?;
    Ok(())
}

/// setns(2) by descriptors. Those that the outer user namespace owns come before the inner one takes that power away;
/// those that refuse then belong to the inner one, and come after it.
pub(crate) fn enter(namespaces: &[Entrance]) -> Outcome {
    let is_user = |entrance: &&Entrance| entrance.flag == u64::from(k::CLONE_NEWUSER);
    let user = namespaces.iter().find(is_user);
    let mut later = Vec::new();
    for entrance in namespaces.iter().filter(|entrance| !is_user(entrance)) {
        match set_namespace(entrance) {
            Err(EPERM) if user.is_some() => later.push(entrance),
            entered => entered.doing(Class::Namespace, "join", &entrance.name)?,
        }
    }
    for entrance in user.into_iter().chain(later) {
        set_namespace(entrance).doing(Class::Namespace, "join", &entrance.name)?;
    }
    for entrance in namespaces {
        drop(Fd::own(entrance.descriptor as usize));
    }
    Ok(())
}

fn set_namespace(entrance: &Entrance) -> sys::Result<()> {
    call!(__NR_setns, entrance.descriptor, entrance.flag).map(drop)
}

/// The file belongs to whoever the process is when it is opened; what is written counts with the opener's privilege.
pub(crate) fn open_time_offsets() -> Outcome<Fd> {
    let path = "/proc/self/timens_offsets";
    let opened = sys::open_at(k::AT_FDCWD, &Text::new(path), k::O_WRONLY, 0);
    opened.doing(Class::Namespace, "open", path)
}

/// unshare(2), the offsets while nobody is in it, then setns(2): a new time namespace is for children only, and that
/// execve(2) enters it, too, is KERNEL(6.3).
pub(crate) fn new_time_namespace(offsets: &str, file: Option<Fd>) -> Outcome {
    match call!(__NR_unshare, k::CLONE_NEWTIME) {
        Err(EINVAL) => {
            let object = "time namespace: this kernel has none".into();
            return Err(Failure { class: Class::Namespace, verb: "make".into(), object, errno: 0 });
        }
        made => made.doing(Class::Namespace, "make", "time namespace")?,
    };
    if let Some(file) = file {
        sys::write(&file, offsets.as_bytes()).doing(Class::Namespace, "set", "offsets of the time namespace")?;
    }
    let path = "/proc/self/ns/time_for_children";
    let made = sys::open_at(k::AT_FDCWD, &Text::new(path), k::O_RDONLY, 0);
    let made = made.doing(Class::Namespace, "open", path)?;
    call!(__NR_setns, made.number(), k::CLONE_NEWTIME).doing(Class::Namespace, "enter", "time namespace")?;
    Ok(())
}

/// clone(2) with CLONE_PARENT: the child is in the pid namespace that was joined and is the runtime's child as this
/// process is. It goes on at once; this one hands its pidfd over and ends. It is not the child that does so: a container
/// that ends at this moment takes it along, and the runtime must know of it all the same, to wait for it.
pub(crate) fn hop(channel: &Channel) -> Outcome {
    let mut pidfd: i32 = -1;
    // The old call will do, and no filter refuses it: flags, a stack of its own by copy on write, and the pidfd
    // through parent_tid, which is the third argument on every architecture that we know.
    let flags = k::CLONE_PARENT | k::CLONE_PIDFD | k::SIGCHLD;
    let child = call!(__NR_clone, flags, 0, &raw mut pidfd, 0, 0);
    if child.doing(Class::Namespace, "clone into", "pid namespace of the container")? == 0 {
        return Ok(());
    }
    channel.send(&ToRuntime::Moved, Some(&Fd::own(pidfd as usize)));
    sys::exit(0)
}

/// unshare(2).
pub(crate) fn unshare(flags: u64) -> Outcome {
    call!(__NR_unshare, flags).doing(Class::Namespace, "unshare", "namespaces")?;
    Ok(())
}

/// setsid(2). Failing means that this process leads a session already.
pub(crate) fn new_session() {
    let _ = call!(__NR_setsid);
}

/// keyctl(KEYCTL_JOIN_SESSION_KEYRING): the caller's keys stay the caller's. A kernel without keys is fine; a user
/// without room for one more keyring is not.
pub(crate) fn join_session_keyring(name: &str, permissions: u32) -> Outcome {
    const JOIN_SESSION_KEYRING: usize = 1;
    const SETPERM: usize = 5;
    const DESCRIBE: usize = 6;
    let text = Text::new(name);
    let keyring = match call!(__NR_keyctl, JOIN_SESSION_KEYRING, text.as_ptr(), 0, 0, 0) {
        Err(EDQUOT) => return Err(EDQUOT).doing(Class::System, "join session keyring", name),
        Err(_) => return Ok(()),
        Ok(keyring) => keyring,
    };
    if permissions == 0 {
        return Ok(());
    }
    let mut description = [0_u8; 256];
    let Ok(n) = call!(__NR_keyctl, DESCRIBE, keyring, description.as_mut_ptr(), description.len(), 0) else {
        return Ok(());
    };
    // "keyring;uid;gid;permissions;name".
    if let Some(given) = permissions_of(&description[..n.min(description.len())]) {
        let _ = call!(__NR_keyctl, SETPERM, keyring, given | permissions as usize, 0, 0);
    }
    Ok(())
}

fn permissions_of(description: &[u8]) -> Option<usize> {
    let field = description.split(|byte| *byte == b';').nth(3)?;
    usize::from_str_radix(core::str::from_utf8(field).ok()?, 16).ok()
}

/// A new network namespace has its loopback device, down. Its addresses come with IFF_UP.
pub(crate) fn loopback_up() -> Outcome {
    link_up("lo").doing(Class::Namespace, "bring up", "loopback device")
}

/// struct ifreq of netdevice(7), with the part of the union that numbers and flags use.
#[repr(C)]
struct LinkRequest {
    name: [u8; 16],
    value: u32,
    rest: [u8; 20],
}

/// A socket for requests about the device `name`, and the request.
fn link_request(name: &str) -> sys::Result<(Fd, LinkRequest)> {
    let kind = linux_raw_sys::net::SOCK_DGRAM | k::O_CLOEXEC;
    let socket = call!(__NR_socket, linux_raw_sys::net::AF_INET, kind, 0).map(Fd::own)?;
    let mut request = LinkRequest { name: [0; 16], value: 0, rest: [0; 20] };
    let place = request.name[..15].get_mut(..name.len()).ok_or(sys::EINVAL)?;
    place.copy_from_slice(name.as_bytes());
    Ok((socket, request))
}

/// IFF_UP.
pub(crate) fn link_up(name: &str) -> sys::Result<()> {
    const SIOCGIFFLAGS: u32 = 0x8913;
    const SIOCSIFFLAGS: u32 = 0x8914;
    const IFF_UP: u32 = 1;
    let (socket, mut request) = link_request(name)?;
    sys::ioctl(&socket, SIOCGIFFLAGS, &raw mut request as usize)?;
    // A short at the start of the union: on the little-endian machines that we know its bits are the word's lowest.
    request.value |= IFF_UP;
    sys::ioctl(&socket, SIOCSIFFLAGS, &raw mut request as usize)?;
    Ok(())
}

/// The device's number.
pub(crate) fn link_index(name: &str) -> sys::Result<u32> {
    const SIOCGIFINDEX: u32 = 0x8933;
    let (socket, mut request) = link_request(name)?;
    sys::ioctl(&socket, SIOCGIFINDEX, &raw mut request as usize)?;
    Ok(request.value)
}

/// sethostname(2).
pub(crate) fn hostname(name: &str) -> Outcome {
    call!(__NR_sethostname, name.as_ptr(), name.len()).doing(Class::Namespace, "set hostname", name)?;
    Ok(())
}

/// setdomainname(2).
pub(crate) fn domainname(name: &str) -> Outcome {
    call!(__NR_setdomainname, name.as_ptr(), name.len()).doing(Class::Namespace, "set domainname", name)?;
    Ok(())
}

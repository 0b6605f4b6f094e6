//! Network devices that the runtime moved here: their addresses, and up.
//!
//! Runs in: the init program, in the container's network namespace, as root of the user namespace that owns it. The
//! requests were made by the runtime; only the device's number in this namespace is filled in.

use alloc::vec::Vec;

use linux_raw_sys::{general as k, net};

use crate::channel::{Channel, Doing, Outcome};
use crate::namespace;
use crate::sys::{self, Errno, Fd, call};
use crate::wire::{Class, NetDevice, ToInit, ToRuntime};

/// Lets the runtime move the devices, then sets them up.
pub(crate) fn receive(channel: &Channel, devices: &[NetDevice]) -> Outcome {
    channel.send(&ToRuntime::NetDevices, None);
    channel.expect(ToInit::NetDevices)?;
    for device in devices {
        let index = namespace::link_index(&device.name).doing(Class::Namespace, "find", &device.name)?;
        for request in &device.addresses {
            add(request, index).doing(Class::Namespace, "add an address to", &device.name)?;
        }
        namespace::link_up(&device.name).doing(Class::Namespace, "bring up", &device.name)?;
    }
    Ok(())
}

/// rtnetlink(7): one request, one acknowledgement.
fn add(request: &[u8], index: u32) -> sys::Result<()> {
    /// struct nlmsghdr, then family, prefix length, flags and scope of struct ifaddrmsg.
    const INDEX: usize = 16 + 4;
    /// The error stands behind the header of its message.
    const ERROR: usize = 16;
    const NETLINK_ROUTE: u32 = 0;
    let kind = net::SOCK_RAW | k::O_CLOEXEC;
    let socket = call!(__NR_socket, net::AF_NETLINK, kind, NETLINK_ROUTE).map(Fd::own)?;
    let mut request = Vec::from(request);
    let place = request.get_mut(INDEX..INDEX + 4).ok_or(sys::EINVAL)?;
    place.copy_from_slice(&index.to_ne_bytes());
    sys::write(&socket, &request)?;
    let mut answer = [0; 4096];
    let n = sys::read(&socket, &mut answer)?;
    let error = answer[..n].get(ERROR..ERROR + 4).and_then(|bytes| bytes.try_into().ok()).ok_or(sys::EINVAL)?;
    match i32::from_ne_bytes(error) {
        0 => Ok(()),
        error => Err(Errno(-error)),
    }
}

//! rtnetlink(7) in the host's network namespace: finding devices and their addresses, moving devices away.
//!
//! The container's side, addresses and IFF_UP, is the init program's (`../init/net_device.rs`): the host never enters
//! a namespace. The crates for the messages are used here and nowhere else.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::plan::Found;
use crate::error::{Error, Kind, Result};
use crate::sys::errno_of;

/// Finds the devices with these names.
pub(crate) fn find<'n>(names: impl Iterator<Item = &'n String>) -> Result<Vec<Found>> {
    let mut names = names.peekable();
    if names.peek().is_none() {
        return Ok(Vec::new());
    }
    let mut link = Link::open().map_err(|error| failed("open rtnetlink", &error))?;
    let addresses = link.addresses().map_err(|error| failed("list addresses", &error))?;
    names
        .map(|name| {
            let index = link.index(name).map_err(|error| failed(&format!("find {name}"), &error))?;
            let own = addresses.iter().filter(|address| address.header.index == index && is_kept(address));
            Ok(Found { index, addresses: own.map(addition).collect() })
        })
        .collect()
}

/// Moves a device into a network namespace, under another name, down.
pub(crate) fn move_to(found: &Found, name: &str, namespace: BorrowedFd<'_>) -> Result<()> {
    let mut message = LinkMessage::default();
    message.header.index = found.index;
    // Some drivers only change their name while they are down.
    message.header.change_mask = LinkFlags::Up;
    message.attributes =
        vec![LinkAttribute::NetNsFd(namespace.as_raw_fd()), LinkAttribute::IfName(name.to_owned())];
    let moved = Link::open()
        .and_then(|mut link| link.acknowledged(RouteNetlinkMessage::SetLink(message), NLM_F_REQUEST));
    moved.map_err(|error| failed(&format!("move device to {name}"), &error))
}

fn failed(doing: &str, error: &io::Error) -> Error {
    let errno = errno_of(error);
    let kind = if [libc::EPERM, libc::EACCES].contains(&errno) { Kind::Permission } else { Kind::System };
    Error::os(kind, format!("linux.netDevices: {doing}"), errno)
}

/// Permanent and global: the others come and go with routers and with the link.
fn is_kept(address: &AddressMessage) -> bool {
    let long = address.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Flags(flags) => Some(flags.contains(AddressFlags::Permanent)),
        _ => None,
    });
    let permanent = long.unwrap_or_else(|| address.header.flags.contains(AddressHeaderFlags::Permanent));
    permanent && address.header.scope == AddressScope::Universe
}

/// The request that adds the address to another device; its index is filled in by whoever sends it.
fn addition(address: &AddressMessage) -> Vec<u8> {
    let mut message = address.clone();
    message.header.index = 0;
    // Labels begin with the device's old name; times of what is permanent are none.
    message.attributes.retain(|attribute| {
        !matches!(attribute, AddressAttribute::Label(_) | AddressAttribute::CacheInfo(_))
    });
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    bytes(RouteNetlinkMessage::NewAddress(message), flags)
}

fn bytes(message: RouteNetlinkMessage, flags: u16) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = 1;
    let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
    packet.finalize();
    let mut bytes = vec![0; packet.buffer_len()];
    packet.serialize(&mut bytes);
    bytes
}

/// A socket to the kernel.
struct Link(Socket);

impl Link {
    fn open() -> io::Result<Self> {
        let socket = Socket::new(NETLINK_ROUTE)?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self(socket))
    }

    fn index(&mut self, name: &str) -> io::Result<u32> {
        let mut message = LinkMessage::default();
        message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
        let answers = self.ask(RouteNetlinkMessage::GetLink(message), NLM_F_REQUEST)?;
        let index = answers.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Some(link.header.index),
            _ => None,
        });
        index.ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
    }

    fn addresses(&mut self) -> io::Result<Vec<AddressMessage>> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Unspec;
        let answers = self.ask(RouteNetlinkMessage::GetAddress(message), NLM_F_REQUEST | NLM_F_DUMP)?;
        Ok(answers
            .into_iter()
            .filter_map(|answer| match answer {
                RouteNetlinkMessage::NewAddress(address) => Some(address),
                _ => None,
            })
            .collect())
    }

    fn acknowledged(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.ask(message, flags | NLM_F_ACK).map(drop)
    }

    /// Everything that the kernel answers: one message, a dump up to its end, or an acknowledgement.
    fn ask(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        let request = bytes(message, flags);
        self.0.send(&request, 0)?;
        let mut answers = Vec::new();
        loop {
            let (datagram, _) = self.0.recv_from_full()?;
            let mut rest = &datagram[..];
            while !rest.is_empty() {
                let packet =
                    NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(io::Error::other)?;
                match packet.payload {
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(error) if error.code.is_none() => return Ok(answers),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    NetlinkPayload::InnerMessage(message) => answers.push(message),
                    _ => {}
                }
                let length = (packet.header.length as usize).next_multiple_of(4).max(16);
                rest = rest.get(length..).unwrap_or_default();
            }
            if flags & (NLM_F_DUMP | NLM_F_ACK) == 0 {
                return Ok(answers);
            }
        }
    }
}

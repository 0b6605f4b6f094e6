//! The socket to the runtime: one `send`, one `recv`, descriptors beside the message.
//!
//! Runs in: the init program, before and after the namespaces and ids change; the socket stays the same.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

use linux_raw_sys::general as k;
use linux_raw_sys::net;

use crate::sys::{self, EINTR, Errno, Fd, call};
use crate::wire::{self, Class, Failure, ToInit, ToRuntime};

/// A step's outcome.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Says what was being done when the kernel said no.
pub(crate) trait Doing<T> {
    fn doing(self, class: Class, verb: &str, object: &str) -> Outcome<T>;
}

impl<T> Doing<T> for sys::Result<T> {
    fn doing(self, class: Class, verb: &str, object: &str) -> Outcome<T> {
        self.map_err(|Errno(errno)| Failure { class, verb: verb.into(), object: object.into(), errno })
    }
}

/// The end of the socket that the runtime gave us.
pub(crate) struct Channel {
    socket: Fd,
    /// The `tasks` files that came while we waited for something else.
    early: Cell<Option<Vec<Fd>>>,
}

/// More descriptors than any word brings.
const MOST: usize = 64;

impl Channel {
    pub(crate) const fn new(socket: Fd) -> Self {
        Self { socket, early: Cell::new(None) }
    }

    pub(crate) const fn number(&self) -> i32 {
        self.socket.number()
    }

    /// Sends `message`; a runtime that went away is noticed at the next receive.
    pub(crate) fn send(&self, message: &ToRuntime, descriptor: Option<&Fd>) {
        if let Some(bytes) = wire::encode(message) {
            let _ = send_all(&self.socket, &bytes, descriptor);
        }
    }

    /// The same under a seccomp filter: one write(2), and no memory that would have to be mapped.
    pub(crate) fn write(&self, message: &ToRuntime) -> sys::Result<()> {
        let mut framed = [0_u8; 64];
        let (header, body) = framed.split_at_mut(wire::HEADER);
        let length = postcard::to_slice(message, body).map_err(|_| sys::EINVAL)?.len();
        header.copy_from_slice(&(length as u32).to_le_bytes());
        // A stream's buffer takes so little as a whole.
        call!(__NR_write, self.socket.number(), framed.as_ptr(), wire::HEADER + length).map(drop)
    }

    /// The next message. End of file means that the runtime gave the container up.
    pub(crate) fn recv<M: for<'a> serde::Deserialize<'a>>(&self) -> Outcome<M> {
        let mut header = [0; wire::HEADER];
        self.fill(&mut header).map_err(|_| gone())?;
        self.body(header)
    }

    /// The rest of a message after its header.
    fn body<M: for<'a> serde::Deserialize<'a>>(&self, header: [u8; wire::HEADER]) -> Outcome<M> {
        let mut body = vec![0; u32::from_le_bytes(header) as usize];
        self.fill(&mut body).map_err(|_| gone())?;
        wire::decode(&body).ok_or_else(gone)
    }

    /// Waits for exactly this word.
    pub(crate) fn expect(&self, word: ToInit) -> Outcome {
        if self.recv::<ToInit>()? == word {
            return Ok(());
        }
        Err(unexpected())
    }

    /// Waits for this word and as many descriptors, which come with its first byte. The runtime lets us join cgroups
    /// when it has them, whatever we ask for meanwhile.
    pub(crate) fn expect_with(&self, word: ToInit, count: usize) -> Outcome<Vec<Fd>> {
        loop {
            let early = if word == ToInit::Cgroups { self.early.take() } else { None };
            let (came, descriptors) = match early {
                Some(descriptors) => (word, descriptors),
                None => self.recv_with()?,
            };
            if came == word && descriptors.len() == count {
                return Ok(descriptors);
            }
            if came != ToInit::Cgroups || word == ToInit::Cgroups {
                return Err(unexpected());
            }
            self.early.set(Some(descriptors));
        }
    }

    fn recv_with(&self) -> Outcome<(ToInit, Vec<Fd>)> {
        let mut first = [0; 1];
        let descriptors = receive_descriptors(&self.socket, &mut first, MOST).map_err(|_| gone())?;
        let mut header = [first[0], 0, 0, 0];
        self.fill(&mut header[1..]).map_err(|_| gone())?;
        Ok((self.body::<ToInit>(header)?, descriptors))
    }

    fn fill(&self, mut buffer: &mut [u8]) -> sys::Result<()> {
        while !buffer.is_empty() {
            match sys::read(&self.socket, buffer) {
                Ok(0) => return Err(sys::EINVAL),
                Ok(n) => buffer = &mut buffer[n..],
                Err(EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

fn gone() -> Failure {
    let object = String::from("the runtime's word");
    Failure { class: Class::Protocol, verb: "receive".into(), object, errno: 0 }
}

fn unexpected() -> Failure {
    Failure { class: Class::Protocol, verb: "expect".into(), object: "another message".into(), errno: 0 }
}

/// struct cmsghdr with room for one descriptor.
#[repr(C)]
struct OneDescriptor {
    len: usize,
    level: i32,
    kind: i32,
    fd: i32,
    padding: i32,
}

/// struct iovec.
#[repr(C)]
struct Part {
    start: *const u8,
    len: usize,
}

/// struct msghdr.
#[repr(C)]
struct Message {
    name: usize,
    name_len: u32,
    parts: *const Part,
    parts_len: usize,
    control: *const u8,
    control_len: usize,
    flags: i32,
}

/// sendmsg(2) of all of `bytes`, `descriptor` beside the first of them; no SIGPIPE.
fn send_all(socket: &Fd, mut bytes: &[u8], descriptor: Option<&Fd>) -> sys::Result<()> {
    let control = descriptor.map(|fd| OneDescriptor {
        len: 20, // CMSG_LEN(sizeof(int)): the header's 16 bytes and the descriptor
        level: net::SOL_SOCKET as i32,
        kind: 1, // SCM_RIGHTS
        fd: fd.number(),
        padding: 0,
    });
    let mut control = control.as_ref();
    while !bytes.is_empty() {
        let part = Part { start: bytes.as_ptr(), len: bytes.len() };
        let message = Message {
            name: 0,
            name_len: 0,
            parts: &raw const part,
            parts_len: 1,
            control: control.map_or(core::ptr::null(), |control| core::ptr::from_ref(control).cast()),
            control_len: control.map_or(0, |_| size_of::<OneDescriptor>()),
            flags: 0,
        };
        match call!(__NR_sendmsg, socket.number(), &raw const message, net::MSG_NOSIGNAL) {
            Ok(n) => {
                bytes = &bytes[n..];
                control = None;
            }
            Err(EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// recvmsg(2) of exactly `buffer`, with at most `count` descriptors.
fn receive_descriptors(socket: &Fd, buffer: &mut [u8], count: usize) -> sys::Result<Vec<Fd>> {
    const HEADER: usize = 16; // struct cmsghdr: length, level, type
    // In words of eight bytes, as the header is aligned: two of it, then two descriptors a word.
    let mut control = vec![0_u64; HEADER / 8 + count.div_ceil(2)];
    let part = Part { start: buffer.as_mut_ptr(), len: buffer.len() };
    let mut message = Message {
        name: 0,
        name_len: 0,
        parts: &raw const part,
        parts_len: 1,
        control: control.as_mut_ptr().cast(),
        control_len: control.len() * 8,
        flags: 0,
    };
    loop {
        match call!(__NR_recvmsg, socket.number(), &raw mut message, net::MSG_CMSG_CLOEXEC) {
            Ok(n) if n == buffer.len() => break,
            Ok(_) => return Err(sys::EINVAL),
            Err(EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    let bytes = (control[0] as usize).saturating_sub(HEADER);
    let numbers = control[HEADER / 8..].iter().flat_map(|word| [*word as u32, (*word >> 32) as u32]);
    Ok(numbers.take(bytes / 4).map(|number| Fd::own(number as usize)).collect())
}

/// Waits for a peer of `listener` that says "start", and answers with the socket to it.
///
/// A peer that only connects asks whether we still wait: the connection is the answer.
pub(crate) fn accept_start(listener: &Fd) -> Channel {
    loop {
        let peer = match call!(__NR_accept4, listener.number(), 0, 0, k::O_CLOEXEC) {
            Ok(number) => Fd::own(number),
            Err(EINTR | sys::ECONNABORTED) => continue,
            Err(_) => sys::exit(1),
        };
        let mut word = [0; 1];
        if sys::read(&peer, &mut word) == Ok(1) && word[0] == b's' {
            return Channel::new(peer);
        }
    }
}

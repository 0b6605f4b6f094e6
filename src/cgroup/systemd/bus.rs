//! A connection to systemd over D-Bus, for one question and its answer: no thread, every wait bounded.
//!
//! Not a general client: the crates for that start threads, have no deadline while they authenticate, or are a C library.
//! root speaks with systemd itself, as systemctl does, so that dbus-daemon need not run; others over their bus.
#![forbid(unsafe_code)]

use std::env;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::message::{self, Call, Kind, Message};
use super::value::Value;
use crate::sys::{Errno, poll, socket};

/// How long a question may take, start of a unit included: runc's bound.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const PRIVATE: &str = "/run/systemd/private";
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";

/// Whose systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The machine's.
    System,
    /// That of the user who owns this process.
    User,
}

/// Why systemd did not do it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nobody listens: where we looked, and the last errno.
    Absent(String, Errno),
    /// The bus knows no systemd, or does not want us.
    Rejected(String),
    /// No answer within the bound.
    Slow,
    /// The connection ended.
    Closed,
    /// What came is no D-Bus.
    Malformed,
    /// An answer that is an error: its name, its text.
    Answer(String, String),
}

type Result<T> = std::result::Result<T, Refusal>;

/// Where a bus may be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    path: PathBuf,
    /// In the abstract namespace of unix(7).
    is_abstract: bool,
    /// systemd itself, not a bus.
    direct: bool,
}

/// An authenticated connection.
#[derive(Debug)]
pub(crate) struct Bus {
    socket: OwnedFd,
    direct: bool,
    serial: u32,
    unread: Vec<u8>,
    /// Signals that came before the answer.
    signals: Vec<Message>,
    until: Instant,
}

impl Bus {
    /// Connects; `until` then everything must have been answered.
    pub(crate) fn connect(scope: Scope, until: Instant) -> Result<Self> {
        Self::first_of(&addresses(scope), until)
    }

    fn first_of(addresses: &[Address], until: Instant) -> Result<Self> {
        let mut tried = Vec::new();
        let mut last = Errno::ENOENT;
        for address in addresses {
            // 0 would be for ever.
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match socket::connect_within(&address.path, address.is_abstract, left) {
                Ok(socket) => return Self::greet(socket, address.direct, until),
                Err(Errno::EAGAIN) => return Err(Refusal::Slow),
                Err(errno) => {
                    tried.push(address.path.display().to_string());
                    last = errno;
                }
            }
        }
        Err(Refusal::Absent(tried.join(", "), last))
    }

    /// Says who we are: without a number, so that the other side takes what the kernel tells it, in its user namespace
    /// and not in ours (D-Bus specification, "EXTERNAL").
    fn greet(socket: OwnedFd, direct: bool, until: Instant) -> Result<Self> {
        let mut bus = Self { socket, direct, serial: 0, unread: Vec::new(), signals: Vec::new(), until };
        bus.send(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        // An answer a command.
        let answers = [bus.line()?, bus.line()?];
        if !answers.iter().any(|line| line.starts_with("OK")) {
            return Err(Refusal::Rejected(answers.join(", ")));
        }
        if !direct {
            let call = |member, body| Call {
                destination: Some("org.freedesktop.DBus"),
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
                member,
                body,
            };
            bus.call(&call("Hello", &[]))?;
            bus.call(&call(
                "AddMatch",
                &[Value::str(
                    "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'",
                )],
            ))?;
        }
        Ok(bus)
    }

    /// A method of systemd's manager: the answer's values.
    pub(crate) fn manager(&mut self, member: &str, body: &[Value]) -> Result<Vec<Value>> {
        self.systemd("org.freedesktop.systemd1.Manager", member, body)
    }

    /// A property of systemd's manager.
    pub(crate) fn property(&mut self, name: &str) -> Result<Value> {
        let question = [Value::str("org.freedesktop.systemd1.Manager"), Value::str(name)];
        match self.systemd("org.freedesktop.DBus.Properties", "Get", &question)?.pop() {
            Some(Value::Variant(value)) => Ok(*value),
            _ => Err(Refusal::Malformed),
        }
    }

    fn systemd(&mut self, interface: &str, member: &str, body: &[Value]) -> Result<Vec<Value>> {
        let destination = (!self.direct).then_some("org.freedesktop.systemd1");
        self.call(&Call { destination, path: "/org/freedesktop/systemd1", interface, member, body })
    }

    /// A method that starts a job: how that ended, `done` if well.
    pub(crate) fn job(&mut self, member: &str, body: &[Value]) -> Result<String> {
        let answer = self.manager(member, body)?;
        let Some(Value::ObjectPath(job)) = answer.first() else { return Err(Refusal::Malformed) };
        loop {
            for signal in std::mem::take(&mut self.signals) {
                // JobRemoved(u id, o job, s unit, s result)
                if let [_, Value::ObjectPath(path), _, Value::Str(result)] = signal.body.as_slice()
                    && signal.member == "JobRemoved"
                    && path == job
                {
                    return Ok(result.clone());
                }
            }
            let message = self.message()?;
            self.keep(message);
        }
    }

    fn keep(&mut self, message: Message) {
        if message.kind == Kind::Signal {
            self.signals.push(message);
        }
    }

    fn call(&mut self, call: &Call<'_>) -> Result<Vec<Value>> {
        self.serial += 1;
        self.send(&call.bytes(self.serial))?;
        loop {
            let message = self.message()?;
            match message.kind {
                Kind::Return if message.reply_to == self.serial => return Ok(message.body),
                Kind::Error if message.reply_to == self.serial => {
                    let text = message.text().to_owned();
                    return Err(Refusal::Answer(message.error, text));
                }
                _ => self.keep(message),
            }
        }
    }

    fn message(&mut self) -> Result<Message> {
        loop {
            let length = message::length(&self.unread).map_err(|()| Refusal::Malformed)?;
            if let Some(length) = length.filter(|length| *length <= self.unread.len()) {
                let bytes: Vec<u8> = self.unread.drain(..length).collect();
                return Message::read(&bytes).ok_or(Refusal::Malformed);
            }
            self.receive()?;
        }
    }

    /// A line of the authentication, without its end.
    fn line(&mut self) -> Result<String> {
        const LONGEST: usize = 4096;
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&self.unread[..end]).into_owned();
                self.unread.drain(..end + 2);
                return Ok(line);
            }
            if self.unread.len() > LONGEST {
                return Err(Refusal::Malformed);
            }
            self.receive()?;
        }
    }

    fn receive(&mut self) -> Result<()> {
        if poll::readable(&[self.socket.as_fd()], Some(self.until)).map_err(closed)?.is_none() {
            return Err(Refusal::Slow);
        }
        let mut buffer = [0; 4096];
        match socket::receive(self.socket.as_fd(), &mut buffer).map_err(closed)? {
            (0, _) => Err(Refusal::Closed),
            (count, _) => {
                self.unread.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        socket::send(self.socket.as_fd(), bytes, &[]).map_err(closed)
    }
}

fn closed(errno: Errno) -> Refusal {
    if errno == Errno::EAGAIN { Refusal::Slow } else { Refusal::Closed }
}

/// What the environment names is the only one; else systemd itself, then the bus.
fn addresses(scope: Scope) -> Vec<Address> {
    let variable = match scope {
        Scope::System => "DBUS_SYSTEM_BUS_ADDRESS",
        Scope::User => "DBUS_SESSION_BUS_ADDRESS",
    };
    let named = env::var(variable).unwrap_or_default();
    let runtime = env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()).map(PathBuf::from);
    let runtime = runtime.unwrap_or_else(|| format!("/run/user/{}", nix::unistd::getuid().as_raw()).into());
    if !named.is_empty() {
        return parse_addresses(&named, &runtime);
    }
    let at = |path: PathBuf, direct| Address { path, is_abstract: false, direct };
    match scope {
        Scope::System => vec![at(PRIVATE.into(), true), at(SYSTEM_BUS.into(), false)],
        Scope::User => vec![at(runtime.join("systemd/private"), true), at(runtime.join("bus"), false)],
    }
}

/// `unix:path=/run/user/1000/bus,guid=…;unix:abstract=…` (D-Bus specification, "Server Addresses"). Other transports are
/// passed over.
fn parse_addresses(text: &str, runtime: &std::path::Path) -> Vec<Address> {
    let mut found = Vec::new();
    for entry in text.split(';') {
        let Some(keys) = entry.trim().strip_prefix("unix:") else { continue };
        for (key, value) in keys.split(',').filter_map(|pair| pair.split_once('=')) {
            match key {
                "path" | "abstract" => found.push(Address {
                    path: unescape(value).into(),
                    is_abstract: key == "abstract",
                    direct: false,
                }),
                "runtime" => {
                    found.push(Address { path: runtime.join("bus"), is_abstract: false, direct: false });
                }
                _ => {}
            }
        }
    }
    found
}

/// `%20` is a space.
fn unescape(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = code.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%');
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_that_says_nothing_is_waited_for_no_longer_than_asked() {
        let path = env::temp_dir().join(format!("rr-silent-{}", std::process::id()));
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let address = Address { path: path.clone(), is_abstract: false, direct: false };
        let refused = Bus::first_of(&[address], Instant::now() + Duration::from_millis(50));
        assert_eq!(refused.err(), Some(Refusal::Slow));
        drop(listener);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn addresses_are_read_as_the_specification_says() {
        let runtime = std::path::Path::new("/run/user/5");
        let at = |path: &str, is_abstract| Address { path: path.into(), is_abstract, direct: false };
        assert_eq!(
            parse_addresses(
                "tcp:host=x;unix:path=/a%20b,guid=00;unix:abstract=/tmp/x;unix:runtime=yes;",
                runtime
            ),
            [at("/a b", false), at("/tmp/x", true), at("/run/user/5/bus", false)]
        );
        assert_eq!(parse_addresses("bogus", runtime), []);
        assert_eq!(unescape("%4"), "%4");
    }
}

//! Log lines for a daemon instead of a file: `--log journald:NAME` and `--log syslog:NAME`, as crun has them.
//!
//! Both are one datagram a line: journald's native protocol, where a field with a line break carries its length, and
//! syslog's of RFC 3164, in which the daemon adds the time. That is all that there is to libsystemd's part in this.
#![forbid(unsafe_code)]

use std::os::unix::net::UnixDatagram;

use riverrun::Level;

use crate::failure::{Failure, io_failure};

/// A daemon that takes log lines.
#[derive(Debug)]
pub(crate) struct LogDaemon {
    socket: UnixDatagram,
    dialect: Dialect,
    /// Whose lines they are, as the daemon shows it.
    name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Journald,
    Syslog,
}

/// What a line is marked with where `--log` names nobody.
const OWN_NAME: &str = "riverrun";
/// syslog's LOG_DAEMON.
const FACILITY: u32 = 3 << 3;

impl LogDaemon {
    /// The daemon that the value of `--log` names; `None` if it is a file.
    pub(crate) fn named(value: &str) -> Result<Option<Self>, Failure> {
        let (dialect, name, path) = match value.split_once(':') {
            Some(("journald", name)) => (Dialect::Journald, name, "/run/systemd/journal/socket"),
            Some(("syslog", name)) => (Dialect::Syslog, name, "/dev/log"),
            _ => return Ok(None),
        };
        let name = String::from(if name.is_empty() { OWN_NAME } else { name });
        if !name.chars().all(|letter| letter.is_ascii_graphic() && letter != ':' && letter != '[') {
            return Err(format!("use \"{name}\" as the name in a log: it is not one word").into());
        }
        let fail = |error| io_failure(&format!("connect to {path}"), &error);
        let socket = UnixDatagram::unbound().map_err(fail)?;
        socket.connect(path).map_err(fail)?;
        Ok(Some(Self { socket, dialect, name }))
    }

    /// Sends one line. There is nobody to tell if that does not succeed.
    pub(crate) fn line(&self, level: Level, message: &str) {
        let _ = self.socket.send(&self.dialect.datagram(level, &self.name, message));
    }
}

impl Dialect {
    fn datagram(self, level: Level, name: &str, message: &str) -> Vec<u8> {
        let priority = priority(level);
        let pid = std::process::id();
        match self {
            Dialect::Syslog => {
                // A daemon may end a line at the first line break.
                let message = message.replace('\n', " ");
                format!("<{}>{name}[{pid}]: {message}", FACILITY | priority).into_bytes()
            }
            Dialect::Journald => {
                let head = format!("PRIORITY={priority}\nSYSLOG_IDENTIFIER={name}\nSYSLOG_PID={pid}\n");
                let length = u64::try_from(message.len()).unwrap_or_default().to_le_bytes();
                [head.as_bytes(), b"MESSAGE\n", &length, message.as_bytes(), b"\n"].concat()
            }
        }
    }
}

/// syslog(3)'s number of a level.
fn priority(level: Level) -> u32 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_those_of_the_protocols() {
        let pid = std::process::id();
        let sent = Dialect::Syslog.datagram(Level::Error, "web", "a\nb");
        assert_eq!(String::from_utf8(sent).unwrap(), format!("<27>web[{pid}]: a b"));
        let sent = Dialect::Journald.datagram(Level::Warn, "web", "a\nb");
        let head = format!("PRIORITY=4\nSYSLOG_IDENTIFIER=web\nSYSLOG_PID={pid}\nMESSAGE\n\x03");
        assert_eq!(String::from_utf8(sent).unwrap(), format!("{head}\0\0\0\0\0\0\0a\nb\n"));
    }

    #[test]
    fn a_file_may_have_a_colon_in_its_name() {
        assert!(LogDaemon::named("a:b").is_ok_and(|daemon| daemon.is_none()));
        assert!(LogDaemon::named("/var/log/x").is_ok_and(|daemon| daemon.is_none()));
        assert!(LogDaemon::named("journald:a b").is_err_and(|failure| failure.message.contains("one word")));
    }
}

//! Log lines, in the two shapes that callers of runc read.
//!
//! Text: `time="2026-01-02T03:04:05Z" level=error msg="…"`. JSON: one object a line with `level`, `msg` and `time`.
//! containerd decodes the JSON stream and shows the last object whose level is `error`, so the final error must be in
//! it and every `time` must be RFC 3339. Each line is one write to a file opened for appending: lines of several
//! processes do not mix.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{SystemTime, UNIX_EPOCH};

use riverrun::Level;

use crate::args::Matches;
use crate::failure::{Failure, io_failure};
use crate::log_daemon::LogDaemon;

/// Where log lines go, how they look and which are left out.
#[derive(Debug)]
pub(crate) struct Log {
    to: Destination,
    format: Format,
    level: Level,
}

#[derive(Debug)]
enum Destination {
    StandardError,
    File(File),
    Daemon(LogDaemon),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

const LEVELS: &[(&str, Level)] = &[
    ("error", Level::Error),
    ("warning", Level::Warn),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
];

impl Default for Log {
    /// Text on standard error: what holds until the options are known.
    fn default() -> Self {
        Self { to: Destination::StandardError, format: Format::Text, level: Level::Info }
    }
}

impl Log {
    /// The log that the global options ask for.
    pub(crate) fn open(globals: &Matches) -> Result<Self, Failure> {
        let format = match globals.text("log-format") {
            None | Some("text") => Format::Text,
            Some("json") => Format::Json,
            Some(other) => return Err(format!("invalid log-format: {other}").into()),
        };
        let level = match globals.text("log-level") {
            _ if globals.switch("debug") => Level::Debug,
            None => Level::Info,
            Some(word) => LEVELS
                .iter()
                .find(|(name, _)| *name == word)
                .map(|(_, level)| *level)
                .ok_or_else(|| format!("invalid log-level: {word}"))?,
        };
        let to = globals.text("log").map_or(Ok(Destination::StandardError), Destination::named)?;
        Ok(Self { to, format, level })
    }

    /// The least grave level that is written.
    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// Writes one line. There is nobody to tell if that does not succeed.
    pub(crate) fn line(&self, level: Level, message: &str) {
        if level > self.level {
            return;
        }
        let line = || self.format.line(level, message, &rfc3339(SystemTime::now()));
        let _ = match &self.to {
            Destination::File(file) => (&*file).write_all(line().as_bytes()),
            Destination::StandardError => io::stderr().lock().write_all(line().as_bytes()),
            Destination::Daemon(daemon) => {
                daemon.line(level, message);
                Ok(())
            }
        };
    }

    /// Tells the error that ends the program: in the log, and on standard error too if the log is elsewhere.
    pub(crate) fn fatal(&self, message: &str) {
        self.line(Level::Error, message);
        if !matches!(self.to, Destination::StandardError) {
            let _ = writeln!(io::stderr().lock(), "{message}");
        }
    }
}

impl Destination {
    /// What the value of `--log` names. crun's `file:` is taken too, for a file whose name looks like a daemon's.
    fn named(value: &str) -> Result<Self, Failure> {
        if let Some(daemon) = LogDaemon::named(value)? {
            return Ok(Self::Daemon(daemon));
        }
        let path = value.strip_prefix("file:").unwrap_or(value);
        let open = OpenOptions::new().append(true).create(true).mode(0o644).open(path);
        open.map(Self::File).map_err(|error| io_failure(&format!("open {path}"), &error))
    }
}

impl Format {
    fn line(self, level: Level, message: &str, time: &str) -> String {
        let level = LEVELS.iter().find(|(_, known)| *known == level).map_or("info", |(name, _)| name);
        match self {
            Format::Text => format!("time=\"{time}\" level={level} msg={}\n", quoted(message)),
            Format::Json => {
                let message = serde_json::Value::from(message);
                format!("{{\"level\":\"{level}\",\"msg\":{message},\"time\":\"{time}\"}}\n")
            }
        }
    }
}

/// The message bare if it is one plain word, else between quotes with Go's escapes.
fn quoted(message: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._/@^+".contains(letter);
    if message.chars().all(plain) {
        return message.to_owned();
    }
    let mut text = String::from("\"");
    for letter in message.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control.is_ascii_control() => {
                let _ = write!(text, "\\x{:02x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

/// The time in seconds, UTC. (A crate for this one line would be the largest of our dependencies.)
fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years are counted from March, so that the leap day is a year's last: era, day of era, year of era, day of year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carry;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_rfc3339() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_704_067_199), "2023-12-31T23:59:59Z");
        assert_eq!(at(1_709_251_200), "2024-03-01T00:00:00Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn lines_have_the_shape_that_callers_decode() {
        assert_eq!(
            Format::Text.line(Level::Error, "riverrun: \"kill\" \n", "T"),
            "time=\"T\" level=error msg=\"riverrun: \\\"kill\\\" \\n\"\n"
        );
        assert_eq!(Format::Text.line(Level::Warn, "word", "T"), "time=\"T\" level=warning msg=word\n");
        assert_eq!(
            Format::Json.line(Level::Debug, "a \"b\"\u{1}", "T"),
            "{\"level\":\"debug\",\"msg\":\"a \\\"b\\\"\\u0001\",\"time\":\"T\"}\n"
        );
    }

    #[test]
    fn graver_lines_pass_the_level() {
        assert!(Level::Error < Level::Debug, "the comparison in `line` relies upon this order");
    }
}

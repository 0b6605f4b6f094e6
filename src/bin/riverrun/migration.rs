//! What a migration says of itself: lines for people, or lines of JSON for programs.
#![forbid(unsafe_code)]

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use riverrun::{Migrated, MigrationEvent, TransferTotals};
use serde_json::{Value, json};

use crate::failure::Failure;

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A person, on standard error.
    Text,
    /// A program, on standard output.
    Json,
    /// Nobody.
    None,
}

impl Progress {
    /// What was typed; people are those at a terminal.
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, Failure> {
        match text {
            None if io::stderr().is_terminal() => Ok(Self::Text),
            Some("text") => Ok(Self::Text),
            Some("json") => Ok(Self::Json),
            None | Some("none") => Ok(Self::None),
            Some(word) => Err(format!("invalid value \"{word}\" for flag -progress: parse error").into()),
        }
    }

    /// Tells of an event. A reader that is gone changes nothing about the migration.
    pub(crate) fn event(self, event: &MigrationEvent) {
        match self {
            Self::Text => self.say(text(event)),
            Self::Json => self.say(Some(json(event).to_string())),
            Self::None => {}
        }
    }

    /// Tells of the end.
    pub(crate) fn done(self, id: &str, migrated: &Migrated) {
        let Migrated { downtime, total, bytes, rounds, pid } = migrated;
        match self {
            Self::Text => self.say(Some(format!(
                "{id} runs there as process {pid}: downtime {}, total {}, {} on the wire, {rounds} rounds",
                time(*downtime),
                time(*total),
                size(*bytes),
            ))),
            Self::Json => self.say(Some(
                json!({"event": "done", "id": id, "pid": pid, "downtimeMs": millis(*downtime),
                    "totalMs": millis(*total), "bytes": bytes, "rounds": rounds})
                .to_string(),
            )),
            Self::None => {}
        }
    }

    fn say(self, line: Option<String>) {
        let Some(line) = line else { return };
        let _ = match self {
            Self::Json => writeln!(io::stdout().lock(), "{line}"),
            _ => writeln!(io::stderr().lock(), "{line}"),
        };
    }
}

fn text(event: &MigrationEvent) -> Option<String> {
    Some(match event {
        MigrationEvent::Accepted => "the other host accepts it".to_owned(),
        MigrationEvent::Files { sent, frozen } => {
            format!("{} {}", if *frozen { "files since then:" } else { "files:" }, totals(sent, None))
        }
        MigrationEvent::Round { number, memory, sent } => {
            format!("round {number}: {}", totals(sent, Some(*memory)))
        }
        MigrationEvent::NoRounds { reason } => format!("no rounds of memory: {reason}"),
        MigrationEvent::Frozen => "frozen".to_owned(),
        MigrationEvent::Images { memory, sent } => format!("the rest: {}", totals(sent, Some(*memory))),
        MigrationEvent::Restored => "restored there".to_owned(),
        MigrationEvent::Running { pid, downtime } => {
            format!(
                "runs there as process {pid}: downtime {}; the rest of its memory follows",
                time(*downtime)
            )
        }
        _ => return None,
    })
}

fn totals(sent: &TransferTotals, memory: Option<u64>) -> String {
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    let memory = memory.map(|memory| format!("{} dirty pages, ", memory / page)).unwrap_or_default();
    format!("{memory}{} files, {} in {}", sent.files, size(sent.bytes), time(sent.time))
}

fn json(event: &MigrationEvent) -> Value {
    let sent = |name: &str, sent: &TransferTotals| json!({"event": name, "files": sent.files, "bytes": sent.bytes, "ms": millis(sent.time)});
    match event {
        MigrationEvent::Accepted => json!({"event": "accepted"}),
        MigrationEvent::Files { sent: totals, frozen } => {
            let mut line = sent("files", totals);
            line["frozen"] = json!(frozen);
            line
        }
        MigrationEvent::Round { number, memory, sent: totals } => {
            let mut line = sent("round", totals);
            line["number"] = json!(number);
            line["memory"] = json!(memory);
            line
        }
        MigrationEvent::NoRounds { reason } => json!({"event": "noRounds", "reason": reason.to_string()}),
        MigrationEvent::Frozen => json!({"event": "frozen"}),
        MigrationEvent::Images { memory, sent: totals } => {
            let mut line = sent("images", totals);
            line["memory"] = json!(memory);
            line
        }
        MigrationEvent::Restored => json!({"event": "restored"}),
        MigrationEvent::Running { pid, downtime } => {
            json!({"event": "running", "pid": pid, "downtimeMs": millis(*downtime)})
        }
        _ => json!({"event": "other"}),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn time(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{} ms", millis(time))
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn size(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_programs_hear_the_same() {
        let sent = TransferTotals { files: 7, bytes: 3 << 20, time: Duration::from_millis(12) };
        let memory = 2 * u64::try_from(rustix::param::page_size()).unwrap();
        let round = MigrationEvent::Round { number: 2, memory, sent };
        assert_eq!(text(&round).unwrap(), "round 2: 2 dirty pages, 7 files, 3.0 MiB in 12 ms");
        let line = json(&round);
        assert_eq!(
            (&line["event"], &line["memory"], &line["ms"]),
            (&json!("round"), &json!(memory), &json!(12))
        );
        assert!(Progress::parse(Some("x")).is_err());
    }
}

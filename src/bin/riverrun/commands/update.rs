//! `riverrun update`: other limits for a container.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};

use riverrun::{Call, UpdateOptions};
use serde_json::{Map, Value};

use crate::args::Matches;
use crate::failure::{Failure, Outcome, io_failure};
use crate::session::Session;

/// How a value is typed.
#[derive(Clone, Copy)]
enum Typed {
    /// A number, 0 or more.
    Natural,
    /// A number.
    Integer,
    /// A number of bytes with a unit, or -1.
    Bytes,
    /// A list of CPUs or nodes.
    Text,
}

/// The options that are properties, each with its place in `linux.resources`.
const PROPERTIES: [(&str, &str, &str, Typed); 16] = [
    ("blkio-weight", "blockIO", "weight", Typed::Natural),
    ("cpu-burst", "cpu", "burst", Typed::Natural),
    ("cpu-idle", "cpu", "idle", Typed::Integer),
    ("cpu-period", "cpu", "period", Typed::Natural),
    ("cpu-quota", "cpu", "quota", Typed::Integer),
    ("cpu-rt-period", "cpu", "realtimePeriod", Typed::Natural),
    ("cpu-rt-runtime", "cpu", "realtimeRuntime", Typed::Integer),
    ("cpu-share", "cpu", "shares", Typed::Natural),
    ("cpuset-cpus", "cpu", "cpus", Typed::Text),
    ("cpuset-mems", "cpu", "mems", Typed::Text),
    ("memory", "memory", "limit", Typed::Bytes),
    ("memory-reservation", "memory", "reservation", Typed::Bytes),
    ("memory-swap", "memory", "swap", Typed::Bytes),
    ("pids-limit", "pids", "limit", Typed::Integer),
    ("kernel-memory", "memory", "kernel", Typed::Bytes),
    ("kernel-memory-tcp", "memory", "kernelTCP", Typed::Bytes),
];

/// Changes the limits. COMPAT(runc): a file takes the place of all options but those of resctrl.
pub(crate) fn update(session: &Session, matches: &Matches) -> Outcome {
    let container = session.context()?.open(matches.id())?;
    let resources = match matches.text("resources") {
        Some("-") => {
            let mut text = Vec::new();
            io::stdin().read_to_end(&mut text).map_err(|error| io_failure("read standard input", &error))?;
            text
        }
        Some(path) => {
            let mut text = Vec::new();
            let mut file = File::open(path).map_err(|error| io_failure(&format!("open {path}"), &error))?;
            file.read_to_end(&mut text).map_err(|error| io_failure(&format!("read {path}"), &error))?;
            text
        }
        None => typed(matches)?.to_string().into_bytes(),
    };
    if resources.is_empty() {
        return Err("read resources: nothing is there".into());
    }
    container.update(&UpdateOptions {
        resources,
        l3_cache_schema: matches.text("l3-cache-schema").map(str::to_owned),
        mem_bw_schema: matches.text("mem-bw-schema").map(str::to_owned),
        call: Call::default(),
    })?;
    Ok(0)
}

/// The options as a `linux.resources` object.
fn typed(matches: &Matches) -> Result<Value, Failure> {
    let mut resources = Map::new();
    for (option, group, property, typed) in PROPERTIES {
        let Some(text) = matches.text(option) else { continue };
        let value = read(text, typed)
            .map_err(|wrong| Failure::from(format!("invalid value for {option}: {wrong}")))?;
        let group = resources.entry(group).or_insert_with(|| Value::Object(Map::new()));
        group[property] = value;
    }
    Ok(Value::Object(resources))
}

fn read(text: &str, typed: Typed) -> Result<Value, String> {
    let number = |value: Option<Value>| value.ok_or_else(|| format!("{text:?}"));
    match typed {
        Typed::Natural => number(text.parse::<u64>().ok().map(Value::from)),
        Typed::Integer => number(text.parse::<i64>().ok().map(Value::from)),
        Typed::Bytes if text == "-1" => Ok(Value::from(-1)),
        Typed::Bytes => bytes(text).map(Value::from),
        Typed::Text => Ok(Value::from(text)),
    }
}

/// `512`, `64k`, `1.5 GiB`: units are powers of 1024. COMPAT(runc): the words for what is neither.
pub(crate) fn bytes(text: &str) -> Result<i64, String> {
    let size = || format!("invalid size: '{text}'");
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if number.is_empty() {
        return Err(size());
    }
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let letter = ["ib", "b", "i"].iter().find_map(|tail| unit.strip_suffix(tail)).unwrap_or(&unit);
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == letter);
    let factor = 1_i64 << (10 * power.ok_or_else(|| format!("invalid suffix: '{unit}'"))?);
    if let Ok(number) = number.parse::<i64>() {
        return number.checked_mul(factor).ok_or_else(size);
    }
    let number: f64 = number.parse().map_err(|_| size())?;
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a fraction of a unit")]
    let bytes = (number * factor as f64) as i64;
    if bytes < i64::MAX { Ok(bytes) } else { Err(size()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units_of_1024() {
        let pairs =
            [("0", 0), ("512", 512), ("64k", 65536), ("64KiB", 65536), ("2M", 2 << 20), ("2mb", 2 << 20)];
        let more = [("1.5g", 3 << 29), ("1 g", 1 << 30), ("1t", 1 << 40), ("1p", 1 << 50), ("7b", 7)];
        for (text, number) in pairs.into_iter().chain(more) {
            assert_eq!(bytes(text), Ok(number), "{text}");
        }
        for wrong in ["", "k", "-2", "1x", "1kk", "1.2.3", "99999999999999p", "1e3"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert_eq!(bytes("x").unwrap_err(), "invalid size: 'x'");
        assert_eq!(bytes("10x").unwrap_err(), "invalid suffix: 'x'");
    }
}

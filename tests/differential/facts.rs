//! The report of one run: a flat table from a fact's name to its value, the same for every runtime.
//!
//! The probe prints most of it; this file reads that and puts what only the kernel numbers (namespaces) and what only
//! the test named (directories, ids) into neutral words.
#![forbid(unsafe_code)]

use super::bundle::Bundle;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

/// From a fact's name to its value.
pub(crate) type Facts = BTreeMap<String, String>;

/// Reads the probe's report out of what a container printed; terminals put carriage returns in it.
///
/// The error is what was printed in place of a report.
pub(crate) fn read_report(printed: &str, bundle: &Bundle) -> Result<Facts, String> {
    let text = printed.replace('\r', "");
    let document = text.find("{\n").map_or("", |start| &text[start..]);
    let members = match serde_json::from_str(document) {
        Ok(Value::Object(members)) => members,
        _ => return Err(text),
    };
    let facts = members.into_iter().map(|(name, value)| {
        let value = bundle.neutral(value.as_str().unwrap_or_default());
        let value = if name.starts_with("ns.") { whose(&name, &value, &bundle.company) } else { value };
        (bundle.neutral(&name), value)
    });
    Ok(facts.collect())
}

/// Whether a namespace is the one that the test itself is in, or the companion's.
fn whose(name: &str, link: &str, companion: &str) -> String {
    let kind = &name["ns.".len()..];
    let is_of = |process: &str| {
        let own = fs::read_link(format!("/proc/{process}/ns/{kind}"));
        own.is_ok_and(|own| own.as_os_str() == link)
    };
    let words = match link {
        "" => "unknown",
        _ if is_of("self") => "host",
        _ if !companion.is_empty() && is_of(companion) => "joined",
        _ => "own",
    };
    words.to_owned()
}

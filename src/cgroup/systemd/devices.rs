//! What systemd is told of device rules: `DevicePolicy` and `DeviceAllow` (systemd.resource-control(5)). Pure.
//!
//! systemd writes its own idea of devices again at every daemon-reload. On cgroup v2 that is one more program beside ours,
//! and both must allow: it must never be narrower than the rules. On v1 it is the list itself: it must never be wider.
//! `DeviceAllow` cannot say "everything but these"; what that comes to differs by layout for the same reason.
#![forbid(unsafe_code)]

use super::unit::Property;
use super::value::Value;
use crate::cgroup::devices::list::List;
use crate::cgroup::devices::rules::{ALL, Class, Nodes, Rule, letters, rules};
use crate::error::Result;

/// systemd takes numbers, also of devices that it does not know, since this version.
const NUMBERS: u32 = 240;
/// The only group of devices, by the name of /proc/devices, that every container has. COMPAT(runc): by that name.
const PTS: (u32, &str) = (136, "pts");

/// The properties for these rules, for a systemd of this version. The first takes back what was said before.
pub(crate) fn of(rules: &[Rule], v1: bool, version: u32) -> Result<Vec<Property>> {
    let list = match List::of(rules) {
        // Rules that no list can express are a matter of our program alone, which v1 does not have.
        Err(error) if v1 => return Err(error),
        Err(_) => return Ok(properties("auto", Vec::new())),
        Ok(list) => list,
    };
    if list.allows_by_default() && (!v1 || list.exceptions().is_empty()) {
        return Ok(properties("auto", Vec::new()));
    }
    // v1, and everything but some: what is allowed in any case.
    let list = if list.allows_by_default() { List::of(&self::rules(&[])?)? } else { list };
    let mut entries = Vec::new();
    for (nodes, access) in list.exceptions() {
        match path(*nodes, version) {
            Some(path) => entries.push((path, letters(*access))),
            // Too much is then no harm: the program beside it decides.
            None if !v1 => entries.push((format!("{}-*", kind(nodes.class)), letters(ALL))),
            None => {}
        }
    }
    Ok(properties("strict", entries))
}

fn properties(policy: &str, entries: Vec<(String, String)>) -> Vec<Property> {
    let array = |entries: Vec<Value>| ("DeviceAllow".to_owned(), Value::Array("(ss)".into(), entries));
    let mut properties = vec![("DevicePolicy".to_owned(), Value::str(policy)), array(Vec::new())];
    if !entries.is_empty() {
        let pair = |(path, letters)| Value::Struct(vec![Value::Str(path), Value::Str(letters)]);
        properties.push(array(entries.into_iter().map(pair).collect()));
    }
    properties
}

fn kind(class: Class) -> &'static str {
    match class {
        Class::Block => "block",
        Class::Char => "char",
    }
}

/// How systemd names them, if it can.
fn path(nodes: Nodes, version: u32) -> Option<String> {
    let kind = kind(nodes.class);
    match (nodes.major, nodes.minor) {
        (None, None) => Some(format!("{kind}-*")),
        (Some(major), Some(minor)) => Some(format!("/dev/{kind}/{major}:{minor}")),
        (Some(major), None) if (nodes.class, major) == (Class::Char, PTS.0) => {
            Some(format!("{kind}-{}", PTS.1))
        }
        (Some(major), None) if version >= NUMBERS => Some(format!("{kind}-{major}")),
        (Some(_), None) | (None, Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxDeviceCgroup;
    use serde_json::json;

    fn told(configured: &serde_json::Value, v1: bool, version: u32) -> Vec<String> {
        let configured: Vec<LinuxDeviceCgroup> = serde_json::from_value(configured.clone()).unwrap();
        let told = of(&rules(&configured).unwrap(), v1, version).unwrap();
        told.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    const DEFAULTS: &str = "DeviceAllow=[('char-*', 'm'), ('block-*', 'm'), ('/dev/char/1:3', 'rwm'), ('/dev/char/1:8', 'rwm'), \
        ('/dev/char/1:7', 'rwm'), ('/dev/char/5:0', 'rwm'), ('/dev/char/1:5', 'rwm'), ('/dev/char/1:9', 'rwm'), \
        ('char-pts', 'rwm'), ('/dev/char/5:2', 'rwm'), ('/dev/char/10:200', 'rwm')";
    const STRICT: &str = "DevicePolicy='strict'";
    const NONE: &str = "DeviceAllow=@a(ss) []";

    #[test]
    fn what_is_allowed_is_told() {
        let rules = json!([
            {"allow": false},
            {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
            {"allow": true, "type": "b", "major": 8, "access": "r"},
        ]);
        let entries = DEFAULTS.replace("[", "[('/dev/char/10:229', 'rw'), ('block-8', 'r'), ");
        for v1 in [false, true] {
            assert_eq!(told(&rules, v1, 252), [STRICT, NONE, &format!("{entries}]")]);
        }
        let old = told(&rules, true, 239)[2].clone();
        assert!(old.contains("'char-pts'") && !old.contains("'block-8'"), "{old}");
    }

    #[test]
    fn nothing_is_cut_on_v2_and_nothing_is_given_on_v1() {
        let everything = json!([{"allow": true}]);
        let but_one = json!([{"allow": true}, {"allow": false, "type": "c", "major": 10, "minor": 229}]);
        let hole = json!([{"allow": false}, {"allow": true, "type": "c", "minor": 7, "access": "r"}]);
        for v1 in [false, true] {
            assert_eq!(told(&everything, v1, 252), ["DevicePolicy='auto'", NONE]);
        }
        assert_eq!(told(&but_one, false, 252), ["DevicePolicy='auto'", NONE]);
        assert_eq!(told(&but_one, true, 252), [STRICT, NONE, &format!("{DEFAULTS}]")]);
        assert!(told(&hole, false, 252)[2].contains("('char-*', 'rwm')"));
        assert_eq!(told(&hole, true, 252), [STRICT, NONE, &format!("{DEFAULTS}]")]);
    }
}

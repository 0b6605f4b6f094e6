//! From `linux.resources.devices` to rules in the order in which they count: the last that matches decides. Pure.
#![forbid(unsafe_code)]

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

pub(crate) const MKNOD: u8 = 1;
pub(crate) const READ: u8 = 2;
pub(crate) const WRITE: u8 = 4;
pub(crate) const ALL: u8 = MKNOD | READ | WRITE;

/// Block or character: the kernel's numbers (`BPF_DEVCG_DEV_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Block = 1,
    Char = 2,
}

/// Which devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nodes {
    pub(crate) class: Class,
    /// `None`: every one.
    pub(crate) major: Option<u32>,
    pub(crate) minor: Option<u32>,
}

/// One rule; in a plan it reads `allow c 1:3 rwm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) enum Rule {
    /// For all devices and all access: nothing before it counts.
    Everything { allow: bool },
    /// For some.
    Some { allow: bool, nodes: Nodes, access: u8 },
}

/// What a container may use whatever its configuration says: its default devices, ptys, and making nodes that it then
/// may not open.
const ALWAYS: [(Class, Option<u32>, Option<u32>, u8); 11] = [
    (Class::Char, None, None, MKNOD),
    (Class::Block, None, None, MKNOD),
    (Class::Char, Some(1), Some(3), ALL),
    (Class::Char, Some(1), Some(8), ALL),
    (Class::Char, Some(1), Some(7), ALL),
    (Class::Char, Some(5), Some(0), ALL),
    (Class::Char, Some(1), Some(5), ALL),
    (Class::Char, Some(1), Some(9), ALL),
    (Class::Char, Some(136), None, ALL),
    (Class::Char, Some(5), Some(2), ALL),
    (Class::Char, Some(10), Some(200), ALL),
];

/// The rules of a container, with those that always hold at the end.
pub(crate) fn rules(configured: &[LinuxDeviceCgroup]) -> Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for (index, rule) in configured.iter().enumerate() {
        read(rule, &mut rules).map_err(|cause| {
            Error::new(Kind::InvalidSpec, format!("linux.resources.devices[{index}]: {cause}"))
        })?;
    }
    rules.extend(ALWAYS.iter().map(|(class, major, minor, access)| Rule::Some {
        allow: true,
        nodes: Nodes { class: *class, major: *major, minor: *minor },
        access: *access,
    }));
    Ok(rules)
}

fn read(rule: &LinuxDeviceCgroup, rules: &mut Vec<Rule>) -> std::result::Result<(), String> {
    let number = |name: &str, value: Option<i64>| match value {
        None | Some(-1) => Ok(None),
        Some(value) => u32::try_from(value).map(Some).map_err(|_| format!("{name} {value} is out of range")),
    };
    let (major, minor) = (number("major", rule.major())?, number("minor", rule.minor())?);
    let access = access(rule.access().as_deref().unwrap_or_default())?;
    let classes: &[Class] = match rule.typ().unwrap_or(LinuxDeviceType::A) {
        LinuxDeviceType::C | LinuxDeviceType::U => &[Class::Char],
        LinuxDeviceType::B => &[Class::Block],
        LinuxDeviceType::A => &[Class::Char, Class::Block],
        LinuxDeviceType::P => return Err(String::from("type p: a fifo is no device")),
    };
    let allow = rule.allow();
    if classes.len() == 2 && major.is_none() && minor.is_none() && access == ALL {
        rules.push(Rule::Everything { allow });
        return Ok(());
    }
    rules.extend(classes.iter().map(|class| Rule::Some {
        allow,
        nodes: Nodes { class: *class, major, minor },
        access,
    }));
    Ok(())
}

/// None at all is all of it.
fn access(text: &str) -> std::result::Result<u8, String> {
    let mut access = 0;
    for letter in text.chars() {
        access |= match letter {
            'm' => MKNOD,
            'r' => READ,
            'w' => WRITE,
            _ => return Err(format!("access {text:?} has other letters than r, w and m")),
        };
    }
    Ok(if access == 0 { ALL } else { access })
}

/// `c 1:3 rwm`, as cgroup v1 reads and writes it.
pub(crate) fn line(nodes: Nodes, access: u8) -> String {
    let class = if nodes.class == Class::Char { 'c' } else { 'b' };
    let number = |number: Option<u32>| number.map_or_else(|| String::from("*"), |number| number.to_string());
    format!("{class} {}:{} {}", number(nodes.major), number(nodes.minor), letters(access))
}

/// `rw`, as they are written everywhere.
pub(crate) fn letters(access: u8) -> String {
    LETTERS.iter().filter(|(_, bit)| access & bit != 0).map(|(letter, _)| *letter).collect()
}

const LETTERS: [(char, u8); 3] = [('r', READ), ('w', WRITE), ('m', MKNOD)];

/// Reads such a line; `Some(None)`: everything.
pub(crate) fn read_line(text: &str) -> Option<Option<(Nodes, u8)>> {
    let mut words = text.split([' ', ':']);
    let class = match words.next()? {
        "a" => return Some(None),
        "b" => Class::Block,
        "c" => Class::Char,
        _ => return None,
    };
    let number = |word: &str| if word == "*" { Some(None) } else { word.parse().ok().map(Some) };
    let (major, minor) = (number(words.next()?)?, number(words.next()?)?);
    let letters = words.next()?;
    let access = LETTERS.iter().filter(|(letter, _)| letters.contains(*letter)).map(|(_, bit)| bit).sum();
    Some(Some((Nodes { class, major, minor }, access)))
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        let verb = |allow| if allow { "allow" } else { "deny" };
        match rule {
            Rule::Everything { allow } => format!("{} a", verb(allow)),
            Rule::Some { allow, nodes, access } => format!("{} {}", verb(allow), line(nodes, access)),
        }
    }
}

impl TryFrom<String> for Rule {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        let (verb, rest) = text.split_once(' ').unwrap_or_default();
        let allow = verb == "allow";
        match read_line(rest) {
            Some(None) => Ok(Rule::Everything { allow }),
            Some(Some((nodes, access))) => Ok(Rule::Some { allow, nodes, access }),
            None => Err(text),
        }
    }
}

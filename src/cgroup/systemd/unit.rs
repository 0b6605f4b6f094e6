//! The unit of a container: its name, its slice, where systemd puts it, and the properties that annotations give it. Pure.
//!
//! `linux.cgroupsPath` is `SLICE:PREFIX:NAME` here, as runc and its callers have it.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::parse;
use super::value::Value;
use crate::error::{Error, Kind, Result};

/// A property of a unit: its name and its value.
pub(crate) type Property = (String, Value);

/// What annotations that are properties begin with.
const ANNOTATION: &str = "org.systemd.property.";

/// What a plan has to know of systemd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// It is the user's own.
    pub(crate) user: bool,
    pub(crate) version: u32,
    /// Its own cgroup, below the mount point: that of the machine's is the root.
    pub(crate) cgroup: PathBuf,
}

/// Which unit, of which systemd. `state.json` keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UnitName {
    /// `runc-web.scope`.
    pub(crate) name: String,
    /// The user's own systemd makes it.
    pub(crate) user: bool,
}

impl UnitName {
    pub(crate) fn is_slice(&self) -> bool {
        self.name.ends_with(".slice")
    }
}

/// A unit that systemd makes for a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unit {
    #[serde(flatten)]
    pub(crate) name: UnitName,
    /// In this order; the process comes to them when there is one.
    pub(crate) properties: Vec<Property>,
}

/// Where it is: its slice and its name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) slice: String,
    /// What the container is called in it.
    container: String,
}

impl Place {
    /// From `linux.cgroupsPath`; without one, `runc-ID.scope` in the default slice.
    pub(crate) fn new(configured: Option<&Path>, id: &str, user: bool) -> Result<Self> {
        let default = if user { "user.slice" } else { "system.slice" };
        let text = configured.map(Path::to_string_lossy);
        let (slice, prefix, name) = match text.as_deref().filter(|path| !path.is_empty()) {
            None => ("", "runc", id),
            Some(path) => match path.split(':').collect::<Vec<_>>()[..] {
                [slice, prefix, name] => (slice, prefix, name),
                _ => {
                    return Err(bad(format!(
                        "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {path:?} instead"
                    )));
                }
            },
        };
        let container = name.to_owned();
        let name = if name.ends_with(".slice") { name.to_owned() } else { format!("{prefix}-{name}.scope") };
        valid_name(&name)?;
        let slice = if slice.is_empty() { default } else { slice }.to_owned();
        expand_slice(&slice)?;
        Ok(Self { name, slice, container })
    }

    pub(crate) fn is_slice(&self) -> bool {
        self.name.ends_with(".slice")
    }

    /// Below the cgroup of systemd itself.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        // The name of a slice says where it is; what it is Wanted by does not.
        if self.is_slice() {
            expand_slice(&self.name)
        } else {
            Ok(expand_slice(&self.slice)?.join(&self.name))
        }
    }
}

fn bad(message: String) -> Error {
    Error::new(Kind::InvalidSpec, message).during("linux.cgroupsPath")
}

/// What systemd takes (systemd.unit(5)), asked before anything is made.
fn valid_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if name.len() < 256 && name.chars().all(allowed) && !stem.is_empty() && !stem.ends_with('@') {
        Ok(())
    } else {
        Err(bad(format!("invalid unit name: {name}")))
    }
}

/// `a-b.slice` is `a.slice/a-b.slice`; `-.slice` is the root.
fn expand_slice(slice: &str) -> Result<PathBuf> {
    let invalid = || bad(format!("invalid slice name: {slice}"));
    let stem = slice.strip_suffix(".slice").filter(|stem| !stem.is_empty() && !stem.contains('/'));
    let stem = stem.ok_or_else(invalid)?;
    let mut path = PathBuf::new();
    if stem == "-" {
        return Ok(path);
    }
    valid_name(slice).map_err(|_| invalid())?;
    let mut prefix = String::new();
    for component in stem.split('-') {
        if component.is_empty() {
            return Err(invalid());
        }
        path.push(format!("{prefix}{component}.slice"));
        prefix = format!("{prefix}{component}-");
    }
    Ok(path)
}

/// What every unit of a container has: its place, and all the accounting that limits and statistics need.
pub(crate) fn basics(place: &Place, v1: bool) -> Vec<Property> {
    let property = |name: &str, value| (name.to_owned(), value);
    let description = format!("libcontainer container {}", place.container);
    let mut properties = vec![property("Description", Value::str(description))];
    if place.is_slice() {
        properties.push(property("Wants", Value::strings([place.slice.as_str()])));
    } else {
        properties.push(property("Slice", Value::str(place.slice.as_str())));
        properties.push(property("Delegate", Value::Bool(true)));
    }
    let io = if v1 { "BlockIOAccounting" } else { "IOAccounting" };
    for name in ["MemoryAccounting", "CPUAccounting", io, "TasksAccounting"] {
        properties.push(property(name, Value::Bool(true)));
    }
    properties.push(property("DefaultDependencies", Value::Bool(false)));
    properties
}

/// `org.systemd.property.NAME: VALUE`, in the order of their names.
pub(crate) fn annotated(annotations: Option<&HashMap<String, String>>) -> Result<Vec<Property>> {
    let mut properties = Vec::new();
    for (key, text) in annotations.into_iter().flatten() {
        let Some(name) = key.strip_prefix(ANNOTATION) else { continue };
        let error = |cause: &str| Error::new(Kind::InvalidSpec, cause).during(format!("annotation {key}"));
        if name.len() < 3 {
            return Err(error("name incorrect: too short"));
        }
        if !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(error("name incorrect: contains non-alphabetic character"));
        }
        let value =
            parse::value(text).map_err(|cause| error(&format!("{text}: value parse error: {cause}")))?;
        properties.push(in_microseconds(name, value).ok_or_else(|| error(&format!("{text}: not a number")))?);
    }
    properties.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(properties)
}

/// On the bus, `TimeoutStopSec` is `TimeoutStopUSec`. `None`: it is no time.
fn in_microseconds(name: &str, value: Value) -> Option<Property> {
    const MICROSECONDS: u32 = 1_000_000;
    let stem = name.strip_suffix("Sec").filter(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase()));
    let Some(stem) = stem else { return Some((name.to_owned(), value)) };
    let micros = match (&value, value.number()) {
        (_, Some(seconds)) => seconds.checked_mul(MICROSECONDS.into())?.try_into().ok()?,
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
        (Value::Double(seconds), _) if *seconds >= 0.0 => (seconds * f64::from(MICROSECONDS)) as u64,
        _ => return None,
    };
    Some((format!("{stem}USec"), Value::U64(micros)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> Result<(String, PathBuf)> {
        let place = Place::new(Some(Path::new(path)), "web", false)?;
        Ok((place.name.clone(), place.path()?))
    }

    #[test]
    fn a_cgroups_path_names_slice_prefix_and_scope() {
        for (path, name, below) in [
            ("", "runc-web.scope", "system.slice/runc-web.scope"),
            ("::c", "-c.scope", "system.slice/-c.scope"),
            ("machine.slice:libpod:1", "libpod-1.scope", "machine.slice/libpod-1.scope"),
            ("a-b-c.slice:p:n", "p-n.scope", "a.slice/a-b.slice/a-b-c.slice/p-n.scope"),
            ("-.slice:p:n", "p-n.scope", "p-n.scope"),
            ("system.slice:p:own.slice", "own.slice", "own.slice"),
            ("system.slice:p:a-b.slice", "a-b.slice", "a.slice/a-b.slice"),
        ] {
            assert_eq!(place(path).unwrap(), (name.to_owned(), Path::new(below).to_owned()), "{path}");
        }
        let user = Place::new(None, "web", true).unwrap();
        assert_eq!(user.path().unwrap(), Path::new("user.slice/runc-web.scope"));
    }

    #[test]
    fn a_cgroups_path_never_leaves_the_tree_of_units() {
        for path in [
            "/system.slice/x",
            "a:b",
            "a:b:c:d",
            "../x.slice:p:n",
            "a/b.slice:p:n",
            ".slice:p:n",
            "x:p:n",
            "a--b.slice:p:n",
            "-a.slice:p:n",
            "system.slice:p:../n",
            "system.slice:p:n/m",
            "system.slice:p:\n",
            "system.slice:p:.slice",
            "system.slice:p:n m",
        ] {
            let error = place(path).unwrap_err();
            assert!(error.to_string().starts_with("linux.cgroupsPath: "), "{path}: {error}");
        }
    }

    fn annotation(key: &str, value: &str) -> Result<Vec<Property>> {
        annotated(Some(&HashMap::from([(key.to_owned(), value.to_owned())])))
    }

    #[test]
    fn annotations_become_properties_and_seconds_microseconds() {
        for (key, value, name, expected) in [
            ("TimeoutStopUSec", "uint64 123456789", "TimeoutStopUSec", Value::U64(123_456_789)),
            ("TimeoutStopSec", "1.5", "TimeoutStopUSec", Value::U64(1_500_000)),
            ("TimeoutStopSec", "byte 2", "TimeoutStopUSec", Value::U64(2_000_000)),
            ("CollectMode", "'inactive-or-failed'", "CollectMode", Value::str("inactive-or-failed")),
            ("After", "['x.service']", "After", Value::strings(["x.service"])),
            ("XSec", "1", "XSec", Value::I32(1)),
        ] {
            let found = annotation(&format!("{ANNOTATION}{key}"), value).unwrap();
            assert_eq!(found, [(name.to_owned(), expected)], "{key}");
        }
        assert_eq!(annotation("org.other", "[[").unwrap(), []);
    }

    #[test]
    fn annotations_that_are_no_properties_are_told() {
        for (key, value) in [
            ("ab", "1"),
            ("a.b.c", "1"),
            ("ab1", "1"),
            ("After", "x"),
            ("TimeoutStopSec", "'1'"),
            ("TimeoutStopSec", "-1"),
        ] {
            let error = annotation(&format!("{ANNOTATION}{key}"), value).unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}

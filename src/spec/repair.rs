//! Documents that the specification allows and the types of `oci-spec` do not: read once more, with a few values in the
//! words that those types know.
//!
//! Not on the way of a document that they take as it is: this begins where they have refused one.
#![forbid(unsafe_code)]

use std::fmt;

use oci_spec::runtime::Capability;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What the specification calls it, and what `oci-spec` 0.10 does.
const SCHEDULER_FLAGS: [(&str, &str); 2] = [
    ("SCHED_FLAG_RESET_ON_FORK", "SCHED_RESET_ON_FORK"),
    ("SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_D_L_OVERRUN"),
];

const SETS: [&str; 5] = ["bounding", "effective", "inheritable", "permitted", "ambient"];

/// The document with its process, which is at `process` or is all of it, in other words; and what was left out.
/// `None` if there is nothing to be done.
pub(super) fn repair(bytes: &[u8], process: Option<&str>) -> Option<(Vec<u8>, Vec<String>)> {
    let Unique(mut document) = serde_json::from_slice(bytes).ok()?;
    let before = document.clone();
    let mut warnings = Vec::new();
    let object = match process {
        Some(name) => document.get_mut(name)?,
        None => &mut document,
    };
    user(object);
    unknown_capabilities(object, &mut warnings);
    scheduler_flags(object);
    affinity(object);
    (document != before).then(|| (document.to_string().into_bytes(), warnings))
}

/// COMPAT(runc): a user that is not named, or only by half, is 0.
fn user(process: &mut Value) {
    let Some(process) = process.as_object_mut() else { return };
    let user = process.entry("user").or_insert(Value::Null);
    if user.is_null() {
        *user = Value::Object(Map::new());
    }
    let Some(user) = user.as_object_mut() else { return };
    for id in ["uid", "gid"] {
        user.entry(id).or_insert_with(|| 0.into());
    }
}

/// config.md#linux-process: what the kernel has no capability for MUST be a warning, and SHOULD NOT be an error.
fn unknown_capabilities(process: &mut Value, warnings: &mut Vec<String>) {
    for set in SETS {
        let list = process.pointer_mut(&format!("/capabilities/{set}")).and_then(Value::as_array_mut);
        let Some(list) = list else { continue };
        list.retain(|name| {
            let unknown = name.is_string() && serde_json::from_value::<Capability>(name.clone()).is_err();
            if unknown {
                warnings.push(format!("process.capabilities.{set}: {name} is unknown: left out"));
            }
            !unknown
        });
    }
}

fn scheduler_flags(process: &mut Value) {
    let flags = process.pointer_mut("/scheduler/flags").and_then(Value::as_array_mut);
    for flag in flags.into_iter().flatten() {
        if let Some((_, other)) = SCHEDULER_FLAGS.iter().find(|(name, _)| *flag == *name) {
            *flag = Value::from(*other);
        }
    }
}

/// A list of nothing is no list, and spaces are nothing.
fn affinity(process: &mut Value) {
    let Some(object) = process.pointer_mut("/execCPUAffinity").and_then(Value::as_object_mut) else { return };
    for name in ["initial", "final"] {
        let Some(list) = object.get(name).and_then(Value::as_str) else { continue };
        let elements: Vec<&str> = list.split(',').map(str::trim).filter(|e| !e.is_empty()).collect();
        if elements.is_empty() {
            object.remove(name);
        } else {
            object.insert(name.to_owned(), elements.join(",").into());
        }
    }
}

/// A value in which no object has a key twice: the types refuse that, and so must the second reading.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Unique(Value::Null))
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self, E> {
        Ok(Self(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self, E> {
        Ok(Self(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self, E> {
        Ok(Self(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self, E> {
        Ok(Self(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self, E> {
        Ok(Self(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self, A::Error> {
        let mut list = Vec::new();
        while let Some(Self(value)) = access.next_element()? {
            list.push(value);
        }
        Ok(Self(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self, A::Error> {
        let mut object = Map::new();
        while let Some((key, Self(value))) = access.next_entry::<String, Self>()? {
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("duplicate field"));
            }
        }
        Ok(Self(object.into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn repaired(process: &Value) -> Option<(Value, Vec<String>)> {
        let mut process = process.clone();
        if let Some(process) = process.as_object_mut() {
            process.entry("user").or_insert_with(|| json!({"uid": 1, "gid": 2}));
        }
        let (bytes, warnings) = repair(process.to_string().as_bytes(), None)?;
        Some((serde_json::from_slice(&bytes).unwrap(), warnings))
    }

    #[test]
    fn unknown_capabilities_leave_with_a_warning_and_other_mistakes_stay() {
        let lists = json!({"capabilities": {"bounding": ["CAP_KILL", "CAP_TIME_TRAVEL"], "ambient": [1]}});
        let (process, warnings) = repaired(&lists).unwrap();
        assert_eq!(process["capabilities"]["bounding"], json!(["CAP_KILL"]));
        assert_eq!(process["capabilities"]["ambient"], json!([1]));
        assert_eq!(warnings, ["process.capabilities.bounding: \"CAP_TIME_TRAVEL\" is unknown: left out"]);
    }

    #[test]
    fn a_document_without_such_words_is_left_alone() {
        assert_eq!(repaired(&json!({"capabilities": {"bounding": ["CAP_KILL"]}, "cwd": 7})), None);
        assert_eq!(repaired(&json!([])), None);
        assert_eq!(repair(br#"{"args":[],"args":[],"execCPUAffinity":{"initial":""}}"#, None), None);
    }

    #[test]
    fn flags_of_the_scheduler_are_those_of_the_specification() {
        for (name, other) in SCHEDULER_FLAGS {
            let (process, _) = repaired(&json!({"scheduler": {"flags": [name]}})).unwrap();
            assert_eq!(process["scheduler"]["flags"], json!([other]));
        }
    }

    #[test]
    fn lists_of_cpus_may_have_spaces_and_be_empty() {
        let (process, _) =
            repaired(&json!({"execCPUAffinity": {"initial": " 0 ,, 2-3", "final": ""}})).unwrap();
        assert_eq!(process["execCPUAffinity"], json!({"initial": "0,2-3"}));
    }

    #[test]
    fn a_user_that_is_not_named_is_root() {
        let root = json!({"uid": 0, "gid": 0});
        for process in [json!({}), json!({"user": null}), json!({"user": {}}), json!({"user": {"uid": 0}})] {
            let (bytes, _) = repair(process.to_string().as_bytes(), None).unwrap();
            let repaired: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(repaired["user"], root, "{process}");
        }
        let (process, _) = repaired(&json!({"user": {"uid": 7}})).unwrap();
        assert_eq!(process["user"], json!({"uid": 7, "gid": 0}));
        assert_eq!(repaired(&json!({"user": "root"})), None);
    }
}

//! An update: its values over those that were, and the lines that it takes. Pure.
//!
//! What an update does not name keeps its value, also one that somebody else wrote to the file meanwhile: only the
//! properties that it names are written.
#![forbid(unsafe_code)]

use oci_spec::runtime::LinuxResources;
use serde_json::{Map, Value};

use super::table::{Home, Row, TABLE, v2_name};
use super::{Available, Write, check, lines, unified};
use crate::error::{Error, Kind, Result};

/// What an update comes to.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    /// All values that hold from now on.
    pub(crate) merged: LinuxResources,
    pub(crate) writes: Vec<Write>,
    pub(crate) warnings: Vec<String>,
}

/// Where 0 means "not set", so that an update with it keeps what was.
const ZERO_IS_UNSET: [&str; 11] = [
    "/memory/limit",
    "/memory/swap",
    "/memory/reservation",
    "/cpu/shares",
    "/cpu/quota",
    "/cpu/period",
    "/cpu/realtimeRuntime",
    "/cpu/realtimePeriod",
    "/pids/limit",
    "/blockIO/weight",
    "/blockIO/leafWeight",
];

/// Lists whose entries are known by these keys: an entry takes the place of its like.
const KEYED: [(&str, &[&str]); 7] = [
    ("weightDevice", &["major", "minor"]),
    ("throttleReadBpsDevice", &["major", "minor"]),
    ("throttleWriteBpsDevice", &["major", "minor"]),
    ("throttleReadIOPSDevice", &["major", "minor"]),
    ("throttleWriteIOPSDevice", &["major", "minor"]),
    ("hugepageLimits", &["pageSize"]),
    ("priorities", &["name"]),
];

/// Decides.
pub(crate) fn update(
    saved: &LinuxResources,
    change: &LinuxResources,
    available: &Available<'_>,
) -> Result<Update> {
    let merged = merge(saved, change, !available.on_v1("memory"))?;
    // The whole has to make sense: a swap limit may need the memory limit that was.
    let mut warnings = check(&merged, available)?;
    let named = |row: &Row| !lines(row.property, row.v1, change).is_empty() || named_on_v2(row, change);
    warnings.retain(|warning| TABLE.iter().any(|row| named(row) && warning.contains(row.property)));
    let mut writes = Vec::new();
    for row in TABLE {
        if available.on_v1(row.controller) {
            if !lines(row.property, row.v1, change).is_empty() {
                writes.extend(lines(row.property, row.v1, &merged));
            }
        } else if available.on_v2(v2_name(row.controller)) && named(row) {
            writes.extend(lines(row.property, row.v2, &merged));
        }
    }
    writes.extend(unified(change));
    Ok(Update { merged, writes, warnings })
}

/// The line of `cpu.max` is of two properties.
fn named_on_v2(row: &Row, change: &LinuxResources) -> bool {
    matches!(row.v2, Home::File(..)) && !lines(row.property, row.v2, change).is_empty()
}

fn merge(saved: &LinuxResources, change: &LinuxResources, v2: bool) -> Result<LinuxResources> {
    let broken =
        |error: serde_json::Error| Error::new(Kind::Internal, error.to_string()).during("merge resources");
    let mut base = serde_json::to_value(saved).map_err(broken)?;
    let mut over = serde_json::to_value(change).map_err(broken)?;
    for pointer in ZERO_IS_UNSET {
        if over.pointer(pointer).and_then(Value::as_i64) == Some(0) {
            remove(&mut over, pointer);
        }
    }
    let given = |pointer: &str| over.pointer(pointer).and_then(Value::as_i64);
    // An idle group has no shares.
    if given("/cpu/idle").is_some() && given("/cpu/shares").is_none() {
        remove(&mut base, "/cpu/shares");
    }
    if let (Some(limit), None) = (given("/memory/limit"), given("/memory/swap")) {
        let old = |pointer: &str| base.pointer(pointer).and_then(Value::as_i64);
        match (old("/memory/limit"), old("/memory/swap")) {
            // Unlimited is both.
            _ if limit == -1 => remove(&mut base, "/memory/swap"),
            // v2 keeps swap apart from memory: it stays what it is, and so their sum does not.
            (Some(old), Some(both)) if v2 && old > 0 && both >= old => {
                base["memory"]["swap"] = Value::from(limit.saturating_add(both - old));
            }
            _ => {}
        }
    }
    put_over(&mut base, over);
    serde_json::from_value(base).map_err(broken)
}

fn remove(document: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    if let Some(object) = document.pointer_mut(parent).and_then(Value::as_object_mut) {
        object.remove(key);
    }
}

fn put_over(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                put_key(base, key, value);
            }
        }
        (_, Value::Null) => {}
        (base, over) => *base = over,
    }
}

fn put_key(base: &mut Map<String, Value>, key: String, value: Value) {
    let keys = KEYED.iter().find(|(name, _)| *name == key).map(|(_, keys)| *keys);
    let there = base.entry(key).or_insert(Value::Null);
    match (keys, there, value) {
        (Some(keys), Value::Array(there), Value::Array(entries)) => {
            for entry in entries {
                match there.iter_mut().find(|old| keys.iter().all(|key| old[*key] == entry[*key])) {
                    Some(old) => put_over(old, entry),
                    None => there.push(entry),
                }
            }
        }
        (_, there, value) => put_over(there, value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const V1: [&str; 5] = ["memory", "cpu", "pids", "blkio", "hugetlb"];
    const V2: [&str; 5] = ["memory", "cpu", "pids", "io", "hugetlb"];

    fn decide(saved: Value, change: Value, v2: bool) -> Result<(Value, Vec<String>)> {
        let read = |value| serde_json::from_value::<LinuxResources>(value).unwrap();
        let (v1, v2) = if v2 { (Vec::new(), Some(V2.to_vec())) } else { (V1.to_vec(), None) };
        let update = update(&read(saved), &read(change), &Available { v1, v2 })?;
        let texts = update.writes.into_iter().map(|write| format!("{} {}", write.file, write.value));
        Ok((serde_json::to_value(update.merged).unwrap(), texts.collect()))
    }

    #[test]
    fn what_is_not_named_keeps_its_value_and_is_not_written() {
        let saved = json!({"memory": {"limit": 100}, "cpu": {"shares": 5}, "pids": {"limit": 7}});
        for v2 in [false, true] {
            let (merged, writes) = decide(saved.clone(), json!({"pids": {"limit": 9}}), v2).unwrap();
            assert_eq!(writes, ["pids.max 9"]);
            assert_eq!((&merged["memory"]["limit"], &merged["pids"]["limit"]), (&json!(100), &json!(9)));
            let (merged, writes) =
                decide(saved.clone(), json!({"cpu": {"shares": 0, "quota": 0}, "pids": {}}), v2).unwrap();
            assert_eq!(
                (writes.len(), &merged["cpu"]["shares"], &merged["pids"]["limit"]),
                (0, &json!(5), &json!(7))
            );
        }
    }

    #[test]
    fn quota_and_period_keep_each_other() {
        let saved = json!({"cpu": {"quota": 1000, "period": 2000}});
        let writes = |change: Value, v2| decide(saved.clone(), change, v2).unwrap().1;
        assert_eq!(writes(json!({"cpu": {"period": 3000}}), true), ["cpu.max 1000 3000"]);
        assert_eq!(writes(json!({"cpu": {"quota": -1}}), true), ["cpu.max max 2000"]);
        assert_eq!(writes(json!({"cpu": {"period": 3000}}), false), ["cpu.cfs_period_us 3000"]);
    }

    #[test]
    fn swap_alone_counts_from_the_saved_limit_and_a_limit_alone_leaves_swap() {
        let saved = json!({"memory": {"limit": 100, "swap": 150}});
        let (merged, writes) = decide(saved.clone(), json!({"memory": {"limit": 200}}), true).unwrap();
        assert_eq!((writes, &merged["memory"]["swap"]), (vec!["memory.max 200".to_owned()], &json!(250)));
        let (_, writes) = decide(saved.clone(), json!({"memory": {"swap": 300}}), true).unwrap();
        assert_eq!(writes, ["memory.swap.max 200"]);
        assert!(decide(saved.clone(), json!({"memory": {"limit": 200}}), false).is_err(), "v1: above both");
        let (merged, writes) = decide(saved, json!({"memory": {"limit": -1}}), false).unwrap();
        assert_eq!(writes, ["memory.limit_in_bytes -1", "memory.memsw.limit_in_bytes -1"]);
        assert_eq!(merged["memory"]["swap"], Value::Null);
        assert!(decide(json!({}), json!({"memory": {"swap": 5}}), true).is_err());
    }

    #[test]
    fn entries_of_lists_take_the_place_of_their_like() {
        let device = |minor: i64, rate: u64| json!({"major": 8, "minor": minor, "rate": rate});
        let saved = json!({"blockIO": {"throttleReadBpsDevice": [device(0, 1), device(16, 2)]}});
        let change = json!({"blockIO": {"throttleReadBpsDevice": [device(16, 3), device(32, 4)]}});
        let (merged, writes) = decide(saved, change, true).unwrap();
        assert_eq!(writes, ["io.max 8:0 rbps=1", "io.max 8:16 rbps=3", "io.max 8:32 rbps=4"]);
        assert_eq!(merged["blockIO"]["throttleReadBpsDevice"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn idle_takes_the_shares_away() {
        let (merged, writes) =
            decide(json!({"cpu": {"shares": 100}}), json!({"cpu": {"idle": 1}}), true).unwrap();
        assert_eq!((writes, &merged["cpu"]["shares"]), (vec!["cpu.idle 1".to_owned()], &Value::Null));
    }

    #[test]
    fn unified_writes_what_it_names() {
        let saved = json!({"unified": {"memory.high": "5"}});
        let (merged, writes) = decide(saved, json!({"unified": {"pids.max": "9"}}), true).unwrap();
        assert_eq!(
            (writes, merged["unified"].as_object().unwrap().len()),
            (vec!["pids.max 9".to_owned()], 2)
        );
    }
}

//! Golden plans: `tests/plan/*.json` hold a change to the default configuration, a host, a request, and the plan or the
//! error that must come of them. `RIVERRUN_BLESS=1 cargo test golden` rewrites them; the diff is reviewed as text.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::{Value, json};

use super::{ExecRequest, Request, create, exec};
use crate::cgroup::plan::CgroupManager;
use crate::host::Host;
use crate::net_device::plan::Found;
use crate::spec;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan")
}

/// RFC 7386: objects are merged, `null` removes, anything else replaces.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else { return target.clone_from(patch) };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().shift_remove(key);
        } else {
            merge(&mut target[key.as_str()], value);
        }
    }
}

fn text(case: &Value, key: &str) -> String {
    case[key].as_str().unwrap_or_default().to_owned()
}

/// `request.net_devices`: how many were found; each has one address of two bytes.
fn found(case: &Value) -> Vec<Found> {
    let count = case["request"]["net_devices"].as_u64().unwrap_or_default();
    (0..count).map(|_| Found { index: 7, addresses: vec![vec![1, 2]] }).collect()
}

/// The plan as JSON, or the error as text.
fn planned(case: &Value, hosts: &BTreeMap<String, Host>) -> Value {
    let rootless = (text(case, "base") == "rootless").then_some((1000, 1000));
    let mut config: Value = serde_json::from_str(&spec::default_config(rootless)).unwrap();
    if !case["change"].is_null() {
        merge(&mut config, &case["change"]);
    }
    let flag = |name: &str| case["request"][name] == true;
    let outcome = spec::parse(config.to_string().as_bytes()).and_then(|spec| {
        if case["exec"] == true {
            let process = spec.process().clone().unwrap();
            spec::validate_exec(&process)?;
            let namespaces = case["request"]["namespaces"].as_u64().unwrap_or_default();
            let request =
                ExecRequest { id: "web".into(), namespaces, keep_below: 3, ..ExecRequest::default() };
            let plan = exec(&process, spec.linux().as_ref(), &request)?;
            let steps = serde_json::to_value(plan.init.steps).unwrap();
            let affinity = plan.affinity;
            return Ok(if affinity.is_empty() {
                steps
            } else {
                json!({ "affinity": affinity, "steps": steps })
            });
        }
        spec::validate(&spec)?;
        let request = Request {
            id: "web".into(),
            bundle: "/bundle".into(),
            rootfs: "/bundle/rootfs".into(),
            no_pivot: flag("no_pivot"),
            no_new_keyring: flag("no_new_keyring"),
            wait_for_start: flag("wait_for_start"),
            keep_below: 3,
            window: None,
            core: flag("core"),
            joined: serde_json::from_value(case["request"]["joined"].clone()).unwrap_or_default(),
            selinux: flag("selinux"),
            net_devices: found(case),
            cgroup_manager: match case["request"]["cgroup_manager"].as_str() {
                Some("systemd") => CgroupManager::Systemd,
                Some("disabled") => CgroupManager::Disabled,
                _ => CgroupManager::Cgroupfs,
            },
            rootless: case["request"]["rootless"]
                .as_bool()
                .unwrap_or_else(|| hosts[&text(case, "host")].is_rootless()),
            systemd: serde_json::from_value(case["request"]["systemd"].clone()).unwrap_or_default(),
            resctrl: case["request"]["resctrl"].as_str().map(PathBuf::from),
            calls: flag("calls"),
            root_identity: flag("root_identity").then_some((7, 4711)),
            detached: flag("detached"),
        };
        let mut plan = create(&spec, &hosts[&text(case, "host")], &request)?;
        plan.init.build_id.clear();
        Ok(serde_json::to_value(plan).unwrap())
    });
    match outcome {
        Ok(plan) => json!({ "plan": plan }),
        Err(error) => json!({ "error": format!("{}: {error}", error.kind().name()) }),
    }
}

/// One step a line: long enough to tell, short enough to compare.
fn pretty(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth + 1);
    match value {
        Value::Object(map) if depth < 3 && !map.is_empty() => {
            let entries: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{indent}{}: {}", json!(key), pretty(value, depth + 1)))
                .collect();
            format!("{{\n{}\n{}}}", entries.join(",\n"), "  ".repeat(depth))
        }
        Value::Array(list) if list.iter().any(Value::is_object) || list.len() > 8 => {
            let entries: Vec<String> = list.iter().map(|value| format!("{indent}{value}")).collect();
            format!("[\n{}\n{}]", entries.join(",\n"), "  ".repeat(depth))
        }
        other => other.to_string(),
    }
}

#[test]
fn plans_are_the_golden_ones() {
    let hosts: BTreeMap<String, Host> =
        serde_json::from_slice(&fs::read(directory().join("hosts.json")).unwrap()).unwrap();
    let mut names: Vec<PathBuf> =
        fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "json") && !path.ends_with("hosts.json"));
    names.sort();
    let mut wrong = Vec::new();
    for path in &names {
        let mut case: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let outcome = planned(&case, &hosts);
        let expected = json!({ "plan": case["plan"], "error": case["error"] });
        let (key, value) = outcome.as_object().unwrap().iter().next().unwrap();
        if expected[key] == *value {
            continue;
        }
        if env::var_os("RIVERRUN_BLESS").is_some() {
            case.as_object_mut().unwrap().retain(|key, _| key != "plan" && key != "error");
            case[key.as_str()] = value.clone();
            fs::write(path, pretty(&case, 0) + "\n").unwrap();
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        wrong.push(format!("{name}:\n{}", pretty(&outcome, 0)));
    }
    assert!(wrong.is_empty(), "{} of {} plans differ:\n{}", wrong.len(), names.len(), wrong.join("\n"));
}

#[test]
fn protections_come_after_every_mount_and_before_the_pivot() {
    let hosts: BTreeMap<String, Host> =
        serde_json::from_slice(&fs::read(directory().join("hosts.json")).unwrap()).unwrap();
    let plan = planned(&json!({ "host": "hybrid" }), &hosts);
    let steps = plan["plan"]["init"]["steps"].as_array().unwrap();
    let name = |step: &Value| match step {
        Value::String(name) => name.clone(),
        step => step.as_object().unwrap().keys().next().unwrap().clone(),
    };
    let names: Vec<String> = steps.iter().map(name).collect();
    let last = |wanted: &[&str]| names.iter().rposition(|name| wanted.contains(&name.as_str())).unwrap();
    let first = |wanted: &str| names.iter().position(|name| name == wanted).unwrap();
    assert!(last(&["Mount", "Bind", "Device", "Symlink", "Terminal"]) < first("ReadOnly").min(first("Mask")));
    assert!(last(&["Mask", "ReadOnly", "RootAttributes"]) < first("PivotRoot"));
    assert!(first("BoundingSet") < first("User") && first("User") < first("Capabilities"));
    assert_eq!(names.last().unwrap(), "Execute");
}

#[test]
fn nothing_but_capabilities_and_umask_follows_an_early_filter() {
    let path = directory().join("seccomp_before_capabilities_go.json");
    let case: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let steps = case["plan"]["init"]["steps"].as_array().unwrap();
    let at = steps.iter().position(|step| step.get("Filter").is_some()).unwrap();
    let after: Vec<&String> =
        steps[at + 1..].iter().flat_map(|step| step.as_object().unwrap().keys()).collect();
    // Whoever adds a step here adds its system calls to seccomp::plan::AS_USER.
    assert_eq!(after, ["Capabilities", "Umask", "Execute"]);
}

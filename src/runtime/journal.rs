//! What is written down of a container: before anything is made of it, for whoever has to clean up, and once it is there.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use oci_spec::runtime::Spec;

use super::context::Context;
use crate::plan::{Plan, Request};
use crate::seccomp::apply::State as AgentsState;
use crate::state::file::{Config, Own, StateFile};
use crate::state::status::Status;
use crate::state::time;
use crate::{OCI_VERSION, VERSION, hook, intel_rdt};

/// What will be made, for whoever has to clean up.
pub(super) fn begin(context: &Context, spec: &Spec, plan: &Plan, request: &Request) -> StateFile {
    let created_ns = time::now_ns();
    let annotations: BTreeMap<String, String> =
        spec.annotations().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    let mut labels: Vec<String> = annotations.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.push(format!("bundle={}", request.bundle.display()));
    StateFile {
        id: request.id.clone(),
        created: time::rfc3339(created_ns),
        config: Config {
            rootfs: request.rootfs.clone(),
            hostname: spec.hostname().clone().unwrap_or_default(),
            labels,
        },
        rootless: context.is_rootless(),
        cgroup_paths: plan.cgroups.paths().into_iter().collect(),
        intel_rdt_path: plan.intel_rdt.as_ref().map(|rdt| rdt.group.clone()).unwrap_or_default(),
        intel_rdt_mon_path: plan
            .intel_rdt
            .as_ref()
            .and_then(|rdt| rdt.monitoring.clone())
            .unwrap_or_default(),
        riverrun: Own {
            version: VERSION.to_owned(),
            bundle: request.bundle.clone(),
            annotations,
            namespaces: plan.own_namespaces,
            joined: plan.joined_namespaces,
            deny_setgroups: plan.deny_setgroups,
            created_ns,
            cgroups: plan.cgroups.layout.name().to_owned(),
            unit: plan.cgroups.unit.as_ref().map(|unit| unit.name.name.clone()),
            unit_of_user: plan.cgroups.unit.as_ref().is_some_and(|unit| unit.name.user),
            hooks: hook::plan::any(spec),
            resources: None,
            l3_cache_schema: None,
            mem_bw_schema: None,
            intel_rdt_own: plan.intel_rdt.as_ref().map(intel_rdt::apply::missing).unwrap_or_default(),
        },
        ..StateFile::default()
    }
}

/// As runc names them, for tools.
pub(super) fn namespace_paths(pid: i32) -> BTreeMap<String, PathBuf> {
    const NAMES: [(&str, &str); 8] = [
        ("NEWCGROUP", "cgroup"),
        ("NEWIPC", "ipc"),
        ("NEWNET", "net"),
        ("NEWNS", "mnt"),
        ("NEWPID", "pid"),
        ("NEWTIME", "time"),
        ("NEWUSER", "user"),
        ("NEWUTS", "uts"),
    ];
    NAMES
        .iter()
        .map(|(key, file)| ((*key).to_owned(), PathBuf::from(format!("/proc/{pid}/ns/{file}"))))
        .collect()
}

/// The container as an agent is told of it.
pub(super) fn agents_state(state: &StateFile, status: Status, pid: i32) -> AgentsState {
    AgentsState {
        oci_version: OCI_VERSION,
        id: state.id.clone(),
        status: status.to_string(),
        pid,
        bundle: state.riverrun.bundle.clone(),
        annotations: state.riverrun.annotations.clone(),
    }
}

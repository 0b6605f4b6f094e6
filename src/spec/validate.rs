//! The rules of the runtime-spec that need nothing but the document: one function a rule, named after its section.
//!
//! What this version cannot do yet is refused here by name: no property is ever silently ignored.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxIntelRdt, LinuxNamespaceType, Mount, Process, Spec};

use super::{hooks, net_device, schedule, seccomp};
use crate::error::{Error, Kind, Result};
use crate::wording;

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(Kind::InvalidSpec, message)
}

/// All rules for a whole configuration.
pub(crate) fn validate(spec: &Spec) -> Result<()> {
    oci_version(spec)?;
    if spec.root().is_none() {
        return Err(invalid("root must not be empty"));
    }
    let process = spec.process().as_ref().ok_or_else(|| invalid(wording::PROCESS_EMPTY))?;
    process_rules(process)?;
    let linux = spec.linux().as_ref().ok_or_else(|| invalid("linux must not be empty"))?;
    namespaces(linux)?;
    names(spec, linux)?;
    id_mappings(linux)?;
    time_offsets(linux)?;
    for mount in spec.mounts().iter().flatten() {
        mount_rules(mount)?;
    }
    devices(linux)?;
    linux.memory_policy().as_ref().map_or(Ok(()), schedule::memory_policy)?;
    linux.intel_rdt().as_ref().map_or(Ok(()), intel_rdt)?;
    linux.personality().as_ref().map_or(Ok(()), schedule::personality)?;
    net_device::validate(linux)?;
    linux.seccomp().as_ref().map_or(Ok(()), seccomp::rules)?;
    annotations(spec)?;
    spec.hooks().as_ref().map_or(Ok(()), hooks::rules)?;
    Ok(())
}

/// The rules for the process object of an exec.
pub(crate) fn exec(process: &Process) -> Result<()> {
    process_rules(process)
}

/// config.md#specification-version: SemVer, major 1.
fn oci_version(spec: &Spec) -> Result<()> {
    let version = spec.version();
    let mut parts = version.split(['.', '-', '+']);
    let numeric = (0..3).all(|_| parts.next().is_some_and(|part| part.parse::<u32>().is_ok()));
    if !numeric {
        return Err(invalid(format!("ociVersion: not a semantic version: {version:?}")));
    }
    if !version.starts_with("1.") {
        return Err(Error::new(
            Kind::Unsupported,
            format!("ociVersion: major version of {version} is not supported"),
        ));
    }
    Ok(())
}

/// config.md#process.
fn process_rules(process: &Process) -> Result<()> {
    let cwd = process.cwd().to_str().unwrap_or_default();
    if !cwd.starts_with('/') {
        return Err(invalid(wording::CWD_RELATIVE));
    }
    no_nul("process.cwd", cwd)?;
    let args = process.args().as_deref().unwrap_or_default();
    if args.is_empty() {
        return Err(invalid(wording::ARGS_EMPTY));
    }
    for (index, argument) in args.iter().enumerate() {
        no_nul(&format!("process.args[{index}]"), argument)?;
    }
    for (index, pair) in process.env().iter().flatten().enumerate() {
        no_nul(&format!("process.env[{index}]"), pair)?;
        if pair.find('=').is_none_or(|at| at == 0) {
            return Err(invalid(format!("process.env[{index}]: not NAME=value: {pair:?}")));
        }
    }
    let user = process.user();
    let groups = user.additional_gids().iter().flatten().copied();
    for id in [user.uid(), user.gid()].into_iter().chain(groups) {
        if id == u32::MAX {
            // -1 means "unchanged" to setresuid(2) and its like: never what a configuration wants.
            return Err(invalid(format!("process.user: {id} is not an id")));
        }
    }
    if let Some(umask) = user.umask().filter(|umask| *umask > 0o777) {
        return Err(invalid(format!("process.user.umask: {umask:#o} is more than 0777")));
    }
    let mut seen = HashSet::new();
    for limit in process.rlimits().iter().flatten() {
        if !seen.insert(limit.typ() as usize) {
            return Err(invalid(format!("process.rlimits: {} is given twice", limit.typ())));
        }
        if limit.soft() > limit.hard() {
            return Err(invalid(format!("process.rlimits: {}: soft limit above the hard one", limit.typ())));
        }
    }
    if let Some(adjustment) = process.oom_score_adj().filter(|value| !(-1000..=1000).contains(value)) {
        return Err(invalid(format!("process.oomScoreAdj: {adjustment} is not between -1000 and 1000")));
    }
    schedule::process(process)?;
    for (name, label) in
        [("apparmorProfile", process.apparmor_profile()), ("selinuxLabel", process.selinux_label())]
    {
        no_nul(&format!("process.{name}"), label.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

/// config-linux.md#namespaces: each type once.
fn namespaces(linux: &Linux) -> Result<()> {
    let mut seen = HashSet::new();
    for namespace in linux.namespaces().iter().flatten() {
        let name = namespace.typ().to_string();
        if !seen.insert(namespace.typ()) {
            return Err(invalid(format!("linux.namespaces: {name} is given twice")));
        }
        let path = namespace.path().as_ref().map(|path| path.to_string_lossy()).unwrap_or_default();
        if path.is_empty() {
            continue;
        }
        no_nul("linux.namespaces: path", &path)?;
        if !path.starts_with('/') {
            return Err(invalid(format!("linux.namespaces: {name}: {path:?} is not an absolute path")));
        }
        if namespace.typ() == LinuxNamespaceType::Mount {
            // The root filesystem would be replaced under whoever is in it.
            return unsupported("linux.namespaces: joining a mount namespace by path");
        }
    }
    if !seen.contains(&LinuxNamespaceType::Mount) {
        return unsupported("linux.namespaces: a container without a mount namespace of its own");
    }
    Ok(())
}

fn has(linux: &Linux, kind: LinuxNamespaceType) -> bool {
    linux.namespaces().iter().flatten().any(|namespace| namespace.typ() == kind)
}

/// config.md#hostname, #domainname: of the container, not of the host.
fn names(spec: &Spec, linux: &Linux) -> Result<()> {
    let own = has(linux, LinuxNamespaceType::Uts);
    for (name, value) in [("hostname", spec.hostname()), ("domainname", spec.domainname())] {
        let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else { continue };
        if !own {
            return Err(invalid(wording::without_uts(name)));
        }
        no_nul(name, value)?;
        if value.len() > 64 {
            return Err(invalid(format!("{name}: longer than 64 bytes")));
        }
    }
    Ok(())
}

fn joins(linux: &Linux, kind: LinuxNamespaceType) -> bool {
    let by_path = |path: &std::path::Path| !path.as_os_str().is_empty();
    linux.namespaces().iter().flatten().any(|n| n.typ() == kind && n.path().as_deref().is_some_and(by_path))
}

/// config-linux.md#offset-for-time-namespace.
fn time_offsets(linux: &Linux) -> Result<()> {
    for (clock, offset) in linux.time_offsets().iter().flatten() {
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            return Err(invalid(format!("linux.timeOffsets: {clock:?} is neither monotonic nor boottime")));
        }
        if offset.nanosecs().is_some_and(|nanosecs| nanosecs >= 1_000_000_000) {
            return Err(invalid(format!("linux.timeOffsets.{clock}.nanosecs: a second or more")));
        }
        if !has(linux, LinuxNamespaceType::Time) {
            return Err(invalid("linux.timeOffsets: offsets without a time namespace"));
        }
        if joins(linux, LinuxNamespaceType::Time) {
            return Err(invalid(
                "linux.timeOffsets: the clocks of a time namespace that is joined are set already",
            ));
        }
    }
    Ok(())
}

/// config-linux.md#user-namespace-mappings.
fn id_mappings(linux: &Linux) -> Result<()> {
    let user = has(linux, LinuxNamespaceType::User);
    for (name, mappings) in [("uidMappings", linux.uid_mappings()), ("gidMappings", linux.gid_mappings())] {
        let mappings = mappings.as_deref().unwrap_or_default();
        if user && !joins(linux, LinuxNamespaceType::User) && mappings.is_empty() {
            return Err(invalid(format!("linux.{name}: a user namespace needs mappings")));
        }
        if !user && !mappings.is_empty() {
            return Err(invalid(format!("linux.{name}: mappings without a user namespace")));
        }
        extents(&format!("linux.{name}"), mappings)?;
    }
    Ok(())
}

/// user_namespaces(7): what a map file takes.
fn extents(property: &str, mappings: &[LinuxIdMapping]) -> Result<()> {
    if mappings.len() > 340 {
        return Err(invalid(format!("{property}: more than the kernel's 340 extents")));
    }
    for mapping in mappings {
        let fits = |start: u32| start.checked_add(mapping.size()).is_some();
        if mapping.size() == 0 || !fits(mapping.container_id()) || !fits(mapping.host_id()) {
            return Err(invalid(format!("{property}: size {} is out of range", mapping.size())));
        }
    }
    Ok(())
}

/// config.md#mounts.
fn mount_rules(mount: &Mount) -> Result<()> {
    let destination = mount.destination().to_str().unwrap_or_default();
    if destination.is_empty() {
        return Err(invalid("mounts: a destination must not be empty"));
    }
    no_nul("mounts: destination", destination)?;
    let source = mount.source().as_ref().and_then(|source| source.to_str()).unwrap_or_default();
    no_nul("mounts: source", source)?;
    for option in mount.options().iter().flatten() {
        no_nul("mounts: options", option)?;
    }
    for (name, mappings) in [("uidMappings", mount.uid_mappings()), ("gidMappings", mount.gid_mappings())] {
        extents(&format!("mounts: {destination}: {name}"), mappings.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

/// config-linux.md#devices.
fn devices(linux: &Linux) -> Result<()> {
    for device in linux.devices().iter().flatten() {
        let path = device.path().to_str().unwrap_or_default();
        no_nul("linux.devices: path", path)?;
        if !path.starts_with('/') {
            return Err(invalid(format!("linux.devices: {path:?} is not an absolute path")));
        }
        let number = |value: i64| (0..1 << 20).contains(&value);
        if !number(device.major()) || !number(device.minor()) {
            return Err(invalid(format!("linux.devices: {path}: major or minor is out of range")));
        }
    }
    Ok(())
}

/// config-linux.md#intelrdt: the name of a directory, and lines.
fn intel_rdt(rdt: &LinuxIntelRdt) -> Result<()> {
    let name = rdt.clos_id().as_deref().unwrap_or_default();
    if [".", ".."].contains(&name) || (name != "/" && name.contains(['/', '\n', '\0'])) {
        return Err(invalid(format!("invalid intelRdt.ClosID {name:?}")));
    }
    for line in rdt.schemata().iter().flatten() {
        if line.contains(['\n', '\0']) {
            return Err(invalid(format!("linux.intelRdt.schemata: not one line: {line:?}")));
        }
    }
    Ok(())
}

/// config.md#annotations.
fn annotations(spec: &Spec) -> Result<()> {
    if spec.annotations().iter().flatten().any(|(key, _)| key.is_empty()) {
        return Err(invalid("annotations: a key must not be empty"));
    }
    Ok(())
}

pub(super) fn no_nul(property: &str, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(invalid(format!("{property}: contains a NUL byte")));
    }
    Ok(())
}

fn unsupported(property: &str) -> Result<()> {
    Err(Error::new(Kind::Unsupported, format!("{property}: not supported by this version")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::error::Kind;

    /// The default configuration with one change.
    fn check(change: impl FnOnce(&mut Value)) -> crate::Result<()> {
        let mut config: Value = serde_json::from_str(&crate::spec::default_config(None)).unwrap();
        change(&mut config);
        crate::spec::check(config.to_string().as_bytes())
    }

    fn refused(kind: Kind, text: &str, change: impl FnOnce(&mut Value)) {
        let error = check(change).unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains(text)), (kind, true), "{error}");
    }

    #[test]
    fn rules_of_the_process_object() {
        use Kind::InvalidSpec;
        refused(InvalidSpec, "process property must not be empty", |c| {
            drop(c.as_object_mut().unwrap().remove("process"))
        });
        refused(InvalidSpec, "Cwd must be an absolute path", |c| c["process"]["cwd"] = json!("tmp"));
        refused(InvalidSpec, "args must not be empty", |c| c["process"]["args"] = json!([]));
        refused(InvalidSpec, "env[0]", |c| c["process"]["env"] = json!(["NAME"]));
        refused(InvalidSpec, "env[0]", |c| c["process"]["env"] = json!(["=value"]));
        refused(InvalidSpec, "NUL", |c| c["process"]["env"] = json!(["A=\u{0}"]));
        refused(InvalidSpec, "4294967295 is not an id", |c| c["process"]["user"]["uid"] = json!(u32::MAX));
        refused(InvalidSpec, "RLIMIT_NOFILE is given twice", |c| {
            let limit = c["process"]["rlimits"][0].clone();
            c["process"]["rlimits"].as_array_mut().unwrap().push(limit);
        });
        refused(InvalidSpec, "capabilities.bounding", |c| {
            c["process"]["capabilities"]["bounding"] = json!([7]);
        });
        check(|c| c["process"]["capabilities"]["bounding"] = json!(["CAP_NO_SUCH"])).unwrap();
    }

    #[test]
    fn rules_of_the_document() {
        use Kind::{InvalidSpec, Unsupported};
        refused(InvalidSpec, "pid is given twice", |c| {
            c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "pid"}));
        });
        refused(InvalidSpec, "private UTS namespace", |c| {
            c["linux"]["namespaces"].as_array_mut().unwrap().retain(|n| n["type"] != "uts");
        });
        refused(InvalidSpec, "needs mappings", |c| {
            c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
        });
        refused(InvalidSpec, "semantic version", |c| c["ociVersion"] = json!("one"));
        refused(Unsupported, "major version", |c| c["ociVersion"] = json!("2.0.0"));
        check(|c| c["ociVersion"] = json!("1.0.2-dev")).unwrap();
    }

    #[test]
    fn what_is_not_supported_yet_is_refused_by_name() {}
}

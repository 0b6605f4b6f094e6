//! `linux.netDevices`: names on the host and in the container, and which of them can be (config-linux.md#network-devices).
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashSet};

use oci_spec::runtime::{Linux, LinuxNamespaceType};

use crate::error::{Error, Kind, Result};

/// The names that the configuration uses, in a stable order: on the host, in the container.
pub(crate) fn names(linux: &Linux) -> BTreeMap<String, String> {
    let devices = linux.net_devices().iter().flatten();
    devices
        .map(|(from, device)| {
            let to = device.name().clone().filter(|name| !name.is_empty());
            (from.clone(), to.unwrap_or_else(|| from.clone()))
        })
        .collect()
}

/// The rules that need nothing but the document.
pub(crate) fn validate(linux: &Linux) -> Result<()> {
    let names = names(linux);
    if names.is_empty() {
        return Ok(());
    }
    let own = |kind| linux.namespaces().iter().flatten().any(|namespace| namespace.typ() == kind);
    if !own(LinuxNamespaceType::Network) {
        return Err(invalid("unable to move network devices without a private NET namespace"));
    }
    let mut seen = HashSet::new();
    for (from, to) in &names {
        for name in [from, to] {
            valid_name(name)?;
        }
        if to == "lo" {
            // The kernel would find out after it has moved the device.
            return Err(invalid("every network namespace has its own lo"));
        }
        if !seen.insert(to) {
            return Err(invalid(format!("{to:?} is the name of two devices")));
        }
    }
    Ok(())
}

/// What the kernel takes (dev_valid_name): no way out of /sys/class/net. A pattern (`eth%d`) would give a name that
/// nobody knows.
fn valid_name(name: &str) -> Result<()> {
    let allowed = |c: char| !c.is_whitespace() && !matches!(c, '/' | ':' | '%' | '\0');
    if name.is_empty() || name.len() > 15 || name == "." || name == ".." || !name.chars().all(allowed) {
        return Err(invalid(format!("invalid name of a network device: {name:?}")));
    }
    Ok(())
}

fn invalid(cause: impl std::fmt::Display) -> Error {
    Error::new(Kind::InvalidSpec, format!("linux.netDevices: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linux(json: serde_json::Value) -> Linux {
        serde_json::from_value(json).unwrap()
    }

    fn checked(devices: serde_json::Value) -> Result<()> {
        validate(&linux(serde_json::json!({"namespaces": [{"type": "network"}], "netDevices": devices})))
    }

    #[test]
    fn names_are_those_that_the_kernel_takes() {
        checked(serde_json::json!({"eth0": {}, "eth1": {"name": "container0"}})).unwrap();
        for name in ["", "sixteen-bytes-xx", "a/b", "a b", "a:b", "eth%d", ".", ".."] {
            let to = checked(serde_json::json!({"eth0": {"name": name}}));
            assert_eq!(to.is_ok(), name.is_empty(), "{name:?}: an empty name keeps the old one");
            assert!(checked(serde_json::json!({name: {}})).is_err(), "{name:?}");
        }
    }

    #[test]
    fn two_devices_never_get_one_name() {
        let error = checked(serde_json::json!({"eth0": {}, "eth1": {"name": "eth0"}})).unwrap_err();
        assert!(error.to_string().contains("name of two devices"), "{error}");
    }

    #[test]
    fn lo_is_never_taken_away_nor_replaced() {
        for devices in [serde_json::json!({"lo": {}}), serde_json::json!({"eth0": {"name": "lo"}})] {
            assert!(checked(devices).unwrap_err().to_string().contains("its own lo"));
        }
    }

    #[test]
    fn without_a_network_namespace_nothing_moves() {
        let error = validate(&linux(serde_json::json!({"netDevices": {"eth0": {}}}))).unwrap_err();
        assert!(error.to_string().contains("private NET namespace"), "{error}");
    }
}

//! The configuration that `spec` writes: what people start from. The document itself is `default.json`.
#![forbid(unsafe_code)]

use serde_json::{Value, json};

const DEFAULT: &str = include_str!("default.json");

/// The default `config.json`, indented by tabs; or, for the uid and gid of an ordinary user, one that runs without
/// privilege: in a user namespace where that user is root, without what only the host's root can have.
#[must_use]
pub fn default_config(rootless: Option<(u32, u32)>) -> String {
    let Some((uid, gid)) = rootless else { return DEFAULT.to_owned() };
    // The document is a constant of this crate, and a test parses it.
    let Ok(mut config) = serde_json::from_str::<Value>(DEFAULT) else { return DEFAULT.to_owned() };
    let linux = &mut config["linux"];
    if let Some(namespaces) = linux["namespaces"].as_array_mut() {
        namespaces.retain(|namespace| namespace["type"] != "network");
        namespaces.push(json!({ "type": "user" }));
    }
    let mapping = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
    let (namespaces, masked, read_only) =
        (linux["namespaces"].take(), linux["maskedPaths"].take(), linux["readonlyPaths"].take());
    *linux = json!({
        "uidMappings": mapping(uid),
        "gidMappings": mapping(gid),
        "namespaces": namespaces,
        "maskedPaths": masked,
        "readonlyPaths": read_only,
    });
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.iter_mut().for_each(rootless_mount);
    }
    indented(&config)
}

/// /sys cannot be made without an own network namespace: the host's is bound. Ids that are not mapped cannot own.
fn rootless_mount(mount: &mut Value) {
    if mount["destination"] == "/sys" {
        let options = json!(["rbind", "nosuid", "noexec", "nodev", "ro"]);
        *mount = json!({ "destination": "/sys", "type": "none", "source": "/sys", "options": options });
    } else if mount["options"].is_null() {
        mount.as_object_mut().map(|mount| mount.shift_remove("options"));
    } else if let Some(options) = mount["options"].as_array_mut() {
        options.retain(|option| {
            !option.as_str().is_some_and(|option| option.starts_with("gid=") || option.starts_with("uid="))
        });
    }
}

fn indented(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(
        &mut bytes,
        serde_json::ser::PrettyFormatter::with_indent(b"\t"),
    );
    // Writing to memory cannot fail, and JSON is UTF-8.
    let _ = serde::Serialize::serialize(value, &mut writer);
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        crate::spec::check(default_config(None).as_bytes()).unwrap();
        crate::spec::check(default_config(Some((1000, 1000))).as_bytes()).unwrap();
    }

    #[test]
    fn the_document_is_indented_as_we_indent() {
        assert_eq!(indented(&serde_json::from_str(DEFAULT).unwrap()), DEFAULT);
    }

    #[test]
    fn rootless_needs_no_network_and_no_unmapped_group() {
        let config = default_config(Some((7, 8)));
        assert!(
            !config.contains("\"network\"") && !config.contains("gid=5") && !config.contains("resources")
        );
        assert!(config.contains("\"hostID\": 7") && config.contains("\"hostID\": 8"));
    }
}

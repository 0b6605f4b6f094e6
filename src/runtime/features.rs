//! The features document (features.md): what this build can do, whatever the kernel says. Pure.
//!
//! Names come from the tables that the configuration is read with; what has no table here is one of the specification's
//! own, and a test reads it back.
#![forbid(unsafe_code)]

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Value, json};

use crate::mount::options;
use crate::{OCI_VERSION, VERSION};

const HOOKS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"];
const MEMORY_POLICY_MODES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_WEIGHTED_INTERLEAVE",
    "MPOL_PREFERRED",
    "MPOL_PREFERRED_MANY",
    "MPOL_LOCAL",
];
const MEMORY_POLICY_FLAGS: [&str; 3] =
    ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"];

const SECCOMP_ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];
const SECCOMP_OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];
/// Those that a configuration may list; a filter has code for those that the kernel can serve.
const SECCOMP_ARCHITECTURES: [&str; 23] = [
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
];
const SECCOMP_FLAGS: [&str; 4] = [
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

/// The features document: what this build of the library can do, on any host.
#[must_use]
pub fn features() -> String {
    let mut bytes = Vec::new();
    let mut writer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    // Writing values to memory cannot fail.
    let _ = document().serialize(&mut writer);
    String::from_utf8(bytes).unwrap_or_default()
}

fn document() -> Value {
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": OCI_VERSION,
        "hooks": HOOKS,
        "mountOptions": mount_options(),
        "linux": {
            "namespaces": NAMESPACES,
            "capabilities": capabilities(),
            "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true },
            "seccomp": {
                "enabled": true,
                "actions": SECCOMP_ACTIONS,
                "operators": SECCOMP_OPERATORS,
                "archs": SECCOMP_ARCHITECTURES,
                "knownFlags": SECCOMP_FLAGS,
                "supportedFlags": SECCOMP_FLAGS,
            },
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "intelRdt": { "enabled": true, "schemata": true, "monitoring": true },
            "memoryPolicy": { "modes": MEMORY_POLICY_MODES, "flags": MEMORY_POLICY_FLAGS },
            "mountExtensions": { "idmap": { "enabled": true } },
            "netDevices": { "enabled": true },
        },
        "annotations": {
            "io.github.riverrun.version": VERSION,
            "org.opencontainers.runc.checkpoint.enabled": "true",
        },
        "potentiallyUnsafeConfigAnnotations": ["bundle"],
    })
}

fn mount_options() -> Vec<&'static str> {
    let mut words: Vec<&str> = options::words().collect();
    words.sort_unstable();
    words
}

/// In the order of their numbers.
fn capabilities() -> Vec<String> {
    let mut all: Vec<caps::Capability> = caps::all().into_iter().collect();
    all.sort_unstable_by_key(caps::Capability::index);
    all.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The default configuration with one change is accepted.
    fn accepted(change: impl FnOnce(&mut Value)) {
        let mut config: Value = serde_json::from_str(&crate::default_config(None)).unwrap();
        change(&mut config);
        crate::check_config(config.to_string().as_bytes())
            .unwrap_or_else(|error| panic!("{error}: {config}"));
    }

    #[test]
    fn every_name_in_the_document_is_one_that_a_configuration_may_use() {
        for hook in HOOKS {
            accepted(|c| c["hooks"][hook] = json!([{"path": "/bin/true"}]));
        }
        for kind in NAMESPACES {
            accepted(|c| {
                let namespaces = c["linux"]["namespaces"].as_array_mut().unwrap();
                if namespaces.iter().all(|namespace| namespace["type"] != kind) {
                    namespaces.push(json!({"type": kind}));
                }
                if kind == "user" {
                    c["linux"]["uidMappings"] = json!([{"containerID": 0, "hostID": 1000, "size": 1}]);
                    c["linux"]["gidMappings"] = c["linux"]["uidMappings"].clone();
                }
            });
        }
        for option in mount_options() {
            accepted(|c| {
                let mount = json!({"destination": "/m", "type": "tmpfs", "options": [option]});
                c["mounts"].as_array_mut().unwrap().push(mount);
            });
        }
        for capability in capabilities() {
            accepted(|c| c["process"]["capabilities"]["bounding"] = json!([capability]));
        }
        for mode in MEMORY_POLICY_MODES {
            let nodes = if ["MPOL_DEFAULT", "MPOL_LOCAL"].contains(&mode) { "" } else { "0" };
            accepted(|c| c["linux"]["memoryPolicy"] = json!({"mode": mode, "nodes": nodes}));
        }
        for flag in MEMORY_POLICY_FLAGS {
            accepted(|c| {
                c["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]});
            });
        }
    }

    #[test]
    fn every_word_of_seccomp_in_the_document_is_one_that_a_profile_may_use() {
        let profile = |change: Value| {
            let mut profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent"});
            profile.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            accepted(|c| c["linux"]["seccomp"] = profile);
        };
        for action in SECCOMP_ACTIONS {
            profile(json!({"syscalls": [{"names": ["kill"], "action": action}]}));
        }
        for operator in SECCOMP_OPERATORS {
            let argument = json!({"index": 0, "value": 1, "valueTwo": 1, "op": operator});
            profile(
                json!({"syscalls": [{"names": ["kill"], "action": "SCMP_ACT_TRAP", "args": [argument]}]}),
            );
        }
        profile(json!({"architectures": SECCOMP_ARCHITECTURES}));
        profile(json!({"flags": SECCOMP_FLAGS}));
    }

    #[test]
    fn the_document_is_what_the_specification_calls_features() {
        let parsed: oci_spec::runtime::Features = serde_json::from_str(&features()).unwrap();
        assert_eq!(parsed.oci_version_max(), OCI_VERSION);
        assert!(!features().contains("\\n"), "no text of it ends a line");
    }
}

//! Bundles that must not run: refused by all, and nothing left behind.
#![forbid(unsafe_code)]

use crate::suite::case::{Case, case};
use serde_json::json;

/// The cases.
pub(crate) fn refused() -> Vec<Case> {
    let cases = vec![
        case("program_missing").set("/process/args", json!(["/bin/missing"])),
        case("program_not_in_path").set("/process/args", json!(["missing"])),
        case("program_not_executable").set("/process/args", json!(["/etc/passwd"])),
        case("program_is_directory").set("/process/args", json!(["/tmp"])),
        case("no_arguments").set("/process/args", json!([])),
        case("working_directory_relative").set("/process/cwd", "tmp"),
        case("working_directory_is_file").set("/process/cwd", "/etc/passwd"),
        case("root_missing").set("/root/path", "nowhere"),
        case("root_is_file").file("../plain", "x").set("/root/path", "plain"),
        case("hostname_of_host").without_namespace("uts"),
        case("sysctl_of_host").set("/linux/sysctl", json!({"kernel.core_pattern": "x"})),
        case("sysctl_net_of_host")
            .without_namespace("network")
            .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})),
        case("mount_source_missing").mount("bind", "nowhere", "/data", &["bind"]),
        case("mount_type_unknown").mount("nofs", "x", "/data", &[]),
        case("mount_option_unknown").mount("tmpfs", "x", "/data", &["nothing=1"]),
        case("mount_on_proc_file").file("../one", "x").mount("bind", "one", "/proc/self/attr", &["bind"]),
        case("namespace_twice").namespace("pid"),
        case("limit_unknown").push("/process/rlimits", json!({"type": "RLIMIT_NONE", "soft": 1, "hard": 1})),
        case("limit_soft_above_hard")
            .push("/process/rlimits", json!({"type": "RLIMIT_CORE", "soft": 2, "hard": 1})),
        case("user_not_mapped").user_namespace(100_000, 1000).user(5000, 5000),
        case("user_namespace_without_mappings").namespace("user"),
        case("environment_without_equals").env("JUSTANAME"),
        case("proc_is_link").link("proc", "/tmp"),
        case("memory_too_small").set("/linux/resources/memory", json!({"limit": 1024})),
    ];
    // By create, which makes nothing that the host could see when it refuses.
    cases.into_iter().map(Case::create).collect()
}

//! Images that try to lead a runtime out of the root file system: by links where it makes, mounts or writes something.
//!
//! Whether such a bundle runs or is refused may differ; what lies beside the root file system must stay as it was.
#![forbid(unsafe_code)]

use crate::suite::case::{Case, case};
use serde_json::json;

/// A bundle with a directory beside the root file system that nobody may touch.
fn decoy(name: &'static str) -> Case {
    case(name)
        .dir("../decoy", 0o755)
        .file("../decoy/ptmx", "untouched")
        .file("../decoy/null", "untouched")
        .file("../decoy/passwd", "root:x:0:0:root:/stolen:/bin/sh\n")
        .dir("../decoy/below", 0o750)
}

/// Without the default mounts below /dev, so that the image's own /dev is the one that is used.
fn own_dev(case: Case) -> Case {
    case.without_mount("/dev/pts")
        .without_mount("/dev/shm")
        .without_mount("/dev/mqueue")
        .without_mount("/dev")
}

/// The cases.
pub(crate) fn hostile() -> Vec<Case> {
    let mut cases = links();
    cases.extend(fakes());
    cases
}

fn links() -> Vec<Case> {
    vec![
        decoy("dev_is_link_out").link("dev", "{bundle}/decoy"),
        decoy("dev_is_link_up").link("dev", "../../../../../..{bundle}/decoy"),
        decoy("sys_is_link_out").link("sys", "{bundle}/decoy"),
        decoy("proc_is_link_out").link("proc", "{bundle}/decoy"),
        decoy("own_dev_is_link_out").link("dev", "{bundle}/decoy").writable(),
        decoy("mount_on_link_out").link("data", "{bundle}/decoy").mount(
            "tmpfs",
            "tmpfs",
            "/data/new",
            &["size=64k"],
        ),
        decoy("mount_on_last_link_out").link("data", "{bundle}/decoy/below").mount(
            "tmpfs",
            "tmpfs",
            "/data",
            &[],
        ),
        decoy("bind_of_file_on_link_out").file("../one", "x").link("data", "{bundle}/decoy/new").mount(
            "bind",
            "one",
            "/data",
            &["bind"],
        ),
        decoy("device_below_link_out")
            .link("dir", "{bundle}/decoy")
            .push("/linux/devices", json!({"path": "/dir/zero", "type": "c", "major": 1, "minor": 5}))
            .writable(),
        decoy("masked_link_out")
            .link("secret", "{bundle}/decoy")
            .link("key", "{bundle}/decoy/ptmx")
            .set("/linux/maskedPaths", json!(["/secret", "/key"])),
        decoy("readonly_link_out")
            .link("data", "{bundle}/decoy")
            .set("/linux/readonlyPaths", json!(["/data"])),
        decoy("working_directory_is_link_out")
            .link("here", "{bundle}/decoy/new")
            .set("/process/cwd", "/here/deep"),
        decoy("passwd_is_link_out").link("etc/passwd", "{bundle}/decoy/passwd"),
        decoy("root_is_link").link("../other", "rootfs").set("/root/path", "other"),
    ]
}

fn fakes() -> Vec<Case> {
    vec![
        own_dev(decoy("null_is_file"))
            .file("dev/null", "kept")
            .file("key", "k")
            .writable()
            .set("/linux/maskedPaths", json!(["/key"])),
        own_dev(decoy("null_is_link_out"))
            .link("dev/null", "{bundle}/decoy/null")
            .file("key", "k")
            .writable()
            .set("/linux/maskedPaths", json!(["/key"])),
        own_dev(decoy("ptmx_is_link_out")).link("dev/ptmx", "{bundle}/decoy/ptmx").writable(),
        decoy("proc_is_file").file("proc", "x"),
        decoy("working_directory_is_descriptor").set("/process/cwd", "/proc/self/fd/7"),
        decoy("exec_in_descriptor").exec(&["--cwd", "/proc/self/fd/7"]),
        decoy("exec_as_name_of_number")
            .file("etc/group", "1000:x:0:\nroot:x:0:\n")
            .exec(&["--user", "1000:1000"]),
    ]
}

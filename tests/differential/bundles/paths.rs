//! Bundles about what is hidden, protected or made: masked paths, read-only paths, devices, sysctls, names.
#![forbid(unsafe_code)]

use crate::suite::case::{Case, case};
use serde_json::json;

/// The cases.
pub(crate) fn paths() -> Vec<Case> {
    let mut cases = guarded();
    cases.extend(devices());
    cases.extend(names());
    cases
}

fn guarded() -> Vec<Case> {
    vec![
        case("masked_none").remove("/linux/maskedPaths"),
        case("masked_more")
            .dir("secret/deep", 0o755)
            .file("secret/deep/key", "k")
            .file("etc/shadow", "s")
            .set("/linux/maskedPaths", json!(["/secret", "/etc/shadow", "/missing", "/proc/interrupts"]))
            .look_at("/secret")
            .look_at("/etc/shadow"),
        case("masked_below_masked")
            .file("secret/deep/key", "k")
            .set("/linux/maskedPaths", json!(["/secret/deep", "/secret"]))
            .look_at("/secret/deep"),
        case("masked_by_link")
            .file("real/key", "k")
            .link("by", "real")
            .set("/linux/maskedPaths", json!(["/by"]))
            .look_at("/real")
            .look_at("/by"),
        case("masked_twice")
            .file("secret/key", "k")
            .file("one", "1")
            .set("/linux/maskedPaths", json!(["/secret", "/one", "/secret", "/one"])),
        case("masked_on_mounts")
            .file("../source/secret/key", "k")
            .file("../source/file", "f")
            .mount("bind", "source", "/data", &["bind", "nosuid"])
            .set("/linux/maskedPaths", json!(["/data/secret", "/data/file", "/dev/shm"]))
            .look_at("/data/secret"),
        case("masked_of_user").user(1000, 1000).look_at("/sys/firmware"),
        case("readonly_none").remove("/linux/readonlyPaths"),
        case("readonly_more")
            .writable()
            .file("etc/conf", "c")
            .dir("data/below", 0o777)
            .set("/linux/readonlyPaths", json!(["/etc/conf", "/data", "/missing", "/proc/sys"]))
            .look_at("/etc/conf"),
        case("readonly_on_mount")
            .writable()
            .mount("tmpfs", "tmpfs", "/data", &["nosuid", "noexec"])
            .set("/linux/readonlyPaths", json!(["/data", "/dev/shm"])),
        case("readonly_by_link")
            .writable()
            .file("real/file", "f")
            .link("by", "real")
            .set("/linux/readonlyPaths", json!(["/by"])),
        case("readonly_below_readonly")
            .writable()
            .dir("data/below", 0o777)
            .set("/linux/readonlyPaths", json!(["/data", "/data/below"])),
        case("readonly_and_masked")
            .writable()
            .file("data/key", "k")
            .set("/linux/maskedPaths", json!(["/data/key"]))
            .set("/linux/readonlyPaths", json!(["/data"]))
            .look_at("/data/key"),
    ]
}

fn devices() -> Vec<Case> {
    let device = |path: &str, kind: &str, major: u32, minor: u32| json!({"path": path, "type": kind, "major": major, "minor": minor});
    let allow = json!([{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 10, "access": "rwm"}]);
    vec![
        case("device").push("/linux/devices", device("/dev/fuse", "c", 10, 229)).look_at("/dev/fuse"),
        case("device_allowed")
            .push("/linux/devices", device("/dev/fuse", "c", 10, 229))
            .set("/linux/resources/devices", allow)
            .create(),
        case("device_of_user")
            .push(
                "/linux/devices",
                json!({"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o602, "uid": 1000, "gid": 5}),
            )
            .look_at("/dev/mine"),
        case("device_below_directory").push("/linux/devices", device("/dev/net/tun", "c", 10, 200)),
        case("device_outside_dev").push("/linux/devices", device("/here/zero", "c", 1, 5)).writable(),
        case("device_fifo").push("/linux/devices", json!({"path": "/dev/queue", "type": "p", "fileMode": 0o640})),
        case("device_block").push("/linux/devices", device("/dev/blk", "b", 7, 0)),
        case("device_unbuffered").push("/linux/devices", device("/dev/chr", "u", 1, 3)),
        case("device_again").push("/linux/devices", device("/dev/null", "c", 1, 3)),
        case("device_below_links")
            .link("by", "../../../../there")
            .push("/linux/devices", device("/by/deep/zero", "c", 1, 5))
            .look_at("/there/deep/zero")
            .writable(),
        case("mapped_device_of_default").user_namespace(100_000, 65536).look_at("/dev/null"),
        case("device_of_every_attribute_by_untidy_caller")
            .push("/linux/devices", json!({"path": "/dev/x/b", "type": "b", "major": 7, "minor": 9, "fileMode": 0o777, "uid": 3, "gid": 4}))
            .look_at("/dev/x/b")
            .dirty(),
        case("device_by_untidy_caller").push("/linux/devices", device("/dev/fuse", "c", 10, 229)).dirty(),
    ]
}

fn names() -> Vec<Case> {
    vec![
        case("hostname_none").remove("/hostname"),
        case("hostname_long").set("/hostname", "a-rather-long-name.of.some.example.domain"),
        case("domainname").set("/domainname", "example.org"),
        case("sysctl_ipc").set(
            "/linux/sysctl",
            json!({"kernel.shm_rmid_forced": "1", "kernel.msgmax": "4096", "fs.mqueue.queues_max": "7"}),
        ),
        case("sysctl_net")
            .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1", "net/ipv4/ping_group_range": "0 100"})),
        case("sysctl_separators").set(
            "/linux/sysctl",
            json!({"net/ipv4/conf/lo/rp_filter": "2", "net.ipv4.conf.default.rp_filter": "2", "kernel/msgmni": "99"}),
        ),
        case("sysctl_of_users")
            .user_namespace(100_000, 65_536)
            .set("/linux/sysctl", json!({"user.max_net_namespaces": "5", "net.ipv4.ip_unprivileged_port_start": "0"})),
        case("sysctl_of_joined_network")
            .join("network", "net")
            .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})),
        case("sysctl_domainname").set("/linux/sysctl", json!({"kernel.domainname": "by.sysctl"})),
    ]
}

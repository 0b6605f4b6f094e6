//! Bundles about mounts: kinds, options, sources, destinations, propagation, and the root file system itself.
#![forbid(unsafe_code)]

use crate::suite::case::{Case, case};
use serde_json::json;

/// The cases.
pub(crate) fn mounts() -> Vec<Case> {
    let mut cases = binds();
    cases.extend(bind_options());
    cases.extend(bind_places());
    cases.extend(bind_kinds());
    cases.extend(ids());
    cases.extend(file_systems());
    cases.extend(root());
    cases
}

/// A case with a directory of the bundle bound on `/data`.
fn bound(name: &'static str, options: &[&str]) -> Case {
    case(name)
        .file("../source/file", "text of the source")
        .mount("bind", "source", "/data", options)
        .look_at("/data/file")
}

fn binds() -> Vec<Case> {
    vec![
        bound("bind", &["bind"]),
        bound("bind_ro", &["bind", "ro"]),
        bound("bind_rw", &["bind", "rw"]),
        bound("rbind_ro", &["rbind", "ro"]),
        bound("bind_flags", &["bind", "nosuid", "nodev", "noexec"]),
        bound("bind_flags_ro", &["rbind", "ro", "nosuid", "nodev", "noexec", "nosymfollow"]),
        bound("bind_noatime", &["bind", "noatime"]),
        bound("bind_nodiratime", &["bind", "nodiratime", "relatime"]),
        bound("bind_strictatime", &["bind", "strictatime"]),
        bound("bind_private", &["bind", "private"]),
        bound("bind_rprivate", &["rbind", "rprivate"]),
        bound("bind_rslave", &["rbind", "rslave"]),
        bound("bind_rshared", &["rbind", "rshared"]),
        bound("bind_shared_ro", &["bind", "shared", "ro"]),
        bound("bind_unbindable", &["bind", "unbindable"]),
        bound("bind_recursive_ro", &["rbind", "rro"]),
        bound("bind_recursive_flags", &["rbind", "rnosuid", "rnodev", "rnoexec"]),
        bound("bind_recursive_noatime", &["rbind", "rnoatime"]),
        bound("bind_contradicting", &["bind", "ro", "rw", "noexec", "exec"]),
        bound("bind_defaults", &["bind", "defaults"]),
    ]
}

/// Each word of the specification's table that is not in [`binds`].
fn bind_options() -> Vec<Case> {
    vec![
        bound("bind_opposites", &["bind", "nosuid", "suid", "nodev", "dev", "noexec", "exec"]),
        bound("bind_nosymfollow", &["bind", "nosymfollow"]),
        bound("bind_symfollow", &["bind", "nosymfollow", "symfollow"]),
        bound("bind_atime", &["bind", "noatime", "atime"]),
        bound("bind_relatime", &["bind", "noatime", "relatime"]),
        bound("bind_norelatime", &["bind", "norelatime"]),
        bound("bind_nostrictatime", &["bind", "strictatime", "nostrictatime"]),
        bound("bind_diratime", &["bind", "nodiratime", "diratime"]),
        bound("bind_no_superblock", &["bind", "async", "nomand", "nolazytime", "noiversion", "loud"]),
        bound("bind_slave", &["bind", "slave"]),
        bound("bind_runbindable", &["rbind", "runbindable"]),
        bound("bind_two_propagations", &["rbind", "shared", "slave"]),
        bound("bind_recursive_rw", &["rbind", "rro", "rrw"]),
        bound(
            "bind_recursive_opposites",
            &["rbind", "rnosuid", "rsuid", "rnodev", "rdev", "rnoexec", "rexec"],
        ),
        bound("bind_recursive_diratime", &["rbind", "rnodiratime", "rdiratime"]),
        bound("bind_recursive_nodiratime", &["rbind", "rnodiratime"]),
        bound("bind_recursive_strictatime", &["rbind", "rstrictatime"]),
        bound("bind_recursive_atime", &["rbind", "rnoatime", "ratime"]),
        bound("bind_recursive_relatime", &["rbind", "rrelatime"]),
        bound("bind_recursive_nosymfollow", &["rbind", "rnosymfollow"]),
        bound("bind_recursive_symfollow", &["rbind", "rnosymfollow", "rsymfollow"]),
        bound("bind_recursive_beside_own", &["rbind", "ro", "rnosuid", "noatime"]),
        bound("bind_remounted", &["bind"]).mount(
            "bind",
            "source",
            "/data",
            &["remount", "bind", "ro", "nodev"],
        ),
    ]
}

/// Mounts with ids of their own.
fn ids() -> Vec<Case> {
    let map = |first: u32| json!([{"containerID": 0, "hostID": first, "size": 1000}]);
    let mapped = |name: &'static str, options: &[&str], first: u32| {
        case(name).file("../source/file", "text").look_at("/data").look_at("/data/file").push(
            "/mounts",
            json!({
                "destination": "/data", "type": "bind", "source": "{bundle}/source", "options": options,
                "uidMappings": map(first), "gidMappings": map(first + 5),
            }),
        )
    };
    let own = |name: &'static str, options: &[&str]| {
        case(name)
            .user_namespace(100_000, 65536)
            .file("../source/file", "text")
            .mount("bind", "{bundle}/source", "/data", options)
            .look_at("/data/file")
    };
    vec![
        mapped("idmap", &["bind", "idmap"], 3000),
        mapped("idmap_ro", &["bind", "ro", "nosuid", "idmap"], 3000),
        mapped("idmap_recursive", &["rbind", "ridmap"], 3000),
        mapped("idmap_without_option", &["bind"], 3000)
            .skip("crun", "mappings without the option mean nothing to it"),
        mapped("mapped_idmap_in_user_namespace", &["bind", "idmap"], 100_010).user_namespace(100_000, 65536),
        own("mapped_idmap_as_container", &["bind", "idmap"]),
        own("mapped_idmap_as_container_recursive", &["rbind", "ridmap", "ro"]),
        own("mapped_source_of_other_owner", &["bind", "ro"]),
    ]
}

/// Things of every kind as sources.
fn bind_kinds() -> Vec<Case> {
    vec![
        case("bind_of_tty").mount("bind", "/dev/full", "/etc/full", &["bind", "ro"]).look_at("/etc/full"),
        case("bind_of_proc_file").mount("bind", "/proc/version", "/version", &["bind", "ro"]),
        case("bind_on_file_by_dangling_link").file("../one", "x").link("here", "there/deep/file").mount(
            "bind",
            "one",
            "/here",
            &["bind"],
        ),
        case("bind_over_cpuinfo")
            .file("../cpuinfo", "one processor\n")
            .mount("bind", "cpuinfo", "/proc/cpuinfo", &["bind"])
            .look_at("/proc/cpuinfo"),
        case("bind_of_type_none").dir("../source", 0o755).mount("none", "source", "/data", &["bind", "ro"]),
        case("overlay")
            .file("../one/a", "of one")
            .file("../two/b", "of two")
            .dir("../upper", 0o755)
            .dir("../work", 0o755)
            .mount(
                "overlay",
                "overlay",
                "/data",
                &["lowerdir={bundle}/one:{bundle}/two", "upperdir={bundle}/upper", "workdir={bundle}/work"],
            )
            .look_at("/data/a")
            .look_at("/data/b"),
        case("overlay_read_only")
            .file("../one/a", "of one")
            .file("../two/b", "of two")
            .mount("overlay", "mine", "/data", &["lowerdir={bundle}/one:{bundle}/two", "nosuid"])
            .look_at("/data/b"),
    ]
}

fn bind_places() -> Vec<Case> {
    vec![
        case("bind_by_option_alone").file("../source/file", "x").mount("none", "source", "/data", &["rbind"]),
        case("bind_without_type").file("../source/file", "x").push(
            "/mounts",
            json!({"destination": "/data", "source": "{bundle}/source", "options": ["bind", "ro"]}),
        ),
        case("bind_of_file")
            .file("../one", "of a file")
            .mount("bind", "one", "/etc/one", &["bind"])
            .look_at("/etc/one"),
        case("bind_of_file_ro")
            .file("../one", "of a file")
            .file("etc/one", "covered")
            .mount("bind", "{bundle}/one", "/etc/one", &["bind", "ro", "noexec"])
            .look_at("/etc/one"),
        case("bind_of_link").link("../one", "two").file("../two", "behind").mount(
            "bind",
            "one",
            "/one",
            &["bind"],
        ),
        case("bind_of_device").mount("bind", "/dev/null", "/null", &["bind"]).look_at("/null"),
        case("bind_on_deep_place")
            .dir("../source", 0o755)
            .mount("bind", "source", "/a/b/c", &["bind"])
            .writable(),
        case("bind_on_link_in_root").dir("../source", 0o755).dir("real", 0o755).link("by", "/real").mount(
            "bind",
            "source",
            "/by/data",
            &["bind"],
        ),
        case("bind_on_link_leading_out").dir("../source", 0o755).link("out", "../../../../../made").mount(
            "bind",
            "source",
            "/out/data",
            &["bind"],
        ),
        case("bind_on_relative_place").dir("../source", 0o755).mount("bind", "source", "data", &["bind"]),
        case("bind_with_dots").dir("../source", 0o755).mount("bind", "source", "/a/../data/./x", &["bind"]),
        case("bind_below_bind")
            .file("../outer/inner/file", "covered")
            .file("../one", "x")
            .mount("bind", "outer", "/data", &["rbind", "ro"])
            .mount("bind", "one", "/data/inner/file", &["bind"])
            .look_at("/data/inner/file"),
        case("bind_in_tmpfs")
            .dir("../outer", 0o755)
            .mount("tmpfs", "tmpfs", "/data", &["mode=700"])
            .mount("bind", "outer", "/data/inner/deep", &["bind", "ro"])
            .look_at("/data/inner"),
        case("bind_in_tmpfs_ro")
            .dir("../outer", 0o755)
            .mount("tmpfs", "tmpfs", "/data", &["ro", "mode=755"])
            .mount("bind", "outer", "/data/inner", &["bind"]),
        case("bind_in_bind_ro")
            .dir("../outer", 0o755)
            .dir("../other", 0o755)
            .mount("bind", "outer", "/data", &["bind", "ro"])
            .mount("bind", "other", "/data/inner", &["bind"]),
        case("bind_twice")
            .file("../one/a", "1")
            .file("../two/b", "2")
            .mount("bind", "one", "/data", &["bind"])
            .mount("bind", "two", "/data", &["bind", "ro"])
            .look_at("/data/b"),
        case("bind_over_proc_file")
            .file("../uptime", "1.00 1.00\n")
            .mount("bind", "uptime", "/proc/uptime", &["bind", "ro"])
            .look_at("/proc/uptime"),
    ]
}

fn file_systems() -> Vec<Case> {
    vec![
        case("tmpfs").mount("tmpfs", "tmpfs", "/data", &[]),
        case("tmpfs_on_directory").dir("data", 0o1777).mount("tmpfs", "tmpfs", "/data", &[]),
        case("tmpfs_on_private_directory").dir("data", 0o700).mount("tmpfs", "tmpfs", "/data", &["nosuid"]),
        case("tmpfs_options").mount(
            "tmpfs",
            "mine",
            "/data",
            &["nosuid", "nodev", "noexec", "size=128k", "mode=1770", "uid=1000", "gid=5", "nr_inodes=64"],
        ),
        case("tmpfs_ro").mount("tmpfs", "tmpfs", "/data", &["ro", "mode=755"]),
        case("tmpfs_noatime").mount("tmpfs", "tmpfs", "/data", &["noatime", "dirsync"]),
        case("tmpfs_shared").mount("tmpfs", "tmpfs", "/data", &["shared"]),
        case("tmpfs_with_copy")
            .dir("data", 0o755)
            .file("data/kept", "of the image")
            .link("data/link", "kept")
            .mount("tmpfs", "tmpfs", "/data", &["tmpcopyup", "size=1m"])
            .look_at("/data/kept")
            .look_at("/data/link"),
        case("tmpfs_with_copy_of_modes")
            .dir("data", 0o1771)
            .dir("data/sub", 0o2750)
            .file("data/sub/file", "deep")
            .mount("tmpfs", "tmpfs", "/data", &["tmpcopyup", "nosuid"])
            .look_at("/data")
            .look_at("/data/sub")
            .look_at("/data/sub/file"),
        case("tmpfs_with_copy_of_nothing").mount("tmpfs", "tmpfs", "/data", &["tmpcopyup"]).look_at("/data"),
        case("tmpfs_with_copy_and_mode")
            .dir("data", 0o711)
            .file("data/file", "x")
            .mount("tmpfs", "tmpfs", "/data", &["tmpcopyup", "mode=1777", "ro"])
            .look_at("/data/file"),
        case("tmpfs_lazytime").mount("tmpfs", "tmpfs", "/data", &["lazytime", "iversion", "loud"]),
        case("tmpfs_sync").mount("tmpfs", "tmpfs", "/data", &["sync", "silent", "nosymfollow"]),
        case("tmpfs_remounted").mount("tmpfs", "tmpfs", "/data", &["nosuid", "size=1m"]).mount(
            "tmpfs",
            "tmpfs",
            "/data",
            &["remount", "ro", "noexec", "size=2m"],
        ),
        case("ramfs").mount("ramfs", "ramfs", "/data", &["mode=750", "nodev"]),
        case("proc_ro").mount_options("/proc", &["ro", "nosuid", "nodev", "noexec"]),
        case("proc_with_data").mount_options("/proc", &["hidepid=2", "nosuid"]),
        case("proc_twice").mount("proc", "proc", "/other", &["ro"]),
        case("sys_rw").mount_options("/sys", &["nosuid", "noexec", "nodev"]),
        case("without_sys").without_mount("/sys/fs/cgroup").without_mount("/sys"),
        case("without_cgroup").without_mount("/sys/fs/cgroup"),
        case("cgroup_rw").mount_options("/sys/fs/cgroup", &["nosuid", "noexec", "nodev", "relatime", "rw"]),
        case("without_mqueue").without_mount("/dev/mqueue"),
        case("without_shm").without_mount("/dev/shm"),
        case("without_pts").without_mount("/dev/pts"),
        case("pts_of_other_modes")
            .mount_options("/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0600", "mode=0600"]),
        case("dev_bound")
            .without_mount("/dev/pts")
            .without_mount("/dev/shm")
            .without_mount("/dev/mqueue")
            .without_mount("/dev")
            .dir("../dev", 0o755)
            .mount("bind", "dev", "/dev", &["rbind"]),
        case("sticky_place_of_missing").mount("tmpfs", "tmpfs", "/var/lib/deep/data", &["mode=1777"]),
    ]
}

fn root() -> Vec<Case> {
    let mut cases = vec![
        case("root_writable").writable(),
        case("root_absolute").set("/root/path", "{bundle}/rootfs"),
        case("root_of_other_mode").dir("", 0o711),
        case("root_with_odd_image")
            .dir("proc", 0o700)
            .dir("sys", 0o711)
            .dir("dev", 0o777)
            .file("dev/null", "fake"),
        case("root_without_dev")
            .without_mount("/dev/pts")
            .without_mount("/dev/shm")
            .without_mount("/dev/mqueue")
            .without_mount("/dev")
            .writable(),
        case("root_without_proc")
            .without_mount("/proc")
            .remove("/linux/maskedPaths")
            .remove("/linux/readonlyPaths"),
    ];
    let propagations = [
        ("propagation_private", "private"),
        ("propagation_rprivate", "rprivate"),
        ("propagation_slave", "slave"),
        ("propagation_rslave", "rslave"),
        ("propagation_shared", "shared"),
        ("propagation_rshared", "rshared"),
        ("propagation_unbindable", "unbindable"),
        ("propagation_runbindable", "runbindable"),
    ];
    cases.extend(propagations.map(|(name, kind)| case(name).set("/linux/rootfsPropagation", kind)));
    cases
}

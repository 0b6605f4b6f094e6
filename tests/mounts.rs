//! Mounts as the container sees them: options, ids, copies, places, sources that are hard to reach. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::multiple_unsafe_ops_per_block,
    clippy::zombie_processes,
    reason = "a test panics when it is wrong, and traces its children by hand"
)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::{Value, json};
use support::{World, skipped, without_syscalls};

/// A mount as the table of /proc/self/mountinfo shows it, found by its place: options, filesystem's own options.
fn mount_of(text: &str, place: &str) -> Option<(String, String)> {
    let line = text.lines().rfind(|line| line.split(' ').nth(4) == Some(place))?;
    let words: Vec<&str> = line.split(' ').collect();
    Some((words[5].to_owned(), words[words.len() - 1].to_owned()))
}

/// Runs a script in a container with one more change; what it printed, or what went wrong.
fn run(world: &World, name: &str, script: &str, change: impl FnOnce(&mut Value)) -> Result<String, String> {
    world.config(&["sh", "-c", script], change);
    let output = world.output(&["run", &world.id(name)]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(out.into_owned()) } else { Err(format!("{out}{err}")) }
}

fn push(config: &mut Value, mount: Value) {
    config["mounts"].as_array_mut().unwrap().push(mount);
}

fn tmpfs(place: &str, options: &[&str]) -> Value {
    json!({ "destination": place, "type": "tmpfs", "source": "tmpfs", "options": options })
}

fn bind(source: impl AsRef<Path>, place: &str, options: &[&str]) -> Value {
    json!({ "destination": place, "source": source.as_ref(), "options": options })
}

const TABLE: &str = "cat /proc/self/mountinfo";
/// The first id of the user namespaces here.
const FIRST: u32 = 100_000;

/// A user namespace of its own, whose root owns the root filesystem.
fn user_namespace(world: &World, config: &mut Value) {
    let map = json!([{ "containerID": 0, "hostID": FIRST, "size": 65536 }]);
    config["linux"]["namespaces"].as_array_mut().unwrap().push(json!({ "type": "user" }));
    config["linux"]["uidMappings"] = map.clone();
    config["linux"]["gidMappings"] = map;
    own(&world.bundle.join("rootfs"), FIRST);
}

fn own(path: &Path, owner: u32) {
    if path.symlink_metadata().unwrap().is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| own(&entry.unwrap().path(), owner));
    }
    std::os::unix::fs::lchown(path, Some(owner), Some(owner)).unwrap();
}

#[test]
fn each_option_of_a_bind_is_what_the_kernel_shows() {
    if skipped("each_option_of_a_bind_is_what_the_kernel_shows") {
        return;
    }
    let world = World::new("bind-options");
    let source = world.directory.join("source");
    fs::create_dir(&source).unwrap();
    let rows: &[(&[&str], &str)] = &[
        (&["bind", "ro"], "ro,relatime"),
        (&["bind", "rw"], "rw,relatime"),
        (&["bind", "nosuid", "nodev", "noexec"], "rw,nosuid,nodev,noexec,relatime"),
        (&["bind", "nosuid", "suid"], "rw,relatime"),
        (&["bind", "nosymfollow"], "rw,relatime,nosymfollow"),
        (&["bind", "nosymfollow", "symfollow"], "rw,relatime"),
        (&["bind", "noatime"], "rw,noatime"),
        (&["bind", "noatime", "atime"], "rw,relatime"),
        (&["bind", "strictatime"], "rw"),
        (&["bind", "strictatime", "nostrictatime"], "rw,relatime"),
        (&["bind", "nodiratime"], "rw,nodiratime,relatime"),
        (&["bind", "nodiratime", "diratime"], "rw,relatime"),
        (
            &["bind", "defaults", "norelatime", "loud", "silent", "async", "nomand", "nolazytime"],
            "rw,relatime",
        ),
        (&["rbind", "rro"], "ro,relatime"),
        (&["rbind", "rro", "rrw"], "rw,relatime"),
        (&["rbind", "rnosuid", "rnodev", "rnoexec"], "rw,nosuid,nodev,noexec,relatime"),
        (&["rbind", "rnosuid", "rsuid", "rnodev", "rdev", "rnoexec", "rexec"], "rw,relatime"),
        (&["rbind", "rnoatime"], "rw,noatime"),
        (&["rbind", "rnoatime", "ratime"], "rw,relatime"),
        (&["rbind", "rnoatime", "rrelatime"], "rw,relatime"),
        (&["rbind", "rstrictatime"], "rw"),
        (&["rbind", "rstrictatime", "rnostrictatime", "rnorelatime"], "rw,relatime"),
        (&["rbind", "rnodiratime"], "rw,nodiratime,relatime"),
        (&["rbind", "rnodiratime", "rdiratime"], "rw,relatime"),
        (&["rbind", "rnosymfollow"], "rw,relatime,nosymfollow"),
        (&["rbind", "rnosymfollow", "rsymfollow"], "rw,relatime"),
    ];
    let seen = run(&world, "c", TABLE, |config| {
        for (number, (options, _)) in rows.iter().enumerate() {
            push(config, bind(&source, &format!("/b{number}"), options));
        }
    });
    let seen = seen.unwrap();
    for (number, (options, expected)) in rows.iter().enumerate() {
        let (shown, _) = mount_of(&seen, &format!("/b{number}")).unwrap();
        assert_eq!(&shown, expected, "{options:?}");
    }
    world.assert_nothing_left();
}

#[test]
fn recursive_options_reach_the_mounts_below() {
    if skipped("recursive_options_reach_the_mounts_below") {
        return;
    }
    let world = World::new("recursive");
    fs::create_dir_all(world.directory.join("source/below")).unwrap();
    let script = format!("{TABLE}; echo x > /r/below/null; (echo x > /r/below/file) 2>/dev/null || echo ro");
    world.config(&["sh", "-c", &script], |config| {
        push(config, bind("../source", "/r", &["rbind", "rro", "rnoatime"]));
        push(config, bind("../source", "/o", &["rbind", "ro"]));
    });
    // The mount below is in a mount namespace of the test's own. Devices in a read-only tree can be written to.
    let script =
        r#"mount -t tmpfs below "$1/below" && mknod -m 666 "$1/below/null" c 1 3 && shift && exec "$@""#;
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
    command.arg(world.directory.join("source")).arg(env!("CARGO_BIN_EXE_riverrun"));
    command.arg("--root").arg(&world.root).args(["run", &world.id("c")]).current_dir(&world.bundle);
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let seen = String::from_utf8_lossy(&output.stdout);
    assert_eq!(mount_of(&seen, "/r").unwrap().0, "ro,noatime", "{output:?}");
    assert_eq!(mount_of(&seen, "/r/below").unwrap().0, "ro,noatime");
    assert_eq!(mount_of(&seen, "/o/below").unwrap().0, "rw,relatime");
    assert!(seen.ends_with("ro\n") && output.stderr.is_empty(), "{output:?}");
    world.assert_nothing_left();
}

#[test]
fn each_option_of_a_filesystem_is_what_the_kernel_shows() {
    if skipped("each_option_of_a_filesystem_is_what_the_kernel_shows") {
        return;
    }
    let world = World::new("fs-options");
    let rows: &[(&[&str], &str, &str)] = &[
        (&["ro", "mode=755"], "ro,relatime", "rw,mode=755"),
        (&["sync", "dirsync", "mode=755"], "rw,relatime", "rw,sync,dirsync,mode=755"),
        (&["sync", "async", "mode=755"], "rw,relatime", "rw,mode=755"),
        (&["lazytime", "mode=755"], "rw,relatime", "rw,lazytime,mode=755"),
        (&["lazytime", "nolazytime", "mode=755"], "rw,relatime", "rw,mode=755"),
        (&["mand", "iversion", "mode=755"], "rw,relatime", "rw,*mode=755"),
        (&["rnosuid", "rnoexec", "rro", "mode=755"], "ro,nosuid,noexec,relatime", "rw,mode=755"),
        (
            &["size=64k,nr_inodes=9", "mode=700", "uid=3", "gid=4"],
            "rw,relatime",
            "rw,size=64k,nr_inodes=9,mode=700,uid=3,gid=4",
        ),
    ];
    let seen = run(&world, "c", TABLE, |config| {
        for (number, (options, _, _)) in rows.iter().enumerate() {
            push(config, tmpfs(&format!("/t{number}"), options));
        }
        push(
            config,
            json!({ "destination": "/ram", "type": "ramfs", "source": "ramfs", "options": ["mode=750"] }),
        );
    });
    let seen = seen.unwrap();
    for (number, (options, attributes, superblock)) in rows.iter().enumerate() {
        let (shown, fs) = mount_of(&seen, &format!("/t{number}")).unwrap();
        assert_eq!(&shown, attributes, "{options:?}");
        match superblock.split_once('*') {
            Some((head, tail)) => assert!(fs.starts_with(head) && fs.ends_with(tail), "{options:?}: {fs}"),
            None => assert_eq!(&fs, superblock, "{options:?}"),
        }
    }
    assert_eq!(mount_of(&seen, "/ram").unwrap().1, "rw,mode=750");
    world.assert_nothing_left();
}

#[test]
fn remount_changes_the_mount_that_is_there() {
    if skipped("remount_changes_the_mount_that_is_there") {
        return;
    }
    let world = World::new("remount");
    let seen = run(&world, "c", TABLE, |config| {
        for place in ["/fs", "/one"] {
            push(config, tmpfs(place, &["nosuid", "mode=755"]));
        }
        push(config, tmpfs("/fs", &["remount", "ro", "noexec", "size=2m"]));
        push(config, json!({ "destination": "/one", "options": ["remount", "bind", "ro", "nodev"] }));
    });
    let seen = seen.unwrap();
    let shown = |place| mount_of(&seen, place).unwrap();
    assert_eq!(shown("/fs"), ("ro,noexec,relatime".into(), "ro,size=2048k,mode=755".into()));
    assert_eq!(shown("/one"), ("ro,nodev,relatime".into(), "rw,mode=755".into()));
    let error =
        run(&world, "d", "true", |config| push(config, tmpfs("/bin", &["remount", "ro"]))).unwrap_err();
    assert!(error.contains("remount /bin: invalid argument"), "{error}");
    world.assert_nothing_left();
}

/// An image's directory with one of each kind.
fn image(rootfs: &Path) {
    let data = rootfs.join("data");
    fs::create_dir_all(data.join("sub/deep")).unwrap();
    fs::write(data.join("file"), "text").unwrap();
    fs::hard_link(data.join("file"), data.join("sub/other")).unwrap();
    chown(data.join("file"), Some(7), Some(8)).unwrap();
    fs::set_permissions(data.join("file"), PermissionsExt::from_mode(0o4750)).unwrap();
    fs::set_permissions(data.join("sub/deep"), PermissionsExt::from_mode(0o2711)).unwrap();
    fs::set_permissions(&data, PermissionsExt::from_mode(0o1771)).unwrap();
    symlink("../../../../etc", data.join("link")).unwrap();
    nix::unistd::mkfifo(&data.join("fifo"), Mode::from_bits_truncate(0o640)).unwrap();
    mknod(&data.join("null"), SFlag::S_IFCHR, Mode::from_bits_truncate(0o604), makedev(1, 3)).unwrap();
    let name = c"user.note";
    let path = std::ffi::CString::new(data.join("sub").to_str().unwrap()).unwrap();
    // SAFETY: both names are NUL-terminated, the value is as long as is said.
    let set = unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), c"kept".as_ptr().cast(), 4, 0) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::open(data.join("sub")).unwrap().set_modified(time).unwrap();
}

const LOOK: &str = "cd /data; for f in . * sub/*; do busybox stat -c '%n %A %u:%g %h %t:%T' $f; done; cat file; \
    busybox readlink link; busybox stat -c %Y sub; cat /proc/self/mountinfo";

#[test]
fn a_tmpfs_gets_a_copy_of_what_it_covers() {
    if skipped("a_tmpfs_gets_a_copy_of_what_it_covers") {
        return;
    }
    let world = World::new("copyup");
    image(&world.bundle.join("rootfs"));
    fs::create_dir_all(world.bundle.join("rootfs/etc")).unwrap();
    fs::write(world.bundle.join("rootfs/etc/secret"), "not followed").unwrap();
    world.config(&["sh", "-c", LOOK], |config| {
        push(config, tmpfs("/data", &["tmpcopyup", "size=1m", "nosuid"]));
        config["process"]["capabilities"]["effective"] = json!(["CAP_DAC_OVERRIDE"]);
        config["process"]["capabilities"]["permitted"] = json!(["CAP_DAC_OVERRIDE"]);
        config["process"]["capabilities"]["bounding"] = json!(["CAP_DAC_OVERRIDE"]);
    });
    let expected = ". drwxrwx--t 0:0 3 0:0\nfifo prw-r----- 0:0 1 0:0\nfile -rwsr-x--- 7:8 2 0:0\n\
        link lrwxrwxrwx 0:0 1 0:0\nnull crw----r-- 0:0 1 1:3\nsub drwxr-xr-x 0:0 3 0:0\n\
        sub/deep drwx--s--x 0:0 2 0:0\nsub/other -rwsr-x--- 7:8 2 0:0\ntext../../../../etc\n1000000000\n";
    // With and without the new mount API.
    for (name, missing) in [("new", &[][..]), ("classic", &[libc::SYS_fsopen])] {
        let id = world.id(name);
        let mut command = world.riverrun(&["run", &id]);
        without_syscalls(&mut command, missing);
        let output = command.output().unwrap();
        let seen = String::from_utf8_lossy(&output.stdout);
        assert!(seen.starts_with(expected), "{name}: {output:?}");
        assert_eq!(mount_of(&seen, "/data").unwrap().1, "rw,size=1024k,mode=1771", "{name}");
    }
    world.assert_nothing_left();
}

#[test]
fn a_copy_keeps_to_the_size_of_its_tmpfs_and_to_its_depth() {
    if skipped("a_copy_keeps_to_the_size_of_its_tmpfs_and_to_its_depth") {
        return;
    }
    let world = World::new("copyup-size");
    let data = world.bundle.join("rootfs/data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("large"), vec![0; 200 * 1024]).unwrap();
    let small = |config: &mut Value| push(config, tmpfs("/data", &["tmpcopyup", "size=64k"]));
    let error = run(&world, "c", "true", small).unwrap_err();
    assert!(error.contains("copy up /data/large: no space left on device"), "{error}");
    fs::remove_file(data.join("large")).unwrap();
    // Deeper than descriptors or a stack reach, and many.
    let deep = "d/".repeat(600);
    fs::create_dir_all(data.join(&deep)).unwrap();
    fs::write(data.join(&deep).join("end"), "there").unwrap();
    (0..3000).for_each(|number| fs::write(data.join(format!("file-{number}")), "x").unwrap());
    let script = format!("cat /data/{deep}end; ls /data | busybox wc -l");
    let seen = run(&world, "d", &script, |config| push(config, tmpfs("/data", &["tmpcopyup"]))).unwrap();
    assert_eq!(seen, "there3001\n");
    world.assert_nothing_left();
}

/// uid:gid of the image's file, in the container.
const OWNER: &str = "busybox stat -c %u:%g /m/file";

fn file_of(world: &World, uid: u32, gid: u32) -> std::path::PathBuf {
    let source = world.directory.join("source");
    fs::create_dir_all(source.join("in")).unwrap();
    fs::write(source.join("file"), "text").unwrap();
    chown(source.join("file"), Some(uid), Some(gid)).unwrap();
    source
}

fn map(inside: u32, outside: u32, size: u32) -> Value {
    json!([{ "containerID": inside, "hostID": outside, "size": size }])
}

#[test]
fn ids_of_a_mount_are_its_own() {
    if skipped("ids_of_a_mount_are_its_own") {
        return;
    }
    let world = World::new("idmap");
    let source = file_of(&world, 7, 8);
    let mapped = |place: &str, options: &[&str], first: u32| {
        let mut mount = bind(&source, place, options);
        mount["uidMappings"] = map(0, first, 100);
        mount["gidMappings"] = map(0, first + 1000, 100);
        mount
    };
    let seen = run(&world, "c", &format!("{OWNER}; {}; {TABLE}", OWNER.replace("/m/", "/n/")), |config| {
        push(config, mapped("/m", &["bind", "idmap", "ro"], 5000));
        push(config, mapped("/n", &["rbind", "ridmap"], 7000));
        // Said without the option it is still done, as by runc.
        push(config, mapped("/o", &["bind"], 5000));
        let mut made = tmpfs("/t", &["idmap", "mode=777"]);
        (made["uidMappings"], made["gidMappings"]) = (map(0, 0, 10), map(0, 0, 10));
        push(config, made);
    });
    let seen = seen.unwrap();
    assert!(seen.starts_with("5007:6008\n7007:8008\n"), "{seen}");
    for (place, shown) in [
        ("/m", "ro,relatime,idmapped"),
        ("/n", "rw,relatime,idmapped"),
        ("/o", "rw,relatime,idmapped"),
        ("/t", "rw,relatime,idmapped"),
    ] {
        assert_eq!(mount_of(&seen, place).unwrap().0, shown, "{place}");
    }
    world.assert_nothing_left();
}

#[test]
fn ids_of_a_mount_in_a_user_namespace_are_the_containers_or_its_own() {
    if skipped("ids_of_a_mount_in_a_user_namespace_are_the_containers_or_its_own") {
        return;
    }
    let world = World::new("idmap-userns");
    let source = file_of(&world, 7, 8);
    let script = format!("{OWNER}; {}; echo x > /m/new; {TABLE}", OWNER.replace("/m/", "/n/"));
    let seen = run(&world, "c", &script, |config| {
        user_namespace(&world, config);
        push(config, bind(&source, "/m", &["bind", "idmap"]));
        let mut other = bind(&source, "/n", &["bind", "idmap", "ro", "nosuid"]);
        (other["uidMappings"], other["gidMappings"]) = (map(0, FIRST + 10, 100), map(0, FIRST + 20, 100));
        push(config, other);
    });
    let seen = seen.unwrap();
    assert!(seen.starts_with("7:8\n17:28\n"), "{seen}");
    assert_eq!(mount_of(&seen, "/m").unwrap().0, "rw,relatime,idmapped");
    assert_eq!(mount_of(&seen, "/n").unwrap().0, "ro,nosuid,relatime,idmapped");
    // What the container's root makes there is root's on the host.
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(source.join("new")).unwrap().uid(), 0);
    world.assert_nothing_left();
}

#[test]
fn ids_that_cannot_be_changed_are_an_error_that_names_the_mount() {
    if skipped("ids_that_cannot_be_changed_are_an_error_that_names_the_mount") {
        return;
    }
    let world = World::new("idmap-error");
    let source = file_of(&world, 7, 8);
    let with = |mut mount: Value| {
        (mount["uidMappings"], mount["gidMappings"]) = (map(0, 5000, 100), map(0, 5000, 100));
        move |config: &mut Value| push(config, mount)
    };
    let error =
        run(&world, "p", "true", with(bind("/sys/fs/cgroup/pids", "/m", &["bind", "idmap"]))).unwrap_err();
    let wanted =
        "map ids (uidMappings, gidMappings) of /sys/fs/cgroup/pids on /m: the filesystem cannot do that";
    assert!(error.contains(wanted), "{error}");
    for userns in [false, true] {
        world.config(&["true"], |config| {
            with(bind(&source, "/m", &["bind", "idmap"]))(config);
            if userns {
                user_namespace(&world, config);
            }
        });
        let mut command = world.riverrun(&["run", &world.id("e")]);
        without_syscalls(&mut command, &[libc::SYS_mount_setattr]);
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("on /m: the kernel cannot do that: function not implemented"), "{error}");
    }
    world.assert_nothing_left();
}

#[test]
fn a_source_that_only_the_runtime_reaches_is_opened_by_it() {
    if skipped("a_source_that_only_the_runtime_reaches_is_opened_by_it") {
        return;
    }
    let world = World::new("reach");
    let source = file_of(&world, 7, 8);
    fs::set_permissions(source.join("file"), PermissionsExt::from_mode(0o644)).unwrap();
    chown(&source, Some(4242), Some(4242)).unwrap();
    fs::set_permissions(&source, PermissionsExt::from_mode(0o700)).unwrap();
    let many: Vec<String> = (0..40).map(|number| format!("/m{number}")).collect();
    let seen = run(&world, "c", &format!("cat /file /m39; {TABLE}"), |config| {
        user_namespace(&world, config);
        push(config, bind(source.join("file"), "/file", &["bind", "ro", "nosuid"]));
        many.iter().for_each(|place| push(config, bind(source.join("file"), place, &["bind"])));
        push(config, bind(source.join("in"), "/in", &["rbind", "rnoexec"]));
    });
    let seen = seen.unwrap();
    assert!(seen.starts_with("texttext"), "{seen}");
    assert_eq!(mount_of(&seen, "/file").unwrap().0, "ro,nosuid,relatime");
    assert_eq!(mount_of(&seen, "/in").unwrap().0, "rw,noexec,relatime");
    let error = run(&world, "d", "true", |config| {
        user_namespace(&world, config);
        push(config, bind(source.join("none"), "/file", &["bind"]));
    });
    assert!(error.unwrap_err().contains("/source/none on /file: no such file or directory"));
    world.assert_nothing_left();
}

#[test]
fn flags_that_the_host_locked_stay_locked_in_a_tree_of_the_runtime() {
    if skipped("flags_that_the_host_locked_stay_locked_in_a_tree_of_the_runtime") {
        return;
    }
    let world = World::new("locked");
    let source = world.directory.join("source");
    fs::create_dir_all(source.join("in")).unwrap();
    let outcome = |name: &str, reachable: bool, options: &[&str]| {
        let script = "mount -o remount,bind,suid /m 2>/dev/null && echo unlocked; cat /proc/self/mountinfo";
        world.config(&["sh", "-c", script], |config| {
            user_namespace(&world, config);
            for set in ["bounding", "effective", "permitted"] {
                config["process"]["capabilities"][set] = json!(["CAP_SYS_ADMIN"]);
            }
            push(config, bind(source.join("in"), "/m", options));
        });
        // A filesystem of the test's own mount namespace, whose flags the container's root must not change.
        let script = r#"mount -t tmpfs -o nosuid,mode=$1 m "$2" && mkdir "$2/in" && shift 2 && exec "$@""#;
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
        command.arg(if reachable { "755" } else { "700,uid=4242" }).arg(&source);
        command.arg(env!("CARGO_BIN_EXE_riverrun")).arg("--root").arg(&world.root);
        command.args(["run", &world.id(name)]).current_dir(&world.bundle).stdin(std::process::Stdio::null());
        let output = command.output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if output.status.success() { Ok(out.into_owned()) } else { Err(err.into_owned()) }
    };
    for reachable in [true, false] {
        let name = if reachable { "r" } else { "u" };
        let seen = outcome(name, reachable, &["bind"]).unwrap();
        assert!(!seen.contains("unlocked"), "reachable {reachable}: {seen}");
        assert_eq!(mount_of(&seen, "/m").unwrap().0, "rw,nosuid,relatime", "reachable {reachable}");
        // A flag that is not named is kept, one that is named must go.
        let seen = outcome(name, reachable, &["bind", "ro"]).unwrap();
        assert_eq!(mount_of(&seen, "/m").unwrap().0, "ro,nosuid,relatime", "reachable {reachable}");
        let error = outcome(name, reachable, &["bind", "suid"]).unwrap_err();
        assert!(error.contains("on /m: cannot clear locked flags: operation not permitted"), "{error}");
        let error = outcome(name, reachable, &["bind", "noatime"]).unwrap_err();
        assert!(error.contains("on /m: cannot change locked atime flags"), "{error}");
    }
    world.assert_nothing_left();
}

#[test]
fn a_root_that_only_the_runtime_reaches_is_opened_by_it() {
    if skipped("a_root_that_only_the_runtime_reaches_is_opened_by_it") {
        return;
    }
    let world = World::new("root-reach");
    let look = "pwd; ls /; ls /..; cat /m; cat /proc/self/mountinfo";
    fs::write(world.directory.join("shared"), "text\n").unwrap();
    let seen = run(&world, "c", look, |config| {
        user_namespace(&world, config);
        push(config, bind(world.directory.join("shared"), "/m", &["bind"]));
        chown(&world.bundle, Some(4242), Some(4242)).unwrap();
        fs::set_permissions(&world.bundle, PermissionsExt::from_mode(0o700)).unwrap();
    });
    let seen = seen.unwrap();
    let listing = "bin\ndev\nm\nproc\nsys\n";
    assert!(seen.starts_with(&format!("/\n{listing}{listing}text\n")), "{seen}");
    assert_eq!(mount_of(&seen, "/").unwrap().0, "ro,relatime");
    assert!(!seen.contains(" /etc/"), "mounts of the host: {seen}");
    world.assert_nothing_left();
}

#[test]
fn nothing_is_mounted_below_proc_by_a_link_of_the_image() {
    if skipped("nothing_is_mounted_below_proc_by_a_link_of_the_image") {
        return;
    }
    let world = World::new("into-proc");
    let rootfs = world.bundle.join("rootfs");
    fs::write(world.directory.join("fake"), "fake").unwrap();
    symlink("/proc/self/attr/exec", rootfs.join("file")).unwrap();
    symlink("/proc/sys", rootfs.join("dir")).unwrap();
    symlink("proc/sys", rootfs.join("parent")).unwrap();
    let rows = [
        bind(world.directory.join("fake"), "/file", &["bind"]),
        tmpfs("/dir", &[]),
        tmpfs("/parent/kernel", &[]),
    ];
    for mount in rows {
        let place = mount["destination"].clone();
        let error = run(&world, "c", "true", |config| push(config, mount)).unwrap_err();
        assert!(error.contains("a link leads into /proc"), "{place}: {error}");
    }
    let error = run(&world, "d", "true", |config| {
        config["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/proc");
        config["mounts"].as_array_mut().unwrap().insert(0, bind(&world.directory, "/proc", &["bind"]));
    });
    assert!(error.unwrap_err().contains("on /proc: it is not of type proc"));
    world.assert_nothing_left();
}

#[test]
fn an_overlay_takes_more_layers_than_a_page_of_options() {
    if skipped("an_overlay_takes_more_layers_than_a_page_of_options") {
        return;
    }
    let world = World::new("overlay");
    let upper = world.directory.join("upper");
    // A directory name that makes 60 layers longer than mount(2) takes.
    let name = "layer".repeat(12);
    let layers: Vec<String> =
        (0..60).map(|number| format!("{}/{name}-{number}", world.directory.display())).collect();
    layers.iter().enumerate().for_each(|(number, layer)| {
        fs::create_dir(layer).unwrap();
        fs::write(Path::new(layer).join(format!("file{number}")), "x").unwrap();
    });
    // An overlay's upper layer cannot be another overlay or the like: a tmpfs it is, where the test's own is none.
    fs::create_dir_all(upper.join("up")).unwrap();
    fs::create_dir_all(upper.join("work")).unwrap();
    let lower = format!("lowerdir={}", layers.join(":"));
    assert!(lower.len() > 4096);
    let data =
        [lower, format!("upperdir={}/up", upper.display()), format!("workdir={}/work", upper.display())];
    let mount = json!({ "destination": "/o", "type": "overlay", "source": "overlay", "options": data });
    let seen =
        run(&world, "c", "ls /o | busybox wc -l; echo new > /o/new", |config| push(config, mount.clone()));
    assert_eq!(seen.unwrap(), "60\n");
    assert_eq!(fs::read_to_string(upper.join("up/new")).unwrap(), "new\n");
    // The old call would cut the options without a word.
    world.config(&["true"], |config| push(config, mount));
    let mut command = world.riverrun(&["run", &world.id("d")]);
    without_syscalls(&mut command, &[libc::SYS_fsopen]);
    let error = command.output().unwrap().stderr;
    assert!(String::from_utf8_lossy(&error).contains("mount overlay on /o: argument list too long"));
    world.assert_nothing_left();
}

#[test]
fn masked_directories_are_one_filesystem_below_any_mount() {
    if skipped("masked_directories_are_one_filesystem_below_any_mount") {
        return;
    }
    let world = World::new("masks");
    let rootfs = world.bundle.join("rootfs");
    for path in ["a/x", "b/y", "real/z"] {
        fs::create_dir_all(rootfs.join(path)).unwrap();
    }
    let shared = world.directory.join("shared");
    fs::create_dir_all(shared.join("secret/in")).unwrap();
    fs::write(shared.join("conf"), "writable").unwrap();
    symlink("real", rootfs.join("by")).unwrap();
    let script = "for d in /a /b /real /s/secret; do busybox stat -c %d $d; ls $d; done; cat /proc/self/mountinfo; \
        echo x > /s/conf";
    world.config(&["sh", "-c", script], |config| {
        push(config, bind(&shared, "/s", &["bind", "nosuid", "noexec"]));
        config["linux"]["maskedPaths"] = json!(["/a", "/b", "/by", "/s/secret", "/none", "/a/x/none"]);
        config["linux"]["readonlyPaths"] = json!(["/s/conf", "/none"]);
    });
    let output = world.output(&["run", &world.id("c")]);
    let seen = String::from_utf8_lossy(&output.stdout);
    let devices: Vec<&str> = seen.lines().take(4).collect();
    assert!(devices.iter().all(|device| *device == devices[0] && device.parse::<u64>().is_ok()), "{seen}");
    assert_eq!(mount_of(&seen, "/s/conf").unwrap().0, "ro,nosuid,noexec,relatime");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Read-only file system"), "{output:?}");
    world.assert_nothing_left();
}

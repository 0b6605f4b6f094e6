//! Bad inputs, as a table: what is wrong, which code says so, and a word of the message. After each, nothing is left: no state,
//! cgroup, mount, process, child or descriptor.
#![forbid(unsafe_code)]

use super::host::compile;
use super::scene::{Scene, root_or_skip};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// Makes a create with a bundle that `spoil` has spoilt; what C was told: the code's name and the message.
fn create(scene: &Scene, id: &str, pid_file: Option<&Path>, spoil: impl FnOnce(&Path)) -> (String, String) {
    let bundle = scene.bundle("bundle", &["/bin/true"]);
    spoil(Path::new(&bundle));
    let mut command = Command::new(compile("refused"));
    command.arg(scene.root()).arg(&bundle).arg(id).args(pid_file);
    told(&mut command)
}

fn told(command: &mut Command) -> (String, String) {
    let output = command.output().expect("a program can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    let (code, message) = text.split_once('\n').expect("two lines are printed");
    (code.to_owned(), message.trim_end().to_owned())
}

fn unique(what: &str) -> String {
    format!("rr-abi-refused-{what}-{}", std::process::id())
}

/// Changes the config of a bundle.
fn config(bundle: &Path, change: impl FnOnce(&mut Value)) {
    let path = bundle.join("config.json");
    let mut value = serde_json::from_slice(&fs::read(&path).expect("a config is there")).expect("it is JSON");
    change(&mut value);
    fs::write(path, value.to_string()).expect("it can be written");
}

fn check(what: &str, wanted: &str, word: &str, spoil: impl FnOnce(&Path)) {
    if !root_or_skip(what) {
        return;
    }
    let (scene, id) = (Scene::new("refused"), unique(what));
    let (code, message) = create(&scene, &id, None, spoil);
    assert!(
        code == wanted && message.contains(word),
        "{what}: {code}: {message}; wanted {wanted}: ..{word}.."
    );
    scene.assert_nothing_left(&id);
}

#[test]
fn missing_config_is_told_by_name() {
    check("no-config", "RR_E_INVALID_SPEC", "config.json", |bundle| {
        fs::remove_file(bundle.join("config.json")).expect("it is there");
    });
}

#[test]
fn malformed_config_is_told_with_its_place() {
    check("half", "RR_E_INVALID_SPEC", "line 1", |bundle| {
        fs::write(bundle.join("config.json"), "{\"ociVersion\": \"1.0.2\", ").expect("it can be written");
    });
    let typed = |place: &'static str, value: Value| {
        move |bundle: &Path| {
            config(bundle, |config| {
                *config.pointer_mut(&format!("/{}", place.replace('.', "/"))).expect("it is there") = value;
            });
        }
    };
    check("args", "RR_E_INVALID_SPEC", "process.args", typed("process.args", json!("/bin/true")));
    check("uid", "RR_E_INVALID_SPEC", "process.user.uid", typed("process.user.uid", json!("root")));
    check(
        "uid-wide",
        "RR_E_INVALID_SPEC",
        "process.user.uid",
        typed("process.user.uid", json!(4_294_967_296_u64)),
    );
    check("uid-none", "RR_E_INVALID_SPEC", "4294967295", typed("process.user.uid", json!(u32::MAX)));
    check("args-empty", "RR_E_INVALID_SPEC", "args", typed("process.args", json!([])));
    check("cwd-relative", "RR_E_INVALID_SPEC", "absolute", typed("process.cwd", json!("tmp")));
    check("env", "RR_E_INVALID_SPEC", "process.env[0]", typed("process.env", json!(["PATH"])));
}

#[test]
fn unusable_root_filesystem_is_told_so() {
    let rootfs = |make: fn(&Path)| {
        move |bundle: &Path| {
            fs::rename(bundle.join("rootfs"), bundle.join("elsewhere")).expect("it is there");
            make(&bundle.join("rootfs"));
        }
    };
    check("rootfs-missing", "RR_E_ROOTFS", "rootfs", rootfs(|_| {}));
    check(
        "rootfs-file",
        "RR_E_ROOTFS",
        "rootfs",
        rootfs(|path| fs::write(path, "").expect("it can be written")),
    );
    check(
        "rootfs-link",
        "RR_E_ROOTFS",
        "rootfs",
        rootfs(|path| symlink("elsewhere", path).expect("it can be made")),
    );
}

#[test]
fn program_that_cannot_be_executed_is_told_by_code() {
    let program = |name: &'static str| {
        move |bundle: &Path| {
            let plain = bundle.join("rootfs/bin/plain");
            fs::write(&plain, "#!/bin/sh\n").expect("it can be written");
            fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).expect("it is ours");
            config(bundle, |config| config["process"]["args"] = json!([name]));
        }
    };
    check("missing", "RR_E_EXEC_NOT_FOUND", "no such file or directory", program("/bin/none-such"));
    check("not-in-path", "RR_E_EXEC_NOT_FOUND", "executable file not found in $PATH", program("none-such"));
    check("plain", "RR_E_EXEC_PERMISSION", "permission denied", program("/bin/plain"));
    check("directory", "RR_E_EXEC_PERMISSION", "", program("/bin"));
}

#[test]
fn working_directory_is_made_or_told() {
    let cwd = |cwd: &'static str| {
        move |bundle: &Path| {
            fs::write(bundle.join("rootfs/file"), "").expect("it can be written");
            config(bundle, |config| config["process"]["cwd"] = json!(cwd));
        }
    };
    check("cwd-new", "RR_OK", "", cwd("/new/deep"));
    check("cwd-file", "RR_E_CWD", "/file", cwd("/file"));
    check("cwd-below-file", "RR_E_CWD", "/file/below", cwd("/file/below"));
}

#[test]
fn invalid_id_is_told_so() {
    let long = "a".repeat(300);
    for id in ["", "a/b", "..", ".", "../a", &long, "a b", "a\u{e9}"] {
        let scene = Scene::new("refused");
        let (code, message) = create(&scene, id, None, |_| {});
        assert_eq!(code, "RR_E_INVALID_ID", "{id:?}: {message}");
        scene.assert_nothing_left("rr-abi-refused-nothing");
    }
}

#[test]
fn pid_file_in_a_missing_directory_undoes_the_create() {
    if !root_or_skip("pid_file_in_a_missing_directory_undoes_the_create") {
        return;
    }
    let (scene, id) = (Scene::new("refused"), unique("pid-file"));
    let pid_file = scene.path().join("none-such/pid");
    let (code, message) = create(&scene, &id, Some(&pid_file), |_| {});
    assert!(code == "RR_E_SYSTEM" && message.contains("none-such/pid"), "{code}: {message}");
    scene.assert_nothing_left(&id);
}

#[test]
fn read_only_state_directory_is_told_by_path() {
    if !root_or_skip("read_only_state_directory_is_told_by_path") {
        return;
    }
    let (scene, id) = (Scene::new("refused"), unique("read-only"));
    let bundle = scene.bundle("bundle", &["/bin/true"]);
    fs::create_dir(scene.root()).expect("it can be made");
    // A mount namespace of the program's own: nothing of it is seen outside, and it goes with the program.
    let script = "mount -t tmpfs -o ro tmpfs \"$1\" && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    command.arg(compile("refused")).arg(scene.root()).arg(bundle).arg(&id);
    let (code, message) = told(&mut command);
    assert!(code == "RR_E_SYSTEM" && message.contains("read-only file system"), "{code}: {message}");
    scene.assert_nothing_left(&id);
}

//! What the tests of limits share: the files of a container's cgroups, found by `state.json`.
#![allow(clippy::unwrap_used, dead_code, reason = "a test panics when it is wrong, and each uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::World;

/// A controller on a v1 hierarchy of this machine, or `None` if it is on the cgroup2 or nowhere.
pub(crate) fn on_v1(controller: &str) -> bool {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap();
    let mut names = text.lines().filter_map(|line| line.split(':').nth(1)).flat_map(|names| names.split(','));
    names.any(|name| name == controller)
}

/// A controller on the cgroup2 of this machine, alone or beside v1.
pub(crate) fn on_v2(controller: &str) -> bool {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].iter().any(|mount| {
        let text = fs::read_to_string(Path::new(mount).join("cgroup.controllers")).unwrap_or_default();
        text.split_ascii_whitespace().any(|name| name == controller)
    })
}

/// Why a test cannot run without this controller.
pub(crate) fn lacks(name: &str, controllers: &[&str]) -> bool {
    let v2 = |name: &str| on_v2(if name == "blkio" { "io" } else { name });
    match controllers.iter().find(|controller| !on_v1(controller) && !v2(controller)) {
        Some(controller) => {
            eprintln!("skipped {name}: needs the {controller} controller");
            true
        }
        None => false,
    }
}

/// The `state.json` of a container.
pub(crate) fn state(world: &World, id: &str) -> Value {
    serde_json::from_slice(&fs::read(world.root.join(id).join("state.json")).unwrap()).unwrap()
}

/// Where a file of a container's cgroups is.
pub(crate) fn path(world: &World, id: &str, file: &str) -> PathBuf {
    let state = state(world, id);
    let paths = state["cgroup_paths"].as_object().unwrap();
    let controller = file.split('.').next().unwrap();
    let directory = paths.get(controller).or_else(|| paths.get("")).unwrap();
    Path::new(directory.as_str().unwrap()).join(file)
}

/// What a file of a container's cgroups says: v1's name, then v2's, whichever the controller is on.
pub(crate) fn read(world: &World, id: &str, v1: &str, v2: &str) -> String {
    let file = if on_v1(v1.split('.').next().unwrap()) { v1 } else { v2 };
    let path = path(world, id, file);
    fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .trim_end()
        .to_owned()
}

/// `one` on v1, `other` on v2.
pub(crate) fn either<'a>(controller: &str, one: &'a str, other: &'a str) -> &'a str {
    if on_v1(controller) { one } else { other }
}

/// A container that sleeps, with these resources.
pub(crate) fn sleeper(world: &World, id: &str, resources: &Value) -> Output {
    world.config(&["sleep", "600"], |config| config["linux"]["resources"] = resources.clone());
    quiet(world, &["run", "--detach", id])
}

/// The command line without streams that a container would keep open.
pub(crate) fn quiet(world: &World, arguments: &[&str]) -> Output {
    let errors = world.directory.join("errors");
    let file = fs::File::create(&errors).unwrap();
    let status = world.riverrun(arguments).stdout(Stdio::null()).stderr(file).status().unwrap();
    Output { status, stdout: Vec::new(), stderr: fs::read(errors).unwrap() }
}

/// Whether it went well; what it said otherwise.
pub(crate) fn said(output: &Output) -> Result<(), String> {
    let text = String::from_utf8_lossy(&output.stderr).replace("\\\"", "\"");
    if output.status.success() { Ok(()) } else { Err(text) }
}

/// An update by a JSON document on standard input.
pub(crate) fn update(world: &World, id: &str, resources: &Value) -> Result<(), String> {
    let file = world.directory.join("resources.json");
    fs::write(&file, resources.to_string()).unwrap();
    let mut command: Command = world.riverrun(&["update", "--resources", "-", id]);
    said(&command.stdin(fs::File::open(file).unwrap()).output().unwrap())
}

/// Deletes a container, running or not.
pub(crate) fn delete(world: &World, id: &str) {
    said(&world.output(&["delete", "--force", id])).unwrap();
}

/// A device of this machine that can be opened, and is not one that every container may use: its path, rule and node.
pub(crate) fn device() -> Option<(PathBuf, Value, Value)> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let candidates = ["/dev/loop-control", "/dev/vda", "/dev/sda", "/dev/kmsg", "/dev/fuse"];
    let path = candidates.into_iter().map(PathBuf::from).find(|path| fs::File::open(path).is_ok())?;
    let there = fs::metadata(&path).unwrap();
    let kind = if there.file_type().is_block_device() { "b" } else { "c" };
    let (major, minor) = (nix::sys::stat::major(there.rdev()), nix::sys::stat::minor(there.rdev()));
    let rule = json!({"allow": true, "type": kind, "major": major, "minor": minor, "access": "r"});
    let node = json!({"path": "/dev/probe", "type": kind, "major": major, "minor": minor});
    Some((path, rule, node))
}

/// Whether the container may open `/dev/probe` now.
pub(crate) fn opens(world: &World, id: &str) -> bool {
    let output = world.output(&["exec", id, "sh", "-c", "exec 3</dev/probe && echo open"]);
    output.stdout == b"open\n"
}

//! What one comparison is: a bundle, told as changes of the default one, and the way it is run.
//!
//! The tables in `bundles/` are made of these; a new bundle is one expression there. Nothing here touches the machine:
//! `bundle.rs` writes a case down, `flow.rs` runs it.
#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    reason = "a wrong table, or a machine that cannot write, ends the test at once"
)]

use serde_json::{Value, json};

/// The default bundle's configuration: what `spec` writes, with the probe as its process and no terminal.
const BASE: &str = include_str!("base.json");

/// How a case is run, and therefore where its report comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Flow {
    /// `run` in the foreground.
    Run,
    /// `create`, a look from the host, `start`, `delete`.
    Create,
    /// `run --detach` of a process that holds, then `exec` with these arguments before the id.
    Exec(Vec<String>),
    /// As `Create`, with the console sent over a socket; the report comes through the terminal.
    Console,
    /// `run` in the foreground, on a terminal.
    Terminal,
    /// As `Exec`, on a terminal that is sent over a socket.
    ExecConsole(Vec<String>),
}

/// A thing in the root file system (or, with `../`, beside it) before the runtime comes.
#[derive(Clone, Debug)]
pub(crate) enum Seed {
    /// A directory with this mode.
    Dir(u32),
    /// A file with this text, mode 0644.
    File(String),
    /// A symbolic link to this target.
    Link(String),
}

/// One bundle and its flow.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// What failures and the table of intended differences call it.
    pub(crate) name: &'static str,
    /// `config.json`; `{bundle}`, `{id}`, `{run}` (this run of the tests) and `{companion}` are filled in.
    pub(crate) config: Value,
    /// For `exec --process`: the file `process.json` of the bundle.
    pub(crate) process: Option<Value>,
    /// Things below `rootfs/`.
    pub(crate) seeds: Vec<(String, Seed)>,
    /// Who owns the root file system (a user namespace needs its own root there).
    pub(crate) owner: u32,
    /// The way it is run.
    pub(crate) flow: Flow,
    /// What calls the runtime: the probe's words for the host (`dirty`, `give-fds 2`), or nothing.
    pub(crate) caller: &'static [&'static str],
    /// Further flags of `run` or `create`.
    pub(crate) flags: &'static [&'static str],
    /// Whether a process in namespaces of its own is there; `{companion}` is its pid.
    pub(crate) companion: bool,
    /// Whether its namespaces belong to a user namespace of its own, `0..65536` being `100000..`.
    pub(crate) companion_user: bool,
    /// Peers that are not asked, and why.
    pub(crate) without: Vec<(&'static str, &'static str)>,
}

/// The default bundle under a name.
pub(crate) fn case(name: &'static str) -> Case {
    let config = serde_json::from_str(BASE).expect("base.json is JSON");
    Case {
        name,
        config,
        process: None,
        seeds: Vec::new(),
        owner: 0,
        flow: Flow::Run,
        caller: &[],
        flags: &[],
        companion: false,
        companion_user: false,
        without: Vec::new(),
    }
}

impl Case {
    /// Puts `value` where the JSON pointer says; objects on the way are made.
    pub(crate) fn set(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.config;
        for key in pointer.split('/').skip(1) {
            place = match place {
                Value::Array(list) => &mut list[key.parse::<usize>().expect("an index")],
                other => {
                    if !other.is_object() {
                        *other = json!({});
                    }
                    &mut other[key]
                }
            };
        }
        *place = value.into();
        self
    }

    /// Takes away the member that the pointer names.
    pub(crate) fn remove(mut self, pointer: &str) -> Self {
        let (parent, key) = pointer.rsplit_once('/').expect("a JSON pointer");
        let parent = self.config.pointer_mut(parent).and_then(Value::as_object_mut);
        parent.and_then(|members| members.remove(key)).expect("a member that is there");
        self
    }

    /// Puts `value` behind the list's last element; the list is made if there is none.
    pub(crate) fn push(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        if self.config.pointer(pointer).is_none() {
            self = self.set(pointer, json!([]));
        }
        let list = self.config.pointer_mut(pointer).and_then(Value::as_array_mut).expect("a list");
        list.push(value.into());
        self
    }

    /// One more mount, in the usual four words.
    pub(crate) fn mount(self, kind: &str, source: &str, destination: &str, options: &[&str]) -> Self {
        self.push(
            "/mounts",
            json!({"destination": destination, "type": kind, "source": source, "options": options}),
        )
    }

    /// Takes away the default mount on `destination`.
    pub(crate) fn without_mount(mut self, destination: &str) -> Self {
        let mounts = self.config["mounts"].as_array_mut().expect("mounts");
        mounts.retain(|mount| mount["destination"] != destination);
        self
    }

    /// Other options for the default mount on `destination`.
    pub(crate) fn mount_options(mut self, destination: &str, options: &[&str]) -> Self {
        let mounts = self.config["mounts"].as_array_mut().expect("mounts");
        let mount = mounts.iter_mut().find(|mount| mount["destination"] == destination);
        mount.expect("a default mount")["options"] = json!(options);
        self
    }

    /// One more namespace.
    pub(crate) fn namespace(self, kind: &str) -> Self {
        self.push("/linux/namespaces", json!({"type": kind}))
    }

    /// The host's namespace of this kind in place of an own one.
    pub(crate) fn without_namespace(mut self, kind: &str) -> Self {
        let list = self.config["linux"]["namespaces"].as_array_mut().expect("namespaces");
        list.retain(|namespace| namespace["type"] != kind);
        self
    }

    /// An own user namespace, ids `0..size` being `first..` on the host, which owns the root file system.
    pub(crate) fn user_namespace(mut self, first: u32, size: u32) -> Self {
        let map = json!([{"containerID": 0, "hostID": first, "size": size}]);
        self.owner = first;
        self.namespace("user").set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map)
    }

    /// The process's user.
    pub(crate) fn user(self, uid: u32, gid: u32) -> Self {
        self.set("/process/user", json!({"uid": uid, "gid": gid}))
    }

    /// The same capabilities in each of the named sets; the other sets are empty.
    pub(crate) fn capabilities(self, sets: &[&str], names: &[&str]) -> Self {
        let sets = sets.iter().map(|&set| (set.to_owned(), json!(names)));
        self.set("/process/capabilities", Value::Object(sets.collect()))
    }

    /// One more variable.
    pub(crate) fn env(self, entry: &str) -> Self {
        self.push("/process/env", entry)
    }

    /// The root file system may be written.
    pub(crate) fn writable(self) -> Self {
        self.set("/root/readonly", false)
    }

    /// The probe describes this path too.
    pub(crate) fn look_at(self, path: &str) -> Self {
        self.push("/process/args", path)
    }

    /// A directory in the root file system.
    pub(crate) fn dir(mut self, path: &str, mode: u32) -> Self {
        self.seeds.push((path.to_owned(), Seed::Dir(mode)));
        self
    }

    /// A file in the root file system.
    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.seeds.push((path.to_owned(), Seed::File(text.to_owned())));
        self
    }

    /// A symbolic link in the root file system.
    pub(crate) fn link(mut self, path: &str, target: &str) -> Self {
        self.seeds.push((path.to_owned(), Seed::Link(target.to_owned())));
        self
    }

    /// Run as `create`, `start`, `delete`.
    pub(crate) fn create(mut self) -> Self {
        self.flow = Flow::Create;
        self
    }

    /// The container's own process does nothing; the report comes from an `exec` with these arguments.
    pub(crate) fn exec(mut self, arguments: &[&str]) -> Self {
        self.flow = Flow::Exec(arguments.iter().map(|&argument| argument.to_owned()).collect());
        self.set("/process/args", json!(["/bin/probe", "hold"]))
    }

    /// The report comes from an `exec --process` of this file.
    pub(crate) fn exec_process(mut self, process: Value) -> Self {
        self.process = Some(process);
        self.exec(&["--process", "{bundle}/process.json"])
    }

    /// A terminal, sent over a console socket.
    pub(crate) fn console(mut self) -> Self {
        self.flow = Flow::Console;
        self.set("/process/terminal", true)
    }

    /// A terminal in the foreground.
    pub(crate) fn terminal(mut self) -> Self {
        self.flow = Flow::Terminal;
        self.set("/process/terminal", true)
    }

    /// The report comes from an `exec --tty` with these arguments more.
    pub(crate) fn exec_console(mut self, arguments: &[&str]) -> Self {
        self.flow = Flow::ExecConsole(arguments.iter().map(|&argument| argument.to_owned()).collect());
        self.set("/process/args", json!(["/bin/probe", "hold"]))
    }

    /// Called by an untidy caller: see `run_dirty` in the probe.
    pub(crate) fn dirty(self) -> Self {
        self.called_by(&["dirty"])
    }

    /// Called through one of the probe's modes for the host.
    pub(crate) fn called_by(mut self, words: &'static [&'static str]) -> Self {
        self.caller = words;
        self
    }

    /// `run` or `create` with these flags.
    pub(crate) fn flags(mut self, flags: &'static [&'static str]) -> Self {
        self.flags = flags;
        self
    }

    /// Joins the companion's namespace of this kind in place of an own one; `name` is what /proc calls it.
    pub(crate) fn join(mut self, kind: &str, name: &str) -> Self {
        self.companion = true;
        let path = format!("/proc/{{companion}}/ns/{name}");
        self.without_namespace(kind).push("/linux/namespaces", json!({"type": kind, "path": path}))
    }

    /// Joins the companion's user namespace, whose root owns the root file system then; everything new belongs to it.
    pub(crate) fn join_user(mut self) -> Self {
        self.companion = true;
        self.companion_user = true;
        self.owner = 100_000;
        self.push("/linux/namespaces", json!({"type": "user", "path": "/proc/{companion}/ns/user"}))
    }

    /// This peer is not asked, because.
    pub(crate) fn skip(mut self, peer: &'static str, reason: &'static str) -> Self {
        self.without.push((peer, reason));
        self
    }
}

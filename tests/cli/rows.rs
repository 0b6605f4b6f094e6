//! The rows of [`super::contract`]: what is typed, and what riverrun answers. A word's blanks are written `~`.
#![forbid(unsafe_code)]

use serde_json::{Value, json};

/// One line and its answer.
pub(crate) struct Row {
    pub(crate) line: &'static str,
    pub(crate) status: i32,
    /// Directories, pids, times and versions have stand-ins; a help text is `HELP`; `*` is whatever runc prints.
    pub(crate) stdout: &'static str,
    /// The last error, or all of standard error where it is no log line.
    pub(crate) message: &'static str,
    /// What the file `file` holds in the end.
    pub(crate) file: &'static str,
    /// What is changed in the configuration of the bundle `b` first.
    pub(crate) config: fn(&mut Value),
    /// Why runc 1.1.5 answers otherwise, if it does.
    pub(crate) old: Option<&'static str>,
    /// Why runc 1.3.6 does.
    pub(crate) new: Option<&'static str>,
}

pub(crate) const fn row(line: &'static str, status: i32, stdout: &'static str, message: &'static str) -> Row {
    Row { line, status, stdout, message, file: "", config: |_| {}, old: None, new: None }
}

impl Row {
    pub(crate) const fn file(self, file: &'static str) -> Self {
        Self { file, ..self }
    }

    pub(crate) const fn with(self, config: fn(&mut Value)) -> Self {
        Self { config, ..self }
    }

    pub(crate) const fn unlike_old(self, why: &'static str) -> Self {
        Self { old: Some(why), ..self }
    }

    pub(crate) const fn unlike_new(self, why: &'static str) -> Self {
        Self { new: Some(why), ..self }
    }

    pub(crate) const fn unlike(self, why: &'static str) -> Self {
        Self { old: Some(why), new: Some(why), ..self }
    }
}

const IS_DIRECTORY: &str = "older words: it asks access(2) alone";
const OWNER_OF_STATE: &str = "`list` tells the owner and `state` does not";
pub(crate) const GO_NUMBER: &str = "the text of Go's strconv follows";
const NEWER: &str = "the words of runc 1.5";
const PATHS: &str = "every error of a configuration names the property";

/// All rows, in the order in which they are typed.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().chain(super::rows_of_limits::ROWS)
}

const ROWS: &[Row] = &[
    // Global flags, streams, exit codes.
    row("--root / list", 1, "", "Option --root argument should not be set to /").unlike_old("it lists the directories of the root as broken containers"),
    row("--log file --log-format json state nobody", 1, "", "container does not exist")
        .file("{\"level\":\"error\",\"msg\":\"container does not exist\",\"time\":TIME}\n"),
    row("--log file --log-format json exec nobody true", 255, "", "exec failed: container does not exist")
        .file("{\"level\":\"error\",\"msg\":\"exec failed: container does not exist\",\"time\":TIME}\n"),
    row("--log-format xml state nobody", 1, "", "invalid log-format: xml"),
    row("--log /nope/log state nobody", 1, "", "open /nope/log: no such file or directory"),
    row("--rootless=false state nobody", 1, "", "container does not exist"),
    row("--rootless=true state nobody", 1, "", "container does not exist"),
    row("--rootless auto state nobody", 1, "", "container does not exist"),
    row(
        "-rootless=false -log-format=json state nobody",
        1,
        "",
        "{\"level\":\"error\",\"msg\":\"container does not exist\",\"time\":TIME}",
    ),
    row("--criu /x state nobody", 1, "", "container does not exist"),
    row("--help", 0, "HELP", ""),
    row("help", 0, "HELP", ""),
    row("h kill", 0, "HELP", ""),
    row("create --help", 0, "HELP", ""),
    row("run --help", 0, "HELP", ""),
    row("start --help", 0, "HELP", ""),
    row("state --help", 0, "HELP", ""),
    row("list --help", 0, "HELP", ""),
    row("ps --help", 0, "HELP", ""),
    row("kill --help", 0, "HELP", ""),
    row("delete --help", 0, "HELP", ""),
    row("exec --help", 0, "HELP", ""),
    row("spec --help", 0, "HELP", ""),
    row("features --help", 0, "HELP", ""),
    row("pause --help", 0, "HELP", ""),
    row("resume --help", 0, "HELP", ""),
    row("events --help", 0, "HELP", ""),
    row("update --help", 0, "HELP", ""),
    row("checkpoint --help", 0, "HELP", ""),
    row("restore --help", 0, "HELP", ""),
    row("help nobody", 3, "", "No help topic for 'nobody'"),
    row("nobody", 3, "", "No help topic for 'nobody'"),
    row(
        "--nothing list",
        1,
        "Incorrect Usage. flag provided but not defined: -nothing\n\nHELP",
        "flag provided but not defined: -nothing",
    ),
    row(
        "list --nothing",
        1,
        "Incorrect Usage: flag provided but not defined: -nothing\n\nHELP",
        "flag provided but not defined: -nothing",
    ),
    row("list ---x", 1, "Incorrect Usage: bad flag syntax: ---x\n\nHELP", "bad flag syntax: ---x"),
    row(
        "run --bundle",
        1,
        "Incorrect Usage: flag needs an argument: -bundle\n\nHELP",
        "flag needs an argument: -bundle",
    ),
    row(
        "run --keep=x y",
        1,
        "Incorrect Usage: invalid boolean value \"x\" for -keep: parse error\n\nHELP",
        "invalid boolean value \"x\" for -keep: parse error",
    ),
    row(
        "run --preserve-fds=x y",
        1,
        "Incorrect Usage: invalid value \"x\" for flag -preserve-fds: parse error\n\nHELP",
        "invalid value \"x\" for flag -preserve-fds: parse error",
    ),
    row("kill", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"kill\" requires a minimum of 1 argument(s)"),
    row(
        "kill a b c",
        1,
        "Incorrect Usage.\n\nHELP",
        "riverrun: \"kill\" requires a maximum of 2 argument(s)",
    ),
    row("run", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"run\" requires exactly 1 argument(s)"),
    row("create a b", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"create\" requires exactly 1 argument(s)"),
    row("start", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"start\" requires exactly 1 argument(s)"),
    row("state", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"state\" requires exactly 1 argument(s)"),
    row("delete", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"delete\" requires exactly 1 argument(s)"),
    row("exec", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"exec\" requires a minimum of 1 argument(s)"),
    row("ps", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"ps\" requires a minimum of 1 argument(s)"),
    row("list a", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"list\" requires exactly 0 argument(s)"),
    row("spec a", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"spec\" requires exactly 0 argument(s)"),
    row("features a", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"features\" requires exactly 0 argument(s)"),
    row("exec -e A=1,2 running sh -c echo~$A", 0, "1,2\n", ""),
    row("exec -env A=1 -env=B=2 running sh -c echo~$A$B", 0, "12\n", ""),
    row("run -keep=false -no-subreaper -b b x", 3, "", "").with(exits_with_3),
    row("run -b b x", 3, "", "").with(exits_with_3),
    row("run -b b x", 137, "", "").with(dies_of_9),
    row("exec running sh -c exit~7", 7, "", ""),
    row("exec running sh -c kill~-9~$$", 137, "", ""),
    row("exec running nope", 255, "", "exec failed: exec: \"nope\": executable file not found in $PATH"),
    row("exec running /nope", 255, "", "exec failed: exec: \"/nope\": stat /nope: no such file or directory"),
    row("exec running /proc/cpuinfo", 255, "", "exec failed: exec: \"/proc/cpuinfo\": permission denied"),
    row(
        "exec --cwd /nope/made running pwd",
        255,
        "",
        "exec failed: chdir to cwd (\"/nope/made\") set in config.json failed: no such file or directory",
    ),
    row("exec running /etc", 255, "", "exec failed: exec: \"/etc\": is a directory").unlike_old(IS_DIRECTORY),
    // Ids.
    row("state a/b", 1, "", "invalid container ID format"),
    row("state ..", 1, "", "invalid container ID format"),
    row("state .", 1, "", "invalid container ID format"),
    row("state a~b", 1, "", "invalid container ID format"),
    row("create -b b a/b", 1, "", "runc create failed: invalid container ID format"),
    row("delete -f a/b", 1, "", "invalid container ID format"),
    row("kill a/b", 1, "", "invalid container ID format"),
    row("state ", 1, "", "container id cannot be empty"),
    row("create -b b ", 1, "", "runc create failed: container id cannot be empty"),
    // Create and run.
    row("create -b b --pid-file file x", 0, "", "").file("PID"),
    row("run -d -b b --pid-file file x", 0, "", "").file("PID"),
    row("create -b b running", 1, "", "runc create failed: container with given ID already exists"),
    row("run -b b stopped", 1, "", "runc run failed: container with given ID already exists"),
    row("create -b nowhere x", 1, "", "runc create failed: chdir nowhere: no such file or directory"),
    row("create x", 1, "", "runc create failed: JSON specification file config.json not found"),
    row(
        "create -b b --console-socket /nope x",
        1,
        "",
        "runc create failed: cannot use console socket if runc will not detach or allocate tty",
    ),
    row(
        "create -b b x",
        1,
        "",
        "runc create failed: cannot allocate tty if runc will detach without setting console socket",
    )
    .with(terminal),
    row(
        "run -d -b b x",
        1,
        "",
        "runc run failed: cannot allocate tty if runc will detach without setting console socket",
    )
    .with(terminal),
    row(
        "run -b b --console-socket s x",
        1,
        "",
        "runc run failed: cannot use console socket if runc will not detach or allocate tty",
    )
    .with(terminal),
    row("create -b b --no-pivot --no-new-keyring x", 0, "", ""),
    row(
        "run --preserve-fds 1 -b b x",
        1,
        "",
        "runc run failed: unable to stat preserved-fd 0 (of 1): bad file descriptor",
    ).unlike("a descriptor of its own has the number by then, and goes into the container")
    .with(exits_with_3),
    // Start, state, list, ps, kill, delete.
    row("start running", 1, "", "cannot start an already running container"),
    row("start stopped", 1, "", "cannot start a container that has stopped"),
    row("start nobody", 1, "", "container does not exist"),
    row("state nobody", 1, "", "container does not exist"),
    row("kill nobody", 1, "", "container does not exist"),
    row("delete nobody", 1, "", "container does not exist"),
    row("ps nobody", 1, "", "container does not exist"),
    row("delete -f nobody", 0, "", ""),
    row(
        "state created",
        0,
        "{\n  \"ociVersion\": VERSION,\n  \"id\": \"created\",\n  \"pid\": PID,\n  \"status\": \"created\",\n  \"bundle\": \"DIR/created\",\n  \"rootfs\": \"DIR/bundle/rootfs\",\n  \"created\": TIME,\n  \"owner\": \"root\"\n}",
        "",
    ).unlike(OWNER_OF_STATE),
    row(
        "state running",
        0,
        "{\n  \"ociVersion\": VERSION,\n  \"id\": \"running\",\n  \"pid\": PID,\n  \"status\": \"running\",\n  \"bundle\": \"DIR/running\",\n  \"rootfs\": \"DIR/bundle/rootfs\",\n  \"created\": TIME,\n  \"owner\": \"root\"\n}",
        "",
    ).unlike(OWNER_OF_STATE),
    row(
        "state stopped",
        0,
        "{\n  \"ociVersion\": VERSION,\n  \"id\": \"stopped\",\n  \"pid\": 0,\n  \"status\": \"stopped\",\n  \"bundle\": \"DIR/stopped\",\n  \"rootfs\": \"DIR/bundle/rootfs\",\n  \"created\": TIME,\n  \"owner\": \"root\"\n}",
        "",
    ).unlike(OWNER_OF_STATE),
    row("list -q", 0, "created\nrunning\nstopped\n", ""),
    row(
        "list --format json",
        0,
        "[{\"ociVersion\":VERSION,\"id\":\"created\",\"pid\":PID,\"status\":\"created\",\"bundle\":\"DIR/created\",\"rootfs\":\"DIR/bundle/rootfs\",\"created\":TIME,\"owner\":\"root\"},{\"ociVersion\":VERSION,\"id\":\"running\",\"pid\":PID,\"status\":\"running\",\"bundle\":\"DIR/running\",\"rootfs\":\"DIR/bundle/rootfs\",\"created\":TIME,\"owner\":\"root\"},{\"ociVersion\":VERSION,\"id\":\"stopped\",\"pid\":0,\"status\":\"stopped\",\"bundle\":\"DIR/stopped\",\"rootfs\":\"DIR/bundle/rootfs\",\"created\":TIME,\"owner\":\"root\"}]\n",
        "",
    ),
    row("list -f yaml", 1, "", "invalid format option"),
    row("ps -f yaml running", 1, "", "invalid format option"),
    row("ps -f json stopped", 0, "null\n", ""),
    row("ps stopped", 0, "*", ""),
    row("ps running -o args", 1, "", "couldn't find PID field in ps output"),
    row("kill running FOO", 1, "", "unknown signal \"FOO\""),
    row("kill running CONT", 0, "", ""),
    row("kill running sigcont", 0, "", ""),
    row("kill running SIGCONT", 0, "", ""),
    row("kill running 18", 0, "", ""),
    row("kill running 0", 0, "", ""),
    row("kill --all running CONT", 0, "", ""),
    row("kill running CONT -a", 0, "", ""),
    row("kill stopped", 1, "", "container not running"),
    row("kill stopped KILL", 1, "", "container not running"),
    row("kill -a stopped", 0, "", ""),
    row("kill running 99", 1, "", "unknown signal \"99\"").unlike("it asks the kernel; signals end at 64"),
    row("delete running", 1, "", "cannot delete container running that is not stopped: running"),
    // Pause and resume.
    row("pause", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"pause\" requires exactly 1 argument(s)"),
    row("resume", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"resume\" requires exactly 1 argument(s)"),
    row("pause nobody", 1, "", "container does not exist"),
    row("resume nobody", 1, "", "container does not exist"),
    row("pause stopped", 1, "", "container not running"),
    row("resume stopped", 1, "", "container not paused"),
    row("resume running", 1, "", "container not paused"),
    row("pause running", 0, "", ""),
    row("pause running", 1, "", "container not running"),
    row("start running", 1, "", "cannot start a container in the paused state"),
    row("delete running", 1, "", "cannot delete container running that is not stopped: paused"),
    row(
        "exec running true",
        255,
        "",
        "exec failed: cannot exec in a paused container (use --ignore-paused to override)",
    ),
    row("kill running CONT", 0, "", ""),
    row("resume running", 0, "", ""),
    // Exec.
    row("exec stopped true", 255, "", "exec failed: cannot exec in a stopped container"),
    row("exec nobody true", 255, "", "exec failed: container does not exist"),
    row("exec running", 255, "", "exec failed: exec args cannot be empty").unlike_old("newer words"),
    row("exec created echo a", 0, "a\n", ""),
    row("exec -p nofile running", 255, "", "exec failed: open nofile: no such file or directory"),
    row("exec --cwd tmp running true", 255, "", "exec failed: Cwd must be an absolute path"),
    row("exec --cwd /tmp running pwd", 0, "/tmp\n", ""),
    row("exec -u 5:6 -g 7 -g 8 running id", 0, "uid=5 gid=6 groups=7,8\n", ""),
    row("exec -u 5 running id", 0, "uid=5 gid=0\n", ""),
    row("exec -u root running true", 255, "", "exec failed: bad uid: \"root\"").unlike(GO_NUMBER),
    row("exec -u 1:x running true", 255, "", "exec failed: bad gid: \"x\"").unlike(GO_NUMBER),
    row("exec -g x running true", 255, "", "exec failed: bad additional gid: \"x\"").unlike("it tells numbers apart while it reads options; here it is one more id"),
    row(
        "exec -d -t running true",
        255,
        "",
        "exec failed: cannot allocate tty if runc will detach without setting console socket",
    ),
    row(
        "exec --console-socket s running true",
        255,
        "",
        "exec failed: cannot use console socket if runc will not detach or allocate tty",
    ),
    row("exec --cgroup ../x running true", 255, "", "exec failed: bad sub cgroup path: ../x").unlike(NEWER),
    row("exec --cgroup foo:x running true", 255, "", "exec failed: unknown controller foo").unlike(NEWER),
    row("exec -e A running true", 255, "", "exec failed: process.env[2]: not NAME=value: \"A\"").unlike(PATHS),
    row("exec -d --pid-file file running true", 0, "", "").file("PID"),
    row("exec --no-new-privs running grep NoNewPrivs /proc/self/status", 0, "NoNewPrivs:\t1\n", ""),
    row(
        "exec --preserve-fds 1 running true",
        255,
        "",
        "exec failed: unable to stat preserved-fd 0 (of 1): bad file descriptor",
    ).unlike("it does not look, and the process does not get it"),
    row(
        "exec --cap CAP_SYS_PTRACE running grep -E Cap(Inh|Amb) /proc/self/status",
        0,
        "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n",
        "",
    ),
    // Spec and features.
    row("spec -b running", 1, "", "File config.json exists. Remove it first"),
    row("spec -b nowhere", 1, "", "chdir nowhere: no such file or directory"),
    // Errors of a configuration.
    row("create -b b x", 1, "", "runc create failed: config cannot be null").with(null).unlike_old("it dies of a nil pointer"),
    row("create -b b x", 1, "", "runc create failed: load config.json: not an object").with(number).unlike("Go's words for a type"),
    row("create -b b x", 1, "", "runc create failed: process property must not be empty").with(no_process),
    row("create -b b x", 1, "", "runc create failed: args must not be empty").with(no_args),
    row("create -b b x", 1, "", "runc create failed: Cwd must be an absolute path").with(relative_cwd),
    row("create -b b x", 0, "", "").with(no_user),
    row("create -b b x", 1, "", "runc create failed: exec: \"nope\": executable file not found in $PATH")
        .with(no_program),
    row("create -b b x", 1, "", "runc create failed: exec: \"/nope\": stat /nope: no such file or directory")
        .with(no_file),
    row("create -b b x", 1, "", "runc create failed: exec: \"/etc\": is a directory").with(directory).unlike_old(IS_DIRECTORY),
    row("create -b b x", 1, "", "runc create failed: unable to set hostname without a private UTS namespace")
        .with(no_uts),
    row(
        "create -b b x",
        1,
        "",
        "runc create failed: error running prestart hook #0: exit status 1, stdout: , stderr:",
    )
    .with(hook_fails).unlike_old("older words"),
    row("create -b b x", 1, "", "runc create failed: error running createRuntime hook #0: exit status 1, stdout: , stderr:")
        .with(second_hook_fails).unlike_old("it does not name the hook"),
    row("create -b b x", 1, "", "runc create failed: unable to set domainname without a private UTS namespace")
        .with(domainname_of_the_host).unlike_old("it does not know the property"),
    row("create -b b x", 1, "", "runc create failed: cannot set uid to unmapped user in user namespace")
        .with(unmapped).unlike_new("other words, of the kernel's side"),
    row("create -b b x", 1, "", "runc create failed: invalid rootfs: not an absolute path, or a symlink").with(link),
    row("create -b b x", 1, "", "runc create failed: linux.rootfsPropagation: unknown: \"foo\"")
        .with(propagation).unlike(PATHS),
    row("create -b b x", 1, "", "runc create failed: root must not be empty").with(no_root).unlike("as of process and linux"),
    row(
        "create -b b x",
        1,
        "",
        "runc create failed: open root filesystem DIR/b/nope: no such file or directory",
    )
    .with(no_rootfs).unlike("what was done, to what"),
    row("create -b b x", 1, "", "runc create failed: process.env[0]: not NAME=value: \"A\"").with(env).unlike(PATHS),
];

fn args(config: &mut Value, args: Value) {
    config["process"]["args"] = args;
}

fn exits_with_3(config: &mut Value) {
    args(config, json!(["sh", "-c", "exit 3"]));
}

fn dies_of_9(config: &mut Value) {
    args(config, json!(["sh", "-c", "kill -9 $$"]));
    // The first process of a pid namespace would not die of it.
    if let Some(namespaces) = config["linux"]["namespaces"].as_array_mut() {
        namespaces.retain(|namespace| namespace["type"] != "pid");
    }
}

fn terminal(config: &mut Value) {
    config["process"]["terminal"] = json!(true);
}

fn null(config: &mut Value) {
    *config = Value::Null;
}

fn number(config: &mut Value) {
    *config = json!(3);
}

fn no_process(config: &mut Value) {
    config["process"] = Value::Null;
}

fn no_args(config: &mut Value) {
    args(config, json!([]));
}

fn relative_cwd(config: &mut Value) {
    config["process"]["cwd"] = json!("tmp");
}

fn no_user(config: &mut Value) {
    config["process"]["user"] = json!({});
}

fn no_program(config: &mut Value) {
    args(config, json!(["nope"]));
}

fn no_file(config: &mut Value) {
    args(config, json!(["/nope"]));
}

fn directory(config: &mut Value) {
    args(config, json!(["/etc"]));
}

fn no_uts(config: &mut Value) {
    if let Some(namespaces) = config["linux"]["namespaces"].as_array_mut() {
        namespaces.retain(|namespace| namespace["type"] != "uts");
    }
}

fn hook_fails(config: &mut Value) {
    config["hooks"] = json!({"prestart": [{"path": "/bin/false"}]});
}

fn second_hook_fails(config: &mut Value) {
    config["hooks"] = json!({"createRuntime": [{"path": "/bin/false"}]});
}

fn domainname_of_the_host(config: &mut Value) {
    no_uts(config);
    if let Some(config) = config.as_object_mut() {
        config.remove("hostname");
    }
    config["domainname"] = json!("x");
}

fn unmapped(config: &mut Value) {
    let ids = json!([{"containerID": 0, "hostID": 100_000, "size": 10}]);
    (config["linux"]["uidMappings"], config["linux"]["gidMappings"]) = (ids.clone(), ids);
    if let Some(namespaces) = config["linux"]["namespaces"].as_array_mut() {
        namespaces.push(json!({"type": "user"}));
    }
    config["process"]["user"]["uid"] = json!(50);
}

/// To the root filesystem; the stage has it.
fn link(config: &mut Value) {
    config["root"]["path"] = json!("../link");
}

fn propagation(config: &mut Value) {
    config["linux"]["rootfsPropagation"] = json!("foo");
}

fn no_root(config: &mut Value) {
    config["root"] = Value::Null;
}

fn no_rootfs(config: &mut Value) {
    config["root"]["path"] = json!("nope");
}

fn env(config: &mut Value) {
    config["process"]["env"] = json!(["A"]);
}

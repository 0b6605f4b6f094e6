//! What needs no container: help, misuse, version, man page, completion, the log, `spec`, errors about containers that
//! are not there.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use serde_json::Value;

use super::sandbox::{LIMIT, Outcome, RIVERRUN, Sandbox};

const COMMANDS: &[&str] = &[
    "completion",
    "create",
    "delete",
    "exec",
    "features",
    "help",
    "info",
    "kill",
    "list",
    "man",
    "ps",
    "run",
    "spec",
    "start",
    "state",
];

#[test]
fn help_goes_to_standard_output_and_succeeds() {
    let sandbox = Sandbox::empty();
    let program = sandbox.run("--help").ok().stdout;
    for command in COMMANDS {
        assert!(program.contains(&format!("   {command} ")), "{command}");
        let help = sandbox.run(&format!("{command} --help")).ok().stdout;
        assert!(help.starts_with(&format!("NAME:\n   riverrun {command} - ")), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        assert_eq!(sandbox.run(&format!("{command} -h")).ok().stdout, help);
        assert_eq!(sandbox.run(&format!("help {command}")).ok().stdout, help);
    }
    assert_eq!(sandbox.run("").ok().stdout, program);
}

#[test]
fn misuse_shows_the_help_and_tells_what_is_wrong() {
    let sandbox = Sandbox::empty();
    for (line, message) in [
        ("kill", "riverrun: \"kill\" requires a minimum of 1 argument(s)"),
        ("kill a b c", "riverrun: \"kill\" requires a maximum of 2 argument(s)"),
        ("run", "riverrun: \"run\" requires exactly 1 argument(s)"),
        ("exec", "riverrun: \"exec\" requires a minimum of 1 argument(s)"),
    ] {
        let outcome = sandbox.run(line);
        let command = line.split(' ').next().unwrap();
        let help = sandbox.run(&format!("{command} --help")).stdout;
        assert_eq!((outcome.status, outcome.message().as_str()), (1, message));
        assert_eq!(outcome.stdout, format!("Incorrect Usage.\n\n{help}"));
    }
    let outcome = sandbox.run("list --frob");
    assert_eq!((outcome.status, outcome.message().as_str()), (1, "flag provided but not defined: -frob"));
    assert!(outcome.stdout.starts_with("Incorrect Usage: flag provided but not defined: -frob\n\nNAME:\n"));
}

#[test]
fn unknown_command_is_an_error() {
    let outcome = Sandbox::empty().run("frobnicate --help");
    assert_eq!((outcome.status, outcome.stdout.as_str()), (3, ""));
    assert_eq!(outcome.message(), "No help topic for 'frobnicate'");
}

/// Keeps for cli: version_is_the_headers.
#[test]
fn version_is_taken_by_go_runc() {
    for line in ["--version", "-v", "-version"] {
        let text = Sandbox::empty().run(line).ok().stdout;
        let first = text.lines().next().unwrap();
        assert_eq!(first, format!("runc version {}+riverrun", env!("CARGO_PKG_VERSION")));
        assert!(
            text.lines().any(|line| line.strip_prefix("spec: ").is_some_and(|spec| spec.starts_with("1.")))
        );
    }
}

#[test]
fn committed_man_page_is_the_generated_one() {
    let sandbox = Sandbox::empty();
    let printed = sandbox.run("man").ok().stdout;
    let committed =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man/riverrun.8")).unwrap_or_default();
    assert!(printed == committed, "man/riverrun.8 is stale: riverrun man >man/riverrun.8");
    sandbox.run("man .").ok();
    assert_eq!(fs::read_to_string(sandbox.path("riverrun.8")).unwrap(), printed);
}

#[test]
fn man_page_has_no_warnings() {
    let mut groff = Command::new("groff");
    groff.args(["-man", "-Tutf8", "-ww", "-z", concat!(env!("CARGO_MANIFEST_DIR"), "/man/riverrun.8")]);
    match groff.output() {
        Err(error) => eprintln!("skipped: groff: {error}"),
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stderr), ""),
    }
}

#[test]
fn bash_completes_commands_options_and_values() {
    let sandbox = Sandbox::empty();
    fs::write(sandbox.path("script"), sandbox.run("completion bash").ok().stdout).unwrap();
    let complete = |words: &str| {
        let last = words.split(' ').count() - 1;
        let quoted: String = words.split(' ').map(|word| format!("'{word}' ")).collect();
        let ask = format!("COMP_WORDS=({quoted}); COMP_CWORD={last}; _riverrun; echo ${{COMPREPLY[*]}}");
        let bash = Command::new("bash")
            .arg("-c")
            .arg(format!(". ./script; {ask}"))
            .current_dir(&sandbox.directory)
            .output();
        String::from_utf8(bash.unwrap().stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("riverrun sta"), "start state");
    assert_eq!(complete("riverrun --root /x sta"), "start state");
    assert_eq!(complete("riverrun run --no-"), "--no-subreaper --no-pivot --no-new-keyring");
    assert_eq!(complete("riverrun list --format "), "table json");
    assert_eq!(complete("riverrun completion "), "bash zsh fish");
}

#[test]
fn fish_completes_commands_options_and_values() {
    let sandbox = Sandbox::empty();
    fs::write(sandbox.path("script"), sandbox.run("completion fish").ok().stdout).unwrap();
    let complete = |line: &str| {
        let mut fish = Command::new("fish");
        fish.args(["--private", "--no-config", "-c"]).arg(format!("source script; complete -C '{line}'"));
        fish.env("HOME", &sandbox.directory).env("XDG_CONFIG_HOME", &sandbox.directory);
        let output = fish.current_dir(&sandbox.directory).output().ok()?;
        let text = String::from_utf8(output.stdout).unwrap();
        Some(
            text.lines()
                .map(|line| line.split('\t').next().unwrap().to_owned())
                .collect::<Vec<_>>()
                .join(" "),
        )
    };
    let Some(commands) = complete("riverrun sta") else {
        eprintln!("skipped: fish is not installed");
        return;
    };
    assert_eq!(commands, "start state");
    assert_eq!(complete("riverrun --root /x sta").unwrap(), "start state");
    assert_eq!(complete("riverrun run --no-p").unwrap(), "--no-pivot");
    assert_eq!(complete("riverrun list --format ").unwrap(), "json table");
    assert_eq!(complete("riverrun completion ").unwrap(), "bash fish zsh");
}

#[test]
fn zsh_script_is_well_formed() {
    let sandbox = Sandbox::empty();
    fs::write(sandbox.path("script"), sandbox.run("completion zsh").ok().stdout).unwrap();
    match Command::new("zsh").arg("-n").arg(sandbox.path("script")).output() {
        Err(error) => eprintln!("skipped: zsh: {error}"),
        Ok(output) => assert!(output.status.success(), "{output:?}"),
    }
    assert_eq!(sandbox.run("completion csh").message(), "unknown shell \"csh\": not one of bash, zsh, fish");
}

#[test]
fn final_error_is_in_the_log_and_on_standard_error() {
    let sandbox = Sandbox::empty();
    fs::write(sandbox.path("log"), "earlier\n").unwrap();
    for _ in 0..2 {
        let outcome = sandbox.run("--log log --log-format json state nobody");
        assert_eq!((outcome.status, outcome.stderr.as_str()), (1, "container does not exist\n"));
    }
    let log = fs::read_to_string(sandbox.path("log")).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "earlier"), "the log is appended to: {log}");
    let object: Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!(object.as_object().unwrap().keys().collect::<Vec<_>>(), ["level", "msg", "time"]);
    assert_eq!((&object["level"], &object["msg"]), (&"error".into(), &"container does not exist".into()));
    let time = object["time"].as_str().unwrap();
    assert!(time.len() == 20 && &time[10..11] == "T" && time.ends_with('Z'), "{time}");
}

#[test]
fn new_log_is_for_its_owner_to_write() {
    let sandbox = Sandbox::empty();
    sandbox.run("--log=new --log-format=text state nobody");
    assert_eq!(fs::metadata(sandbox.path("new")).unwrap().permissions().mode() & 0o777, 0o644);
    let log = fs::read_to_string(sandbox.path("new")).unwrap();
    assert!(
        log.starts_with("time=\"") && log.ends_with(" level=error msg=\"container does not exist\"\n"),
        "{log}"
    );
}

/// In a mount namespace of its own, where the daemons' sockets are ours.
#[test]
fn log_lines_go_to_the_daemon_that_is_named() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: a mount needs root");
        return;
    }
    for (daemon, place, wanted) in [
        ("journald:web", "/run/systemd/journal/socket", "PRIORITY=3\nSYSLOG_IDENTIFIER=web\n"),
        ("syslog:web", "/dev/log", "<27>web["),
        ("syslog:", "/dev/log", "<27>riverrun["),
    ] {
        let sandbox = Sandbox::empty();
        let unheard = sandbox.run(&format!("--log {daemon} state nobody"));
        let listener = UnixDatagram::bind(sandbox.path("socket")).unwrap();
        listener.set_read_timeout(Some(LIMIT)).unwrap();
        let script = format!(
            "mount -t tmpfs none {} && mkdir -p $(dirname {place}) && touch {place} && mount --bind socket {place} && \"$@\"",
            &place[..4]
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh", RIVERRUN, "--root", &sandbox.root()]);
        command.args(["--log", daemon, "state", "nobody"]).current_dir(&sandbox.directory);
        let outcome = sandbox.outcome(command);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (1, "container does not exist\n"), "{daemon}");
        let mut datagram = [0; 1024];
        let length = listener.recv(&mut datagram).unwrap();
        let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
        assert!(text.starts_with(wanted) && text.contains("container does not exist"), "{text:?}");
        if !fs::exists(place).unwrap() {
            assert_eq!(unheard.message(), format!("connect to {place}: no such file or directory"));
        }
    }
}

#[test]
fn wrong_global_options_are_refused() {
    let sandbox = Sandbox::empty();
    for (line, message) in [
        ("--log-format xml list", "invalid log-format: xml"),
        ("--log-level loud list", "invalid log-level: loud"),
        ("--log no/such/log list", "open no/such/log: no such file or directory"),
        ("--root / list", "Option --root argument should not be set to /"),
        ("--root ../../../../../../../../../ list", "Option --root argument should not be set to /"),
        ("--rootless perhaps state x", "invalid value \"perhaps\" for flag -rootless: parse error"),
    ] {
        let outcome = sandbox.run(line);
        assert_eq!((outcome.status, outcome.message().as_str()), (1, message));
    }
}

/// Keeps for cli: error_has_code_and_message, missing_container_is_not_found, invalid_id_is_refused.
#[test]
fn containers_that_are_not_there_have_the_words_and_statuses_that_callers_match() {
    let sandbox = Sandbox::empty();
    fs::create_dir(sandbox.path("root")).unwrap();
    for (line, status, message) in [
        ("state nobody", 1, "container does not exist"),
        ("start nobody", 1, "container does not exist"),
        ("kill nobody 9", 1, "container does not exist"),
        ("kill nobody FOO", 1, "container does not exist"),
        ("delete nobody", 1, "container does not exist"),
        ("ps nobody", 1, "container does not exist"),
        ("exec nobody true", 255, "exec failed: container does not exist"),
        ("state a/b", 1, "invalid container ID format"),
    ] {
        let outcome = sandbox.run(line);
        assert_eq!((outcome.status, outcome.message().as_str()), (status, message), "{line}");
    }
    sandbox.run("delete --force nobody").ok();
    sandbox.run("delete -f nobody").ok();
}

#[test]
fn list_of_nothing_is_a_title_or_null() {
    let sandbox = Sandbox::empty();
    let missing = sandbox.run("list");
    let message = format!("open {}: no such file or directory", sandbox.root());
    assert_eq!((missing.status, missing.message()), (1, message));
    fs::create_dir(sandbox.path("root")).unwrap();
    assert_eq!(
        sandbox.run("list").ok().stdout,
        "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"
    );
    assert_eq!(sandbox.run("list -f json").ok().stdout, "null\n");
    assert_eq!(sandbox.run("list --quiet").ok().stdout, "");
    assert_eq!(sandbox.run("list -f yaml").message(), "invalid format option");
}

#[test]
fn info_tells_of_the_host_to_people_and_to_programs() {
    let sandbox = Sandbox::empty();
    let told = sandbox.run("info").ok().stdout;
    assert!(told.lines().any(|line| line == format!("state root:             {}", sandbox.root())), "{told}");
    let document: Value = serde_json::from_str(&sandbox.run("info -f json").ok().stdout).unwrap();
    assert_eq!(document["state-root"], sandbox.root());
    assert!(document["namespaces"].as_str().unwrap().contains("mnt"), "{document}");
    assert_eq!(sandbox.run("info -f yaml").message(), "invalid format option");
    assert!(!sandbox.path("root").exists(), "nothing is made");
}

/// As nobody, with no place to write: engines ask before there is a container, and anybody may.
///
/// Keeps for cli: features_document_is_complete.
#[test]
fn features_need_neither_root_nor_a_state_root() {
    let sandbox = Sandbox::empty();
    let told = sandbox.run("features").ok().stdout;
    let document: Value = serde_json::from_str(&told).unwrap();
    assert!(told.starts_with("{\n    \"ociVersionMin\": "), "indented by four, as runc's: {told}");
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    // CRI-O and the kubelet look for these.
    assert!(texts(&document["mountOptions"]).contains(&"rro".to_owned()));
    assert_eq!(document["linux"]["mountExtensions"]["idmap"]["enabled"], true);
    assert_eq!(texts(&document["linux"]["namespaces"]).len(), 8);
    if nix::unistd::geteuid().is_root() {
        // Executed by descriptor: an ordinary user may not reach the directory of the build.
        let program = fs::File::open(RIVERRUN).unwrap();
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"])
            .args(["sh", "-c", "exec 3<&0; exec /proc/self/fd/3 features"])
            .stdin(program)
            .env("XDG_RUNTIME_DIR", "/nowhere")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), told, "{output:?}");
    } else {
        eprintln!("features as another user: skipped: needs root");
    }
}

#[test]
fn spec_writes_once_and_never_replaces() {
    let sandbox = Sandbox::empty();
    sandbox.run("spec").ok();
    let path = sandbox.path("config.json");
    let first = fs::read_to_string(&path).unwrap();
    assert!(first.starts_with("{\n\t\"ociVersion\": \"1."), "{first}");
    let again = sandbox.run("spec");
    assert_eq!((again.status, again.message().as_str()), (1, "File config.json exists. Remove it first"));
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
    fs::create_dir(sandbox.path("b")).unwrap();
    sandbox.run("spec --rootless -b b").ok();
    let rootless: Value = serde_json::from_slice(&fs::read(sandbox.path("b/config.json")).unwrap()).unwrap();
    assert!(rootless["linux"]["uidMappings"].is_array(), "{rootless}");
    assert_eq!(sandbox.run("spec -b none").message(), "chdir none: no such file or directory");
}

#[test]
fn bundles_that_cannot_be_used_are_told() {
    let sandbox = Sandbox::empty();
    for (line, message) in [
        ("run x", "runc run failed: JSON specification file config.json not found"),
        ("create x", "runc create failed: JSON specification file config.json not found"),
        ("create --config other.json x", "runc create failed: JSON specification file other.json not found"),
        ("create -b none x", "runc create failed: chdir none: no such file or directory"),
    ] {
        let outcome = sandbox.run(line);
        assert_eq!((outcome.status, outcome.message().as_str()), (1, message));
    }
}

#[test]
fn terminals_without_a_way_out_are_refused() {
    let sandbox = Sandbox::empty();
    let refused = |line: &str, terminal: bool| {
        let config = format!("{{\"ociVersion\":\"1.0.2\",\"process\":{{\"terminal\":{terminal}}}}}");
        fs::write(sandbox.path("config.json"), config).unwrap();
        sandbox.run(line).message()
    };
    let without = "failed: cannot allocate tty if runc will detach without setting console socket";
    let needless = "failed: cannot use console socket if runc will not detach or allocate tty";
    assert_eq!(refused("create x", true), format!("runc create {without}"));
    assert_eq!(refused("run -d x", true), format!("runc run {without}"));
    assert_eq!(refused("run --console-socket s x", true), format!("runc run {needless}"));
    assert_eq!(refused("create --console-socket s x", false), format!("runc create {needless}"));
}

#[test]
fn arguments_that_are_not_text_are_refused() {
    let sandbox = Sandbox::empty();
    let mut command = Command::new(RIVERRUN);
    command.arg("state").arg(std::ffi::OsStr::from_bytes(b"a\xff"));
    let outcome: Outcome = sandbox.outcome(command);
    assert_eq!(
        (outcome.status, outcome.message().as_str()),
        (1, "read argument \"a\\xFF\": it is not UTF-8")
    );
}

//! The bundle: entering its directory, reading its configuration, and what of it the command line must know.
//!
//! The library could read the file by itself. But whether a terminal is wanted decides which options fit, and
//! `$LISTEN_FDS` adds to the environment; reading the file once and handing the bytes on leaves no moment in which it
//! could change between the two looks.
#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::Matches;
use crate::failure::{Failure, io_failure};
use crate::session::absolute_path;

/// A bundle whose directory is the program's own by now.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// The directory, absolute.
    pub(crate) directory: PathBuf,
    /// The bytes of the configuration.
    pub(crate) config: Vec<u8>,
    /// Whether the process wants a terminal.
    pub(crate) terminal: bool,
}

impl Bundle {
    /// Enters the bundle that was typed and reads its configuration, or the one of `--config`.
    pub(crate) fn enter(matches: &Matches) -> Result<Self, Failure> {
        let config = matches.text("config").map(absolute_path).transpose()?;
        let directory = enter(matches)?;
        let name = matches.text("config").unwrap_or("config.json");
        let config = read_config(name, config.as_deref().unwrap_or(Path::new("config.json")))?;
        let terminal = wants_terminal(&config);
        Ok(Self { directory, config, terminal })
    }

    /// Adds to the process's environment.
    pub(crate) fn announce(&mut self, more: impl Iterator<Item = String>) -> Result<(), Failure> {
        let more: Vec<String> = more.collect();
        if !more.is_empty() {
            self.config = with_env(&self.config, more)?;
        }
        Ok(())
    }
}

/// Changes to the bundle's directory, as runc does: hooks and relative paths start there.
pub(crate) fn enter(matches: &Matches) -> Result<PathBuf, Failure> {
    if let Some(directory) = matches.text("bundle") {
        env::set_current_dir(directory).map_err(|error| io_failure(&format!("chdir {directory}"), &error))?;
    }
    env::current_dir().map_err(|error| io_failure("find the current directory", &error))
}

/// The rules that keep a terminal from being lost: a detached process needs a socket to send its master to, and a
/// socket is of no use otherwise.
pub(crate) fn check_terminal(terminal: bool, detach: bool, console_socket: bool) -> Result<(), Failure> {
    if detach && terminal && !console_socket {
        return Err("cannot allocate tty if runc will detach without setting console socket".into());
    }
    if (!detach || !terminal) && console_socket {
        return Err("cannot use console socket if runc will not detach or allocate tty".into());
    }
    Ok(())
}

/// Whether a document like `{"process": {"terminal": true}}` wants a terminal. One that cannot be parsed does not: the
/// library tells what is wrong with it.
fn wants_terminal(config: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Config {
        process: Option<Process>,
    }
    serde_json::from_slice::<Config>(config)
        .ok()
        .and_then(|config| config.process)
        .is_some_and(|it| it.terminal)
}

/// The same for a process object by itself.
pub(crate) fn process_wants_terminal(process: &[u8]) -> bool {
    serde_json::from_slice::<Process>(process).is_ok_and(|process| process.terminal)
}

/// The document without `consoleSize`, if it has one. `of_process`: it is a process object by itself. COMPAT(runc): in the
/// foreground the window is the caller's, whatever size the configuration names.
pub(crate) fn without_console_size(document: Vec<u8>, of_process: bool) -> Vec<u8> {
    let mut parsed: Value = serde_json::from_slice(&document).unwrap_or_default();
    let process = if of_process { Some(&mut parsed) } else { parsed.get_mut("process") };
    let removed = process.and_then(Value::as_object_mut).and_then(|process| process.remove("consoleSize"));
    match removed.map(|_| serde_json::to_vec(&parsed)) {
        Some(Ok(without)) => without,
        _ => document,
    }
}

#[derive(Deserialize)]
struct Process {
    #[serde(default)]
    terminal: bool,
}

fn read_config(name: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("JSON specification file {name} not found").into(),
        _ => io_failure(&format!("read {name}"), &error),
    })
}

/// The configuration with more in its process's environment.
fn with_env(config: &[u8], more: Vec<String>) -> Result<Vec<u8>, Failure> {
    let parse = |error| Failure::from(format!("parse config.json: {error}"));
    let mut config: Value = serde_json::from_slice(config).map_err(parse)?;
    if let Some(Value::Object(process)) = config.get_mut("process") {
        match process.entry("env").or_insert_with(|| json!([])) {
            Value::Array(env) => env.extend(more.into_iter().map(Value::from)),
            other => *other = json!(more),
        }
    }
    serde_json::to_vec(&config).map_err(parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_and_the_socket_go_together_when_detached() {
        let refused =
            |terminal, detach, socket| check_terminal(terminal, detach, socket).err().map(|it| it.message);
        let without = "cannot allocate tty if runc will detach without setting console socket".to_owned();
        let needless = "cannot use console socket if runc will not detach or allocate tty".to_owned();
        assert_eq!(refused(true, true, false), Some(without));
        assert_eq!(refused(false, true, true), Some(needless.clone()));
        assert_eq!(refused(true, false, true), Some(needless));
        assert_eq!(refused(true, true, true), None);
        assert_eq!(refused(true, false, false), None);
        assert_eq!(refused(false, true, false), None);
    }

    #[test]
    fn terminal_is_found_or_absent() {
        assert!(wants_terminal(br#"{"process":{"args":["x"],"terminal":true}}"#));
        for config in [r#"{"process":{}}"#, r#"{"process":null}"#, "{}", "[", r#"{"process":{"terminal":1}}"#]
        {
            assert!(!wants_terminal(config.as_bytes()), "{config}");
        }
        assert!(process_wants_terminal(br#"{"terminal":true}"#));
    }

    #[test]
    fn size_of_a_console_is_left_out() {
        let left = |document: &str, of_process| {
            String::from_utf8(without_console_size(document.as_bytes().to_vec(), of_process)).unwrap()
        };
        assert_eq!(
            left(r#"{"process":{"consoleSize":{"height":1},"cwd":"/"}}"#, false),
            r#"{"process":{"cwd":"/"}}"#
        );
        assert_eq!(left(r#"{"consoleSize":null,"cwd":"/"}"#, true), r#"{"cwd":"/"}"#);
        for document in [r#"{ "process": {} }"#, "{", "null", r#"{ "consoleSize": {} }"#] {
            assert_eq!(left(document, false), document);
        }
    }

    #[test]
    fn listen_fds_are_added_to_the_environment() {
        let more = || vec!["LISTEN_FDS=2".to_owned(), "LISTEN_PID=1".to_owned()];
        let config = with_env(br#"{"a":1,"process":{"env":["A=1"]}}"#, more()).unwrap();
        let expected: &[u8] = br#"{"a":1,"process":{"env":["A=1","LISTEN_FDS=2","LISTEN_PID=1"]}}"#;
        assert_eq!(config, expected);
        let config = with_env(br#"{"process":{"env":null}}"#, more()).unwrap();
        let expected: &[u8] = br#"{"process":{"env":["LISTEN_FDS=2","LISTEN_PID=1"]}}"#;
        assert_eq!(config, expected);
    }
}

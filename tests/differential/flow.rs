//! A case from its bundle to its facts: the calls of a runtime in their order, and what the host sees between them.
//!
//! Whatever happens, the container is deleted by force at the end; what is left of it then is a fact too.
#![forbid(unsafe_code)]

use super::bundle::Bundle;
use super::case::{Case, Flow};
use super::cgroup;
use super::facts::{Facts, read_report};
use super::runtime::{Outcome, Running, Runtime};
use super::stage::Stage;
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The fact that says whether the container's process reported.
pub(crate) const REPORT: &str = "report";
/// What was printed on stderr: shown with a difference, never compared.
pub(crate) const COMPLAINT: &str = "complaint";

/// Runs `case` under `runtime`.
pub(crate) fn run(case: &Case, runtime: &Runtime, stage: &Stage) -> io::Result<Facts> {
    let bundle = Bundle::write(case, stage.directory(), stage.probe())?;
    let mut before: Vec<OsString> = case.caller.iter().map(OsString::from).collect();
    if !before.is_empty() {
        before.insert(0, stage.probe().into());
    }
    let mut act = Act { runtime, bundle: &bundle, stage, before, flags: case.flags, facts: Facts::new() };
    let done = match &case.flow {
        Flow::Run => act.run(),
        Flow::Create => act.create(),
        Flow::Exec(arguments) => act.exec(arguments),
        Flow::Console => act.console(),
        Flow::Terminal => act.terminal(),
        Flow::ExecConsole(arguments) => act.exec_console(arguments),
    };
    act.leave();
    let facts = act.facts;
    done.map(|()| facts)
}

struct Act<'a> {
    runtime: &'a Runtime,
    bundle: &'a Bundle,
    stage: &'a Stage,
    before: Vec<OsString>,
    flags: &'static [&'static str],
    facts: Facts,
}

impl Act<'_> {
    fn run(&mut self) -> io::Result<()> {
        let outcome = self.make("run", &[])?.finish()?;
        self.report(&outcome);
        Ok(())
    }

    fn terminal(&mut self) -> io::Result<()> {
        self.before.splice(0..0, [self.stage.probe().into(), "pty".into()]);
        self.run()
    }

    fn create(&mut self) -> io::Result<()> {
        let mut created = self.make("create", &[])?;
        let status = created.wait()?;
        if status == Some(0) {
            self.between()?;
            self.begin()?;
        }
        let (stdout, stderr) = created.printed();
        self.report(&Outcome { status, stdout, stderr });
        self.end(status)
    }

    fn console(&mut self) -> io::Result<()> {
        let (mut receiver, socket) = self.receiver()?;
        let mut created = self.make("create", &["--console-socket", &socket])?;
        let status = created.wait()?;
        if status == Some(0) {
            self.begin()?;
            self.report_of_console(status, &mut receiver);
        } else {
            let stderr = created.printed().1;
            self.report(&Outcome { status, stdout: String::new(), stderr });
        }
        self.end(status)
    }

    fn exec(&mut self, arguments: &[String]) -> io::Result<()> {
        let Some(mut held) = self.hold()? else { return Ok(()) };
        let arguments = self.exec_words(&[], arguments);
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let outcome = self.start(&words)?.finish()?;
        self.report(&outcome);
        self.delete_by_force();
        held.printed();
        Ok(())
    }

    fn exec_console(&mut self, arguments: &[String]) -> io::Result<()> {
        let Some(mut held) = self.hold()? else { return Ok(()) };
        let (mut receiver, socket) = self.receiver()?;
        let arguments = self.exec_words(&["--tty", "--detach", "--console-socket", &socket], arguments);
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let outcome = self.start(&words)?.finish()?;
        match outcome.status {
            Some(0) => self.report_of_console(outcome.status, &mut receiver),
            _ => self.report(&outcome),
        }
        self.delete_by_force();
        held.printed();
        Ok(())
    }

    /// `exec`, flags, id and, unless a whole process is given, the probe.
    fn exec_words(&self, flags: &[&str], arguments: &[String]) -> Vec<String> {
        let mut words = vec!["exec".to_owned()];
        words.extend(flags.iter().map(|&flag| flag.to_owned()));
        words.extend(arguments.iter().map(|argument| self.bundle.fill_in(argument)));
        words.push(self.bundle.id.clone());
        if !arguments.iter().any(|argument| argument == "--process") {
            words.push("/bin/probe".to_owned());
        }
        words
    }

    /// A detached container whose process does nothing; `None` when it did not start, which is reported.
    fn hold(&mut self) -> io::Result<Option<Running>> {
        let mut held = self.make("run", &["--detach"])?;
        let status = held.wait()?;
        if status == Some(0) {
            return Ok(Some(held));
        }
        let (stdout, stderr) = held.printed();
        self.report(&Outcome { status, stdout, stderr });
        Ok(None)
    }

    /// The program that takes a terminal's other end from a runtime, ready to.
    fn receiver(&self) -> io::Result<(Running, String)> {
        let socket = self.bundle.beside("console").to_string_lossy().into_owned();
        let receiver = Running::start(Command::new(self.stage.probe()).args(["recv-console", &socket]))?;
        match receiver.first_word().as_str() {
            "ready\n" => Ok((receiver, socket)),
            other => Err(io::Error::other(format!("console receiver says {other:?}"))),
        }
    }

    fn report_of_console(&mut self, status: Option<i32>, receiver: &mut Running) {
        let (stdout, stderr) = receiver.printed();
        self.note("console.message", stderr.trim_end());
        self.report(&Outcome { status, stdout, stderr: String::new() });
    }

    fn begin(&mut self) -> io::Result<()> {
        let outcome = self.runtime.call(self.bundle, &["start", &self.bundle.id])?;
        self.note("exit.start", &exit(outcome.status));
        Ok(())
    }

    /// After `create`: what `state` says, and the cgroups.
    fn between(&mut self) -> io::Result<()> {
        let state = self.state("created")?;
        if let Some(pid) = state["pid"].as_i64() {
            cgroup::look(pid, self.bundle, &mut self.facts);
        }
        Ok(())
    }

    /// After the process is gone: `state` once it says so, and `delete`.
    fn end(&mut self, created: Option<i32>) -> io::Result<()> {
        if created != Some(0) {
            return Ok(());
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            match self.state("stopped")?["status"].as_str() {
                Some("stopped") | None => break,
                Some(_) => sleep(Duration::from_millis(2)),
            }
        }
        let outcome = self.runtime.call(self.bundle, &["delete", &self.bundle.id])?;
        self.note("exit.delete", &exit(outcome.status));
        Ok(())
    }

    /// The members of the state that every runtime has, or ought to.
    fn state(&mut self, phase: &str) -> io::Result<Value> {
        let outcome = self.runtime.call(self.bundle, &["state", &self.bundle.id])?;
        let state: Value = serde_json::from_str(&outcome.stdout).unwrap_or_default();
        for (key, value) in state.as_object().into_iter().flatten() {
            let text = match (key.as_str(), value) {
                ("pid", pid) => if pid.as_i64() > Some(0) { "a process" } else { "0" }.to_owned(),
                ("created", time) => time.as_str().map_or("no text", shape_of_time).to_owned(),
                ("ociVersion", _) => continue, // the version that each implements
                (_, Value::String(text)) => text.clone(),
                (_, other) => other.to_string(),
            };
            self.note(&format!("state.{phase}.{key}"), &text);
        }
        Ok(state)
    }

    fn report(&mut self, outcome: &Outcome) {
        self.note("exit", &exit(outcome.status));
        self.note(COMPLAINT, outcome.stderr.trim_end());
        match read_report(&outcome.stdout, self.bundle) {
            Ok(facts) => {
                self.facts.extend(facts);
                self.note(REPORT, "complete");
            }
            Err(text) if text.is_empty() => self.note(REPORT, "none"),
            Err(text) => self.note(REPORT, &format!("cut: {text}")),
        }
    }

    /// Cleans up; says what the runtime itself had left.
    fn leave(&mut self) {
        let whole =
            self.facts.contains_key("exit") && !self.bundle.state_root().join(&self.bundle.id).exists();
        self.note("left.state", if whole { "nothing" } else { "a container" });
        if !whole {
            self.delete_by_force();
        }
        let groups = cgroup::named(&self.bundle.id);
        self.note("left.cgroups", &groups.len().to_string());
        cgroup::sweep(&self.bundle.id);
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mounts = table.lines().filter(|line| line.contains(&self.bundle.id)).count();
        self.note("left.mounts", &mounts.to_string());
        let mut traces = Facts::new();
        if let Err(error) = self.bundle.traces(&mut traces) {
            self.note("left.error", &error.to_string());
        }
        for (name, value) in traces {
            self.note(&self.bundle.neutral(&name), &value);
        }
    }

    fn delete_by_force(&mut self) {
        if let Err(error) = self.runtime.call(self.bundle, &["delete", "--force", &self.bundle.id]) {
            super::say(&format!("delete {} by {}: {error}", self.bundle.id, self.runtime.name));
        }
    }

    /// `run` or `create` of the bundle.
    fn make(&self, verb: &str, flags: &[&str]) -> io::Result<Running> {
        let path = self.bundle.path();
        let path = path.to_string_lossy();
        let mut words = vec![verb, "--bundle", &path];
        words.extend(flags);
        words.extend(self.flags);
        words.push(&self.bundle.id);
        self.start(&words)
    }

    fn start(&self, arguments: &[&str]) -> io::Result<Running> {
        self.runtime.start(self.bundle, &self.before, arguments)
    }

    fn note(&mut self, name: &str, value: &str) {
        self.facts.insert(name.to_owned(), self.bundle.neutral(value));
    }
}

fn exit(status: Option<i32>) -> String {
    status.map_or_else(|| "never".to_owned(), |code| code.to_string())
}

/// `2026-01-02T03:04:05.678901234Z`, whatever the digits and however many there are of the fraction.
fn shape_of_time(text: &str) -> &'static str {
    let bytes = text.as_bytes();
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let fits = separators.iter().all(|&(at, byte)| bytes.get(at) == Some(&byte)) && text.ends_with('Z');
    if fits { "a time in UTC" } else { "no time" }
}

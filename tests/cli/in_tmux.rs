//! A session as a person has it: a shell in tmux, `riverrun run` typed into it, keys pressed, the window resized.
#![forbid(unsafe_code)]

use std::process::{Command, Stdio};

use serde_json::json;

use super::contract::{PEERS, peer};
use super::sandbox::{LIMIT, RIVERRUN, Sandbox, until};

/// A tmux server of the test's own, with one window.
struct Tmux<'a> {
    sandbox: &'a Sandbox,
}

impl<'a> Tmux<'a> {
    fn begin(sandbox: &'a Sandbox) -> Option<Self> {
        let tmux = Self { sandbox };
        let began = tmux.command(&["new-session", "-d", "-x", "80", "-y", "24", "sh"]).status();
        match began {
            Err(error) => {
                eprintln!("skipped: tmux: {error}");
                None
            }
            Ok(status) => {
                assert!(status.success());
                tmux.shows("$ ", |screen| screen.contains('#') || screen.contains('$'));
                tmux.enter("PS1='outer> '");
                tmux.prompts("outer>");
                Some(tmux)
            }
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.sandbox.path("tmux")).args(["-f", "/dev/null"]).args(words);
        command
            .current_dir(&self.sandbox.directory)
            .env("TERM", "screen")
            .env("ENV", "")
            .stdin(Stdio::null());
        command.env_remove("TMUX");
        command
    }

    fn keys(&self, keys: &[&str]) {
        let mut words = vec!["send-keys"];
        words.extend(keys);
        assert!(self.command(&words).status().unwrap().success());
    }

    fn enter(&self, line: &str) {
        self.keys(&["-l", line, ";", "send-keys", "Enter"]);
    }

    fn shows(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let mut screen = String::new();
        let shown = until(LIMIT, || {
            let captured = self.command(&["capture-pane", "-p"]).output().unwrap();
            screen = String::from_utf8_lossy(&captured.stdout).into_owned();
            holds(&screen)
        });
        assert!(shown, "{what} is not shown:\n{screen}");
    }

    /// Waits until the shell does: what is typed earlier stands before the prompt.
    fn prompts(&self, prompt: &str) {
        self.shows(prompt, |screen| screen.trim_end().ends_with(&format!("\n{prompt}")));
    }

    /// The same of an empty screen.
    fn prompts_alone(&self, prompt: &str) {
        self.shows(prompt, |screen| screen.trim() == prompt);
    }

    fn shows_line(&self, line: &str) {
        self.shows_lines(line, 1);
    }

    fn shows_lines(&self, line: &str, count: usize) {
        self.shows(line, |screen| screen.lines().filter(|shown| shown.trim_end() == line).count() == count);
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        drop(self.command(&["kill-server"]).stderr(Stdio::null()).status());
    }
}

#[test]
fn shell_in_a_container_behaves_as_one_outside() {
    let Some(sandbox) = Sandbox::with_bundle("PS1='inner> ' exec sh") else { return };
    let sandbox = sandbox.process("terminal", json!(true));
    let Some(tmux) = Tmux::begin(&sandbox) else { return };
    tmux.enter(&format!(
        "{RIVERRUN} --root root run -b bundle web; echo status $?; stty -a | grep -o ' -*icanon'"
    ));
    tmux.shows("the prompt", |screen| screen.contains("inner>"));
    tmux.keys(&["C-l"]);
    tmux.shows("an empty screen", |screen| screen.trim() == "inner>");
    tmux.enter("stty size");
    tmux.shows_line("24 80");
    tmux.prompts("inner>");
    assert!(tmux.command(&["resize-window", "-x", "100", "-y", "30"]).status().unwrap().success());
    tmux.enter("until [ \"$(stty size)\" = '30 100' ]; do sleep 0.1; done; echo resi''zed");
    tmux.shows_line("resized");
    tmux.prompts("inner>");
    // Keys that mean something go to the container, and what they end is the program in it.
    tmux.enter("echo be''gan; sleep 600; echo en''ded $?");
    tmux.shows_line("began");
    tmux.keys(&["C-c"]);
    tmux.prompts("inner>");
    tmux.enter("echo on''ward");
    tmux.shows_line("onward");
    tmux.prompts("inner>");
    // What is typed before the shell has left its own mode of the terminal would reach cat without a line's end.
    tmux.enter("echo co''py; cat");
    tmux.shows_line("copy");
    tmux.enter("typed");
    tmux.shows_lines("typed", 2);
    tmux.keys(&["C-d"]);
    tmux.prompts("inner>");
    tmux.enter("exit 7");
    tmux.shows_line("status 7");
    tmux.shows_line(" icanon");
    assert_eq!(sandbox.ids(), [""; 0]);
}

#[test]
fn terminal_of_a_program_that_was_told_to_end_is_usable() {
    let Some(sandbox) =
        Sandbox::with_bundle("trap 'exit 5' HUP TERM; echo rea''dy; while :; do sleep 0.1; done")
    else {
        return;
    };
    let sandbox = sandbox.process("terminal", json!(true));
    let Some(tmux) = Tmux::begin(&sandbox) else { return };
    for (round, signal) in [(1, "TERM"), (2, "HUP")] {
        tmux.enter(&format!(
            "sh -c 'echo $$ >pid; exec {RIVERRUN} --root root run -b bundle web'; echo status $?"
        ));
        tmux.shows_lines("ready", round);
        let pid = std::fs::read_to_string(sandbox.path("pid")).unwrap();
        assert!(Command::new("kill").args(["-s", signal, pid.trim()]).status().unwrap().success());
        tmux.shows_lines("status 5", round);
        tmux.prompts("outer>");
        tmux.enter("stty -a | grep -o ' -*icanon'");
        tmux.shows_lines(" icanon", round);
        tmux.prompts("outer>");
    }
}

/// Stops a program in a container of `program`, goes on with it and ends it, and sees what a person sees: with runc as here.
fn stops_and_goes_on(program: &std::path::Path) -> Option<()> {
    let mut sandbox = Sandbox::with_bundle("PS1='inner> ' exec sh")?.process("terminal", json!(true));
    // Whoever made the container also removes it, should this fail.
    sandbox.program = program.to_owned();
    let tmux = Tmux::begin(&sandbox)?;
    tmux.enter(&format!("rt() {{ {} --root root \"$@\"; }}; clear", program.display()));
    tmux.prompts_alone("outer>");
    let session = |begin: &str, number: usize| {
        tmux.enter(begin);
        tmux.prompts("inner>");
        // It says so itself: a key that comes before it is in the foreground is lost on the shell.
        tmux.enter("sh -c \"echo a''wake; exec tail -f /dev/null\"");
        tmux.shows_lines("awake", number);
        tmux.keys(&["C-z"]);
        tmux.shows("the shell's word", |screen| screen.matches("Stopped").count() == 2 * number - 1);
        tmux.prompts("inner>");
        tmux.enter("jobs");
        tmux.shows("its list", |screen| screen.matches("Stopped").count() == 2 * number);
        tmux.prompts("inner>");
        tmux.enter("fg");
        tmux.shows("the program", |screen| {
            screen.trim_end().lines().last().is_some_and(|line| line.contains("tail -f /dev/null"))
        });
        tmux.keys(&["C-c"]);
        tmux.prompts("inner>");
    };
    session("rt run -b bundle web; echo status $?", 1);
    tmux.enter("exit 4");
    tmux.shows_line("status 4");
    let mut config = sandbox.config.clone();
    config["process"]["args"] = json!(["sh", "-c", "while :; do sleep 0.1; done"]);
    config["process"]["terminal"] = json!(false);
    std::fs::write(sandbox.path("bundle/config.json"), config.to_string()).unwrap();
    tmux.prompts("outer>");
    tmux.enter("rt run -d -b bundle web; echo start''ed");
    tmux.shows_line("started");
    session("rt exec -t -e 'PS1=inner> ' web sh; echo status $?", 2);
    tmux.enter("exit 5");
    tmux.shows_line("status 5");
    tmux.prompts("outer>");
    // Without a terminal of its own the process is sent the keys' signals; nobody can stop it in a session of its own.
    tmux.enter("rt exec web sh -c 'trap \"exit 6\" INT; echo with''out; while :; do sleep 0.1; done'; echo status $?");
    tmux.shows_line("without");
    tmux.keys(&["C-z"]);
    tmux.keys(&["C-c"]);
    tmux.shows("its status", |screen| screen.contains("status 6"));
    tmux.prompts("outer>");
    tmux.enter("stty -a | grep -o ' -*icanon'");
    tmux.shows_line(" icanon");
    tmux.prompts("outer>");
    tmux.prompts("outer>");
    // By whom it was made.
    tmux.enter("rt delete -f web; echo dele''ted");
    tmux.shows_line("deleted");
    Some(())
}

#[test]
fn keys_that_stop_and_end_do_what_they_do_with_runc() {
    let peers = PEERS.iter().filter_map(|(name, version)| peer(name, version));
    for program in [RIVERRUN.into()].into_iter().chain(peers) {
        if stops_and_goes_on(&program).is_none() {
            return;
        }
    }
}

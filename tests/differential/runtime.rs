//! How a runtime is called: its program, what must stand before it, and a call that cannot hang the suite.
//!
//! All three understand runc's command line, so there is no table of commands here; what one of them lacks is said by
//! the case (`Case::skip`).
#![forbid(unsafe_code)]

use super::bundle::Bundle;
use std::ffi::OsString;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any call here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// One runtime.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    /// `riverrun`, `runc` or `crun`.
    pub(crate) name: &'static str,
    /// The program, with what must stand before it.
    pub(crate) command: Vec<OsString>,
}

/// What a call left: its exit status (`None`: it had to be killed) and what was printed.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Runtime {
    /// Starts `arguments` under this runtime, for the bundle's container, with pipes for stdio.
    pub(crate) fn start(
        &self,
        bundle: &Bundle,
        before: &[OsString],
        arguments: &[&str],
    ) -> io::Result<Running> {
        let mut words = before.iter().chain(&self.command);
        let mut command = Command::new(words.next().ok_or(io::ErrorKind::InvalidInput)?);
        command.args(words).arg("--root").arg(bundle.state_root()).args(arguments);
        Running::start(&mut command)
    }

    /// Runs `arguments` to their end.
    pub(crate) fn call(&self, bundle: &Bundle, arguments: &[&str]) -> io::Result<Outcome> {
        self.start(bundle, &[], arguments)?.finish()
    }

    /// Whether the program answers to `--version`; the first line of what it says.
    pub(crate) fn version(&self) -> io::Result<String> {
        let mut command = Command::new(&self.command[0]);
        let outcome = Running::start(command.args(&self.command[1..]).arg("--version"))?.finish()?;
        match outcome.status {
            Some(0) => Ok(outcome.stdout.lines().next().unwrap_or_default().to_owned()),
            _ => Err(io::Error::other(outcome.stderr)),
        }
    }
}

/// A program that runs, its output being read by threads of their own: a pipe that a container holds open must not
/// stop the test for ever.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    /// Spawns `command` with pipes and an environment that is the same everywhere.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.current_dir("/").spawn()?;
        let stdout = read_in_background(child.stdout.take());
        let stderr = read_in_background(child.stderr.take());
        Ok(Self { child, stdout, stderr })
    }

    /// Waits for the exit alone: others may hold the pipes still.
    pub(crate) fn wait(&mut self) -> io::Result<Option<i32>> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(500);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status.code().unwrap_or(-1)));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(8));
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(None)
    }

    /// All that is printed, up to the moment when nobody can print any more.
    pub(crate) fn printed(&mut self) -> (String, String) {
        drop(self.child.stdin.take());
        (collect(&self.stdout, PATIENCE), collect(&self.stderr, Duration::from_secs(2)))
    }

    /// The first part of stdout that came at once: a word by which the program says that it is ready.
    pub(crate) fn first_word(&self) -> String {
        self.stdout.recv_timeout(PATIENCE).unwrap_or_default()
    }

    /// Waits for the exit and the end of the output.
    pub(crate) fn finish(mut self) -> io::Result<Outcome> {
        let status = self.wait()?;
        let (stdout, stderr) = self.printed();
        Ok(Outcome { status, stdout, stderr })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read_in_background(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        let Some(mut pipe) = pipe else { return };
        while let Ok(got) = pipe.read(&mut buffer) {
            if got == 0 || sender.send(String::from_utf8_lossy(&buffer[..got]).into_owned()).is_err() {
                break;
            }
        }
    });
    receiver
}

fn collect(receiver: &Receiver<String>, patience: Duration) -> String {
    let deadline = Instant::now() + patience;
    let mut text = String::new();
    loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(part) => text.push_str(&part),
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return text,
        }
    }
}

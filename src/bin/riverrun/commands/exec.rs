//! `riverrun exec`: a further process in a container.
#![forbid(unsafe_code)]

use std::fs;

use nix::sys::signal::Signal;
use riverrun::{Call, Container, ExecOptions, Io};

use crate::args::Matches;
use crate::bundle::{check_terminal, process_wants_terminal, without_console_size};
use crate::ending::Ending;
use crate::failure::{Failure, NOT_EXECUTED, Outcome, io_failure};
use crate::foreground::{Signals, attend};
use crate::process::Changes;
use crate::session::{Session, path_option};
use crate::terminal::HostTerminal;

/// Executes the process.
pub(crate) fn exec(session: &Session, matches: &Matches) -> Outcome {
    let exec = || {
        let container = session.context()?.open(matches.id())?;
        let process = process(&container, matches)?;
        let terminal = process_wants_terminal(&process);
        let console_socket = path_option(matches, "console-socket")?;
        check_terminal(terminal, matches.switch("detach"), console_socket.is_some())?;
        let options = ExecOptions {
            process,
            cgroups: matches.list("cgroup").map(str::to_owned).collect(),
            pid_file: path_option(matches, "pid-file")?,
            pidfd_socket: path_option(matches, "pidfd-socket")?,
            io: Io { console_socket, fds: session.handed_fds()?, ..Io::default() },
            ignore_paused: matches.switch("ignore-paused"),
            ..ExecOptions::default()
        };
        if matches.switch("detach") {
            let ending = Ending::block()?;
            let options = ExecOptions { call: ending.call(), ..options };
            container.exec(options).map_err(|error| ending.failure(error))?;
            return Ok(0);
        }
        in_foreground(session, &container, options, terminal)
    };
    exec().map_err(|failure: Failure| failure.during("exec failed", NOT_EXECUTED))
}

/// The process object: the file's, or the container's own with what was typed.
fn process(container: &Container, matches: &Matches) -> Result<Vec<u8>, Failure> {
    match matches.text("process") {
        Some(path) => fs::read(path).map_err(|error| io_failure(&format!("open {path}"), &error)),
        None => Ok(Changes::typed(matches).apply(&container.process_json()?)?),
    }
}

fn in_foreground(
    session: &Session,
    container: &Container,
    mut options: ExecOptions<'_>,
    terminal: bool,
) -> Outcome {
    let host = if terminal { Some(HostTerminal::find()?) } else { None };
    // Signals first: a change of the size after it was asked for must not be missed.
    let signals = Signals::block(terminal)?;
    let ending = Ending::block()?;
    options.io.window = host.as_ref().and_then(HostTerminal::size);
    if options.io.window.is_some() {
        options.process = without_console_size(options.process, true);
    }
    let options = ExecOptions { call: ending.call(), ..options };
    let process = container.exec(options).map_err(|error| ending.failure(error))?;
    let exit = attend(&signals, &process, host.as_ref(), None, None).inspect_err(|_| {
        // Nobody is left who would read what it prints.
        if process.signal(Signal::SIGKILL as i32).is_ok() {
            drop(process.wait(Call::default()));
        }
    })?;
    Ok(session.status(&exit))
}

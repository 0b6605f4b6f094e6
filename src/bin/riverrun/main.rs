//! `riverrun`: the command line over the library, with runc's commands, texts, outputs and exit statuses.
//!
//! Nothing is decided here: an argv becomes a [`args::parse::Request`], the request's command calls the library, and
//! its outcome becomes an exit status. Start in [`args::table`] to see what there is, in `commands/` to see it done.
//!
//! A caller may have closed descriptors 0, 1 or 2. Rust's runtime opens `/dev/null` in their place before `main`, so
//! nothing that this program opens can land there; `tests/cli/streams.rs` holds it to that.
#![forbid(unsafe_code)]

mod args;
mod bundle;
mod commands;
mod duration;
mod ending;
mod endpoint;
mod failure;
mod foreground;
mod handed;
mod log_daemon;
mod logging;
mod migration;
mod notify;
mod output;
mod process;
mod relay;
mod selection;
mod session;
mod signal_name;
mod terminal;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use args::parse::{Invocation, Misuse, Request, find, parse};
use failure::{FAILED, Failure, Outcome};
use logging::Log;
use riverrun::Level;
use session::Session;

fn main() -> ExitCode {
    let argv: Result<Vec<String>, _> = env::args_os().skip(1).map(|word| word.into_string()).collect();
    let argv = match argv {
        Ok(argv) => argv,
        Err(word) => {
            return end(&Log::default(), Err(format!("read argument {word:?}: it is not UTF-8").into()));
        }
    };
    let (globals, request) = parse(&argv);
    match request {
        Ok(Request::Help(None)) => end(&Log::default(), output::print(&args::help::program()).map(|()| 0)),
        Ok(Request::Help(Some(command))) => {
            end(&Log::default(), output::print(&args::help::command(command)).map(|()| 0))
        }
        Ok(Request::Version) => end(&Log::default(), output::print(&output::version()).map(|()| 0)),
        Ok(Request::Run(invocation)) => run(invocation),
        Err(misuse) => match Log::open(&globals) {
            Ok(log) => end(&log, Err(explain(misuse))),
            Err(failure) => end(&Log::default(), Err(failure)),
        },
    }
}

/// Carries out one command.
fn run(invocation: Invocation) -> ExitCode {
    let Invocation { globals, command, matches } = invocation;
    // First of all: see `handed`.
    let variable = |name| env::var(name).ok();
    let listen = if matches!(command.name, "create" | "run") {
        handed::listen_fds(
            variable("LISTEN_FDS").as_deref(),
            variable("LISTEN_PID").as_deref(),
            std::process::id(),
        )
    } else {
        0
    };
    let fds = handed::map(listen, matches.number("preserve-fds"));
    match Log::open(&globals) {
        Ok(log) => {
            let log = Arc::new(log);
            if globals.text("criu").is_some() {
                log.line(Level::Warn, "--criu is not used: criu is found in $PATH");
            }
            let session = Session::new(globals, Arc::clone(&log), fds, listen);
            end(&log, (command.run)(&session, &matches))
        }
        Err(failure) => end(&Log::default(), Err(failure)),
    }
}

/// Tells how it ended and makes the exit status.
fn end(log: &Log, outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            log.fatal(&failure.message);
            ExitCode::from(failure.status)
        }
    }
}

/// Prints the help that fits the misuse; what is wrong is told like any other failure.
fn explain(misuse: Misuse) -> Failure {
    let help_of =
        |name: Option<&str>| name.and_then(find).map_or_else(args::help::program, args::help::command);
    let (heading, message) = match misuse {
        Misuse::Command { name } => return Failure::no_such_command(&name),
        Misuse::Flag { command, message } => {
            // COMPAT(runc): one sign differs.
            let sign = if command.is_some() { ':' } else { '.' };
            (format!("Incorrect Usage{sign} {message}\n\n{}", help_of(command)), message)
        }
        Misuse::Arity { command, message } => {
            (format!("Incorrect Usage.\n\n{}", help_of(Some(command))), message)
        }
    };
    match output::print(&heading) {
        Ok(()) => Failure { message, status: FAILED },
        Err(failure) => failure,
    }
}

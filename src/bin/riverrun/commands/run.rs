//! `riverrun run`: create and start, and in the foreground: stay, and delete in the end.
#![forbid(unsafe_code)]

use riverrun::{Call, Container, Exit};

use super::create::Wanted;
use crate::args::Matches;
use crate::failure::{FAILED, Failure, Outcome};
use crate::foreground::{Signals, attend, become_subreaper};
use crate::session::Session;
use crate::terminal::HostTerminal;

/// Runs the container.
pub(crate) fn run(session: &Session, matches: &Matches) -> Outcome {
    let detach = matches.switch("detach");
    let run = || {
        let wanted = Wanted::typed(session, matches, detach)?;
        if detach {
            wanted.context.run(matches.id(), wanted.options)?;
            return Ok(0);
        }
        in_foreground(session, matches, wanted)
    };
    run().map_err(|failure: Failure| failure.during("runc run failed", FAILED))
}

fn in_foreground(session: &Session, matches: &Matches, mut wanted: Wanted) -> Outcome {
    let host = if wanted.terminal { Some(HostTerminal::find()?) } else { None };
    let signals = Signals::block(wanted.terminal)?;
    if !matches.switch("no-subreaper") {
        become_subreaper()?;
    }
    // A terminal is connected before the program runs, so that its first line is not printed to nobody; without one
    // there is nothing to do in between, and `run` saves a step.
    let container = if let Some(host) = &host {
        wanted.options.io.window = host.size();
        wanted.context.create(matches.id(), wanted.options)?
    } else {
        wanted.context.run(matches.id(), wanted.options)?
    };
    let exit = stay(&container, &signals, host.as_ref());
    if !matches.switch("keep")
        && let Err(error) = container.delete(true, Call::default())
    {
        session.log_error(&error.to_string());
    }
    Ok(u8::try_from(exit?.shell_status()).unwrap_or(FAILED))
}

fn stay(container: &Container, signals: &Signals, host: Option<&HostTerminal>) -> Result<Exit, Failure> {
    let process = container.init_process()?;
    let start = || Ok(container.start(Call::default())?);
    // Without a terminal it has been started by now.
    attend(signals, &process, host, if host.is_some() { Some(&start) } else { None })
}

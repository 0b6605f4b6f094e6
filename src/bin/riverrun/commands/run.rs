//! `riverrun run`: create and start, and in the foreground: stay, and delete in the end.
#![forbid(unsafe_code)]

use riverrun::{Call, Container, Context, CreateOptions, Exit};

use super::create::Wanted;
use crate::args::Matches;
use crate::bundle::without_console_size;
use crate::ending::Ending;
use crate::failure::{FAILED, Failure, Outcome};
use crate::foreground::{Signals, attend, become_subreaper};
use crate::notify;
use crate::session::Session;
use crate::terminal::HostTerminal;

/// Runs the container.
pub(crate) fn run(session: &Session, matches: &Matches) -> Outcome {
    let detach = matches.switch("detach");
    let run = || {
        let wanted = Wanted::typed(session, matches, detach)?;
        if detach {
            return in_background(matches, wanted);
        }
        in_foreground(session, matches, wanted)
    };
    run().map_err(|failure: Failure| failure.during("runc run failed", FAILED))
}

fn in_background(matches: &Matches, wanted: Wanted) -> Outcome {
    let ending = Ending::block()?;
    let options = CreateOptions { call: ending.call(), ..wanted.options };
    if !options.notify {
        wanted.context.run(matches.id(), options).map_err(|error| ending.failure(error))?;
        return Ok(0);
    }
    let container = wanted.context.create(matches.id(), options).map_err(|error| ending.failure(error))?;
    let start = || {
        let notify = notify::between(&container)?;
        let process = container.init_process()?;
        container.start(ending.call()).map_err(|error| ending.failure(error))?;
        notify.map_or(Ok(()), |notify| notify.until_ready(&process, &ending))
    };
    start().inspect_err(|_| drop(container.delete(true, Call::default())))?;
    Ok(0)
}

fn in_foreground(session: &Session, matches: &Matches, mut wanted: Wanted) -> Outcome {
    let host = if wanted.terminal { Some(HostTerminal::find()?) } else { None };
    let signals = Signals::block(wanted.terminal)?;
    let ending = Ending::block()?;
    if !matches.switch("no-subreaper") {
        become_subreaper()?;
    }
    // A terminal is connected before the program runs, so that its first line is not printed to nobody, and a socket is
    // made for what it says to a service manager; without either there is nothing to do in between, and `run` saves a
    // step.
    wanted.options.io.window = host.as_ref().and_then(HostTerminal::size);
    if wanted.options.io.window.is_some() {
        let config = wanted.options.config.take();
        wanted.options.config = config.map(|config| without_console_size(config, false));
    }
    let waits = host.is_some() || wanted.options.notify;
    let make = if waits { Context::create } else { Context::run };
    let options = CreateOptions { call: ending.call(), ..wanted.options };
    let container = make(&wanted.context, matches.id(), options).map_err(|error| ending.failure(error))?;
    let exit = stay(&container, &signals, host.as_ref(), waits);
    if !matches.switch("keep")
        && let Err(error) = container.delete(true, Call::default())
    {
        session.log_error(&error.to_string());
    }
    Ok(session.status(&exit?))
}

fn stay(
    container: &Container,
    signals: &Signals,
    host: Option<&HostTerminal>,
    waits: bool,
) -> Result<Exit, Failure> {
    let process = container.init_process()?;
    let start = || Ok(container.start(Call::default())?);
    let notify = notify::between(container)?;
    attend(signals, &process, host, notify, if waits { Some(&start) } else { None })
}

//! `riverrun kill`: a signal for a container.
#![forbid(unsafe_code)]

use riverrun::{Container, Kind};

use crate::args::Matches;
use crate::failure::Outcome;
use crate::selection::each_matching;
use crate::session::Session;
use crate::signal_name;

/// Sends the signal. COMPAT(runc): an unknown container is told before an unknown signal, and `--all` is content
/// with a container that has stopped.
pub(crate) fn kill(session: &Session, matches: &Matches) -> Outcome {
    let context = session.context()?;
    let all = matches.switch("all");
    let word = matches.arguments().get(1).map_or("TERM", String::as_str);
    if matches.switch("regex") {
        let signal = signal_name::parse(word)?;
        return each_matching(session, &context, matches.id(), |id| send(&context.open(id)?, signal, all));
    }
    let container = context.open(matches.id())?;
    send(&container, signal_name::parse(word)?, all)?;
    Ok(0)
}

fn send(container: &Container, signal: i32, all: bool) -> riverrun::Result<()> {
    match container.kill(signal, all) {
        Err(error) if all && error.kind() == Kind::NotRunning => Ok(()),
        other => other,
    }
}

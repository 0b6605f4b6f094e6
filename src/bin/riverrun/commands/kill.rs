//! `riverrun kill`: a signal for a container.
#![forbid(unsafe_code)]

use riverrun::Kind;

use crate::args::Matches;
use crate::failure::Outcome;
use crate::session::Session;
use crate::signal_name;

/// Sends the signal. COMPAT(runc): an unknown container is told before an unknown signal, and `--all` is content
/// with a container that has stopped.
pub(crate) fn kill(session: &Session, matches: &Matches) -> Outcome {
    let container = session.context()?.open(matches.id())?;
    let all = matches.switch("all");
    let word = matches.arguments().get(1).map_or("TERM", String::as_str);
    match container.kill(signal_name::parse(word)?, all) {
        Err(error) if all && error.kind() == Kind::NotRunning => Ok(0),
        other => Ok(other.map(|()| 0)?),
    }
}

//! `riverrun pause`: the processes of a container stop where they are.
#![forbid(unsafe_code)]

use riverrun::Call;

use crate::args::Matches;
use crate::failure::Outcome;
use crate::session::Session;

/// Stops the processes.
pub(crate) fn pause(session: &Session, matches: &Matches) -> Outcome {
    session.context()?.open(matches.id())?.pause(Call::default())?;
    Ok(0)
}

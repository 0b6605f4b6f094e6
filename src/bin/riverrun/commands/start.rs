//! `riverrun start`: lets the program of a created container run.
#![forbid(unsafe_code)]

use riverrun::Call;

use crate::args::Matches;
use crate::failure::Outcome;
use crate::session::Session;

/// Starts the container.
pub(crate) fn start(session: &Session, matches: &Matches) -> Outcome {
    session.context()?.open(matches.id())?.start(Call::default())?;
    Ok(0)
}

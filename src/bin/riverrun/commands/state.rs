//! `riverrun state`: the state of a container as JSON.
#![forbid(unsafe_code)]

use crate::args::Matches;
use crate::failure::Outcome;
use crate::output;
use crate::session::Session;

/// Prints the state. COMPAT(runc): no line end follows the object.
pub(crate) fn state(session: &Session, matches: &Matches) -> Outcome {
    let state = session.context()?.open(matches.id())?.state()?;
    output::print(&state.to_json())?;
    Ok(0)
}

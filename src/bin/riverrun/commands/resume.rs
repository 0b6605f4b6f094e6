//! `riverrun resume`: the processes of a paused container go on.
#![forbid(unsafe_code)]

use riverrun::Call;

use crate::args::Matches;
use crate::failure::Outcome;
use crate::session::Session;

/// Lets the processes go on.
pub(crate) fn resume(session: &Session, matches: &Matches) -> Outcome {
    session.context()?.open(matches.id())?.resume(Call::default())?;
    Ok(0)
}

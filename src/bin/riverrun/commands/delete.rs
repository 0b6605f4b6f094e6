//! `riverrun delete`: removes what is left of a container.
#![forbid(unsafe_code)]

use riverrun::Call;

use crate::args::Matches;
use crate::failure::Outcome;
use crate::session::Session;

/// Deletes the container. The context does it and not the container, since a half-made one cannot be opened.
pub(crate) fn delete(session: &Session, matches: &Matches) -> Outcome {
    session.context()?.delete(matches.id(), matches.switch("force"), Call::default())?;
    Ok(0)
}

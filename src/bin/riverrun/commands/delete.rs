//! `riverrun delete`: removes what is left of a container.
#![forbid(unsafe_code)]

use riverrun::Call;

use crate::args::Matches;
use crate::failure::Outcome;
use crate::selection::each_matching;
use crate::session::Session;

/// Deletes the container. The context does it and not the container, since a half-made one cannot be opened.
pub(crate) fn delete(session: &Session, matches: &Matches) -> Outcome {
    let context = session.context()?;
    let force = matches.switch("force");
    if matches.switch("regex") {
        return each_matching(session, &context, matches.id(), |id| {
            context.delete(id, force, Call::default())
        });
    }
    context.delete(matches.id(), force, Call::default())?;
    Ok(0)
}

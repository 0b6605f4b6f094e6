//! `riverrun features`: what this build can do, on any host.
#![forbid(unsafe_code)]

use crate::args::Matches;
use crate::failure::Outcome;
use crate::output;
use crate::session::Session;

/// Prints the document. Neither root nor cgroups nor a state root are needed.
pub(crate) fn features(_: &Session, _: &Matches) -> Outcome {
    output::print(&format!("{}\n", riverrun::features()))?;
    Ok(0)
}

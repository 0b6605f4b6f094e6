//! `riverrun completion`: a shell's completion script.
#![forbid(unsafe_code)]

use crate::args::Matches;
use crate::args::completion::{SHELLS, script};
use crate::failure::Outcome;
use crate::output;
use crate::session::Session;

/// Prints the script.
pub(crate) fn completion(_: &Session, matches: &Matches) -> Outcome {
    let shell = matches.id();
    let text = script(shell)
        .ok_or_else(|| format!("unknown shell \"{shell}\": not one of {}", SHELLS.join(", ")))?;
    output::print(&text)?;
    Ok(0)
}

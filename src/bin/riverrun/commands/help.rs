//! `riverrun help`: what `--help` prints, for those who type it as a command.
#![forbid(unsafe_code)]

use crate::args::Matches;
use crate::args::help::{command, program};
use crate::args::parse::find;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::session::Session;

/// Prints the help of the program, or of the command that is named.
pub(crate) fn help(_: &Session, matches: &Matches) -> Outcome {
    let text = match matches.id() {
        "" => program(),
        name => match find(name) {
            Some(known) => command(known),
            None => return Err(Failure::no_such_command(name)),
        },
    };
    output::print(&text)?;
    Ok(0)
}

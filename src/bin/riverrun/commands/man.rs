//! `riverrun man`: the manual page.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use crate::args::Matches;
use crate::args::man::page;
use crate::failure::{Outcome, io_failure};
use crate::output;
use crate::session::Session;

/// Prints the page in roff, or writes it into a directory.
pub(crate) fn man(_: &Session, matches: &Matches) -> Outcome {
    match matches.arguments().first() {
        None => output::print(&page())?,
        Some(directory) => {
            let path = Path::new(directory).join("riverrun.8");
            fs::write(&path, page())
                .map_err(|error| io_failure(&format!("write {}", path.display()), &error))?;
        }
    }
    Ok(0)
}

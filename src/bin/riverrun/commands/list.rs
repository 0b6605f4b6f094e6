//! `riverrun list`: the containers below the state root.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Write};

use riverrun::{Listing, State};

use crate::args::Matches;
use crate::failure::{Failure, Outcome, io_failure};
use crate::output;
use crate::session::Session;

const TITLES: [&str; 6] = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];

/// Prints the containers. Entries that cannot be read do not spoil the rest.
pub(crate) fn list(session: &Session, matches: &Matches) -> Outcome {
    // The default root is made when it is needed first; one that was named and is not there is a mistake.
    if let Some(root) = session.root()? {
        fs::metadata(&root).map_err(|error| io_failure(&format!("open {}", root.display()), &error))?;
    }
    let listing = session.context()?.list()?;
    let text = text(&listing, matches)?;
    for (id, error) in &listing.broken {
        let _ = writeln!(io::stderr().lock(), "load container {id}: {error}");
    }
    output::print(&text)?;
    Ok(0)
}

fn text(listing: &Listing, matches: &Matches) -> Result<String, Failure> {
    if matches.switch("quiet") {
        return Ok(listing.containers.iter().map(|state| format!("{}\n", state.id)).collect());
    }
    match matches.given("format") {
        None | Some("table") => {
            let titles = TITLES.map(str::to_owned).to_vec();
            let rows: Vec<_> = [titles].into_iter().chain(listing.containers.iter().map(row)).collect();
            Ok(output::table(&rows))
        }
        Some("json") => Ok(format!("{}\n", listing.to_json())),
        Some(_) => Err("invalid format option".into()),
    }
}

fn row(state: &State) -> Vec<String> {
    vec![
        state.id.clone(),
        state.pid.to_string(),
        state.status.to_string(),
        state.bundle.display().to_string(),
        state.created.clone(),
        state.owner.clone(),
    ]
}

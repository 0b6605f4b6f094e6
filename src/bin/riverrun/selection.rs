//! `--regex`: one command for every container whose id matches, as crun has it.
//!
//! The ids come from the state root's directory and not from `list`, so that what a killed create left half made can be
//! deleted by a pattern too. An entry that goes away meanwhile is no failure; every other failure is told, the rest is
//! done all the same, and the exit status says that something is left.
#![forbid(unsafe_code)]

use std::fs;
use std::io;

use regex_lite::Regex;
use riverrun::{Context, Kind};

use crate::failure::{FAILED, Outcome, io_failure};
use crate::session::Session;

/// Calls `act` for every id below the state root that `pattern` matches anywhere.
pub(crate) fn each_matching(
    session: &Session,
    context: &Context,
    pattern: &str,
    act: impl Fn(&str) -> riverrun::Result<()>,
) -> Outcome {
    let pattern = Regex::new(pattern).map_err(|error| format!("parse regular expression: {error}"))?;
    let mut status = 0;
    for id in ids(context)?.iter().filter(|id| pattern.is_match(id)) {
        match act(id) {
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => {
                session.log_error(&format!("{id}: {error}"));
                status = FAILED;
            }
            Ok(()) => {}
        }
    }
    Ok(status)
}

/// The names of the state root's directories. No state root: no containers.
fn ids(context: &Context) -> Result<Vec<String>, crate::failure::Failure> {
    let root = context.root();
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_failure(&format!("open {}", root.display()), &error)),
    };
    let mut ids: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    ids.sort_unstable();
    Ok(ids)
}

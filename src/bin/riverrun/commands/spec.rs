//! `riverrun spec`: a config.json to begin with.
#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use nix::unistd::{getegid, geteuid};

use crate::args::Matches;
use crate::bundle;
use crate::failure::{Failure, Outcome, io_failure};
use crate::session::Session;

const NAME: &str = "config.json";

/// Writes the file. `create_new` and not a look beforehand: what appears in between is not overwritten either.
pub(crate) fn spec(_: &Session, matches: &Matches) -> Outcome {
    bundle::enter(matches)?;
    let rootless = matches.switch("rootless").then(|| (geteuid().as_raw(), getegid().as_raw()));
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(NAME).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Failure::from(format!("File {NAME} exists. Remove it first")),
            _ => io_failure(&format!("create {NAME}"), &error),
        })?;
    file.write_all(riverrun::default_config(rootless).as_bytes())
        .map_err(|error| io_failure(&format!("write {NAME}"), &error))?;
    Ok(0)
}

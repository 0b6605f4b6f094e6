//! `riverrun receive`: a container that another host migrates.
#![forbid(unsafe_code)]

use std::fs;

use riverrun::{CreateOptions, Io, ReceiveOptions};

use super::checkpoint::criu_options;
use super::migrate::patience;
use super::update::bytes;
use crate::args::Matches;
use crate::ending::Ending;
use crate::endpoint::Endpoint;
use crate::failure::{Outcome, io_failure};
use crate::session::{Session, path_option};

/// Receives one container.
pub(crate) fn receive(session: &Session, matches: &Matches) -> Outcome {
    let context = session.context()?;
    let default = ReceiveOptions::default();
    let limit = match matches.text("limit") {
        None => default.limit,
        Some(text) => bytes(text)?.unsigned_abs(),
    };
    let config = match path_option(matches, "config")? {
        Some(path) => {
            let read = fs::read(&path);
            Some(read.map_err(|error| io_failure(&format!("open {}", path.display()), &error))?)
        }
        None => None,
    };
    let create = CreateOptions {
        bundle: path_option(matches, "bundle")?,
        config,
        pid_file: path_option(matches, "pid-file")?,
        pidfd_socket: path_option(matches, "pidfd-socket")?,
        io: Io { console_socket: path_option(matches, "console-socket")?, ..Io::default() },
        no_pivot: matches.switch("no-pivot"),
        no_new_keyring: matches.switch("no-new-keyring"),
        ..CreateOptions::default()
    };
    let id = matches.arguments().first().cloned();
    let patience = patience(matches)?.unwrap_or(default.patience);
    let (work, criu) = (path_option(matches, "work-path")?, criu_options(matches)?);
    let quiet = matches.switch("quiet");
    let socket = Endpoint::parse("listen", matches.text("listen"))?.accept(|place| {
        if !quiet {
            eprintln!("waiting for a container at {place}");
        }
    })?;
    let ending = Ending::block()?;
    let create = CreateOptions { call: ending.call(), ..create };
    let options = ReceiveOptions { id, create, patience, work, criu, limit };
    context.receive(socket, options).map_err(|error| ending.failure(error))?;
    Ok(0)
}

//! `riverrun migrate`: a running container to another host.
#![forbid(unsafe_code)]

use std::time::Duration;

use riverrun::{MigrateOptions, RootfsTransfer};

use super::checkpoint::criu_options;
use crate::args::Matches;
use crate::duration;
use crate::ending::Ending;
use crate::endpoint::Endpoint;
use crate::failure::{Failure, Outcome};
use crate::migration::Progress;
use crate::session::{Session, path_option};

/// Sends the container away.
pub(crate) fn migrate(session: &Session, matches: &Matches) -> Outcome {
    let container = session.context()?.open(matches.id())?;
    let progress = Progress::parse(matches.text("progress"))?;
    let default = MigrateOptions::default();
    let rootfs = match matches.text("rootfs") {
        None | Some("shared") => RootfsTransfer::Shared,
        Some("copy") => RootfsTransfer::Copy,
        Some(word) => return Err(format!("invalid value \"{word}\" for flag -rootfs: parse error").into()),
    };
    let rounds = match matches.text("rounds") {
        None => default.rounds,
        Some(text) => {
            text.parse().map_err(|_| format!("invalid value \"{text}\" for flag -rounds: parse error"))?
        }
    };
    let options = MigrateOptions {
        rootfs,
        rounds,
        page_server: matches.switch("page-server"),
        lazy: matches.switch("lazy"),
        patience: patience(matches)?.unwrap_or(default.patience),
        work: path_option(matches, "work-path")?,
        criu: criu_options(matches)?,
        link_remap: matches.switch("link-remap"),
        tcp_skip_in_flight: matches.switch("tcp-skip-in-flight"),
    };
    let socket = Endpoint::parse("to", matches.text("to"))?.connect()?;
    let ending = Ending::block()?;
    let migrated = container
        .migrate(socket, &options, ending.call(), &mut |event| progress.event(event))
        .map_err(|error| ending.failure(error))?;
    progress.done(container.id(), &migrated);
    Ok(0)
}

/// `--timeout`.
pub(crate) fn patience(matches: &Matches) -> Result<Option<Duration>, Failure> {
    let Some(text) = matches.text("timeout") else { return Ok(None) };
    let nanos = duration::parse(text).filter(|nanos| *nanos > 0);
    let nanos = nanos.ok_or_else(|| format!("invalid value \"{text}\" for flag -timeout: parse error"))?;
    Ok(Some(Duration::from_nanos(nanos.unsigned_abs())))
}

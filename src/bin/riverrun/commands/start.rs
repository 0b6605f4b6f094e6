//! `riverrun start`: lets the program of a created container run.
#![forbid(unsafe_code)]

use riverrun::Call;

use crate::args::Matches;
use crate::ending::Ending;
use crate::failure::Outcome;
use crate::notify;
use crate::session::Session;

/// Starts the container. Where a service manager listens, it is told that the program is ready before this returns.
pub(crate) fn start(session: &Session, matches: &Matches) -> Outcome {
    let container = session.context()?.open(matches.id())?;
    let Some(notify) = notify::between(&container)? else {
        container.start(Call::default())?;
        return Ok(0);
    };
    let process = container.init_process()?;
    let ending = Ending::block()?;
    container.start(Call::default())?;
    notify.until_ready(&process, &ending)?;
    Ok(0)
}

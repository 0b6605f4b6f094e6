//! `riverrun restore`: a container of images, and in the foreground: stay, and delete in the end.
#![forbid(unsafe_code)]

use riverrun::{Call, CreateOptions, ImageDirectory, RestoreOptions};

use super::checkpoint::{criu_options, image_path};
use super::create::Wanted;
use crate::args::Matches;
use crate::ending::Ending;
use crate::failure::{FAILED, Failure, Outcome};
use crate::foreground::{Signals, attend, become_subreaper};
use crate::session::{Session, path_option};
use crate::terminal::HostTerminal;

/// Restores the container.
pub(crate) fn restore(session: &Session, matches: &Matches) -> Outcome {
    // Paths are read before the bundle is entered.
    let restore = RestoreOptions {
        images: ImageDirectory::Path(image_path(matches)?),
        work: path_option(matches, "work-path")?.map(ImageDirectory::Path),
        tcp_close: matches.switch("tcp-close"),
        lsm_profile: matches.text("lsm-profile").map(str::to_owned),
        lsm_mount_context: matches.text("lsm-mount-context").map(str::to_owned),
        criu: criu_options(matches)?,
    };
    let detach = matches.switch("detach");
    let mut wanted = Wanted::typed(session, matches, detach)?;
    if !std::mem::take(&mut wanted.options.io.fds).is_empty() {
        session.log_warning(
            "the descriptors of LISTEN_FDS are not passed on: the restored processes have their own",
        );
    }
    if detach {
        let ending = Ending::block()?;
        let options = CreateOptions { call: ending.call(), ..wanted.options };
        wanted.context.restore(matches.id(), options, &restore).map_err(|error| ending.failure(error))?;
        return Ok(0);
    }
    in_foreground(session, matches, wanted, &restore)
}

fn in_foreground(
    session: &Session,
    matches: &Matches,
    wanted: Wanted,
    restore: &RestoreOptions<'_>,
) -> Outcome {
    let host = if wanted.terminal { Some(HostTerminal::find()?) } else { None };
    let signals = Signals::block(wanted.terminal)?;
    let ending = Ending::block()?;
    if !matches.switch("no-subreaper") {
        become_subreaper()?;
    }
    let options = CreateOptions { call: ending.call(), ..wanted.options };
    let container =
        wanted.context.restore(matches.id(), options, restore).map_err(|error| ending.failure(error))?;
    let process = container.init_process()?;
    if let Some(size) = host.as_ref().and_then(HostTerminal::size) {
        // Where the window has another size than the one that was there before, the program is told.
        let _ = process.resize(size);
    }
    let exit: Result<_, Failure> = attend(&signals, &process, host.as_ref(), None, None);
    if !matches.switch("keep")
        && let Err(error) = container.delete(true, Call::default())
    {
        session.log_error(&error.to_string());
    }
    Ok(u8::try_from(exit?.shell_status()).unwrap_or(FAILED))
}

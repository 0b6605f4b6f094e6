//! `riverrun restore`: a container of images, and in the foreground: stay, and delete in the end.
#![forbid(unsafe_code)]

use nix::unistd::getpid;
use riverrun::{Call, Container, CreateOptions, Exit, ImageDirectory, RestoreOptions};

use super::checkpoint::{criu_options, image_path};
use super::create::Wanted;
use crate::args::Matches;
use crate::ending::Ending;
use crate::failure::{Failure, Outcome};
use crate::foreground::{Signals, attend, become_subreaper};
use crate::notify::{Manager, Notify};
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
    let manager = Manager::find()?;
    let mut wanted = Wanted::typed(session, matches, detach)?;
    if !std::mem::take(&mut wanted.options.io.fds).is_empty() {
        session.log_warning(
            "the descriptors of LISTEN_FDS are not passed on: the restored processes have their own",
        );
    }
    if detach {
        let ending = Ending::block()?;
        let options = CreateOptions { call: ending.call(), ..wanted.options };
        let container =
            wanted.context.restore(matches.id(), options, &restore).map_err(|error| ending.failure(error))?;
        let pid = container.init_process()?.pid();
        ready(manager, &container, pid).inspect_err(|_| drop(container.delete(true, Call::default())))?;
        return Ok(0);
    }
    in_foreground(session, matches, wanted, (&restore, manager))
}

/// Tells the service manager that the restored program, which has said so in its former life, is ready.
fn ready(manager: Option<Manager>, container: &Container, main_pid: i32) -> Result<Option<Notify>, Failure> {
    let Some(manager) = manager else { return Ok(None) };
    let mut notify = manager.and(container)?;
    notify.as_mut().map_or(Ok(()), |notify| notify.say_ready(main_pid))?;
    Ok(notify)
}

fn in_foreground(
    session: &Session,
    matches: &Matches,
    wanted: Wanted,
    (restore, manager): (&RestoreOptions<'_>, Option<Manager>),
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
    let exit = stay(&container, &signals, host.as_ref(), manager);
    if !matches.switch("keep")
        && let Err(error) = container.delete(true, Call::default())
    {
        session.log_error(&error.to_string());
    }
    Ok(session.status(&exit?))
}

fn stay(
    container: &Container,
    signals: &Signals,
    host: Option<&HostTerminal>,
    manager: Option<Manager>,
) -> Result<Exit, Failure> {
    let process = container.init_process()?;
    if let Some(size) = host.and_then(HostTerminal::size) {
        // Where the window has another size than the one that was there before, the program is told.
        let _ = process.resize(size);
    }
    let notify = ready(manager, container, getpid().as_raw())?;
    attend(signals, &process, host, notify, None)
}

//! `riverrun create`: a container whose program does not run yet. Also the options that `run` shares with it.
#![forbid(unsafe_code)]

use riverrun::{Context, CreateOptions, Io};

use crate::args::Matches;
use crate::bundle::{Bundle, check_terminal};
use crate::ending::Ending;
use crate::failure::{FAILED, Failure, Outcome};
use crate::handed::listen_fds_env;
use crate::notify;
use crate::session::{Session, path_option};

/// Creates the container.
pub(crate) fn create(session: &Session, matches: &Matches) -> Outcome {
    let create = || {
        let wanted = Wanted::typed(session, matches, true)?;
        let ending = Ending::block()?;
        let options = CreateOptions { call: ending.call(), ..wanted.options };
        wanted.context.create(matches.id(), options).map_err(|error| ending.failure(error))?;
        Ok(0)
    };
    create().map_err(|failure: Failure| failure.during("runc create failed", FAILED))
}

/// A container that is to be made.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The library.
    pub(crate) context: Context,
    /// How to make it.
    pub(crate) options: CreateOptions<'static>,
    /// Whether its process has a terminal.
    pub(crate) terminal: bool,
}

impl Wanted {
    /// What was typed. Paths are read before the bundle is entered, which changes what they are relative to.
    pub(crate) fn typed(session: &Session, matches: &Matches, detach: bool) -> Result<Self, Failure> {
        let context = session.context()?;
        let pid_file = path_option(matches, "pid-file")?;
        let console_socket = path_option(matches, "console-socket")?;
        let pidfd_socket = path_option(matches, "pidfd-socket")?;
        let mut bundle = Bundle::enter(matches)?;
        check_terminal(bundle.terminal, detach, console_socket.is_some())?;
        bundle.announce(listen_fds_env(session.listen_fds()).into_iter().chain(notify::watchdog(detach)))?;
        let options = CreateOptions {
            bundle: Some(bundle.directory),
            config: Some(bundle.config),
            pid_file,
            pidfd_socket,
            io: Io { console_socket, fds: session.handed_fds()?, ..Io::default() },
            no_pivot: matches.switch("no-pivot"),
            no_new_keyring: matches.switch("no-new-keyring"),
            notify: notify::wanted(),
            ..CreateOptions::default()
        };
        Ok(Self { context, options, terminal: bundle.terminal })
    }
}

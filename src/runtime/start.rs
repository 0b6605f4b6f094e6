//! start: the word to the init program of a created container, and what comes of it.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;

use super::channel::Channel;
use super::context::{Container, loaded};
use super::deadline::Deadline;
use super::hooks;
use super::options::Call;
use crate::error::{Error, Kind, Result};
use crate::spec::Moment;
use crate::state::directory::{Directory, START_SOCKET};
use crate::state::status::{Status, is_frozen, observe};
use crate::sys::socket;
use crate::wording;

impl Container {
    /// Executes the program of a created container. Returns once it is executed, or with the reason why it is not.
    ///
    /// # Errors
    /// [`Kind::Running`] and [`Kind::NotRunning`] in any other state, without effect;
    /// [`Kind::ExecNotFound`] and [`Kind::ExecPermission`] for a program that went away since the create.
    pub fn start(&self, call: Call<'_>) -> Result<()> {
        let deadline = Deadline::begin(call, "start container")?;
        let directory = Directory::open(self.context.root(), &self.id)?;
        deadline.lock(&directory)?;
        // Read under the lock: somebody may have deleted it while we waited.
        let state = loaded(&directory)?;
        let error = |errno| Error::os(Kind::System, "start container", errno as i32);
        // Whoever listens is the init program of a created container: nothing else needs to be asked, but whether it
        // could answer; and that first, for it wakes up when we connect and should find the word.
        let frozen = is_frozen(&state);
        let peer = match socket::connect_in(directory.fd(), START_SOCKET) {
            Ok(peer) if !frozen => peer,
            refused => match observe(&directory, &state) {
                Status::Created => refused.map_err(error)?,
                Status::Stopped => return Err(Error::new(Kind::NotRunning, wording::START_STOPPED)),
                Status::Running => return Err(Error::new(Kind::Running, wording::START_RUNNING)),
                Status::Paused => return Err(Error::new(Kind::Paused, wording::start_in_state("paused"))),
                other => return Err(Error::new(Kind::Running, wording::start_in_state(&other.to_string()))),
            },
        };
        socket::send(peer.as_fd(), b"s", &[]).map_err(error)?;
        let started = executed(&Channel::new(peer), &deadline);
        let failed = match &started {
            Ok(()) => {
                let (host, pid) = (self.hook.as_ref(), state.init_process_pid);
                hooks::saved(&directory, &state, host.is_some())
                    .and_then(|hooks| hooks::run(&hooks, host, Moment::Poststart, pid, &deadline))
            }
            // It ends by itself, and has when this returns.
            Err(error) if error.kind() == Kind::Hook => Ok(()),
            Err(_) => return started,
        };
        match started.and(failed) {
            Ok(()) => {
                self.context.trace(|| format!("container {}: started", self.id));
                Ok(())
            }
            Err(error) => self.context.end(&state, Call::default()).and(Err(error)),
        }
    }
}

/// The stream ends when the program is executed, because it is close-on-exec; a failure comes before.
pub(super) fn executed(channel: &Channel, deadline: &Deadline<'_>) -> Result<()> {
    match channel.expect(deadline, "wait for the program to be executed")? {
        None => Ok(()),
        Some(_) => Err(Error::new(Kind::Internal, "unexpected message from the init program")),
    }
}

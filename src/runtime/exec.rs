//! exec: a further process in a container, by the same init program, through the same steps.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use oci_spec::runtime::{Process as OciProcess, Spec};

use super::cgroups;
use super::context::Container;
use super::create::{hand_over_console, hand_to_agent};
use super::deadline::Deadline;
use super::io::{self, Streams};
use super::joined;
use super::journal::agents_state;
use super::options::{Call, ExecOptions};
use super::pause::goes_on;
use super::process::Process;
use super::spawn::{Birth, Ready, Spawned, Wish};
use crate::cgroup::{Manager, oom};
use crate::error::{Error, Kind, Result};
use crate::host::SecurityModules;
use crate::intel_rdt;
use crate::plan::{self, ExecRequest};
use crate::process::plan::label;
use crate::seccomp::{apply::Agent, plan as seccomp};
use crate::spec;
use crate::state::status::{Status, observe};
use crate::sys::clone::Child;
use crate::wording;

impl Container {
    /// Executes a process in the container, created or running. Returns once the program is executed.
    ///
    /// # Errors
    /// [`Kind::NotRunning`] if the container has stopped, [`Kind::Paused`] if it is paused,
    /// [`Kind::ExecNotFound`], [`Kind::ExecPermission`], [`Kind::Cwd`], and those of the process document; [`Kind::Oom`] for
    /// any of them but the first where the kernel has killed for lack of memory in the container meanwhile.
    pub fn exec(&self, mut options: ExecOptions<'_>) -> Result<Process> {
        let deadline = Deadline::begin(options.call, "execute process")?;
        let (mut process, unknown) = spec::parse_process(&options.process)?;
        spec::validate_exec(&process)?;
        let (directory, state) = self.load()?;
        let mut container = spec::parse(&directory.config()?)?;
        inherit(&mut process, &container);
        let status = observe(&directory, &state);
        match status {
            Status::Created | Status::Running => {}
            Status::Paused if options.ignore_paused => goes_on(&directory, &state, &deadline)?,
            Status::Paused => return Err(Error::new(Kind::Paused, wording::EXEC_PAUSED)),
            Status::Stopped | Status::Creating => {
                return Err(Error::new(Kind::NotRunning, wording::EXEC_STOPPED));
            }
        }
        if label::wanted(&process) {
            label::possible(&process, SecurityModules::probe())?;
        }
        let init = self.init_process()?;
        joined::adopt_of(init.pid(), state.riverrun.joined, &mut container)?;
        let mut streams = Streams::open(&mut options.io, process.terminal() == Some(true))?;
        if let Some(uid) = plan::host_uid(&container, &process) {
            streams.own(uid);
        }
        let keep_below = streams.keep_below;
        let request = ExecRequest {
            id: self.id.clone(),
            namespaces: joined::to_enter(init.pid(), state.riverrun.namespaces),
            deny_setgroups: state.riverrun.deny_setgroups,
            no_new_keyring: options.no_new_keyring,
            keep_below,
            window: options.io.window.map(|window| (window.rows, window.cols)),
        };
        let plan = plan::exec(&process, container.linux().as_ref(), &request)?;
        self.context.warn(&unknown, Some(&process), None);
        self.context.trace_steps(&plan.init.steps);
        streams.add(init.pidfd().as_fd(), keep_below);
        let manager = cgroups::of(&state);
        let entrances = manager.entrances(&options.cgroups, init.pid())?;
        let pipes = std::mem::take(&mut streams.pipes);
        let birth = Birth {
            program: self.context.init_program()?,
            namespaces: 0,
            entrances: &entrances,
            oom_score_adj: process.oom_score_adj(),
            affinity: &plan.affinity,
            unmapped: false,
            orphan: false,
            context: &self.context,
        };
        let ooms = oom::kills(&*manager);
        let started = Spawned::new(&birth, &plan.init, streams, keep_below + 1)
            .and_then(|spawned| attached(spawned, &*manager, entrances.place.as_deref(), &deadline));
        let agent = container.linux().as_ref().and_then(|linux| {
            let receiver = seccomp::receiver(linux.seccomp().as_ref()?, &state.riverrun.bundle)?;
            Some(Agent { receiver, container: agents_state(&state, status, init.pid()) })
        });
        let errands = &mut |wish, child: &Child| match wish {
            Wish::Listener(fd) if self.keeps_listeners => self.keep_listener(child, fd),
            Wish::Listener(fd) => hand_to_agent(agent.as_ref(), child, fd),
            _ => Err(Error::new(Kind::Internal, "an exec asks the runtime for nothing else")),
        };
        let ready = started.and_then(|spawned| spawned.ready(&deadline, errands));
        let mut ready = ready.map_err(|error| or_oom(or_stopped(error, &init), &*manager, ooms))?;
        intel_rdt::apply::enter(state.intel_rdt(), ready.pid())?;
        self.context.trace(|| format!("container {}: process {} is ready", self.id, ready.pid()));
        let console = hand_over_console(&mut ready, options.io.console_socket.as_deref())?;
        tell_pid(&options, &ready)?;
        let released = ready.execute(&deadline, &[], None).inspect_err(|_| {
            // It names nobody any more.
            let _ = options.pid_file.as_ref().map(std::fs::remove_file);
        })?;
        let process = Process::new(released.pid, released.pidfd, console, pipes);
        self.context.adopt(&self.id, &process, !state.owns_pid_namespace());
        Ok(process)
    }
}

/// The pidfd to its socket, the pid into its file.
fn tell_pid(options: &ExecOptions<'_>, ready: &Ready) -> Result<()> {
    if let (Some(path), Some(pidfd)) = (&options.pidfd_socket, ready.pidfd()) {
        io::send_to_socket(path, pidfd, "setns", "pidfd")?;
    }
    options.pid_file.as_ref().map_or(Ok(()), |path| io::write_pid_file(path, ready.pid()))
}

/// In its cgroup2, though it was not born there. The process that goes on is the one to be moved.
fn attached(
    spawned: Spawned,
    manager: &dyn Manager,
    place: Option<&Path>,
    deadline: &Deadline<'_>,
) -> Result<Spawned> {
    match place.filter(|_| spawned.is_outside()) {
        None => Ok(spawned),
        Some(place) => {
            let spawned = spawned.moved(deadline)?;
            manager.attach(spawned.pid(), place).map(|()| spawned)
        }
    }
}

/// The kernel does not tell a process why it kills it; that it has killed somebody there meanwhile can be seen.
fn or_oom(error: Error, manager: &dyn Manager, before: u64) -> Error {
    if oom::kills(manager) == before {
        return error;
    }
    let kind = if error.kind() == Kind::NotRunning { Kind::NotRunning } else { Kind::Oom };
    Error::new(kind, wording::possibly_oom(&error.to_string()))
}

/// A container that ends meanwhile is the reason for whatever could not be done in it.
fn or_stopped(error: Error, init: &Process) -> Error {
    // Its end takes our process along first; that the first process has ended is seen a moment later.
    let moment = Duration::from_millis(if error.kind() == Kind::System { 100 } else { 0 });
    let ended =
        Deadline::new(Call { timeout: Some(moment), cancel: None }).readable(init.pidfd(), "look").is_ok();
    // Joining refuses a process that has begun to end before its pidfd tells.
    if ended || error.errno() == Some(libc::ESRCH) {
        Error::new(Kind::NotRunning, wording::EXEC_STOPPED)
    } else {
        error
    }
}

/// What a process document leaves out it has from the container, so that less said is never more allowed.
fn inherit(process: &mut OciProcess, container: &Spec) {
    let Some(of_container) = container.process() else { return };
    if process.capabilities().is_none() {
        process.set_capabilities(of_container.capabilities().clone());
    }
    if process.rlimits().is_none() {
        process.set_rlimits(of_container.rlimits().clone());
    }
    if process.no_new_privileges().is_none() {
        process.set_no_new_privileges(of_container.no_new_privileges());
    }
    if process.apparmor_profile().as_ref().is_none_or(String::is_empty) {
        process.set_apparmor_profile(of_container.apparmor_profile().clone());
    }
    if process.selinux_label().as_ref().is_none_or(String::is_empty) {
        process.set_selinux_label(of_container.selinux_label().clone());
    }
    if process.scheduler().is_none() {
        process.set_scheduler(of_container.scheduler().clone());
    }
    if process.io_priority().is_none() {
        process.set_io_priority(*of_container.io_priority());
    }
    if process.exec_cpu_affinity().is_none() {
        process.set_exec_cpu_affinity(of_container.exec_cpu_affinity().clone());
    }
}

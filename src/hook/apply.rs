//! Hooks of the runtime's namespaces: processes of the host beside it, each with a process group of its own.
//!
//! No pipe is written to while a hook runs, so that one which does not read stops nobody; what hooks print is read until
//! they end, and not until the last process that they left behind closes it. They are waited for by pidfd: a host
//! that ignores SIGCHLD does no harm, one that reaps every child takes the status on kernels that keep none (6.15 do).
#![forbid(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::failed;
use crate::error::{Error, Kind, Result};
use crate::sys::clone::{self, Child, Foreign, Program, Spawn};
use crate::sys::{Errno, pidfd, pipe, poll, process};
use crate::wire::{Class, Failure, HOOK_OUTPUT, Hook, HookEnd, Hooks, hook_output};

/// How long the caller will wait, whatever the hooks' own limits are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits<'fd> {
    pub(crate) until: Option<Instant>,
    /// Readable: give up.
    pub(crate) cancel: Option<BorrowedFd<'fd>>,
    /// A hook of a container that is being made ends with whoever makes it.
    pub(crate) dies_with_caller: bool,
}

/// Runs the hooks one by one, each when the next outcome is asked for.
pub(crate) fn outcomes<'a>(
    hooks: &'a Hooks,
    pid: i32,
    limits: Limits<'a>,
) -> impl Iterator<Item = Result<()>> + 'a {
    let state = hooks.state.with_pid(pid);
    (0..).zip(&hooks.list).map(move |(index, hook)| {
        let name = format!("{} hook #{index}", hooks.moment);
        Running::start(hook, hooks.directory.as_deref().unwrap_or("/"), &name, &state, limits)?.end(limits)
    })
}

/// A hook that was executed. Dropping it kills its process group and waits for it.
#[derive(Debug)]
struct Running {
    name: String,
    child: Child,
    /// What it prints, and what it has printed.
    output: [(Option<OwnedFd>, Vec<u8>); 2],
    timeout: Option<(u32, Instant)>,
    ended: bool,
}

impl Running {
    fn start(hook: &Hook, directory: &str, name: &str, state: &str, limits: Limits<'_>) -> Result<Self> {
        let error = |errno: Errno| Error::os(Kind::Hook, format!("make pipe for {name}"), errno as i32);
        let stdin = pipe::filled(state.as_bytes()).map_err(error)?;
        let (stdout, stdout_of_hook) = pipe::pair().map_err(error)?;
        let (stderr, stderr_of_hook) = pipe::pair().map_err(error)?;
        let (path, directory) = (text(&hook.path), text(directory));
        let arguments: Vec<CString> = hook.args.iter().map(|argument| text(argument)).collect();
        let environment: Vec<CString> = hook.env.iter().flatten().map(|pair| text(pair)).collect();
        let wanted = Spawn {
            program: Program::Foreign(Foreign {
                path: &path,
                directory: &directory,
                dies_with_caller: limits.dies_with_caller,
            }),
            arguments: &arguments,
            environment: &environment,
            namespaces: 0,
            cgroup: None,
            tasks: &[],
            descriptors: &[
                (stdin.as_raw_fd(), 0),
                (stdout_of_hook.as_raw_fd(), 1),
                (stderr_of_hook.as_raw_fd(), 2),
            ],
            keep_capabilities: false,
            oom_score_adj: None,
            orphan: false,
            affinity: &[],
        };
        let timeout = hook.timeout.and_then(|seconds| {
            Some((seconds, Instant::now().checked_add(Duration::from_secs(seconds.into()))?))
        });
        let child = clone::spawn(&wanted).map_err(|failure| {
            let errno = failure.errno as i32;
            failed(&Failure {
                class: Class::Hook(HookEnd::NotExecuted),
                verb: name.to_owned(),
                object: hook.path.clone(),
                errno,
            })
        })?;
        let output = [stdout, stderr].map(|fd| (Some(fd), Vec::new()));
        Ok(Self { name: name.to_owned(), child, output, timeout, ended: false })
    }

    /// Waits for its end.
    fn end(mut self, limits: Limits<'_>) -> Result<()> {
        let until = [self.timeout.map(|(_, until)| until), limits.until].into_iter().flatten().min();
        let system = |errno: Errno| Error::os(Kind::System, "wait for a hook", errno as i32);
        loop {
            // Asked here too: what is always readable, as the output of a chatty hook is, hides the time from poll.
            if until.is_some_and(|until| until <= Instant::now()) {
                return Err(self.late());
            }
            // The pidfd first: who has ended is asked no more.
            let mut fds = vec![self.child.pidfd.as_fd()];
            fds.extend(limits.cancel);
            let own = fds.len();
            fds.extend(self.output.iter().filter_map(|(fd, _)| fd.as_ref().map(AsFd::as_fd)));
            match poll::readable(&fds, until).map_err(system)? {
                Some(0) => break,
                Some(index) if index < own => {
                    return Err(Error::new(Kind::Cancelled, "cancelled").during(format!("run {}", self.name)));
                }
                Some(_) => self.read().map_err(system)?,
                None => return Err(self.late()),
            }
        }
        self.ended = true;
        // What it printed last; a process that it left behind may print on, to nobody.
        self.read().map_err(system)?;
        let end = match pidfd::try_wait(self.child.pidfd.as_fd()) {
            Ok(ended) => ended,
            Err(_) => pidfd::exit_of_reaped(self.child.pidfd.as_fd()),
        };
        match end {
            Some(ended) if ended.signal != 0 => Err(self.failed(HookEnd::Signal(ended.signal))),
            Some(ended) if ended.code != 0 => Err(self.failed(HookEnd::Exit(ended.code))),
            Some(_) => Ok(()),
            None => Err(self.failed(HookEnd::Lost)),
        }
    }

    /// Whose patience is over: the hook's own limit, or the call's.
    fn late(&self) -> Error {
        match self.timeout {
            Some((seconds, until)) if until <= Instant::now() => self.failed(HookEnd::TimedOut(seconds)),
            _ => Error::new(Kind::Timeout, "timed out").during(format!("run {}", self.name)),
        }
    }

    /// Reads what is there, without waiting for more.
    fn read(&mut self) -> Result<(), Errno> {
        for (stream, text) in &mut self.output {
            // A hook that prints for ever must not keep us from looking at the clock.
            for _ in 0..16 {
                let Some(fd) = stream.take() else { break };
                if poll::readable(&[fd.as_fd()], Some(Instant::now()))?.is_none() {
                    *stream = Some(fd);
                    break;
                }
                let mut part = [0; HOOK_OUTPUT];
                let mut file = File::from(fd);
                match file.read(&mut part) {
                    Ok(0) => break,
                    Ok(n) => {
                        let room = HOOK_OUTPUT - text.len();
                        text.extend_from_slice(&part[..n.min(room)]);
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(Errno::from_raw(crate::sys::errno_of(&error))),
                }
                *stream = Some(file.into());
            }
        }
        Ok(())
    }

    fn failed(&self, end: HookEnd) -> Error {
        let object = hook_output(&self.output[0].1, &self.output[1].1);
        failed(&Failure { class: Class::Hook(end), verb: self.name.clone(), object, errno: 0 })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            process::kill_group(self.child.pid);
            let _ = pidfd::send_signal(self.child.pidfd.as_fd(), libc::SIGKILL);
            pidfd::reap(&self.child.pidfd);
        }
    }
}

fn text(text: &str) -> CString {
    // The rules let no NUL through.
    CString::new(text).unwrap_or_default()
}

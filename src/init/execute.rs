//! The last step: find the program as the user that it will run as, wait for the word, execute it.
//!
//! Runs in: the init program, with the final namespaces, ids and capabilities.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use linux_raw_sys::general as k;

use crate::channel::{Channel, Doing, Outcome, accept_start};
use crate::hook;
use crate::passwd;
use crate::seccomp;
use crate::sys::{self, EACCES, EISDIR, ENOENT, ENOTDIR, EPERM, Errno, Fd, Text, call};
use crate::wire::{Class, Execute, Failure, Filter, Hooks, ToInit, ToRuntime};

/// linux/close_range.h
const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// What happens between the word and the program.
#[derive(Clone, Copy, Default)]
pub(crate) struct Last<'a> {
    pub(crate) hooks: Option<&'a Hooks>,
    pub(crate) filter: Option<&'a Filter>,
}

/// Does not return but with a failure.
pub(crate) fn execute(channel: Channel, wanted: &Execute, last: Last<'_>) -> (Channel, Failure) {
    match prepare(&channel, wanted, last.filter) {
        Ok(ready) => ready.run(channel, wanted, last),
        Err(failure) => (channel, failure),
    }
}

/// Everything that execve(2) takes, and nothing left to allocate or look up.
struct Ready {
    program: Text,
    name: String,
    args: Vec<Text>,
    env: Vec<Text>,
}

fn prepare(channel: &Channel, wanted: &Execute, filter: Option<&Filter>) -> Outcome<Ready> {
    let mut env = wanted.env.clone();
    if let Some(uid) = wanted.home_of {
        env.push(format!("HOME={}", home_of(uid)));
    }
    let name = wanted.args.first().cloned().unwrap_or_default();
    let program = find(&name, &env)?;
    // All that is ours is close-on-exec from birth; this covers whatever a caller leaked (CVE-2024-21626). A filter
    // around us may refuse the call: the runtime closed what it knew of, too.
    let _ = call!(__NR_close_range, wanted.keep_below, u32::MAX, CLOSE_RANGE_CLOEXEC);
    let ready = Ready {
        program: Text::new(&program),
        name,
        args: wanted.args.iter().map(|text| Text::new(text)).collect(),
        env: env.iter().map(|text| Text::new(text)).collect(),
    };
    if let Some(filter) = filter.filter(|filter| filter.listener) {
        // Whoever listens must do so before the container counts as created.
        seccomp::load(filter, channel)?;
    }
    channel.send(&ToRuntime::Ready, None);
    channel.expect(ToInit::Go)?;
    Ok(ready)
}

impl Ready {
    fn run(self, channel: Channel, wanted: &Execute, last: Last<'_>) -> (Channel, Failure) {
        let listener = wanted.listener.map(|number| Fd::own(number as usize));
        let channel = match &listener {
            None => channel,
            Some(listener) => {
                // The runtime that made us may be gone for days: who starts us hears what comes of it.
                drop(channel);
                accept_start(listener)
            }
        };
        if let Some(hooks) = last.hooks
            && let Err(failure) = hook::run(hooks, &self.env, None)
        {
            return (channel, failure);
        }
        // As long as somebody listens there, the container is not running yet.
        drop(listener);
        let (args, env) = (sys::pointers(&self.args), sys::pointers(&self.env));
        if let Some(filter) = last.filter.filter(|filter| !filter.listener)
            && let Err(failure) = seccomp::load(filter, &channel)
        {
            return (channel, failure);
        }
        let errno = call!(__NR_execve, self.program.as_ptr(), args.as_ptr(), env.as_ptr());
        let failure = refusal(&self.name, errno.err().unwrap_or(ENOENT));
        (channel, failure)
    }
}

/// Where the program is: as named if there is a slash in the name, else in `$PATH` of its own environment (execvp(3)).
fn find(name: &str, env: &[String]) -> Outcome<String> {
    if name.contains('/') {
        return match executable(name) {
            Ok(()) => Ok(name.into()),
            Err(errno) => Err(refusal(name, errno)),
        };
    }
    let path = env.iter().rev().find_map(|pair| pair.strip_prefix("PATH=")).unwrap_or("");
    let mut denied = None;
    for directory in path.split(':') {
        let candidate =
            if directory.is_empty() { format!("./{name}") } else { format!("{directory}/{name}") };
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(ENOENT | ENOTDIR) => {}
            Err(errno) => denied = Some(errno),
        }
    }
    Err(match denied {
        Some(EACCES | EPERM) if !name.is_empty() => {
            Failure { class: Class::NotExecutable, verb: String::new(), object: name.into(), errno: EACCES.0 }
        }
        _ => Failure { class: Class::NotInPath, verb: String::new(), object: name.into(), errno: ENOENT.0 },
    })
}

/// Asks the kernel as the user that we are by now: the x bit, the way there, the type.
fn executable(path: &str) -> sys::Result<()> {
    let text = Text::new(path);
    if sys::stat_at(k::AT_FDCWD, &text, 0)?.is_directory() {
        return Err(EISDIR);
    }
    match call!(__NR_faccessat2, k::AT_FDCWD, text.as_ptr(), k::X_OK, k::AT_EACCESS) {
        // Filters that are older than the call say EPERM or ENOSYS to it: execve will tell.
        Err(sys::ENOSYS | EPERM) => Ok(()),
        answer => answer.map(drop),
    }
}

fn refusal(name: &str, errno: Errno) -> Failure {
    let class = match errno {
        ENOENT | ENOTDIR => Class::NotFound,
        _ => Class::NotExecutable,
    };
    Failure { class, verb: String::new(), object: name.into(), errno: errno.0 }
}

/// The user's home as the container's own /etc/passwd has it, `/` if it has none.
fn home_of(uid: u32) -> String {
    read_file("/etc/passwd")
        .ok()
        .and_then(|passwd| passwd::entry_of(uid, &passwd).map(|entry| String::from(entry.home)))
        .filter(|home| !home.is_empty())
        .unwrap_or_else(|| String::from("/"))
}

/// At most a mebibyte of a regular file; a pipe or a device of that name is not read.
fn read_file(path: &str) -> Outcome<Vec<u8>> {
    const MOST: usize = 1 << 20;
    let file = sys::open_at(k::AT_FDCWD, &Text::new(path), k::O_RDONLY | k::O_NONBLOCK, 0);
    let file = file.doing(Class::System, "open", path)?;
    if sys::stat(&file).doing(Class::System, "stat", path)?.kind() != k::S_IFREG {
        return Ok(Vec::new());
    }
    let mut content = Vec::new();
    let mut part = vec![0; 4096];
    while content.len() < MOST {
        match sys::read(&file, &mut part).doing(Class::System, "read", path)? {
            0 => break,
            n => content.extend_from_slice(&part[..n]),
        }
    }
    Ok(content)
}

//! Hooks of the container's namespaces: one child each, watched until it ends or its time is over.
//!
//! Runs in: the init program. createContainer: before pivot_root, as root of its namespaces, with the host's paths.
//! startContainer: in the container's root, as the process's user with its capabilities, right before its program.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use linux_raw_sys::general as k;
use linux_raw_sys::prctl as p;

use crate::channel::{Channel, Doing, Outcome};
use crate::sys::{self, Fd, Text, call};
use crate::wire::{Class, Failure, HOOK_OUTPUT, Hook, HookEnd, Hooks, hook_output};

/// linux/close_range.h
const CLOSE_RANGE_CLOEXEC: u32 = 4;
const CLOCK_MONOTONIC: u32 = 1;
/// linux/wait.h
const WALL: u32 = 0x4000_0000;
const WNOHANG: u32 = 1;

/// Runs them in order until one does not succeed. `env` is the process's; when `runtime` goes away, they are given up.
pub(crate) fn run(hooks: &Hooks, env: &[Text], runtime: Option<&Channel>) -> Outcome {
    // getpid(2) cannot fail.
    let state = hooks.state.with_pid(call!(__NR_getpid).unwrap_or(0) as i32);
    for (index, hook) in hooks.list.iter().enumerate() {
        let name = format!("{} hook #{index}", hooks.moment);
        Running::start(hooks, hook, env, name, &state)?.end(runtime)?;
    }
    // What they left behind and has ended since is nobody's: the program must not find children it never had.
    while call!(__NR_wait4, -1_isize, 0, WNOHANG | WALL, 0).is_ok_and(|pid| pid != 0) {}
    Ok(())
}

/// A hook that was executed.
struct Running {
    name: String,
    pid: i32,
    pidfd: Fd,
    /// What it prints, and what it has printed.
    output: [(Option<Fd>, Vec<u8>); 2],
    timeout: Option<u32>,
}

/// Everything that the child uses.
struct Child<'a> {
    hooks: &'a Hooks,
    path: Text,
    args: Vec<*const u8>,
    env: Vec<*const u8>,
    stdio: [&'a Fd; 3],
    /// Closed by the execution; the errno of one that fails.
    status: &'a Fd,
}

impl Running {
    fn start(hooks: &Hooks, hook: &Hook, env: &[Text], name: String, state: &str) -> Outcome<Self> {
        let pipes = || -> sys::Result<_> { Ok((filled(state.as_bytes())?, pipe()?, pipe()?, pipe()?)) };
        let (stdin, stdout, stderr, status) = pipes().doing(Class::System, "make pipe for", &name)?;
        let args: Vec<Text> = hook.args.iter().map(|text| Text::new(text)).collect();
        let own_env: Option<Vec<Text>> =
            hook.env.as_ref().map(|env| env.iter().map(|text| Text::new(text)).collect());
        let child = Child {
            hooks,
            path: Text::new(&hook.path),
            args: sys::pointers(&args),
            env: sys::pointers(own_env.as_deref().unwrap_or(env)),
            stdio: [&stdin, &stdout.1, &stderr.1],
            status: &status.1,
        };
        let mut pidfd: i32 = -1;
        // As in the hop: the old call. We wait until it is executed, or has said why not.
        let flags = k::CLONE_PIDFD | k::CLONE_VFORK | k::SIGCHLD;
        let pid = call!(__NR_clone, flags, 0, &raw mut pidfd, 0, 0).doing(Class::System, "clone for", &name)?;
        if pid == 0 {
            child.execute();
        }
        let output = [(Some(stdout.0), Vec::new()), (Some(stderr.0), Vec::new())];
        let running =
            Self { name, pid: pid as i32, pidfd: Fd::own(pidfd as usize), output, timeout: hook.timeout };
        drop((stdout.1, stderr.1, status.1));
        let mut errno = [0; 4];
        if sys::read(&status.0, &mut errno) == Ok(errno.len()) {
            running.wait();
            let errno = i32::from_ne_bytes(errno);
            return Err(running.failed(HookEnd::NotExecuted, hook.path.clone(), errno));
        }
        Ok(running)
    }

    /// Waits for its end.
    fn end(mut self, runtime: Option<&Channel>) -> Outcome {
        let until = self.timeout.map(|seconds| now() + u64::from(seconds) * 1000);
        loop {
            let left = until.map(|until| until.saturating_sub(now()));
            // Asked here too: what is always readable, as the output of a chatty hook is, hides the time from poll.
            if left == Some(0) {
                self.kill();
                return Err(self.told(HookEnd::TimedOut(self.timeout.unwrap_or_default())));
            }
            let pidfd = self.pidfd.number();
            let [stdout, stderr] = self.streams();
            let [ended, gone, first, second] = poll([pidfd, peer(runtime), stdout, stderr], left);
            if ended {
                break;
            }
            if gone {
                self.kill();
                let object = String::from("the end of a hook");
                return Err(Failure { class: Class::Protocol, verb: "await".into(), object, errno: 0 });
            }
            self.read([first, second]);
        }
        // What it printed last; a process that it left behind may print on, to nobody.
        for _ in 0..16 {
            let [stdout, stderr] = self.streams();
            let [_, _, first, second] = poll([-1, -1, stdout, stderr], Some(0));
            self.read([first, second]);
        }
        match self.wait() {
            0 => Ok(()),
            status if status & 0x7f == 0 => Err(self.told(HookEnd::Exit((status >> 8) & 0xff))),
            status => Err(self.told(HookEnd::Signal(status & 0x7f))),
        }
    }

    /// The numbers of what is still open; poll(2) passes over -1.
    fn streams(&self) -> [i32; 2] {
        [&self.output[0].0, &self.output[1].0].map(|fd| fd.as_ref().map_or(-1, Fd::number))
    }

    /// Reads once from each that is readable.
    fn read(&mut self, readable: [bool; 2]) {
        for ((stream, text), _) in self.output.iter_mut().zip(readable).filter(|(_, readable)| *readable) {
            let mut part = [0; HOOK_OUTPUT];
            match stream.as_ref().map_or(Ok(0), |fd| sys::read(fd, &mut part)) {
                Ok(0) => *stream = None,
                Ok(n) => text.extend_from_slice(&part[..n.min(HOOK_OUTPUT - text.len())]),
                Err(_) => {}
            }
        }
    }

    /// Ends its process group, and it, if it has left that.
    fn kill(&self) {
        const SIGKILL: u32 = 9;
        let _ = call!(__NR_kill, -self.pid, SIGKILL);
        let _ = call!(__NR_kill, self.pid, SIGKILL);
        self.wait();
    }

    /// The word of wait(2).
    fn wait(&self) -> i32 {
        let mut status: i32 = 0;
        while call!(__NR_wait4, self.pid, &raw mut status, WALL, 0) == Err(sys::EINTR) {}
        status
    }

    fn told(&self, end: HookEnd) -> Failure {
        self.failed(end, hook_output(&self.output[0].1, &self.output[1].1), 0)
    }

    fn failed(&self, end: HookEnd, object: String, errno: i32) -> Failure {
        Failure { class: Class::Hook(end), verb: self.name.clone(), object, errno }
    }
}

impl Child<'_> {
    /// Runs in the child, which has a copy of all memory.
    fn execute(&self) -> ! {
        const SIGKILL: usize = 9;
        let _ = call!(__NR_setpgid, 0, 0);
        // Whoever kills the init program need not know of its hooks.
        let _ = sys::prctl(p::PR_SET_PDEATHSIG, SIGKILL, 0);
        if let Some(mask) = self.hooks.umask {
            let _ = call!(__NR_umask, mask);
        }
        let execute = || -> sys::Result {
            if let Some(directory) = &self.hooks.directory {
                call!(__NR_chdir, Text::new(directory).as_ptr())?;
            }
            // 0 to 2 are the process's own, so none of these is among them.
            for (number, fd) in (0..).zip(self.stdio) {
                sys::duplicate_to(fd, number)?;
            }
            if call!(__NR_close_range, 3, u32::MAX, CLOSE_RANGE_CLOEXEC).is_err() {
                // KERNEL(5.11), or a filter: what is ours has the flag already, what a caller passed on is numbered low.
                for number in 3..1024 {
                    let _ = call!(__NR_fcntl, number, k::F_SETFD, k::FD_CLOEXEC);
                }
            }
            call!(__NR_execve, self.path.as_ptr(), self.args.as_ptr(), self.env.as_ptr())
        };
        let errno = execute().err().unwrap_or(sys::ENOENT);
        let _ = sys::write(self.status, &errno.0.to_ne_bytes());
        sys::exit(127)
    }
}

/// pipe2(2): (to read from, to write to).
fn pipe() -> sys::Result<(Fd, Fd)> {
    let mut ends = [0_i32; 2];
    call!(__NR_pipe2, ends.as_mut_ptr(), k::O_CLOEXEC)?;
    Ok((Fd::own(ends[0] as usize), Fd::own(ends[1] as usize)))
}

/// A descriptor that these bytes can be read from, and then the end: a pipe that has room for them, or else a memfd, so
/// that nobody has to write them while the hook reads, or does not.
fn filled(bytes: &[u8]) -> sys::Result<Fd> {
    const F_GETPIPE_SZ: u32 = 1032;
    const MFD_CLOEXEC: u32 = 1;
    const MFD_NOEXEC_SEAL: u32 = 8;
    let (read, write) = pipe()?;
    if bytes.len() <= call!(__NR_fcntl, write.number(), F_GETPIPE_SZ)? {
        write_all(&write, bytes)?;
        return Ok(read);
    }
    let name = Text::new("riverrun");
    let memfd = call!(__NR_memfd_create, name.as_ptr(), MFD_CLOEXEC | MFD_NOEXEC_SEAL)
        .or_else(|_| call!(__NR_memfd_create, name.as_ptr(), MFD_CLOEXEC))
        .map(Fd::own)?;
    write_all(&memfd, bytes)?;
    call!(__NR_lseek, memfd.number(), 0, k::SEEK_SET)?;
    Ok(memfd)
}

fn write_all(fd: &Fd, mut bytes: &[u8]) -> sys::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[sys::write(fd, bytes)?..];
    }
    Ok(())
}

fn peer(runtime: Option<&Channel>) -> i32 {
    runtime.map_or(-1, Channel::number)
}

/// ppoll(2), at most so many milliseconds: which have something to tell. Of the second only the end counts.
fn poll(fds: [i32; 4], left: Option<u64>) -> [bool; 4] {
    let mut polled = fds.map(|fd| k::pollfd { fd, events: k::POLLIN as i16, revents: 0 });
    polled[1].events = 0;
    let time = left.map(|left| [left / 1000, left % 1000 * 1_000_000]);
    let time = time.as_ref().map_or(core::ptr::null(), |time| time.as_ptr());
    // Interrupted: nothing was seen, and the caller asks again.
    let _ = call!(__NR_ppoll, polled.as_mut_ptr(), polled.len(), time, 0, 8);
    polled.map(|entry| entry.revents != 0)
}

/// Milliseconds of a clock that nobody sets.
fn now() -> u64 {
    let mut time = [0_u64; 2];
    let _ = call!(__NR_clock_gettime, CLOCK_MONOTONIC, time.as_mut_ptr());
    time[0] * 1000 + time[1] / 1_000_000
}

//! What callers say: the options of a context, a create, an exec; stdio; deadlines. Values only, nothing acts here.
#![forbid(unsafe_code)]

use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::sys::poll;

use crate::cgroup::plan::CgroupManager;

/// How grave a log line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// Something went wrong, and the call went on.
    Error = 1,
    /// Something is likely not what was meant.
    Warn = 2,
    /// Something worth a line.
    #[default]
    Info = 3,
    /// What is being done.
    Debug = 4,
}

/// Where log lines go. Called on the thread of the call that logs, never after it.
pub type LogSink = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// How a [`Context`](crate::Context) is set up.
#[derive(Clone, Default)]
pub struct ContextOptions {
    /// The state root. `None`: `/run/riverrun`, or `$XDG_RUNTIME_DIR/riverrun` when rootless.
    pub root: Option<PathBuf>,
    /// Who makes the cgroups of containers.
    pub cgroup_manager: CgroupManager,
    /// Whether cgroup permission errors are to be ignored; `None` finds out.
    pub rootless: Option<bool>,
    /// Where log lines go; `None` drops them.
    pub log: Option<LogSink>,
    /// The least grave level that `log` is called for.
    pub log_level: Level,
    /// An installed `riverrun-init`, used instead of the embedded one.
    pub init_path: Option<PathBuf>,
}

impl fmt::Debug for ContextOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextOptions")
            .field("root", &self.root)
            .field("cgroup_manager", &self.cgroup_manager)
            .field("rootless", &self.rootless)
            .field("log", &self.log.is_some())
            .field("log_level", &self.log_level)
            .field("init_path", &self.init_path)
            .finish()
    }
}

/// How long a call may take, and what ends it early. The default waits for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'fd> {
    /// The call ends with [`Kind::Timeout`](crate::Kind::Timeout) after this long.
    pub timeout: Option<Duration>,
    /// The call ends with [`Kind::Cancelled`](crate::Kind::Cancelled) once this is readable.
    pub cancel: Option<BorrowedFd<'fd>>,
}

impl Call<'_> {
    /// That it is not cancelled already. Every verb asks first, before it does anything.
    ///
    /// # Errors
    /// [`Kind::Cancelled`](crate::Kind::Cancelled) if `cancel` is readable.
    pub fn not_cancelled(&self, doing: &str) -> Result<()> {
        match poll::readable(self.cancel.as_slice(), Some(Instant::now())) {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(Error::new(Kind::Cancelled, "cancelled").during(doing)),
            Err(errno) => Err(Error::os(Kind::System, doing, errno as i32)),
        }
    }
}

/// Where one of the three standard streams of a process leads. Ignored when the process has a terminal.
#[derive(Debug, Default)]
pub enum Stdio {
    /// The host's own stream.
    #[default]
    Inherit,
    /// `/dev/null`.
    Null,
    /// This descriptor.
    Fd(OwnedFd),
    /// A new pipe; the host's end is in [`Process::take_pipe`](crate::Process::take_pipe).
    Pipe,
}

/// One more descriptor for the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdMap {
    /// The number in the host. It stays open there.
    pub host: RawFd,
    /// The number in the container, 3 or more.
    pub container: RawFd,
}

/// Rows and columns of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub cols: u16,
}

/// The streams, the terminal and the further descriptors of a process.
#[derive(Debug, Default)]
pub struct Io {
    /// Standard input.
    pub stdin: Stdio,
    /// Standard output.
    pub stdout: Stdio,
    /// Standard error.
    pub stderr: Stdio,
    /// A listening unix socket that receives the terminal's master; `None` keeps it in the
    /// [`Process`](crate::Process).
    pub console_socket: Option<PathBuf>,
    /// The first size of the terminal, where `process.consoleSize` names none.
    pub window: Option<WindowSize>,
    /// Descriptors beyond the three streams.
    pub fds: Vec<FdMap>,
}

/// Where a function of the host is called: where the configuration's hooks of the same name run (config.md#hooks).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum HookMoment {
    /// The namespaces are there, nothing of them is used yet.
    Prestart = 1,
    /// Right after it.
    CreateRuntime = 2,
    /// The program was executed.
    Poststart = 3,
    /// The container was deleted.
    Poststop = 4,
}

/// A function of the host, called with the moment, the pid of the first process (0 once it has ended) and the state
/// (runtime.md#state), on the thread of the call and during it. An error has the effect that one of a hook has.
#[derive(Clone)]
pub struct HostHook(Arc<HookFn>);

type HookFn = dyn Fn(HookMoment, i32, &str) -> Result<()> + Send + Sync;

impl HostHook {
    /// Of any function. It must not call the container that it is called for.
    pub fn new(function: impl Fn(HookMoment, i32, &str) -> Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    pub(super) fn call(&self, moment: HookMoment, pid: i32, state: &str) -> Result<()> {
        (self.0)(moment, pid, state)
    }
}

impl fmt::Debug for HostHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HostHook").finish()
    }
}

/// How a container is created. One of `bundle` and `config` is needed.
#[derive(Debug, Default)]
pub struct CreateOptions<'fd> {
    /// The directory that holds `config.json`; relative paths in the config start here.
    pub bundle: Option<PathBuf>,
    /// The bytes of a `config.json`, instead of the bundle's.
    pub config: Option<Vec<u8>>,
    /// The root filesystem, instead of the configuration's `root.path`: a directory in the caller's mount namespace.
    pub rootfs: Option<OwnedFd>,
    /// Called where hooks of the runtime run; the handle that the create gives keeps it for start and delete.
    pub hook: Option<HostHook>,
    /// Keep the listener of a seccomp filter for
    /// [`take_seccomp_listener`](crate::Container::take_seccomp_listener), instead of sending it to `listenerPath`.
    pub want_seccomp_listener: bool,
    /// The first process is nobody's child that ends with the caller: it goes to the nearest subreaper, or to the first
    /// process of the caller's pid namespace.
    pub detached: bool,
    /// A file that receives the pid of the container's first process: digits, nothing else.
    pub pid_file: Option<PathBuf>,
    /// A listening unix socket that receives the pidfd of the container's first process.
    pub pidfd_socket: Option<PathBuf>,
    /// Streams, terminal, descriptors.
    pub io: Io,
    /// `MS_MOVE` and chroot instead of pivot_root, for a host whose root is an initramfs.
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// Give the program a socket to say on that it is ready, at `$NOTIFY_SOCKET`; the other side is
    /// [`Container::notify_socket`](crate::Container::notify_socket).
    pub notify: bool,
    /// Deadline and cancellation.
    pub call: Call<'fd>,
}

/// How a further process is executed in a container.
#[derive(Debug, Default)]
pub struct ExecOptions<'fd> {
    /// An OCI `process` object as JSON.
    pub process: Vec<u8>,
    /// Sub-cgroups, each `[CONTROLLER[,CONTROLLER]:]PATH` below the container's own.
    pub cgroups: Vec<String>,
    /// A file that receives the pid.
    pub pid_file: Option<PathBuf>,
    /// A listening unix socket that receives the pidfd.
    pub pidfd_socket: Option<PathBuf>,
    /// Streams, terminal, descriptors.
    pub io: Io,
    /// Execute even though the container is paused.
    pub ignore_paused: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// Deadline and cancellation.
    pub call: Call<'fd>,
}

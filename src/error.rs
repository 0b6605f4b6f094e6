//! The one public error: a stable [`Kind`], the kernel's errno where there is one, and the chain of what was being done.
//!
//! An error is told once, where the facts are known, in the form *verb object: cause*; it is printed once, at the edge.
//! The numbers behind [`Kind`] are the C ABI's `RR_E_*` codes: never reused, never renumbered.
#![forbid(unsafe_code)]

use std::fmt;

/// What every fallible call returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $c:literal;)+) => {
        /// Why a call did not succeed. The number is the C code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        #[non_exhaustive]
        pub enum Kind { $($(#[doc = $doc])+ $name = $code,)+ }

        impl Kind {
            /// All kinds, in the order of their codes.
            pub const ALL: &'static [Kind] = &[$(Kind::$name,)+];

            /// The name of the C constant: `RR_E_NOT_RUNNING`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$name => $c,)+ }
            }
        }
    };
}

kinds! {
    /// An invariant of the library is broken, or a panic was caught at the boundary.
    Internal = 1, "RR_E_INTERNAL";
    /// An argument of the call is malformed.
    InvalidArgument = 2, "RR_E_INVALID_ARGUMENT";
    /// Memory could not be had.
    NoMemory = 3, "RR_E_NO_MEMORY";
    /// This build or this kernel cannot do what was asked.
    Unsupported = 4, "RR_E_UNSUPPORTED";
    /// The handle was made by a process that this one is a fork of.
    Forked = 5, "RR_E_FORKED";
    /// The deadline of the call passed.
    Timeout = 6, "RR_E_TIMEOUT";
    /// The cancel descriptor of the call became readable.
    Cancelled = 7, "RR_E_CANCELLED";
    /// Another call holds the container's lock.
    Busy = 8, "RR_E_BUSY";
    /// `config.json`, or a process document, is not valid.
    InvalidSpec = 20, "RR_E_INVALID_SPEC";
    /// The container id is not valid.
    InvalidId = 21, "RR_E_INVALID_ID";
    /// A container with this id exists.
    Exists = 30, "RR_E_EXISTS";
    /// No container has this id.
    NotFound = 31, "RR_E_NOT_FOUND";
    /// The container does not run.
    NotRunning = 32, "RR_E_NOT_RUNNING";
    /// The container runs, and the operation needs one that does not.
    Running = 33, "RR_E_RUNNING";
    /// The container is paused.
    Paused = 34, "RR_E_PAUSED";
    /// The container is not paused.
    NotPaused = 35, "RR_E_NOT_PAUSED";
    /// The state directory holds something unreadable.
    StateCorrupt = 36, "RR_E_STATE_CORRUPT";
    /// The program to execute is not in the container.
    ExecNotFound = 50, "RR_E_EXEC_NOT_FOUND";
    /// The program to execute may not be executed.
    ExecPermission = 51, "RR_E_EXEC_PERMISSION";
    /// The working directory cannot be entered.
    Cwd = 52, "RR_E_CWD";
    /// The kernel refuses for lack of privilege.
    Permission = 60, "RR_E_PERMISSION";
    /// A Linux security module is missing or refuses.
    Lsm = 61, "RR_E_LSM";
    /// The seccomp filter cannot be made or loaded.
    Seccomp = 62, "RR_E_SECCOMP";
    /// The capability sets cannot be had.
    Capability = 63, "RR_E_CAPABILITY";
    /// The user namespace or its mappings cannot be made.
    Userns = 64, "RR_E_USERNS";
    /// A mount cannot be made.
    Mount = 70, "RR_E_MOUNT";
    /// The root filesystem cannot be used.
    Rootfs = 71, "RR_E_ROOTFS";
    /// A path of the image leads where it must not.
    UnsafePath = 72, "RR_E_UNSAFE_PATH";
    /// A cgroup cannot be made, joined, set or removed.
    Cgroup = 80, "RR_E_CGROUP";
    /// systemd refuses or is not there.
    Systemd = 81, "RR_E_SYSTEMD";
    /// The container's first process was killed for lack of memory.
    Oom = 82, "RR_E_OOM";
    /// A hook did not succeed.
    Hook = 90, "RR_E_HOOK";
    /// The terminal cannot be made or handed over.
    Console = 91, "RR_E_CONSOLE";
    /// CRIU did not succeed.
    Criu = 92, "RR_E_CRIU";
    /// A network device cannot be moved.
    Netdev = 93, "RR_E_NETDEV";
    /// A system call did not succeed; see the errno.
    System = 99, "RR_E_SYSTEM";
}

impl Kind {
    /// The C code.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// The kind behind a C code.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Kind> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

/// An error with its kind, its errno and the chain of what was being done, outermost first.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Facts>);

#[derive(Clone, PartialEq, Eq)]
struct Facts {
    kind: Kind,
    errno: Option<i32>,
    chain: Vec<String>,
    details: Vec<(&'static str, String)>,
}

impl Error {
    /// An error of `kind`, said in full by `message`.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Facts { kind, errno: None, chain: vec![message.into()], details: Vec::new() }))
    }

    /// An error that the kernel reported: `doing` is *verb object*, the cause is errno's text.
    pub(crate) fn os(kind: Kind, doing: impl Into<String>, errno: i32) -> Self {
        let mut error = Self::new(kind, errno_text(errno));
        error.0.errno = Some(errno);
        error.during(doing)
    }

    /// Puts `doing` in front of the chain.
    #[must_use]
    pub(crate) fn during(mut self, doing: impl Into<String>) -> Self {
        self.0.chain.insert(0, doing.into());
        self
    }

    /// The same error with a phrase that callers match in place of errno's text.
    #[must_use]
    pub(crate) fn replace_cause(mut self, phrase: &str) -> Self {
        if let Some(cause) = self.0.chain.last_mut() {
            phrase.clone_into(cause);
        }
        self
    }

    /// Puts a cause behind the chain.
    #[must_use]
    pub(crate) fn followed_by(mut self, cause: impl Into<String>) -> Self {
        self.0.chain.push(cause.into());
        self
    }

    /// Remembers a fact for programs: `phase`, `path`, `syscall`, `hook`.
    #[must_use]
    pub(crate) fn detailed(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.details.push((key, value.into()));
        self
    }

    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The errno of the system call that did not succeed, if one is the cause.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        self.0.errno
    }

    /// What was being done, outermost first; the last entry is the cause.
    #[must_use]
    pub fn chain(&self) -> &[String] {
        &self.0.chain
    }

    /// A fact by name: `phase` (`host`, `init` or `exec`), `path`, `step`.
    #[must_use]
    pub fn detail(&self, key: &str) -> Option<&str> {
        self.0.details.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.chain.join(": "))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({self})", self.0.kind.name())
    }
}

impl std::error::Error for Error {}

/// The text of an errno as the C library and Go print it: lower case, no number.
#[must_use]
pub(crate) fn errno_text(errno: i32) -> String {
    let text = nix::errno::Errno::from_raw(errno).desc();
    let mut letters = text.chars();
    // "Input/output error" -> "input/output error", but "RFS specific error" keeps its capitals.
    match (letters.next(), text.chars().nth(1)) {
        (Some(first), Some(second)) if !second.is_ascii_uppercase() => {
            first.to_ascii_lowercase().to_string() + letters.as_str()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_ascending() {
        assert!(Kind::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
    }

    #[test]
    fn message_reads_as_verb_object_cause() {
        let error = Error::os(Kind::Mount, "mount proc on /proc", libc::EPERM).during("create web");
        assert_eq!(error.to_string(), "create web: mount proc on /proc: operation not permitted");
        assert_eq!((error.kind(), error.errno()), (Kind::Mount, Some(libc::EPERM)));
    }
}

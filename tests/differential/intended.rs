//! Where riverrun differs on purpose: which field of which case, from whom, and why; and what it does not do yet.
//!
//! The first row that speaks of a field and a peer counts. Where runc and crun differ from each other no row is needed to follow one of them.
#![forbid(unsafe_code)]

/// Properties that this version refuses with "not supported by this version": a bundle with one is not compared, but
/// must be refused cleanly. A row leaves when the property comes.
pub(crate) const LACKS: &[&str] =
    &["linux.resources.blockIO", "linux.resources.cpu.burst", "linux.resources.cpu.idle"];

/// What a row decides.
#[derive(Debug)]
pub(crate) enum Ruling {
    /// The peer is not asked.
    Ignore,
    /// Ours is this and nothing else.
    Want(&'static str),
    /// Ours may be this, or what the peer has.
    Accept(&'static str),
}

/// One intended difference; `case`, `field`, `peer` and values are patterns with `*`.
#[derive(Debug)]
pub(crate) struct Intended {
    pub(crate) case: &'static str,
    pub(crate) field: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) ruling: Ruling,
    /// Why: said beside a difference.
    pub(crate) reason: &'static str,
}

/// A row that says: this peer is not asked, because.
const fn not(peer: &'static str, case: &'static str, field: &'static str, reason: &'static str) -> Intended {
    Intended { case, field, peer, ruling: Ruling::Ignore, reason }
}

/// A row that says: ours is this, whatever the peers have, because.
const fn want(
    case: &'static str,
    field: &'static str,
    value: &'static str,
    reason: &'static str,
) -> Intended {
    Intended { case, field, peer: "*", ruling: Ruling::Want(value), reason }
}

/// A row that says: ours may be this too, because.
const fn accept(
    case: &'static str,
    field: &'static str,
    value: &'static str,
    reason: &'static str,
) -> Intended {
    Intended { case, field, peer: "*", ruling: Ruling::Accept(value), reason }
}

/// Why directories that a bundle lacks do not depend on who calls.
const OWN_MODE: &str = "directories are made with their own mode, whatever the caller's umask is";

/// Why a process file that is silent does not free a process of what the container's own has.
const EXEC_INHERITS: &str = "what a process file does not say, the container's own process decides";

/// Why the directory of the cgroup v1 hierarchies cannot be written when the mount says `ro`.
const CGROUP_RO: &str =
    "ro holds for the tmpfs of the hierarchies as well; the peers leave that one writable";

/// Why a missing working directory behind a link is no error.
const LINK_INSIDE: &str = "as a mount point behind a link, it is made where the link leads inside the root";

/// Why masked paths look different under crun.
const CRUN_MASKS: &str = "crun masks with a directory of its own state and with the host's null device";

/// Why of two words about access times the second counts.
const LAST_WINS: &str = "the last of two contradicting options wins; the peers pass both to the kernel";

/// Why a container may have an unbindable root: the peers make the host's mounts so, and then cannot bind their own.
const ROOT_ALONE: &str = "unbindable is for the container's root, not for what is mounted from the host";

/// Why `user.*` can be set.
const SYSCTL_OF_USERS: &str =
    "user.* belongs to the user namespace; runc 1.3 and crun 1.28 know no such parameters yet";

/// The table.
pub(crate) const INTENDED: &[Intended] = &[
    want(
        "*",
        "signals.ignored",
        "",
        "a program starts with default handlers; runc and crun pass on some of what their caller ignores",
    ),
    want("additional_gids_twice", "process.groups", "7 20", "a group is given once"),
    want("*untidy*", "left./dev", "dir 0755 *", OWN_MODE),
    want("*untidy*", "left./proc", "dir 0755 *", OWN_MODE),
    want("*untidy*", "left./sys", "dir 0755 *", OWN_MODE),
    want(
        "*console*",
        "console.message",
        "1 /dev/pts/0",
        "the text of the message is the terminal's name; runc tells the multiplexer's, crun none",
    ),
    want("exec_file_oom", "self.oom_score_adj", "700", "what a process file says is honoured, this too"),
    accept(
        "mapped*",
        "fd.*.owner",
        "*:65534 600",
        "our run passes the caller's pipes on, whose group stays; in runc's foreground they are its own",
    ),
    want("sysctl_of_users", "exit", "0", SYSCTL_OF_USERS),
    want("sysctl_of_users", "report", "complete", SYSCTL_OF_USERS),
    accept("exec_mapped*", "fd.*.owner", "*:65534 600", "as for run"),
    accept("joined_user*", "fd.*.owner", "*:65534 600", "as for mapped"),
    accept("exec_file*", "caps.no_new_privs", "1", EXEC_INHERITS),
    accept("exec_file*", "rlimit.NOFILE", "1024 1024", EXEC_INHERITS),
    accept("working_directory_is_link_out", "exit", "0", LINK_INSIDE),
    accept("working_directory_is_link_out", "report", "complete", LINK_INSIDE),
    accept("*", "state.*.owner", "root", "state names the owner as list does; runc's says nothing"),
    accept("*", "mount./sys/fs/cgroup.options*", "ro,*", CGROUP_RO),
    accept("*", "mount./sys/fs/cgroup.writing*", "EROFS", CGROUP_RO),
    accept("*", "guarded./sys/fs/cgroup.writing", "EROFS", CGROUP_RO),
    want("bind_relatime", "mount./data.options", "rw,relatime", LAST_WINS),
    accept("tmpfs_remounted", "mount./data.super", "ro,*", "a remount is one of the whole filesystem"),
    accept("propagation_runbindable", "exit", "0", ROOT_ALONE),
    accept("propagation_runbindable", "report", "complete", ROOT_ALONE),
    // What runc 1.3 does not know yet, or lets through.
    not(
        "crun",
        "exec_memory_policy",
        "sched.memory_*",
        "the policy is the container's, so an exec has it, too",
    ),
    not("runc", "*memory_policy*", "sched.memory_*", "runtime-spec 1.3; runc ignores it up to 1.3"),
    not("runc", "exec_untidy", "process.umask", "the caller's umask comes through runc's exec"),
    not("runc", "exec_file_user", "process.umask", "runc's exec forgets the umask of the process file"),
    not(
        "runc",
        "mapped_time",
        "dev/mqueue",
        "with clocks of its own, runc makes the queues before it has a group there",
    ),
    // Where runc is the one to follow.
    not("crun", "*", "left./*", "crun makes missing directories sticky and missing files executable"),
    not(
        "crun",
        "*",
        "*cgroup.memory*",
        "crun starts at the hierarchy's root, not at the caller's own cgroup",
    ),
    not("crun", "*", "dev/core", "crun makes the link even where there is no /proc/kcore"),
    not("crun", "*", "mount./proc/*", CRUN_MASKS),
    not("crun", "*", "mount./sys/firmware.*", CRUN_MASKS),
    not("crun", "*", "mount./sys.super", "crun makes the mount read-only alone, not the file system"),
    not("crun", "*", "mount./sys/fs/cgroup*", "crun has options of its own there"),
    not("crun", "*", "host.cgroup.freeze", "crun sees cgroup v1 alone here"),
    not("crun", "*", "*cgroup.unified", "crun sees cgroup v1 alone here"),
    not("crun", "*", "host.devices.list", "crun begins with base rules of its own"),
    not("crun", "*", "state.*.rootfs", "a path that is no use elsewhere, relative to the bundle"),
    not("crun", "*", "state.*.systemd-scope", "a member of crun's own"),
    not("crun", "*", "self.session_keyring", "crun names it otherwise, and leaves exec without it"),
    not(
        "crun",
        "*",
        "fd.*.owner",
        "crun gives stdio's group away too, and nothing at all in a user namespace",
    ),
    not("crun", "console*", "dev/console", "a link in crun; a mount in runc, as the specification has it"),
    not(
        "crun",
        "console*",
        "mount./dev/console.*",
        "a link in crun; a mount in runc, as the specification has it",
    ),
    not("crun", "terminal*", "tty.*.flags", "in the foreground newlines are the outer terminal's affair"),
    not("crun", "exec*", "caps.no_new_privs", "exec must not be freer than the container's own process"),
    not("crun", "exec*", "rlimit.*", "exec has the limits of the container's own process"),
    not(
        "crun",
        "exec_capability*",
        "caps.*",
        "--cap adds to the container's sets in place of replacing them",
    ),
    not("crun", "listening_descriptors", "env*", "crun passes the descriptors but not how many there are"),
    not("crun", "bind_contradicting", "*", "the last of two contradicting options wins"),
    not("crun", "bind_flags_ro", "mount./data.options", "crun does not know nosymfollow"),
    not("crun", "*", "mount./data.propagation", "crun loses the propagation that was asked for"),
    not("crun", "home_empty", "env.HOME", "an empty HOME is none"),
    not("crun", "working_directory_relative", "*", "a relative working directory is an error"),
    not("crun", "environment_without_equals", "*", "a variable without a value is an error"),
    not("crun", "cgroup_path_with_dots", "*", "a path is cleaned, and cannot climb"),
    not("crun", "bind_recursive_noatime", "*", "crun sets access time flags without clearing the others"),
];

//! The one table: every command and every flag, once.
//!
//! A new command is a row in [`COMMANDS`] and a file in `commands/`; a new flag is a row here and a line that reads
//! it. Help, man page and completions follow by themselves; `man/riverrun.8` is written anew with
//! `riverrun man >man/riverrun.8`, and a test compares it.
//!
//! The names are runc's, since its callers type them. The words are ours.
#![forbid(unsafe_code)]

use super::{Arity, Command, Complete, Flag, Hint, Takes};
use crate::commands;

pub(super) const fn switch(long: &'static str, short: Option<&'static str>, about: &'static str) -> Flag {
    Flag { long, short, takes: Takes::Nothing, about, default: None }
}

pub(super) const fn one(
    long: &'static str,
    short: Option<&'static str>,
    name: &'static str,
    complete: Complete,
    about: &'static str,
) -> Flag {
    Flag { long, short, takes: Takes::One(Hint { name, complete }), about, default: None }
}

pub(super) const fn many(
    long: &'static str,
    short: Option<&'static str>,
    name: &'static str,
    about: &'static str,
) -> Flag {
    Flag { long, short, takes: Takes::Many(Hint { name, complete: Complete::Free }), about, default: None }
}

/// One value for which `holds` does.
pub(super) const fn checked(
    long: &'static str,
    name: &'static str,
    holds: fn(&str) -> bool,
    about: &'static str,
) -> Flag {
    Flag {
        long,
        short: None,
        takes: Takes::Checked(Hint { name, complete: Complete::Free }, holds),
        about,
        default: None,
    }
}

pub(super) const fn or(flag: Flag, default: &'static str) -> Flag {
    Flag { default: Some(default), ..flag }
}

fn is_count(text: &str) -> bool {
    text.parse::<u32>().is_ok()
}

pub(super) fn is_number(text: &str) -> bool {
    text.parse::<i64>().is_ok()
}

fn is_duration(text: &str) -> bool {
    crate::duration::parse(text).is_some()
}

const FORMATS: Complete = Complete::Words(&["table", "json"]);

/// The options before the command.
pub(crate) const GLOBAL_FLAGS: &[Flag] = &[
    or(
        one(
            "root",
            None,
            "DIR",
            Complete::Directories,
            "where the state of containers is kept, best on a tmpfs",
        ),
        "/run/riverrun, or $XDG_RUNTIME_DIR/riverrun for a user",
    ),
    or(
        one(
            "log",
            None,
            "FILE",
            Complete::Files,
            "where log lines and the final error are appended: a file, journald:NAME or syslog:NAME",
        ),
        "standard error",
    ),
    or(
        one(
            "log-format",
            None,
            "FORMAT",
            Complete::Words(&["text", "json"]),
            "how log lines are written: text or json",
        ),
        "text",
    ),
    or(
        one(
            "log-level",
            None,
            "LEVEL",
            Complete::Words(&["error", "warn", "info", "debug"]),
            "the least grave lines that are logged: error, warn, info or debug",
        ),
        "info",
    ),
    switch("debug", None, "log what is being done, as --log-level debug"),
    one(
        "criu",
        None,
        "PATH",
        Complete::Files,
        "as in runc before 1.4: not used, with a warning; criu is found in $PATH",
    ),
    switch("systemd-cgroup", None, "let systemd make the cgroups; cgroupsPath then reads SLICE:PREFIX:NAME"),
    one(
        "cgroup-manager",
        None,
        "MANAGER",
        Complete::Words(&["cgroupfs", "systemd", "disabled"]),
        "who makes the cgroups: cgroupfs (this program), systemd, or disabled (nobody; limits are an error)",
    ),
    or(
        one(
            "rootless",
            None,
            "WHETHER",
            Complete::Words(&["true", "false", "auto"]),
            "whether cgroups that may not be touched are done without: true, false or auto",
        ),
        "auto",
    ),
    switch("version", Some("v"), "print the version"),
];

pub(super) const BUNDLE: Flag = or(
    one(
        "bundle",
        Some("b"),
        "DIR",
        Complete::Directories,
        "the directory that holds config.json and the root filesystem",
    ),
    "the current directory",
);
pub(super) const CONFIG: Flag = one(
    "config",
    Some("f"),
    "FILE",
    Complete::Files,
    "a configuration to use in place of the bundle's config.json",
);
pub(super) const CONSOLE_SOCKET: Flag = one(
    "console-socket",
    None,
    "PATH",
    Complete::Files,
    "a listening unix socket that is sent the master side of the process's terminal",
);
pub(super) const PIDFD_SOCKET: Flag = one(
    "pidfd-socket",
    None,
    "PATH",
    Complete::Files,
    "a listening unix socket that is sent a pidfd of the process",
);
pub(super) const PID_FILE: Flag =
    one("pid-file", None, "FILE", Complete::Files, "a file that the pid is written to, digits only");
pub(super) const NO_PIVOT: Flag = switch(
    "no-pivot",
    None,
    "change the root by MS_MOVE and chroot; for a host whose own root is an initramfs, where pivot_root cannot be used",
);
pub(super) const NO_NEW_KEYRING: Flag =
    switch("no-new-keyring", None, "let the container keep the session keyring of the caller");
pub(super) const PRESERVE_FDS: Flag = or(
    checked(
        "preserve-fds",
        "N",
        is_count,
        "hand on this many descriptors beyond the three streams and those of $LISTEN_FDS",
    ),
    "0",
);

const REGEX: Flag = switch(
    "regex",
    Some("r"),
    "take CONTAINER-ID as a regular expression: every container is meant whose id it matches somewhere",
);

const fn limit(long: &'static str, name: &'static str, about: &'static str) -> Flag {
    one(long, None, name, Complete::Free, about)
}

const UPDATE_FLAGS: &[Flag] = &[
    one(
        "resources",
        Some("r"),
        "FILE",
        Complete::Files,
        "a file with the limits as JSON, - for standard input",
    ),
    checked("blkio-weight", "N", is_number, "the share of I/O, 10 to 1000"),
    limit("cpu-burst", "USEC", "how much unused quota may be used at once"),
    limit("cpu-idle", "N", "1: run only where nobody else wants to; 0: take part again"),
    limit("cpu-period", "USEC", "the period of the quota"),
    limit("cpu-quota", "USEC", "the time on CPUs in each period"),
    limit("cpu-rt-period", "USEC", "the period of the realtime quota; cgroup v1 only"),
    limit("cpu-rt-runtime", "USEC", "the realtime quota; cgroup v1 only"),
    limit("cpu-share", "N", "the share of CPU time, 2 to 262144"),
    limit("cpuset-cpus", "LIST", "the CPUs that may be used"),
    limit("cpuset-mems", "LIST", "the memory nodes that may be used"),
    limit("kernel-memory", "BYTES", "left out with a warning: no kernel has this limit any more"),
    limit("kernel-memory-tcp", "BYTES", "likewise"),
    limit("memory", "BYTES", "the memory limit"),
    limit("memory-reservation", "BYTES", "the memory that is kept if memory is short"),
    limit("memory-swap", "BYTES", "the limit of memory and swap together"),
    checked("pids-limit", "N", is_number, "the number of processes and threads"),
    limit("l3-cache-schema", "SCHEMA", "a line for the L3 cache in the container's group of resctrl"),
    limit("mem-bw-schema", "SCHEMA", "a line for memory bandwidth in the container's group of resctrl"),
];

pub(super) const ID: &str = "CONTAINER-ID";

/// The commands, by name.
pub(crate) const COMMANDS: &[Command] = &[
    super::criu::CHECKPOINT,
    Command {
        name: "completion",
        about: "print a shell's completion script",
        arguments: "bash|zsh|fish",
        arity: Arity::Exactly(1),
        tail: false,
        details: &[
            "The script goes where the shell looks for such scripts, or is read at once by: source <(riverrun completion bash)",
        ],
        flags: &[],
        run: commands::completion::completion,
    },
    Command {
        name: "create",
        about: "create a container whose program does not run yet",
        arguments: ID,
        arity: Arity::Exactly(1),
        tail: false,
        details: &[
            "Everything that the configuration asks for is made: namespaces, mounts, cgroups, limits. The container's first process then waits for \"riverrun start\". If something cannot be made, nothing is left behind.",
            "With process.terminal set, --console-socket is needed.",
        ],
        flags: &[
            BUNDLE,
            CONFIG,
            CONSOLE_SOCKET,
            PIDFD_SOCKET,
            PID_FILE,
            NO_PIVOT,
            NO_NEW_KEYRING,
            PRESERVE_FDS,
        ],
        run: commands::create::create,
    },
    Command {
        name: "delete",
        about: "remove what is left of a container",
        arguments: ID,
        arity: Arity::Exactly(1),
        tail: false,
        details: &[
            "The container must be stopped, or created and never started. Its cgroups and its state directory are removed and its poststop hooks run.",
        ],
        flags: &[
            switch(
                "force",
                Some("f"),
                "kill the container first if it runs; succeed if there is no such container",
            ),
            REGEX,
        ],
        run: commands::delete::delete,
    },
    Command {
        name: "events",
        about: "print what happens to a container, and its statistics",
        arguments: ID,
        arity: Arity::Exactly(1),
        tail: false,
        details: &[
            "A line of JSON each: statistics at every interval, and whenever memory has run out. It ends when the container does.",
        ],
        flags: &[
            or(
                checked(
                    "interval",
                    "DURATION",
                    is_duration,
                    "the time between two lines of statistics: 500ms, 1m30s",
                ),
                "5s",
            ),
            switch("stats", None, "print statistics once, and nothing else"),
        ],
        run: commands::events::events,
    },
    Command {
        name: "exec",
        about: "execute a further process in a container",
        arguments: "CONTAINER-ID COMMAND [ARGUMENT...]",
        arity: Arity::AtLeast(1),
        tail: true,
        details: &[
            "The process gets what the container's own process has (environment, user, capabilities, limits), changed by the options. With --process it gets exactly what the file says, and no COMMAND is needed.",
            "Options come before the id; what follows it belongs to the command. The exit status is the command's, or 255 if it could not be executed.",
        ],
        flags: &[
            one(
                "process",
                Some("p"),
                "FILE",
                Complete::Files,
                "a file with the whole process object, as in config.json",
            ),
            one("cwd", None, "DIR", Complete::Free, "the working directory in the container"),
            many("env", Some("e"), "NAME=VALUE", "add to the environment; may be repeated"),
            switch("tty", Some("t"), "give the process a terminal"),
            one("user", Some("u"), "UID[:GID]", Complete::Free, "the numeric user, and group, to run as"),
            many("additional-gids", Some("g"), "GID", "add a supplementary group; may be repeated"),
            switch("detach", Some("d"), "do not wait for the process"),
            PID_FILE,
            CONSOLE_SOCKET,
            PIDFD_SOCKET,
            one("process-label", None, "LABEL", Complete::Free, "the SELinux label of the process"),
            one("apparmor", None, "PROFILE", Complete::Free, "the AppArmor profile of the process"),
            switch("no-new-privs", None, "let the process gain no privilege by executing a program"),
            many(
                "cap",
                Some("c"),
                "CAP",
                "add a capability to the bounding, effective and permitted sets; may be repeated",
            ),
            PRESERVE_FDS,
            many(
                "cgroup",
                None,
                "[CONTROLLER,...:]PATH",
                "execute in this existing cgroup below the container's; may be repeated",
            ),
            switch("ignore-paused", None, "execute even though the container is paused"),
        ],
        run: commands::exec::exec,
    },
    Command {
        name: "features",
        about: "print what this build can do",
        arguments: "",
        arity: Arity::Exactly(0),
        tail: false,
        details: &[
            "The features document of the runtime specification, as JSON. It tells of this build and not of the host: root is not needed.",
        ],
        flags: &[],
        run: commands::features::features,
    },
    Command {
        name: "help",
        about: "print the help of the program or of a command",
        arguments: "[COMMAND]",
        arity: Arity::Between(0, 1),
        tail: false,
        details: &[],
        flags: &[],
        run: commands::help::help,
    },
    Command {
        name: "info",
        about: "print what this host has for containers",
        arguments: "",
        arity: Arity::Exactly(0),
        tail: false,
        details: &[
            "Kernel, namespaces, cgroups, security modules and helper programs, as they are found now.",
        ],
        flags: &[or(one("format", Some("f"), "FORMAT", FORMATS, "table or json"), "table")],
        run: commands::info::info,
    },
    Command {
        name: "kill",
        about: "send a signal to a container's first process",
        arguments: "CONTAINER-ID [SIGNAL]",
        arity: Arity::Between(1, 2),
        tail: false,
        details: &[
            "The signal is a name, with SIG or without, in capitals or not (TERM, sigusr1, RTMIN+3), or a number up to 64. Without one it is TERM.",
            "Where the container has no pid namespace of its own, KILL goes to every one of its processes.",
        ],
        flags: &[
            switch("all", Some("a"), "signal every process of the container; succeed if it has stopped"),
            REGEX,
        ],
        run: commands::kill::kill,
    },
    Command {
        name: "list",
        about: "list the containers below the state root",
        arguments: "",
        arity: Arity::Exactly(0),
        tail: false,
        details: &["Entries that cannot be read are told on standard error and left out."],
        flags: &[
            or(one("format", Some("f"), "FORMAT", FORMATS, "table or json"), "table"),
            switch("quiet", Some("q"), "print nothing but the ids"),
        ],
        run: commands::list::list,
    },
    Command {
        name: "man",
        about: "print the manual page",
        arguments: "[DIR]",
        arity: Arity::Between(0, 1),
        tail: false,
        details: &["To read it: riverrun man | man -l -", "With DIR, it is written to DIR/riverrun.8."],
        flags: &[],
        run: commands::man::man,
    },
    super::migrate::MIGRATE,
    Command {
        name: "pause",
        about: "stop all processes of a container where they are",
        arguments: ID,
        arity: Arity::Exactly(1),
        tail: false,
        details: &[
            "The kernel's freezer stops them, until \"riverrun resume\"; the container's status is paused meanwhile. If not all of them can be stopped, none is.",
        ],
        flags: &[],
        run: commands::pause::pause,
    },
    Command {
        name: "ps",
        about: "list the processes of a container",
        arguments: "CONTAINER-ID [PS-OPTION...]",
        arity: Arity::AtLeast(1),
        tail: true,
        details: &[
            "The table is the output of ps(1), run with the options given or with -ef, less the processes of others. The options must leave the PID column in. As json, the host's pids are printed.",
        ],
        flags: &[or(one("format", Some("f"), "FORMAT", FORMATS, "table or json"), "table")],
        run: commands::ps::ps,
    },
    super::migrate::RECEIVE,
    super::criu::RESTORE,
    Command {
        name: "resume",
        about: "let the processes of a paused container go on",
        arguments: ID,
        arity: Arity::Exactly(1),
        tail: false,
        details: &[],
        flags: &[],
        run: commands::resume::resume,
    },
    Command {
        name: "run",
        about: "create a container and start its program",
        arguments: ID,
        arity: Arity::Exactly(1),
        tail: false,
        details: &[
            "In the foreground, signals are passed on to the container's first process, its exit status becomes that of riverrun (128 and the signal's number if one killed it), and the container is deleted in the end. With process.terminal set, the terminal of the caller is connected to the container's.",
            "With --detach, riverrun returns as soon as the program runs; with process.terminal set, --console-socket is then needed.",
        ],
        flags: &[
            BUNDLE,
            CONFIG,
            switch("detach", Some("d"), "do not wait for the container"),
            switch("keep", None, "do not delete the container in the end"),
            switch("no-subreaper", None, "do not adopt and reap the orphans among the container's processes"),
            CONSOLE_SOCKET,
            PIDFD_SOCKET,
            PID_FILE,
            NO_PIVOT,
            NO_NEW_KEYRING,
            PRESERVE_FDS,
        ],
        run: commands::run::run,
    },
    Command {
        name: "spec",
        about: "write a config.json to begin with",
        arguments: "",
        arity: Arity::Exactly(0),
        tail: false,
        details: &[
            "The file describes a container that runs sh on a terminal, from the directory rootfs. An existing file is never replaced.",
        ],
        flags: &[
            BUNDLE,
            switch("rootless", None, "write one that the calling user can run without privileges"),
        ],
        run: commands::spec::spec,
    },
    Command {
        name: "start",
        about: "let the program of a created container run",
        arguments: ID,
        arity: Arity::Exactly(1),
        tail: false,
        details: &[],
        flags: &[],
        run: commands::start::start,
    },
    Command {
        name: "state",
        about: "print the state of a container as JSON",
        arguments: ID,
        arity: Arity::Exactly(1),
        tail: false,
        details: &[],
        flags: &[],
        run: commands::state::state,
    },
    Command {
        name: "update",
        about: "change the limits of a container",
        arguments: ID,
        arity: Arity::Exactly(1),
        tail: false,
        details: &[
            "What is not named keeps its value. If the kernel refuses one of the limits, all are as they were.",
            "The file of --resources holds a linux.resources object as in config.json; all other options but the two schemas are ignored then. Device rules in it take the place of those that the container has, without a moment in which a device is gone that both allow.",
            "N may be -1 where a limit can be lifted. BYTES may end in b, k, m, g, t or p.",
        ],
        flags: UPDATE_FLAGS,
        run: commands::update::update,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_sorted_and_unique() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn no_flag_is_named_twice_and_none_takes_the_name_of_help() {
        for flags in COMMANDS.iter().map(|command| command.flags).chain([GLOBAL_FLAGS]) {
            let mut names: Vec<_> =
                flags.iter().flat_map(|flag| [Some(flag.long), flag.short]).flatten().collect();
            names.extend(["help", "h"]);
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{names:?}");
        }
    }

    #[test]
    fn texts_are_phrases() {
        let flags = COMMANDS.iter().flat_map(|command| command.flags).chain(GLOBAL_FLAGS);
        for about in flags.map(|flag| flag.about).chain(COMMANDS.iter().map(|command| command.about)) {
            assert!(!about.ends_with('.') && !about.starts_with(char::is_uppercase), "{about}");
        }
    }
}

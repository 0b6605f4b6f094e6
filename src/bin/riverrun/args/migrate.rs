//! The rows of the table for `migrate` and `receive`, the two sides of a migration.
#![forbid(unsafe_code)]

use super::criu::{
    AUTO_DEDUP, EXT_UNIX_SK, FILE_LOCKS, LINK_REMAP, MANAGE_CGROUPS, NETWORK_LOCK, SHELL_JOB,
    TCP_ESTABLISHED, TCP_SKIP_IN_FLIGHT,
};
use super::table::{
    CONFIG, CONSOLE_SOCKET, ID, NO_NEW_KEYRING, NO_PIVOT, PID_FILE, PIDFD_SOCKET, one, or, switch,
};
use super::{Arity, Command, Complete, Flag};
use crate::commands;

const TIMEOUT: Flag = or(
    one("timeout", None, "DURATION", Complete::Free, "how long the other side may say nothing: 500ms, 1m30s"),
    "5m",
);
const WORK_PATH: Flag = or(
    one(
        "work-path",
        None,
        "DIR",
        Complete::Directories,
        "where images are kept until all is over, in a directory of their own",
    ),
    "$TMPDIR, or /tmp",
);

/// `migrate`.
pub(super) const MIGRATE: Command = Command {
    name: "migrate",
    about: "move a running container to another host",
    arguments: ID,
    arity: Arity::Exactly(1),
    tail: false,
    details: &[
        "At the other host \"riverrun receive\" waits for it. ADDRESS is tcp:HOST:PORT, unix:PATH, or fd:N for a connected stream socket. Nothing is encrypted and nobody proves who they are: let ssh forward a unix socket where the network is not your own.",
        "Memory goes over while the container runs, in rounds, until that gains nothing any more; then it is frozen, the rest is sent, and it goes on at the other host. It is deleted here once it runs there. If anything fails before, it runs on here.",
        "With --lazy it runs at the other host first, and its memory follows when it is touched, and behind that. Until all of it is there this host is needed: the container stays here, frozen, and goes on from there if the other host gives up. If this host dies, it is lost.",
        "If nothing is heard from the other host after it was told to run the container, it stays here paused, and the error says so: delete it if it runs there, else resume it.",
    ],
    flags: &[
        one("to", None, "ADDRESS", Complete::Free, "where the other host receives it"),
        or(
            one(
                "rootfs",
                None,
                "HOW",
                Complete::Words(&["shared", "copy"]),
                "how the other host comes by the root filesystem: shared (it has it) or copy (all files are sent)",
            ),
            "shared",
        ),
        or(
            one(
                "rounds",
                None,
                "N",
                Complete::Free,
                "at most so many rounds of memory while the container runs; 0: freeze it at once",
            ),
            "8",
        ),
        switch(
            "page-server",
            None,
            "send memory straight into the other host's images, through CRIU's page server, and write none here",
        ),
        switch(
            "lazy",
            None,
            "let it run there before its memory is there, which comes when it is touched (userfaultfd); if this host dies meanwhile it is lost",
        ),
        AUTO_DEDUP,
        or(
            one(
                "progress",
                None,
                "FORMAT",
                Complete::Words(&["text", "json", "none"]),
                "how to tell what happens: text on standard error, or lines of JSON on standard output",
            ),
            "text on a terminal, else none",
        ),
        TIMEOUT,
        WORK_PATH,
        TCP_ESTABLISHED,
        TCP_SKIP_IN_FLIGHT,
        LINK_REMAP,
        EXT_UNIX_SK,
        SHELL_JOB,
        FILE_LOCKS,
        MANAGE_CGROUPS,
        NETWORK_LOCK,
    ],
    run: commands::migrate::migrate,
};

/// `receive`.
pub(super) const RECEIVE: Command = Command {
    name: "receive",
    about: "receive a container that another host migrates",
    arguments: "[CONTAINER-ID]",
    arity: Arity::Between(0, 1),
    tail: false,
    details: &[
        "It waits for one container, restores it, and ends when it runs. ADDRESS is tcp:HOST:PORT, unix:PATH, or fd:N for a stream socket that listens or is connected. The configuration comes with the container, with its hooks: whoever can connect is as good as root.",
        "The id is that at the other host unless another is given. Its standard streams are those of this command. If it does not succeed, nothing is left behind, and the container runs on at the other host.",
    ],
    flags: &[
        one("listen", None, "ADDRESS", Complete::Free, "where the container comes from"),
        or(
            one(
                "bundle",
                Some("b"),
                "DIR",
                Complete::Directories,
                "the directory that relative paths of its configuration start in; with --rootfs copy it is made",
            ),
            "that of the other host",
        ),
        CONFIG,
        or(
            one("limit", None, "BYTES", Complete::Free, "at most so many bytes are stored: 512m, 20g"),
            "none",
        ),
        TIMEOUT,
        WORK_PATH,
        CONSOLE_SOCKET,
        PIDFD_SOCKET,
        PID_FILE,
        NO_PIVOT,
        NO_NEW_KEYRING,
        MANAGE_CGROUPS,
        NETWORK_LOCK,
        switch("quiet", Some("q"), "do not say on standard error where it listens"),
    ],
    run: commands::receive::receive,
};

//! The rows of the table for `checkpoint` and `restore`: the options of runc's and of crun's, which are mostly CRIU's own
//! (criu(8)).
#![forbid(unsafe_code)]

use super::table::{
    BUNDLE, CONFIG, CONSOLE_SOCKET, ID, NO_NEW_KEYRING, NO_PIVOT, PID_FILE, PIDFD_SOCKET, PRESERVE_FDS,
    checked, is_number, many, one, or, switch,
};
use super::{Arity, Command, Complete, Flag};
use crate::commands;

const IMAGE_PATH: Flag = or(
    one("image-path", None, "DIR", Complete::Directories, "the directory with the images"),
    "checkpoint in the current directory",
);
const WORK_PATH: Flag = or(
    one("work-path", None, "DIR", Complete::Directories, "where CRIU's log and working files go"),
    "the image directory",
);
pub(super) const TCP_ESTABLISHED: Flag = switch("tcp-established", None, "keep established TCP connections");
pub(super) const TCP_SKIP_IN_FLIGHT: Flag =
    switch("tcp-skip-in-flight", None, "leave out TCP connections that are not established yet");
pub(super) const LINK_REMAP: Flag =
    switch("link-remap", None, "keep files that are open and have been removed");
pub(super) const EXT_UNIX_SK: Flag =
    switch("ext-unix-sk", None, "allow unix sockets whose other end is outside the container");
pub(super) const SHELL_JOB: Flag =
    switch("shell-job", None, "allow a session that began outside the container, with its terminal");
pub(super) const FILE_LOCKS: Flag = switch("file-locks", None, "keep file locks");
const LAZY_PAGES: Flag =
    switch("lazy-pages", None, "bring memory over when it is touched, by userfaultfd and criu lazy-pages");
pub(super) const AUTO_DEDUP: Flag =
    switch("auto-dedup", None, "free memory images of a parent that are superfluous now");
pub(super) const MANAGE_CGROUPS: Flag = or(
    one(
        "manage-cgroups-mode",
        None,
        "MODE",
        Complete::Words(&["soft", "full", "strict", "ignore"]),
        "what CRIU does about cgroups: soft, full, strict or ignore",
    ),
    "soft",
);
const EMPTY_NS: Flag = many(
    "empty-ns",
    None,
    "NAMESPACE",
    "leave the contents of a namespace to others: network, which always is",
);
pub(super) const NETWORK_LOCK: Flag = one(
    "network-lock",
    None,
    "METHOD",
    Complete::Words(&["iptables", "nftables", "skip"]),
    "how TCP connections are kept still: iptables, nftables or skip",
);

/// `checkpoint`.
pub(super) const CHECKPOINT: Command = Command {
    name: "checkpoint",
    about: "write a running container as images",
    arguments: ID,
    arity: Arity::Exactly(1),
    tail: false,
    details: &[
        "CRIU (https://criu.org) writes the memory of the processes and all that they have open. The container is deleted afterwards unless it is to be left running; \"riverrun restore\" makes it again of the images, here or on another host with the same root filesystem.",
        "If it does not succeed, the container runs on.",
    ],
    flags: &[
        IMAGE_PATH,
        WORK_PATH,
        one(
            "parent-path",
            None,
            "DIR",
            Complete::Free,
            "images of an earlier --pre-dump, relative to the image directory; what they have is not written again",
        ),
        switch("leave-running", None, "let the container go on afterwards"),
        switch("pre-dump", None, "write the memory alone, while the container runs on"),
        TCP_ESTABLISHED,
        TCP_SKIP_IN_FLIGHT,
        LINK_REMAP,
        EXT_UNIX_SK,
        SHELL_JOB,
        FILE_LOCKS,
        LAZY_PAGES,
        checked(
            "status-fd",
            "N",
            is_number,
            "a descriptor that gets a zero byte once lazy pages can be asked for",
        ),
        one(
            "page-server",
            None,
            "ADDRESS:PORT",
            Complete::Free,
            "send memory to a page server instead of writing it",
        ),
        MANAGE_CGROUPS,
        EMPTY_NS,
        AUTO_DEDUP,
        NETWORK_LOCK,
    ],
    run: commands::checkpoint::checkpoint,
};

/// `restore`.
pub(super) const RESTORE: Command = Command {
    name: "restore",
    about: "make a container of the images of a checkpoint",
    arguments: ID,
    arity: Arity::Exactly(1),
    tail: false,
    details: &[
        "The bundle is that of the container, or one with the same configuration and root filesystem. Options that the checkpoint was made with are needed again.",
        "In the foreground and with --detach it goes on as \"riverrun run\" does. If it does not succeed, nothing is left behind.",
    ],
    flags: &[
        BUNDLE,
        CONFIG,
        IMAGE_PATH,
        WORK_PATH,
        switch("detach", Some("d"), "do not wait for the container"),
        switch("keep", None, "do not delete the container in the end"),
        switch("no-subreaper", None, "do not adopt and reap the orphans among the container's processes"),
        CONSOLE_SOCKET,
        PIDFD_SOCKET,
        PID_FILE,
        NO_PIVOT,
        NO_NEW_KEYRING,
        PRESERVE_FDS,
        TCP_ESTABLISHED,
        switch("tcp-close", None, "close established TCP connections"),
        EXT_UNIX_SK,
        SHELL_JOB,
        FILE_LOCKS,
        LAZY_PAGES,
        MANAGE_CGROUPS,
        EMPTY_NS,
        AUTO_DEDUP,
        NETWORK_LOCK,
        one(
            "lsm-profile",
            None,
            "TYPE:NAME",
            Complete::Free,
            "the profile or label of the processes, apparmor:NAME or selinux:LABEL, instead of the one that they had",
        ),
        one(
            "lsm-mount-context",
            None,
            "CONTEXT",
            Complete::Free,
            "the SELinux context of mounts, instead of the one that they had",
        ),
    ],
    run: commands::restore::restore,
};

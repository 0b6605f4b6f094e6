//! The rows of `events`, `update`, `checkpoint` and `restore`, as far as they need no CRIU.
#![forbid(unsafe_code)]

use super::rows::{GO_NUMBER, Row, row};

const NO_CPU_BURST: &str = "older: it does not know the option";
const SAID_LATER: &str = "it asks CRIU first";
const SUFFIX: &str = "older words for a unit that is none";

pub(super) const ROWS: &[Row] = &[
    // Events.
    row("events", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"events\" requires exactly 1 argument(s)"),
    row("events nobody", 1, "", "container does not exist"),
    row("events --stats nobody", 1, "", "container does not exist"),
    row("events stopped", 1, "", "container with id stopped is not running"),
    row("events --stats stopped", 1, "", "container with id stopped is not running"),
    row("events --stats running", 0, "{\"type\":\"stats\",\"id\":\"running\",DATA\n", ""),
    row("events --interval 0s running", 1, "", "duration interval must be greater than 0"),
    row("events --interval -5s running", 1, "", "duration interval must be greater than 0"),
    row(
        "events --interval x running",
        1,
        "Incorrect Usage: invalid value \"x\" for flag -interval: parse error\n\nHELP",
        "invalid value \"x\" for flag -interval: parse error",
    ),
    // Update.
    row("update", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"update\" requires exactly 1 argument(s)"),
    row("update a b", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"update\" requires exactly 1 argument(s)"),
    row("update nobody", 1, "", "container does not exist"),
    row("update --memory 64m nobody", 1, "", "container does not exist"),
    row("update --memory 64m stopped", 1, "", "container not running"),
    row("update --memory 64m created", 0, "", ""),
    row("update --memory 64m running", 0, "", ""),
    row("update --memory=-1 running", 0, "", ""),
    row("update --memory-reservation 1g running", 0, "", ""),
    row("update -cpu-period 100000 -cpu-quota 50000 running", 0, "", ""),
    row("update --cpu-share 512 running", 0, "", ""),
    row("update --pids-limit 50 running", 0, "", ""),
    row("update --pids-limit -1 running", 0, "", ""),
    row("update --memory x running", 1, "", "invalid value for memory: invalid size: 'x'"),
    row("update --memory 10x running", 1, "", "invalid value for memory: invalid suffix: 'x'")
        .unlike_old(SUFFIX),
    row("update --memory-swap x running", 1, "", "invalid value for memory-swap: invalid size: 'x'"),
    row(
        "update --memory-reservation x running",
        1,
        "",
        "invalid value for memory-reservation: invalid size: 'x'",
    ),
    row("update --kernel-memory x running", 1, "", "invalid value for kernel-memory: invalid size: 'x'"),
    row(
        "update --pids-limit x running",
        1,
        "Incorrect Usage: invalid value \"x\" for flag -pids-limit: parse error\n\nHELP",
        "invalid value \"x\" for flag -pids-limit: parse error",
    ),
    row(
        "update --blkio-weight x running",
        1,
        "Incorrect Usage: invalid value \"x\" for flag -blkio-weight: parse error\n\nHELP",
        "invalid value \"x\" for flag -blkio-weight: parse error",
    ),
    row("update --blkio-weight 5 running", 1, "", "linux.resources.blockIO.weight: not between 10 and 1000")
        .unlike("what the kernel does not take is passed over"),
    row("update --cpu-quota x running", 1, "", "invalid value for cpu-quota: \"x\"").unlike(GO_NUMBER),
    row("update --cpu-period x running", 1, "", "invalid value for cpu-period: \"x\"").unlike(GO_NUMBER),
    row("update --cpu-share x running", 1, "", "invalid value for cpu-share: \"x\"").unlike(GO_NUMBER),
    row("update --cpu-share -1 running", 1, "", "invalid value for cpu-share: \"-1\"").unlike(GO_NUMBER),
    row("update --cpu-rt-period x running", 1, "", "invalid value for cpu-rt-period: \"x\"")
        .unlike(GO_NUMBER),
    row("update --cpu-rt-runtime x running", 1, "", "invalid value for cpu-rt-runtime: \"x\"")
        .unlike(GO_NUMBER),
    row("update --cpu-burst 0 running", 0, "", "").unlike_old(NO_CPU_BURST),
    row("update --resources nofile running", 1, "", "open nofile: no such file or directory"),
    row("update -r b running", 1, "", "read b: is a directory"),
    row("update --resources - running", 1, "", "read resources: nothing is there")
        .unlike("Go's word for it is EOF"),
    // Checkpoint.
    row(
        "checkpoint",
        1,
        "Incorrect Usage.\n\nHELP",
        "riverrun: \"checkpoint\" requires exactly 1 argument(s)",
    ),
    row(
        "checkpoint a b",
        1,
        "Incorrect Usage.\n\nHELP",
        "riverrun: \"checkpoint\" requires exactly 1 argument(s)",
    ),
    row("checkpoint nobody", 1, "", "container does not exist"),
    row("checkpoint created", 1, "", "Container cannot be checkpointed in created state"),
    row("checkpoint stopped", 1, "", "Container cannot be checkpointed in stopped state"),
    row("checkpoint --parent-path /abs running", 1, "", "--parent-path must be relative"),
    row(
        "checkpoint --parent-path nope running",
        1,
        "",
        "invalid --parent-path: stat DIR/checkpoint/nope: no such file or directory",
    ),
    row("checkpoint --page-server x running", 1, "", "Use --page-server ADDRESS:PORT to specify page server"),
    row(
        "checkpoint --page-server :1 running",
        1,
        "",
        "Use --page-server ADDRESS:PORT to specify page server",
    ),
    row(
        "checkpoint --page-server x: running",
        1,
        "",
        "Use --page-server ADDRESS:PORT to specify page server",
    ),
    row("checkpoint --page-server x:y running", 1, "", "Invalid port number"),
    row("checkpoint --empty-ns pid running", 1, "", "namespace \"pid\" is not supported"),
    row("checkpoint --manage-cgroups-mode x running", 1, "", "invalid manage-cgroups-mode value")
        .unlike("older words, or said only once CRIU is there"),
    row(
        "checkpoint --status-fd x running",
        1,
        "Incorrect Usage: invalid value \"x\" for flag -status-fd: parse error\n\nHELP",
        "invalid value \"x\" for flag -status-fd: parse error",
    ),
    row(
        "checkpoint --status-fd 77 running",
        1,
        "",
        "invalid --status-fd argument 77: no such file or directory",
    )
    .unlike(SAID_LATER),
    row("state running", 0, "*", "").unlike("`list` tells the owner and `state` does not"),
    // Restore.
    row("restore", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"restore\" requires exactly 1 argument(s)"),
    row("restore a b", 1, "Incorrect Usage.\n\nHELP", "riverrun: \"restore\" requires exactly 1 argument(s)"),
    row("restore x", 1, "", "JSON specification file config.json not found"),
    row("restore -b nowhere x", 1, "", "chdir nowhere: no such file or directory"),
    row("restore -b b a/b", 1, "", "invalid container ID format"),
    row("restore -b b --empty-ns pid x", 1, "", "namespace \"pid\" is not supported"),
    row("restore -b b --manage-cgroups-mode x x", 1, "", "invalid manage-cgroups-mode value")
        .unlike(SAID_LATER),
    row(
        "restore -b b --image-path nowhere x",
        1,
        "",
        "open image directory DIR/nowhere: no such file or directory",
    )
    .unlike(SAID_LATER),
];

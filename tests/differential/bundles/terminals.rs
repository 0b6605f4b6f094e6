//! Bundles with a terminal: over a console socket, in the foreground, for users, with sizes; and by `exec`.
#![forbid(unsafe_code)]

use crate::suite::case::{Case, case};
use serde_json::json;

/// The cases.
pub(crate) fn terminals() -> Vec<Case> {
    let size = json!({"height": 33, "width": 111});
    vec![
        case("console").console(),
        case("console_sized").console().set("/process/consoleSize", size.clone()),
        case("console_of_user").console().user(1000, 1000),
        case("console_writable").console().writable(),
        case("console_without_mqueue").console().without_mount("/dev/mqueue"),
        case("console_mapped").console().user_namespace(100_000, 65_536),
        case("console_untidy").console().dirty(),
        case("terminal").terminal().env("AWAITED_WINDOW=30x100"),
        // runc gives it the caller's size a moment later, crun does not.
        case("terminal_sized").terminal().env("AWAITED_WINDOW=30x100").set("/process/consoleSize", size),
        case("exec_console").exec_console(&[]),
        case("exec_console_of_user").exec_console(&["--user", "1000:1000"]),
    ]
}

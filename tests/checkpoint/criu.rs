//! A CRIU that starts here, and that one test at a time uses it: a dump freezes, and a restore wants pids of its own.
#![forbid(unsafe_code)]

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Its program: the one of `$RIVERRUN_TEST_CRIU`, or of tests/peers/get-peer; or why there is none.
pub(crate) fn program() -> Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let find = || {
        let own = std::env::var_os("RIVERRUN_TEST_CRIU").map(PathBuf::from);
        let path = own.map_or_else(peer, Ok)?;
        let checked = Command::new(&path).arg("check").output().map_err(|error| error.to_string())?;
        if checked.status.success() {
            return Ok(path);
        }
        Err(format!("criu check: {}", String::from_utf8_lossy(&checked.stderr).trim().replace('\n', "; ")))
    };
    FOUND.get_or_init(find).clone()
}

fn peer() -> Result<PathBuf, String> {
    let output =
        Command::new("tests/peers/get-peer").arg("criu").output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("no CRIU: {}", why.lines().last().unwrap_or("get-peer says nothing")))
}

/// Only one of these tests runs at a time, of whichever program.
pub(crate) fn alone() -> File {
    let file = std::env::temp_dir().join("riverrun-test-criu.lock");
    let file = File::create(file).unwrap_or_else(|error| panic!("make the lock: {error}"));
    file.lock().unwrap_or_else(|error| panic!("take the lock: {error}"));
    file
}

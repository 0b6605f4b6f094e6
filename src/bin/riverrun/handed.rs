//! Descriptors that the caller hands on to the container's process: those of `$LISTEN_FDS`, then those of
//! `--preserve-fds`, from 3 on and with the same numbers inside.
//!
//! They are looked at before the program opens anything, or a log file that happens to be descriptor 3 would pass for
//! the caller's and end up in the container.
#![forbid(unsafe_code)]

use std::fs;

use riverrun::FdMap;

const FIRST: i32 = 3;

/// How many descriptors a service manager passed to this very process; see sd_listen_fds(3).
/// Without `$LISTEN_PID` they are taken as ours, with another process's they are not.
pub(crate) fn listen_fds(count: Option<&str>, pid: Option<&str>, own_pid: u32) -> u32 {
    let ours = pid.is_none_or(|pid| pid.parse() == Ok(own_pid));
    count.filter(|_| ours).and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// What tells the process of `count` such descriptors.
pub(crate) fn listen_fds_env(count: u32) -> Vec<String> {
    if count == 0 { Vec::new() } else { vec![format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()] }
}

/// The map of `listen` and then `preserve` descriptors. All of them must be open.
pub(crate) fn map(listen: u32, preserve: u32) -> Result<Vec<FdMap>, String> {
    let mut map = Vec::new();
    for index in 0..listen.saturating_add(preserve) {
        let fd = i32::try_from(index).map_or(i32::MAX, |index| index.saturating_add(FIRST));
        if fs::symlink_metadata(format!("/proc/self/fd/{fd}")).is_err() {
            return Err(match index.checked_sub(listen) {
                Some(index) => {
                    format!("unable to stat preserved-fd {index} (of {preserve}): bad file descriptor")
                }
                None => format!("use descriptor {fd} of LISTEN_FDS={listen}: bad file descriptor"),
            });
        }
        map.push(FdMap { host: fd, container: fd });
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_for_another_process_are_not_ours() {
        assert_eq!(listen_fds(Some("2"), Some("41"), 41), 2);
        assert_eq!(listen_fds(Some("2"), Some("42"), 41), 0);
        assert_eq!(listen_fds(Some("2"), None, 41), 2);
        assert_eq!(listen_fds(None, Some("41"), 41), 0);
        assert_eq!(listen_fds(Some("x"), None, 41), 0);
    }

    #[test]
    fn a_descriptor_that_is_not_open_is_an_error() {
        let error = map(0, 100_000).expect_err("so many are not open");
        assert!(error.starts_with("unable to stat preserved-fd "), "{error}");
        assert!(map(0, 0).is_ok_and(|map| map.is_empty()));
    }
}

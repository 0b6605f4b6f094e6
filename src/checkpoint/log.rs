//! CRIU's log: the lines that tell why it did not succeed. Pure.
#![forbid(unsafe_code)]

/// As many lines as an error repeats.
const MOST: usize = 4;

/// The decisive lines of a log: its errors but for those that only say that something above failed, without time stamps
/// and process numbers. The first of them is most often the cause.
pub(crate) fn decisive(log: &str) -> Vec<String> {
    let errors: Vec<String> = log.lines().filter_map(error).collect();
    let telling: Vec<String> = errors.iter().filter(|line| !is_echo(line)).cloned().collect();
    let mut lines = if telling.is_empty() { errors } else { telling };
    lines.dedup();
    lines.truncate(MOST);
    lines
}

/// `(00.012345) 17: Error (criu/mount.c:1): text` without what is in front of the text.
fn error(line: &str) -> Option<String> {
    let at = line.find("Error (")?;
    let text = line[at..].split_once("): ")?.1.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// What every failure ends with, and what fails on hosts without a privilege that is not needed.
fn is_echo(line: &str) -> bool {
    const ECHOES: [&str; 6] = [
        "Dumping FAILED.",
        "Pre-dumping FAILED.",
        "Restoring FAILED.",
        "Can't setup RLIMIT_NOFILE for self",
        "RPC: Unable to send",
        "cg: cgroupd: recv req error",
    ];
    ECHOES.iter().any(|echo| line.contains(echo))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_found_among_the_noise() {
        let log = "(00.000001) Version: 4.2.1\n\
                   (00.000002) Error (criu/rlimit.c:1): rlimit: Can't setup RLIMIT_NOFILE for self\n\
                   (00.012345) Error (criu/mount.c:1102): mnt: 87:./data doesn't have a proper root mount\n\
                   (00.012346)   7: Error (criu/x.c:2): second\n\
                   (00.012399) Error (criu/cr-dump.c:2098): Dumping FAILED.\n";
        assert_eq!(decisive(log), ["mnt: 87:./data doesn't have a proper root mount", "second"]);
    }

    #[test]
    fn a_log_with_echoes_alone_tells_those() {
        assert_eq!(decisive("(1) Error (criu/cr-dump.c:2): Dumping FAILED.\n"), ["Dumping FAILED."]);
        assert!(decisive("").is_empty());
        assert!(decisive("Error (").is_empty());
    }
}

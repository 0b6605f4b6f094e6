//! Signals as people write them: `TERM`, `sigusr1`, `RTMIN+3`, `9`.
#![forbid(unsafe_code)]

use nix::sys::signal::Signal;

/// The highest signal of Linux.
const HIGHEST: i32 = 64;
/// The first real-time signal that the C library leaves to programs.
const RTMIN: i32 = 34;

/// The number of the signal that `word` names.
pub(crate) fn parse(word: &str) -> Result<i32, String> {
    number(word)
        .or_else(|| named(&word.to_ascii_uppercase()))
        .filter(|signal| (0..=HIGHEST).contains(signal))
        .ok_or_else(|| format!("unknown signal \"{word}\""))
}

/// Digits only: `parse` alone would take "+9" too.
fn number(word: &str) -> Option<i32> {
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

fn named(upper: &str) -> Option<i32> {
    let name = upper.strip_prefix("SIG").unwrap_or(upper);
    match (name, name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        // The second names of three signals.
        ("CLD", ..) => Some(Signal::SIGCHLD as i32),
        ("IOT", ..) => Some(Signal::SIGABRT as i32),
        ("POLL", ..) => Some(Signal::SIGIO as i32),
        (_, Some(""), _) => Some(RTMIN),
        (_, _, Some("")) => Some(HIGHEST),
        (_, Some(above), _) => RTMIN.checked_add(number(above.strip_prefix('+')?)?),
        (_, _, Some(below)) => {
            Some(HIGHEST - number(below.strip_prefix('-')?)?).filter(|signal| *signal >= RTMIN)
        }
        _ => format!("SIG{name}").parse::<Signal>().ok().map(|signal| signal as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read() {
        for (word, signal) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigkill", 9),
            ("Hup", 1),
            ("9", 9),
            ("64", 64),
            ("0", 0),
            ("RTMIN", 34),
            ("SIGRTMIN+1", 35),
            ("rtmax", 64),
            ("RTMAX-14", 50),
            ("POLL", 29),
            ("CLD", 17),
            ("winch", 28),
        ] {
            assert_eq!(parse(word), Ok(signal), "{word}");
        }
    }

    #[test]
    fn anything_else_is_unknown() {
        for word in [
            "",
            "FOO",
            "SIGSIGTERM",
            "65",
            "-1",
            "+9",
            "0x9",
            "RTMIN+31",
            "RTMIN+2147483647",
            "RTMIN-1",
            "RTMAX+1",
            "99999999999",
        ] {
            assert_eq!(parse(word), Err(format!("unknown signal \"{word}\"")), "{word}");
        }
    }
}

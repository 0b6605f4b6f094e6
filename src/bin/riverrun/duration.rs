//! Durations as Go spells them: `1h30m`, `1.5s`, `500ms`, `-1s`, `0`.
#![forbid(unsafe_code)]

const UNITS: [(&str, f64); 8] = [
    // Longer names first: `ms` begins as `m` does.
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// Nanoseconds; `None` for what is no duration, or too long for one.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut sum = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let (name, factor) = UNITS.iter().find(|(name, _)| rest.starts_with(name))?;
        rest = &rest[name.len()..];
        sum += number * factor;
    }
    // 2^63, which f64 holds exactly.
    if sum >= 9_223_372_036_854_775_808.0 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "below 2^63, asked just now")]
    let nanoseconds = sum as i64;
    Some(if negative { -nanoseconds } else { nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations_are_those_of_go() {
        for (text, nanoseconds) in [
            ("5s", 5_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            ("500ms", 500_000_000),
            ("10us", 10_000),
            ("-1s", -1_000_000_000),
            ("0", 0),
            ("1ns", 1),
            (".5s", 500_000_000),
        ] {
            assert_eq!(parse(text), Some(nanoseconds), "{text}");
        }
        for text in ["", "-", "5", "s", "5x", "1..5s", "1 s", "99999999h", "5s5", "ns"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

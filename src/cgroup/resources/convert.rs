//! Numbers of the specification, which are cgroup v1's, as cgroup v2 counts. Pure.
#![forbid(unsafe_code)]

use oci_spec::runtime::LinuxMemory;

use crate::error::{Error, Kind, Result};

/// `cpu.shares` (2 to 262144, 1024 by default) as `cpu.weight` (1 to 10000, 100 by default): a curve through those three
/// points, as runc 1.3.2, crun 1.23 and systemd's callers have it. A straight line would turn 1024 into 39.
pub(crate) fn cpu_weight(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    if shares >= 262_144 {
        return 10_000;
    }
    #[allow(clippy::cast_precision_loss, reason = "below 2^18")]
    let logarithm = (shares as f64).log2();
    let exponent = (logarithm * logarithm + 125.0 * logarithm) / 612.0 - 7.0 / 34.0;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 10000")]
    let weight = 10_f64.powf(exponent).ceil() as u64;
    weight
}

/// `blkio.weight` (10 to 1000) as `io.weight` (1 to 10000).
pub(crate) fn io_weight(weight: u16) -> u64 {
    1 + u64::from(weight.saturating_sub(10)) * 9999 / 990
}

/// Memory and swap together, as the specification counts, to swap alone; `None`: not to be set.
pub(crate) fn swap(memory: &LinuxMemory) -> Result<Option<i64>> {
    let invalid =
        |message: &str| Err(Error::new(Kind::InvalidSpec, message).during("linux.resources.memory"));
    let (limit, both) = (memory.limit().unwrap_or(0), memory.swap().unwrap_or(0));
    match (limit, both) {
        // What v1 does by itself: unlimited is both.
        (-1, 0) => Ok(Some(-1)),
        (_, 0) => Ok(None),
        (_, -1) => Ok(Some(-1)),
        (-1, both) => Ok(Some(both)),
        (0, _) => invalid("unable to set swap limit without memory limit"),
        (limit, both) if both < limit => invalid("memory+swap limit should be >= memory limit"),
        (limit, both) => Ok(Some(both - limit)),
    }
}

/// -1 as the kernel's word.
pub(crate) fn or_max(number: i64) -> String {
    if number < 0 { String::from("max") } else { number.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights_on_the_curve() {
        let pairs = [(0, 1), (2, 1), (3, 2), (10, 4), (100, 17), (512, 59), (1024, 100), (2048, 174)];
        let more = [(10_000, 627), (262_144, 10_000), (u64::MAX, 10_000)];
        for (shares, weight) in pairs.into_iter().chain(more) {
            assert_eq!(cpu_weight(shares), weight, "{shares}");
        }
    }

    #[test]
    fn io_weights_keep_their_ends() {
        assert_eq!([10, 100, 500, 1000].map(io_weight), [1, 910, 4950, 10_000]);
        assert_eq!(io_weight(0), 1);
    }

    fn both(limit: i64, swap: i64) -> std::result::Result<Option<i64>, String> {
        let memory: LinuxMemory =
            serde_json::from_value(serde_json::json!({"limit": limit, "swap": swap})).unwrap();
        super::swap(&memory).map_err(|error| error.to_string())
    }

    #[test]
    fn swap_is_what_is_left_of_both() {
        assert_eq!(both(100, 300), Ok(Some(200)));
        assert_eq!(both(100, 100), Ok(Some(0)));
        assert_eq!(both(100, -1), Ok(Some(-1)));
        assert_eq!(both(100, 0), Ok(None));
        assert_eq!(both(-1, 0), Ok(Some(-1)));
        assert_eq!(both(-1, 100), Ok(Some(100)));
        assert!(both(100, 50).unwrap_err().ends_with("memory+swap limit should be >= memory limit"));
        assert!(both(0, 50).unwrap_err().ends_with("unable to set swap limit without memory limit"));
    }
}

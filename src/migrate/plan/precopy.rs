//! Whether another round of memory is worth its time: as long as each finds clearly less to send than the one before.
//! What is left in the end is sent while nothing runs, so that few bytes are better than an early end.
#![forbid(unsafe_code)]

/// So few bytes take no longer than the rest of a freeze.
const FEW: u64 = 1 << 20;

/// Whether to go on after rounds that sent so many bytes of memory each.
pub(crate) fn another(sent: &[u64], limit: u32) -> bool {
    if sent.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
        return false;
    }
    match sent {
        [.., last] if *last <= FEW => false,
        // A quarter less at least.
        [.., before, last] => u128::from(*last) * 4 <= u128::from(*before) * 3,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_end_when_there_is_no_progress() {
        assert!(another(&[], 8));
        assert!(another(&[64 << 20], 8), "one alone says nothing");
        assert!(another(&[64 << 20, 20 << 20], 8));
        assert!(!another(&[64 << 20, 60 << 20], 8), "it changes faster than it is sent");
        assert!(!another(&[64 << 20, 20 << 20, 19 << 20], 8));
        assert!(!another(&[64 << 20, 90 << 20], 8), "nor when it grows");
        assert!(!another(&[64 << 20, FEW], 8), "that little can be sent while it is frozen");
        assert!(!another(&[u64::MAX, u64::MAX], 8));
    }

    #[test]
    fn rounds_end_at_the_limit() {
        assert!(!another(&[], 0), "no rounds at all");
        assert!(another(&[64 << 20], 2));
        assert!(!another(&[64 << 20, 20 << 20], 2));
    }
}

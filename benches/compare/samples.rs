//! Times of one operation by one program: median and minimum, nothing else. Means are not kept: one hiccup owns them.
#![forbid(unsafe_code)]

use std::time::Duration;

/// Measured times, in the order of the rounds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The middle one in milliseconds, `None` when nothing was measured.
    pub(crate) fn median(&self) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let middle = *sorted.get(sorted.len() / 2)?;
        let below = sorted[(sorted.len() - 1) / 2];
        Some(millis(middle + below) / 2.0)
    }

    /// The shortest in milliseconds, `None` when nothing was measured.
    pub(crate) fn min(&self) -> Option<f64> {
        self.0.iter().min().copied().map(millis)
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

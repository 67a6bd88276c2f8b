//! How fast tasks end, and how long they take.

#![forbid(unsafe_code)]

use std::time::Duration;

/// The seconds that are looked back on.
const SECONDS: usize = 32;
/// The seconds of them that a rate is made of.
const RATE_SECONDS: u64 = 10;
/// The seconds of them that a forecast is made of.
const FORECAST_SECONDS: u64 = 30;

/// How many tasks ended in each of the last seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// A ring: the second, from 1, and how many ended in it.
    seconds: [(u64, u64); SECONDS],
}

impl Pace {
    pub(super) fn count(&mut self, now: Duration) {
        let second = now.as_secs() + 1;
        let slot = &mut self.seconds[(second % SECONDS as u64) as usize];
        if slot.0 != second {
            *slot = (second, 0);
        }
        slot.1 += 1;
    }

    /// Tasks a second, over the last ten.
    pub(super) fn rate(&self, now: Duration) -> f64 {
        self.over(RATE_SECONDS, now)
    }

    /// The time that this many more take, by the last half minute; `None` while nothing ends.
    pub(super) fn forecast(&self, left: u64, now: Duration) -> Option<Duration> {
        let rate = self.over(FORECAST_SECONDS, now);
        (rate > 0.0).then(|| Duration::try_from_secs_f64(left as f64 / rate).unwrap_or(Duration::MAX))
    }

    /// Over whole seconds and the one that runs.
    fn over(&self, seconds: u64, now: Duration) -> f64 {
        let first = (now.as_secs() + 1).saturating_sub(seconds - 1);
        let ended: u64 =
            self.seconds.iter().filter(|(second, _)| *second >= first.max(1)).map(|(_, count)| count).sum();
        // Much of a first moment is not enough to tell anything from.
        let span = now.as_secs_f64() - first.saturating_sub(1) as f64;
        ended as f64 / span.max(0.5)
    }
}

/// The upper bounds of the buckets of [`Durations`], in seconds; what took longer is in one more.
pub const BUCKETS: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
    7200.0,
];

/// How long attempts took, as counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    counts: [u64; BUCKETS.len() + 1],
    sum: Duration,
}

impl Durations {
    pub(super) fn count(&mut self, time: Duration) {
        let bucket = BUCKETS.partition_point(|bound| *bound < time.as_secs_f64());
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(time);
    }

    /// How many took at most each bound of [`BUCKETS`] and more than the one before; last, how many took longer than all.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Half of them took at most this, rounded up to a bound; `None` when there are none.
    #[must_use]
    pub fn median(&self) -> Option<Duration> {
        let half = self.counts.iter().sum::<u64>().div_ceil(2);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            half > 0 && seen >= half
        })?;
        Some(BUCKETS.get(bucket).map_or(Duration::MAX, |bound| Duration::from_secs_f64(*bound)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_rate_is_that_of_the_last_ten_seconds() {
        let mut pace = Pace::default();
        assert_eq!((pace.rate(seconds(0)), pace.forecast(5, seconds(3))), (0.0, None));
        for second in 0..20 {
            (0..100).for_each(|_| pace.count(seconds(second)));
        }
        assert_eq!(pace.rate(seconds(20)), 100.0);
        assert_eq!(pace.forecast(1000, seconds(20)), Some(seconds(10)));
        // Then nothing ends any more.
        assert_eq!(pace.rate(seconds(25)), 400.0 / 9.0);
        assert_eq!((pace.rate(seconds(31)), pace.forecast(1, seconds(100))), (0.0, None));
    }

    #[test]
    fn what_ends_in_the_first_moment_is_no_rate_of_thousands() {
        let mut pace = Pace::default();
        (0..10).for_each(|_| pace.count(Duration::from_millis(1)));
        assert_eq!(pace.rate(Duration::from_millis(1)), 20.0);
    }

    #[test]
    fn the_median_is_a_bound_and_the_sum_is_exact() {
        let mut durations = Durations::default();
        assert_eq!(durations.median(), None);
        [1, 2, 3, 40, 9000].into_iter().for_each(|time| durations.count(seconds(time)));
        assert_eq!((durations.median(), durations.sum()), (Some(seconds(5)), seconds(9046)));
        durations.count(seconds(9000));
        durations.count(seconds(9000));
        durations.count(seconds(9000));
        durations.count(seconds(9000));
        assert_eq!(durations.median(), Some(Duration::MAX));
        assert_eq!(durations.counts().iter().sum::<u64>(), 9);
        durations.count(Duration::from_millis(1));
        assert_eq!(durations.counts()[0], 1, "a bound belongs to its bucket");
    }
}

//! Figures, and what several rounds of one make.

#![forbid(unsafe_code)]

use crate::RowPlan;

/// What one round of one side measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// Repetitions a second.
    PerSecond(f64),
    /// How long each round trip took.
    RoundTripsNs(Vec<u64>),
}

/// What of it a row shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    PerSecond,
    /// With items of this many bytes.
    BytesPerSecond(u64),
    /// Half a round trip.
    Median,
    Percentile99,
}

impl Figure {
    fn of(self, measured: &Measured) -> f64 {
        match (self, measured) {
            (Self::PerSecond, Measured::PerSecond(rate)) => *rate,
            (Self::BytesPerSecond(bytes), Measured::PerSecond(rate)) => rate * bytes as f64,
            (Self::Median, Measured::RoundTripsNs(times)) => percentile(times, 50) / 2.0,
            (Self::Percentile99, Measured::RoundTripsNs(times)) => percentile(times, 99) / 2.0,
            (figure, measured) => panic!("{figure:?} cannot be read off {measured:?}"),
        }
    }

    /// Whether more is better.
    fn is_rate(self) -> bool {
        matches!(self, Self::PerSecond | Self::BytesPerSecond(_))
    }

    /// For programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "per second",
            Self::BytesPerSecond(_) => "bytes per second",
            Self::Median => "median in nanoseconds",
            Self::Percentile99 => "99th percentile in nanoseconds",
        }
    }

    pub fn shown(self, value: f64) -> String {
        match self {
            Self::PerSecond if value >= 1e6 => format!("{:.2} M/s", value / 1e6),
            Self::PerSecond => format!("{:.0} k/s", value / 1e3),
            Self::BytesPerSecond(_) => format!("{:.0} MB/s", value / 1e6),
            Self::Median | Self::Percentile99 => format!("{:.1} us", value / 1e3),
        }
    }
}

/// Of times, each in nanoseconds.
pub fn percentile(times: &[u64], percent: usize) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * percent / 100] as f64
}

/// A median over rounds with the least and the greatest.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub greatest: f64,
}

impl Spread {
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        Self { least: values[0], median: values[values.len() / 2], greatest: values[values.len() - 1] }
    }
}

/// One row of a table.
#[derive(Debug)]
pub struct Row {
    pub plan: RowPlan,
    pub own: Spread,
    pub peer: Spread,
    /// How many times better ours is.
    pub ratio: f64,
}

impl Row {
    pub fn new(plan: &RowPlan, own: &[Measured], peer: &[Measured]) -> Self {
        let of = |measured: &[Measured]| Spread::of(measured.iter().map(|one| plan.figure.of(one)).collect());
        let (own, peer) = (of(own), of(peer));
        let ratio = if plan.figure.is_rate() { own.median / peer.median } else { peer.median / own.median };
        Self { plan: *plan, own, peer, ratio }
    }
}

//! The clocks of a deterministic task: they begin at one moment and go on by one step with each look at either of them, so
//! that the same guest sees the same times whenever and wherever it runs. Sleeping takes its time and is not seen.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

/// 2000-01-01, in seconds since 1970.
const BEGIN: Duration = Duration::from_secs(946_684_800);
const STEP: Duration = Duration::from_millis(1);

#[derive(Clone, Default)]
struct Steps(Arc<AtomicU64>);

impl Steps {
    fn passed(&self) -> Duration {
        let looks = self.0.fetch_add(1, Ordering::Relaxed);
        STEP.saturating_mul(u32::try_from(looks).unwrap_or(u32::MAX))
    }
}

impl HostWallClock for Steps {
    fn resolution(&self) -> Duration {
        STEP
    }

    fn now(&self) -> Duration {
        BEGIN + self.passed()
    }
}

impl HostMonotonicClock for Steps {
    fn resolution(&self) -> u64 {
        nanoseconds(STEP)
    }

    fn now(&self) -> u64 {
        nanoseconds(self.passed())
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Gives a guest clocks that nothing but itself moves.
pub(super) fn fix(builder: &mut WasiCtxBuilder) {
    let steps = Steps::default();
    builder.wall_clock(steps.clone()).monotonic_clock(steps);
}

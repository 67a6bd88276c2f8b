//! The last line of a batch.

#![forbid(unsafe_code)]

use std::time::Duration;

use crate::batch::tally::{Interruption, Tally};

/// One line: how many inputs ended how, and after what time.
#[must_use]
pub fn line(tally: &Tally, elapsed: Duration) -> String {
    let total = tally.total();
    let mut parts = vec![format!("{} succeeded", tally.succeeded())];
    if tally.failed() > 0 {
        let codes: Vec<String> =
            tally.failures().map(|(code, count)| format!("{count} with code {code}")).collect();
        parts.push(format!("{} failed ({})", tally.failed(), codes.join(", ")));
    }
    match (tally.kept(), tally.kept_failed()) {
        (0, _) => {}
        (kept, 0) => parts.push(format!("{kept} kept")),
        (kept, failed) => parts.push(format!("{kept} kept ({failed} of them failed)")),
    }
    if tally.left_out() > 0 {
        parts.push(format!("{} not finished", tally.left_out()));
    }
    match tally.leaks() {
        0 => {}
        1 => parts.push("1 lock, permit or lease left behind".to_owned()),
        leaks => parts.push(format!("{leaks} locks, permits or leases left behind")),
    }
    let inputs = if total == 1 { "input" } else { "inputs" };
    let why = match tally.interruption() {
        Some(Interruption::Halted) => "halted: ",
        Some(Interruption::Interrupted) => "interrupted: ",
        Some(Interruption::Terminated) => "terminated: ",
        Some(Interruption::InputLost | Interruption::ResultLost | Interruption::LogLost) => "incomplete: ",
        Some(Interruption::OutputClosed) | None => "",
    };
    format!("{why}{total} {inputs} in {}: {}", seconds(elapsed), parts.join(", "))
}

fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        short if short < 10.0 => format!("{short:.2} s"),
        long if long < 600.0 => format!("{long:.1} s"),
        longer => format!("{:.0} min", longer / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{CancelledBy, Outcome};

    #[test]
    fn the_line_counts_what_happened() {
        let mut tally = Tally::default();
        assert_eq!(line(&tally, Duration::ZERO), "0 inputs in 0.00 s: 0 succeeded");
        tally.count(&Outcome::Exited(0));
        assert_eq!(line(&tally, Duration::from_millis(1234)), "1 input in 1.23 s: 1 succeeded");
        tally.count(&Outcome::Exited(3));
        tally.count(&Outcome::Exited(3));
        tally.count(&Outcome::Killed(9));
        tally.count(&Outcome::Cancelled(CancelledBy::Batch));
        let mut resumed = tally.clone();
        resumed.keep(0);
        assert!(line(&resumed, Duration::ZERO).contains(", 1 kept, 1 not finished"));
        resumed.keep(7);
        assert!(line(&resumed, Duration::ZERO).contains(", 2 kept (1 of them failed), 1 not finished"));
        let mut leaking = tally.clone();
        leaking.leak(1);
        assert!(
            line(&leaking, Duration::ZERO).ends_with(", 1 not finished, 1 lock, permit or lease left behind")
        );
        leaking.leak(2);
        assert!(line(&leaking, Duration::ZERO).ends_with(", 3 locks, permits or leases left behind"));
        tally.interrupt(Interruption::Halted);
        assert_eq!(
            line(&tally, Duration::from_secs(12)),
            "halted: 5 inputs in 12.0 s: 1 succeeded, 3 failed (2 with code 3, 1 with code 137), 1 not finished"
        );
    }
}

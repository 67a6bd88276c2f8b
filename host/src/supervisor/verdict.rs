//! The verdict: claim and evidence together make the outcome, and evidence wins.
//!
//! Pure: no clock, no socket, no process. A claim is what the worker said; the intent is what this side
//! did to it and why; the exit is the kernel's word.

#![forbid(unsafe_code)]

use std::time::Duration;

use crate::os::child::ExitStatus;
use crate::outcome::{CancelledBy, Limit, LimitKind, Outcome, StartFailed, TaskValue, Trap, TrapKind};
use crate::protocol::worker::Claim;

/// Why this side ended a worker or asked it to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    TimedOut(Duration),
    Cancelled(CancelledBy),
    Limit(LimitKind, String),
    Protocol(String),
}

/// What the worker said, with a result's bytes already checked and taken in.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Value(TaskValue),
    Else(Claim),
}

/// How the worker stands after the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// It lives on.
    Alive,
    /// It ended.
    Ended(ExitStatus),
}

/// How the attempt ended. `intent` is only what was decided *before* the claim arrived.
pub(super) fn verdict(said: Option<Said>, intent: Option<Intent>, evidence: Evidence) -> Outcome {
    match (intent, said, evidence) {
        (Some(intent), said, _) => of_intent(intent, said),
        (None, Some(Said::Value(value)), _) => Outcome::Succeeded(value),
        (None, Some(Said::Else(claim)), _) => of_claim(claim),
        (None, None, Evidence::Ended(ExitStatus::Signaled(signal))) => Outcome::Killed(signal),
        (None, None, Evidence::Ended(ExitStatus::Exited(code))) => {
            Outcome::Protocol(format!("it exited with code {code} and without a result"))
        }
        (None, None, Evidence::Ended(ExitStatus::Unknown) | Evidence::Alive) => Outcome::Unknown,
    }
}

/// A task that was told of a deadlock and failed because of it ended by the deadlock. One that handled the
/// error goes on, and a later failure is its own.
pub(super) fn or_deadlock(outcome: Outcome, cycle: Option<String>) -> Outcome {
    let Some(cycle) = cycle else { return outcome };
    let because = match &outcome {
        Outcome::Failed(message) => message.contains(&cycle),
        Outcome::Trapped(trap) => trap.panic.as_ref().is_none_or(|panic| panic.message.contains(&cycle)),
        _ => false,
    };
    if because { Outcome::Deadlock(cycle) } else { outcome }
}

/// A worker that its own limit of CPU time killed (SIGXCPU), because nobody came to look in time, met that limit: if
/// its clock says so too.
pub(super) fn or_cpu_time(outcome: Outcome, used: Duration, limit: Option<Duration>) -> Outcome {
    match (outcome, limit) {
        (Outcome::Killed(libc::SIGXCPU), Some(limit)) if used >= limit => {
            let detail = cpu_time_detail(used, limit);
            Outcome::LimitExceeded(Limit { kind: LimitKind::CpuTime, detail, trap: None })
        }
        (outcome, _) => outcome,
    }
}

/// What is said of a call that used up its CPU time.
pub(super) fn cpu_time_detail(used: Duration, limit: Duration) -> String {
    // The clock counts nanoseconds, which nobody wants to read.
    let used = Duration::from_millis(u64::try_from(used.as_millis()).unwrap_or(u64::MAX));
    format!("{used:?} of CPU time were used, the limit is {limit:?}")
}

/// What this side decided stands, whatever the worker managed to say afterwards; a backtrace from its
/// last words is kept.
fn of_intent(intent: Intent, said: Option<Said>) -> Outcome {
    let limit = |kind, detail| {
        let trap = match said {
            Some(Said::Else(Claim::Interrupted { backtrace })) if !backtrace.is_empty() => {
                Some(Box::new(Trap {
                    kind: TrapKind::Other,
                    message: "interrupted".to_owned(),
                    backtrace,
                    panic: None,
                    before_task: None,
                }))
            }
            _ => None,
        };
        Outcome::LimitExceeded(Limit { kind, detail, trap })
    };
    match intent {
        Intent::TimedOut(after) => limit(LimitKind::Time, format!("still running after {after:?}")),
        Intent::Limit(kind, detail) => limit(kind, detail),
        Intent::Cancelled(by) => Outcome::Cancelled(by),
        Intent::Protocol(reason) => Outcome::Protocol(reason),
    }
}

/// What is said where nobody's intent and no evidence stands against it.
pub(super) fn of_claim(claim: Claim) -> Outcome {
    match claim {
        Claim::Failed { message } => Outcome::Failed(message),
        Claim::Exited { code } => Outcome::Exited(code),
        Claim::Trapped { trap, denied: None } => Outcome::Trapped(trap),
        Claim::Trapped { trap, denied: Some((kind, detail)) } => {
            Outcome::LimitExceeded(Limit { kind, detail, trap: Some(trap) })
        }
        Claim::LimitExceeded { kind, detail } => Outcome::LimitExceeded(Limit { kind, detail, trap: None }),
        Claim::NotStarted { kind, detail } => Outcome::StartFailed(StartFailed { kind, detail }),
        Claim::Interrupted { .. } => {
            Outcome::Protocol("it says that it was interrupted, and was not".to_owned())
        }
        Claim::Returned { .. } => Outcome::Protocol("its result was never taken in".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Encoding;

    fn returned() -> Option<Said> {
        Some(Said::Value(TaskValue::new(Encoding::Json, "1".into())))
    }

    fn code(said: Option<Said>, intent: Option<Intent>, evidence: Evidence) -> u8 {
        verdict(said, intent, evidence).exit_code()
    }

    #[test]
    fn an_exit_without_a_result_is_never_a_success() {
        for status in [0, 7] {
            assert_eq!(code(None, None, Evidence::Ended(ExitStatus::Exited(status))), 240);
        }
        assert_eq!(code(None, None, Evidence::Ended(ExitStatus::Unknown)), 249);
    }

    #[test]
    fn a_whole_result_wins_over_a_later_death() {
        assert_eq!(code(returned(), None, Evidence::Ended(ExitStatus::Signaled(9))), 0);
        assert_eq!(code(None, None, Evidence::Ended(ExitStatus::Signaled(9))), 137);
    }

    #[test]
    fn what_this_side_decided_first_stands() {
        let late = Intent::TimedOut(Duration::from_secs(1));
        assert_eq!(code(returned(), Some(late.clone()), Evidence::Alive), 221);
        assert_eq!(code(None, Some(late), Evidence::Ended(ExitStatus::Signaled(9))), 221);
        let cancelled = Intent::Cancelled(CancelledBy::Caller);
        assert_eq!(code(None, Some(cancelled), Evidence::Ended(ExitStatus::Signaled(9))), 230);
        let garbage = Intent::Protocol("garbage".to_owned());
        assert_eq!(code(returned(), Some(garbage), Evidence::Ended(ExitStatus::Signaled(9))), 240);
    }

    #[test]
    fn a_worker_cannot_claim_an_interrupt_that_nobody_asked_for() {
        let said = Some(Said::Else(Claim::Interrupted { backtrace: Vec::new() }));
        assert_eq!(code(said, None, Evidence::Alive), 240);
    }

    #[test]
    fn a_failure_is_the_deadlock_only_if_it_says_so() {
        let cycle = || Some("`a` waits for itself".to_owned());
        let failed = |text: &str| or_deadlock(Outcome::Failed(text.to_owned()), cycle()).exit_code();
        assert_eq!(failed("deadlock: `a` waits for itself"), 233);
        assert_eq!(failed("no such file"), 1);
        let trap = |panic: Option<&str>| {
            let panic = panic.map(|message| crate::outcome::Panic {
                message: message.to_owned(),
                file: String::new(),
                line: 1,
                column: 1,
            });
            let (message, backtrace) = (String::new(), Vec::new());
            let trap = Trap { kind: TrapKind::Unreachable, message, backtrace, panic, before_task: None };
            or_deadlock(Outcome::Trapped(Box::new(trap)), cycle()).exit_code()
        };
        assert_eq!(trap(None), 233);
        assert_eq!(trap(Some("called `unwrap` on Deadlock(\"`a` waits for itself\")")), 233);
        assert_eq!(trap(Some("index out of bounds")), 200);
        assert_eq!(or_deadlock(Outcome::Exited(0), cycle()).exit_code(), 0);
    }

    #[test]
    fn a_worker_that_its_own_limit_killed_met_the_limit_of_its_task() {
        let (second, ms) = (Duration::from_secs(1), Duration::from_millis);
        for (signal, used, limit, code) in [
            (libc::SIGXCPU, ms(3001), Some(second), 227),
            (libc::SIGXCPU, second, Some(second), 227),
            // Somebody sent it.
            (libc::SIGXCPU, ms(3001), None, 152),
            (libc::SIGXCPU, ms(999), Some(second), 152),
            (libc::SIGKILL, ms(3001), Some(second), 137),
        ] {
            let outcome = or_cpu_time(Outcome::Killed(signal), used, limit);
            assert_eq!(outcome.exit_code(), code, "signal {signal} after {used:?} of {limit:?}");
        }
        let said = or_cpu_time(Outcome::Killed(libc::SIGXCPU), Duration::new(3, 1), Some(second)).to_string();
        assert!(said.contains("3s of CPU time were used, the limit is 1s"), "{said}");
        assert_eq!(or_cpu_time(Outcome::Exited(3), ms(3001), Some(second)), Outcome::Exited(3));
    }

    #[test]
    fn a_trap_after_a_denied_growth_is_the_limit() {
        let trap = Box::new(Trap {
            kind: TrapKind::Unreachable,
            message: String::new(),
            backtrace: Vec::new(),
            panic: None,
            before_task: None,
        });
        let plain = Claim::Trapped { trap: trap.clone(), denied: None };
        let denied = Claim::Trapped { trap, denied: Some((LimitKind::Memory, String::new())) };
        assert_eq!(code(Some(Said::Else(plain)), None, Evidence::Alive), 200);
        assert_eq!(code(Some(Said::Else(denied)), None, Evidence::Alive), 222);
    }
}

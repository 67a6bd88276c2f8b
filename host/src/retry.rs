//! Which attempts are followed by another one, and when. Pure: no clock, no dice.

#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::limits::{QUARANTINE_DEATHS, RETRY_BASE_TIME, RETRY_MAX_TIME};
use crate::outcome::{LimitKind, Outcome};

macro_rules! classes {
    ($($(#[doc = $doc:literal])* $name:ident = $label:literal;)*) => {
        /// What kinds of endings there are, for those who want to try again after some of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum OutcomeClass { $($(#[doc = $doc])* $name,)* }

        impl OutcomeClass {
            /// Every class.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name on the command line.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

classes! {
    /// The task returned an error.
    Failed = "failed";
    /// The guest called `exit` with another code than 0.
    Exit = "exit";
    /// A trap; a panic is one.
    Trap = "trap";
    /// A limit other than the wall-clock time: memory, CPU time, fuel, output and so on.
    Limit = "limit";
    /// The wall-clock time-out.
    Timeout = "timeout";
    /// The worker died, broke the protocol, or ended nobody knows how.
    Crash = "crash";
    /// A deadlock.
    Deadlock = "deadlock";
    /// The worker or the instance could not be made.
    Start = "start";
}

impl OutcomeClass {
    /// The class of an ending; `None` for success, and for what another attempt cannot change: a task that was cancelled
    /// or not run.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            outcome if outcome.is_success() => None,
            Outcome::Succeeded(_) | Outcome::Cancelled(_) | Outcome::NotRun(_) => None,
            Outcome::Failed(_) => Some(Self::Failed),
            Outcome::Exited(_) => Some(Self::Exit),
            Outcome::Trapped(_) => Some(Self::Trap),
            Outcome::LimitExceeded(limit) if limit.kind == LimitKind::Time => Some(Self::Timeout),
            Outcome::LimitExceeded(_) => Some(Self::Limit),
            Outcome::Killed(_) | Outcome::Protocol(_) | Outcome::Unknown => Some(Self::Crash),
            Outcome::Deadlock(_) => Some(Self::Deadlock),
            Outcome::StartFailed(_) => Some(Self::Start),
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A set of classes. As text: `crash,timeout`, or `any`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutcomeClasses(u16);

impl OutcomeClasses {
    /// Every class.
    pub const ANY: Self = Self(u16::MAX);

    /// Whether an ending is of one of these classes.
    #[must_use]
    pub fn contain(self, outcome: &Outcome) -> bool {
        OutcomeClass::of(outcome).is_some_and(|class| self.0 & class.bit() != 0)
    }
}

/// Every class.
impl Default for OutcomeClasses {
    fn default() -> Self {
        Self::ANY
    }
}

impl FromIterator<OutcomeClass> for OutcomeClasses {
    fn from_iter<I: IntoIterator<Item = OutcomeClass>>(classes: I) -> Self {
        Self(classes.into_iter().fold(0, |bits, class| bits | class.bit()))
    }
}

impl fmt::Display for OutcomeClasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ANY {
            return f.write_str("any");
        }
        let of_these = OutcomeClass::ALL.iter().filter(|class| self.0 & class.bit() != 0);
        f.write_str(&of_these.map(|class| class.label()).collect::<Vec<_>>().join(","))
    }
}

impl fmt::Debug for OutcomeClasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutcomeClasses({self})")
    }
}

/// A class that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no class of outcomes: write some of failed, exit, trap, limit, timeout, crash, deadlock, start, or any"
)]
pub struct UnknownClass(String);

impl FromStr for OutcomeClasses {
    type Err = UnknownClass;

    fn from_str(text: &str) -> Result<Self, UnknownClass> {
        let mut classes = Self(0);
        for word in text.split(',').map(str::trim) {
            let found = OutcomeClass::ALL.iter().find(|class| class.label() == word);
            classes.0 |= match (word, found) {
                ("any", _) => Self::ANY.0,
                (_, Some(class)) => class.bit(),
                (_, None) => return Err(UnknownClass(word.to_owned())),
            };
        }
        Ok(classes)
    }
}

/// How long to wait before another attempt: `base`, then each time `factor` times as long, at most `max`; of that a
/// random share up to `jitter` is left out, so that tasks which failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// Before the second attempt. Default: 100 ms.
    pub base: Duration,
    /// What each further wait is multiplied by. Default: 2.
    pub factor: f64,
    /// The longest wait. Default: 10 s.
    pub max: Duration,
    /// The largest share that is left out, from 0 to 1. Default: 0.5.
    pub jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: RETRY_BASE_TIME, factor: 2.0, max: RETRY_MAX_TIME, jitter: 0.5 }
    }
}

impl Backoff {
    /// No wait at all.
    pub const NONE: Self = Self { base: Duration::ZERO, factor: 1.0, max: Duration::ZERO, jitter: 0.0 };

    /// The wait after this attempt, the first being 1. The same seed gives the same wait.
    #[must_use]
    pub fn delay(&self, attempt: u32, seed: u64) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let longest = self.max.as_secs_f64();
        let whole = self.base.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let share = 1.0 - self.jitter.clamp(0.0, 1.0) * unit(seed ^ u64::from(attempt).rotate_left(32));
        // Infinity is more than the longest.
        Duration::try_from_secs_f64(whole.min(longest) * share).unwrap_or(self.max)
    }
}

/// A number from 0 to below 1 (splitmix64).
fn unit(seed: u64) -> f64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    // The 53 bits that such a number has room for.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// Whether and when a failed task is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How many attempts may follow the first one. Default: 0.
    pub retries: u32,
    /// After which endings. Default: any but success, cancelled and not run.
    pub on: OutcomeClasses,
    /// How long to wait.
    pub backoff: Backoff,
    /// With the death of its worker for the Nth time the task is given up, whatever is left of its retries. Default: 2.
    pub deaths_max: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries: 0,
            on: OutcomeClasses::ANY,
            backoff: Backoff::default(),
            deaths_max: QUARANTINE_DEATHS,
        }
    }
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: its record is the task's.
    Nothing,
    /// Another attempt after this time.
    Retry(Duration),
    /// There would be another attempt, but the task has killed too many workers.
    Quarantine,
}

impl RetryPolicy {
    /// What follows this attempt, the first being 1, of a task during which `deaths` workers have died, this one's
    /// included.
    #[must_use]
    pub fn next(&self, outcome: &Outcome, attempt: u32, deaths: u32, seed: u64) -> Next {
        if attempt > self.retries || !self.on.contain(outcome) {
            Next::Nothing
        } else if is_death(outcome) && deaths >= self.deaths_max {
            Next::Quarantine
        } else {
            Next::Retry(self.backoff.delay(attempt, seed))
        }
    }
}

/// Whether the attempt took its worker with it, in a way that no guest should be able to bring about.
#[must_use]
pub fn is_death(outcome: &Outcome) -> bool {
    OutcomeClass::of(outcome) == Some(OutcomeClass::Crash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{CancelledBy, Limit, NotRun, StartFailed, StartFailure};

    fn limit(kind: LimitKind) -> Outcome {
        Outcome::LimitExceeded(Limit { kind, detail: String::new(), trap: None })
    }

    #[test]
    fn every_ending_has_its_class_or_none() {
        let start = StartFailed { kind: StartFailure::Sandbox, detail: String::new() };
        for (outcome, class) in [
            (Outcome::Exited(0), None),
            (Outcome::Cancelled(CancelledBy::Batch), None),
            (Outcome::NotRun(NotRun::Argument(String::new())), None),
            (Outcome::Failed(String::new()), Some("failed")),
            (Outcome::Exited(3), Some("exit")),
            (limit(LimitKind::Time), Some("timeout")),
            (limit(LimitKind::CpuTime), Some("limit")),
            (Outcome::Killed(9), Some("crash")),
            (Outcome::Protocol(String::new()), Some("crash")),
            (Outcome::Unknown, Some("crash")),
            (Outcome::Deadlock(String::new()), Some("deadlock")),
            (Outcome::StartFailed(start), Some("start")),
        ] {
            assert_eq!(OutcomeClass::of(&outcome).map(OutcomeClass::label), class, "{outcome}");
            assert_eq!(OutcomeClasses::ANY.contain(&outcome), class.is_some(), "{outcome}");
        }
    }

    #[test]
    fn classes_are_read_as_they_are_written() {
        for text in ["crash", "trap,timeout", "any"] {
            assert_eq!(text.parse::<OutcomeClasses>().unwrap().to_string(), text);
        }
        let two: OutcomeClasses = "crash, timeout".parse().unwrap();
        assert!(two.contain(&Outcome::Killed(9)) && !two.contain(&Outcome::Exited(1)));
        let error = "crash,sometimes".parse::<OutcomeClasses>().unwrap_err().to_string();
        assert!(error.starts_with("`sometimes` is no class"), "{error}");
        // The message lists what there is.
        for class in OutcomeClass::ALL {
            assert!(error.contains(class.label()), "{}", class.label());
        }
    }

    #[test]
    fn waits_grow_to_the_longest_and_no_further() {
        let backoff = Backoff { jitter: 0.0, ..Backoff::default() };
        let waits: Vec<u128> =
            [1, 2, 3, 7, 8, 1000, u32::MAX].map(|attempt| backoff.delay(attempt, 1).as_millis()).to_vec();
        assert_eq!(waits, [100, 200, 400, 6400, 10_000, 10_000, 10_000]);
        assert_eq!(Backoff::NONE.delay(5, 1), Duration::ZERO);
        let never_shorter = Backoff { factor: 0.0, ..backoff };
        assert_eq!(never_shorter.delay(9, 1), Duration::from_millis(100));
    }

    #[test]
    fn jitter_leaves_out_up_to_its_share_and_is_the_same_for_the_same_seed() {
        let backoff = Backoff::default();
        let waits: Vec<Duration> = (0..1000).map(|seed| backoff.delay(2, seed)).collect();
        let (low, high) = (Duration::from_millis(100), Duration::from_millis(200));
        assert!(waits.iter().all(|wait| (low..=high).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < Duration::from_millis(110)));
        assert!(waits.iter().any(|wait| *wait > Duration::from_millis(190)));
        assert_eq!(backoff.delay(2, 7), backoff.delay(2, 7));
    }

    #[test]
    fn a_task_that_keeps_killing_its_workers_is_given_up_before_its_retries_are() {
        let policy = RetryPolicy { retries: 10, backoff: Backoff::NONE, ..RetryPolicy::default() };
        let (killed, failed) = (Outcome::Killed(11), Outcome::Failed(String::new()));
        assert_eq!(policy.next(&killed, 1, 1, 0), Next::Retry(Duration::ZERO));
        assert_eq!(policy.next(&killed, 2, 2, 0), Next::Quarantine);
        // Another failure between two deaths is not a death.
        assert_eq!(policy.next(&failed, 2, 2, 0), Next::Retry(Duration::ZERO));
        assert_eq!(policy.next(&failed, 10, 0, 0), Next::Retry(Duration::ZERO));
        assert_eq!(policy.next(&failed, 11, 0, 0), Next::Nothing);
        let once = RetryPolicy { retries: 1, ..policy };
        assert_eq!(once.next(&killed, 2, 2, 0), Next::Nothing, "its last attempt has its own outcome");
        let on_crash = RetryPolicy { on: "crash".parse().unwrap(), ..policy };
        assert_eq!(on_crash.next(&failed, 1, 0, 0), Next::Nothing);
    }
}

//! When a batch gives up: `--halt soon,fail=3`.

#![forbid(unsafe_code)]

use std::num::NonZeroU64;
use std::str::FromStr;

/// How a batch halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaltMode {
    /// Nothing starts any more, running tasks go on to their end.
    Soon,
    /// Running tasks are stopped too.
    Now,
}

/// After how many failures a batch halts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failures {
    /// With this one.
    Count(NonZeroU64),
    /// With so many of a hundred: of all tasks where their number is known, else of those that have ended, from
    /// the hundredth on.
    Percent(u8),
}

/// After how many failures a batch halts, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halt {
    /// How.
    pub mode: HaltMode,
    /// With which failed task.
    pub failures: Failures,
}

/// The text is no halt rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write `soon,fail=N` (running tasks finish) or `now,fail=N` (they are stopped), N from 1, or `fail=N%`, N from 1 \
     to 100"
)]
pub struct HaltError;

impl Halt {
    /// How many tasks must have ended before a share of them means something.
    const SHARE_OF_MIN: u64 = 100;

    /// Whether a batch gives up that has so many failures among what has ended, of so many tasks in all, if that is known.
    #[must_use]
    pub fn is_due(&self, failed: u64, ended: u64, total: Option<u64>) -> bool {
        match self.failures {
            Failures::Count(count) => failed >= count.get(),
            Failures::Percent(percent) => {
                let whole = total.unwrap_or_else(|| ended.max(Self::SHARE_OF_MIN)).max(1);
                failed > 0 && u128::from(failed) * 100 >= u128::from(whole) * u128::from(percent)
            }
        }
    }
}

impl FromStr for Halt {
    type Err = HaltError;

    fn from_str(text: &str) -> Result<Self, HaltError> {
        let (mode, rule) = text.split_once(',').ok_or(HaltError)?;
        let mode = match mode {
            "soon" => HaltMode::Soon,
            "now" => HaltMode::Now,
            _ => return Err(HaltError),
        };
        let number = rule.strip_prefix("fail=").ok_or(HaltError)?;
        let failures = match number.strip_suffix('%') {
            Some(percent) => {
                let percent = percent.parse().ok().filter(|percent| (1..=100).contains(percent));
                Failures::Percent(percent.ok_or(HaltError)?)
            }
            None => Failures::Count(number.parse().map_err(|_| HaltError)?),
        };
        Ok(Self { mode, failures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let rule = |text: &str| text.parse::<Halt>().map(|halt| (halt.mode, halt.failures));
        let count = |n| Failures::Count(NonZeroU64::new(n).unwrap());
        assert_eq!(rule("soon,fail=1"), Ok((HaltMode::Soon, count(1))));
        assert_eq!(rule("now,fail=20"), Ok((HaltMode::Now, count(20))));
        assert_eq!(rule("now,fail=10%"), Ok((HaltMode::Now, Failures::Percent(10))));
        for wrong in [
            "",
            "now",
            "later,fail=1",
            "now,fail=0",
            "now,fail=",
            "now,done=1",
            "now,fail=0%",
            "soon,fail=101%",
        ] {
            assert_eq!(rule(wrong), Err(HaltError), "{wrong}");
        }
    }

    #[test]
    fn a_share_is_one_of_all_tasks_or_of_enough_that_have_ended() {
        let tenth: Halt = "soon,fail=10%".parse().unwrap();
        assert!(!tenth.is_due(9, 50, Some(100)));
        assert!(tenth.is_due(10, 50, Some(100)));
        assert!(!tenth.is_due(5, 10, None), "half of the first ten says little");
        assert!(tenth.is_due(10, 50, None));
        assert!(!tenth.is_due(99, 1000, None));
        assert!(tenth.is_due(100, 1000, None));
        assert!(!tenth.is_due(0, 0, Some(0)));
        let third: Halt = "now,fail=3".parse().unwrap();
        assert!(!third.is_due(2, 2, None) && third.is_due(3, 3, None));
    }
}

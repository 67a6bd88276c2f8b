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

/// After how many failures a batch halts, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halt {
    /// How.
    pub mode: HaltMode,
    /// With which failed task.
    pub failures: NonZeroU64,
}

/// The text is no halt rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write `soon,fail=N` (running tasks finish) or `now,fail=N` (they are stopped), N from 1")]
pub struct HaltError;

impl FromStr for Halt {
    type Err = HaltError;

    fn from_str(text: &str) -> Result<Self, HaltError> {
        let (mode, rule) = text.split_once(',').ok_or(HaltError)?;
        let mode = match mode {
            "soon" => HaltMode::Soon,
            "now" => HaltMode::Now,
            _ => return Err(HaltError),
        };
        let failures = rule.strip_prefix("fail=").ok_or(HaltError)?.parse().map_err(|_| HaltError)?;
        Ok(Self { mode, failures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let rule = |text: &str| text.parse::<Halt>().map(|halt| (halt.mode, halt.failures.get()));
        assert_eq!(rule("soon,fail=1"), Ok((HaltMode::Soon, 1)));
        assert_eq!(rule("now,fail=20"), Ok((HaltMode::Now, 20)));
        for wrong in ["", "now", "later,fail=1", "now,fail=0", "now,fail=", "now,done=1", "now,fail=10%"] {
            assert_eq!(rule(wrong), Err(HaltError), "{wrong}");
        }
    }
}

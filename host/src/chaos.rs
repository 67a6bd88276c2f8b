//! Which attempts are killed so that people can test what they do about it. Pure: the same seed kills the same attempts.

#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::limits::CHAOS_DELAY_MAX;

/// A test aid: workers die by SIGKILL at random, as a machine out of memory kills them, so that retries, resumed batches and
/// whatever else is built on a pool can be seen to hold.
///
/// An attempt that is to die never succeeds: if it is faster than its killer, it dies as it gives its result.
///
/// ```
/// use wasmpool::Chaos;
///
/// let chaos: Chaos = "kill=5%,seed=7".parse()?;
/// let again: Chaos = chaos.to_string().parse()?;
/// let killed = |chaos: Chaos| (0..1000).filter(|task| chaos.of(*task, 1).is_some()).count();
/// assert_eq!(killed(chaos), killed(again));
/// assert!((20..80).contains(&killed(chaos)));
/// # Ok::<(), wasmpool::NoChaos>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chaos {
    /// The share of attempts that are killed, from 0 to 1.
    pub kill: f64,
    /// What the choice is made from.
    pub seed: u64,
}

/// How an attempt is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Before that, one worker dies that has not acknowledged it yet: it never ran there, and goes back to its place with
    /// nobody to blame.
    pub is_shaken: bool,
    /// When it dies itself.
    pub moment: Moment,
}

/// When an attempt is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// This long after its start, or as it gives its result, whichever is first.
    After(Duration),
    /// As it gives its result.
    AtResult,
}

impl Chaos {
    /// Whether and how an attempt is killed, the first being 1. A task is known by its tag, else by its number.
    #[must_use]
    pub fn of(&self, task: u64, attempt: u32) -> Option<Kill> {
        let mut dice = Dice(self.seed ^ task.rotate_left(20) ^ u64::from(attempt).rotate_left(52));
        let (is_killed, moment) = (dice.throw() < self.kill, dice.throw());
        let share = dice.throw();
        let is_shaken = dice.throw() < 0.1;
        let moment = match moment {
            moment if moment < 0.3 => Moment::After(Duration::ZERO),
            moment if moment < 0.8 => Moment::After(CHAOS_DELAY_MAX.mul_f64(share.powi(4))),
            _ => Moment::AtResult,
        };
        is_killed.then_some(Kill { is_shaken, moment })
    }
}

/// Random numbers (splitmix64).
struct Dice(u64);

impl Dice {
    /// A number from 0 to below 1.
    fn throw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        // The 53 bits that such a number has room for.
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A text that is no [`Chaos`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write the share of attempts to kill, and a seed if you like: kill=5% or kill=5%,seed=7")]
pub struct NoChaos;

impl FromStr for Chaos {
    type Err = NoChaos;

    fn from_str(text: &str) -> Result<Self, NoChaos> {
        let (mut kill, mut seed) = (None, None);
        for part in text.split(',') {
            match part.split_once('=') {
                Some(("kill", share)) if kill.is_none() => {
                    let percent: f64 =
                        share.strip_suffix('%').and_then(|text| text.parse().ok()).ok_or(NoChaos)?;
                    kill = Some(percent).filter(|percent| (0.0..=100.0).contains(percent));
                }
                Some(("seed", number)) if seed.is_none() => seed = Some(number.parse().map_err(|_| NoChaos)?),
                _ => return Err(NoChaos),
            }
        }
        Ok(Self { kill: kill.ok_or(NoChaos)? / 100.0, seed: seed.unwrap_or(0) })
    }
}

impl fmt::Display for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kill={}%,seed={}", self.kill * 100.0, self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_attempts_are_killed_as_were_asked_for_at_every_moment() {
        let chaos = Chaos { kill: 0.2, seed: 7 };
        let kills: Vec<Kill> = (0..10_000).filter_map(|task| chaos.of(task, 1)).collect();
        assert!(kills.iter().filter(|kill| kill.is_shaken).count() > 100);
        let moments: Vec<Moment> = kills.iter().map(|kill| kill.moment).collect();
        assert!((1800..2200).contains(&moments.len()), "{}", moments.len());
        let count = |is: fn(&Moment) -> bool| moments.iter().filter(|moment| is(moment)).count();
        assert!(count(|moment| *moment == Moment::AtResult) > 100);
        assert!(count(|moment| *moment == Moment::After(Duration::ZERO)) > 100);
        assert!(
            count(|moment| matches!(moment, Moment::After(delay) if *delay > Duration::from_millis(100)))
                > 50
        );
        // Another attempt and another seed are other throws.
        let killed = |chaos: Chaos, attempt| {
            (0..100).map(|task| chaos.of(task, attempt).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(killed(chaos, 1), killed(chaos, 1));
        assert_ne!(killed(chaos, 1), killed(chaos, 2));
        assert_ne!(killed(chaos, 1), killed(Chaos { seed: 8, ..chaos }, 1));
        assert!(killed(Chaos { kill: 0.0, seed: 1 }, 1).iter().all(|is_killed| !is_killed));
        assert!(killed(Chaos { kill: 1.0, seed: 1 }, 1).iter().all(|is_killed| *is_killed));
    }

    #[test]
    fn chaos_is_read_as_it_is_written() {
        assert_eq!("kill=5%,seed=7".parse(), Ok(Chaos { kill: 0.05, seed: 7 }));
        assert_eq!("kill=0.5%".parse(), Ok(Chaos { kill: 0.005, seed: 0 }));
        for wrong in [
            "",
            "kill",
            "kill=5",
            "kill=-1%",
            "kill=101%",
            "kill=nan%",
            "seed=7",
            "kill=5%,kill=5%",
            "kill=5%,x=1",
            "kill=5%,seed=-1",
        ] {
            assert_eq!(wrong.parse::<Chaos>(), Err(NoChaos), "{wrong}");
        }
    }
}

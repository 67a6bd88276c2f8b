//! What the reports of a batch have in common: the run they are about, and each attempt with its place in it.
//!
//! [`Track`] is told of each start and each end in order, and gives every attempt a *slot*: the lowest one that is free when
//! it starts. There are as many slots as tasks ran at one time, so a report can show who ran beside whom without knowing
//! processes, of which there is one for each task.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::batch::BadInput;
use crate::batch::drive::{Ended, Ending};
use crate::batch::tally::{Interruption, Tally};
use crate::outcome::{CancelledBy, NotRun, Outcome, Record};
use crate::{AttemptEvent, exit_code};

/// What is known of a run before its first task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What is run, in a few words: a manifest, or a module and its task.
    pub title: String,
    /// The command line, the program first.
    pub command: Vec<String>,
    /// Of this program.
    pub version: &'static str,
    /// Tasks that run at one time, as it was asked for.
    pub workers: usize,
    /// When it began.
    pub began: SystemTime,
    /// What tasks belong to: the entries of a manifest, or the one task of `map`.
    pub groups: Vec<Group>,
    /// Whether records carry captured output.
    pub with_output: bool,
}

/// Tasks that have a module and a name in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The name.
    pub name: String,
    /// The module as it was named.
    pub module: String,
}

/// What is known of a run at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How long it took.
    pub elapsed: Duration,
    /// How its inputs ended.
    pub tally: Tally,
}

impl End {
    /// Why it ended early, in one word; `None` when it did not.
    #[must_use]
    pub fn interruption(&self) -> Option<&'static str> {
        Some(match self.tally.interruption()? {
            Interruption::Halted => "halted",
            Interruption::Interrupted => "interrupted",
            Interruption::Terminated => "terminated",
            Interruption::InputLost => "input_lost",
            Interruption::ResultLost => "result_lost",
            Interruption::OutputClosed => "output_closed",
            Interruption::LogLost => "log_lost",
        })
    }
}

/// Kinds of endings that a reader tells apart at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// It returned, or exited with 0.
    Passed,
    /// It returned an error, exited with another code, trapped or was in a deadlock.
    Failed,
    /// It met a limit.
    Limit,
    /// Its worker died or broke the protocol.
    Crashed,
    /// It could not be set up.
    Error,
    /// It was not run to its end: cancelled, or what it depends on failed.
    Skipped,
}

impl Class {
    /// All, in this order.
    pub const ALL: [Self; 6] =
        [Self::Passed, Self::Failed, Self::Limit, Self::Crashed, Self::Error, Self::Skipped];

    /// Its name in reports.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Limit => "limit",
            Self::Crashed => "crashed",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }

    /// The class of an outcome.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            outcome if outcome.is_success() => Self::Passed,
            Outcome::Succeeded(_)
            | Outcome::Failed(_)
            | Outcome::Exited(_)
            | Outcome::Trapped(_)
            | Outcome::Deadlock(_) => Self::Failed,
            Outcome::LimitExceeded(_) => Self::Limit,
            Outcome::Killed(_) | Outcome::Protocol(_) | Outcome::Unknown => Self::Crashed,
            Outcome::StartFailed(_) | Outcome::NotRun(NotRun::Argument(_)) => Self::Error,
            Outcome::NotRun(NotRun::Quarantined(_)) => Self::Crashed,
            Outcome::NotRun(NotRun::DependencyFailed(_)) => Self::Skipped,
            Outcome::Cancelled(CancelledBy::Batch | CancelledBy::Shutdown | CancelledBy::Caller) => {
                Self::Skipped
            }
        }
    }

    /// True for everything that is neither a success nor left out.
    #[must_use]
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Passed | Self::Skipped)
    }
}

/// Where and when an attempt ran, since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The slot, from 0.
    pub slot: usize,
    /// When it started.
    pub start: Duration,
    /// When it ended.
    pub end: Duration,
}

/// What became of an input: an attempt's record, or why it was none.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// This attempt.
    Ran(&'a Record),
    /// It was no task.
    Bad(&'a BadInput),
}

/// An attempt at its end, or an input that never had one.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The number of its input, from 1; `None` for a task that a task submitted.
    pub seq: Option<u64>,
    /// The task's name.
    pub name: &'a str,
    /// The group, by its place in [`Head::groups`]; one behind the last for a task that belongs to none.
    pub group: usize,
    /// How it ended.
    pub what: What<'a>,
    /// Where and when it ran, if it did.
    pub span: Option<Span>,
    /// The wait for the next attempt; `None` when this was the last.
    pub retry: Option<Duration>,
}

impl Seen<'_> {
    /// The record, unless the input was bad.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        match self.what {
            What::Ran(record) => Some(record),
            What::Bad(_) => None,
        }
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> Class {
        self.record().map_or(Class::Error, |record| Class::of(&record.outcome))
    }

    /// Its outcome's name.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        self.record().map_or("not_run", |record| record.outcome.label())
    }

    /// Its exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.record().map_or(exit_code::USAGE, |record| record.outcome.exit_code())
    }

    /// Its number, 0 when there was none.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.record().map_or(0, |record| record.attempt)
    }

    /// Why it is no success, in one printable line; empty for a success.
    #[must_use]
    pub fn reason(&self) -> String {
        match self.what {
            What::Ran(record) if record.outcome.is_success() => String::new(),
            What::Ran(record) => super::reason(&record.outcome),
            What::Bad(bad) => super::terminal::one_line(&bad.to_string()),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    is_busy: bool,
    free_from: Duration,
}

/// Who runs where. Its memory grows with what runs at one time.
#[derive(Debug)]
pub struct Track {
    began: SystemTime,
    groups: GroupNames,
    slots: Vec<Slot>,
    /// The slot and the start of each attempt that runs, by its task's number.
    running: HashMap<u64, (usize, Duration)>,
}

impl Track {
    /// For a run that begins.
    #[must_use]
    pub fn new(head: &Head) -> Self {
        let groups = GroupNames::new(&head.groups);
        Self { began: head.began, groups, slots: Vec::new(), running: HashMap::new() }
    }

    /// Slots that were in use.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// What an event says about an attempt that ended; `None` for the others.
    pub fn event<'a>(&mut self, event: &'a AttemptEvent) -> Option<Seen<'a>> {
        match event {
            AttemptEvent::Started { task, at, .. } => {
                let start = self.since(*at);
                let free = self.slots.iter().position(|slot| !slot.is_busy);
                let slot = free.unwrap_or(self.slots.len());
                if slot == self.slots.len() {
                    self.slots.push(Slot::default());
                }
                self.slots[slot].is_busy = true;
                // Times are measured by several clocks; in one slot nothing overlaps.
                let start = start.max(self.slots[slot].free_from);
                self.running.insert(*task, (slot, start));
                None
            }
            AttemptEvent::Progress { .. } => None,
            AttemptEvent::Ended { record, retry } => {
                let span = self.running.remove(&record.task).map(|(slot, start)| {
                    let measured = record.started_at.map_or(start, |at| self.since(at)) + record.wall_time;
                    let end = measured.max(start);
                    self.slots[slot] = Slot { is_busy: false, free_from: end };
                    Span { slot, start, end }
                });
                let group = self.groups.of(&record.name);
                let (name, what) = (&*record.name, What::Ran(record));
                Some(Seen { seq: record.tag, name, group, what, span, retry: *retry })
            }
        }
    }

    /// An input that never had an attempt.
    #[must_use]
    pub fn unrun<'a>(&self, ended: &'a Ended) -> Seen<'a> {
        let what = match &ended.ending {
            Ending::Ran(record) => What::Ran(record),
            Ending::Bad(bad) => What::Bad(bad),
        };
        let group = self.groups.of(&ended.name);
        Seen { seq: Some(ended.seq), name: &ended.name, group, what, span: None, retry: None }
    }

    fn since(&self, time: SystemTime) -> Duration {
        time.duration_since(self.began).unwrap_or_default()
    }
}

/// Which group a task belongs to. Tasks are named after it: `name`, `name#7`, `name(x,y)`.
#[derive(Clone, Debug)]
pub struct GroupNames(HashMap<String, usize>);

impl GroupNames {
    /// The names of these groups.
    #[must_use]
    pub fn new(groups: &[Group]) -> Self {
        Self(groups.iter().enumerate().map(|(index, group)| (group.name.clone(), index)).collect())
    }

    /// The place of a task's group; one behind the last for a task that belongs to none.
    #[must_use]
    pub fn of(&self, name: &str) -> usize {
        let ends = name.match_indices(['(', '#']).map(|(at, _)| at);
        let known = |end: usize| self.0.get(&name[..end]).copied();
        std::iter::once(name.len()).chain(ends).find_map(known).unwrap_or(self.0.len())
    }
}

#[cfg(test)]
pub(super) mod tests;

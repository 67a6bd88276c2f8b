//! The state behind [`Live`](super::Live): no clock of its own, so that tables can test it.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::pace::{Durations, Pace};
use crate::AttemptEvent;
use crate::outcome::{CancelledBy, Outcome, Record};

/// A task counts as slow from this age on,
const SLOW: Duration = Duration::from_secs(5);
/// and from this many times the time that half of the others took.
const SLOW_MEDIANS: u32 = 5;

/// What the events so far come to.
#[derive(Clone, Debug, Default)]
pub struct State {
    total: Option<u64>,
    counts: Counts,
    running: BTreeMap<u64, Running>,
    pace: Pace,
}

/// Everything that is only counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Inputs that ended, with those that never had an attempt.
    pub ended: u64,
    /// Those of them that succeeded.
    pub succeeded: u64,
    /// Those that were stopped, or left, because the batch ends.
    pub left_out: u64,
    /// Inputs that an earlier run has finished; not among those that ended.
    pub kept: u64,
    /// Inputs that ended, by the label of their outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Attempts that a worker has begun, with those of tasks that tasks submitted.
    pub attempts: u64,
    /// Attempts that another one follows.
    pub retries: u64,
    /// Things that tasks left held when they ended.
    pub leaks: u64,
    /// How long attempts took.
    pub durations: Durations,
}

impl Counts {
    /// Inputs that ended in another way than well, but for those that were left out.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.ended.saturating_sub(self.succeeded).saturating_sub(self.left_out)
    }
}

#[derive(Clone, Debug)]
struct Running {
    name: Arc<str>,
    seq: Option<u64>,
    attempt: u32,
    pid: Option<u32>,
    worker: u64,
    since: Duration,
    progress: Option<(u64, Option<u64>)>,
}

/// A task that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningTask {
    /// Its name.
    pub name: Arc<str>,
    /// Its number among the inputs; `None` for one that a task submitted.
    pub seq: Option<u64>,
    /// 1 for the first try.
    pub attempt: u32,
    /// The worker's process id.
    pub pid: Option<u32>,
    /// The worker's number.
    pub worker: u64,
    /// How long it runs.
    pub age: Duration,
    /// How far the guest says that it is: steps done, steps in all.
    pub progress: Option<(u64, Option<u64>)>,
}

/// How a batch stands at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Since it began.
    pub elapsed: Duration,
    /// How many inputs there are, where that is known.
    pub total: Option<u64>,
    /// What was counted.
    pub counts: Counts,
    /// Inputs that end in a second, over the last ten.
    pub rate: f64,
    /// How long it may take yet, where anything tells.
    pub left: Option<Duration>,
    /// What runs, the oldest first.
    pub running: Vec<RunningTask>,
}

impl Status {
    /// Inputs that are done, here or in an earlier run.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.counts.ended + self.counts.kept
    }

    /// The tasks that take long, compared with the others.
    pub fn slow(&self) -> impl Iterator<Item = &RunningTask> {
        let median = self.counts.durations.median().unwrap_or_default();
        let slow = SLOW.max(median.saturating_mul(SLOW_MEDIANS));
        self.running.iter().take_while(move |task| task.age >= slow)
    }
}

impl State {
    /// A batch that begins, with this many inputs if that is known.
    #[must_use]
    pub fn new(total: Option<u64>) -> Self {
        Self { total, ..Self::default() }
    }

    /// Something happened to an attempt, `now` after the batch's beginning.
    pub fn attempt(&mut self, event: &AttemptEvent, now: Duration) {
        match event {
            AttemptEvent::Started { task, tag, name, attempt, pid, worker, .. } => {
                self.counts.attempts += 1;
                let (name, seq, attempt) = (Arc::clone(name), *tag, *attempt);
                let (pid, worker) = (*pid, *worker);
                let running = Running { name, seq, attempt, pid, worker, since: now, progress: None };
                self.running.insert(*task, running);
            }
            AttemptEvent::Progress { task, done, total, .. } => {
                if let Some(running) = self.running.get_mut(task) {
                    running.progress = Some((*done, *total));
                }
            }
            AttemptEvent::Ended { record, retry } => self.attempt_ended(record, retry.is_some(), now),
        }
    }

    fn attempt_ended(&mut self, record: &Record, is_retried: bool, now: Duration) {
        if self.running.remove(&record.task).is_some() {
            self.counts.durations.count(record.wall_time);
        }
        self.counts.leaks += record.leaks.len() as u64;
        if is_retried {
            self.counts.retries += 1;
        } else if record.tag.is_some() {
            self.end(&record.outcome, now);
        }
    }

    /// An input ended.
    pub fn end(&mut self, outcome: &Outcome, now: Duration) {
        self.count(outcome.label(), now);
        self.counts.succeeded += u64::from(outcome.is_success());
        self.counts.left_out += u64::from(matches!(outcome, Outcome::Cancelled(by) if is_left_out(*by)));
    }

    /// An input ended that is none.
    pub fn refuse(&mut self, now: Duration) {
        self.count("not_run", now);
    }

    /// An input that an earlier run has finished.
    pub fn keep(&mut self) {
        self.counts.kept += 1;
    }

    fn count(&mut self, outcome: &'static str, now: Duration) {
        self.counts.ended += 1;
        *self.counts.outcomes.entry(outcome).or_default() += 1;
        self.pace.count(now);
    }

    /// How it stands, `now` after the batch's beginning.
    #[must_use]
    pub fn status(&self, now: Duration) -> Status {
        let mut running: Vec<RunningTask> = self.running.values().map(|task| task.at(now)).collect();
        running.sort_by_key(|task| std::cmp::Reverse(task.age));
        let done = self.counts.ended + self.counts.kept;
        let left = self.total.map(|total| total.saturating_sub(done));
        Status {
            elapsed: now,
            total: self.total,
            counts: self.counts.clone(),
            rate: self.pace.rate(now),
            left: left.and_then(|left| self.pace.forecast(left, now)),
            running,
        }
    }
}

impl Running {
    fn at(&self, now: Duration) -> RunningTask {
        RunningTask {
            name: Arc::clone(&self.name),
            seq: self.seq,
            attempt: self.attempt,
            pid: self.pid,
            worker: self.worker,
            age: now.saturating_sub(self.since),
            progress: self.progress,
        }
    }
}

/// In a batch the caller is whoever pressed Ctrl-C.
fn is_left_out(by: CancelledBy) -> bool {
    matches!(by, CancelledBy::Batch | CancelledBy::Shutdown | CancelledBy::Caller)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn started(task: u64, attempt: u32) -> AttemptEvent {
        let name = format!("t#{task}").into();
        let (pid, at) = (Some(100 + task as u32), SystemTime::UNIX_EPOCH);
        AttemptEvent::Started { task, tag: Some(task), name, attempt, pid, worker: task, at }
    }

    fn ended(task: u64, outcome: Outcome, retry: Option<Duration>) -> AttemptEvent {
        let mut record = crate::batch::drive::not_run("t", String::new());
        (record.task, record.tag, record.outcome, record.wall_time) = (task, Some(task), outcome, seconds(1));
        AttemptEvent::Ended { record: Box::new(record), retry }
    }

    #[test]
    fn what_runs_is_told_with_its_age_and_progress_and_what_ended_is_counted() {
        let mut state = State::new(Some(4));
        (1..=3).for_each(|task| state.attempt(&started(task, 1), seconds(task)));
        let progress = AttemptEvent::Progress { task: 2, tag: Some(2), done: 12, total: Some(40) };
        state.attempt(&progress, seconds(3));
        state.attempt(&ended(1, Outcome::Exited(0), None), seconds(3));
        state.attempt(&ended(3, Outcome::Exited(7), Some(seconds(1))), seconds(3));
        state.keep();
        let status = state.status(seconds(10));
        assert_eq!((status.done(), status.counts.succeeded, status.counts.failed()), (2, 1, 0));
        assert_eq!((status.counts.attempts, status.counts.retries), (3, 1));
        let [task] = status.running.as_slice() else { panic!("{status:?}") };
        let seen = (&*task.name, task.seq, task.attempt, task.pid, task.age, task.progress);
        assert_eq!(seen, ("t#2", Some(2), 1, Some(102), seconds(8), Some((12, Some(40)))));
        assert_eq!(status.left, Some(seconds(20)), "two are left, and one ended in ten seconds");
        state.attempt(&started(3, 2), seconds(11));
        state.attempt(&ended(3, Outcome::Exited(7), None), seconds(12));
        state.attempt(&ended(2, Outcome::Cancelled(CancelledBy::Caller), None), seconds(12));
        let counts = state.status(seconds(12)).counts;
        assert_eq!((counts.ended, counts.failed(), counts.left_out), (3, 1, 1));
        assert_eq!(counts.outcomes, BTreeMap::from([("cancelled", 1), ("exited", 2)]));
        assert!(state.running.is_empty());
    }

    #[test]
    fn a_task_is_slow_by_its_age_and_beside_the_others() {
        let mut state = State::default();
        state.attempt(&started(1, 1), seconds(0));
        state.attempt(&started(2, 1), seconds(4));
        let slow =
            |state: &State, now| state.status(now).slow().filter_map(|task| task.seq).collect::<Vec<_>>();
        assert_eq!(slow(&state, seconds(4)), [0; 0]);
        assert_eq!(slow(&state, seconds(5)), [1]);
        assert_eq!(slow(&state, seconds(9)), [1, 2]);
        // Others take ten seconds each: five are nothing then.
        for task in 3..=9 {
            state.attempt(&started(task, 1), seconds(0));
            let AttemptEvent::Ended { mut record, retry } = ended(task, Outcome::Exited(0), None) else {
                unreachable!("it is an end")
            };
            record.wall_time = seconds(9);
            state.attempt(&AttemptEvent::Ended { record, retry }, seconds(9));
        }
        assert_eq!(slow(&state, seconds(30)), [0; 0]);
        assert_eq!(slow(&state, seconds(51)), [1]);
    }

    #[test]
    fn what_is_kept_does_not_grow_with_the_batch() {
        let mut state = State::default();
        for task in 0..100_000 {
            state.attempt(&started(task, 1), Duration::from_millis(task));
            state.attempt(&ended(task, Outcome::Exited(0), None), Duration::from_millis(task));
        }
        assert_eq!((state.running.len(), state.counts.outcomes.len(), state.counts.ended), (0, 1, 100_000));
    }

    #[test]
    fn a_task_that_a_task_submitted_runs_but_is_no_input() {
        let mut state = State::default();
        let AttemptEvent::Ended { mut record, retry } = ended(1, Outcome::Exited(0), None) else {
            unreachable!("it is an end")
        };
        record.tag = None;
        state.attempt(&AttemptEvent::Ended { record, retry }, seconds(1));
        assert_eq!(state.status(seconds(1)).done(), 0);
    }
}

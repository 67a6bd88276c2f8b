//! The tasks of a plan as a stream of inputs, each when the [`Schedule`] lets it start.
//!
//! ```text
//!  Plan --> Instances --\                       /--> Drive --> Watch --\
//!                        Feeder <--- Schedule <-----------------------/
//! ```
//!
//! One task of each entry is made ahead, so that the last one is known to be the last. Nothing else is.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;

use super::BadInput;
use super::drive::{Ended, Ending, Input, Watch};
use super::plan::instances::{Instance, Instances, Open};
use super::plan::select::Select;
use super::plan::{Inputs, Plan};
use super::schedule::{Job, Next, Schedule};
use crate::Task;
use crate::exit_code;
use crate::outcome::{CancelledBy, Outcome};

/// Makes tasks of what was planned.
pub trait Maker: Send {
    /// The task of an instance of this entry.
    ///
    /// # Errors
    ///
    /// When it cannot be one, such as without its standard input.
    fn make(&mut self, entry: usize, instance: &Instance) -> Result<Task, BadInput>;

    /// The exit code of a task that an earlier run has finished, and that does not run again. Else its tag will be `seq`.
    fn kept(&mut self, entry: usize, instance: &Instance, seq: u64, task: &Task) -> Option<u8>;

    /// No more tasks of this entry are made: whatever they shared can be given up.
    fn finished(&mut self, entry: usize);

    /// Starts a task that runs beside the batch. It has been made by [`make`](Self::make).
    fn start_daemon(&mut self, entry: usize, instance: &Instance, task: Task);

    /// The file of an entry's lines cannot be read on.
    fn lost(&mut self, entry: usize, error: &io::Error);
}

/// The tasks of an entry that were not given out.
#[derive(Debug)]
struct Upcoming {
    instances: Instances,
    next: Option<Instance>,
}

struct State {
    plan: Arc<Plan>,
    schedule: Schedule,
    upcoming: Vec<Option<Upcoming>>,
    maker: Box<dyn Maker>,
    /// The entries of the inputs that are out, by their number.
    out: HashMap<u64, usize>,
    seq: u64,
    /// The first task of each entry that failed.
    failed: Vec<Option<String>>,
    cut_off: Vec<String>,
    waker: Option<Waker>,
    is_lost: bool,
}

/// A plan as a stream.
#[derive(Clone)]
pub struct Feeder(Arc<Mutex<State>>);

/// What was left when a batch ended early.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Tasks that had been given out, by their names; at most as many as are given out at a time.
    pub cut_off: Vec<String>,
    /// Entries with how many of their tasks were not given out; `None` for the rest of a file.
    pub entries: Vec<(String, Option<u64>)>,
}

impl Feeder {
    /// A plan, of which these tasks are run. `memory_bytes_max` is the budget.
    ///
    /// # Errors
    ///
    /// When a file of inputs cannot be opened: the entry, and why.
    pub fn new(
        plan: &Arc<Plan>,
        select: &Arc<Select>,
        memory_bytes_max: u64,
        open: Open<'_>,
        maker: Box<dyn Maker>,
    ) -> Result<Self, (usize, io::Error)> {
        let groups: Vec<usize> = plan.groups.iter().map(|group| group.max_parallel).collect();
        let mut state = State {
            schedule: Schedule::new(jobs(plan), &groups, memory_bytes_max),
            upcoming: Vec::with_capacity(plan.entries.len()),
            maker,
            out: HashMap::new(),
            seq: 0,
            failed: vec![None; plan.entries.len()],
            cut_off: Vec::new(),
            waker: None,
            is_lost: false,
            plan: Arc::clone(plan),
        };
        for (index, entry) in plan.entries.iter().enumerate() {
            let mut instances = Instances::new(entry, select, open).map_err(|error| (index, error))?;
            let next = instances.next_task().map_err(|error| (index, error))?;
            if next.is_none() {
                // What is left out counts as done, and so does a file without a line.
                state.schedule.was_last(index);
                state.maker.finished(index);
            }
            state.upcoming.push(next.map(|next| Upcoming { instances, next: Some(next) }));
        }
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has to be told of every input's end, so that others can start.
    #[must_use]
    pub fn watch(&self) -> Watch {
        let feeder = self.clone();
        Watch::new(move |ended| feeder.state().ended(ended))
    }

    /// What was not run.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        self.state().left_out()
    }
}

fn jobs(plan: &Plan) -> Vec<Job> {
    let job = |entry: &Arc<super::plan::Entry>| Job {
        priority: entry.priority,
        after: entry.after.clone(),
        group: entry.group,
        workers: entry.workers,
        memory_bytes: entry.memory_bytes(),
        daemon: entry.daemon,
    };
    plan.entries.iter().map(job).collect()
}

impl State {
    /// The next input, if one may start.
    fn next(&mut self) -> Poll<Option<Input>> {
        loop {
            if self.is_lost {
                return Poll::Ready(Some(Input::Lost));
            }
            let said = self.schedule.next_step();
            let (entry, because) = match said {
                Next::Wait => return Poll::Pending,
                Next::Done => return Poll::Ready(None),
                Next::Start(entry) => (entry, None),
                Next::NotRun { entry, because } => (entry, Some(because)),
            };
            let Some(instance) = self.take(entry) else {
                self.schedule.exhausted(entry, said);
                continue;
            };
            if let Some(because) = because {
                return Poll::Ready(Some(self.not_run(entry, because, instance)));
            }
            let made = match &instance.call {
                Ok(_) => self.maker.make(entry, &instance),
                Err(bad) => Err(bad.clone()),
            };
            let is_last = self.upcoming[entry].is_none();
            let input = match made {
                Ok(task) if self.plan.entries[entry].daemon => {
                    self.maker.start_daemon(entry, &instance, task);
                    None
                }
                Ok(task) => Some(match self.maker.kept(entry, &instance, self.seq + 1, &task) {
                    Some(exit_code) => Input::Kept { exit_code },
                    None => Input::Task(Box::new(task)),
                }),
                Err(bad) => Some(Input::Bad { name: instance.name.clone(), bad }),
            };
            if is_last {
                self.maker.finished(entry);
            }
            let Some(input) = input else { continue };
            self.seq += 1;
            match input {
                Input::Kept { exit_code } => self.was_kept(entry, exit_code, instance.name),
                _ => drop(self.out.insert(self.seq, entry)),
            }
            return Poll::Ready(Some(input));
        }
    }

    /// Takes a task of the entry, and makes the one after it.
    fn take(&mut self, entry: usize) -> Option<Instance> {
        let upcoming = self.upcoming[entry].as_mut()?;
        let instance = upcoming.next.take()?;
        match upcoming.instances.next_task() {
            Ok(Some(next)) => upcoming.next = Some(next),
            Ok(None) => {
                self.upcoming[entry] = None;
                self.schedule.was_last(entry);
            }
            Err(error) => {
                self.maker.lost(entry, &error);
                self.is_lost = true;
                self.upcoming[entry] = None;
            }
        }
        Some(instance)
    }

    fn not_run(&mut self, entry: usize, because: usize, instance: Instance) -> Input {
        self.seq += 1;
        self.failed[entry].get_or_insert_with(|| instance.name.clone());
        if self.upcoming[entry].is_none() {
            self.maker.finished(entry);
        }
        let failed = self.failed[because].clone();
        let because = failed.unwrap_or_else(|| self.plan.entries[because].name.clone());
        Input::NotRun { name: instance.name, because }
    }

    /// What waits for this entry finds it as the earlier run left it.
    fn was_kept(&mut self, entry: usize, exit_code: u8, name: String) {
        let is_success = exit_code == exit_code::SUCCESS;
        if !is_success {
            self.failed[entry].get_or_insert(name);
        }
        self.schedule.ended(entry, is_success);
    }

    fn ended(&mut self, ended: &Ended) {
        let Some(entry) = self.out.remove(&ended.seq) else { return };
        let is_success = ended.is_success();
        if let Ending::Ran(record) = &ended.ending
            && matches!(record.outcome, Outcome::Cancelled(CancelledBy::Batch | CancelledBy::Caller))
        {
            self.cut_off.push(ended.name.to_string());
        }
        if !is_success {
            self.failed[entry].get_or_insert_with(|| ended.name.to_string());
        }
        self.schedule.ended(entry, is_success);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn left_out(&mut self) -> LeftOut {
        let mut entries = Vec::new();
        for index in self.schedule.unfinished().collect::<Vec<_>>() {
            let Some(upcoming) = &mut self.upcoming[index] else { continue };
            let entry = &self.plan.entries[index];
            let left = match &entry.inputs {
                Inputs::Lines { .. } => None,
                Inputs::One | Inputs::Matrix { .. } => Some(count(upcoming)),
            };
            if !entry.daemon {
                entries.push((entry.name.clone(), left));
            }
        }
        LeftOut { cut_off: std::mem::take(&mut self.cut_off), entries }
    }
}

/// How many tasks come.
fn count(upcoming: &mut Upcoming) -> u64 {
    let mut count = u64::from(upcoming.next.is_some());
    while let Ok(Some(_)) = upcoming.instances.next_task() {
        count += 1;
    }
    count
}

impl Stream for Feeder {
    type Item = Input;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Input>> {
        let mut state = self.state();
        let next = state.next();
        if next.is_pending() {
            state.waker = Some(cx.waker().clone());
        }
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let is_done = self.state().upcoming.iter().all(Option::is_none);
        (0, is_done.then_some(0))
    }
}

impl fmt::Debug for Feeder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Feeder")
            .field("seq", &state.seq)
            .field("out", &state.out.len())
            .finish_non_exhaustive()
    }
}

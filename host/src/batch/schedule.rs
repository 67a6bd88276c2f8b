//! Which task of a batch starts next: priorities, then the order of the manifest, as far as dependencies, groups,
//! bounds of single tasks and the memory budget let them.
//!
//! Pure: a [`Schedule`] knows entries by their place and counts of tasks, no tasks. Whoever drives it asks for the
//! [`Next`], and tells what came of it.
//!
//! - An entry may start when every entry that it is `after` has ended and succeeded as a whole. With the first failure of
//!   one of those, it will never run, and neither will what waits for it.
//! - What its group or its own bound holds up is overtaken by what stands behind it. What the *memory* budget holds up is
//!   not: or a large task would wait for as long as small ones come.
//! - A task that alone is larger than the budget runs alone, beside daemons.

#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;

use std::cmp::Reverse;

/// What the schedule knows of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// Higher starts first.
    pub priority: i32,
    /// Entries that must have succeeded before, by their place.
    pub after: Vec<usize>,
    /// Its group, by its place.
    pub group: Option<usize>,
    /// How many of its tasks run at one time.
    pub workers: Option<usize>,
    /// What one of its tasks takes of the memory budget.
    pub memory_bytes: u64,
    /// Whether it is not waited for.
    pub daemon: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Start a task of this entry. It counts as running from here on; if there is none left, say
    /// [`exhausted`](Schedule::exhausted).
    Start(usize),
    /// A task of this entry will not run, because of that entry. If there is none left, say
    /// [`exhausted`](Schedule::exhausted).
    NotRun {
        /// The entry.
        entry: usize,
        /// The one that failed.
        because: usize,
    },
    /// Nothing before something ends.
    Wait,
    /// Everything has started that ever will.
    Done,
}

/// How an entry stands.
#[derive(Clone, Debug)]
struct State {
    job: Job,
    running: usize,
    /// Whether all of its tasks have started, or will never.
    is_exhausted: bool,
    has_failed: bool,
}

impl State {
    fn has_ended(&self) -> bool {
        self.is_exhausted && self.running == 0
    }
}

/// The state of a batch.
#[derive(Clone, Debug)]
pub struct Schedule {
    entries: Vec<State>,
    /// The entries in the order in which they are looked at. Those that are exhausted at the beginning are gone.
    order: Vec<usize>,
    /// Of each group: how many may run, and how many do.
    groups: Vec<(usize, usize)>,
    memory_bytes_max: u64,
    memory_bytes: u64,
    /// Tasks that are waited for. One that waits for nothing but daemons would wait for ever.
    running: usize,
}

impl Schedule {
    /// A batch of these entries, with the bounds of the groups and the memory budget.
    #[must_use]
    pub fn new(jobs: Vec<Job>, groups: &[usize], memory_bytes_max: u64) -> Self {
        let mut order: Vec<usize> = (0..jobs.len()).collect();
        // Daemons first: what runs beside them may need them. A stable sort keeps the manifest's order.
        order.sort_by_key(|entry| (!jobs[*entry].daemon, Reverse(jobs[*entry].priority)));
        let state = |job| State { job, running: 0, is_exhausted: false, has_failed: false };
        Self {
            entries: jobs.into_iter().map(state).collect(),
            order,
            groups: groups.iter().map(|max| (*max, 0)).collect(),
            memory_bytes_max,
            memory_bytes: 0,
            running: 0,
        }
    }

    /// What is to be done next; the state is as if it were done.
    pub fn next_step(&mut self) -> Next {
        self.order.retain(|entry| !self.entries[*entry].is_exhausted);
        for at in 0..self.order.len() {
            let entry = self.order[at];
            match self.look_at(entry) {
                Look::Start => {
                    self.start(entry);
                    return Next::Start(entry);
                }
                Look::Never(because) => {
                    self.entries[entry].has_failed = true;
                    return Next::NotRun { entry, because };
                }
                Look::Overtaken => {}
                Look::Blocked => return Next::Wait,
            }
        }
        if self.order.is_empty() { Next::Done } else { Next::Wait }
    }

    fn look_at(&self, entry: usize) -> Look {
        let State { job, running, .. } = &self.entries[entry];
        if let Some(because) = job.after.iter().find(|before| self.entries[**before].has_failed) {
            return Look::Never(*because);
        }
        let is_ready = job.after.iter().all(|before| self.entries[*before].has_ended());
        let is_bounded = job.workers.is_some_and(|workers| *running >= workers);
        let is_full = job.group.is_some_and(|group| self.groups[group].1 >= self.groups[group].0);
        if !is_ready || is_bounded || is_full {
            return Look::Overtaken;
        }
        let fits = self.memory_bytes.saturating_add(job.memory_bytes) <= self.memory_bytes_max;
        if fits || self.running == 0 { Look::Start } else { Look::Blocked }
    }

    fn start(&mut self, entry: usize) {
        let state = &mut self.entries[entry];
        state.running += 1;
        self.running += usize::from(!state.job.daemon);
        self.memory_bytes = self.memory_bytes.saturating_add(state.job.memory_bytes);
        if let Some(group) = state.job.group {
            self.groups[group].1 += 1;
        }
    }

    /// There is no task left for what [`next_step`](Self::next_step) said of this entry.
    pub fn exhausted(&mut self, entry: usize, said: Next) {
        if said == Next::Start(entry) {
            self.release(entry);
        }
        self.entries[entry].is_exhausted = true;
    }

    /// What was just started, or will not run, was the entry's last task.
    pub fn was_last(&mut self, entry: usize) {
        self.entries[entry].is_exhausted = true;
    }

    /// A task that was started has ended.
    pub fn ended(&mut self, entry: usize, is_success: bool) {
        self.entries[entry].has_failed |= !is_success;
        self.release(entry);
    }

    fn release(&mut self, entry: usize) {
        let state = &mut self.entries[entry];
        state.running = state.running.saturating_sub(1);
        self.running = self.running.saturating_sub(usize::from(!state.job.daemon));
        self.memory_bytes = self.memory_bytes.saturating_sub(state.job.memory_bytes);
        if let Some(group) = state.job.group {
            self.groups[group].1 = self.groups[group].1.saturating_sub(1);
        }
    }

    /// How many tasks of the entry run, or were given out to run.
    #[must_use]
    pub fn running(&self, entry: usize) -> usize {
        self.entries[entry].running
    }

    /// Bytes that the memory limits of what runs add up to.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// The entries of which not every task was given out.
    pub fn unfinished(&self) -> impl Iterator<Item = usize> {
        self.entries.iter().enumerate().filter(|(_, state)| !state.is_exhausted).map(|(entry, _)| entry)
    }
}

/// What can be done about an entry.
enum Look {
    /// One of its tasks can start.
    Start,
    /// None ever will, because of that entry.
    Never(usize),
    /// None for now; others may go first.
    Overtaken,
    /// None for now, and nothing else either.
    Blocked,
}

//! Where each task is: in the queue, at a worker, between two attempts.
//!
//! The calls of a chunk are always together and have numbers one after the other, so a task leads to its run of numbers,
//! that to its assignment, and that to a place: thousands of calls are put and moved at once.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::supervisor::event::{PoolId, WorkerId};
use crate::supervisor::fork_client::ServerId;
use crate::supervisor::scheduler::Rank;

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Waiting {
        pool: PoolId,
        server: ServerId,
    },
    Running {
        worker: WorkerId,
    },
    /// Given to a worker that has something else to do first.
    Ahead {
        worker: WorkerId,
    },
}

/// Every assignment with tasks that have not ended and are not between two attempts.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// By the first number. Some of a run's tasks may have ended.
    runs: BTreeMap<u64, Run>,
    assignments: FxHashMap<Rank, Assigned>,
}

/// Tasks with numbers one after the other, of one assignment.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The number after the last one.
    end: u64,
    rank: Rank,
}

#[derive(Debug)]
struct Assigned {
    place: Place,
    /// Its tasks that are left.
    count: usize,
    /// Its lowest number, and the one after its highest: all of its runs are between them.
    first: u64,
    end: u64,
}

impl Places {
    /// Puts tasks in their assignment, wherever they were before, and that into its place.
    pub(super) fn put(&mut self, rank: Rank, place: Place, tasks: impl Iterator<Item = u64>) {
        let mut tasks = tasks.peekable();
        while let Some(first) = tasks.next() {
            let mut end = first + 1;
            while tasks.next_if_eq(&end).is_some() {
                end += 1;
            }
            let is_new = self.runs.range(..end).next_back().is_none_or(|(_, run)| run.end <= first);
            if is_new {
                self.add(rank, place, first, end);
                continue;
            }
            for task in first..end {
                if self.run_of(task).is_none_or(|(_, run)| run.rank != rank) {
                    self.leave(task);
                    self.add(rank, place, task, task + 1);
                }
            }
        }
        self.shift(rank, place);
    }

    /// Adds tasks that are nowhere, with numbers one after the other.
    fn add(&mut self, rank: Rank, place: Place, first: u64, end: u64) {
        let assigned = self.assignments.entry(rank).or_insert(Assigned { place, count: 0, first, end });
        assigned.count += usize::try_from(end - first).expect("each of them is in memory");
        assigned.first = assigned.first.min(first);
        assigned.end = assigned.end.max(end);
        match self.runs.range_mut(..first).next_back() {
            Some((_, run)) if run.end == first && run.rank == rank => run.end = end,
            _ => drop(self.runs.insert(first, Run { end, rank })),
        }
    }

    /// The assignment is at another place now.
    pub(super) fn shift(&mut self, rank: Rank, place: Place) {
        if let Some(assigned) = self.assignments.get_mut(&rank) {
            assigned.place = place;
        }
    }

    /// The task leaves its assignment, for another one or to wait for its next attempt.
    pub(super) fn leave(&mut self, task: u64) {
        let Some((first, run)) = self.run_of(task) else { return };
        self.runs.remove(&first);
        if first < task {
            self.runs.insert(first, Run { end: task, ..run });
        }
        if task + 1 < run.end {
            self.runs.insert(task + 1, run);
        }
        self.count_down(run.rank);
    }

    /// The task has ended.
    pub(super) fn remove(&mut self, task: u64) {
        if let Some((_, run)) = self.run_of(task) {
            self.count_down(run.rank);
        }
    }

    /// Where the task is, and the rank of its assignment; `None` when it is between two attempts. One that has ended may be
    /// where others of its chunk are.
    pub(super) fn get(&self, task: u64) -> Option<(Rank, Place)> {
        let (_, run) = self.run_of(task)?;
        Some((run.rank, self.assignments.get(&run.rank)?.place))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.assignments.is_empty()
    }

    fn run_of(&self, task: u64) -> Option<(u64, Run)> {
        let (first, run) = self.runs.range(..=task).next_back()?;
        (task < run.end).then_some((*first, *run))
    }

    /// A task of this assignment has ended, or left it.
    pub(super) fn count_down(&mut self, rank: Rank) {
        let Some(assigned) = self.assignments.get_mut(&rank) else { return };
        assigned.count -= 1;
        if assigned.count > 0 {
            return;
        }
        let (mut from, end) = (assigned.first, assigned.end);
        self.assignments.remove(&rank);
        loop {
            let run = self.runs.range(from..end).find(|(_, run)| run.rank == rank);
            let Some((first, run)) = run.map(|(first, run)| (*first, *run)) else { return };
            self.runs.remove(&first);
            from = run.end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tasks_of_a_chunk_move_together_and_leave_one_by_one() {
        let (rank, other) = (Rank::new(0, 1), Rank::new(0, 2));
        let (waiting, running) = (Place::Waiting { pool: 1, server: 2 }, Place::Running { worker: 3 });
        let mut places = Places::default();
        places.put(rank, waiting, (10..14).chain(20..22));
        assert_eq!(places.runs.len(), 2);
        assert_eq!((places.get(12), places.get(21)), (Some((rank, waiting)), Some((rank, waiting))));
        assert_eq!((places.get(9), places.get(14), places.get(22)), (None, None, None));
        places.shift(rank, running);
        assert!((10..14).all(|task| places.get(task) == Some((rank, running))));
        places.remove(10);
        // One is tried again, and what was not begun goes back.
        places.leave(12);
        assert_eq!(
            (places.get(11), places.get(12), places.get(13)),
            (Some((rank, running)), None, Some((rank, running)))
        );
        places.put(rank, waiting, [11, 13, 20, 21].into_iter());
        places.put(other, waiting, 12..13);
        let all: Vec<_> = (11..14).map(|task| places.get(task)).collect();
        assert_eq!(all, [Some((rank, waiting)), Some((other, waiting)), Some((rank, waiting))]);
        [11, 13, 20, 21].into_iter().for_each(|task| places.remove(task));
        assert_eq!((places.get(13), places.get(12)), (None, Some((other, waiting))));
        assert_eq!((places.assignments.len(), places.runs.len()), (1, 1));
        // One range is partly in the one assignment, partly in the other, and partly new.
        places.put(rank, waiting, 9..11);
        places.put(other, running, 9..15);
        assert!((9..15).all(|task| places.get(task) == Some((other, running))));
        (9..15).for_each(|task| places.remove(task));
        assert!(places.is_empty() && places.runs.is_empty());
    }
}

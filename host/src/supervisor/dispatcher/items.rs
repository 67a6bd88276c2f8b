//! Items of a chunk that end as most do: with a value, while the next one goes on.
//!
//! Nothing is to be decided then, so the record is made where it is delivered, and what is the same for every call is not looked
//! up for each. [`Dispatcher::call_said`] does the same for whatever is not so plain.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Dispatcher;
use crate::outcome::{Outcome, Record, TaskValue};
use crate::supervisor::call::Reply;
use crate::supervisor::event::WorkerId;
use crate::supervisor::output::Output;
use crate::supervisor::worker_handle::{Facts, Stage, WorkerHandle};

impl Dispatcher {
    /// Ends the running call of a worker with this value; where more than that is to be done, nothing is, and the value comes back.
    pub(super) fn item_said(
        &mut self,
        worker: WorkerId,
        value: TaskValue,
        took: Duration,
    ) -> Option<TaskValue> {
        let plain = |entry: &&mut WorkerHandle| is_plain(entry);
        let Some(entry) = self.workers.get_mut(&worker).filter(plain) else { return Some(value) };
        // So the next call is not to be killed, and without a time it begins by itself.
        let Some(pool) = self.pools.get_mut(&entry.pool).filter(|pool| pool.settings.chaos.is_none()) else {
            return Some(value);
        };
        let Some(clocks) = entry.clocks(took, Instant::now()) else { return Some(value) };
        entry.next_phase();
        let (pid, layers) = (entry.pid(), entry.layers);
        let Some(running) = entry.running() else { return Some(value) };
        let Some(mut call) = running.calls.pop_front() else { return Some(value) };
        running.index += 1;
        let facts = std::mem::replace(&mut running.facts, Facts::new(clocks.ended_at, clocks.cpu_time));
        let (rank, limits) = (running.rank, &running.shape.limits);
        let is_timed = limits.is_timed();
        // The next call begins where this one ends.
        entry.tell_started(facts.started_at.map(|at| at + clocks.wall_time));
        pool.outstanding -= 1;
        self.places.count_down(rank);
        // Where the record goes straight to its stream, nobody else asks the call for its name.
        let goes_straight = call.observer.is_none() && !matches!(call.output, Output::Stream(_));
        let name = if goes_straight { std::mem::take(&mut call.name) } else { Arc::clone(&call.name) };
        let record = Record {
            task: call.task,
            tag: call.tag,
            name,
            attempt: call.attempt,
            outcome: Outcome::Succeeded(value),
            pid,
            worker: Some(worker),
            queued_at: call.queued_at,
            started_at: facts.started_at,
            wall_time: clocks.wall_time,
            cpu_time: clocks.cpu_time.saturating_sub(facts.cpu_before),
            peak_memory_bytes: None,
            layers,
            stdout: facts.stdout.freeze(),
            stderr: facts.stderr.freeze(),
            progress: facts.progress,
            leaks: facts.leaks,
            chaos: false,
        };
        tracing::debug!(task = &*record.name, pid, outcome = record.outcome.label(), "task ended");
        match &call.reply {
            Some(Reply::Stream { index, records }) if goes_straight => {
                self.to_ring.extend(records.put(*index, record).cloned());
                call.reply = None;
            }
            _ => call.finish(Box::new(record)),
        }
        if is_timed {
            self.begin_time(worker, clocks.ended_at);
        }
        None
    }
}

/// Whether nothing is to be done as its call ends but to tell of it.
fn is_plain(entry: &WorkerHandle) -> bool {
    let Stage::Running(running) = &entry.stage else { return false };
    let is_undisturbed = running.intent.is_none() && running.asked.is_none() && running.deadlock.is_none();
    let is_alone = entry.waiting.is_none() && entry.nested.is_empty();
    // A call that was answered already is not begun: nobody could stop it any more.
    let goes_on = running.calls.get(1).is_some_and(|next| !next.is_answered());
    let goes_to_stream =
        matches!(running.call().and_then(|call| call.reply.as_ref()), Some(Reply::Stream { .. }));
    is_undisturbed && is_alone && !running.is_doomed && goes_on && goes_to_stream
}

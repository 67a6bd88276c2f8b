//! Many tasks through a pool, lazily: a stream of tasks in, a stream of records out.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};

use super::Pool;
use super::lent::Look;
use super::mailbox::{ChunkMail, Mailbox, RecordMail};
use crate::outcome::{CancelledBy, Record};
use crate::supervisor::call::{Assignment, Call, Input, Reply};
use crate::supervisor::event::{Command, Stop};
use crate::supervisor::task::Task;

/// The order in which results come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// In the order of the inputs.
    #[default]
    Input,
    /// As tasks end.
    Completion,
}

/// The records of a stream of tasks, each with the index of its task.
///
/// Tasks are taken from the stream only as far as the pool can use them: at most 2 chunks a worker (6 where workers are
/// used again and a chunk has fewer than 8 tasks), and as many for each task that waits in a queue, a lock or the like,
/// are ahead of the last record that was taken. Dropping it cancels what is left.
pub struct Records<S> {
    pool: Pool,
    tasks: Option<Pin<Box<S>>>,
    order: Order,
    /// Tasks of a chunk that is not full yet.
    chunk: Vec<(u64, Task)>,
    next_input: u64,
    next_output: u64,
    /// Records that came before their turn.
    early: Early,
    mailbox: Arc<RecordMail>,
    /// What was taken out of it.
    arrived: VecDeque<(u64, Record)>,
    outstanding: Outstanding,
    /// How many tasks of the pool wait for something.
    lent: Look,
}

impl Pool {
    /// Runs every task of a stream; the records come as a stream, lazily.
    pub fn records<S: Stream<Item = Task>>(&self, tasks: S, order: Order) -> Records<S> {
        Records {
            pool: self.clone(),
            tasks: Some(Box::pin(tasks)),
            order,
            chunk: Vec::new(),
            next_input: 0,
            next_output: 0,
            early: Early::default(),
            mailbox: Arc::new(Mailbox::new()),
            arrived: VecDeque::new(),
            outstanding: Outstanding::default(),
            lent: self.0.lent.look(),
        }
    }
}

impl<S: Stream<Item = Task>> Records<S> {
    /// The same stream, with the records where they are.
    pub(crate) fn in_boxes(mut self) -> impl Stream<Item = (u64, Box<Record>)> {
        stream::poll_fn(move |cx| self.poll_record(cx))
    }

    pub(super) fn poll_record(&mut self, cx: &mut Context<'_>) -> Poll<Option<(u64, Box<Record>)>> {
        loop {
            let lent = self.lent.places();
            self.fill(cx, lent);
            if let Some(due) = self.next_due(cx.waker()) {
                self.next_output += 1;
                return Poll::Ready(Some(due));
            }
            if self.tasks.is_none() && self.outstanding.count == 0 {
                return Poll::Ready(None);
            }
            if !self.lent.waits(cx, lent) {
                return Poll::Pending;
            }
        }
    }

    fn ahead(&self) -> usize {
        self.outstanding.count + self.early.count + self.chunk.len()
    }

    /// Takes tasks from the stream and submits them, as far as the pool can use them with so many places that were lent.
    fn fill(&mut self, cx: &mut Context<'_>, lent: usize) {
        let (chunksize, beside) = (self.pool.0.chunksize, self.pool.0.chunks_ahead);
        while self.ahead() < beside * (self.pool.workers() + lent) * chunksize {
            let Some(tasks) = self.tasks.as_mut() else { break };
            match tasks.as_mut().poll_next(cx) {
                Poll::Ready(Some(task)) => {
                    let task = self.pool.lend(task);
                    let fits = self.chunk.first().is_none_or(|(_, first)| first.may_share_instance(&task));
                    if !fits {
                        self.submit_chunk();
                    }
                    self.chunk.push((self.next_input, task));
                    self.next_input += 1;
                    if self.chunk.len() >= chunksize {
                        self.submit_chunk();
                    }
                }
                Poll::Ready(None) => self.tasks = None,
                // Nothing more for a while: what is there is not held back.
                Poll::Pending => {
                    self.submit_chunk();
                    break;
                }
            }
        }
        // What a stream holds, shared objects among it, it holds no longer than it has tasks.
        if self.tasks.as_ref().is_some_and(|tasks| tasks.size_hint().1 == Some(0)) {
            self.tasks = None;
        }
        // A part of a chunk waits to be filled while others run.
        if self.tasks.is_none() || self.outstanding.count == 0 {
            self.submit_chunk();
        }
    }

    fn submit_chunk(&mut self) {
        let Some((_, first)) = self.chunk.first() else { return };
        let shape = Arc::new(self.pool.shape(first));
        let mut calls: Vec<Call> = Vec::with_capacity(self.chunk.len());
        let queued_at = SystemTime::now();
        let records = Arc::new(ChunkMail::new(&self.mailbox));
        let mut bytes = 0;
        for (index, task) in self.chunk.drain(..) {
            let id = self.pool.0.supervisor.new_id();
            let reply = Reply::Stream { index, records: Arc::clone(&records) };
            self.outstanding.add(index, id);
            let Some(call) = task.call(id, queued_at, reply, self.pool.0.observer.as_ref()) else { continue };
            bytes += call.input.len();
            if bytes > Input::INLINE_BYTES_MAX && !calls.is_empty() {
                let mut calls = std::mem::take(&mut calls);
                pack(&mut calls);
                self.pool.dispatch(Assignment { shape: Arc::clone(&shape), calls });
                bytes = call.input.len();
            }
            calls.push(call);
        }
        if !calls.is_empty() {
            pack(&mut calls);
            self.pool.dispatch(Assignment { shape, calls });
        }
    }

    /// The record that is due, of those that have come.
    fn next_due(&mut self, waker: &Waker) -> Option<(u64, Box<Record>)> {
        let in_any_order = self.order == Order::Completion;
        let is_next = |index: u64| in_any_order || index == self.next_output;
        if let Some(record) = self.early.take(self.next_output) {
            return Some((self.next_output, record));
        }
        loop {
            while let Some((index, record)) = self.arrived.pop_front() {
                let record = Box::new(record);
                self.outstanding.remove(index);
                if is_next(index) {
                    return Some((index, record));
                }
                self.early.keep(index, record);
            }
            self.mailbox.take(waker, &mut self.arrived);
            if self.arrived.is_empty() {
                return None;
            }
        }
    }
}

impl<S: Stream<Item = Task>> Stream for Records<S> {
    type Item = (u64, Record);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<(u64, Record)>> {
        self.get_mut().poll_record(cx).map(|due| due.map(|(index, record)| (index, *record)))
    }
}

/// Puts the small arguments of a chunk side by side: the dispatcher gives back one piece of memory instead of many, each
/// of which would be another thread's.
fn pack(calls: &mut [Call]) {
    const BYTES_MAX: usize = 256;
    fn small(call: &Call) -> Option<&Bytes> {
        match &call.input {
            Input::Inline(bytes) if bytes.len() <= BYTES_MAX => Some(bytes),
            _ => None,
        }
    }
    let mut packed = BytesMut::new();
    calls.iter().filter_map(small).for_each(|bytes| packed.extend_from_slice(bytes));
    let mut packed = packed.freeze();
    for call in calls {
        if let Some(length) = small(call).map(Bytes::len) {
            call.input = Input::Inline(packed.split_to(length));
        }
    }
}

/// What was submitted and has not come back: the numbers of tasks by their indices, which grow.
#[derive(Debug, Default)]
struct Outstanding {
    /// The index of the first one.
    first: u64,
    /// `None` for those that have come back.
    tasks: VecDeque<Option<u64>>,
    count: usize,
}

impl Outstanding {
    /// Adds the one after the last.
    fn add(&mut self, index: u64, task: u64) {
        if self.tasks.is_empty() {
            self.first = index;
        }
        self.tasks.push_back(Some(task));
        self.count += 1;
    }

    fn remove(&mut self, index: u64) {
        let at = usize::try_from(index.wrapping_sub(self.first)).unwrap_or(usize::MAX);
        if self.tasks.get_mut(at).and_then(Option::take).is_some() {
            self.count -= 1;
        }
        while let Some(None) = self.tasks.front() {
            self.tasks.pop_front();
            self.first += 1;
        }
    }
}

/// Records that came before their turn, by their indices.
#[derive(Debug, Default)]
struct Early {
    /// The index of the first place.
    first: u64,
    places: VecDeque<Option<Box<Record>>>,
    count: usize,
}

impl Early {
    /// Keeps a record until its turn. Indices that were taken do not come again.
    fn keep(&mut self, index: u64, record: Box<Record>) {
        if self.count == 0 {
            self.places.clear();
            self.first = index;
        }
        while index < self.first {
            self.places.push_front(None);
            self.first -= 1;
        }
        let at = usize::try_from(index - self.first).expect("it is within what is on its way");
        if at >= self.places.len() {
            self.places.resize_with(at + 1, || None);
        }
        self.count += usize::from(self.places[at].replace(record).is_none());
    }

    /// The record with this index, the lowest that may still come.
    fn take(&mut self, index: u64) -> Option<Box<Record>> {
        if self.count == 0 || index < self.first {
            return None;
        }
        while self.first < index {
            self.count -= usize::from(self.places.pop_front().flatten().is_some());
            self.first += 1;
        }
        let record = self.places.front_mut()?.take()?;
        self.places.pop_front();
        self.first += 1;
        self.count -= 1;
        Some(record)
    }
}

impl<S> Drop for Records<S> {
    fn drop(&mut self) {
        self.mailbox.close();
        for task in self.outstanding.tasks.iter().flatten() {
            let (task, how, by) = (*task, Stop::Interrupt, CancelledBy::Caller);
            self.pool.0.supervisor.command(Command::Stop { task, how, by });
        }
    }
}

impl<S> std::fmt::Debug for Records<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records")
            .field("order", &self.order)
            .field("next", &self.next_output)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Encoding, Outcome, TaskValue};
    use crate::supervisor::call::tests::call;

    #[test]
    fn records_wait_for_their_turn_in_any_order() {
        let record = |task: u64| {
            let value = TaskValue::new(Encoding::Json, Bytes::from_static(b"1"));
            call(task).record_without_worker(Outcome::Succeeded(value))
        };
        let mut early = Early::default();
        assert!(early.take(0).is_none());
        for index in [7, 3, 5] {
            early.keep(index, record(index));
        }
        assert_eq!(early.count, 3);
        // 0 to 2 came in their turn, and never were here.
        let due: Vec<Option<u64>> = (3..9).map(|index| early.take(index).map(|record| record.task)).collect();
        assert_eq!(due, [Some(3), None, Some(5), None, Some(7), None]);
        assert_eq!((early.count, early.places.len()), (0, 0));
        // A long pause leaves nothing behind.
        early.keep(1_000_000, record(9));
        assert_eq!(early.places.len(), 1);
        assert!(early.take(999_999).is_none());
        assert_eq!(early.take(1_000_000).unwrap().task, 9);
    }

    #[test]
    fn small_arguments_of_a_chunk_lie_side_by_side_and_stay_what_they_are() {
        let of = |bytes: Vec<u8>| {
            let mut call = call(1);
            call.input = Input::Inline(bytes.into());
            call
        };
        let contents: Vec<Vec<u8>> = [0, 3, 257, 256, 1].iter().map(|n| vec![*n as u8; *n]).collect();
        let mut calls: Vec<Call> = contents.iter().cloned().map(of).collect();
        pack(&mut calls);
        let bytes = |call: &Call| match &call.input {
            Input::Inline(bytes) => bytes.clone(),
            Input::File(_) => panic!("it was inline"),
        };
        let packed: Vec<Bytes> = calls.iter().map(bytes).collect();
        assert_eq!(packed, contents);
        let lies_behind = |a: &Bytes, b: &Bytes| std::ptr::eq(a.as_ptr_range().end, b.as_ptr());
        assert!(lies_behind(&packed[1], &packed[3]) && lies_behind(&packed[3], &packed[4]));
        assert!(!lies_behind(&packed[1], &packed[2]), "it is too large to be copied");
    }
}

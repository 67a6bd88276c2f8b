//! Many tasks through a pool, lazily: a stream of tasks in, a stream of records out.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;

use super::Pool;
use super::lent::Look;
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
/// used again), and as many for each task that waits in a queue, a lock or the like, are ahead of the last record that was
/// taken. Dropping it cancels what is left.
pub struct Records<S> {
    pool: Pool,
    tasks: Option<Pin<Box<S>>>,
    order: Order,
    /// Tasks of a chunk that is not full yet.
    chunk: Vec<(u64, Task)>,
    next_input: u64,
    next_output: u64,
    /// Records that came before their turn.
    early: BTreeMap<u64, Record>,
    sender: mpsc::UnboundedSender<(u64, Record)>,
    receiver: mpsc::UnboundedReceiver<(u64, Record)>,
    /// Task numbers of what was submitted and has not come back.
    outstanding: BTreeMap<u64, u64>,
    /// How many tasks of the pool wait for something.
    lent: Look,
}

impl Pool {
    /// Runs every task of a stream; the records come as a stream, lazily.
    pub fn records<S: Stream<Item = Task>>(&self, tasks: S, order: Order) -> Records<S> {
        let (sender, receiver) = mpsc::unbounded_channel();
        Records {
            pool: self.clone(),
            tasks: Some(Box::pin(tasks)),
            order,
            chunk: Vec::new(),
            next_input: 0,
            next_output: 0,
            early: BTreeMap::new(),
            sender,
            receiver,
            outstanding: BTreeMap::new(),
            lent: self.0.lent.look(),
        }
    }
}

impl<S: Stream<Item = Task>> Records<S> {
    fn ahead(&self) -> usize {
        self.outstanding.len() + self.early.len() + self.chunk.len()
    }

    /// Takes tasks from the stream and submits them, as far as the pool can use them.
    fn fill(&mut self, cx: &mut Context<'_>) {
        let (chunksize, beside) = (self.pool.0.chunksize, self.pool.0.chunks_ahead);
        while self.ahead() < beside * (self.pool.workers() + self.lent.places(cx)) * chunksize {
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
        if self.tasks.is_none() || self.outstanding.is_empty() {
            self.submit_chunk();
        }
    }

    fn submit_chunk(&mut self) {
        let Some((_, first)) = self.chunk.first() else { return };
        let shape = Arc::new(self.pool.shape(first));
        let mut calls: Vec<Call> = Vec::with_capacity(self.chunk.len());
        let mut bytes = 0;
        for (index, task) in self.chunk.drain(..) {
            let id = self.pool.0.supervisor.new_id();
            let reply = Reply::Stream { index, records: self.sender.clone() };
            self.outstanding.insert(index, id);
            let Some(call) = task.call(id, reply, self.pool.0.observer.as_ref()) else { continue };
            bytes += call.input.len();
            if bytes > Input::INLINE_BYTES_MAX && !calls.is_empty() {
                let calls = std::mem::take(&mut calls);
                self.pool.dispatch(Assignment { shape: Arc::clone(&shape), calls });
                bytes = call.input.len();
            }
            calls.push(call);
        }
        if !calls.is_empty() {
            self.pool.dispatch(Assignment { shape, calls });
        }
    }

    fn next_early(&mut self) -> Option<(u64, Record)> {
        let due = self.order == Order::Completion
            || self.early.first_key_value().is_some_and(|(index, _)| *index == self.next_output);
        let record = due.then(|| self.early.pop_first()).flatten();
        self.next_output += u64::from(record.is_some());
        record
    }
}

impl<S: Stream<Item = Task>> Stream for Records<S> {
    type Item = (u64, Record);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<(u64, Record)>> {
        let this = self.get_mut();
        loop {
            this.fill(cx);
            if let Some(record) = this.next_early() {
                return Poll::Ready(Some(record));
            }
            if this.tasks.is_none() && this.outstanding.is_empty() {
                return Poll::Ready(None);
            }
            match this.receiver.poll_recv(cx) {
                Poll::Ready(Some((index, record))) => {
                    this.outstanding.remove(&index);
                    this.early.insert(index, record);
                }
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S> Drop for Records<S> {
    fn drop(&mut self) {
        for task in self.outstanding.values() {
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

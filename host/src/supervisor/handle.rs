//! The caller's end of a task: to await it, poll it, stop it, or be called back.

#![forbid(unsafe_code)]

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::outcome::{CancelledBy, Record};
use crate::supervisor::Supervisor;
use crate::supervisor::event::{Command, Stop};

type Callback = Box<dyn FnOnce(&Record) + Send>;

#[derive(Default)]
struct Inner {
    record: Option<Arc<Record>>,
    wakers: Vec<Waker>,
    callbacks: Vec<Callback>,
    progress: Option<(u64, Option<u64>)>,
}

/// What the dispatcher and the handle share.
pub(super) struct HandleState {
    inner: Mutex<Inner>,
    ended: Condvar,
    /// The worker's process id; 0 while there is none.
    pid: AtomicU32,
}

impl HandleState {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { inner: Mutex::default(), ended: Condvar::new(), pid: AtomicU32::new(0) })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_pid(&self, pid: u32) {
        self.pid.store(pid, Ordering::Release);
    }

    pub(super) fn set_progress(&self, done: u64, total: Option<u64>) {
        self.inner().progress = Some((done, total));
    }

    /// Gives the record to everybody who waits. Called once.
    pub(super) fn finish(self: Arc<Self>, record: Box<Record>) {
        let mut inner = self.inner();
        inner.record = Some(Arc::new(*record));
        let wakers = std::mem::take(&mut inner.wakers);
        let callbacks = std::mem::take(&mut inner.callbacks);
        drop(inner);
        self.ended.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        for callback in callbacks {
            self.call_back(callback);
        }
    }

    fn call_back(self: &Arc<Self>, callback: Callback) {
        let state = Arc::clone(self);
        super::background::CALLBACKS.run(move || {
            if let Some(record) = state.record() {
                callback(&record);
            }
        });
    }

    fn record(&self) -> Option<Arc<Record>> {
        self.inner().record.clone()
    }

    fn wait(&self, deadline: Option<Instant>) -> Option<Arc<Record>> {
        let mut inner = self.inner();
        while inner.record.is_none() {
            inner = match deadline {
                None => self.ended.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.checked_duration_since(Instant::now())?;
                    self.ended.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        inner.record.clone()
    }
}

impl fmt::Debug for HandleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandleState").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// A submitted task. Awaiting it gives its [`Record`]; dropping it lets the task go on.
#[derive(Clone, Debug)]
pub struct TaskHandle {
    task: u64,
    name: Arc<str>,
    state: Arc<HandleState>,
    supervisor: Supervisor,
}

impl TaskHandle {
    pub(super) fn new(task: u64, name: Arc<str>, state: Arc<HandleState>, supervisor: Supervisor) -> Self {
        Self { task, name, state, supervisor }
    }

    /// The task's number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.task
    }

    /// The task's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id of the worker that runs it, or ran it.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        Some(self.state.pid.load(Ordering::Acquire)).filter(|pid| *pid != 0)
    }

    /// The record, if the task has ended.
    #[must_use]
    pub fn try_record(&self) -> Option<Record> {
        self.state.record().map(|record| Record::clone(&record))
    }

    /// True once the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state.record().is_some()
    }

    /// The latest progress that the guest told: steps done, steps in all.
    #[must_use]
    pub fn progress(&self) -> Option<(u64, Option<u64>)> {
        self.state.inner().progress
    }

    /// Waits for the end, blocking this thread. Not for use inside a runtime: await the handle there.
    #[must_use]
    pub fn wait(&self) -> Record {
        let record = self.state.wait(None).expect("a wait without a deadline ends with a record");
        Record::clone(&record)
    }

    /// Waits for the end for at most this long, blocking this thread.
    #[must_use]
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Record> {
        let record = self.state.wait(Instant::now().checked_add(timeout))?;
        Some(Record::clone(&record))
    }

    /// Stops the task in any state: one that waits is taken out of the queue, one that runs is
    /// interrupted, and killed 200 ms later if that did not end it. Its outcome is `Cancelled`.
    pub fn cancel(&self) {
        self.stop(Stop::Interrupt);
    }

    /// Asks the task to stop: `context::cancelled` turns true in the guest. One that ends by itself within
    /// the grace period (`Limits::grace_period`, 2 s) keeps its own outcome; after it, the task is
    /// interrupted, and killed 200 ms later. One that waits is taken out of the queue.
    pub fn terminate(&self) {
        self.stop(Stop::Terminate);
    }

    /// Kills the worker that runs the task.
    pub fn kill(&self) {
        self.stop(Stop::Kill);
    }

    fn stop(&self, how: Stop) {
        self.supervisor_stop(how, CancelledBy::Caller);
    }

    pub(super) fn supervisor_stop(&self, how: Stop, by: CancelledBy) {
        self.supervisor.command(Command::Stop { task: self.task, how, by });
    }

    /// Calls back with the record once the task has ended, on a thread of its own that all callbacks
    /// share. A callback that panics is logged; one that blocks delays only other callbacks.
    pub fn on_finish(&self, callback: impl FnOnce(&Record) + Send + 'static) {
        let callback: Callback = Box::new(callback);
        let mut inner = self.state.inner();
        if inner.record.is_some() {
            drop(inner);
            self.state.call_back(callback);
        } else {
            inner.callbacks.push(callback);
        }
    }
}

/// Waits for a [`TaskHandle`].
#[derive(Debug)]
pub struct Finished(Arc<HandleState>);

impl Future for Finished {
    type Output = Record;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Record> {
        let mut inner = self.0.inner();
        if let Some(record) = &inner.record {
            return Poll::Ready(Record::clone(record));
        }
        if !inner.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl IntoFuture for TaskHandle {
    type Output = Record;
    type IntoFuture = Finished;

    fn into_future(self) -> Finished {
        Finished(self.state)
    }
}

impl IntoFuture for &TaskHandle {
    type Output = Record;
    type IntoFuture = Finished;

    fn into_future(self) -> Finished {
        Finished(Arc::clone(&self.state))
    }
}

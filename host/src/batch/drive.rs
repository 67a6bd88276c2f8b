//! Drives a pool over inputs: one loop that takes records, stop requests and room in the report.
//!
//! ```text
//!  inputs --> Feed --tasks--> Pool::records --records--> drive --[Ended]--> reports
//!               \--------------- bad inputs ---------------^
//! ```
//!
//! The pool pulls tasks as far as it can use them, and nothing here holds more than a piece of them back, so
//! memory does not depend on the number of inputs. When the reader of the reports is slow, the loop
//! waits for it, and with it everything behind.

#![forbid(unsafe_code)]

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::{mpsc, watch};

use super::BadInput;
use super::halt::{Halt, HaltMode};
use super::tally::{Interruption, Tally};
use crate::exit_code;
use crate::outcome::{CancelledBy, NotRun, Outcome, Record};
use crate::policy::Layers;
use crate::{Order, Pool, Task};

/// Inputs that are reported together, if they are there together: as many, and with as many bytes of values and output.
const REPORTED_MAX: usize = 64;
const REPORTED_BYTES_MAX: usize = 64 * 1024;

/// One input, or why there are no more.
#[derive(Clone, Debug)]
pub enum Input {
    /// A task for the pool.
    Task(Box<Task>),
    /// An input that is no task, with the name that the task would have had.
    Bad {
        /// That name.
        name: String,
        /// What is wrong.
        bad: BadInput,
    },
    /// An input that an earlier run has finished, with this exit code. It is counted, and not reported.
    Kept {
        /// That code.
        exit_code: u8,
    },
    /// A task that will not run, because another one failed.
    NotRun {
        /// Its name.
        name: String,
        /// The other one's.
        because: String,
    },
    /// The inputs cannot be read on; this is the last one.
    Lost,
}

/// One input at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Its number among the inputs, from 1.
    pub seq: u64,
    /// The task's name.
    pub name: Arc<str>,
    /// How it ended.
    pub ending: Ending,
}

/// How an input ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// It became a task, and this is its record.
    Ran(Box<Record>),
    /// It never became a task.
    Bad(BadInput),
}

impl Ended {
    /// The exit code that `wasmpool run` would end with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match &self.ending {
            Ending::Ran(record) => record.outcome.exit_code(),
            Ending::Bad(_) => exit_code::USAGE,
        }
    }

    /// True for a task that returned or exited with 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(&self.ending, Ending::Ran(record) if record.outcome.is_success())
    }
}

/// What a person or another program asks of a running batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Start nothing more, and ask running tasks to end within their grace period.
    Finish {
        /// Why.
        interruption: Interruption,
    },
    /// End everything at once.
    Kill,
}

/// How a batch is run, and who hears of it.
#[derive(Debug)]
pub struct Drive {
    /// In which order inputs are reported.
    pub order: Order,
    /// When it gives up.
    pub halt: Option<Halt>,
    /// What is asked of it while it runs.
    pub requests: mpsc::Receiver<Request>,
    /// Where its inputs are reported, those together that are there together. A closed channel ends the batch.
    pub reports: mpsc::Sender<Vec<Ended>>,
    /// How many inputs there are, where that is known.
    pub total: Option<u64>,
    /// Who is told of each input's end as soon as it is known, before it is reported.
    pub watch: Watch,
}

/// Somebody who is told of inputs that have ended.
pub struct Watch(Option<OnEnded>);

type OnEnded = Box<dyn FnMut(&Ended) + Send>;

impl Watch {
    /// Nobody.
    #[must_use]
    pub fn nobody() -> Self {
        Self(None)
    }

    /// This function, which does not wait for anything.
    #[must_use]
    pub fn new(watch: impl FnMut(&Ended) + Send + 'static) -> Self {
        Self(Some(Box::new(watch)))
    }

    fn tell(&mut self, ended: &Ended) {
        if let Some(watch) = &mut self.0 {
            watch(ended);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.is_some()).finish()
    }
}

impl Drive {
    /// Runs every input on the pool. Ends when all of them have ended and were reported, or early as asked.
    pub async fn run<I>(self, pool: &Pool, inputs: I) -> Tally
    where
        I: Stream<Item = Input> + Send + Unpin + 'static,
    {
        let Self { order, halt, requests, reports, total, watch } = self;
        let (stop, stopped) = watch::channel(false);
        // One bad input in the channel and one in the loop: the reading of inputs waits for their report.
        let (bad_inputs, bad) = mpsc::channel(1);
        let feed = Feed { inputs, stopped, bad_inputs, tasks: 0, seq: 0 };
        let records = pool.records(feed.into_tasks(), order).in_boxes();
        let state = Loop {
            pool,
            order,
            halt,
            total,
            watch,
            stop,
            bad,
            held: None,
            pending: Vec::new(),
            reported: 0,
            ending: None,
            tally: Tally::default(),
        };
        state.run(records, requests, reports).await
    }
}

/// What stands between the inputs and the pool.
struct Feed<I> {
    inputs: I,
    stopped: watch::Receiver<bool>,
    bad_inputs: mpsc::Sender<Aside>,
    /// Tasks that were handed on.
    tasks: u64,
    /// Inputs that were taken.
    seq: u64,
}

/// Something that does not go through the pool.
enum Aside {
    /// An input that has ended. In the order of the inputs it stands behind this many tasks.
    Ended { after_tasks: u64, ended: Ended },
    /// An earlier run has finished it.
    Kept { exit_code: u8 },
    /// The inputs cannot be read on.
    Lost,
}

impl<I: Stream<Item = Input> + Send + Unpin + 'static> Feed<I> {
    fn into_tasks(self) -> Pin<Box<dyn Stream<Item = Task> + Send>> {
        // With the last input goes what makes tasks of inputs, and every shared object that it would grant.
        Box::pin(stream::unfold(Some(self), |feed| async move {
            let mut feed = feed?;
            let task = feed.next().await?;
            let is_last = feed.inputs.size_hint().1 == Some(0);
            Some((task, (!is_last).then_some(feed)))
        }))
    }

    async fn next(&mut self) -> Option<Task> {
        loop {
            let input = tokio::select! {
                biased;
                _ = self.stopped.wait_for(|stopped| *stopped) => return None,
                input = self.inputs.next() => input?,
            };
            let aside = match input {
                Input::Task(task) => {
                    self.seq += 1;
                    self.tasks += 1;
                    return Some(task.tag(self.seq));
                }
                Input::Bad { name, bad } => {
                    self.seq += 1;
                    let ended = Ended { seq: self.seq, name: name.into(), ending: Ending::Bad(bad) };
                    Aside::Ended { after_tasks: self.tasks, ended }
                }
                Input::NotRun { name, because } => {
                    self.seq += 1;
                    let ending = Ending::Ran(Box::new(not_run(&name, because)));
                    let ended = Ended { seq: self.seq, name: name.into(), ending };
                    Aside::Ended { after_tasks: self.tasks, ended }
                }
                Input::Kept { exit_code } => {
                    self.seq += 1;
                    Aside::Kept { exit_code }
                }
                Input::Lost => Aside::Lost,
            };
            let is_last = matches!(aside, Aside::Lost);
            // Without a loop that receives, nobody wants the rest either.
            if self.bad_inputs.send(aside).await.is_err() || is_last {
                return None;
            }
        }
    }
}

/// The record of a task that never was one, because another one failed.
pub(super) fn not_run(name: &str, because: String) -> Record {
    Record {
        task: 0,
        tag: None,
        name: name.into(),
        attempt: 0,
        outcome: Outcome::NotRun(NotRun::DependencyFailed(because)),
        pid: None,
        worker: None,
        queued_at: SystemTime::now(),
        started_at: None,
        wall_time: Duration::ZERO,
        cpu_time: Duration::ZERO,
        peak_memory_bytes: None,
        layers: Layers::default(),
        stdout: Bytes::new(),
        stderr: Bytes::new(),
        progress: None,
        leaks: Vec::new(),
        chaos: false,
    }
}

/// The end of a pool that was told to end.
type PoolEnd = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Everything that can happen to the loop.
enum Happened<'a> {
    /// Somebody asked for an early end.
    Asked(Request),
    /// The pool ended, as it was asked to.
    PoolEnded,
    /// There is room for a report; `None` when nobody takes reports any more.
    Room(Option<mpsc::Permit<'a, Vec<Ended>>>),
    /// A task ended; `None` when all have.
    Record(Option<(u64, Box<Record>)>),
    /// Something came around the pool; `None` when nothing more will.
    Aside(Option<Aside>),
}

/// The state of the loop.
struct Loop<'a> {
    pool: &'a Pool,
    order: Order,
    halt: Option<Halt>,
    total: Option<u64>,
    watch: Watch,
    stop: watch::Sender<bool>,
    bad: mpsc::Receiver<Aside>,
    /// A bad input that waits for its turn.
    held: Option<(u64, Ended)>,
    /// What is to be reported next: records that were there together, and bad inputs between them.
    pending: Vec<Ended>,
    /// Tasks whose records were taken.
    reported: u64,
    /// The pool's end, when it was asked for.
    ending: Option<PoolEnd>,
    tally: Tally,
}

impl Loop<'_> {
    async fn run(
        mut self,
        mut records: impl Stream<Item = (u64, Box<Record>)> + Unpin,
        mut requests: mpsc::Receiver<Request>,
        reports: mpsc::Sender<Vec<Ended>>,
    ) -> Tally {
        let (mut has_records, mut has_asides) = (true, true);
        loop {
            if self.pending.is_empty() {
                self.take_asides();
            }
            if self.pending.is_empty() && !has_records {
                break;
            }
            let happened = tokio::select! {
                biased;
                Some(request) = requests.recv() => Happened::Asked(request),
                () = ended(&mut self.ending) => Happened::PoolEnded,
                room = reports.reserve(), if !self.pending.is_empty() => Happened::Room(room.ok()),
                record = records.next(), if self.pending.is_empty() => Happened::Record(record),
                aside = self.bad.recv(), if has_asides && self.held.is_none() => Happened::Aside(aside),
            };
            match happened {
                Happened::Asked(request) => self.on_request(request),
                Happened::PoolEnded => self.ending = None,
                Happened::Room(Some(room)) => room.send(std::mem::take(&mut self.pending)),
                Happened::Room(None) => {
                    self.on_output_closed().await;
                    break;
                }
                Happened::Record(Some((_, record))) => {
                    let mut bytes = self.on_record(record);
                    while self.pending.len() < REPORTED_MAX
                        && bytes < REPORTED_BYTES_MAX
                        && self.ending.is_none()
                    {
                        let Some(Some((_, record))) = records.next().now_or_never() else { break };
                        bytes += self.on_record(record);
                    }
                }
                Happened::Record(None) => has_records = false,
                Happened::Aside(Some(aside)) => self.on_aside(aside),
                Happened::Aside(None) => has_asides = false,
            }
        }
        self.tally
    }

    /// Takes the bad inputs whose turn it is. A bad input before a task is in the channel before that
    /// task's record can exist, so looking here before each record keeps the order.
    fn take_asides(&mut self) {
        loop {
            if self.held.is_none()
                && let Ok(aside) = self.bad.try_recv()
            {
                self.on_aside(aside);
            }
            let is_due = |(after_tasks, _): &mut (u64, Ended)| {
                self.order == Order::Completion || *after_tasks <= self.reported
            };
            let Some((_, ended)) = self.held.take_if(is_due) else { return };
            match &ended.ending {
                Ending::Bad(_) => self.tally.count_bad_input(),
                Ending::Ran(record) => self.tally.count(&record.outcome),
            }
            self.report(ended);
        }
    }

    fn on_aside(&mut self, aside: Aside) {
        match aside {
            Aside::Ended { after_tasks, ended } => self.held = Some((after_tasks, ended)),
            Aside::Kept { exit_code } => self.tally.keep(exit_code),
            Aside::Lost => self.tally.interrupt(Interruption::InputLost),
        }
    }

    /// Takes a record in; the bytes that are kept with it.
    fn on_record(&mut self, record: Box<Record>) -> usize {
        self.take_asides();
        self.reported += 1;
        self.tally.count(&record.outcome);
        self.tally.leak(record.leaks.len());
        let seq = record.tag.expect("every task was given its number");
        let name = Arc::clone(&record.name);
        let value = match &record.outcome {
            Outcome::Succeeded(value) => value.bytes().len(),
            _ => 0,
        };
        let bytes = value + record.stdout.len() + record.stderr.len();
        self.report(Ended { seq, name, ending: Ending::Ran(record) });
        bytes
    }

    fn report(&mut self, ended: Ended) {
        self.watch.tell(&ended);
        self.pending.push(ended);
        self.halt_if_due();
    }

    fn halt_if_due(&mut self) {
        let Some(halt) = self.halt else { return };
        let is_due = halt.is_due(self.tally.failed(), self.tally.total(), self.total);
        if self.tally.interruption().is_some() || !is_due {
            return;
        }
        self.tally.interrupt(Interruption::Halted);
        self.stop_starting();
        if halt.mode == HaltMode::Now {
            let pool = self.pool.clone();
            self.ending = Some(Box::pin(async move { pool.terminate(CancelledBy::Batch).await }));
        }
    }

    fn on_request(&mut self, request: Request) {
        self.stop_starting();
        let pool = self.pool.clone();
        self.ending = Some(match request {
            Request::Finish { interruption } => {
                self.tally.interrupt(interruption);
                Box::pin(async move { pool.terminate(CancelledBy::Caller).await })
            }
            Request::Kill => Box::pin(async move { pool.kill(CancelledBy::Caller).await }),
        });
    }

    async fn on_output_closed(&mut self) {
        self.tally.interrupt(Interruption::OutputClosed);
        self.stop_starting();
        self.pool.kill(CancelledBy::Shutdown).await;
    }

    fn stop_starting(&self) {
        // A feed that has ended does not listen any more, and need not.
        let _ = self.stop.send(true);
        self.pool.stop_starting();
    }
}

/// The end of `ending`; never, when there is none.
async fn ended(ending: &mut Option<PoolEnd>) {
    match ending {
        Some(ending) => ending.await,
        None => std::future::pending().await,
    }
}

//! Makes the tasks of a plan as they are wanted, and keeps those that run beside it.

#![forbid(unsafe_code)]

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use wasmpool::batch::BadInput;
use wasmpool::batch::drive::{Ended, Ending};
use wasmpool::batch::feeder::Maker;
use wasmpool::batch::joblog::record::Origin;
use wasmpool::batch::joblog::{self, Admission, JobLog};
use wasmpool::batch::plan::instances::{Instance, InstanceCall};
use wasmpool::batch::plan::{Call, Plan};
use wasmpool::batch::tally::Tally;
use wasmpool::batch::watchers::Watcher;
use wasmpool::outcome::{CancelledBy, Outcome};
use wasmpool::{Output, OutputSink, Pool, Task, TaskHandle};

use crate::console::Console;
use crate::reports::Reports;
use crate::run::args;
use crate::streams;

/// Makes tasks from their prototypes.
pub struct TaskMaker {
    plan: Arc<Plan>,
    /// Gone when the last task of its entry is made, and with it what it shares.
    prototypes: Vec<Option<Task>>,
    /// Where the manifest's paths begin.
    path: Box<dyn Fn(&str) -> PathBuf + Send>,
    daemons: Daemons,
    /// How many there were so far: their numbers.
    daemons_made: u64,
    /// What ran is written down here, and what earlier runs have finished is known.
    log: Option<Arc<JobLog>>,
    console: Arc<Console>,
}

impl TaskMaker {
    /// The output of tasks goes to the sink; that of commands is theirs to give.
    pub fn new(
        plan: &Arc<Plan>,
        prototypes: Vec<Task>,
        path: impl Fn(&str) -> PathBuf + Send + 'static,
        sink: &OutputSink,
        beside: (&Daemons, Option<&Arc<JobLog>>),
        console: &Arc<Console>,
    ) -> Self {
        let (daemons, log) = beside;
        let with_output = |(task, entry): (Task, &Arc<wasmpool::batch::plan::Entry>)| {
            let is_streamed = !matches!(entry.call, Call::Command { .. }) || entry.daemon;
            Some(if is_streamed { task.output(Output::Stream(sink.clone())) } else { task })
        };
        Self {
            plan: Arc::clone(plan),
            prototypes: prototypes.into_iter().zip(&plan.entries).map(with_output).collect(),
            path: Box::new(path),
            daemons: daemons.clone(),
            daemons_made: 0,
            log: log.cloned(),
            console: Arc::clone(console),
        }
    }

    /// Where the parts of a task come from that it does not know itself.
    fn origin(&self, entry: usize, instance: &Instance) -> Origin {
        let module_path = (self.path)(&self.plan.entries[entry].module.value).display().to_string();
        let Some(stdin) = &instance.stdin else {
            return Origin { module_path, stdin: "empty".to_owned(), stdin_path: None };
        };
        let path = (self.path)(stdin);
        // The file was opened a moment ago. One that is a pipe, or gone, is not the same another time.
        let digest = if path.is_file() { joblog::digest_of_file(&path).ok() } else { None };
        let stdin = digest.map_or_else(|| "unknown".to_owned(), |digest| format!("sha256:{digest}"));
        Origin { module_path, stdin, stdin_path: Some(path.display().to_string()) }
    }
}

impl Maker for TaskMaker {
    fn make(&mut self, entry: usize, instance: &Instance) -> Result<Task, BadInput> {
        let prototype = self.prototypes[entry].as_ref().expect("an entry makes no task after its last one");
        let mut task = prototype.clone().name(instance.name.clone());
        task = match instance.call.clone()? {
            InstanceCall::Arguments(arguments) => task.args(args(arguments)),
            InstanceCall::Argv(argv) => task.argv(argv),
            InstanceCall::Expression(call) => {
                let place = format!("task {}", instance.number);
                let target = prototype.module().invoke(&call);
                task.target(&target.map_err(|error| BadInput { place, reason: error.to_string() })?)
            }
        };
        if let Some(stdin) = &instance.stdin {
            let file = streams::stdin_from(&(self.path)(stdin)).map_err(|error| BadInput {
                place: format!("task {}", instance.number),
                reason: format!("cannot read `{stdin}` for its standard input: {error}"),
            })?;
            task = task.stdin(file);
        }
        Ok(task)
    }

    fn kept(&mut self, entry: usize, instance: &Instance, seq: u64, task: &Task) -> Option<u8> {
        let log = self.log.as_ref()?;
        match log.admit(seq, task, &self.origin(entry, instance)) {
            Admission::Run => None,
            Admission::Kept(exit_code) => Some(exit_code),
        }
    }

    fn finished(&mut self, entry: usize) {
        self.prototypes[entry] = None;
    }

    fn start_daemon(&mut self, entry: usize, instance: &Instance, task: Task) {
        self.daemons_made += 1;
        let task = task.tag(self.daemons_made);
        if let Some(log) = &self.log {
            log.daemon(self.daemons_made, &task, &self.origin(entry, instance));
        }
        self.daemons.start(task, &self.console);
    }

    fn lost(&mut self, entry: usize, error: &io::Error) {
        let name = &self.plan.entries[entry].name;
        self.console.error(&format!("cannot read the inputs of `{name}` on: {error}"));
    }
}

/// Tasks that run beside a batch, on a pool of their own: they take no worker from it.
#[derive(Clone, Debug)]
pub struct Daemons {
    pool: Pool,
    started: Arc<Mutex<Vec<TaskHandle>>>,
    is_over: Arc<std::sync::atomic::AtomicBool>,
}

impl Daemons {
    pub fn new(pool: Pool) -> Self {
        Self { pool, started: Arc::default(), is_over: Arc::default() }
    }

    fn started(&self) -> MutexGuard<'_, Vec<TaskHandle>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, task: Task, console: &Arc<Console>) {
        // There are fewer daemons than tasks that may wait, and the pool is closed after the last one was started.
        let Ok(handle) = self.pool.try_submit(task) else { return };
        let (console, is_over) = (Arc::clone(console), Arc::clone(&self.is_over));
        handle.on_finish(move |record| {
            if !is_over.load(std::sync::atomic::Ordering::Acquire) && !record.outcome.is_success() {
                let reason = wasmpool::report::reason(&record.outcome);
                console.say(&format!("the daemon `{}` ended before the batch: {reason}", record.name));
            }
        });
        self.started().push(handle);
    }

    /// Ends them all with the batch: each has its grace period. Those that failed by themselves count as failed.
    pub async fn finish(
        &self,
        tally: &mut Tally,
        reports: mpsc::Sender<Vec<Ended>>,
        reported: Option<&Reports>,
    ) {
        self.is_over.store(true, std::sync::atomic::Ordering::Release);
        self.pool.terminate(CancelledBy::Batch).await;
        let started = std::mem::take(&mut *self.started());
        let first = tally.total() + 1;
        for (seq, handle) in (first..).zip(started) {
            let record = handle.await;
            let has_ended_by_itself = !matches!(record.outcome, Outcome::Cancelled(_));
            let outcome = record.outcome.clone();
            let ended = Ended { seq, name: Arc::clone(&record.name), ending: Ending::Ran(Box::new(record)) };
            if has_ended_by_itself {
                tally.count(&outcome);
                if let Some(reported) = reported {
                    reported.unrun(&ended);
                }
            }
            // A reader that is gone wants no more.
            if reports.send(vec![ended]).await.is_err() {
                return;
            }
        }
    }

    /// Kills them.
    pub fn kill(&self) {
        self.started().iter().for_each(TaskHandle::kill);
    }
}

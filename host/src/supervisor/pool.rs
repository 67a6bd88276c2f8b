//! Pools of workers, with the words of Python's `multiprocessing.Pool`.

#![forbid(unsafe_code)]

mod lent;
mod mailbox;
mod records;
mod typed;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::chaos::Chaos;
use crate::limits::{AHEAD_MAX, CHUNK_CALLS_MAX, LANE_CALLS_MIN, WAITING_TASKS_MAX};
use crate::outcome::CancelledBy;
use crate::protocol::worker::Initializer;
use crate::supervisor::call::{Assignment, Reply};
use crate::supervisor::cgroup::{Enclosure, PoolLimits};
use crate::supervisor::event::{Command, PoolId, Stop};
use crate::supervisor::handle::{HandleState, TaskHandle};
use crate::supervisor::observer::{AttemptEvent, Observer, OnAttempt};
use crate::supervisor::scheduler::Staffing;
use crate::supervisor::task::Task;
use crate::supervisor::{Supervisor, SupervisorError};
use crate::sync::Grant;

pub(in crate::supervisor) use lent::Lent;
pub(in crate::supervisor) use mailbox::{ChunkMail, Mailbox, RecordMail};
pub use records::{Order, Records};
pub use typed::{MapHandle, TaskFailed, Values};

/// How workers are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StartMethod {
    /// Forked by a fork server that has loaded the module: fast.
    #[default]
    ForkServer,
    /// A newly executed process for each worker: an address layout of its own, slower.
    Spawn,
}

/// What the dispatcher knows of a pool.
#[derive(Clone, Debug)]
pub(super) struct PoolSettings {
    pub(super) workers: usize,
    pub(super) max_tasks_per_worker: usize,
    /// Whether workers are forked ahead of need.
    pub(super) ahead: bool,
    /// What streams of records are told of tasks that wait.
    pub(super) lent: Arc<Lent>,
    /// The cgroup around its processes.
    pub(super) enclosure: Enclosure,
    /// Who watches its attempts.
    pub(super) observer: Option<Arc<Observer>>,
    /// Which of its attempts are killed.
    pub(super) chaos: Option<Chaos>,
}

impl PoolSettings {
    /// The settings of the pool behind plain processes: as many as are started, none ahead of need.
    pub(super) fn for_processes() -> Self {
        let (workers, lent) = (usize::MAX, Arc::default());
        let enclosure = Enclosure::make(&PoolLimits::default(), workers);
        Self { workers, max_tasks_per_worker: 1, ahead: false, lent, enclosure, observer: None, chaos: None }
    }

    pub(super) fn staffing(&self) -> Staffing {
        let spares = if self.ahead { self.workers } else { usize::MAX };
        let (workers, ahead, reused) = (self.workers, self.ahead, self.max_tasks_per_worker > 1);
        Staffing { workers, spares, reused, ahead }
    }
}

/// Makes a [`Pool`]; `Pool::builder()` lists every default.
#[derive(Clone)]
pub struct PoolBuilder {
    supervisor: Option<Supervisor>,
    workers: usize,
    max_tasks_per_worker: usize,
    start_method: StartMethod,
    chunksize: usize,
    initializer: Option<Task>,
    limits: PoolLimits,
    on_attempt: Option<OnAttempt>,
    chaos: Option<Chaos>,
}

impl std::fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolBuilder").field("workers", &self.workers).finish_non_exhaustive()
    }
}

impl PoolBuilder {
    /// The supervisor that owns the pool. The global one by default.
    #[must_use]
    pub fn supervisor(mut self, supervisor: &Supervisor) -> Self {
        self.supervisor = Some(supervisor.clone());
        self
    }

    /// How many tasks run at one time. [`cpu_count`](crate::cpu_count) by default; at least 1.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// How many tasks (or chunks) a worker runs, one after the other and each in a fresh instance,
    /// before it is replaced. 1 by default: a process for each task.
    #[must_use]
    pub fn max_tasks_per_worker(mut self, tasks: usize) -> Self {
        self.max_tasks_per_worker = tasks.max(1);
        self
    }

    /// How workers are made. Forked by default.
    #[must_use]
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.start_method = method;
        self
    }

    /// How many calls of `map` and its kind share a process and an instance. 1 by default, at most 4096.
    /// State that one call leaves in the guest's memory is seen by the next of its chunk.
    #[must_use]
    pub fn chunksize(mut self, calls: usize) -> Self {
        self.chunksize = calls.clamp(1, CHUNK_CALLS_MAX);
        self
    }

    /// An SDK task that runs in each fresh instance before its task. It belongs to the module of the
    /// tasks that the pool runs. What it may use (Python's `initargs=(lock,)`), they may use too.
    #[must_use]
    pub fn initializer(mut self, task: Task) -> Self {
        self.initializer = Some(task);
        self
    }

    /// Memory of all of the pool's processes together, in bytes, whatever each task may use. What is beyond it makes the
    /// kernel end the largest of them (228). By default 80 % of what the machine has, or the cgroup that this program
    /// runs in. It takes a cgroup: when it is set and none can be made, tasks fail (247) unless their sandbox is
    /// `BestEffort`.
    #[must_use]
    pub fn memory_bytes_max(mut self, bytes: u64) -> Self {
        self.limits.memory_bytes_max = Some(bytes);
        self
    }

    /// CPU time of all of the pool's processes together, in CPUs: 1.5 is one and a half. None by default. It takes a
    /// cgroup, as [`memory_bytes_max`](Self::memory_bytes_max) does.
    #[must_use]
    pub fn cpus_max(mut self, cpus: f64) -> Self {
        self.limits.cpus_max = Some(cpus);
        self
    }

    /// Calls this with each start and each end of an attempt, in their order, on a thread of its own; of tasks that tasks
    /// submit too. Only after it has returned from a task's last event does anybody else get the task's record, so
    /// it must not wait for a task of this pool. While it is 1024 events behind, nothing more is started. A panic in it is
    /// logged.
    #[must_use]
    pub fn on_attempt(mut self, observer: impl Fn(&AttemptEvent) + Send + Sync + 'static) -> Self {
        self.on_attempt = Some(Arc::new(observer));
        self
    }

    /// A test aid: kills workers at random, so that you can see what your program makes of it. An attempt that was killed
    /// has the outcome `Killed(9)`, as if somebody else had done it, and its record says so ([`Record::chaos`]).
    ///
    /// [`Record::chaos`]: crate::outcome::Record::chaos
    #[must_use]
    pub fn chaos(mut self, chaos: Chaos) -> Self {
        self.chaos = Some(chaos);
        self
    }

    /// Makes the pool, and its cgroup where one can be made. No process is started before the first task.
    ///
    /// # Errors
    ///
    /// When there is no supervisor, the initializer is no task of the SDK, or there is no thread for the observer.
    pub fn build(self) -> Result<Pool, SupervisorError> {
        let supervisor = match self.supervisor {
            Some(supervisor) => supervisor,
            None => Supervisor::global()?,
        };
        let initializer = match &self.initializer {
            None => None,
            Some(task) => Some(task.as_initializer().ok_or(SupervisorError::Initializer)?),
        };
        let (workers, max_tasks_per_worker) = (self.workers, self.max_tasks_per_worker);
        let lent = Arc::<Lent>::default();
        let enclosure = Enclosure::make(&self.limits, workers);
        let pool = supervisor.new_id();
        let observer = self.on_attempt.map(|on_attempt| supervisor.observer(pool, on_attempt)).transpose()?;
        let settings = PoolSettings {
            workers,
            max_tasks_per_worker,
            ahead: true,
            lent: Arc::clone(&lent),
            enclosure,
            observer: observer.clone(),
            chaos: self.chaos,
        };
        supervisor.command(Command::OpenPool { pool, settings });
        let inner = Inner {
            pool,
            supervisor,
            start_method: self.start_method,
            initializer,
            initializer_grants: self.initializer.map(Task::into_grants).unwrap_or_default(),
            chunksize: self.chunksize,
            chunks_ahead: chunks_ahead(max_tasks_per_worker, self.chunksize),
            workers: std::sync::atomic::AtomicUsize::new(workers),
            room: Arc::new(Semaphore::new(WAITING_TASKS_MAX)),
            lent,
            observer,
        };
        Ok(Pool(Arc::new(inner)))
    }
}

/// A worker that is used again is given some chunks ahead, unless each keeps it busy for long anyway.
fn chunks_ahead(max_tasks_per_worker: usize, chunksize: usize) -> usize {
    if max_tasks_per_worker > 1 && chunksize < LANE_CALLS_MIN { 2 + AHEAD_MAX } else { 2 }
}

#[derive(Debug)]
struct Inner {
    pool: PoolId,
    supervisor: Supervisor,
    start_method: StartMethod,
    initializer: Option<Initializer>,
    /// What the initializer may use, and so each task.
    initializer_grants: Vec<Grant>,
    chunksize: usize,
    /// Chunks that a stream of tasks submits for each worker: one that runs, one that is next, and what a worker that is
    /// used again is given ahead.
    chunks_ahead: usize,
    workers: std::sync::atomic::AtomicUsize,
    room: Arc<Semaphore>,
    lent: Arc<Lent>,
    observer: Option<Arc<Observer>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.supervisor.command(Command::Close { pool: self.pool });
        let (how, by) = (Stop::Interrupt, CancelledBy::Shutdown);
        self.supervisor.command(Command::StopAll { pool: self.pool, how, by });
    }
}

/// A pool of workers that run tasks, each in a process of its own. Clones share it.
///
/// Dropping the last clone ends the pool as Python's `with Pool()` does: tasks that wait are cancelled,
/// running ones are interrupted (and killed 200 ms later), workers end. The drop itself does not wait;
/// [`Pool::join`] does.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Inner>);

/// The pool is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pool is closed")]
pub struct Closed;

/// Why a task was not taken at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrySubmitError {
    /// The pool is closed.
    #[error("the pool is closed")]
    Closed,
    /// As many tasks wait as may wait (10 000).
    #[error("as many tasks wait as may wait")]
    Full,
}

impl Pool {
    /// A builder with every default: a worker for each CPU, a process for each task, forked, chunks of 1.
    #[must_use]
    pub fn builder() -> PoolBuilder {
        PoolBuilder {
            supervisor: None,
            workers: crate::cpu_count(),
            max_tasks_per_worker: 1,
            start_method: StartMethod::default(),
            chunksize: 1,
            initializer: None,
            limits: PoolLimits::default(),
            on_attempt: None,
            chaos: None,
        }
    }

    /// A pool of this many workers, everything else by default.
    ///
    /// # Errors
    ///
    /// When there is no supervisor.
    pub fn new(workers: NonZeroUsize) -> Result<Self, SupervisorError> {
        Self::builder().workers(workers.get()).build()
    }

    /// Submits a task; waits while 10 000 tasks wait already.
    ///
    /// # Errors
    ///
    /// When the pool is closed.
    pub async fn submit(&self, task: Task) -> Result<TaskHandle, Closed> {
        let room = Arc::clone(&self.0.room).acquire_owned().await.map_err(|_| Closed)?;
        Ok(self.submit_with(self.lend(task), room))
    }

    /// Submits a task if it may wait.
    ///
    /// # Errors
    ///
    /// When the pool is closed, or as many tasks wait as may wait.
    pub fn try_submit(&self, task: Task) -> Result<TaskHandle, TrySubmitError> {
        use tokio::sync::TryAcquireError;
        let room = Arc::clone(&self.0.room).try_acquire_owned().map_err(|error| match error {
            TryAcquireError::Closed => TrySubmitError::Closed,
            TryAcquireError::NoPermits => TrySubmitError::Full,
        })?;
        Ok(self.submit_with(self.lend(task), room))
    }

    fn submit_with(&self, task: Task, room: OwnedSemaphorePermit) -> TaskHandle {
        let (state, id) = (HandleState::new(), self.0.supervisor.new_id());
        let handle = TaskHandle::new(id, task.shared_name(), Arc::clone(&state), self.0.supervisor.clone());
        let (now, reply, shape) = (SystemTime::now(), Reply::Handle(state), self.shape(&task));
        if let Some(mut call) = task.call(id, now, reply, self.0.observer.as_ref()) {
            call.room = Some(room);
            self.dispatch(Assignment { shape: Arc::new(shape), calls: vec![call] });
        }
        handle
    }

    /// The task with what the initializer may use.
    fn lend(&self, task: Task) -> Task {
        self.0.initializer_grants.iter().fold(task, |task, grant| task.grant(grant.clone()))
    }

    fn shape(&self, task: &Task) -> crate::supervisor::call::CallShape {
        task.shape(self.0.start_method, self.0.initializer.clone())
    }

    fn dispatch(&self, assignment: Assignment) {
        let (pool, assignment) = (self.0.pool, Box::new(assignment));
        self.0.supervisor.command(Command::Submit { pool, assignment });
    }

    /// No more tasks are taken; what was submitted goes on.
    pub fn close(&self) {
        self.0.room.close();
        self.0.supervisor.command(Command::Close { pool: self.0.pool });
    }

    /// Waits until nothing waits or runs any more.
    pub async fn join(&self) {
        let (reply, joined) = oneshot::channel();
        self.0.supervisor.command(Command::Join { pool: self.0.pool, reply });
        // A dispatcher that has ended has nothing left.
        let _ = joined.await;
        if let Some(observer) = &self.0.observer {
            // So has its thread.
            let _ = observer.flush().await;
        }
    }

    /// Ends every task: those that wait are cancelled, running ones are asked to stop, interrupted after
    /// their grace period and killed 200 ms later. Waits until all have ended.
    pub async fn terminate(&self, by: CancelledBy) {
        self.close();
        self.stop_all(Stop::Terminate, by);
        self.join().await;
    }

    /// Like `terminate`, without asking: workers are killed.
    pub async fn kill(&self, by: CancelledBy) {
        self.close();
        self.stop_all(Stop::Kill, by);
        self.join().await;
    }

    fn stop_all(&self, how: Stop, by: CancelledBy) {
        self.0.supervisor.command(Command::StopAll { pool: self.0.pool, how, by });
    }

    /// Tasks that wait end as cancelled because the batch was halted; running ones go on.
    pub fn stop_starting(&self) {
        let by = CancelledBy::Batch;
        self.0.supervisor.command(Command::DropWaiting { pool: self.0.pool, by });
    }

    /// Another number of workers. Running tasks are not disturbed.
    pub fn resize(&self, workers: usize) {
        let workers = workers.max(1);
        self.0.workers.store(workers, std::sync::atomic::Ordering::Relaxed);
        self.0.supervisor.command(Command::Resize { pool: self.0.pool, workers });
    }

    /// How many tasks run at one time.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.0.workers.load(std::sync::atomic::Ordering::Relaxed)
    }
}

//! One task in a process of its own, with the words of Python's `multiprocessing.Process`.

#![forbid(unsafe_code)]

use std::future::{Future, IntoFuture};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::outcome::{CancelledBy, Outcome, Record};
use crate::supervisor::call::{Assignment, Reply};
use crate::supervisor::event::{Command, Stop};
use crate::supervisor::handle::{Finished, HandleState, TaskHandle};
use crate::supervisor::pool::StartMethod;
use crate::supervisor::task::Task;
use crate::supervisor::{Supervisor, SupervisorError};

/// Numbers the processes that were given no name.
static NEXT_NAME: AtomicU64 = AtomicU64::new(1);

/// A task that is to run in a process of its own. It is started once: `start` takes it.
#[derive(Clone, Debug)]
pub struct Process {
    task: Task,
    name: Option<String>,
    daemon: bool,
    start_method: StartMethod,
    is_alone: bool,
    supervisor: Option<Supervisor>,
}

impl Process {
    /// Named `Process-N`, not a daemon, forked, of the global supervisor.
    #[must_use]
    pub fn new(task: Task) -> Self {
        let start_method = StartMethod::default();
        Self { task, name: None, daemon: false, start_method, is_alone: false, supervisor: None }
    }

    /// Its name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether it is ended with its [`Scope`] instead of waited for.
    #[must_use]
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.daemon = daemon;
        self
    }

    /// How its process is made.
    #[must_use]
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.start_method = method;
        self
    }

    /// Says that it is the only one of its kind, so that a fork server would be started for it alone: it is made by
    /// [`StartMethod::Spawn`] then, unless its task may be tried again or its module has to be initialised first. Tasks
    /// that its task submits are forked all the same.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.is_alone = true;
        self
    }

    /// The supervisor that owns it.
    #[must_use]
    pub fn supervisor(mut self, supervisor: &Supervisor) -> Self {
        self.supervisor = Some(supervisor.clone());
        self
    }

    /// Starts it and returns at once.
    ///
    /// # Errors
    ///
    /// When there is no supervisor. Everything that goes wrong later is in its outcome.
    pub fn start(self) -> Result<RunningProcess, SupervisorError> {
        let supervisor = match self.supervisor {
            Some(supervisor) => supervisor,
            None => Supervisor::global()?,
        };
        let name =
            self.name.unwrap_or_else(|| format!("Process-{}", NEXT_NAME.fetch_add(1, Ordering::Relaxed)));
        let task = self.task.name(name);
        let (state, id) = (HandleState::new(), supervisor.new_id());
        let handle = TaskHandle::new(id, task.shared_name(), Arc::clone(&state), supervisor.clone());
        let mut shape = task.shape(self.start_method, None);
        if self.is_alone && !task.may_be_retried() && !task.module().info().has_init() {
            shape.start_method = StartMethod::Spawn;
        }
        if let Some(call) = task.call(id, SystemTime::now(), Reply::Handle(state), None) {
            let shape = Arc::new(shape);
            let assignment = Box::new(Assignment { shape, calls: vec![call] });
            supervisor.command(Command::Submit { pool: supervisor.process_pool(), assignment });
        }
        Ok(RunningProcess { handle, daemon: self.daemon })
    }
}

/// A process that was started. Dropping it lets it go on; awaiting it joins it.
#[derive(Clone, Debug)]
pub struct RunningProcess {
    handle: TaskHandle,
    daemon: bool,
}

impl RunningProcess {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.handle.name()
    }

    /// Its process id, once it has a process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.handle.pid()
    }

    /// Whether it is ended with its scope.
    #[must_use]
    pub fn is_daemon(&self) -> bool {
        self.daemon
    }

    /// True until it has ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.handle.is_finished()
    }

    /// Waits for its end.
    pub async fn join(&self) -> Record {
        (&self.handle).await
    }

    /// Waits for its end for at most this long; `None` if it goes on. Needs a runtime with a timer.
    pub async fn join_timeout(&self, timeout: Duration) -> Option<Record> {
        tokio::time::timeout(timeout, self.join()).await.ok()
    }

    /// How it ended; `None` while it runs.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.handle.try_record().map(|record| record.outcome)
    }

    /// Python's `exitcode`: `None` while it runs, `-N` when signal N killed it, else the exit code.
    #[must_use]
    pub fn exitcode(&self) -> Option<i32> {
        self.outcome().map(|outcome| outcome.python_exitcode())
    }

    /// Asks it to stop, interrupts it after its grace period, kills it 200 ms later.
    pub fn terminate(&self) {
        self.handle.terminate();
    }

    /// Kills it.
    pub fn kill(&self) {
        self.handle.kill();
    }

    /// The handle of its task.
    #[must_use]
    pub fn handle(&self) -> &TaskHandle {
        &self.handle
    }

    /// A descriptor that becomes readable when its process ends (Python's `sentinel`); `None` while it
    /// has no process, and after its end.
    #[must_use]
    pub fn pidfd(&self) -> Option<OwnedFd> {
        let pid = i32::try_from(self.pid()?).ok().and_then(rustix::process::Pid::from_raw)?;
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()?;
        // The number could have been given to another process if this one has ended.
        self.is_alive().then_some(pidfd)
    }
}

impl IntoFuture for RunningProcess {
    type Output = Record;
    type IntoFuture = Finished;

    fn into_future(self) -> Finished {
        self.handle.into_future()
    }
}

/// Waits for all of them.
pub async fn join_all(processes: impl IntoIterator<Item = RunningProcess>) -> Vec<Record> {
    futures_util::future::join_all(processes.into_iter().map(IntoFuture::into_future)).await
}

/// Processes that end with a block of code; see [`scope`].
#[derive(Clone, Debug, Default)]
pub struct Scope {
    started: Arc<Mutex<Vec<RunningProcess>>>,
}

impl Scope {
    /// Starts a process that belongs to the scope.
    ///
    /// # Errors
    ///
    /// As [`Process::start`].
    pub fn start(&self, process: Process) -> Result<RunningProcess, SupervisorError> {
        let running = process.start()?;
        self.started.lock().unwrap_or_else(PoisonError::into_inner).push(running.clone());
        Ok(running)
    }

    pub(crate) fn take(&self) -> (Vec<RunningProcess>, Vec<RunningProcess>) {
        let started = std::mem::take(&mut *self.started.lock().unwrap_or_else(PoisonError::into_inner));
        started.into_iter().partition(RunningProcess::is_daemon)
    }

    /// Ends what is left when the block of code was left early.
    fn abandon(&self) {
        let (daemons, others) = self.take();
        for process in daemons.iter().chain(&others) {
            process.handle.supervisor_stop(Stop::Interrupt, CancelledBy::Shutdown);
        }
    }
}

/// Runs `body`; at its end waits for every process that it started in the scope and ends the daemons.
/// When the future is dropped before that, all of them are ended.
pub async fn scope<F, T>(body: impl FnOnce(Scope) -> F) -> T
where
    F: Future<Output = T>,
{
    struct Guard(Scope);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.abandon();
        }
    }
    let guard = Guard(Scope::default());
    let value = body(guard.0.clone()).await;
    let (daemons, others) = guard.0.take();
    join_all(others).await;
    for daemon in &daemons {
        daemon.kill();
    }
    join_all(daemons).await;
    value
}

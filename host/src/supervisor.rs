//! The supervisor: the library inside the embedding program. It never parses, compiles or runs guest
//! code; it starts the processes that do, believes what the kernel says of them, and judges.
//!
//! Never names `wasmtime` or `worker`.

#![forbid(unsafe_code)]

mod artifact_store;
mod background;
mod call;
mod cgroup;
mod deadlock;
mod dispatcher;
mod event;
mod fork_client;
mod handle;
mod inbox;
mod line;
mod module;
mod observer;
mod output;
pub(crate) mod parking;
pub(crate) mod pool;
pub(crate) mod process;
mod scheduler;
mod task;
mod timers;
mod verdict;
mod worker_handle;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::limits::CACHE_WRITE_TIME_MAX;
use crate::outcome::{StartFailed, StartFailure};
use crate::policy::{Layer, SandboxMode};
use artifact_store::{ArtifactStore, CacheSettings};
use dispatcher::{Dispatcher, Settings};
use event::{Command, Event, PoolId, ProgramSettings, Stop};
use inbox::Inbox;
use observer::{Observer, OnAttempt};
use pool::PoolSettings;

pub use cgroup::memory_bytes;
pub use event::ChildInfo;
pub use handle::{Finished, TaskHandle};
pub use module::{LoadError, Module, ModuleSource, Target, TargetError};
pub use observer::AttemptEvent;
pub use output::{Output, OutputChunk, OutputReader, OutputSink, StandardStream, output_channel};
pub use task::{Task, TaskDescription, TaskError};

/// Why nothing can be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SupervisorError {
    /// The library does not know which program its children are.
    #[error(
        "no worker program is known: call `wasmpool::init()` as the first line of `main`, or give the path \
         of the installed `wasmpool` program with `Supervisor::builder().program(path)` or in the \
         environment variable `WASMPOOL_PROGRAM`"
    )]
    NoProgram,
    /// A descriptor or a thread could not be had.
    #[error("the supervisor could not be started: {0}")]
    System(String),
    /// A pool's initializer is no task of the SDK, or its arguments do not fit.
    #[error("a pool's initializer must be a function marked with `#[task]`, with arguments that fit it")]
    Initializer,
}

/// Makes a [`Supervisor`]; `Supervisor::builder()` lists every default.
#[derive(Clone, Debug)]
pub struct SupervisorBuilder {
    program: Option<PathBuf>,
    cache: CacheSettings,
    fork_servers_max: usize,
    forks_per_server_max: u64,
    compile_time: Option<Duration>,
    compile_memory_bytes: Option<u64>,
    compile_sandbox: SandboxMode,
    fault: Option<String>,
}

impl SupervisorBuilder {
    /// The installed `wasmpool` program, for embedders that do not call [`init`](crate::init).
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// The folder of compiled modules. `wasmpool` in the user's cache folder by default.
    #[must_use]
    pub fn cache_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache.folder = Some(folder.into());
        self
    }

    /// Keeps no compiled modules.
    #[must_use]
    pub fn no_cache(mut self) -> Self {
        self.cache.folder = None;
        self
    }

    /// Bytes of all compiled modules in the cache together; 1 GiB by default. Those that were used longest ago go first.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache.bytes_max = bytes;
        self
    }

    /// How many fork servers live at one time. 16 by default; the least recently used is retired first.
    #[must_use]
    pub fn fork_servers_max(mut self, servers: usize) -> Self {
        self.fork_servers_max = servers.max(1);
        self
    }

    /// How many workers a fork server forks before another takes its place, with another address layout. 100 000
    /// by default; its workers share one.
    #[must_use]
    pub fn forks_per_server_max(mut self, forks: u64) -> Self {
        self.forks_per_server_max = forks.max(1);
        self
    }

    /// CPU time for compiling one module. 30 s and 2 s for each MiB of module by default.
    #[must_use]
    pub fn compile_time(mut self, time: Duration) -> Self {
        self.compile_time = Some(time);
        self
    }

    /// Memory for compiling one module, in bytes. 1 GiB and 32 MiB for each MiB of module by default.
    #[must_use]
    pub fn compile_memory(mut self, bytes: u64) -> Self {
        self.compile_memory_bytes = Some(bytes);
        self
    }

    /// How much of the sandbox must stand around whoever parses and compiles modules. Required by default.
    #[must_use]
    pub fn compile_sandbox(mut self, mode: SandboxMode) -> Self {
        self.compile_sandbox = mode;
        self
    }

    /// Where and how children are to fail. Programs without debug assertions ignore it.
    #[doc(hidden)]
    #[must_use]
    pub fn fault(mut self, fault: impl Into<String>) -> Self {
        self.fault = Some(fault.into());
        self
    }

    /// Starts the supervisor's thread.
    ///
    /// # Errors
    ///
    /// When no worker program is known, or a thread or descriptor cannot be had.
    pub fn build(self) -> Result<Supervisor, SupervisorError> {
        crate::init::refuse_in_child();
        let program = self.program.or_else(crate::init::program).ok_or(SupervisorError::NoProgram)?;
        let system = |error: std::io::Error| SupervisorError::System(error.to_string());
        let store = ArtifactStore::new(self.cache, &program);
        let mut settings = Settings::new(ProgramSettings { program, fault: self.fault }, store);
        settings.fork_servers_max = self.fork_servers_max;
        settings.forks_per_server_max = self.forks_per_server_max;
        settings.compile_time = self.compile_time;
        settings.compile_memory_bytes = self.compile_memory_bytes;
        settings.compile_sandbox = self.compile_sandbox;
        let inbox = Arc::new(Inbox::new().map_err(system)?);
        let dispatcher = Dispatcher::new(settings, Arc::clone(&inbox)).map_err(system)?;
        let thread = std::thread::Builder::new().name("wasmpool-dispatcher".to_owned());
        let thread = thread.spawn(move || dispatcher.run()).map_err(system)?;
        let inner = Inner { inbox, process_pool: OnceLock::new(), thread: Mutex::new(Some(thread)) };
        Ok(Supervisor(Arc::new(inner)))
    }
}

struct Inner {
    inbox: Arc<Inbox>,
    process_pool: OnceLock<PoolId>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Inner {
    /// Ends everything and waits for it. Running tasks get their grace period.
    fn shut_down(&self, how: Stop) {
        self.inbox.post(Event::Command(Command::Shutdown { how }));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            // A dispatcher that panicked has left nothing to wait for.
            let _ = thread.join();
            // A program that ends at once would leave the next one to compile the same module.
            background::STORE.finish(CACHE_WRITE_TIME_MAX);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shut_down(Stop::Terminate);
    }
}

/// Owns the dispatcher, the fork servers, the artifact cache and every worker. Clones share it.
///
/// Dropping the last clone ends everything that it owns within the tasks' grace period and waits for
/// it. When the whole process ends, in whatever way, the kernel ends its workers.
#[derive(Clone)]
pub struct Supervisor(Arc<Inner>);

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").finish_non_exhaustive()
    }
}

impl Supervisor {
    /// A builder with every default.
    #[must_use]
    pub fn builder() -> SupervisorBuilder {
        SupervisorBuilder {
            program: None,
            cache: CacheSettings {
                folder: ArtifactStore::default_folder(),
                bytes_max: crate::limits::CACHE_BYTES,
            },
            fork_servers_max: crate::limits::FORK_SERVERS_MAX,
            forks_per_server_max: crate::limits::FORKS_PER_SERVER_MAX,
            compile_time: None,
            compile_memory_bytes: None,
            compile_sandbox: SandboxMode::default(),
            fault: None,
        }
    }

    /// The supervisor that serves everything that names no other. It is started by its first use.
    ///
    /// # Errors
    ///
    /// As [`SupervisorBuilder::build`].
    pub fn global() -> Result<Self, SupervisorError> {
        static GLOBAL: Mutex<Option<Supervisor>> = Mutex::new(None);
        let mut global = GLOBAL.lock().unwrap_or_else(PoisonError::into_inner);
        match &*global {
            Some(supervisor) => Ok(supervisor.clone()),
            None => Ok(global.insert(Self::builder().build()?).clone()),
        }
    }

    /// Loads a module: from the cache, or by compiling it in a process of its own.
    ///
    /// # Errors
    ///
    /// When there is no such file, or the module is invalid or too costly to compile.
    pub async fn load(&self, source: impl Into<ModuleSource>) -> Result<Module, LoadError> {
        let source = source.into().read()?;
        let (reply, loaded) = oneshot::channel();
        self.command(Command::Load { module: Arc::clone(&source), reply });
        match loaded.await {
            Ok(Ok(artifact)) => Ok(Module::new(source, artifact)),
            Ok(Err(cause)) => Err(LoadError::of(&source.name, cause)),
            Err(_) => Err(LoadError::new(&source.name, StartFailure::Worker, "the supervisor has ended")),
        }
    }

    /// The tasks that run, with the processes they run in.
    pub async fn active_children(&self) -> Vec<ChildInfo> {
        let (reply, children) = oneshot::channel();
        self.command(Command::Children { reply });
        children.await.unwrap_or_default()
    }

    /// Each layer of the sandbox, and why this machine cannot give it if it cannot; tried in a process of
    /// its own.
    ///
    /// # Errors
    ///
    /// When that process cannot be started.
    pub async fn doctor(&self) -> Result<Vec<(Layer, Result<(), String>)>, StartFailed> {
        let (reply, examined) = oneshot::channel();
        self.command(Command::Doctor { reply });
        let ended =
            || StartFailed { kind: StartFailure::Worker, detail: "the supervisor has ended".to_owned() };
        let layers = examined.await.map_err(|_| ended())??;
        let of_process = layers.into_iter().map(|(layer, missing)| (layer, missing.map_or(Ok(()), Err)));
        Ok(of_process.chain([(Layer::Cgroup, cgroup::examine())]).collect())
    }

    /// Ends everything: tasks are asked to stop, interrupted after their grace period, killed 200 ms later.
    /// Blocks until nothing is left.
    pub fn shut_down(&self) {
        self.0.shut_down(Stop::Terminate);
    }

    /// A number that names a task or a pool.
    fn new_id(&self) -> u64 {
        self.0.inbox.new_task()
    }

    fn command(&self, command: Command) {
        self.0.inbox.post(Event::Command(command));
    }

    /// Starts the thread that shows a pool's attempts to whoever watches them.
    fn observer(&self, pool: PoolId, on_attempt: OnAttempt) -> Result<Arc<Observer>, SupervisorError> {
        Observer::start(pool, Arc::clone(&self.0.inbox), on_attempt)
            .map_err(|error| SupervisorError::System(error.to_string()))
    }

    /// The pool behind plain processes.
    fn process_pool(&self) -> PoolId {
        *self.0.process_pool.get_or_init(|| {
            let pool = self.new_id();
            self.command(Command::OpenPool { pool, settings: PoolSettings::for_processes() });
            pool
        })
    }
}

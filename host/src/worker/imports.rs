//! What a guest may import: WASI and the interfaces of `wasmpool:task`, and the state behind them.
//!
//! Grants nothing by itself: everything comes from the [`HostConfig`]. No import here ever starts a
//! thread, because a worker is denied `clone`: wasmtime-wasi's synchronous linkers build a multi-thread
//! runtime, and its file streams, standard streams and `poll_oneoff` on files go through a thread pool.
//! So the asynchronous linkers are used under a runtime of one thread, and those parts are ours. They
//! may block, because the guest is all that the thread has to do; the supervisor's timer ends a guest
//! that waits too long.

#![forbid(unsafe_code)]

mod chunk;
mod clock;
mod cross_device;
mod dirs;
mod file_stream;
mod net;
mod poll_oneoff;
mod random;
mod stdin;
mod stdout;
mod sync;
mod task;
mod turn;
mod wasi;

#[cfg(test)]
mod tests;

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use wasmtime_wasi::{WasiCtxView, WasiView};

pub(crate) use self::dirs::GrantedDir;
pub(crate) use self::random::draw_first;
pub(crate) use self::sync::{Grants, Shared};
use crate::outcome::Panic;
use crate::policy::NetRule;
use crate::protocol::worker::LogLevel;
use crate::worker::calls::Calls;
use crate::worker::limiter::Limiter;
use crate::worker::link::Link;

/// The core modules that offer WASI preview 1 and its forerunner.
const PREVIEW_1: &str = "wasi_snapshot_preview1";
const PREVIEW_0: &str = "wasi_unstable";

/// What of the host every guest of this process may use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outside {
    pub(crate) dirs: Arc<[GrantedDir]>,
    pub(crate) nets: Arc<[NetRule]>,
}

/// What one fresh instance is given.
#[derive(Debug)]
pub(crate) struct HostConfig {
    pub(crate) task: u64,
    pub(crate) attempt: u32,
    pub(crate) name: String,
    pub(crate) worker_name: String,
    /// WASI command-line arguments, the program's own name first.
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// Standard input; without it, it is empty.
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) outside: Outside,
    /// The lowest level of log records that the host wants; `None` when it wants none.
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) shared: Shared,
    pub(crate) link: Arc<Link>,
    pub(crate) limiter: Limiter,
    /// What random numbers are made from, with clocks that are fixed.
    pub(crate) deterministic: Option<u64>,
}

impl HostConfig {
    fn wasi(&mut self, stdin: &stdin::Stdin) -> wasi::Config {
        wasi::Config {
            argv: std::mem::take(&mut self.argv),
            env: std::mem::take(&mut self.env),
            stdin: stdin.clone(),
            outside: self.outside.clone(),
            link: self.link.clone(),
            deterministic: self.deterministic,
        }
    }

    /// What belongs to the task and not to the instance.
    fn of_the_task(self) -> (task::TaskContext, sync::Session, Arc<[NetRule]>, Limiter) {
        let result_bytes = self.limiter.limits().result_bytes;
        let shared = sync::Session::new(self.shared, self.task, self.link.clone(), result_bytes);
        let task = task::TaskContext {
            id: self.task,
            attempt: self.attempt,
            name: self.name,
            worker_name: self.worker_name,
            log_level: self.log_level,
            link: self.link,
        };
        (task, shared, self.outside.nets, self.limiter)
    }
}

/// What a store holds: the WASI context of one instance, and its task.
pub(crate) struct HostState {
    wasi: wasi::Wasi,
    /// Shared with the WASI context, for `poll_oneoff`.
    stdin: stdin::Stdin,
    task: task::TaskContext,
    shared: sync::Session,
    /// The addresses that it was granted, for their names.
    nets: Arc<[NetRule]>,
    panic: Option<Panic>,
    pub(crate) limiter: Limiter,
    /// The calls of its assignment, once they run.
    pub(crate) calls: Option<Arc<Calls>>,
}

impl fmt::Debug for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostState").field("task", &self.task).finish_non_exhaustive()
    }
}

/// The guest asked to exit with this code. Host functions return it as the error that unwinds the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("exited with code {0}")]
pub(crate) struct Exit(pub(crate) u32);

impl HostState {
    /// The state of one fresh instance.
    ///
    /// # Errors
    ///
    /// When a granted directory cannot be opened.
    pub(crate) fn new(mut config: HostConfig) -> wasmtime::Result<Self> {
        let stdin = stdin::Stdin::new(config.stdin.take());
        let wasi = wasi::Wasi::new(config.wasi(&stdin))?;
        let (task, shared, nets, limiter) = config.of_the_task();
        Ok(Self { wasi, stdin, task, shared, nets, panic: None, limiter, calls: None })
    }

    /// Gives an instance that was made before its task to the task: everything is the task's from here on, but the WASI
    /// handles that the guest holds already, and what it was given of memory and tables, which count against its limits.
    ///
    /// # Errors
    ///
    /// As for [`HostState::new`].
    pub(crate) fn give_to(&mut self, mut config: HostConfig) -> wasmtime::Result<()> {
        self.stdin.fill(config.stdin.take());
        self.wasi.give_to(config.wasi(&self.stdin))?;
        config.limiter.take_over(&self.limiter);
        (self.task, self.shared, self.nets, self.limiter) = config.of_the_task();
        self.panic = None;
        Ok(())
    }

    /// Interrupts until now were for earlier assignments. Call it after the epoch's deadline was set: an
    /// interrupt in between is the epoch's.
    pub(crate) fn forget_interrupts(&self) {
        self.shared.forget_interrupts();
    }

    /// What the guest was told last of a message that was over its limit, if that was the last error of a shared object.
    pub(crate) fn refused_message(&self) -> Option<String> {
        self.shared.refused_message()
    }

    /// The panic that the guest announced, if it did.
    pub(crate) fn take_panic(&mut self) -> Option<Panic> {
        self.panic.take()
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.get().ctx()
    }
}

/// True for the error that ends a guest which holds as many handles as it may.
pub(crate) fn is_out_of_handles(error: &wasmtime::Error) -> bool {
    matches!(error.downcast_ref(), Some(wasmtime_wasi::ResourceTableError::Full))
}

/// Offers a component everything there is. Only asynchronous calls work with what was linked.
pub(crate) fn link_component(linker: &mut wasmtime::component::Linker<HostState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    file_stream::link(linker)?;
    net::link(linker)?;
    turn::link(linker)?;
    cross_device::link_component(linker)?;
    linker.allow_shadowing(false);
    task::link(linker)?;
    chunk::link(linker)?;
    sync::link_component(linker)
}

/// Offers a core module everything there is of the modules that it imports from: making what nobody can ask for takes
/// longer than loading a small module. Only asynchronous calls work with what was linked.
pub(crate) fn link_core_for(
    linker: &mut wasmtime::Linker<HostState>,
    module: &wasmtime::Module,
) -> wasmtime::Result<()> {
    link_core_modules(linker, |name| module.imports().any(|import| import.module() == name))
}

/// Offers core modules everything there is.
#[cfg(any(test, fuzzing))]
pub(crate) fn link_core(linker: &mut wasmtime::Linker<HostState>) -> wasmtime::Result<()> {
    link_core_modules(linker, |_| true)
}

fn link_core_modules(
    linker: &mut wasmtime::Linker<HostState>,
    is_wanted: impl Fn(&str) -> bool,
) -> wasmtime::Result<()> {
    if is_wanted(PREVIEW_1) {
        wasmtime_wasi::p1::add_to_linker_async(linker, |state| state.wasi.get())?;
    }
    if is_wanted(PREVIEW_0) {
        wasmtime_wasi::p0::add_to_linker_async(linker, |state| state.wasi.get())?;
    }
    linker.allow_shadowing(true);
    for module in [PREVIEW_1, PREVIEW_0].into_iter().filter(|module| is_wanted(module)) {
        poll_oneoff::link(linker, module)?;
        cross_device::link_core(linker, module)?;
        // wasmtime-wasi turns codes over 125 into a trap that forgets the number.
        linker
            .func_wrap(module, "proc_exit", |code: u32| -> wasmtime::Result<()> { Err(Exit(code).into()) })?;
    }
    linker.allow_shadowing(false);
    if is_wanted(sync::CORE_MODULE) { sync::link_core(linker) } else { Ok(()) }
}

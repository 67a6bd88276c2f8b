//! What the fork server has ready for its workers: an instance, made once before they are forked.
//!
//! A module may run code while it is instantiated. As long as it asks its host for nothing, what comes of it depends
//! on the module alone: made here or in each worker, the instance is the same. So there is a trial first, in a store
//! that refuses every call to the host; only when that succeeds an instance is made to be kept, and it has no such
//! hook, which each call of a task would pay for. What asks its host, or takes too long, is made by each worker.
//!
//! Everything around it is gone through as well: what the engine and the C library set up on first use (one question
//! to the processor is answered by the hypervisor, in 10 us) is then set up in every worker.

#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use wasmtime::{CallHook, Store};

use crate::limits::{FRAME_BYTES_MAX, Limits};
use crate::os::fork::settle_heap;
use crate::os::signals;
use crate::os::socket::PacketSocket;
use crate::outcome::Encoding;
use crate::protocol::frame;
use crate::protocol::worker::{Body, Entry, FromWorker, Inputs, Start, ToWorker, WorkerLimits};
use crate::worker::imports::{HostConfig, HostState, Outside};
use crate::worker::instance::{self, Live, Loaded};
use crate::worker::link::Link;
use crate::worker::run::{Assignment, returned};

/// The task that an instance is made for; no real one has this number.
const TASK: u64 = 0;

/// CPU time that making it may take.
const START_TIME_MAX: Duration = Duration::from_millis(100);

/// A task socket with both of its ends, which the sandbox would not allow to be made.
#[derive(Debug)]
pub(super) struct Ends {
    ours: PacketSocket,
    theirs: PacketSocket,
}

impl Ends {
    pub(super) fn new() -> io::Result<Self> {
        let (ours, theirs) = PacketSocket::pair()?;
        Ok(Self { ours, theirs })
    }
}

/// An instance that waits for its task. Its store has a state without a socket, or with one whose other end is closed,
/// until it is given to a task.
pub(super) struct Ready {
    pub(super) store: Store<HostState>,
    pub(super) live: Live,
    pub(super) limits: WorkerLimits,
    /// The link that the guest's open streams have, where the module was initialised: it becomes the worker's.
    pub(super) link: Option<Arc<Link>>,
}

impl Ready {
    /// Makes one, unless the module asks its host for something, or takes too long.
    pub(super) fn new(ends: Ends, loaded: &Loaded) -> Option<Self> {
        // Without descriptors, which workers must not have in common.
        let runtime = Builder::new_current_thread().enable_time().build().ok()?;
        let _bounded = signals::interrupt_each(START_TIME_MAX, signals::Clock::Cpu);
        runtime.block_on(Self::make(ends, loaded))
    }

    async fn make(ends: Ends, loaded: &Loaded) -> Option<Self> {
        let link = Arc::new(Link::with_buffer(ends.theirs, vec![0; FRAME_BYTES_MAX]));
        let message = ToWorker::Start(Box::new(start()));
        let mut last = None;
        for is_trial in [true, false] {
            // Memory that is kept has room for one. What workers write to lies side by side.
            drop(last.take());
            settle_heap();
            ends.ours.send(&frame::encode(&message).ok()?, &[]).ok()?;
            let (ToWorker::Start(start), descriptors) = link.receive() else { return None };
            let limits = start.limits;
            let assignment = Assignment::new(Arc::clone(&link), *start, descriptors, Outside::default())?;
            let host = HostState::new(assignment.host_config()).ok()?;
            let mut store = instance::store(loaded.engine(), host, &limits).ok()?;
            if is_trial {
                store.call_hook(|_, call| match call {
                    CallHook::CallingHost => Err(wasmtime::Error::msg("it asks its host for something")),
                    _ => Ok(()),
                });
            }
            link.send(&FromWorker::Started { task: TASK }, &[]);
            let live = loaded.instantiate(&mut store).await.ok()?;
            // It may have gone on without what it was refused, and another task's limits might not refuse it.
            if store.data().limiter.denied().is_some() {
                return None;
            }
            let (claim, _) = returned(Encoding::Json, b"null".to_vec(), limits.result_bytes);
            let took = Duration::ZERO;
            link.send(&FromWorker::Finished { task: TASK, index: 0, claim, took }, &[]);
            last = Some(Self { store, live, limits, link: None });
        }
        last
    }

    /// True when a task with these limits may have it.
    pub(super) fn fits(&self, limits: &WorkerLimits) -> bool {
        limits.instances >= self.limits.instances && self.store.data().limiter.fits(limits)
    }

    /// True when what a module does before its first task is done.
    pub(super) fn is_initialized(&self) -> bool {
        self.link.is_some()
    }

    /// Gives it to a task that it [`fits`](Self::fits).
    pub(super) fn give_to(self, config: HostConfig) -> wasmtime::Result<(Store<HostState>, Live)> {
        let Self { mut store, live, .. } = self;
        let limits = *config.limiter.limits();
        store.data_mut().give_to(config)?;
        instance::begin(&mut store, &limits).map(|()| (store, live))
    }
}

/// A task without anything that it may use.
fn start() -> Start {
    let limits = Limits::default();
    Start {
        task: TASK,
        attempt: 1,
        name: String::new(),
        worker_name: String::new(),
        entry: Entry::Command,
        initializer: None,
        inputs: Inputs { lengths: vec![0], body: Body::Inline(Vec::new()) },
        limits: WorkerLimits {
            fuel: None,
            cpu_time: None,
            memory_bytes: limits.memory_bytes,
            table_elements: limits.table_elements,
            instances: limits.instances,
            result_bytes: limits.result_bytes,
        },
        argv: Vec::new(),
        env: Vec::new(),
        stdin: false,
        token: 1,
        grants: Vec::new(),
        log_level: None,
        last: true,
        lane: false,
        quiet: false,
        goes_through: true,
        ahead: None,
        deterministic: None,
    }
}

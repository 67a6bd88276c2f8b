//! The life of a worker: assignments in, claims out.
//!
//! A store and an instance live for one assignment and are never used for a second one. The worker
//! acknowledges an assignment before the guest's first instruction, and tells the end of each call at
//! once: what was said is never taken back by a later death.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::runtime::Runtime;
use wasmtime::Store;

use crate::os::hardening::{self, exit_now};
use crate::os::memory_file::SealedFile;
use crate::outcome::{Encoding, LimitKind, StartFailure};
use crate::protocol::worker::{Body, Claim, FromWorker, Initializer, Start, ToWorker};
use crate::sync::Token;
use crate::worker::calls::{Calls, InputBytes};
use crate::worker::imports::{Grants, HostConfig, HostState, Outside, Shared};
use crate::worker::instance::{self, Callee, Ended, Live, Loaded};
use crate::worker::limiter::Limiter;
use crate::worker::link::Link;
use crate::worker::ready::Ready;
use crate::worker::{body, panics, trap};

/// Exit code of a worker whose own code panicked, after it has said so.
const PANICKED: i32 = 70;
/// What a worker may use besides the guest's memory and a copy of it on its way through the host: its own
/// heap, tables, stacks.
const HOST_DATA_BYTES: u64 = 1 << 30;
/// Exit code of a worker that was sent an assignment that makes no sense.
const NONSENSE: i32 = 71;

/// Runs assignments until the last one; never returns.
pub(super) fn serve(
    link: &Arc<Link>,
    loaded: &Loaded,
    outside: &Outside,
    runtime: &Runtime,
    mut ready: Option<Ready>,
) -> ! {
    let (mut is_cpu_time_limited, mut limited_memory) = (false, None);
    let mut is_fit = true;
    loop {
        let (message, descriptors) = link.receive();
        // The end of the attempt that is meant crossed it on the way.
        let ToWorker::Start(start) = message else { continue };
        // Whoever ended otherwise than by itself is to do nothing more.
        if start.ahead.is_some_and(|number| !is_fit || !link.take(number)) {
            continue;
        }
        if limited_memory.replace(start.limits.memory_bytes) != Some(start.limits.memory_bytes) {
            limit_data(start.limits.memory_bytes);
        }
        // The supervisor looks at this process's clock, and is precise; this is for the time that it cannot look.
        if start.limits.cpu_time.is_some() || is_cpu_time_limited {
            is_cpu_time_limited = start.limits.cpu_time.is_some();
            let _ = hardening::limit_cpu_time(start.limits.cpu_time);
        }
        let Some(assignment) = Assignment::new(link.clone(), *start, descriptors, outside.clone()) else {
            exit_now(NONSENSE)
        };
        let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on(assignment.run(loaded, ready.take()))));
        is_fit = assignment.calls.are_fit();
        if ran.is_err() {
            let detail = trap::message(panics::last());
            assignment.calls.end(Claim::NotStarted { kind: StartFailure::WorkerPanicked, detail }, None);
            exit_now(PANICKED);
        }
    }
}

/// A second wall: the guest's memory is counted where it is given out, see `limiter`.
pub(super) fn limit_data(memory_bytes: u64) {
    let _ = hardening::limit_data(memory_bytes.saturating_mul(2).saturating_add(HOST_DATA_BYTES));
}

/// Waits for time, and for sockets where there can be some.
pub(super) fn runtime(outside: &Outside) -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time();
    if !outside.nets.is_empty() {
        builder.enable_io();
    }
    builder
        .build()
        .expect("a new process has descriptors, and the filter allows what waiting for sockets takes")
}

/// One assignment in this very process; `None` when the parts of its start do not fit together.
#[cfg(any(test, fuzzing))]
pub(super) fn assigned(link: Arc<Link>, start: Start, loaded: &Loaded) -> Option<impl Future<Output = ()>> {
    let assignment = Assignment::new(link, start, Vec::new(), Outside::default())?;
    Some(async move { assignment.run(loaded, None).await })
}

/// One assignment.
pub(super) struct Assignment {
    link: Arc<Link>,
    start: Start,
    calls: Arc<Calls>,
    stdin: Cell<Option<OwnedFd>>,
    shared: Cell<Option<Shared>>,
    outside: Outside,
}

impl Assignment {
    /// Takes a start frame apart; `None` when its parts do not fit together.
    pub(super) fn new(
        link: Arc<Link>,
        mut start: Start,
        descriptors: Vec<OwnedFd>,
        outside: Outside,
    ) -> Option<Self> {
        let mut descriptors = descriptors.into_iter();
        let body = std::mem::replace(&mut start.inputs.body, Body::Inline(Vec::new()));
        let inputs = match body {
            Body::Inline(bytes) => InputBytes::Inline(bytes),
            Body::Memory { length } => {
                let file = SealedFile::seal(descriptors.next()?).ok().filter(|file| file.len() == length)?;
                InputBytes::Mapped(file.map().ok()?)
            }
        };
        let stdin = if start.stdin { Some(descriptors.next()?) } else { None };
        let grants = Grants::new(std::mem::take(&mut start.grants), &mut descriptors)?;
        let shared = Shared { who: Token::new(start.token)?, grants };
        if start.lane {
            link.use_lane(descriptors.next()?).ok()?;
        }
        let calls = Arc::new(Calls::new(link.clone(), &mut start, inputs)?);
        let (stdin, shared) = (Cell::new(stdin), Cell::new(Some(shared)));
        Some(Self { link, start, calls, stdin, shared, outside })
    }

    /// Makes the instance, unless there is one ready, and runs every call in it.
    async fn run(&self, loaded: &Loaded, ready: Option<Ready>) {
        let limits = &self.start.limits;
        let ready = ready.filter(|ready| ready.fits(limits));
        let is_initialized = ready.as_ref().is_some_and(Ready::is_initialized);
        let made = match ready {
            Some(ready) => ready.give_to(self.host_config()).map(|(store, live)| (store, Some(live))),
            None => HostState::new(self.host_config())
                .and_then(|host| instance::store(loaded.engine(), host, limits))
                .map(|store| (store, None)),
        };
        self.calls.fault("before-started");
        let started = FromWorker::Started { task: self.start.task };
        if self.start.quiet {
            self.link.mention(&started);
        } else {
            self.link.send(&started, &[]);
        }
        self.calls.fault("after-started");
        let (mut store, live) = match made {
            Ok(made) => made,
            Err(error) => {
                let detail = trap::describe(&error);
                self.calls.end(Claim::NotStarted { kind: StartFailure::Worker, detail }, None);
                return self.end_if_last();
            }
        };
        let live = match self.instance(loaded, (live, is_initialized), &mut store).await {
            Ok(live) => live,
            Err(claim) => {
                self.calls.end(claim, None);
                return self.end_if_last();
            }
        };
        let callee = live.callee(&mut store, &self.start.entry);
        store.data_mut().calls = Some(self.calls.clone());
        while let Some(input) = self.calls.input() {
            let (claim, body) = self.call(&live, &callee, &mut store, input).await;
            // The guest may have gone through all of them by itself.
            if self.calls.is_over() || !self.calls.end(claim, body) {
                break;
            }
        }
        self.end_if_last();
    }

    /// Ends the process without taking the instance down: that is the kernel's work now.
    fn end_if_last(&self) {
        if self.start.last {
            exit_now(0);
        }
    }

    pub(super) fn host_config(&self) -> HostConfig {
        let start = &self.start;
        HostConfig {
            link: self.link.clone(),
            task: start.task,
            attempt: start.attempt,
            name: start.name.clone(),
            worker_name: start.worker_name.clone(),
            argv: start.argv.clone(),
            env: start.env.clone(),
            stdin: self.stdin.take(),
            outside: self.outside.clone(),
            log_level: start.log_level,
            shared: self.shared.take().expect("an assignment makes one instance"),
            limiter: Limiter::new(start.limits),
            deterministic: start.deterministic,
        }
    }

    /// A fresh instance, initialised, in which the pool's initializer has run.
    async fn instance(
        &self,
        loaded: &Loaded,
        (ready, is_initialized): (Option<Live>, bool),
        store: &mut Store<HostState>,
    ) -> Result<Live, Claim> {
        let live = match ready {
            Some(live) => live,
            None => loaded.instantiate(store).await.map_err(|error| {
                let panic = store.data_mut().take_panic();
                trap::instantiation_claim(&error, &store.data().limiter, panic)
            })?,
        };
        if !is_initialized {
            initialized(&live, store).await?;
        }
        if let Some(Initializer { export, args }) = &self.start.initializer {
            self.allow_fuel(store);
            let ended = live.call_task(store, export, Encoding::Json, args).await;
            succeeded(ended, store, &format!("the initializer `{export}`")).map_err(|claim| *claim)?;
        }
        Ok(live)
    }

    async fn call<'a>(
        &self,
        live: &Live,
        callee: &Callee<'a>,
        store: &mut Store<HostState>,
        input: &'a [u8],
    ) -> (Claim, Option<File>) {
        self.allow_fuel(store);
        store.data_mut().limiter.forget_denied();
        match live.call(store, callee, input).await {
            Ok(ended) => claim(ended, store.data()),
            Err(error) => (claim_of(&error, store), None),
        }
    }

    fn allow_fuel(&self, store: &mut Store<HostState>) {
        instance::allow_fuel(store, &self.start.limits).expect("the fork server's engine counts fuel");
    }
}

/// What is said of a call that ended like this, and the file that goes with it.
pub(super) fn claim(ended: Ended, host: &HostState) -> (Claim, Option<File>) {
    match ended {
        Ended::Returned { encoding, bytes } => returned(encoding, bytes, host.limiter.limits().result_bytes),
        Ended::Stored { encoding, body, file } => (Claim::Returned { encoding, body }, file),
        Ended::Failed(text) => {
            // Unhandled, a message over its limit is that limit.
            let because = host.refused_message().is_some_and(|refused| text.contains(&refused));
            let message = trap::message(text);
            let over = Claim::LimitExceeded { kind: LimitKind::Message, detail: message.clone() };
            (if because { over } else { Claim::Failed { message } }, None)
        }
        Ended::TooLarge(detail) => {
            (Claim::LimitExceeded { kind: LimitKind::Result, detail: trap::message(detail) }, None)
        }
        Ended::Exited(code) => (Claim::Exited { code }, None),
        Ended::NotStarted(kind, detail) => (Claim::NotStarted { kind, detail: trap::message(detail) }, None),
    }
}

fn claim_of(error: &wasmtime::Error, store: &mut Store<HostState>) -> Claim {
    let panic = store.data_mut().take_panic();
    trap::claim(error, &store.data().limiter, panic)
}

/// Runs what the module has to run before its first task.
pub(super) async fn initialized(live: &Live, store: &mut Store<HostState>) -> Result<(), Claim> {
    let ended = live.initialize(store).await;
    succeeded(ended, store, "the module's initialisation").map_err(|claim| *claim)
}

/// Whatever came of `what` but a value is the end of the assignment, and says of what it came.
fn succeeded(
    ended: wasmtime::Result<Ended>,
    store: &mut Store<HostState>,
    what: &str,
) -> Result<(), Box<Claim>> {
    let said = |text: &str| trap::message(format!("{what} failed: {text}"));
    Err(Box::new(match ended {
        Ok(Ended::Returned { .. } | Ended::Stored { .. }) => return Ok(()),
        Ok(Ended::Failed(text) | Ended::TooLarge(text)) => Claim::Failed { message: said(&text) },
        Ok(Ended::Exited(code)) => Claim::Exited { code },
        Ok(Ended::NotStarted(kind, detail)) => Claim::NotStarted { kind, detail: said(&detail) },
        Err(error) => match claim_of(&error, store) {
            Claim::Trapped { mut trap, denied } => {
                trap.message = said(&trap.message);
                trap.before_task = Some(what.to_owned());
                if let Some(panic) = &mut trap.panic {
                    panic.message = said(&panic.message);
                }
                Claim::Trapped { trap, denied }
            }
            Claim::LimitExceeded { kind, detail } => Claim::LimitExceeded { kind, detail: said(&detail) },
            other => other,
        },
    }))
}

/// A result as it travels: in the frame, or in a memory file beside it.
pub(super) fn returned(encoding: Encoding, bytes: Vec<u8>, bytes_max: u64) -> (Claim, Option<File>) {
    let length = bytes.len() as u64;
    if length > bytes_max {
        let detail = format!("the result has {length} bytes, the limit is {bytes_max}");
        return (Claim::LimitExceeded { kind: LimitKind::Result, detail }, None);
    }
    match body::outgoing(bytes) {
        Ok((body, file)) => (Claim::Returned { encoding, body }, file),
        Err(error) => {
            let detail = format!("a result of {length} bytes could not be stored: {error}");
            (Claim::NotStarted { kind: StartFailure::Worker, detail }, None)
        }
    }
}

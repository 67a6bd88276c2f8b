//! The life of a worker: assignments in, claims out.
//!
//! A store and an instance live for one assignment and are never used for a second one. The worker
//! acknowledges an assignment before the guest's first instruction, and tells the end of each call at
//! once: what was said is never taken back by a later death.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fs::File;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use tokio::runtime::Runtime;
use wasmtime::Store;

use crate::os::hardening::{self, exit_now};
use crate::os::memory_file::{self, SealedFile};
use crate::outcome::{Encoding, LimitKind, StartFailure};
use crate::protocol::worker::{Body, Claim, FromWorker, Initializer, Start, ToWorker};
use crate::sync::Token;
use crate::worker::imports::{Grants, HostConfig, HostState, Outside, Shared};
use crate::worker::instance::{self, Callee, Ended, Live, Loaded};
use crate::worker::limiter::Limiter;
use crate::worker::link::Link;
use crate::worker::ready::Ready;
use crate::worker::{body, fault, panics, trap};

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
        is_fit = assignment.is_fit.get();
        if ran.is_err() {
            let detail = trap::message(panics::last());
            assignment.finish(Claim::NotStarted { kind: StartFailure::WorkerPanicked, detail }, None, true);
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
    inputs: InputBytes,
    stdin: Cell<Option<OwnedFd>>,
    shared: Cell<Option<Shared>>,
    outside: Outside,
    /// The call that runs.
    index: AtomicU32,
    /// When it began.
    began: Cell<Instant>,
    /// Every call returned, a value or an error.
    is_fit: Cell<bool>,
}

/// The bytes of all inputs.
enum InputBytes {
    Inline(Vec<u8>),
    Mapped(memory_file::Mapping),
}

impl Deref for InputBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Mapped(mapping) => mapping,
        }
    }
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
        let sum = start.inputs.lengths.iter().try_fold(0_u64, |sum, length| sum.checked_add(*length))?;
        (sum == inputs.len() as u64).then(|| Self {
            link,
            start,
            inputs,
            stdin: Cell::new(stdin),
            shared: Cell::new(Some(shared)),
            outside,
            index: AtomicU32::new(0),
            began: Cell::new(Instant::now()),
            is_fit: Cell::new(false),
        })
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
        self.fault("before-started");
        let started = FromWorker::Started { task: self.start.task };
        if self.start.quiet {
            self.link.mention(&started);
        } else {
            self.link.send(&started, &[]);
        }
        self.fault("after-started");
        let (mut store, live) = match made {
            Ok(made) => made,
            Err(error) => {
                let detail = trap::describe(&error);
                self.finish(Claim::NotStarted { kind: StartFailure::Worker, detail }, None, true);
                return self.end_if_last();
            }
        };
        let live = match self.instance(loaded, (live, is_initialized), &mut store).await {
            Ok(live) => live,
            Err(claim) => {
                self.finish(claim, None, true);
                return self.end_if_last();
            }
        };
        let callee = live.callee(&mut store, &self.start.entry);
        let mut rest = &*self.inputs;
        for length in &self.start.inputs.lengths {
            let length = usize::try_from(*length).expect("the sum is the length of a slice");
            let (input, others) = rest.split_at(length);
            rest = others;
            let (claim, body) = self.call(&live, &callee, &mut store, input).await;
            let goes_on = matches!(claim, Claim::Returned { .. } | Claim::Failed { .. });
            let is_last = self.is_at_last_call();
            self.is_fit.set(goes_on && is_last);
            let goes_on_at_once = goes_on && (!is_last || self.link.has_ahead());
            self.finish(claim, body, !goes_on_at_once);
            if !goes_on {
                break;
            }
            self.index.fetch_add(1, Ordering::Relaxed);
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
            Ok(Ended::Returned { encoding, bytes }) => {
                returned(encoding, bytes, self.start.limits.result_bytes)
            }
            Ok(Ended::Stored { encoding, body, file }) => (Claim::Returned { encoding, body }, file),
            Ok(Ended::Failed(text)) => {
                // Unhandled, a message over its limit is that limit.
                let because = store.data().refused_message().is_some_and(|refused| text.contains(&refused));
                let message = trap::message(text);
                let over = Claim::LimitExceeded { kind: LimitKind::Message, detail: message.clone() };
                (if because { over } else { Claim::Failed { message } }, None)
            }
            Ok(Ended::TooLarge(detail)) => {
                (Claim::LimitExceeded { kind: LimitKind::Result, detail: trap::message(detail) }, None)
            }
            Ok(Ended::Exited(code)) => (Claim::Exited { code }, None),
            Ok(Ended::NotStarted(kind, detail)) => {
                (Claim::NotStarted { kind, detail: trap::message(detail) }, None)
            }
            Err(error) => (claim_of(&error, store), None),
        }
    }

    fn allow_fuel(&self, store: &mut Store<HostState>) {
        instance::allow_fuel(store, &self.start.limits).expect("the fork server's engine counts fuel");
    }

    fn is_at_last_call(&self) -> bool {
        self.index.load(Ordering::Relaxed) as usize + 1 == self.start.inputs.lengths.len()
    }

    /// Tells how the present call ended; what more will soon be told after is not urgent.
    fn finish(&self, claim: Claim, body: Option<File>, is_urgent: bool) {
        self.fault("before-finished");
        let index = self.index.load(Ordering::Relaxed);
        let now = Instant::now();
        let took = now.saturating_duration_since(self.began.replace(now));
        let message = FromWorker::Finished { task: self.start.task, index, claim, took };
        let file = body.as_ref().map(|file| file.as_fd());
        if is_urgent {
            self.link.send(&message, file.as_slice());
        } else {
            self.link.send_one_of_many(&message, file.as_slice());
        }
        self.fault("after-finished");
    }

    fn fault(&self, point: &str) {
        fault::point_of_task(point, self.start.task, |garbage| self.link.send_garbage(garbage));
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

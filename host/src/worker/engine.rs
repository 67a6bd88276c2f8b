//! The one place that configures wasmtime, and the few things that need `unsafe` around it.
//!
//! Compile worker and fork server make the same engine from the same settings, or an artifact would
//! not load. Loading an artifact is loading native code: it is mapped only inside the sandbox, from a
//! sealed memory file, so no path and no `/proc` is needed.
//!
//! - One thread, so concurrency support is off (a host call costs half) and host calls are async on a
//!   fiber: a sleeping guest does not need a second thread.
//! - The epoch is always on: it is how a spinning guest is interrupted. Fuel is a second artifact.
//! - No pooling allocator and so no pagemap scan, which reads the wrong process's pages after a raw
//!   clone and would leave one task's memory to the next.

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::mm::MprotectFlags;
use wasmtime::component::{Component, ComponentType, Lift, Lower, Resource};
use wasmtime::{Config, CustomCodeMemory, Engine, Module, WasmBacktraceDetails};

use crate::feature::{Feature, Features};
use crate::limits::BACKTRACE_FRAMES_MAX;
use crate::os::memory_file::Mapping;
use crate::protocol::fork_server::EngineSettings;

/// Stack for host functions on top of the guest's own, on the fiber that both run on.
const HOST_STACK_BYTES: usize = 1 << 20;

/// The engine of this process, for the signal handler.
static ENGINE: OnceLock<Engine> = OnceLock::new();

/// How often [`interrupt`] was called.
static INTERRUPTS: AtomicU32 = AtomicU32::new(0);

/// What an engine is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Compiling modules, with threads.
    Compile,
    /// Running artifacts, without a compiler.
    Run,
}

/// An engine for artifacts with these settings.
pub(crate) fn engine(settings: EngineSettings, purpose: Purpose) -> wasmtime::Result<Engine> {
    let stack_bytes = settings.stack_bytes as usize;
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .consume_fuel(settings.fuel)
        .max_wasm_stack(stack_bytes)
        .async_stack_size(stack_bytes.saturating_add(HOST_STACK_BYTES))
        // A trap says where in the module it happened; source lines would need the module's DWARF.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES_MAX))
        // For native debuggers and profilers only; wasmtime unwinds without it.
        .native_unwind_info(false)
        .memory_init_cow(true)
        .with_custom_code_memory(Some(Arc::new(Executable)));
    choose_features(&mut config, settings.features);
    match purpose {
        Purpose::Compile => config.parallel_compilation(true),
        Purpose::Run => config.enable_compiler(false),
    };
    Engine::new(&config)
}

/// Says of every feature of the language whether it is on. wasmtime's own choice is not relied on: it turns
/// features on when they are finished, which is not when they have been attacked for long enough.
fn choose_features(config: &mut Config, asked_for: Features) {
    // What compilers emit. wasmtime calls these tier 1, and fuzzes them all the time.
    config
        .wasm_reference_types(true)
        .wasm_multi_value(true)
        .wasm_bulk_memory(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(true)
        .wasm_multi_memory(true)
        .wasm_tail_call(true)
        .wasm_extended_const(true)
        .wasm_function_references(true)
        // The heap of these two counts as linear memory: see `limiter`.
        .wasm_gc(true)
        .wasm_exceptions(true);
    // What needs a 64-bit bounds check on every access, and what is younger: for those who ask for it.
    config
        .wasm_memory64(asked_for.contains(Feature::Memory64))
        .wasm_custom_page_sizes(asked_for.contains(Feature::CustomPageSizes))
        .wasm_wide_arithmetic(asked_for.contains(Feature::WideArithmetic));
    // Shared memory, which needs threads, that a worker cannot have; and what is not finished.
    config
        .shared_memory(false)
        .wasm_shared_everything_threads(false)
        .wasm_stack_switching(false)
        .wasm_component_model_error_context(false)
        .wasm_component_model_gc(false)
        .wasm_component_model_map(false)
        .wasm_component_model_memory64(false)
        .wasm_component_model_fixed_length_lists(false)
        .wasm_component_model_implements(false);
    // Threads and the component model's async are not even built in. `compile/features.rs` knows this list.
}

/// Makes `engine` the one whose epoch [`interrupt`] increments.
pub(crate) fn make_interruptible(engine: &Engine) {
    // A process has one engine; a second call in a test keeps the first.
    let _ = ENGINE.set(engine.clone());
}

/// Ends the running guest at its next look at the epoch. Async-signal-safe: atomics, and nothing else.
pub(crate) fn interrupt() {
    if let Some(engine) = ENGINE.get() {
        engine.increment_epoch();
    }
    INTERRUPTS.fetch_add(1, Ordering::SeqCst);
}

/// How often this process was interrupted. A host function that waits compares it with what it was when the
/// assignment began, so that no interrupt is ever taken for one of a later assignment.
pub(crate) fn interrupts() -> u32 {
    INTERRUPTS.load(Ordering::SeqCst)
}

/// Loads the artifact of a component from a mapping, which stays for the rest of the process's life.
pub(crate) fn load_component(engine: &Engine, code: Mapping) -> wasmtime::Result<Component> {
    let code = keep(code)?;
    // SAFETY: the bytes are an artifact of this very program's compile worker, sealed since, in
    // memory that is never unmapped or changed. Whether they are harmless is not the question: they
    // are the untrusted guest's code, and the sandbox stands.
    unsafe { Component::deserialize_raw(engine, code) }
}

/// Loads the artifact of a core module from a mapping, as [`load_component`].
pub(crate) fn load_module(engine: &Engine, code: Mapping) -> wasmtime::Result<Module> {
    let code = keep(code)?;
    // SAFETY: as in `load_component`.
    unsafe { Module::deserialize_raw(engine, code) }
}

/// Makes a mapping read-only for the rest of the process's life.
fn keep(code: Mapping) -> wasmtime::Result<NonNull<[u8]>> {
    let code = std::mem::ManuallyDrop::new(code).as_raw();
    protect(code.as_ptr().cast::<u8>(), code.len(), MprotectFlags::READ)?;
    Ok(code)
}

/// Makes code executable where it lies, with `mprotect` and nothing else.
struct Executable;

impl CustomCodeMemory for Executable {
    fn required_alignment(&self) -> usize {
        rustix::param::page_size()
    }

    fn publish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        protect(start, length, MprotectFlags::READ | MprotectFlags::EXEC)
    }

    fn unpublish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        protect(start, length, MprotectFlags::READ | MprotectFlags::WRITE)
    }
}

fn protect(start: *const u8, length: usize, protection: MprotectFlags) -> wasmtime::Result<()> {
    // SAFETY: the range is a mapping of an artifact or, as wasmtime promises, the text section of one,
    // which begins and ends at page borders; nothing that Rust refers to is written there.
    unsafe { rustix::mm::mprotect(start.cast_mut().cast(), length, protection)? };
    Ok(())
}

/// `wasmpool:task/types.task-error`. It is here because the derives write `unsafe`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum TaskError {
    #[component(name = "failed")]
    Failed(String),
    #[component(name = "invalid-arguments")]
    InvalidArguments(String),
    #[component(name = "other")]
    Other(String),
}

/// `wasi:io/streams.stream-error`.
#[derive(Debug, ComponentType, Lower)]
#[component(variant)]
pub(crate) enum ReadError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<wasmtime::Error>),
    #[component(name = "closed")]
    Closed,
}

/// `wasmpool:task/pool.failure`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Failure {
    #[component(name = "exit-code")]
    pub(crate) exit_code: u32,
    pub(crate) message: String,
}

/// `wasmpool:task/pool.join-error`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum JoinError {
    #[component(name = "timed-out")]
    TimedOut,
    #[component(name = "failed")]
    Failed(Failure),
    #[component(name = "not-found")]
    NotFound,
    #[component(name = "cancelled")]
    Cancelled,
    #[component(name = "deadlock")]
    Deadlock(String),
    #[component(name = "other")]
    Other(String),
}

/// `wasmpool:task/objects.error`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum ObjectError {
    #[component(name = "closed")]
    Closed,
    #[component(name = "access-denied")]
    AccessDenied(String),
    #[component(name = "not-owner")]
    NotOwner,
    #[component(name = "already-owned")]
    AlreadyOwned,
    #[component(name = "broken")]
    Broken,
    #[component(name = "too-large")]
    TooLarge(String),
    #[component(name = "out-of-range")]
    OutOfRange(String),
    #[component(name = "wrong-kind")]
    WrongKind(String),
    #[component(name = "too-many")]
    TooMany(String),
    #[component(name = "not-found")]
    NotFound(String),
    #[component(name = "deadlock")]
    Deadlock(String),
    #[component(name = "cancelled")]
    Cancelled,
    #[component(name = "damaged")]
    Damaged(String),
    #[component(name = "unavailable")]
    Unavailable(String),
    #[component(name = "other")]
    Other(String),
}

/// `wasmpool:task/objects.acquisition`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Acquisition {
    #[component(name = "taken")]
    Taken,
    #[component(name = "abandoned")]
    Abandoned(u64),
    #[component(name = "timed-out")]
    TimedOut,
}

/// `wasmpool:task/objects.taken-item`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum TakenItem {
    #[component(name = "item")]
    Item(Vec<u8>),
    #[component(name = "timed-out")]
    TimedOut,
    #[component(name = "end")]
    End,
}

/// `wasmpool:task/objects.lease`: a resource has no value here, it is a number.
#[derive(Debug)]
pub(crate) enum Lease {}

/// `wasmpool:task/objects.leased-item`.
#[derive(Debug, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum LeasedItem {
    #[component(name = "item")]
    Item(Resource<Lease>),
    #[component(name = "timed-out")]
    TimedOut,
    #[component(name = "end")]
    End,
}

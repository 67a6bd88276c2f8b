//! The one place that configures wasmtime, and the few things that need `unsafe` around it.
//!
//! Compile worker and fork server make the same engine from the same settings, or an artifact would
//! not load. Loading an artifact is loading native code: it is mapped only inside the sandbox, from a
//! sealed memory file, so no path and no `/proc` is needed.
//!
//! - One thread, so concurrency support is off (a host call costs half) and host calls are async on a
//!   fiber: a sleeping guest does not need a second thread.
//! - The epoch is always on: it is how a spinning guest is interrupted. Fuel is a second artifact.
//! - Workers with one task make their instance in memory of its own. Those that are used again make it in memory that they
//!   keep (wasmtime's pooling allocator), without the pagemap scan, which reads the wrong process's pages after a raw clone and
//!   would leave one task's memory to the next.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::mm::MprotectFlags;
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext,
};
use wasmtime::component::{Component, ComponentType, Lift, Lower, Resource};
use wasmtime::{
    Config, CustomCodeMemory, Enabled, Engine, InstanceAllocationStrategy, Module, PoolingAllocationConfig,
    ValRaw, WasmBacktraceDetails,
};

use crate::feature::{Feature, Features};
use crate::limits::{BACKTRACE_FRAMES_MAX, KEPT_INSTANCES, KEPT_MEMORIES, KEPT_TABLE_ELEMENTS, KEPT_TABLES};
use crate::os::huge_pages;
use crate::os::memory_file::Mapping;
use crate::protocol::fork_server::EngineSettings;
use crate::protocol::worker::Body;
use crate::worker::body;
use crate::worker::stack::Stacks;

/// Stack for host functions on top of the guest's own, on the fiber that both run on.
const HOST_STACK_BYTES: usize = 1 << 20;

/// Bytes of a table that are written over rather than given back.
const KEPT_TABLE_BYTES: usize = 64 << 10;
/// What a 32-bit memory can grow to.
const MEMORY_BYTES_MAX: usize = 1 << 32;

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
    /// The same for one instance after the other, in memory that is kept: it is reserved once, and emptied after each.
    RunMany,
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
        Purpose::Run => config.enable_compiler(false).with_host_stack(Arc::new(Stacks)),
        Purpose::RunMany => config
            .enable_compiler(false)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(kept_memory())),
    };
    Engine::new(&config)
}

/// Memory for one instance at a time. A module that it has no room for is not loaded into it.
///
/// What a task wrote is gone for the next one because the kernel takes the pages away. wasmtime could also write over them,
/// by what the process's page map says was written, and must not: it would read the map of the process that this one was forked from.
fn kept_memory() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(1)
        .total_core_instances(KEPT_INSTANCES)
        .max_core_instances_per_component(KEPT_INSTANCES)
        .total_memories(KEPT_MEMORIES)
        .max_memories_per_component(KEPT_MEMORIES)
        .max_memories_per_module(KEPT_MEMORIES)
        .total_tables(KEPT_TABLES)
        .max_tables_per_component(KEPT_TABLES)
        .max_tables_per_module(KEPT_TABLES)
        .table_elements(KEPT_TABLE_ELEMENTS)
        .table_keep_resident(KEPT_TABLE_BYTES)
        .total_gc_heaps(1)
        // One is in use while the next one is made.
        .total_stacks(2)
        .max_memory_size(MEMORY_BYTES_MAX)
        .linear_memory_keep_resident(0)
        .max_unused_warm_slots(KEPT_MEMORIES)
        .decommit_batch_size(1)
        .pagemap_scan(Enabled::No);
    pool
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

/// What one call may copy between guest and host beside its result, in bytes: wasmtime's own default.
pub(crate) const CALL_BYTES: usize = 128 << 20;

/// The argument of a task: a `list<u8>`. It is copied once, into memory of the guest for which it asks for huge pages
/// before it touches them.
///
/// This and [`Returned`] implement by hand what wasmtime's derives write, and by the same means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Argument<'a>(pub(crate) &'a [u8]);

// SAFETY: everything that is said of the type is what `[u8]` says of itself.
unsafe impl ComponentType for Argument<'_> {
    type Lower = <[u8] as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = <[u8] as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        <[u8] as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: `dst` is wholly written with the pointer and the length of a list that lies where the guest's own `realloc`
// made room for it, as `[u8]` does.
unsafe impl Lower for Argument<'_> {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        _: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        let pointer = cx.realloc(0, 0, 1, self.0.len())?;
        // `realloc` has compared both with the memory's end.
        let room = &mut cx.as_slice_mut()[pointer..][..self.0.len()];
        huge_pages::expect_writes(room);
        room.copy_from_slice(self.0);
        dst.write([ValRaw::i64(pointer as i64), ValRaw::i64(self.0.len() as i64)]);
        Ok(())
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        self.0.linear_lower_to_memory(cx, ty, offset)
    }
}

/// The result of a task: a `list<u8>`. It is copied once, from the guest's memory to where it travels.
#[derive(Debug)]
pub(crate) enum Returned {
    Stored {
        length: usize,
        stored: io::Result<(Body, Option<File>)>,
    },
    /// It is longer than a result may be, and was not copied.
    TooLarge {
        length: usize,
    },
}

impl Returned {
    fn lift(cx: &mut LiftContext<'_>, pointer: u32, length: u32) -> wasmtime::Result<Self> {
        let (start, length) = (pointer as usize, length as usize);
        let bytes = cx.memory().get(start..).and_then(|rest| rest.get(..length));
        let bytes =
            bytes.ok_or_else(|| wasmtime::Error::msg("list pointer/length out of bounds of memory"))?;
        // Each call begins with what a result may have and this on top.
        if cx.consume_fuel(length.saturating_add(CALL_BYTES)).is_err() {
            return Ok(Self::TooLarge { length });
        }
        Ok(Self::Stored { length, stored: body::outgoing(bytes) })
    }
}

// SAFETY: as for `Argument`.
unsafe impl ComponentType for Returned {
    type Lower = <[u8] as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = <[u8] as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        <[u8] as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: it is made of what lies within the guest's memory, which is checked, and refers to nothing there.
unsafe impl Lift for Returned {
    fn linear_lift_from_flat(
        cx: &mut LiftContext<'_>,
        _: InterfaceType,
        src: &Self::Lower,
    ) -> wasmtime::Result<Self> {
        Self::lift(cx, src[0].get_u32(), src[1].get_u32())
    }

    fn linear_lift_from_memory(
        cx: &mut LiftContext<'_>,
        _: InterfaceType,
        bytes: &[u8],
    ) -> wasmtime::Result<Self> {
        let word = |at| u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let (pointer, length) = (word(0), word(4));
        Self::lift(cx, pointer, length)
    }
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

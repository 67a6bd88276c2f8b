//! `poll_oneoff` for core modules, as one `poll` of the kernel at most.
//!
//! wasmtime-wasi's own starts a thread for each subscription to a file's input, and makes two entries in
//! the resource table for each one to a clock. Here files and outputs are always ready, clocks are a
//! point in time, and standard input is the only descriptor to wait for, so nothing is allocated but one
//! small vector, after its length was compared with a limit.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use rustix::event::Timespec;
use wasmtime::{Caller, Extern, Linker, bail, format_err};
use wasmtime_wasi::clocks::WasiClocksView as _;
use wasmtime_wasi::p1::types;
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wiggle::GuestMemory;

use super::{HostState, PREVIEW_0, stdin};
use crate::limits::POLL_SUBSCRIPTIONS_MAX;

/// Where the parts of a subscription are. The two previews differ in one field of the clock.
#[derive(Clone, Copy)]
struct Layout {
    subscription_bytes: usize,
    clock: usize,
}

const LAYOUT_1: Layout = Layout { subscription_bytes: 48, clock: 16 };
const LAYOUT_0: Layout = Layout { subscription_bytes: 56, clock: 24 };
/// Where the file descriptor is, in both.
const DESCRIPTOR: usize = 16;
const EVENT_BYTES: usize = 32;
const KIND_CLOCK: u8 = 0;
const KIND_READ: u8 = 1;
const KIND_WRITE: u8 = 2;

/// The addresses and the number that a guest passes.
struct Arguments {
    subscriptions: u32,
    events: u32,
    count: u32,
    event_count: u32,
}

struct Subscription {
    userdata: [u8; 8],
    /// The tag, which comes back in the event.
    kind: u8,
    source: Source,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Ready from this moment on.
    Clock(Instant),
    Stdin,
    /// A file or an output: never waits.
    Ready,
}

/// What ends the call: an error number for the guest, or a trap.
enum Failure {
    Errno(types::Errno),
    Trap(wasmtime::Error),
}

impl From<types::Errno> for Failure {
    fn from(errno: types::Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

/// Puts the function in the place of wasmtime-wasi's. Shadowing must be allowed.
pub(super) fn link(linker: &mut Linker<HostState>, module: &str) -> wasmtime::Result<()> {
    let layout = if module == PREVIEW_0 { LAYOUT_0 } else { LAYOUT_1 };
    linker.func_wrap_async(
        module,
        "poll_oneoff",
        move |mut caller: Caller<'_, HostState>,
              (subscriptions, events, count, event_count): (u32, u32, u32, u32)| {
            Box::new(async move {
                let arguments = Arguments { subscriptions, events, count, event_count };
                match poll(&mut caller, layout, &arguments).await {
                    Ok(()) => Ok(types::Errno::Success as i32),
                    Err(Failure::Errno(errno)) => Ok(errno as i32),
                    Err(Failure::Trap(error)) => Err(error),
                }
            })
        },
    )?;
    Ok(())
}

async fn poll(
    caller: &mut Caller<'_, HostState>,
    layout: Layout,
    arguments: &Arguments,
) -> Result<(), Failure> {
    if arguments.count == 0 {
        return Err(types::Errno::Inval.into());
    }
    if arguments.count > POLL_SUBSCRIPTIONS_MAX {
        return Err(types::Errno::Nomem.into());
    }
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(Failure::Trap(format_err!("missing required memory export")));
    };
    let (bytes, state) = memory.data_and_store_mut(caller);
    let count = arguments.count as usize;
    let raw = slice(bytes, arguments.subscriptions, count * layout.subscription_bytes)?;
    let mut subscriptions = Vec::with_capacity(count);
    for raw in raw.chunks_exact(layout.subscription_bytes) {
        subscriptions.push(subscription(state, layout, raw).await?);
    }
    // Checked before the wait, so that a bad pointer does not hide behind it.
    slice(bytes, arguments.events, count * EVENT_BYTES)?;
    slice(bytes, arguments.event_count, 4)?;
    let stdin_is_ready = wait(&state.stdin, &subscriptions);
    let now = Instant::now();
    let ready = subscriptions.iter().filter(|subscription| match subscription.source {
        Source::Clock(deadline) => deadline <= now,
        Source::Stdin => stdin_is_ready,
        Source::Ready => true,
    });
    let events = slice(bytes, arguments.events, count * EVENT_BYTES)?.chunks_exact_mut(EVENT_BYTES);
    let mut event_count = 0_u32;
    for (subscription, event) in ready.zip(events) {
        event.fill(0);
        event[..8].copy_from_slice(&subscription.userdata);
        event[10] = subscription.kind;
        // Bytes that can be read or written: at least one, as wasmtime-wasi says it.
        event[16] = u8::from(subscription.kind != KIND_CLOCK);
        event_count += 1;
    }
    slice(bytes, arguments.event_count, 4)?.copy_from_slice(&event_count.to_le_bytes());
    Ok(())
}

async fn subscription(state: &mut HostState, layout: Layout, raw: &[u8]) -> Result<Subscription, Failure> {
    let kind = raw[8];
    let source = match kind {
        KIND_CLOCK => Source::Clock(deadline(state, &raw[layout.clock..])?),
        KIND_READ | KIND_WRITE => {
            let descriptor = u32::from_le_bytes(array(raw, DESCRIPTOR));
            descriptor_source(state, descriptor, kind == KIND_READ).await?
        }
        _ => return Err(types::Errno::Inval.into()),
    };
    Ok(Subscription { userdata: array(raw, 0), kind, source })
}

/// When a clock's subscription, from its `id` on, is due.
fn deadline(state: &mut HostState, clock: &[u8]) -> Result<Instant, Failure> {
    const REALTIME: u32 = 0;
    const MONOTONIC: u32 = 1;
    const ABSOLUTE: u16 = 1;
    let timeout = u64::from_le_bytes(array(clock, 8));
    let absolute = u16::from_le_bytes(array(clock, 24)) & ABSOLUTE != 0;
    let passed = match u32::from_le_bytes(array(clock, 0)) {
        REALTIME | MONOTONIC if !absolute => 0,
        MONOTONIC => monotonic_clock::Host::now(&mut state.clocks())?,
        REALTIME => {
            let now = wall_clock::Host::now(&mut state.clocks())?;
            now.seconds.saturating_mul(1_000_000_000).saturating_add(now.nanoseconds.into())
        }
        _ => return Err(types::Errno::Inval.into()),
    };
    let left = Duration::from_nanos(timeout.saturating_sub(passed));
    // A fuzzer has no supervisor that kills a guest which sleeps.
    let left = if cfg!(fuzzing) { left.min(Duration::from_millis(1)) } else { left };
    Ok(Instant::now() + left)
}

/// What a descriptor's number stands for; only wasmtime-wasi knows.
async fn descriptor_source(state: &mut HostState, descriptor: u32, read: bool) -> Result<Source, Failure> {
    let mut no_memory = GuestMemory::Unshared(&mut []);
    let stat = match state.wasi.get().fd_fdstat_get(&mut no_memory, descriptor.into()).await {
        Ok(stat) => stat,
        Err(error) => return Err(error.downcast()?.into()),
    };
    match stat.fs_filetype {
        types::Filetype::Directory => Err(types::Errno::Badf.into()),
        // The standard streams are of no type here and have one right each.
        types::Filetype::Unknown if stat.fs_rights_base == types::Rights::FD_READ => {
            if read {
                Ok(Source::Stdin)
            } else {
                Err(types::Errno::Badf.into())
            }
        }
        types::Filetype::Unknown if stat.fs_rights_base == types::Rights::FD_WRITE => {
            if read {
                Err(types::Errno::Badf.into())
            } else {
                Ok(Source::Ready)
            }
        }
        _ => Ok(Source::Ready),
    }
}

/// Waits until one of the subscriptions is ready. True when standard input is one of them.
fn wait(stdin: &stdin::Stdin, subscriptions: &[Subscription]) -> bool {
    let sources = || subscriptions.iter().map(|subscription| subscription.source);
    let deadline = sources()
        .filter_map(|source| match source {
            Source::Clock(deadline) => Some(deadline),
            Source::Stdin | Source::Ready => None,
        })
        .min();
    let wants_stdin = sources().any(|source| source == Source::Stdin);
    let is_ready = sources().any(|source| source == Source::Ready);
    let Some(descriptor) = stdin.descriptor().filter(|_| wants_stdin) else {
        if !is_ready && !wants_stdin {
            let deadline = deadline.expect("what is neither a descriptor nor an output is a clock");
            std::thread::sleep(deadline.saturating_duration_since(Instant::now()));
        }
        return wants_stdin;
    };
    loop {
        let left = if is_ready {
            Some(Duration::ZERO)
        } else {
            deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
        };
        match stdin::wait_readable(descriptor, left.map(timespec)) {
            Ok(true) => return true,
            Ok(false) if left.is_some_and(|left| left.is_zero()) => return false,
            Ok(false) | Err(rustix::io::Errno::INTR) => {}
            // A read will tell the guest what is wrong.
            Err(_) => return true,
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[at + index])
}

/// A run of the guest's memory. As with all of WASI, a bad pointer is a trap.
fn slice(memory: &mut [u8], address: u32, length: usize) -> wasmtime::Result<&mut [u8]> {
    let start = address as usize;
    let Some(slice) = start.checked_add(length).and_then(|end| memory.get_mut(start..end)) else {
        bail!("pointer out of bounds: {length} bytes at {address:#x}");
    };
    Ok(slice)
}

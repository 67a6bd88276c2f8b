//! From the engine's errors to claims.

#![forbid(unsafe_code)]

use wasmtime::{Error, WasmBacktrace};

use crate::limits::{BACKTRACE_FRAMES_MAX, FILE_NAME_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::outcome::{LimitKind, Panic, StartFailure, Trap, TrapKind, WasmFrame};
use crate::protocol::worker::Claim;
use crate::worker::imports;
use crate::worker::limiter::Limiter;

/// Bytes of one function name in a backtrace; all frames together stay far below a wire frame.
const FUNCTION_BYTES_MAX: usize = 512;

/// Cuts a text to at most `bytes_max` bytes at a character's border and says so.
pub(crate) fn cut(mut text: String, bytes_max: usize) -> String {
    const MARK: &str = "...";
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max - MARK.len()));
        text.push_str(MARK);
    }
    text
}

/// A message that fits a frame.
pub(crate) fn message(text: impl Into<String>) -> String {
    cut(text.into(), MESSAGE_BYTES_MAX)
}

/// An engine error with all its causes, in one line and without the backtrace.
pub(crate) fn describe(error: &Error) -> String {
    let causes = error.chain().map(ToString::to_string).filter(|cause| !cause.starts_with(BACKTRACE_HEAD));
    let line = |cause: String| cause.split_whitespace().collect::<Vec<_>>().join(" ");
    message(causes.map(line).collect::<Vec<_>>().join(": "))
}

/// How wasmtime says that a call copies more than the store allows; it has no type for it.
const TOO_MUCH_DATA: &str = "too much data is being copied between the host and the guest";

/// How wasmtime's backtrace begins when it is printed as one of the causes.
const BACKTRACE_HEAD: &str = "error while executing at wasm backtrace";

/// The kind of each of wasmtime's traps that has one of its own. Interrupt and fuel are no traps to us.
pub(crate) fn kind(trap: wasmtime::Trap) -> TrapKind {
    match trap {
        wasmtime::Trap::UnreachableCodeReached => TrapKind::Unreachable,
        wasmtime::Trap::StackOverflow => TrapKind::StackOverflow,
        wasmtime::Trap::MemoryOutOfBounds => TrapKind::MemoryOutOfBounds,
        wasmtime::Trap::TableOutOfBounds => TrapKind::TableOutOfBounds,
        wasmtime::Trap::IndirectCallToNull => TrapKind::IndirectCallToNull,
        wasmtime::Trap::BadSignature => TrapKind::BadSignature,
        wasmtime::Trap::IntegerOverflow => TrapKind::IntegerOverflow,
        wasmtime::Trap::IntegerDivisionByZero => TrapKind::IntegerDivisionByZero,
        wasmtime::Trap::BadConversionToInteger => TrapKind::BadConversionToInteger,
        wasmtime::Trap::NullReference => TrapKind::NullReference,
        wasmtime::Trap::CastFailure => TrapKind::CastFailure,
        wasmtime::Trap::ArrayOutOfBounds => TrapKind::ArrayOutOfBounds,
        wasmtime::Trap::AllocationTooLarge => TrapKind::AllocationTooLarge,
        wasmtime::Trap::HeapMisaligned => TrapKind::MisalignedAtomic,
        wasmtime::Trap::UncaughtException => TrapKind::UncaughtException,
        _ => TrapKind::Other,
    }
}

/// What an error of the engine says about the call that it ended.
pub(crate) fn claim(error: &Error, limiter: &Limiter, panic: Option<Panic>) -> Claim {
    if let Some(exit) = error.downcast_ref::<imports::Exit>() {
        return Claim::Exited { code: exit.0 };
    }
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        return Claim::Exited { code: exit.0.cast_unsigned() };
    }
    if imports::is_out_of_handles(error) {
        return Claim::LimitExceeded { kind: LimitKind::Handles, detail: describe(error) };
    }
    if describe(error).contains(TOO_MUCH_DATA) {
        return Claim::LimitExceeded { kind: LimitKind::Result, detail: describe(error) };
    }
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::Interrupt) => Claim::Interrupted { backtrace: backtrace(error) },
        Some(wasmtime::Trap::OutOfFuel) => {
            Claim::LimitExceeded { kind: LimitKind::Fuel, detail: "all fuel was used up".to_owned() }
        }
        Some(trap) => trapped(kind(*trap), trap.to_string(), error, limiter, panic),
        None if error.is::<wasmtime::ThrownException>() => {
            trapped(TrapKind::UncaughtException, "uncaught exception".to_owned(), error, limiter, panic)
        }
        // Errors of the canonical ABI and of host functions that refuse a guest's pointers, handles or
        // arguments: the guest called them and ends here.
        None => trapped(TrapKind::Other, describe(error), error, limiter, panic),
    }
}

/// What an error says about an instance that could not be made.
pub(crate) fn instantiation_claim(error: &Error, limiter: &Limiter, panic: Option<Panic>) -> Claim {
    let ran = error.is::<wasmtime::Trap>()
        || error.is::<imports::Exit>()
        || error.is::<wasmtime_wasi::I32Exit>()
        || error.is::<WasmBacktrace>();
    if ran {
        return claim(error, limiter, panic);
    }
    if let Some((kind, detail)) = limiter.denied() {
        return Claim::LimitExceeded { kind: *kind, detail: detail.clone() };
    }
    let detail = describe(error);
    if detail.contains("resource limit exceeded") {
        return Claim::LimitExceeded { kind: LimitKind::Instances, detail };
    }
    Claim::NotStarted { kind: StartFailure::Instantiation, detail }
}

fn trapped(kind: TrapKind, text: String, error: &Error, limiter: &Limiter, panic: Option<Panic>) -> Claim {
    let panic = panic.map(|panic| Panic {
        message: message(panic.message),
        file: cut(panic.file, FILE_NAME_BYTES_MAX),
        ..panic
    });
    let trap = Trap { kind, message: message(text), backtrace: backtrace(error), panic, before_task: None };
    Claim::Trapped { trap: Box::new(trap), denied: limiter.denied().cloned() }
}

/// The WebAssembly frames that an error carries, innermost first.
fn backtrace(error: &Error) -> Vec<WasmFrame> {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let frame = |frame: &wasmtime::FrameInfo| WasmFrame {
        function: match frame.func_name() {
            Some(name) => cut(readable(name), FUNCTION_BYTES_MAX),
            None => format!("function {}", frame.func_index()),
        },
        module_offset: frame.module_offset().map(|offset| offset as u64),
    };
    trace.frames().iter().take(BACKTRACE_FRAMES_MAX).map(frame).collect()
}

/// A mangled Rust name as it was written, without its hash; another name as it is.
fn readable(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Traps of the engine that are reported as code 219 with their name: they belong to proposals
    /// that are off, or to the component model's own rules.
    const OTHERS: &[&str] = &[
        "AtomicWaitNonSharedMemory",
        "CannotEnterComponent",
        "NoAsyncResult",
        "UnhandledTag",
        "ContinuationAlreadyConsumed",
        "DisabledOpcode",
        "AsyncDeadlock",
        "CannotLeaveComponent",
        "CannotBlockSyncTask",
        "InvalidChar",
        "DebugAssertStringEncodingFinished",
        "DebugAssertEqualCodeUnits",
        "DebugAssertPointerAligned",
        "DebugAssertUpperBitsUnset",
        "StringOutOfBounds",
        "ListOutOfBounds",
        "InvalidDiscriminant",
        "UnalignedPointer",
        "TaskCancelNotCancelled",
        "TaskCancelOrReturnTwice",
        "SubtaskCancelAfterTerminal",
        "TaskReturnInvalid",
        "WaitableSetDropHasWaiters",
        "SubtaskDropNotResolved",
        "ThreadNewIndirectInvalidType",
        "ThreadNewIndirectUninitialized",
        "BackpressureOverflow",
        "UnsupportedCallbackCode",
        "CannotResumeThread",
        "ConcurrentFutureStreamOp",
        "ReferenceCountOverflow",
        "StreamOpTooBig",
        "WaitableSyncAndAsync",
    ];

    #[test]
    fn every_trap_of_the_engine_is_named() {
        for trap in (0..=u8::MAX).filter_map(wasmtime::Trap::from_u8) {
            let own = kind(trap) != TrapKind::Other;
            let ended_otherwise = matches!(trap, wasmtime::Trap::Interrupt | wasmtime::Trap::OutOfFuel);
            let listed = OTHERS.contains(&format!("{trap:?}").as_str());
            assert!(own || ended_otherwise || listed, "the trap {trap:?} is neither mapped nor listed");
            assert!(!(own && listed), "the trap {trap:?} is mapped and listed");
        }
    }

    #[test]
    fn a_cut_text_keeps_whole_characters() {
        assert_eq!(cut("short".to_owned(), 10), "short");
        assert_eq!(cut("äöüäöü".to_owned(), 8), "äö...");
    }
}

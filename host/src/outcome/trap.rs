//! Traps: what the guest's own code did that WebAssembly forbids.

#![forbid(unsafe_code)]

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::exit_code;

macro_rules! trap_kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $label:literal, $code:ident;)*) => {
        /// The traps with an exit code of their own, and `Other` for the rest.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum TrapKind { $($(#[doc = $doc])* $name,)* }

        impl TrapKind {
            /// Every kind, in the order of the codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in records.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// Its exit code.
            #[must_use]
            pub fn exit_code(self) -> u8 {
                match self { $(Self::$name => exit_code::$code,)* }
            }
        }
    };
}

trap_kinds! {
    /// The `unreachable` instruction: how Rust ends a panic.
    Unreachable = "unreachable", UNREACHABLE;
    /// The stack was used up.
    StackOverflow = "stack overflow", STACK_OVERFLOW;
    /// Memory was used out of bounds.
    MemoryOutOfBounds = "memory out of bounds", MEMORY_OUT_OF_BOUNDS;
    /// A table was used out of bounds.
    TableOutOfBounds = "table out of bounds", TABLE_OUT_OF_BOUNDS;
    /// An indirect call to null.
    IndirectCallToNull = "indirect call to null", INDIRECT_CALL_TO_NULL;
    /// An indirect call with another signature than the function's.
    BadSignature = "indirect call, bad signature", BAD_SIGNATURE;
    /// An integer overflow.
    IntegerOverflow = "integer overflow", INTEGER_OVERFLOW;
    /// An integer division by zero.
    IntegerDivisionByZero = "integer division by zero", INTEGER_DIVISION_BY_ZERO;
    /// A float that no integer can hold.
    BadConversionToInteger = "bad conversion to integer", BAD_CONVERSION_TO_INTEGER;
    /// A null reference was used.
    NullReference = "null reference", NULL_REFERENCE;
    /// A reference was cast to a type it is not of.
    CastFailure = "cast failure", CAST_FAILURE;
    /// A GC array was used out of bounds.
    ArrayOutOfBounds = "array out of bounds", ARRAY_OUT_OF_BOUNDS;
    /// An allocation that can never succeed.
    AllocationTooLarge = "allocation too large", ALLOCATION_TOO_LARGE;
    /// An atomic operation at an address that is not aligned.
    MisalignedAtomic = "misaligned atomic", MISALIGNED_ATOMIC;
    /// An exception that nothing caught.
    UncaughtException = "uncaught exception", UNCAUGHT_EXCEPTION;
    /// Any other trap; the message names it.
    Other = "trap", OTHER_TRAP;
}

/// A trap with the place where it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trap {
    /// Which trap.
    pub kind: TrapKind,
    /// The engine's own words.
    pub message: String,
    /// The WebAssembly frames, innermost first.
    pub backtrace: Vec<WasmFrame>,
    /// The guest's panic, when the trap ended one.
    pub panic: Option<Panic>,
    /// What it ended, when that was not the task itself: what its module or its pool runs first. The message says so too.
    pub before_task: Option<String>,
}

/// One frame of a WebAssembly backtrace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasmFrame {
    /// The function's name, or `function N` when the module does not name it.
    pub function: String,
    /// Offset in the module file, in bytes.
    pub module_offset: Option<u64>,
}

/// What a guest's panic said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panic {
    /// The message.
    pub message: String,
    /// The source file.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.panic {
            Some(panic) => {
                write!(f, "panicked at {}:{}:{}: {}", panic.file, panic.line, panic.column, panic.message)
            }
            None if self.kind == TrapKind::Other => write!(f, "trapped: {}", self.message),
            None => {
                let before = self.before_task.as_ref().map(|what| format!("{what} failed: "));
                write!(f, "{}trapped: {}", before.unwrap_or_default(), self.kind.label())
            }
        }
    }
}

//! The exit-code table: one list that the verdict, help text, README and tests read.
//!
//! Codes up to 125 belong to the guest, 126 to 199 follow the shell, 200 and up are ours. The table is
//! a contract: rows are added, never renumbered.

#![forbid(unsafe_code)]

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitCode {
    /// The code, or the first of a range.
    pub code: u8,
    /// How the code is written in a table: `200`, `2-125`, `128+N`.
    pub label: &'static str,
    /// What it means, in one line.
    pub meaning: &'static str,
}

macro_rules! exit_codes {
    ($($name:ident = $code:literal, $label:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: u8 = $code;)*

        /// Every code that `wasmpool run` ends with, in order.
        pub const TABLE: &[ExitCode] = &[
            $(ExitCode { code: $code, label: $label, meaning: $meaning },)*
        ];
    };
}

exit_codes! {
    SUCCESS = 0, "0", "the task returned, or called exit(0)";
    FAILED = 1, "1", "the task returned an error, or exit(1)";
    GUEST_FIRST = 2, "2-124", "the guest's own exit(n)";
    GUEST_LAST = 125, "125", "exit(125), or a larger n (the true number is in the record)";
    CANNOT_RUN = 126, "126", "module cannot run: invalid, unsupported, or imports missing or not granted";
    NOT_FOUND = 127, "127", "module, task or export not found";
    SIGNAL_BASE = 128, "128+N", "the worker was killed by signal N, not by us";
    UNREACHABLE = 200, "200", "unreachable (a panic, in Rust)";
    STACK_OVERFLOW = 201, "201", "stack overflow";
    MEMORY_OUT_OF_BOUNDS = 202, "202", "memory out of bounds";
    TABLE_OUT_OF_BOUNDS = 203, "203", "table out of bounds";
    INDIRECT_CALL_TO_NULL = 204, "204", "indirect call to null";
    BAD_SIGNATURE = 205, "205", "indirect call, bad signature";
    INTEGER_OVERFLOW = 206, "206", "integer overflow";
    INTEGER_DIVISION_BY_ZERO = 207, "207", "integer division by zero";
    BAD_CONVERSION_TO_INTEGER = 208, "208", "bad conversion to integer";
    NULL_REFERENCE = 209, "209", "null reference";
    CAST_FAILURE = 210, "210", "cast failure";
    ARRAY_OUT_OF_BOUNDS = 211, "211", "array out of bounds";
    ALLOCATION_TOO_LARGE = 212, "212", "allocation too large";
    MISALIGNED_ATOMIC = 213, "213", "misaligned atomic";
    UNCAUGHT_EXCEPTION = 214, "214", "uncaught exception";
    OTHER_TRAP = 219, "219", "any other trap (named in the record)";
    FUEL = 220, "220", "fuel used up";
    TIMED_OUT = 221, "221", "wall-clock time-out";
    MEMORY_LIMIT = 222, "222", "memory limit, also a trap after a growth that the limit denied";
    TABLE_LIMIT = 223, "223", "table or instance limit";
    OUTPUT_LIMIT = 224, "224", "output limit";
    TOO_LARGE = 225, "225", "argument, result or message too large";
    TOO_MANY_HANDLES = 226, "226", "too many handles";
    CPU_TIME_LIMIT = 227, "227", "CPU-time limit";
    KERNEL_MEMORY = 228, "228", "killed by the kernel for memory (the pool's cgroup)";
    CANCELLED = 230, "230", "cancelled by the caller";
    HALTED = 231, "231", "batch halted";
    SHUT_DOWN = 232, "232", "pool shut down";
    DEADLOCK = 233, "233", "deadlock (the cycle is in the record)";
    DEPENDENCY_FAILED = 234, "234", "not run: a task it depends on failed";
    QUARANTINED = 235, "235", "quarantined: it kept killing its workers";
    PROTOCOL = 240, "240", "worker broke the protocol";
    VERSION_MISMATCH = 241, "241", "version mismatch";
    INSTANTIATION_FAILED = 242, "242", "instantiation failed";
    COMPILATION_FAILED = 243, "243", "compilation failed or hit its limit";
    HOST_IMPORT_FAILED = 244, "244", "a host import failed";
    WORKER_PANICKED = 245, "245", "worker panicked";
    USAGE = 246, "246", "usage error of `wasmpool run`";
    NOT_SET_UP = 247, "247", "could not be set up: sandbox layer missing, worker could not be started";
    FORK_SERVER_LOST = 248, "248", "fork server lost";
    UNKNOWN = 249, "249", "unknown";
}

/// Exit codes of `wasmpool map` and `wasmpool batch`, which speak of many tasks at once.
pub mod batch {
    /// Every task succeeded.
    pub const SUCCESS: u8 = 0;
    /// The command line was wrong.
    pub const USAGE: u8 = 2;
    /// Nothing could be started: a module that cannot run, a missing sandbox layer.
    pub const NOT_SET_UP: u8 = 96;
    /// Some task failed.
    pub const SOME_FAILED: u8 = 100;
    /// Halted before every task had run.
    pub const INCOMPLETE: u8 = 106;
    /// Ended by SIGINT.
    pub const INTERRUPTED: u8 = 130;
    /// Ended by SIGTERM.
    pub const TERMINATED: u8 = 143;
}

/// The code for a guest's own `exit(n)`: larger numbers than a guest may use are reported as 125.
#[must_use]
pub fn for_guest_exit(n: u32) -> u8 {
    u8::try_from(n).map_or(GUEST_LAST, |code| code.min(GUEST_LAST))
}

/// The code for a worker that was killed by `signal`.
#[must_use]
pub fn for_signal(signal: i32) -> u8 {
    u8::try_from(signal)
        .ok()
        .and_then(|number| SIGNAL_BASE.checked_add(number))
        .filter(|code| *code < UNREACHABLE)
        .unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_unique() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    fn large_guest_codes_are_reported_as_125() {
        let codes: Vec<u8> = [0, 1, 42, 125, 126, 300, u32::MAX].map(for_guest_exit).to_vec();
        assert_eq!(codes, [0, 1, 42, 125, 125, 125, 125]);
    }

    #[test]
    fn signals_are_added_to_128_and_never_reach_our_own_codes() {
        assert_eq!(for_signal(9), 137);
        assert_eq!(for_signal(11), 139);
        assert_eq!(for_signal(64), 192);
        assert_eq!(for_signal(72), UNKNOWN);
        assert_eq!(for_signal(-1), UNKNOWN);
    }
}

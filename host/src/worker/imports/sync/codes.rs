//! The numbers that flat functions answer, for components and core modules alike.
//!
//! `guest-sdk/wit/sync.wit` and `guest-sdk/include/wasmpool.h` list them too; a test holds all three
//! together. Below [`FIRST_ERROR`] something was done or is known; from there on nothing has changed.

#![forbid(unsafe_code)]

use crate::sync::SyncError;

/// It is done.
pub(super) const DONE: u32 = 0;
/// It is done, and whoever held the lock before died or left without giving it back.
pub(super) const ABANDONED: u32 = 1;
/// The end of a queue, or a swap that another value prevented.
pub(super) const END: u32 = 2;
/// For core modules only: there is no such entry.
pub(super) const NONE: u32 = END;
#[cfg(test)]
pub(super) const FIRST_ERROR: u32 = 16;
/// For core modules only: a pointer or length outside the memory, or text that is no UTF-8.
pub(super) const BAD_POINTER: u32 = 31;
/// For core modules only: added to the exit code of a submitted task that did not return.
pub(super) const TASK_ENDED: u32 = 256;

/// The number of an error.
pub(super) fn of(error: &SyncError) -> u32 {
    match error {
        SyncError::TimedOut => 16,
        SyncError::Closed => 17,
        SyncError::AccessDenied(_) => 18,
        SyncError::NotOwner => 19,
        SyncError::AlreadyOwned => 20,
        SyncError::Broken => 21,
        SyncError::TooLarge { .. } => 22,
        SyncError::OutOfRange(_) => 23,
        SyncError::WrongKind(_) => 24,
        SyncError::TooMany(_) => 25,
        SyncError::NotFound(_) => 26,
        SyncError::Deadlock(_) => 27,
        SyncError::Cancelled => 28,
        SyncError::Damaged(_) => 29,
        // The second comes of types, which only the handles of a host program have.
        SyncError::Unavailable(_) | SyncError::Unreadable(_) => 30,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const WIT: &str = include_str!("../../../../../guest-sdk/wit/sync.wit");
    const HEADER: &str = include_str!("../../../../../guest-sdk/include/wasmpool.h");

    /// One error of each kind, with its name in the WIT and the C header.
    fn errors() -> Vec<(SyncError, &'static str)> {
        let text = String::new;
        vec![
            (SyncError::TimedOut, "timed out"),
            (SyncError::Closed, "closed"),
            (SyncError::AccessDenied(text()), "access denied"),
            (SyncError::NotOwner, "not owner"),
            (SyncError::AlreadyOwned, "already owned"),
            (SyncError::Broken, "broken"),
            (SyncError::TooLarge { bytes: 1, limit: 0 }, "too large"),
            (SyncError::OutOfRange(text()), "out of range"),
            (SyncError::WrongKind(text()), "wrong kind"),
            (SyncError::TooMany(text()), "too many"),
            (SyncError::NotFound(text()), "not found"),
            (SyncError::Deadlock(text()), "deadlock"),
            (SyncError::Cancelled, "cancelled"),
            (SyncError::Damaged(text()), "damaged"),
            (SyncError::Unavailable(text()), "unavailable"),
        ]
    }

    /// Every number with its name, as the code has it.
    fn listed() -> Vec<(u32, &'static str)> {
        let mut listed = vec![(DONE, "done"), (ABANDONED, "done"), (END, "the end")];
        listed.extend(errors().iter().map(|(error, name)| (of(error), *name)));
        listed
    }

    #[test]
    fn each_error_has_a_number_of_its_own() {
        for (at, (error, name)) in errors().iter().enumerate() {
            assert_eq!(of(error), FIRST_ERROR + at as u32, "{name}");
        }
    }

    #[test]
    fn the_wit_lists_the_same_codes() {
        let comment: Vec<_> = WIT.lines().filter_map(|line| line.trim().strip_prefix("///")).collect();
        let text = comment.join(" ");
        let (_, list) = text.split_once("Codes: ").expect("the list of codes");
        let (list, _) = list.split_once(". From 16 on").expect("the end of the list");
        let code = |entry: &str| {
            let entry = entry.split_whitespace().collect::<Vec<_>>().join(" ");
            let (number, name) = entry.split_once(' ').expect("a number and a name");
            let name = name.split([',', ':']).next().expect("a name").to_owned();
            (number.parse::<u32>().expect("a number"), name)
        };
        let found: Vec<_> = list.split(';').map(code).collect();
        let wanted: Vec<_> = listed().into_iter().map(|(number, name)| (number, name.to_owned())).collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn the_c_header_lists_the_same_codes() {
        let mut defined: Vec<(u32, String)> = Vec::new();
        for line in HEADER.lines().filter_map(|line| line.strip_prefix("#define WASMPOOL_CODE_")) {
            let (name, rest) = line.split_once(char::is_whitespace).expect("a value");
            let number = rest.split_whitespace().next().expect("a number").trim_end_matches('u');
            let name = name.to_lowercase().replace('_', " ");
            defined.push((number.parse().expect("a number"), name));
        }
        let mut wanted: Vec<_> =
            listed().into_iter().map(|(number, name)| (number, name.to_owned())).collect();
        wanted[1].1 = "abandoned".to_owned();
        wanted[2].1 = "end".to_owned();
        wanted.push((BAD_POINTER, "bad pointer".to_owned()));
        wanted.push((TASK_ENDED, "task ended".to_owned()));
        assert_eq!(defined, wanted);
    }
}

//! The names of objects.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::NAME_BYTES_MAX;
use crate::sync::{ObjectKind, SyncError};

/// The name that was given, if it can be one; else `queue-3` for the third nameless queue of this program.
pub(super) fn given_or_made_up(kind: ObjectKind, name: Option<&str>) -> Result<Arc<str>, SyncError> {
    static MADE_UP: [AtomicU64; ObjectKind::ALL.len()] = [const { AtomicU64::new(1) }; ObjectKind::ALL.len()];
    match name {
        Some(name) => check(name).map(|()| Arc::from(name)),
        None => {
            let number = MADE_UP[kind as usize].fetch_add(1, Ordering::Relaxed);
            Ok(format!("{}-{number}", kind.label()).into())
        }
    }
}

/// A name is one word that can stand in a command line, a message and a file name.
fn check(name: &str) -> Result<(), SyncError> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    if fits && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    Err(SyncError::OutOfRange(format!(
        "a name has 1 to {NAME_BYTES_MAX} letters a to z, digits, `-`, `_` and `.`, which {shown:?} has not"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_names_name_the_kind_and_differ() {
        let name = || given_or_made_up(ObjectKind::Barrier, None).unwrap();
        let (first, second) = (name(), name());
        assert!(first.starts_with("barrier-"), "{first}");
        assert_ne!(first, second);
    }

    #[test]
    fn a_name_is_one_plain_word() {
        let given = |name: &str| given_or_made_up(ObjectKind::Lock, Some(name));
        for name in ["jobs", "A-1_b.c", "7", &"n".repeat(256)] {
            assert_eq!(given(name).as_deref(), Ok(name));
        }
        for name in ["", "a b", "a:1", "ä", "a\n", "a/b", &"n".repeat(257)] {
            assert!(matches!(given(name), Err(SyncError::OutOfRange(_))), "{name:?}");
        }
    }
}

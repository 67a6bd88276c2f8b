//! What a recovery is told, and what it and a look for deadlocks answer.

#![forbid(unsafe_code)]

use super::Token;

/// How a participant left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// Its task returned: what it still held is given back, and a barrier goes on without it.
    Ended,
    /// It was killed, trapped, timed out or cancelled: a barrier that it is a party of breaks.
    Died,
}

/// How far a recovery came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// The object holds nothing of the dead any more, and whoever can go on was woken.
    Done,
    /// Somebody who is alive is inside the object for a moment: ask again.
    Busy,
}

/// Who could end a wait, by the object's present state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blockers {
    /// What is waited for is there already.
    Nobody,
    /// Only this participant.
    Owner(Token),
    /// Any participant but the one that waits.
    Anybody,
}

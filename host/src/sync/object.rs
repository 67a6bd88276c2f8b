//! The narrow trait behind which every shared object stands.

#![forbid(unsafe_code)]

use std::fmt;
use std::num::NonZeroU32;

use super::{Answer, Operation, Spec, SyncError, Waits};
use crate::outcome::Held;

/// Who acts on an object: one attempt at a task, or one thread of the host program. The supervisor gives
/// them out and never gives one again before everything that it held was recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Token(NonZeroU32);

impl Token {
    /// The largest number of a token: the bits above are the lock words'.
    pub(crate) const MAX: u32 = (1 << 28) - 1;

    /// `None` for zero and for numbers over [`Token::MAX`].
    pub(crate) fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).filter(|number| number.get() <= Self::MAX).map(Self)
    }

    pub(crate) fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A queue, a lock or another shared object, wherever it lives.
pub(crate) trait Object: fmt::Debug + Send + Sync {
    /// What it is and what bounds it.
    fn spec(&self) -> &Spec;

    /// What `who` holds. Exact for one that does nothing meanwhile, as far as nobody scribbles on the memory.
    fn held_by(&self, who: Token) -> Option<Held>;

    /// Does one operation for `who`. When it fails, the object is as it was.
    fn perform(
        &self,
        who: Token,
        operation: Operation<'_>,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError>;
}

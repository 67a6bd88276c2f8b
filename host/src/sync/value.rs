//! The value: one atomic number. Nothing of it is ever held, and a death cannot tear it.

#![forbid(unsafe_code)]

use super::memory::Memory;
use super::{Answer, ObjectKind, Operation, SyncError};

/// Bytes of a value.
pub(super) const BYTES: u64 = 8;

/// A value at this place: an integer, or the bits of a float.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'m, M: Memory> {
    pub(super) memory: &'m M,
    pub(super) base: u64,
    pub(super) float: bool,
}

impl<M: Memory> Value<'_, M> {
    pub(super) fn initialize(&self, initial: u64) {
        self.memory.store64(self.base, initial);
    }

    pub(super) fn perform(&self, operation: Operation<'_>) -> Result<Answer, SyncError> {
        let (memory, at) = (self.memory, self.base);
        match operation {
            Operation::Open | Operation::Leave => Ok(Answer::Done),
            Operation::Load => Ok(Answer::Word(memory.load64(at))),
            Operation::Store(bits) => Ok(Answer::Word(memory.swap64(at, bits))),
            Operation::CompareExchange { expected, new } => {
                Ok(Answer::Word(memory.swap64_if(at, expected, new)))
            }
            Operation::AddInteger(_) if self.float => {
                Err(SyncError::WrongKind("add_integer is not for a value that is a float".to_owned()))
            }
            Operation::AddInteger(addend) => Ok(Answer::Word(memory.add64(at, addend.cast_unsigned()))),
            Operation::AddFloat(_) if !self.float => {
                Err(SyncError::WrongKind("add_float is not for a value that is an integer".to_owned()))
            }
            Operation::AddFloat(addend) => self.add_float(addend).map(Answer::Word),
            _ => Err(operation.wrong_for(ObjectKind::Value)),
        }
    }

    fn add_float(&self, addend: f64) -> Result<u64, SyncError> {
        // Each failure is another's success, unless somebody scribbles.
        const ATTEMPTS: u32 = 100_000;
        let mut found = self.memory.load64(self.base);
        for _ in 0..ATTEMPTS {
            let sum = (f64::from_bits(found) + addend).to_bits();
            match self.memory.swap64_if(self.base, found, sum) {
                before if before == found => return Ok(found),
                changed => found = changed,
            }
        }
        Err(SyncError::Damaged("the value never stands still".to_owned()))
    }
}

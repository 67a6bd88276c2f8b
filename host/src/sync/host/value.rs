//! Atomic numbers.

#![forbid(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;

use super::{Base, handle};
use crate::sync::{Answer, Operation, Spec, SyncError};

mod sealed {
    pub trait Sealed: Copy {
        const IS_FLOAT: bool;
        fn to_bits(self) -> u64;
        fn from_bits(bits: u64) -> Self;
    }
}
use sealed::Sealed;

/// What a [`Value`] holds: `i64` or `f64`.
pub trait Number: Sealed + fmt::Debug {}

impl Sealed for i64 {
    const IS_FLOAT: bool = false;

    fn to_bits(self) -> u64 {
        self.cast_unsigned()
    }

    fn from_bits(bits: u64) -> Self {
        bits.cast_signed()
    }
}

impl Number for i64 {}

impl Sealed for f64 {
    const IS_FLOAT: bool = true;

    fn to_bits(self) -> u64 {
        self.to_bits()
    }

    fn from_bits(bits: u64) -> Self {
        Self::from_bits(bits)
    }
}

impl Number for f64 {}

/// One atomic number. Python's `Value('q')` and `Value('d')`, without the need for its lock.
///
/// Each call is one atomic step, so `add` counts right however many count at once. Nobody owns it: a death
/// leaves the number as it is.
///
/// ```
/// use wasmpool::sync::Value;
///
/// let count = Value::<i64>::new(0)?;
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| (0..100).for_each(|_| drop(count.add(1))));
///     }
/// });
/// assert_eq!(count.get(), 400);
/// # Ok::<(), wasmpool::sync::SyncError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Value<N> {
    base: Base,
    number: PhantomData<fn() -> N>,
}

handle!(Value<N>);

impl<N: Number> Value<N> {
    /// A number that begins as this one, with a made-up name.
    ///
    /// # Errors
    ///
    /// [`SyncError::Unavailable`] when there is no memory or descriptor for it.
    pub fn new(initial: N) -> Result<Self, SyncError> {
        Self::create(None, initial)
    }

    /// A number that begins as this one, with this name.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`SyncError::OutOfRange`] when it is no name.
    pub fn named(name: &str, initial: N) -> Result<Self, SyncError> {
        Self::create(Some(name), initial)
    }

    fn create(name: Option<&str>, initial: N) -> Result<Self, SyncError> {
        let spec = Spec::Value { initial: initial.to_bits(), float: N::IS_FLOAT };
        Base::create(spec, name).map(|base| Self { base, number: PhantomData })
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> N {
        self.word(Operation::Load)
    }

    /// Stores another one.
    pub fn set(&self, number: N) {
        self.swap(number);
    }

    /// Stores another one; the one before.
    pub fn swap(&self, number: N) -> N {
        self.word(Operation::Store(number.to_bits()))
    }

    /// Adds to it; the number before. An integer wraps around.
    pub fn add(&self, addend: N) -> N {
        let bits = addend.to_bits();
        self.word(if N::IS_FLOAT {
            Operation::AddFloat(f64::from_bits(bits))
        } else {
            Operation::AddInteger(bits.cast_signed())
        })
    }

    /// Stores `new` if the number is `expected` (to the bit); the number before in both cases, as an error
    /// when it was another one.
    ///
    /// # Errors
    ///
    /// The number that was found instead.
    pub fn compare_exchange(&self, expected: N, new: N) -> Result<N, N> {
        let expected = expected.to_bits();
        let found = self.word(Operation::CompareExchange { expected, new: new.to_bits() });
        if found.to_bits() == expected { Ok(found) } else { Err(found) }
    }

    fn word(&self, operation: Operation<'_>) -> N {
        match self.base.act(operation) {
            Ok(Answer::Word(bits)) => N::from_bits(bits),
            other => {
                unreachable!("a value of this type has this operation and needs nothing else: {other:?}")
            }
        }
    }
}

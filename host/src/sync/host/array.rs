//! Rows of numbers.

#![forbid(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use super::{Base, handle, unexpected};
use crate::sync::{Answer, ElementType, Operation, Spec, SyncError};

mod sealed {
    pub trait Sealed: Copy {
        const TYPE: crate::sync::ElementType;
        fn append(self, bytes: &mut Vec<u8>);
        /// From exactly as many bytes as it has.
        fn read(bytes: &[u8]) -> Self;
    }
}
use sealed::Sealed;

/// What an [`Array`] holds: `u8`, `i32`, `i64` or `f64`.
pub trait Element: Sealed + fmt::Debug {}

macro_rules! elements {
    ($($number:ident is $element:ident;)*) => {$(
        impl Sealed for $number {
            const TYPE: ElementType = ElementType::$element;

            fn append(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn read(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("the caller cuts the bytes to this length"))
            }
        }

        impl Element for $number {}
    )*};
}

elements! {
    u8 is U8;
    i32 is I32;
    i64 is I64;
    f64 is F64;
}

/// A row of numbers of fixed length. Python's `Array`.
///
/// One call reads or writes its elements together: nobody sees half of another's write, unless the writer died
/// in it, which leaves the first part written. Nobody owns the array.
///
/// ```
/// use wasmpool::sync::Array;
///
/// let row = Array::<i32>::new(5)?;
/// row.write(1, &[7, 8])?;
/// row.set(4, -1)?;
/// assert_eq!(row.read(..)?, [0, 7, 8, 0, -1]);
/// assert!(row.get(5).is_err());
/// # Ok::<(), wasmpool::sync::SyncError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Array<N> {
    base: Base,
    length: u64,
    element: PhantomData<fn() -> N>,
}

handle!(Array<N>);

impl<N: Element> Array<N> {
    /// So many zeros, with a made-up name.
    ///
    /// # Errors
    ///
    /// [`SyncError::OutOfRange`] or [`SyncError::TooLarge`] for a length that cannot be,
    /// [`SyncError::Unavailable`] when there is no memory or descriptor for it.
    pub fn new(length: u64) -> Result<Self, SyncError> {
        Self::create(None, length)
    }

    /// So many zeros, with this name.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`SyncError::OutOfRange`] when it is no name.
    pub fn named(name: &str, length: u64) -> Result<Self, SyncError> {
        Self::create(Some(name), length)
    }

    fn create(name: Option<&str>, length: u64) -> Result<Self, SyncError> {
        let spec = Spec::Array { element: N::TYPE, length };
        Base::create(spec, name).map(|base| Self { base, length, element: PhantomData })
    }

    /// How many elements it has.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "its length never changes, and an empty one is of no use"
    )]
    pub fn len(&self) -> u64 {
        self.length
    }

    /// One element.
    ///
    /// # Errors
    ///
    /// [`SyncError::OutOfRange`].
    pub fn get(&self, index: u64) -> Result<N, SyncError> {
        let bytes = self.bytes(index, 1)?;
        Ok(N::read(&bytes))
    }

    /// Stores one element.
    ///
    /// # Errors
    ///
    /// [`SyncError::OutOfRange`].
    pub fn set(&self, index: u64, number: N) -> Result<(), SyncError> {
        self.write(index, &[number])
    }

    /// These elements; `..` is all of them.
    ///
    /// # Errors
    ///
    /// [`SyncError::OutOfRange`].
    pub fn read(&self, range: impl RangeBounds<u64>) -> Result<Vec<N>, SyncError> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => self.length,
        };
        let bytes = self.bytes(start, end.saturating_sub(start))?;
        Ok(bytes.chunks_exact(std::mem::size_of::<N>()).map(N::read).collect())
    }

    /// Stores elements from this index on.
    ///
    /// # Errors
    ///
    /// [`SyncError::OutOfRange`], and nothing is stored.
    pub fn write(&self, start: u64, numbers: &[N]) -> Result<(), SyncError> {
        let mut bytes = Vec::with_capacity(std::mem::size_of_val(numbers));
        for number in numbers {
            number.append(&mut bytes);
        }
        self.base.act(Operation::Write { start, bytes: &bytes }).map(drop)
    }

    /// The bytes of so many elements, exactly.
    fn bytes(&self, start: u64, count: u64) -> Result<Vec<u8>, SyncError> {
        match self.base.act(Operation::Read { start, count })? {
            Answer::Bytes(bytes) if bytes.len() as u64 == count * N::TYPE.bytes() => Ok(bytes),
            other => Err(unexpected(&other)),
        }
    }
}

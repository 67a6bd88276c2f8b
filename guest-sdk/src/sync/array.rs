//! A row of bytes or numbers.

#![forbid(unsafe_code)]

use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use super::argument::shared_object;
use super::{Handle, Kind, SyncError};

/// What an [`Array`] can be made of: `u8`, `i32`, `i64` and `f64`.
pub trait Element: sealed::LittleEndian + Copy + 'static {}

impl Element for u8 {}
impl Element for i32 {}
impl Element for i64 {}
impl Element for f64 {}

mod sealed {
    pub trait LittleEndian: Sized {
        const BYTES: usize;
        fn append_to(self, bytes: &mut Vec<u8>);
        /// `bytes` has as many as one element.
        fn read(bytes: &[u8]) -> Self;
    }

    macro_rules! little_endian {
        ($($number:ty)*) => {$(
            impl LittleEndian for $number {
                const BYTES: usize = size_of::<Self>();

                fn append_to(self, bytes: &mut Vec<u8>) {
                    bytes.extend_from_slice(&self.to_le_bytes());
                }

                fn read(bytes: &[u8]) -> Self {
                    Self::from_le_bytes(bytes.try_into().expect("callers pass one element's bytes"))
                }
            }
        )*};
    }

    little_endian!(u8 i32 i64 f64);
}

/// A row of numbers of fixed length that tasks share, as `multiprocessing.Array`.
///
/// - **Order.** A read sees all of a write or nothing of it, in one call of [`read`](Self::read) and
///   [`write`](Self::write) each; what belongs together over several calls needs a [`Lock`](super::Lock).
/// - **Death.** A task that dies inside a `write` may leave a part of it: each byte is the old one or the new one.
///
/// ```
/// use wasmpool_guest::sync::{Array, SyncError};
/// use wasmpool_guest::task;
///
/// /// Squares a part of the row, in place.
/// #[task]
/// fn square(row: Array<i64>, start: u64, end: u64) -> Result<(), SyncError> {
///     let squares: Vec<i64> = row.read(start..end)?.into_iter().map(|n| n * n).collect();
///     row.write(start, &squares)
/// }
///
/// let row = Array::stand_in(&[1, 2, 3, 4]);
/// square(row.clone(), 1, 3)?;
/// assert_eq!(row.read(..)?, [1, 4, 9, 4]);
/// assert!(matches!(row.get(4), Err(SyncError::OutOfRange(_))));
/// # Ok::<(), SyncError>(())
/// ```
pub struct Array<T> {
    handle: Handle,
    element: PhantomData<fn() -> T>,
}

shared_object!(Array<T: Element>, Array);

impl<T> Array<T> {
    fn of(handle: Handle) -> Self {
        Self { handle, element: PhantomData }
    }
}

impl<T: Element> Array<T> {
    /// Opens the array of this name, which the task must have been granted. Elements of another size are
    /// [`SyncError::WrongKind`].
    pub fn open(name: &str) -> Result<Self, SyncError> {
        let array = Self::of(Handle::open(Kind::Array, name)?);
        if !array.is_empty() {
            array.get(0)?;
        }
        Ok(array)
    }

    /// How many elements it has.
    pub fn len(&self) -> u64 {
        self.handle.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One element.
    pub fn get(&self, index: u64) -> Result<T, SyncError> {
        let bytes = self.bytes(index, 1)?;
        Ok(T::read(&bytes))
    }

    /// Makes one element this number.
    pub fn set(&self, index: u64, element: T) -> Result<(), SyncError> {
        self.write(index, &[element])
    }

    /// These elements.
    pub fn read(&self, range: impl RangeBounds<u64>) -> Result<Vec<T>, SyncError> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => self.len().max(start),
        };
        let Some(count) = end.checked_sub(start) else {
            return Err(SyncError::OutOfRange(format!(
                "out of range: {start} to {end} ends before it begins"
            )));
        };
        let bytes = self.bytes(start, count)?;
        Ok(bytes.chunks_exact(T::BYTES).map(T::read).collect())
    }

    /// Makes the elements from `start` on these.
    pub fn write(&self, start: u64, elements: &[T]) -> Result<(), SyncError> {
        let mut bytes = Vec::with_capacity(elements.len() * T::BYTES);
        for element in elements {
            element.append_to(&mut bytes);
        }
        self.handle.write(start, &bytes)
    }

    /// The bytes of this many elements, which are of the right size.
    fn bytes(&self, start: u64, count: u64) -> Result<Vec<u8>, SyncError> {
        let bytes = self.handle.read(start, count)?;
        if (bytes.len() as u64).checked_div(T::BYTES as u64) == Some(count) && bytes.len() % T::BYTES == 0 {
            return Ok(bytes);
        }
        Err(SyncError::WrongKind(format!(
            "wrong kind: `{}` has no elements of {} bytes, as {} has",
            self.name(),
            T::BYTES,
            std::any::type_name::<T>(),
        )))
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl<T: Element> Array<T> {
    /// An array in this process, for tests.
    pub fn stand_in(elements: &[T]) -> Self {
        let mut bytes = Vec::new();
        for element in elements {
            element.append_to(&mut bytes);
        }
        Self::of(Handle::array(bytes, T::BYTES))
    }
}

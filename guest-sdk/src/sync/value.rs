//! One atomic number.

#![forbid(unsafe_code)]

use std::marker::PhantomData;

use super::argument::shared_object;
use super::{Handle, Kind, SyncError};

/// The numbers that a [`Value`] can be: `i64` and `f64`.
pub trait Number: sealed::Bits + Copy + PartialEq + 'static {}

impl Number for i64 {}
impl Number for f64 {}

mod sealed {
    use crate::sync::Handle;

    pub trait Bits: Sized {
        fn to_bits(self) -> u64;
        fn from_bits(bits: u64) -> Self;
        #[expect(private_interfaces, reason = "nobody else calls it: the trait is sealed")]
        fn add(handle: &Handle, addend: Self) -> Self;
    }

    impl Bits for i64 {
        fn to_bits(self) -> u64 {
            self.cast_unsigned()
        }

        fn from_bits(bits: u64) -> Self {
            bits.cast_signed()
        }

        #[expect(private_interfaces, reason = "nobody else calls it: the trait is sealed")]
        fn add(handle: &Handle, addend: Self) -> Self {
            handle.add_integer(addend)
        }
    }

    impl Bits for f64 {
        fn to_bits(self) -> u64 {
            self.to_bits()
        }

        fn from_bits(bits: u64) -> Self {
            f64::from_bits(bits)
        }

        #[expect(private_interfaces, reason = "nobody else calls it: the trait is sealed")]
        fn add(handle: &Handle, addend: Self) -> Self {
            handle.add_float(addend)
        }
    }
}

/// One number that tasks share, as `multiprocessing.Value`, without need of a lock: each method is one atomic step.
///
/// - **Order.** All changes of one value have one order, which all tasks see.
/// - **Death.** A change of a task that dies has happened or has not.
///
/// What takes several steps, such as a `get` and a `set` that belong together, needs a [`Lock`](super::Lock) or
/// [`compare_exchange`](Self::compare_exchange). An integer is opened as `Value<i64>`, a float as `Value<f64>`; the
/// bits of one make no sense as the other.
///
/// ```
/// use wasmpool_guest::sync::Value;
/// use wasmpool_guest::task;
///
/// #[task]
/// fn count(counter: Value<i64>, times: u32) {
///     for _ in 0..times {
///         counter.add(1);
///     }
/// }
///
/// let counter = Value::stand_in(0);
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         let counter = counter.clone();
///         scope.spawn(move || count(counter, 1000));
///     }
/// });
/// assert_eq!(counter.get(), 2000);
/// ```
pub struct Value<T> {
    handle: Handle,
    number: PhantomData<fn() -> T>,
}

shared_object!(Value<T: Number>, Value);

impl<T> Value<T> {
    fn of(handle: Handle) -> Self {
        Self { handle, number: PhantomData }
    }
}

impl<T: Number> Value<T> {
    /// Opens the value of this name, which the task must have been granted.
    pub fn open(name: &str) -> Result<Self, SyncError> {
        Handle::open(Kind::Value, name).map(Self::of)
    }

    /// The number.
    pub fn get(&self) -> T {
        T::from_bits(self.handle.load())
    }

    /// Makes it this number.
    pub fn set(&self, value: T) {
        self.handle.store(value.to_bits());
    }

    /// Makes it this number, and gives the one before.
    pub fn swap(&self, value: T) -> T {
        T::from_bits(self.handle.store(value.to_bits()))
    }

    /// Adds this, and gives the number before. An integer wraps around.
    pub fn add(&self, addend: T) -> T {
        T::add(&self.handle, addend)
    }

    /// Makes it `new` if it is `expected`, bit for bit. Gives the number before: `Ok` if it was exchanged.
    ///
    /// ```
    /// use wasmpool_guest::sync::Value;
    ///
    /// let best = Value::stand_in(0.5);
    /// assert_eq!(best.compare_exchange(0.5, 0.75), Ok(0.5));
    /// assert_eq!(best.compare_exchange(0.5, 0.9), Err(0.75));
    /// ```
    pub fn compare_exchange(&self, expected: T, new: T) -> Result<T, T> {
        let expected = expected.to_bits();
        let before = self.handle.compare_exchange(expected, new.to_bits());
        if before == expected { Ok(T::from_bits(before)) } else { Err(T::from_bits(before)) }
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl<T: Number> Value<T> {
    /// A value in this process, for tests.
    pub fn stand_in(initial: T) -> Self {
        Self::of(Handle::value(initial.to_bits()))
    }
}

//! What a handle answers, in a guest and natively alike: what the types of [`sync`](crate::sync) are made of.
//!
//! There are two modules with one `Handle` each, of the same methods: `guest` calls the host, and `native` has the
//! objects in this process. A time-out is `None` for without limit, and zero for not at all.

#![forbid(unsafe_code)]

use std::time::Duration;

/// How long an operation may wait: `None` is without limit, zero is not at all.
pub(crate) type Patience = Option<Duration>;

/// Without waiting.
pub(crate) const AT_ONCE: Patience = Some(Duration::ZERO);

/// Something that is taken and given back, now the task's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The task that died or left without giving it back.
    pub(crate) abandoned_by: Option<u64>,
}

/// How a wait for a condition ended. The lock is held again either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Woken {
    pub(crate) in_time: bool,
    pub(crate) abandoned_by: Option<u64>,
}

/// An item that is leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lease: u64,
    /// 1 for the first time.
    pub(crate) deliveries: u32,
}

/// What came of waiting for an item for a limited time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got<T> {
    /// This item.
    Item(T),
    /// Nothing, and nothing will come any more: it is closed and everything was taken.
    End,
    /// Nothing yet.
    TimedOut,
}

impl<T> Got<T> {
    /// The item, if there was one.
    ///
    /// ```
    /// use wasmpool_guest::sync::Queue;
    ///
    /// let queue = Queue::<u64>::stand_in(8);
    /// queue.put(7)?;
    /// assert_eq!(queue.try_get()?.item(), Some(7));
    /// assert_eq!(queue.try_get()?.item(), None);
    /// # Ok::<(), wasmpool_guest::sync::SyncError>(())
    /// ```
    pub fn item(self) -> Option<T> {
        match self {
            Self::Item(item) => Some(item),
            Self::End | Self::TimedOut => None,
        }
    }

    /// What `change` makes of the item.
    pub(crate) fn try_map<U, E>(self, change: impl FnOnce(T) -> Result<U, E>) -> Result<Got<U>, E> {
        Ok(match self {
            Self::Item(item) => Got::Item(change(item)?),
            Self::End => Got::End,
            Self::TimedOut => Got::TimedOut,
        })
    }

    /// The item or the end, of an operation that had no limit of time.
    pub(crate) fn without_limit(self) -> Option<T> {
        self.item()
    }
}

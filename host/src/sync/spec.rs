//! What kinds of shared objects there are, and what bounds each.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::SyncError;
use crate::limits::{
    ARRAY_BYTES_MAX, DELIVERIES, HOLDERS_MAX, MESSAGE_BYTES, MESSAGE_BYTES_MAX_OPTION, PERMITS_MAX,
    QUEUE_BYTES, QUEUE_BYTES_MAX, QUEUE_CAPACITY, QUEUE_CAPACITY_MAX,
};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $number:literal, $label:literal;)*) => {
        /// The kinds of shared objects.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[repr(u32)]
        pub enum ObjectKind { $($(#[doc = $doc])* $name = $number,)* }

        impl ObjectKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in messages, in the guest interface and on the command line.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// The kind with this number of the guest interface.
            #[must_use]
            pub fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// A lock that one task holds at a time.
    Lock = 0, "lock";
    /// A lock that its holder may take again.
    RLock = 1, "rlock";
    /// A number of permits.
    Semaphore = 2, "semaphore";
    /// A flag that can be waited for.
    Event = 3, "event";
    /// A lock with a way to wait for a change of what it protects.
    Condition = 4, "condition";
    /// A meeting point of a number of parties.
    Barrier = 5, "barrier";
    /// One atomic number.
    Value = 6, "value";
    /// A row of bytes or numbers.
    Array = 7, "array";
    /// A bounded queue of items.
    Queue = 8, "queue";
    /// Two ends that send to each other.
    Pipe = 9, "pipe";
    /// A small map.
    Dict = 10, "dict";
}

/// What an array's elements are. All are little-endian and lie end to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ElementType {
    /// Bytes.
    U8,
    /// 32-bit integers.
    I32,
    /// 64-bit integers.
    I64,
    /// 64-bit floats.
    F64,
}

impl ElementType {
    /// Bytes of one element.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::U8 => 1,
            Self::I32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }
}

/// One object's kind with its bounds. Supervisor and workers compute the same layout from it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Spec {
    Lock,
    RLock,
    /// Bounded: only a holder gives a permit back.
    Semaphore {
        permits: u32,
        bounded: bool,
    },
    Event,
    Condition,
    Barrier {
        parties: u32,
    },
    /// An integer, or the bits of a float.
    Value {
        initial: u64,
        float: bool,
    },
    Array {
        element: ElementType,
        length: u64,
    },
    Queue(QueueSpec),
    /// Each direction is a queue of this size.
    Pipe(QueueSpec),
    /// Lives in the supervisor, not in shared memory.
    Dict,
}

/// The bounds of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueSpec {
    /// Items, leased ones and dead letters included.
    pub(crate) capacity: u32,
    /// Bytes of one item.
    pub(crate) item_bytes_max: u32,
    /// Bytes of all items together, each rounded up to whole blocks.
    pub(crate) bytes_max: u64,
    /// Deliveries of one item before it is a dead letter.
    pub(crate) deliveries_max: u32,
}

impl Default for QueueSpec {
    fn default() -> Self {
        Self {
            capacity: QUEUE_CAPACITY,
            item_bytes_max: MESSAGE_BYTES,
            bytes_max: QUEUE_BYTES,
            deliveries_max: DELIVERIES,
        }
    }
}

impl Spec {
    pub(crate) fn kind(&self) -> ObjectKind {
        match self {
            Self::Lock => ObjectKind::Lock,
            Self::RLock => ObjectKind::RLock,
            Self::Semaphore { .. } => ObjectKind::Semaphore,
            Self::Event => ObjectKind::Event,
            Self::Condition => ObjectKind::Condition,
            Self::Barrier { .. } => ObjectKind::Barrier,
            Self::Value { .. } => ObjectKind::Value,
            Self::Array { .. } => ObjectKind::Array,
            Self::Queue(_) => ObjectKind::Queue,
            Self::Pipe(_) => ObjectKind::Pipe,
            Self::Dict => ObjectKind::Dict,
        }
    }

    /// Whether there can be such an object; the error says what would be right.
    pub(crate) fn check(&self) -> Result<(), SyncError> {
        match *self {
            Self::Semaphore { permits, .. } => within("permits", permits.into(), 0, PERMITS_MAX.into()),
            Self::Barrier { parties } => within("parties", parties.into(), 1, HOLDERS_MAX.into()),
            Self::Array { element, length } => {
                within("elements of the array", length, 1, ARRAY_BYTES_MAX / element.bytes())
            }
            Self::Queue(queue) | Self::Pipe(queue) => queue.check(),
            _ => Ok(()),
        }
    }
}

impl QueueSpec {
    fn check(&self) -> Result<(), SyncError> {
        let item_bytes_max = u64::from(self.item_bytes_max);
        within("capacity", self.capacity.into(), 1, QUEUE_CAPACITY_MAX.into())?;
        within("bytes of one item", item_bytes_max, 1, MESSAGE_BYTES_MAX_OPTION.into())?;
        within("bytes of all items", self.bytes_max, item_bytes_max, QUEUE_BYTES_MAX)?;
        within("deliveries of one item", self.deliveries_max.into(), 1, u32::MAX.into())
    }
}

fn within(what: &str, number: u64, least: u64, most: u64) -> Result<(), SyncError> {
    if (least..=most).contains(&number) {
        return Ok(());
    }
    Err(SyncError::OutOfRange(format!("{number} for the {what}, which goes from {least} to {most}")))
}

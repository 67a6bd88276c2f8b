//! Shared objects as arguments of tasks, and in what tasks pass on: the object's name as a JSON string.

#![forbid(unsafe_code)]

use serde::de::{Error, Visitor};
use std::fmt;
use std::marker::PhantomData;

use super::{Kind, SyncError};

/// A type that is opened by a name.
pub(crate) trait Named: Sized {
    const KIND: Kind;
    fn open_named(name: &str) -> Result<Self, SyncError>;
}

/// Reads a name, and opens the object of that name.
pub(crate) struct NameVisitor<T>(pub(crate) PhantomData<T>);

impl<T: Named> Visitor<'_> for NameVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match T::KIND {
            Kind::Pipe => f.write_str("the name of an end of a pipe"),
            kind => write!(f, "the name of a {}", kind.label()),
        }
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<T, E> {
        T::open_named(name).map_err(E::custom)
    }
}

/// What all types of shared objects have: a name, a way through JSON, and a text for messages.
macro_rules! shared_object {
    ($name:ident $(<$($param:ident: $bound:path),+>)?, $kind:ident) => {
        impl $(<$($param: $bound),+>)? crate::sync::argument::Named for $name $(<$($param),+>)? {
            const KIND: crate::sync::Kind = crate::sync::Kind::$kind;

            fn open_named(name: &str) -> Result<Self, crate::sync::SyncError> {
                Self::open(name)
            }
        }

        impl $(<$($param: $bound),+>)? serde::Serialize for $name $(<$($param),+>)? {
            fn serialize<Out: serde::Serializer>(&self, serializer: Out) -> Result<Out::Ok, Out::Error> {
                serializer.serialize_str(self.handle.name())
            }
        }

        impl<'de $($(, $param: $bound)+)?> serde::Deserialize<'de> for $name $(<$($param),+>)? {
            fn deserialize<In: serde::Deserializer<'de>>(deserializer: In) -> Result<Self, In::Error> {
                let visitor = crate::sync::argument::NameVisitor(std::marker::PhantomData);
                deserializer.deserialize_str(visitor)
            }
        }

        impl $(<$($param),+>)? std::fmt::Debug for $name $(<$($param),+>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.handle.name())
            }
        }

        impl $(<$($param),+>)? Clone for $name $(<$($param),+>)? {
            fn clone(&self) -> Self {
                Self::of(self.handle.clone())
            }
        }

        impl $(<$($param),+>)? $name $(<$($param),+>)? {
            /// The name under which it was opened.
            pub fn name(&self) -> &str {
                self.handle.name()
            }
        }

        #[cfg(not(target_arch = "wasm32"))]
        impl $(<$($param),+>)? crate::testing::sealed::Shared for $name $(<$($param),+>)? {
            #[expect(private_interfaces, reason = "nobody else calls it: the trait is sealed")]
            fn handle(&self) -> &crate::sync::Handle {
                &self.handle
            }
        }

        #[cfg(not(target_arch = "wasm32"))]
        impl $(<$($param),+>)? crate::testing::Shared for $name $(<$($param),+>)? {}
    };
}

pub(crate) use shared_object;

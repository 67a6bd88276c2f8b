//! A core module's memory, as its imports see it: nothing outside it, and nothing that does not fit.

#![forbid(unsafe_code)]

use wasmtime::{Caller, Extern, format_err};

use super::super::{HostState, Session, codes};
use crate::sync::SyncError;

/// A guest's memory beside what it has to do with shared objects.
pub(super) struct Guest<'a> {
    memory: &'a mut [u8],
    pub(super) session: &'a Session,
}

/// Why a call did nothing.
#[derive(Debug)]
pub(super) enum Failure {
    BadPointer,
    /// A submitted task ended with this exit code and message.
    TaskEnded(u32, String),
    Sync(SyncError),
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        Self::Sync(error)
    }
}

/// Where a function puts bytes that it gives back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    buffer: u32,
    pub(super) capacity: u32,
    /// Where the number of bytes goes.
    length_out: u32,
}

impl<'a> Guest<'a> {
    /// The guest that calls. One without a memory has no pointers to give.
    pub(super) fn of(caller: &'a mut Caller<'_, HostState>) -> wasmtime::Result<Self> {
        let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
            return Err(format_err!("the module does not export a memory under the name `memory`"));
        };
        let (memory, state) = memory.data_and_store_mut(caller);
        Ok(Self { memory, session: &state.shared })
    }

    /// The bytes at a pointer.
    pub(super) fn slice(&self, pointer: u32, length: u32) -> Result<&[u8], Failure> {
        let (start, length) = (pointer as usize, length as usize);
        let end = start.checked_add(length).ok_or(Failure::BadPointer)?;
        self.memory.get(start..end).ok_or(Failure::BadPointer)
    }

    /// The same, or nothing at a null pointer.
    pub(super) fn optional(&self, pointer: u32, length: u32) -> Result<Option<&[u8]>, Failure> {
        if pointer == 0 { Ok(None) } else { self.slice(pointer, length).map(Some) }
    }

    pub(super) fn slice_mut(&mut self, pointer: u32, length: u32) -> Result<&mut [u8], Failure> {
        let (start, length) = (pointer as usize, length as usize);
        let end = start.checked_add(length).ok_or(Failure::BadPointer)?;
        self.memory.get_mut(start..end).ok_or(Failure::BadPointer)
    }

    pub(super) fn text(&self, pointer: u32, length: u32) -> Result<&str, Failure> {
        std::str::from_utf8(self.slice(pointer, length)?).map_err(|_| Failure::BadPointer)
    }

    /// A place for bytes, inside the memory.
    pub(super) fn window(&self, buffer: u32, capacity: u32, length_out: u32) -> Result<Window, Failure> {
        self.slice(buffer, capacity)?;
        self.slice(length_out, 4)?;
        Ok(Window { buffer, capacity, length_out })
    }

    /// Tells how many bytes there are.
    pub(super) fn tell_length(&mut self, window: Window, length: usize) -> Result<(), Failure> {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.slice_mut(window.length_out, 4)?.copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    /// Writes bytes that fit, and how many they are.
    pub(super) fn give(&mut self, window: Window, bytes: &[u8]) -> Result<(), Failure> {
        self.slice_mut(window.buffer, window.capacity)?[..bytes.len()].copy_from_slice(bytes);
        self.tell_length(window, bytes.len())
    }

    /// The code of a failure, whose words are kept.
    pub(super) fn failed(&self, failure: Failure) -> u32 {
        let words = |text: String, code: u32| {
            self.session.failed(SyncError::Unavailable(text));
            code
        };
        match failure {
            Failure::Sync(error) => self.session.failed(error),
            Failure::BadPointer => words(
                "a pointer or length is outside the memory, or a text is no UTF-8".to_owned(),
                codes::BAD_POINTER,
            ),
            Failure::TaskEnded(exit_code, message) => words(message, codes::TASK_ENDED + exit_code),
        }
    }
}

//! The worker's end of its task socket.
//!
//! The worker has one thread, so a send may wait for the supervisor: that is the back-pressure on a
//! guest that writes faster than it is read. A supervisor that is gone ends the worker at once.

#![forbid(unsafe_code)]

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard};

use crate::limits::FRAME_BYTES_MAX;
use crate::os::hardening::exit_now;
use crate::os::socket::{PacketSocket, Received};
use crate::protocol::frame;
use crate::protocol::worker::{FromWorker, ToWorker};

/// Exit code of a worker whose supervisor closed the socket: nobody is left to read it.
const SUPERVISOR_GONE: i32 = 0;

/// The task socket of this worker.
pub(crate) struct Link {
    socket: PacketSocket,
    inbox: Mutex<Inbox>,
}

/// What receiving needs. The async linkers demand `Sync`; there is one thread, so the lock is free.
struct Inbox {
    buffer: Vec<u8>,
    cancelled: Option<u64>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Link {
    /// A link with a buffer of its own.
    #[cfg(test)]
    pub(crate) fn new(socket: PacketSocket) -> Self {
        Self::with_buffer(socket, vec![0; FRAME_BYTES_MAX])
    }

    /// `buffer` is at least [`FRAME_BYTES_MAX`] long. A forked worker takes over the fork server's: a new
    /// one would have to be zeroed, page by page, each a fault.
    pub(crate) fn with_buffer(socket: PacketSocket, buffer: Vec<u8>) -> Self {
        debug_assert!(buffer.len() >= FRAME_BYTES_MAX, "a frame must fit");
        Self { socket, inbox: Mutex::new(Inbox { buffer, cancelled: None }) }
    }

    /// Sends one frame. Ends the process when the supervisor is gone.
    pub(crate) fn send(&self, message: &FromWorker, descriptors: &[BorrowedFd<'_>]) {
        let bytes = frame::encode(message).expect("a worker's messages are cut to fit a frame");
        self.send_bytes(&bytes, descriptors);
    }

    /// Sends the bytes of one packet as they are.
    pub(crate) fn send_bytes(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
        if self.socket.send(bytes, descriptors).is_err() {
            exit_now(SUPERVISOR_GONE);
        }
    }

    /// Waits for the next frame. Ends the process when the supervisor is gone or speaks garbage.
    pub(crate) fn receive(&self) -> (ToWorker, Vec<OwnedFd>) {
        let mut inbox = self.inbox();
        let received = self.socket.receive(&mut inbox.buffer);
        decoded(received, &inbox.buffer).unwrap_or_else(|| exit_now(SUPERVISOR_GONE))
    }

    /// True once the supervisor asked for the end of the attempt at `task`.
    pub(crate) fn is_cancelled(&self, task: u64) -> bool {
        let inbox = &mut *self.inbox();
        while inbox.cancelled != Some(task) {
            match self.socket.try_receive(&mut inbox.buffer) {
                Ok(Received::Empty) => return false,
                received => match decoded(received, &inbox.buffer) {
                    Some((ToWorker::Cancel { task }, _)) => inbox.cancelled = Some(task),
                    // A start while a task runs is a supervisor that lost its mind.
                    _ => exit_now(SUPERVISOR_GONE),
                },
            }
        }
        true
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        // A panic while receiving leaves the buffer's bytes undefined, not the socket.
        self.inbox.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn decoded(received: std::io::Result<Received>, buffer: &[u8]) -> Option<(ToWorker, Vec<OwnedFd>)> {
    match received {
        Ok(Received::Packet(length, descriptors)) => {
            frame::decode(&buffer[..length]).ok().map(|message| (message, descriptors))
        }
        _ => None,
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

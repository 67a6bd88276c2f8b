//! Frames on the control socket, one at a time.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::FRAME_BYTES_MAX;
use crate::os::socket::{PacketSocket, Received};
use crate::protocol::frame;

/// The control socket of a process of ours.
#[derive(Debug)]
pub(crate) struct Control {
    socket: PacketSocket,
    buffer: Vec<u8>,
}

impl Control {
    pub(crate) fn new(socket: PacketSocket) -> Self {
        Self { socket, buffer: vec![0; FRAME_BYTES_MAX] }
    }

    /// Closes the socket and keeps the buffer.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// The next frame; `None` when the supervisor is gone.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        match self.socket.receive(&mut self.buffer)? {
            Received::Packet(length, descriptors) => {
                let message = frame::decode(&self.buffer[..length]).map_err(io::Error::other)?;
                Ok(Some((message, descriptors)))
            }
            Received::Closed => Ok(None),
            Received::Empty | Received::Truncated => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Sends one frame, waiting for room.
    pub(crate) fn send(&self, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = frame::encode(message).map_err(io::Error::other)?;
        self.socket.send(&bytes, descriptors)
    }

    /// Sends the bytes of one packet as they are: for the fault kit, and nobody cares whether it works.
    pub(crate) fn send_garbage(&self, bytes: &[u8]) {
        let _ = self.socket.send(bytes, &[]);
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

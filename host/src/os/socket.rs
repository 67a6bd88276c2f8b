//! `SOCK_SEQPACKET` socket pairs that carry frames and descriptors.
//!
//! One packet is one frame: the kernel delivers it whole or not at all, also when the sender is killed.

#![forbid(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::limits::{FRAME_BYTES_MAX, FRAME_DESCRIPTORS_MAX};

/// Room for the descriptors of one packet.
const CONTROL_BYTES: usize = rustix::cmsg_space!(ScmRights(FRAME_DESCRIPTORS_MAX));

/// One end of a packet socket. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct PacketSocket(OwnedFd);

/// What a receive found.
#[derive(Debug)]
pub(crate) enum Received {
    /// One packet of this many bytes, and its descriptors.
    Packet(usize, Vec<OwnedFd>),
    /// Nothing is there yet (non-blocking receive only).
    Empty,
    /// The other end is closed.
    Closed,
    /// A packet that was larger than a frame may be, or had too many descriptors; it is gone.
    Truncated,
}

impl PacketSocket {
    /// A connected pair, both ends closed on exec.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (a, b) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(a), Self(b)))
    }

    /// Takes over a descriptor that is one end of such a pair.
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// The descriptor itself.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// Sends one packet, waiting for room.
    pub(crate) fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        loop {
            match self.send_with(bytes, descriptors, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }

    /// Sends one packet if there is room for it at once; false when there is none.
    pub(crate) fn try_send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<bool> {
        loop {
            match self.send_with(bytes, descriptors, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(error.into()),
                Ok(()) => return Ok(true),
            }
        }
    }

    fn send_with(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>], flags: SendFlags) -> Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(Errno::MSGSIZE);
        }
        rustix::net::sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, flags).map(drop)
    }

    /// Receives one packet into `buffer` (at least [`FRAME_BYTES_MAX`] long), waiting for it.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.receive_with(buffer, RecvFlags::CMSG_CLOEXEC)
    }

    /// Receives one packet if one is there.
    pub(crate) fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.receive_with(buffer, RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)
    }

    fn receive_with(&self, buffer: &mut [u8], flags: RecvFlags) -> io::Result<Received> {
        debug_assert!(buffer.len() >= FRAME_BYTES_MAX, "a frame must fit");
        let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = loop {
            match rustix::net::recvmsg(&self.0, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
                // A peer that closed its end before it had read everything is told once, ahead of what it
                // sent: its last words are behind this error, and then the end.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                Err(Errno::AGAIN) => return Ok(Received::Empty),
                other => break other?,
            }
        };
        let mut descriptors = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = part {
                descriptors.extend(received);
            }
        }
        if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Ok(Received::Truncated);
        }
        // A frame is never empty, so zero bytes are the end of the stream.
        if message.bytes == 0 {
            return Ok(Received::Closed);
        }
        Ok(Received::Packet(message.bytes, descriptors))
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_keep_their_borders_and_bring_descriptors() {
        let (a, b) = PacketSocket::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        a.send(b"one", &[]).unwrap();
        a.send(b"second", &[file.as_fd(), file.as_fd()]).unwrap();
        let mut buffer = vec![0; FRAME_BYTES_MAX];
        assert!(matches!(b.try_receive(&mut buffer).unwrap(), Received::Packet(3, fds) if fds.is_empty()));
        assert!(matches!(b.receive(&mut buffer).unwrap(), Received::Packet(6, fds) if fds.len() == 2));
        assert!(matches!(b.try_receive(&mut buffer).unwrap(), Received::Empty));
        drop(a);
        assert!(matches!(b.receive(&mut buffer).unwrap(), Received::Closed));
    }

    #[test]
    fn the_last_words_of_a_peer_that_left_something_unread_arrive() {
        let (a, b) = PacketSocket::pair().unwrap();
        a.send(b"never read", &[]).unwrap();
        b.send(b"last words", &[]).unwrap();
        drop(b);
        let mut buffer = vec![0; FRAME_BYTES_MAX];
        assert!(matches!(a.try_receive(&mut buffer).unwrap(), Received::Packet(10, _)));
        assert!(matches!(a.try_receive(&mut buffer).unwrap(), Received::Closed));
    }

    #[test]
    fn an_oversized_packet_is_told_apart() {
        let (a, b) = PacketSocket::pair().unwrap();
        a.send(&vec![1; FRAME_BYTES_MAX + 1], &[]).unwrap();
        a.send(b"next", &[]).unwrap();
        let mut buffer = vec![0; FRAME_BYTES_MAX];
        assert!(matches!(b.receive(&mut buffer).unwrap(), Received::Truncated));
        assert!(matches!(b.receive(&mut buffer).unwrap(), Received::Packet(4, _)));
    }

    #[test]
    fn a_full_socket_refuses_instead_of_blocking() {
        let (a, _b) = PacketSocket::pair().unwrap();
        let packet = vec![0; FRAME_BYTES_MAX];
        let mut sent = 0;
        while a.try_send(&packet, &[]).unwrap() {
            sent += 1;
            assert!(sent < 1000, "the kernel bounds what a socket holds");
        }
        assert!(sent > 0);
    }
}

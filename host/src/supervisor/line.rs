//! The supervisor's end of what it and a worker say to each other: a socket, and for what the worker says often a lane.
//!
//! A worker with a lane says everything through it, and wakes the supervisor by a frame of its own through the socket. What
//! cannot go through the lane comes through the socket, and a mark in the lane keeps its place. Whatever order a worker
//! invents, frames come out of here one after the other, and none is looked at by anybody before.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::os::socket::{PacketSocket, Received};
use crate::protocol::frame;
use crate::protocol::worker::FromWorker;
use crate::sync::{LaneReceiver, Next};

/// Packets that only wake, taken at one time.
const WAKES_MAX: usize = 16;

/// One worker's line.
#[derive(Debug)]
pub(super) struct Line {
    socket: PacketSocket,
    lane: Option<Lane>,
}

#[derive(Debug)]
struct Lane {
    receiver: LaneReceiver,
    /// A mark came out, and what it stands for did not yet.
    at_mark: bool,
    /// A packet that came before its mark.
    early: Option<(Vec<u8>, Vec<OwnedFd>)>,
}

/// What a worker of ours does not do.
fn nonsense(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Line {
    pub(super) fn new(socket: PacketSocket) -> Self {
        Self { socket, lane: None }
    }

    pub(super) fn try_send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<bool> {
        self.socket.try_send(bytes, descriptors)
    }

    pub(super) fn has_lane(&self) -> bool {
        self.lane.is_some()
    }

    /// Adds a lane. Its descriptor is for the worker, which uses it from the frame on that brings it.
    pub(super) fn add_lane(&mut self) -> io::Result<OwnedFd> {
        let lane = Lane { receiver: LaneReceiver::create()?, at_mark: false, early: None };
        let descriptor = lane.receiver.as_fd().try_clone_to_owned()?;
        self.lane = Some(lane);
        Ok(descriptor)
    }

    /// There is none after all.
    pub(super) fn remove_lane(&mut self) {
        self.lane = None;
    }

    /// The number of an assignment that is given ahead of need.
    pub(super) fn offer(&mut self) -> Option<u32> {
        self.lane.as_mut().map(|lane| lane.receiver.offer())
    }

    /// Takes back what was given ahead and not taken; the number of the last one that was taken.
    pub(super) fn take_back(&self) -> Option<u32> {
        self.lane.as_ref().map(|lane| lane.receiver.take_back())
    }

    /// Whether there is more to hear than was taken out, for all that is known without a system call.
    pub(super) fn has_more(&self) -> bool {
        self.lane.as_ref().is_some_and(|lane| lane.receiver.has_more())
    }

    /// The next frame into `buffer`, if one is there. After `Empty` the next one wakes whoever watches the socket; where
    /// that one `dozes`, it will look by itself before long, and only what is urgent wakes it.
    ///
    /// # Errors
    ///
    /// `InvalidData` for what no worker of ours does; others are the socket's.
    pub(super) fn receive(&mut self, buffer: &mut [u8], dozes: bool) -> io::Result<Received> {
        let Self { socket, lane: Some(lane) } = self else { return self.socket.try_receive(buffer) };
        for _ in 0..WAKES_MAX {
            if let Some(received) = lane.next(buffer)? {
                return Ok(received);
            }
            let received = socket.try_receive(buffer)?;
            match received {
                Received::Packet(length, descriptors) if is_wake(&buffer[..length]) => drop(descriptors),
                received if lane.at_mark => {
                    lane.at_mark = !matches!(received, Received::Packet(..));
                    return Ok(received);
                }
                Received::Packet(length, descriptors) => {
                    if lane.early.replace((buffer[..length].to_vec(), descriptors)).is_some() {
                        return Err(nonsense("it sent packets out of turn"));
                    }
                }
                Received::Empty if lane.early.is_some() => {
                    return Err(nonsense("it sent a packet out of turn"));
                }
                Received::Empty if !lane.receiver.rest(dozes) => {}
                Received::Closed if lane.receiver.has_more() => {}
                received => return Ok(received),
            }
        }
        // It sends nothing but wakes: the socket still shows that there is more.
        Ok(Received::Empty)
    }
}

impl Lane {
    /// What comes next, as far as the lane tells.
    fn next(&mut self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        if self.at_mark {
            return Ok(None);
        }
        let next = self.receiver.receive(buffer);
        match next.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            Next::Frame(length) => Ok(Some(Received::Packet(length, Vec::new()))),
            Next::Nothing => Ok(None),
            Next::Mark => {
                let early = self.early.take();
                self.at_mark = early.is_none();
                Ok(early.map(|(bytes, descriptors)| {
                    buffer[..bytes.len()].copy_from_slice(&bytes);
                    Received::Packet(bytes.len(), descriptors)
                }))
            }
        }
    }
}

fn is_wake(bytes: &[u8]) -> bool {
    matches!(frame::decode(bytes), Ok(FromWorker::Wake))
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::FRAME_BYTES_MAX;
    use crate::sync::LaneSender;

    struct Worker {
        socket: PacketSocket,
        lane: LaneSender,
    }

    impl Worker {
        fn says(&mut self, bytes: &[u8]) {
            self.lane.send(bytes, &mut || {});
            let wake = frame::encode(&FromWorker::Wake).unwrap();
            self.lane.wake_receiver(true, &mut || self.socket.send(&wake, &[]).unwrap());
        }

        fn sends(&mut self, bytes: &[u8]) {
            self.socket.send(bytes, &[self.socket.as_fd()]).unwrap();
        }
    }

    fn pair() -> (Worker, Line) {
        let (ours, theirs) = PacketSocket::pair().unwrap();
        let mut line = Line::new(ours);
        let file = line.add_lane().unwrap();
        (Worker { socket: theirs, lane: LaneSender::open(file).unwrap() }, line)
    }

    fn heard(line: &mut Line) -> Option<Vec<u8>> {
        let mut buffer = vec![0; FRAME_BYTES_MAX];
        match line.receive(&mut buffer, false).unwrap() {
            Received::Packet(length, _) => Some(buffer[..length].to_vec()),
            _ => None,
        }
    }

    #[test]
    fn what_goes_two_ways_comes_in_one_order() {
        let (mut worker, mut line) = pair();
        worker.says(b"one");
        worker.says(b"");
        worker.sends(b"two");
        worker.says(b"three");
        worker.says(b"");
        let said: Vec<_> = std::iter::from_fn(|| heard(&mut line)).collect();
        assert_eq!(said, [&b"one"[..], b"two", b"three"]);
        // Its mark came already, and nothing passes it.
        worker.says(b"five");
        assert_eq!(heard(&mut line), None);
        worker.sends(b"four");
        assert_eq!(heard(&mut line).unwrap(), b"four");
        assert_eq!(heard(&mut line).unwrap(), b"five");
    }

    #[test]
    fn the_last_words_are_heard_before_the_end() {
        let (mut worker, mut line) = pair();
        worker.says(b"last");
        drop(worker);
        assert_eq!(heard(&mut line).unwrap(), b"last");
        assert!(matches!(line.receive(&mut vec![0; FRAME_BYTES_MAX], false).unwrap(), Received::Closed));
    }

    #[test]
    fn nonsense_is_told_apart() {
        let (mut worker, mut line) = pair();
        worker.sends(b"out of turn");
        let error = line.receive(&mut vec![0; FRAME_BYTES_MAX], false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_flood_of_wakes_holds_nobody_up() {
        let (worker, mut line) = pair();
        let wake = frame::encode(&FromWorker::Wake).unwrap();
        while worker.socket.try_send(&wake, &[]).unwrap() {}
        assert_eq!(heard(&mut line), None);
        assert!(matches!(
            line.socket.try_receive(&mut vec![0; FRAME_BYTES_MAX]).unwrap(),
            Received::Packet(..)
        ));
    }
}

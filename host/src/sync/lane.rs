//! Frames from one process to another through shared memory: a ring of bytes with one sender and one receiver.
//!
//! A frame that is sent is there for good, also when its sender dies at once, and takes no system call unless the receiver
//! sleeps. What cannot go this way, descriptors above all, goes through a socket beside it; a mark in the ring keeps its
//! place in the order.
//!
//! The receiver trusts nothing in the memory. Its own place is its own, the sender's is compared with it, and a frame is
//! copied out before anybody looks at it. A sender that lies harms only what is heard of it.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::memory::{Memory, SharedMemory};
use crate::limits::{AHEAD_MAX, LANE_BYTES, LANE_FRAME_BYTES_MAX};

/// Where the sender goes on; grows for ever.
const SENT: u64 = 0;
/// Where the receiver goes on. A sender without room sleeps on its lower half.
const RECEIVED: u64 = 64;
/// How the receiver is to be woken: [`AWAKE`], [`ASLEEP`] or [`DOZING`].
const REST: u64 = 128;
/// 1 while the sender waits for room.
const BLOCKED: u64 = 192;
/// Assignments that the sender was given ahead of its need: the number of the last one, and that of the last one that it
/// took, each in a half. The receiver takes one back by counting it as taken.
const AHEAD: u64 = 256;
/// The ring follows on a page of its own.
const RING: u64 = 4096;
/// Before each frame: its length. 0 is the mark.
const HEADER_BYTES: u64 = 8;
/// How long a sender sleeps before it looks again.
const LOOK_TIME: Duration = Duration::from_millis(100);

/// It looks by itself.
const AWAKE: u32 = 0;
/// Whoever sends next wakes it.
const ASLEEP: u32 = 1;
/// It looks by itself before long, and is woken for what cannot wait.
const DOZING: u32 = 2;

/// Bytes of the ring that a frame of this length takes.
fn taken(length: u64) -> u64 {
    HEADER_BYTES + length.next_multiple_of(8)
}

/// What is in the memory is no lane any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its memory for frames is damaged")]
pub(crate) struct Damaged;

/// What a receiver finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A frame of this many bytes.
    Frame(usize),
    /// Here is the place of what comes through the socket.
    Mark,
    /// Nothing yet.
    Nothing,
}

/// A ring at the beginning of some memory.
struct Ring<'m, M> {
    memory: &'m M,
    /// A multiple of 8.
    bytes: u64,
}

impl<M: Memory> Ring<'_, M> {
    /// Whether this many bytes can be written at `sent`, with the receiver at `received`.
    fn has_room(&self, sent: u64, received: u64, bytes: u64) -> bool {
        let used = sent.wrapping_sub(received);
        used.checked_add(bytes).is_some_and(|used| used <= self.bytes)
    }

    /// Writes a frame for which there is room; where to go on.
    fn write(&self, sent: u64, frame: &[u8]) -> u64 {
        let length = frame.len() as u64;
        self.memory.store64(RING + sent % self.bytes, length);
        let (start, end) = self.parts(sent + HEADER_BYTES, frame.len());
        self.memory.copy_in(start, &frame[..end]);
        self.memory.copy_in(RING, &frame[end..]);
        let sent = sent + taken(length);
        self.memory.store64(SENT, sent);
        sent
    }

    /// Takes out the next frame; where to go on.
    fn read(&self, received: u64, to: &mut [u8]) -> Result<(Next, u64), Damaged> {
        let there = self.memory.load64(SENT).wrapping_sub(received);
        if there == 0 {
            return Ok((Next::Nothing, received));
        }
        let length = self.memory.load64(RING + received % self.bytes);
        let fits = there <= self.bytes && length <= to.len() as u64 && taken(length) <= there;
        let frame = usize::try_from(length).ok().filter(|_| fits).and_then(|length| to.get_mut(..length));
        let frame = frame.ok_or(Damaged)?;
        let (start, end) = self.parts(received + HEADER_BYTES, frame.len());
        let (first, second) = frame.split_at_mut(end);
        self.memory.copy_out(start, first);
        self.memory.copy_out(RING, second);
        let received = received + taken(length);
        self.memory.store64(RECEIVED, received);
        Ok((if length == 0 { Next::Mark } else { Next::Frame(frame.len()) }, received))
    }

    /// Where the bytes at this place begin, and how many of them lie before the ring's end.
    fn parts(&self, at: u64, length: usize) -> (u64, usize) {
        let at = at % self.bytes;
        (RING + at, length.min(usize::try_from(self.bytes - at).unwrap_or(length)))
    }

    /// Sends, waiting for room; where to go on.
    fn send(&self, sent: u64, frame: &[u8], wake: &mut dyn FnMut()) -> u64 {
        loop {
            let received = self.memory.load64(RECEIVED);
            if self.has_room(sent, received, taken(frame.len() as u64)) {
                return self.write(sent, frame);
            }
            self.wake_receiver(true, wake);
            self.memory.swap32(BLOCKED, 1);
            // The place that left no room, and not where the receiver is now, or nobody would be woken by it any more.
            if self.memory.load64(RECEIVED) == received {
                self.memory.sleep(RECEIVED, received as u32, LOOK_TIME);
            }
        }
    }

    fn wake_receiver(&self, is_urgent: bool, wake: &mut dyn FnMut()) {
        // An exchange and no load: nothing that was sent may still be on its way when this is read.
        let found = self.memory.swap32_if(REST, ASLEEP, AWAKE);
        if found == ASLEEP || is_urgent && self.memory.swap32_if(REST, DOZING, AWAKE) == DOZING {
            wake();
        }
    }

    /// From now on whoever sends wakes the receiver; false when something is there already.
    fn rest(&self, received: u64, how: u32) -> bool {
        self.memory.swap32(REST, how);
        let rests = self.memory.load64(SENT) == received;
        if !rests {
            self.memory.swap32(REST, AWAKE);
        }
        rests
    }

    /// A sender that waits for room looks again.
    fn made_room(&self) {
        if self.memory.swap32(BLOCKED, 0) != 0 {
            self.memory.wake(RECEIVED, 1);
        }
    }
}

/// Bytes of a lane's memory.
const BYTES: u64 = RING + LANE_BYTES;

/// The end that sends.
#[derive(Debug)]
pub(crate) struct LaneSender {
    memory: SharedMemory,
    sent: u64,
}

impl LaneSender {
    /// The lane in this file, which its receiver made.
    pub(crate) fn open(file: OwnedFd) -> io::Result<Self> {
        let memory = SharedMemory::open(file, BYTES)?;
        let sent = memory.load64(SENT);
        Ok(Self { memory, sent })
    }

    /// Whether a frame of this length may go this way.
    pub(crate) fn takes(frame: &[u8]) -> bool {
        (1..=LANE_FRAME_BYTES_MAX).contains(&frame.len())
    }

    /// Sends one frame that it [`takes`](Self::takes), or a mark where it is empty; waits for room. `wake` is called for a
    /// receiver that sleeps and would leave no room otherwise.
    pub(crate) fn send(&mut self, frame: &[u8], wake: &mut dyn FnMut()) {
        self.sent = self.ring().send(self.sent, frame, wake);
    }

    /// Calls `wake` if the receiver sleeps, or only dozes and this `is_urgent`. Without it, it hears of what was sent when
    /// it looks for something else.
    pub(crate) fn wake_receiver(&self, is_urgent: bool, wake: &mut dyn FnMut()) {
        self.ring().wake_receiver(is_urgent, wake);
    }

    /// Takes the assignment with this number; false when it was taken back.
    pub(crate) fn take(&self, number: u32) -> bool {
        take(&self.memory, number)
    }

    /// Whether there is an assignment that was not taken.
    pub(crate) fn has_ahead(&self) -> bool {
        let (offered, taken) = halves(self.memory.load64(AHEAD));
        offered != taken
    }

    fn ring(&self) -> Ring<'_, SharedMemory> {
        Ring { memory: &self.memory, bytes: LANE_BYTES }
    }
}

fn halves(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

fn word(offered: u32, taken: u32) -> u64 {
    u64::from(offered) << 32 | u64::from(taken)
}

/// The sender's part: each number is taken once, by one side.
fn take(memory: &impl Memory, number: u32) -> bool {
    loop {
        let found = memory.load64(AHEAD);
        let (offered, taken) = halves(found);
        // What was taken back came before what is offered.
        if taken.wrapping_add(1) != number || taken == offered {
            return false;
        }
        if memory.swap64_if(AHEAD, found, word(offered, number)) == found {
            return true;
        }
    }
}

/// The receiver's part: makes the number of the last one that is offered `offered`, and that of the last one that is taken
/// what `taken` makes of it. The latter as it was.
fn offer(memory: &impl Memory, offered: u32, taken: impl Fn(u32) -> u32) -> u32 {
    let mut found = memory.load64(AHEAD);
    // Who is honest changes the word as often as there are assignments ahead.
    for _ in 0..AHEAD_MAX + 1 {
        let (_, before) = halves(found);
        let now = memory.swap64_if(AHEAD, found, word(offered, taken(before)));
        if now == found {
            return before;
        }
        found = now;
    }
    // Only its own assignments come to harm.
    halves(memory.swap64(AHEAD, word(offered, offered))).1
}

/// The end that receives.
#[derive(Debug)]
pub(crate) struct LaneReceiver {
    memory: SharedMemory,
    received: u64,
    /// The number of the last assignment ahead.
    offered: u32,
}

impl LaneReceiver {
    /// A new lane. Its descriptor is for the sender.
    pub(crate) fn create() -> io::Result<Self> {
        Ok(Self { memory: SharedMemory::create(BYTES)?, received: 0, offered: 0 })
    }

    /// Takes out what comes next. `to` has room for every frame.
    pub(crate) fn receive(&mut self, to: &mut [u8]) -> Result<Next, Damaged> {
        let (next, received) = self.ring().read(self.received, to)?;
        self.received = received;
        Ok(next)
    }

    /// Whether something is there.
    pub(crate) fn has_more(&self) -> bool {
        self.memory.load64(SENT) != self.received
    }

    /// The number of an assignment that the sender is given ahead of its need, and may take from now on.
    pub(crate) fn offer(&mut self) -> u32 {
        self.offered = self.offered.wrapping_add(1);
        offer(&self.memory, self.offered, |taken| taken);
        self.offered
    }

    /// Takes back what the sender did not take; the number of the last one that it took.
    pub(crate) fn take_back(&self) -> u32 {
        offer(&self.memory, self.offered, |_| self.offered)
    }

    /// From now on whoever sends wakes this receiver; false when something is there already. One that `dozes` will look by
    /// itself before long, and is woken only for what is urgent. Lets a sender go on that waits for room.
    pub(crate) fn rest(&self, dozes: bool) -> bool {
        self.ring().made_room();
        self.ring().rest(self.received, if dozes { DOZING } else { ASLEEP })
    }

    fn ring(&self) -> Ring<'_, SharedMemory> {
        Ring { memory: &self.memory, bytes: LANE_BYTES }
    }
}

impl AsFd for LaneReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    use crate::sync::explore::{Exploration, Virtual};

    fn pair() -> (LaneSender, LaneReceiver) {
        let receiver = LaneReceiver::create().unwrap();
        let file = receiver.as_fd().try_clone_to_owned().unwrap();
        (LaneSender::open(file).unwrap(), receiver)
    }

    fn nobody_sleeps() -> impl FnMut() {
        || panic!("nobody sleeps")
    }

    #[test]
    fn frames_come_out_as_they_went_in_over_the_rings_end() {
        let (mut sender, mut receiver) = pair();
        let mut buffer = vec![0; LANE_FRAME_BYTES_MAX];
        for round in 0..200_usize {
            let frame = vec![round as u8; 1 + round * 977 % LANE_FRAME_BYTES_MAX];
            sender.send(&frame, &mut nobody_sleeps());
            sender.send(&[], &mut nobody_sleeps());
            assert_eq!(receiver.receive(&mut buffer), Ok(Next::Frame(frame.len())));
            assert!(buffer[..frame.len()] == frame);
            assert_eq!(receiver.receive(&mut buffer), Ok(Next::Mark));
            assert_eq!(receiver.receive(&mut buffer), Ok(Next::Nothing));
        }
    }

    #[test]
    fn a_receiver_that_sleeps_is_woken_once() {
        let (mut sender, mut receiver) = pair();
        assert!(receiver.rest(false));
        let mut woken = 0;
        for _ in 0..3 {
            sender.send(b"frame", &mut nobody_sleeps());
            sender.wake_receiver(true, &mut || woken += 1);
        }
        assert_eq!(woken, 1);
        assert!(!receiver.rest(false));
        while receiver.receive(&mut [0; 8]).unwrap() != Next::Nothing {}
        assert!(receiver.rest(true));
        sender.wake_receiver(false, &mut nobody_sleeps());
        sender.wake_receiver(true, &mut || woken += 1);
        assert_eq!(woken, 2);
    }

    #[test]
    fn a_sender_that_lies_is_found_out() {
        for (at, value) in [(SENT, 7), (SENT, u64::MAX), (SENT, LANE_BYTES + 8), (RING, 17), (RING, u64::MAX)]
        {
            let (mut sender, mut receiver) = pair();
            sender.send(b"frame", &mut nobody_sleeps());
            sender.memory.store64(at, value);
            assert_eq!(receiver.receive(&mut [0; 16]), Err(Damaged), "{value} at {at}");
        }
        assert!(LaneSender::open(tempfile::tempfile().unwrap().into()).is_err());
    }

    /// A lane of four entries.
    fn small<'m, 'e>(memory: &'m Virtual<'e>) -> Ring<'m, Virtual<'e>> {
        Ring { memory, bytes: 32 }
    }

    /// What the socket does: a number that grows, and a sleep on it.
    const WOKEN: u64 = 256;

    fn receive(me: &Virtual<'_>, frames: u64) {
        let (mut received, mut next) = (0, 0);
        while next < frames {
            let seen = me.load32(WOKEN);
            let mut buffer = [0; 8];
            match small(me).read(received, &mut buffer).unwrap() {
                (Next::Frame(length), at) => {
                    me.require(length == 8 && buffer == next.to_le_bytes(), "whole, and in order");
                    (received, next) = (at, next + 1);
                }
                (Next::Mark, _) => me.require(false, "nobody sent a mark"),
                (Next::Nothing, _) => {
                    small(me).made_room();
                    if small(me).rest(received, ASLEEP) {
                        me.sleep(WOKEN, seen, LOOK_TIME);
                    }
                }
            }
        }
    }

    fn send(me: &Virtual<'_>, frames: u64) {
        let mut sent = 0;
        let mut wake = || {
            me.add64(WOKEN, 1);
            me.wake(WOKEN, 1);
        };
        for number in 0..frames {
            sent = small(me).send(sent, &number.to_le_bytes(), &mut wake);
            small(me).wake_receiver(true, &mut wake);
        }
    }

    #[test]
    fn nobody_sleeps_for_ever_and_no_frame_is_lost() {
        Exploration::new(RING + 64)
            .participant(|me| send(me, 4))
            .participant(|me| receive(me, 4))
            .preemptions(3)
            .sound(1000);
    }

    #[test]
    fn an_assignment_ahead_is_taken_by_one_side() {
        let (sender, mut receiver) = pair();
        assert!(!sender.has_ahead());
        assert_eq!([receiver.offer(), receiver.offer(), receiver.offer()], [1, 2, 3]);
        assert!(sender.take(1) && sender.has_ahead());
        assert_eq!(receiver.take_back(), 1);
        assert!(!sender.take(2) && !sender.has_ahead());
        assert_eq!(receiver.offer(), 4);
        assert!(!sender.take(3) && sender.take(4) && !sender.take(4) && !sender.take(5));
        assert_eq!(receiver.take_back(), 4);
    }

    #[test]
    fn an_assignment_ahead_is_run_once_in_every_order() {
        let (ran, back) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        Exploration::new(RING)
            .prepare(|_| {
                ran.lock().unwrap().clear();
                back.lock().unwrap().clear();
            })
            .participant(|me| {
                let taken = (1..=3).filter(|number| take(me, *number));
                ran.lock().unwrap().extend(taken);
            })
            .participant(|me| {
                offer(me, 1, |taken| taken);
                offer(me, 2, |taken| taken);
                let taken = offer(me, 2, |_| 2);
                back.lock().unwrap().extend(taken + 1..=2);
            })
            .check(|memory| {
                let mut all = [&ran.lock().unwrap()[..], &back.lock().unwrap()[..]].concat();
                all.sort_unstable();
                let twice = all.windows(2).any(|pair| pair[0] == pair[1]);
                memory.require(!twice, "nothing is run and taken back");
                memory.require(all.iter().all(|number| *number <= 2), "nothing is run that was not offered");
            })
            .preemptions(4)
            .sound(20);
    }

    #[test]
    fn what_was_sent_before_a_death_is_there() {
        Exploration::new(RING + 64)
            .participant(|me| send(me, 2))
            .deaths(1)
            .check(|memory| {
                let sent = memory.load64(SENT);
                let mut received = 0;
                while received < sent {
                    let (next, at) = small(memory).read(received, &mut [0; 8]).unwrap();
                    memory.require(next == Next::Frame(8), "a whole frame");
                    received = at;
                }
            })
            .sound(5);
    }
}

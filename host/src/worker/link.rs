//! The worker's end of its task socket.
//!
//! The worker has one thread, so a send may wait for the supervisor: that is the back-pressure on a
//! guest that writes faster than it is read. A supervisor that is gone ends the worker at once.
//!
//! While a task runs, frames of several kinds arrive in any order. Whoever looks for one kind takes all
//! that are there and puts each in its place (see [`inbox`]), so no look ever loses what another one
//! waits for.

#![forbid(unsafe_code)]

mod aside;
mod inbox;

use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

pub(crate) use self::aside::Aside;
use self::inbox::Inbox;
use crate::limits::FRAME_BYTES_MAX;
use crate::os::hardening::{DescriptorReserve, exit_now};
use crate::os::socket::{PacketSocket, Received};
use crate::protocol::frame;
use crate::protocol::worker::{Ask, FromWorker, Reply, ToWorker, WaitOn};
use crate::sync::{LaneSender, Stop};

/// Exit code of a worker whose supervisor closed the socket: nobody is left to read it.
const SUPERVISOR_GONE: i32 = 0;

/// The task socket of this worker.
pub(crate) struct Link {
    /// Missing before it is attached.
    socket: OnceLock<PacketSocket>,
    receiver: Mutex<Receiver>,
}

/// When the supervisor is to hear of something. Without a lane, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    Now,
    Soon,
    WithTheNext,
}

/// What receiving needs. The async linkers demand `Sync`; there is one thread, so the lock is free.
#[derive(Default)]
struct Receiver {
    buffer: Vec<u8>,
    inbox: Inbox,
    /// What was said without a socket.
    aside: Aside,
    /// What most is said through, once there is one.
    lane: Option<LaneSender>,
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
        let link = Self::detached();
        link.attach(socket, buffer);
        link
    }

    /// A link without a socket.
    pub(crate) fn detached() -> Self {
        Self { socket: OnceLock::new(), receiver: Mutex::default() }
    }

    /// Gives a link that is detached its socket, and a buffer as for [`Link::with_buffer`].
    pub(crate) fn attach(&self, socket: PacketSocket, buffer: Vec<u8>) {
        debug_assert!(buffer.len() >= FRAME_BYTES_MAX, "a frame must fit");
        *self.receiver() = Receiver { buffer, ..Receiver::default() };
        // A second one would be a mistake of ours; the first stays.
        let _ = self.socket.set(socket);
    }

    /// What was said while it was detached.
    pub(crate) fn take_aside(&self) -> Aside {
        std::mem::take(&mut self.receiver().aside)
    }

    /// Sends one frame. Ends the process when the supervisor is gone.
    pub(crate) fn send(&self, message: &FromWorker, descriptors: &[BorrowedFd<'_>]) {
        if self.socket.get().is_none() {
            return self.receiver().keep(message);
        }
        self.say(message, descriptors, Haste::Now);
    }

    /// Sends one frame behind which more will come soon.
    pub(crate) fn send_one_of_many(&self, message: &FromWorker, descriptors: &[BorrowedFd<'_>]) {
        self.say(message, descriptors, Haste::Soon);
    }

    /// Sends one frame for which nobody waits; it is heard with the next one at the latest.
    pub(crate) fn mention(&self, message: &FromWorker) {
        self.say(message, &[], Haste::WithTheNext);
    }

    fn say(&self, message: &FromWorker, descriptors: &[BorrowedFd<'_>], haste: Haste) {
        let bytes = frame::encode(message).expect("a worker's messages are cut to fit a frame");
        let mut receiver = self.receiver();
        let Some(lane) = &mut receiver.lane else {
            drop(receiver);
            return self.send_bytes(&bytes, descriptors);
        };
        let mut wake = || self.wake_supervisor();
        if descriptors.is_empty() && LaneSender::takes(&bytes) {
            lane.send(&bytes, &mut wake);
            if haste != Haste::WithTheNext {
                lane.wake_receiver(haste == Haste::Now, &mut wake);
            }
        } else {
            // The packet itself wakes the supervisor.
            lane.send(&[], &mut wake);
            self.send_bytes(&bytes, descriptors);
        }
    }

    /// Sends a packet in its place, whatever is in it.
    pub(crate) fn send_garbage(&self, garbage: &[u8]) {
        if let Some(lane) = &mut self.receiver().lane {
            lane.send(&[], &mut || self.wake_supervisor());
        }
        self.send_bytes(garbage, &[]);
    }

    fn wake_supervisor(&self) {
        let wake = frame::encode(&FromWorker::Wake).expect("it is short");
        self.send_bytes(&wake, &[]);
    }

    /// Says everything through this lane from here on.
    pub(crate) fn use_lane(&self, lane: OwnedFd) -> std::io::Result<()> {
        self.receiver().lane = Some(LaneSender::open(lane)?);
        Ok(())
    }

    /// Sends the bytes of one packet as they are.
    pub(crate) fn send_bytes(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let Some(socket) = self.socket.get() else { return };
        if socket.send(bytes, descriptors).is_err() {
            exit_now(SUPERVISOR_GONE);
        }
    }

    /// Waits for the next frame between assignments. Ends the process when the supervisor is gone or speaks
    /// garbage. With a start, what arrived for earlier assignments is forgotten.
    pub(crate) fn receive(&self) -> (ToWorker, Vec<OwnedFd>) {
        let socket = self.socket.get().unwrap_or_else(|| exit_now(SUPERVISOR_GONE));
        let Receiver { buffer, inbox, .. } = &mut *self.receiver();
        let (message, descriptors) = inbox.take_ahead().unwrap_or_else(|| {
            let received = socket.receive(buffer);
            decoded(received, buffer).unwrap_or_else(|| exit_now(SUPERVISOR_GONE))
        });
        if matches!(message, ToWorker::Start(_)) {
            inbox.begin_assignment();
        }
        (message, descriptors)
    }

    /// Takes an assignment that was given ahead of need; false when the supervisor has taken it back.
    pub(crate) fn take(&self, number: u32) -> bool {
        self.receiver().lane.as_ref().is_some_and(|lane| lane.take(number))
    }

    /// Whether there is one to go on with.
    pub(crate) fn has_ahead(&self) -> bool {
        self.receiver().lane.as_ref().is_some_and(LaneSender::has_ahead)
    }

    /// True once the supervisor asked for the end of the attempt at `task`.
    pub(crate) fn is_cancelled(&self, task: u64) -> bool {
        self.receiver().inbox.is_cancelled(task) || self.looked().inbox.is_cancelled(task)
    }

    /// Asks the supervisor for something; the request's number, for [`Link::take_reply`].
    pub(crate) fn request(&self, ask: Ask, descriptors: &[BorrowedFd<'_>]) -> u64 {
        let request = self.receiver().inbox.new_request(true);
        self.send(&FromWorker::Request { request, ask }, descriptors);
        request
    }

    /// Asks the supervisor for something that has no reply.
    pub(crate) fn tell(&self, ask: Ask) {
        let request = self.receiver().inbox.new_request(false);
        self.send(&FromWorker::Request { request, ask }, &[]);
    }

    /// The reply to a request, if it has arrived, with its descriptors. Given once.
    pub(crate) fn take_reply(&self, request: u64) -> Option<(Reply, Vec<OwnedFd>)> {
        self.looked().inbox.take_reply(request)
    }

    /// Tells the supervisor of a wait; its number.
    pub(crate) fn begin_wait(&self, on: WaitOn, timed: bool) -> u64 {
        let wait = self.receiver().inbox.new_wait();
        self.send(&FromWorker::WaitBegan { wait, on, timed }, &[]);
        wait
    }

    /// Tells the supervisor that it is over.
    pub(crate) fn end_wait(&self, wait: u64) {
        self.receiver().inbox.end_wait(wait);
        self.send(&FromWorker::WaitEnded { wait }, &[]);
    }

    /// What the supervisor has to say against this wait of the attempt at `task`.
    pub(crate) fn stop_of(&self, task: u64, wait: u64) -> Option<Stop> {
        self.looked().inbox.stop_of(task, wait)
    }

    /// Waits until a frame arrives, a signal does, or the time is over.
    pub(crate) fn sleep(&self, time: Duration) {
        let mut polled: Vec<_> =
            self.socket.get().into_iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        let time = Timespec::try_from(time).ok();
        // Each way in which it ends is one to look again.
        let _ = rustix::event::poll(&mut polled, time.as_ref());
    }

    /// Takes every frame that has arrived and puts it in its place.
    fn looked(&self) -> MutexGuard<'_, Receiver> {
        let mut receiver = self.receiver();
        let Some(socket) = self.socket.get() else { return receiver };
        let Receiver { buffer, inbox, .. } = &mut *receiver;
        // A reply may bring a descriptor, which is lost where there is no room for it.
        let _reserve = inbox.awaits_reply().then(DescriptorReserve::open);
        loop {
            match socket.try_receive(buffer) {
                Ok(Received::Empty) => return receiver,
                received => {
                    let sorted = decoded(received, buffer)
                        .is_some_and(|(message, descriptors)| inbox.sort(message, descriptors));
                    if !sorted {
                        exit_now(SUPERVISOR_GONE);
                    }
                }
            }
        }
    }

    fn receiver(&self) -> MutexGuard<'_, Receiver> {
        // A panic while receiving leaves the buffer's bytes undefined, not the socket.
        self.receiver.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Receiver {
    /// Keeps what is said without a socket; a request is answered by a refusal.
    fn keep(&mut self, message: &FromWorker) {
        match message {
            FromWorker::Request { request, ask } => {
                let reply = aside::refusal(ask);
                self.inbox.sort(ToWorker::Reply { request: *request, reply }, Vec::new());
            }
            message => self.aside.add(message),
        }
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

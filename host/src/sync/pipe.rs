//! Two ends that send to each other.
//!
//! Each direction is a queue: an end puts into its own and takes from the other's. An end has one holder at a
//! time. When the holder leaves or dies, both directions are closed: the other end receives what is left and
//! then the end, and what it sends would reach nobody. Who opens an end after that can still receive what is
//! left for it. An end that nobody has opened yet is no reason to end anything.

#![forbid(unsafe_code)]

use super::memory::Memory;
use super::queue::{self, Queue};
use super::{Answer, Blockers, Departure, Operation, QueueSpec, Recovery, SyncError, Token, WaitFor, Waits};

/// The holders' words lie before the queues, on a page of their own.
const HEADER: u64 = 4096;

/// Bytes of a pipe.
pub(super) fn bytes(spec: &QueueSpec) -> u64 {
    HEADER + 2 * queue::bytes(spec)
}

/// A pipe that begins its memory, seen from one end.
pub(super) struct Pipe<'m, M: Memory> {
    pub(super) memory: &'m M,
    pub(super) spec: &'m QueueSpec,
    /// 0 or 1.
    pub(super) end: u8,
}

impl<M: Memory> Pipe<'_, M> {
    /// Makes memory that is all zero a pipe that nobody has opened.
    pub(super) fn initialize(&self) {
        self.direction(0).initialize();
        self.direction(1).initialize();
    }

    pub(super) fn perform(
        &self,
        who: Token,
        operation: Operation<'_>,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        match operation {
            Operation::Open => self.open(who).map(|()| Answer::Done),
            Operation::Leave => self.leave(who, waits).map(|()| Answer::Done),
            Operation::Put(_) | Operation::Close => self.sends().perform(who, operation, waits),
            Operation::Get { lease: false } | Operation::Len => {
                self.receives().perform(who, operation, waits)
            }
            _ => Err(SyncError::WrongKind("a pipe has no such operation".to_owned())),
        }
    }

    /// Gives back what `gone` held, or anybody else who is not alive. Never waits.
    pub(super) fn recover(&self, gone: Token, how: Departure, is_alive: &dyn Fn(Token) -> bool) -> Recovery {
        let found = [0, 1].map(|end| self.memory.load32(holder(end)));
        let is_gone = |number: &u32| {
            *number != 0 && Token::new(*number).is_none_or(|holder| holder == gone || !is_alive(holder))
        };
        let close = found.iter().any(is_gone);
        let directions = [0, 1].map(|end| self.direction(end).recover_from(gone, how, close, is_alive));
        if directions.contains(&Recovery::Busy) {
            // The holder's word still tells the next attempt that there is something to close.
            return Recovery::Busy;
        }
        for (end, number) in (0..).zip(found).filter(|(_, number)| is_gone(number)) {
            self.memory.swap32_if(holder(end), number, 0);
        }
        Recovery::Done
    }

    /// Who could end this wait. Reads without the guard, so it may be old at once.
    pub(super) fn blockers(&self, who: Token, what: WaitFor) -> Blockers {
        let queue = if what == WaitFor::Room { self.sends() } else { self.receives() };
        queue.blockers(who, what)
    }

    fn open(&self, who: Token) -> Result<(), SyncError> {
        let found = self.memory.swap32_if(holder(self.end), 0, who.get());
        if found == 0 || found == who.get() { Ok(()) } else { Err(SyncError::AlreadyOwned) }
    }

    /// Without effect for one that does not hold the end, such as one to whom `open` was refused.
    fn leave(&self, who: Token, waits: &mut dyn Waits) -> Result<(), SyncError> {
        if self.memory.load32(holder(self.end)) != who.get() {
            return Ok(());
        }
        for queue in [self.sends(), self.receives()] {
            queue.close(who, waits)?;
            queue.leave(who, waits)?;
        }
        self.memory.swap32_if(holder(self.end), who.get(), 0);
        Ok(())
    }

    fn sends(&self) -> Queue<'_, M> {
        self.direction(self.end & 1)
    }

    fn receives(&self) -> Queue<'_, M> {
        self.direction(1 - (self.end & 1))
    }

    /// The queue into which this end puts.
    fn direction(&self, end: u8) -> Queue<'_, M> {
        let base = HEADER + u64::from(end) * queue::bytes(self.spec);
        Queue { memory: self.memory, base, spec: self.spec }
    }
}

/// The word with the token of an end's holder, 0 when it has none.
fn holder(end: u8) -> u64 {
    64 * u64::from(end & 1)
}

#[cfg(test)]
mod tests {
    use super::super::memory::SharedMemory;
    use super::super::queue::tests::kit::{Now, TestMemory, bytes_of, item, spec, token};
    use super::*;

    const EVERYBODY_ALIVE: &dyn Fn(Token) -> bool = &|_| true;

    fn memory(spec: &QueueSpec) -> TestMemory {
        let memory = TestMemory::zeroed(spec, bytes(spec));
        ends(&memory, spec)[0].initialize();
        memory
    }

    fn ends<'m, M: Memory>(memory: &'m M, spec: &'m QueueSpec) -> [Pipe<'m, M>; 2] {
        [0, 1].map(|end| Pipe { memory, spec, end })
    }

    impl<M: Memory> Pipe<'_, M> {
        fn act(&self, who: u32, operation: Operation<'_>) -> Result<Answer, SyncError> {
            self.perform(token(who), operation, &mut Now)
        }

        fn receive(&self, who: u32) -> Result<Answer, SyncError> {
            self.act(who, Operation::Get { lease: false })
        }
    }

    #[test]
    fn each_end_receives_what_the_other_sends() {
        let spec = spec(2, 9000, 1 << 16);
        let memory = SharedMemory::create(bytes(&spec)).unwrap();
        let [left, right] = ends(&memory, &spec);
        left.initialize();
        for length in [8, 9000] {
            left.act(1, Operation::Put(&item(1, length))).unwrap();
            right.act(2, Operation::Put(&item(2, length))).unwrap();
            assert_eq!(left.act(1, Operation::Len), Ok(Answer::Count(1)));
            assert_eq!(bytes_of(left.receive(1)), item(2, length));
            assert_eq!(bytes_of(right.receive(2)), item(1, length));
        }
        assert_eq!(left.receive(1), Err(SyncError::TimedOut), "not what it sent itself");
        for refused in [Operation::Get { lease: true }, Operation::WaitEmpty, Operation::TakeDead] {
            assert!(matches!(left.act(1, refused), Err(SyncError::WrongKind(_))));
        }
    }

    #[test]
    fn an_end_has_one_holder_at_a_time() {
        let spec = spec(2, 64, 1 << 16);
        let memory = memory(&spec);
        let [left, right] = ends(&memory, &spec);
        left.act(1, Operation::Open).unwrap();
        left.act(1, Operation::Open).unwrap();
        right.act(1, Operation::Open).unwrap();
        assert_eq!(left.act(2, Operation::Open), Err(SyncError::AlreadyOwned));
        // Who was refused and leaves takes nothing with it.
        left.act(2, Operation::Leave).unwrap();
        left.recover(token(2), Departure::Died, EVERYBODY_ALIVE);
        left.act(1, Operation::Put(&[1])).unwrap();
        assert_eq!(bytes_of(right.receive(1)), [1]);
    }

    #[test]
    fn close_ends_one_direction() {
        let spec = spec(2, 64, 1 << 16);
        let memory = memory(&spec);
        let [left, right] = ends(&memory, &spec);
        left.act(1, Operation::Put(&[1])).unwrap();
        left.act(1, Operation::Close).unwrap();
        assert_eq!(left.act(1, Operation::Put(&[2])), Err(SyncError::Closed));
        assert_eq!(bytes_of(right.receive(2)), [1]);
        assert_eq!(right.receive(2), Ok(Answer::End));
        right.act(2, Operation::Put(&[3])).unwrap();
        assert_eq!(bytes_of(left.receive(1)), [3]);
    }

    #[test]
    fn a_wait_is_for_the_direction_that_it_concerns() {
        let spec = spec(1, 64, 1 << 16);
        let memory = memory(&spec);
        let [left, right] = ends(&memory, &spec);
        left.act(1, Operation::Put(&[1])).unwrap();
        assert_eq!(left.blockers(token(1), WaitFor::Room), Blockers::Anybody);
        assert_eq!(left.blockers(token(1), WaitFor::Item), Blockers::Anybody);
        assert_eq!(right.blockers(token(2), WaitFor::Room), Blockers::Nobody);
        assert_eq!(right.blockers(token(2), WaitFor::Item), Blockers::Nobody);
    }

    /// What the other end sees once the holder of the left one is gone.
    fn check_that_the_left_is_gone(ends: &[Pipe<'_, TestMemory>; 2]) {
        let [left, right] = ends;
        assert_eq!(bytes_of(right.receive(2)), item(1, 40));
        assert_eq!(right.receive(2), Ok(Answer::End));
        assert_eq!(right.act(2, Operation::Put(&[4])), Err(SyncError::Closed));
        left.act(3, Operation::Open).unwrap();
        assert_eq!(bytes_of(left.receive(3)), item(2, 40), "what was sent before can still be had");
        assert_eq!(left.receive(3), Ok(Answer::End));
    }

    #[test]
    fn the_peer_of_an_end_that_is_gone_receives_what_is_left_and_then_the_end() {
        let spec = spec(2, 64, 1 << 16);
        for at in 0.. {
            let memory = memory(&spec);
            let pipe = ends(&memory, &spec);
            pipe[0].act(1, Operation::Open).unwrap();
            pipe[1].act(2, Operation::Open).unwrap();
            pipe[0].act(1, Operation::Put(&item(1, 40))).unwrap();
            pipe[1].act(2, Operation::Put(&item(2, 40))).unwrap();
            let left = memory.dying_at(at, || pipe[0].act(1, Operation::Leave).unwrap());
            if left.is_none() {
                assert_eq!(pipe[1].recover(token(1), Departure::Died, EVERYBODY_ALIVE), Recovery::Done);
            }
            check_that_the_left_is_gone(&pipe);
            if left.is_some() {
                assert!(at > 10, "it has accesses at which to die");
                break;
            }
        }
    }

    #[test]
    fn an_end_whose_holder_is_not_alive_is_closed_with_the_next_that_goes() {
        let spec = spec(2, 64, 1 << 16);
        for forged in [1, u32::MAX] {
            let memory = memory(&spec);
            let pipe = ends(&memory, &spec);
            pipe[0].act(1, Operation::Put(&item(1, 40))).unwrap();
            pipe[1].act(2, Operation::Put(&item(2, 40))).unwrap();
            memory.store32(holder(0), forged);
            pipe[1].recover(token(3), Departure::Ended, &|token| token.get() != 1);
            check_that_the_left_is_gone(&pipe);
        }
    }

    #[test]
    fn a_recovery_that_found_somebody_inside_is_finished_by_the_next() {
        let spec = spec(2, 64, 1 << 16);
        let memory = memory(&spec);
        let pipe = ends(&memory, &spec);
        pipe[0].act(1, Operation::Open).unwrap();
        pipe[0].act(1, Operation::Put(&item(1, 40))).unwrap();
        pipe[1].act(2, Operation::Put(&item(2, 40))).unwrap();
        // The other end's holder is inside the second direction's guard.
        let guard = HEADER + queue::bytes(&spec);
        memory.store32(guard, 2);
        let recover = || pipe[1].recover(token(1), Departure::Ended, EVERYBODY_ALIVE);
        assert_eq!(recover(), Recovery::Busy);
        memory.store32(guard, 0);
        assert_eq!(recover(), Recovery::Done);
        check_that_the_left_is_gone(&pipe);
    }
}

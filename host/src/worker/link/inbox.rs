//! What arrived while a task runs, until somebody asks for it.
//!
//! Requests and waits have numbers that grow for as long as the worker lives, so a reply or a deadlock
//! that crossed the end of an assignment is known by its number and dropped.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use crate::protocol::worker::{Reply, ToWorker};
use crate::sync::Stop;

/// Assignments that may lie here, those among them that were taken back.
const STARTS_MAX: usize = 1024;

/// What arrived and was not asked for yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    requests: u64,
    waits: u64,
    current: Current,
    /// Assignments that came ahead of need.
    ahead: VecDeque<(ToWorker, Vec<OwnedFd>)>,
}

/// What belongs to one assignment.
#[derive(Debug, Default)]
struct Current {
    /// The attempt that was asked to stop.
    cancelled: Option<u64>,
    /// The wait that the supervisor was told of.
    wait: Option<u64>,
    /// The cycle that it is part of.
    cycle: Option<String>,
    /// Requests without a reply.
    open: Vec<u64>,
    /// Replies that nobody took yet. No more than there were requests, which their makers bound.
    replies: Vec<(u64, Reply, Vec<OwnedFd>)>,
}

impl Inbox {
    /// Forgets what belongs to earlier assignments.
    pub(super) fn begin_assignment(&mut self) {
        self.current = Current::default();
    }

    /// The next assignment that came while another one ran.
    pub(super) fn take_ahead(&mut self) -> Option<(ToWorker, Vec<OwnedFd>)> {
        self.ahead.pop_front()
    }

    /// Puts a frame in its place. False for a start that is to run at once, which does not come while a task runs
    /// unless the supervisor lost its mind.
    pub(super) fn sort(&mut self, message: ToWorker, descriptors: Vec<OwnedFd>) -> bool {
        let current = &mut self.current;
        match message {
            ToWorker::Start(ref start) if start.ahead.is_some() && self.ahead.len() < STARTS_MAX => {
                self.ahead.push_back((message, descriptors));
            }
            ToWorker::Start(_) => return false,
            ToWorker::Cancel { task } => current.cancelled = Some(task),
            ToWorker::Deadlock { wait, cycle } if current.wait == Some(wait) => current.cycle = Some(cycle),
            // That wait is over.
            ToWorker::Deadlock { .. } => {}
            ToWorker::Reply { request, reply } => {
                if let Some(at) = current.open.iter().position(|open| *open == request) {
                    current.open.swap_remove(at);
                    current.replies.push((request, reply, descriptors));
                }
            }
        }
        true
    }

    pub(super) fn is_cancelled(&self, task: u64) -> bool {
        self.current.cancelled == Some(task)
    }

    /// The number of a new request.
    pub(super) fn new_request(&mut self, has_reply: bool) -> u64 {
        self.requests += 1;
        if has_reply {
            self.current.open.push(self.requests);
        }
        self.requests
    }

    /// True while a reply is to come.
    pub(super) fn awaits_reply(&self) -> bool {
        !self.current.open.is_empty()
    }

    /// The reply to a request, if it has arrived.
    pub(super) fn take_reply(&mut self, request: u64) -> Option<(Reply, Vec<OwnedFd>)> {
        let replies = &mut self.current.replies;
        let at = replies.iter().position(|(number, ..)| *number == request)?;
        let (_, reply, descriptors) = replies.swap_remove(at);
        Some((reply, descriptors))
    }

    /// The number of a new wait, the only one from here on.
    pub(super) fn new_wait(&mut self) -> u64 {
        self.waits += 1;
        self.current.wait = Some(self.waits);
        self.current.cycle = None;
        self.waits
    }

    /// That wait is over.
    pub(super) fn end_wait(&mut self, wait: u64) {
        if self.current.wait == Some(wait) {
            self.current.wait = None;
            self.current.cycle = None;
        }
    }

    /// What stands against this wait.
    pub(super) fn stop_of(&mut self, task: u64, wait: u64) -> Option<Stop> {
        let cycle = if self.current.wait == Some(wait) { self.current.cycle.take() } else { None };
        match cycle {
            Some(cycle) => Some(Stop::Deadlock(cycle)),
            None => self.is_cancelled(task).then_some(Stop::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submitted(request: u64) -> ToWorker {
        ToWorker::Reply { request, reply: Reply::Submitted(Ok(request)) }
    }

    #[test]
    fn frames_of_every_kind_wait_for_whoever_asks() {
        let mut inbox = Inbox::default();
        let (first, second) = (inbox.new_request(true), inbox.new_request(true));
        let wait = inbox.new_wait();
        assert!(inbox.sort(submitted(second), Vec::new()));
        assert!(inbox.sort(ToWorker::Cancel { task: 7 }, Vec::new()));
        assert!(inbox.sort(ToWorker::Deadlock { wait, cycle: "a ring".to_owned() }, Vec::new()));
        assert!(inbox.sort(submitted(first), Vec::new()));
        assert_eq!(inbox.take_reply(first).unwrap().0, Reply::Submitted(Ok(first)));
        assert_eq!(inbox.take_reply(second).unwrap().0, Reply::Submitted(Ok(second)));
        assert_eq!(inbox.stop_of(7, wait), Some(Stop::Deadlock("a ring".to_owned())));
        assert_eq!(inbox.stop_of(7, wait), Some(Stop::Cancelled));
        assert_eq!(inbox.stop_of(8, wait), None);
    }

    #[test]
    fn what_belongs_to_nobody_is_dropped() {
        let mut inbox = Inbox::default();
        let (asked, told) = (inbox.new_request(true), inbox.new_request(false));
        for request in [told, told + 1, 0] {
            assert!(inbox.sort(submitted(request), Vec::new()));
            assert!(inbox.take_reply(request).is_none());
        }
        // A reply is taken once, and sent once.
        assert!(inbox.sort(submitted(asked), Vec::new()) && inbox.sort(submitted(asked), Vec::new()));
        assert!(inbox.take_reply(asked).is_some() && inbox.take_reply(asked).is_none());
        let over = inbox.new_wait();
        inbox.end_wait(over);
        let wait = inbox.new_wait();
        assert!(inbox.sort(ToWorker::Deadlock { wait: over, cycle: String::new() }, Vec::new()));
        assert_eq!(inbox.stop_of(7, wait), None);
    }

    #[test]
    fn an_assignment_inherits_no_frame_and_no_number() {
        let mut inbox = Inbox::default();
        let (request, wait) = (inbox.new_request(true), inbox.new_wait());
        assert!(inbox.sort(ToWorker::Cancel { task: 7 }, Vec::new()));
        inbox.begin_assignment();
        assert!(!inbox.is_cancelled(7));
        assert!(inbox.sort(submitted(request), Vec::new()));
        assert!(inbox.sort(ToWorker::Deadlock { wait, cycle: String::new() }, Vec::new()));
        assert!(inbox.take_reply(request).is_none());
        assert!(inbox.new_request(true) > request && inbox.new_wait() > wait);
    }
}

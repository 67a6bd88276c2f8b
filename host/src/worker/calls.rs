//! The calls of one assignment: their inputs, and which of them runs.
//!
//! The worker goes from one call to the next, or the guest does while it is inside (`wasmpool:task/chunk`): both end a
//! call here, so it is told once, at once, and in its turn.

#![forbid(unsafe_code)]

use std::fs::File;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::limits::{CHUNK_INPUTS_BYTES_MAX, CHUNK_INPUTS_MAX};
use crate::os::memory_file::Mapping;
use crate::outcome::Encoding;
use crate::protocol::worker::{Claim, Entry, FromWorker, Start, WorkerLimits};
use crate::worker::fault;
use crate::worker::link::Link;

/// The bytes of all inputs.
pub(crate) enum InputBytes {
    Inline(Vec<u8>),
    Mapped(Mapping),
}

impl Deref for InputBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Inline(bytes) => bytes,
            Self::Mapped(mapping) => mapping,
        }
    }
}

/// The calls of one assignment.
pub(crate) struct Calls {
    link: Arc<Link>,
    task: u64,
    limits: WorkerLimits,
    /// What a call returns, where the guest can go on to the next one by itself.
    encoding: Option<Encoding>,
    inputs: InputBytes,
    lengths: Vec<u64>,
    /// The async linkers demand `Sync`; there is one thread, so the lock is free.
    at: Mutex<At>,
}

/// Which call runs.
struct At {
    index: usize,
    /// Where its input begins.
    offset: usize,
    /// The first input that the guest does not have, and where it begins.
    given: (usize, usize),
    began: Instant,
    /// None of them runs any more.
    is_over: bool,
    /// Every call returned, a value or an error.
    is_fit: bool,
}

impl Calls {
    /// Those of a start frame, with the bytes that came in it or beside it; `None` when they do not fit together.
    pub(crate) fn new(link: Arc<Link>, start: &mut Start, inputs: InputBytes) -> Option<Self> {
        let lengths = std::mem::take(&mut start.inputs.lengths);
        let sum = lengths.iter().try_fold(0_u64, |sum, length| sum.checked_add(*length))?;
        let encoding = match (&start.entry, &inputs) {
            (Entry::Task { result, .. }, InputBytes::Inline(_)) if start.goes_through => Some(*result),
            _ => None,
        };
        let at =
            At { index: 0, offset: 0, given: (0, 0), began: Instant::now(), is_over: false, is_fit: false };
        let (task, limits, at) = (start.task, start.limits, Mutex::new(at));
        (sum == inputs.len() as u64).then_some(Self { link, task, limits, encoding, inputs, lengths, at })
    }

    /// The input of the call that runs, which the guest is called with, and so has no other one; nothing when none is left.
    pub(crate) fn input(&self) -> Option<&[u8]> {
        let mut at = self.at();
        let length = self.lengths.get(at.index).filter(|_| !at.is_over)?;
        let input = &self.inputs[at.offset..][..bytes(*length)];
        at.given = (at.index + 1, at.offset + input.len());
        Some(input)
    }

    /// How many calls the guest may go on to by itself.
    pub(crate) fn following(&self) -> usize {
        let at = self.at();
        let is_offered = self.encoding.is_some() && !at.is_over;
        if is_offered { self.lengths.len().saturating_sub(at.index + 1) } else { 0 }
    }

    /// Inputs that the guest does not have yet: their lengths, and their bytes. A few of them at a time, because they take
    /// memory that is the task's.
    pub(crate) fn give_inputs(&self) -> (Vec<u32>, Vec<u8>) {
        let mut at = self.at();
        let (mut lengths, (first, start)) = (Vec::new(), at.given);
        let mut end = start;
        let waiting = self.lengths.get(first..).filter(|_| self.encoding.is_some()).unwrap_or_default();
        for length in waiting.iter().take(CHUNK_INPUTS_MAX) {
            let Ok(short) = u32::try_from(*length) else { break };
            if !lengths.is_empty() && end + bytes(*length) - start > CHUNK_INPUTS_BYTES_MAX {
                break;
            }
            lengths.push(short);
            end += bytes(*length);
        }
        at.given = (first + lengths.len(), end);
        (lengths, self.inputs[start..end].to_vec())
    }

    /// What a call returns, where the guest can go on to the next one by itself.
    pub(crate) fn encoding(&self) -> Option<Encoding> {
        self.encoding
    }

    /// The limits of each.
    pub(crate) fn limits(&self) -> &WorkerLimits {
        &self.limits
    }

    /// Tells how the call that runs has ended. True when the next one begins.
    pub(crate) fn end(&self, claim: Claim, body: Option<File>) -> bool {
        let goes_on = matches!(claim, Claim::Returned { .. } | Claim::Failed { .. });
        let mut at = self.at();
        let is_last = at.index + 1 >= self.lengths.len();
        at.is_fit = goes_on && is_last;
        at.is_over = !goes_on || is_last;
        self.fault("before-finished");
        let now = Instant::now();
        let took = now.saturating_duration_since(std::mem::replace(&mut at.began, now));
        let index = u32::try_from(at.index).expect("a start frame has no room for as many lengths");
        let message = FromWorker::Finished { task: self.task, index, claim, took };
        let file = body.as_ref().map(|file| file.as_fd());
        // What more will soon be told after is not urgent.
        if goes_on && (!is_last || self.link.has_ahead()) {
            self.link.send_one_of_many(&message, file.as_slice());
        } else {
            self.link.send(&message, file.as_slice());
        }
        self.fault("after-finished");
        at.offset += self.lengths.get(at.index).map_or(0, |length| bytes(*length));
        at.index += 1;
        !at.is_over
    }

    /// None of them runs any more.
    pub(crate) fn is_over(&self) -> bool {
        self.at().is_over
    }

    /// Every call returned, a value or an error.
    pub(crate) fn are_fit(&self) -> bool {
        self.at().is_fit
    }

    pub(crate) fn fault(&self, point: &str) {
        fault::point_of_task(point, self.task, |garbage| self.link.send_garbage(garbage));
    }

    fn at(&self) -> MutexGuard<'_, At> {
        // Whoever panicked here says so, and ends.
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The length of an input, each of which lies in memory.
fn bytes(length: u64) -> usize {
    usize::try_from(length).expect("it is a part of a slice")
}

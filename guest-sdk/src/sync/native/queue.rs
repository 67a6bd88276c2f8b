//! Queues, and pipes, which are two of them.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};

use super::room::Room;
use crate::sync::SyncError;
use crate::sync::handle::{Delivery, Got, Patience};

/// What a host allows unless it is told otherwise.
const ITEM_BYTES_MAX: usize = 1 << 20;
const DELIVERIES_MAX: u32 = 5;

#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    state: Room<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By their places in the queue.
    items: BTreeMap<u64, Entry>,
    /// By the numbers of the leases.
    leased: BTreeMap<u64, Leased>,
    dead: VecDeque<Vec<u8>>,
    puts: u64,
    leases: u64,
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    bytes: Vec<u8>,
    deliveries: u32,
}

#[derive(Debug)]
struct Leased {
    who: u64,
    place: u64,
    entry: Entry,
}

impl State {
    fn count(&self) -> usize {
        self.items.len() + self.leased.len() + self.dead.len()
    }

    /// The oldest item, or the end, or nothing yet.
    fn take(&mut self, who: u64) -> Option<Got<(u64, Entry)>> {
        if let Some(first) = self.items.pop_first() {
            return Some(Got::Item(first));
        }
        // What others have leased may come back.
        let over = self.closed && self.leased.values().all(|leased| leased.who == who);
        over.then_some(Got::End)
    }

    /// Puts a leased item where it was, or to the dead letters.
    fn put_back(&mut self, Leased { place, entry, .. }: Leased) {
        if entry.deliveries < DELIVERIES_MAX {
            self.items.insert(place, entry);
        } else {
            self.dead.push_back(entry.bytes);
        }
    }

    fn end_lease(&mut self, who: u64, lease: u64) -> Result<Leased, SyncError> {
        match self.leased.get(&lease) {
            None => Err(SyncError::NotFound("there is no such lease".to_owned())),
            Some(leased) if leased.who != who => Err(SyncError::NotOwner),
            Some(_) => self
                .leased
                .remove(&lease)
                .ok_or_else(|| SyncError::NotFound("there is no such lease".to_owned())),
        }
    }
}

impl Queue {
    pub(super) fn new(capacity: u32) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        Self { capacity, state: Room::new(State::default()) }
    }

    pub(super) fn put(&self, item: &[u8], patience: Patience) -> Result<bool, SyncError> {
        if item.len() > ITEM_BYTES_MAX {
            let bytes = item.len();
            return Err(SyncError::TooLarge(format!("{bytes} bytes are over the limit of {ITEM_BYTES_MAX}")));
        }
        let put = self.state.wait(patience, |state| {
            if state.closed {
                return Some(Err(SyncError::Closed));
            }
            (state.count() < self.capacity).then(|| {
                state.puts += 1;
                state.items.insert(state.puts, Entry { bytes: item.to_vec(), deliveries: 0 });
                Ok(())
            })
        });
        put.transpose().map(|put| put.is_some())
    }

    pub(super) fn get(&self, who: u64, patience: Patience) -> Got<Vec<u8>> {
        match self.state.wait(patience, |state| state.take(who)) {
            Some(Got::Item((_, entry))) => Got::Item(entry.bytes),
            Some(Got::End) => Got::End,
            Some(Got::TimedOut) | None => Got::TimedOut,
        }
    }

    pub(super) fn lease(&self, who: u64, patience: Patience) -> Got<Delivery> {
        let leased = self.state.wait(patience, |state| match state.take(who)? {
            Got::Item((place, mut entry)) => {
                entry.deliveries += 1;
                state.leases += 1;
                let (bytes, deliveries) = (entry.bytes.clone(), entry.deliveries);
                state.leased.insert(state.leases, Leased { who, place, entry });
                Some(Got::Item(Delivery { bytes, lease: state.leases, deliveries }))
            }
            Got::End => Some(Got::End),
            Got::TimedOut => None,
        });
        leased.unwrap_or(Got::TimedOut)
    }

    pub(super) fn acknowledge(&self, who: u64, lease: u64) -> Result<(), SyncError> {
        self.state.change(|state| state.end_lease(who, lease).map(drop))
    }

    pub(super) fn give_back(&self, who: u64, lease: u64) -> Result<(), SyncError> {
        self.state.change(|state| {
            let leased = state.end_lease(who, lease)?;
            state.put_back(leased);
            Ok(())
        })
    }

    pub(super) fn leave(&self, gone: u64) {
        self.state.change(|state| {
            for (_, leased) in state.leased.extract_if(.., |_, leased| leased.who == gone).collect::<Vec<_>>()
            {
                state.put_back(leased);
            }
        });
    }

    pub(super) fn close(&self) {
        self.state.change(|state| state.closed = true);
    }

    pub(super) fn wait_empty(&self, patience: Patience) -> bool {
        let empty = |state: &mut State| (state.items.is_empty() && state.leased.is_empty()).then_some(());
        self.state.wait(patience, empty).is_some()
    }

    pub(super) fn take_dead(&self) -> Option<Vec<u8>> {
        self.state.change(|state| state.dead.pop_front())
    }

    pub(super) fn len(&self) -> u64 {
        self.state.change(|state| state.items.len()) as u64
    }
}

/// Two queues, one for each direction, and how many handles each end has.
#[derive(Debug)]
pub(super) struct Pipe {
    directions: [Queue; 2],
    handles: Room<[u32; 2]>,
}

impl Pipe {
    /// A pipe of whose ends there is one handle each.
    pub(super) fn new(capacity: u32) -> Self {
        Self { directions: [Queue::new(capacity), Queue::new(capacity)], handles: Room::new([1, 1]) }
    }

    /// What this end sends.
    pub(super) fn outgoing(&self, end: usize) -> &Queue {
        &self.directions[end & 1]
    }

    /// What it receives.
    pub(super) fn incoming(&self, end: usize) -> &Queue {
        &self.directions[(end + 1) & 1]
    }

    /// There is one more handle to this end.
    pub(super) fn open(&self, end: usize) {
        self.handles.change(|handles| handles[end & 1] += 1);
    }

    /// There is one less. Without any, nobody sends from this end, and nobody receives what is sent to it.
    pub(super) fn leave(&self, end: usize) {
        let left = self.handles.change(|handles| {
            handles[end & 1] -= 1;
            handles[end & 1]
        });
        if left == 0 {
            self.directions.iter().for_each(Queue::close);
        }
    }
}

//! Random operations of several participants, some of which die in them, against a plain model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::super::{Answer, Departure, Operation, QueueSpec, Recovery, SyncError};
use super::super::Queue;
use super::super::layout::{Kind, blocks_for};
use super::kit::{Now, Seen, TestMemory, item, spec, token};

const CAPACITY: u32 = 5;
const BLOCKS: u32 = 7;
const ITEM_BYTES_MAX: u32 = 9000;
const DELIVERIES_MAX: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    Put {
        number: u8,
        length: usize,
    },
    Get,
    Lease,
    /// One of the leases that were ever given out, by its place among them.
    Acknowledge(prop::sample::Index),
    GiveBack(prop::sample::Index),
    TakeDead,
    Leave,
    Close,
}

/// A step of a participant, which dies before this access of it, if it has as many.
#[derive(Clone, Debug)]
struct Act {
    who: u32,
    step: Step,
    death: Option<u64>,
}

fn act() -> impl Strategy<Value = Act> {
    let length = prop_oneof![0..40_usize, Just(1024), Just(1025), Just(4096), Just(4097), Just(9000)];
    let step = prop_oneof![
        6 => (any::<u8>(), length).prop_map(|(number, length)| Step::Put { number, length }),
        4 => Just(Step::Get),
        4 => Just(Step::Lease),
        3 => any::<prop::sample::Index>().prop_map(Step::Acknowledge),
        3 => any::<prop::sample::Index>().prop_map(Step::GiveBack),
        1 => Just(Step::TakeDead),
        1 => Just(Step::Leave),
    ];
    let step = prop_oneof![60 => step, 1 => Just(Step::Close)];
    (1..4_u32, step, prop::option::weighted(0.25, 0..120_u64)).prop_map(|(who, step, death)| Act {
        who,
        step,
        death,
    })
}

/// What a queue is, by its contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    /// By sequence number.
    items: BTreeMap<u64, Seen>,
    next: u64,
    closed: bool,
}

/// What an operation answers, as far as the model tells.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Done,
    Item(Vec<u8>, u32),
    End,
    Failed(SyncError),
}

impl Model {
    fn perform(&mut self, who: u32, step: &Step, lease: Option<u64>) -> Told {
        match step {
            Step::Put { number, length } => self.put(item(*number, *length)),
            Step::Get => self.take(who, Kind::Ready, None),
            Step::Lease => self.take(who, Kind::Ready, Some(Kind::Leased)),
            Step::TakeDead => self.take(who, Kind::Dead, None),
            Step::Acknowledge(_) => self.end_lease(who, lease, |_, _| {}),
            Step::GiveBack(_) => self.end_lease(who, lease, |model, sequence| model.put_back(sequence)),
            Step::Leave => {
                self.leave(who);
                Told::Done
            }
            Step::Close => {
                self.closed = true;
                Told::Done
            }
        }
    }

    fn put(&mut self, bytes: Vec<u8>) -> Told {
        let used: u32 = self.items.values().map(|seen| blocks_for(seen.bytes.len() as u64)).sum();
        if self.closed {
            return Told::Failed(SyncError::Closed);
        }
        if self.items.len() as u32 == CAPACITY || used + blocks_for(bytes.len() as u64) > BLOCKS {
            return Told::Failed(SyncError::TimedOut);
        }
        self.next += 1;
        self.items.insert(self.next, Seen { kind: Kind::Ready, owner: 0, deliveries: 0, bytes });
        Told::Done
    }

    /// Takes the first of a kind, for good or as a lease.
    fn take(&mut self, who: u32, kind: Kind, becomes: Option<Kind>) -> Told {
        let first = self.items.iter().find(|(_, seen)| seen.kind == kind).map(|(sequence, _)| *sequence);
        let Some(first) = first else {
            let held = self.items.values().any(|seen| seen.kind == Kind::Leased && seen.owner != who);
            let end = kind == Kind::Dead || self.closed && !held;
            return if end { Told::End } else { Told::Failed(SyncError::TimedOut) };
        };
        let seen = self.items.get_mut(&first).unwrap();
        let deliveries = seen.deliveries + u32::from(kind == Kind::Ready);
        let told = Told::Item(seen.bytes.clone(), deliveries);
        match becomes {
            Some(kind) => *seen = Seen { kind, owner: who, deliveries, bytes: seen.bytes.clone() },
            None => drop(self.items.remove(&first)),
        }
        told
    }

    fn end_lease(&mut self, who: u32, lease: Option<u64>, back: impl Fn(&mut Self, u64)) -> Told {
        let found = lease.and_then(|sequence| self.items.get(&sequence).map(|seen| (sequence, seen.owner)));
        match found {
            None => Told::Failed(SyncError::NotFound("lease".to_owned())),
            Some((_, owner)) if owner != who => Told::Failed(SyncError::NotOwner),
            Some((sequence, _)) => {
                back(self, sequence);
                if self.items.get(&sequence).is_some_and(|seen| seen.kind == Kind::Leased) {
                    self.items.remove(&sequence);
                }
                Told::Done
            }
        }
    }

    fn put_back(&mut self, sequence: u64) {
        let seen = self.items.get_mut(&sequence).unwrap();
        let kind = if seen.deliveries == DELIVERIES_MAX { Kind::Dead } else { Kind::Ready };
        *seen = Seen { kind, owner: 0, ..seen.clone() };
    }

    fn leave(&mut self, who: u32) {
        let held: Vec<_> =
            self.items.iter().filter(|(_, seen)| seen.owner == who).map(|(at, _)| *at).collect();
        held.into_iter().for_each(|sequence| self.put_back(sequence));
    }

    fn seen(&self) -> Vec<Seen> {
        self.items.values().cloned().collect()
    }
}

/// The real queue beside the model.
struct Run<'m> {
    queue: Queue<'m, TestMemory>,
    memory: &'m TestMemory,
    model: Model,
    /// Each lease ever given out: its number, with the sequence number and delivery that it is of.
    leases: Vec<(u64, u64, u32)>,
}

impl Run<'_> {
    fn act(&mut self, act: &Act) {
        let (lease, operation_lease) = self.lease_of(&act.step);
        let bytes = match act.step {
            Step::Put { number, length } => item(number, length),
            _ => Vec::new(),
        };
        let operation = match act.step {
            Step::Put { .. } => Operation::Put(&bytes),
            Step::Get => Operation::Get { lease: false },
            Step::Lease => Operation::Get { lease: true },
            Step::Acknowledge(_) => Operation::Acknowledge { lease: operation_lease },
            Step::GiveBack(_) => Operation::GiveBack { lease: operation_lease },
            Step::TakeDead => Operation::TakeDead,
            Step::Leave => Operation::Leave,
            Step::Close => Operation::Close,
        };
        let perform = || self.queue.perform(token(act.who), operation, &mut Now);
        let answer = self.memory.dying_at(act.death.unwrap_or(u64::MAX), perform);
        let before = self.model.clone();
        let first = self.model.items.iter().find(|(_, seen)| seen.kind == Kind::Ready).map(|(at, _)| *at);
        let told = self.model.perform(act.who, &act.step, lease);
        match answer {
            Some(answer) => {
                if let (Step::Lease, Ok(Answer::Item(item)), Some(first)) = (&act.step, &answer, first) {
                    self.leases.push((item.lease, first, item.deliveries));
                }
                assert_eq!(said(answer), told);
            }
            None => self.recover(act.who, before),
        }
        self.queue.verify();
        assert_eq!(self.queue.seen(), self.model.seen());
    }

    /// A lease to name: the sequence number if it is still in force, and the number.
    fn lease_of(&self, step: &Step) -> (Option<u64>, u64) {
        let (Step::Acknowledge(index) | Step::GiveBack(index)) = step else { return (None, 0) };
        if self.leases.is_empty() {
            return (None, 12_345);
        }
        let (number, sequence, delivery) = *index.get(&self.leases);
        let seen = self.model.items.get(&sequence);
        let in_force = seen.is_some_and(|seen| seen.kind == Kind::Leased && seen.deliveries == delivery);
        (in_force.then_some(sequence), number)
    }

    /// After a death the operation happened, or it did not; then everything of the dead went back.
    fn recover(&mut self, dead: u32, mut before: Model) {
        assert_eq!(self.queue.recover(token(dead), Departure::Died, &|_| true), Recovery::Done);
        let mut after = std::mem::take(&mut self.model);
        after.leave(dead);
        before.leave(dead);
        before.next = after.next;
        let closed = self.queue.word(super::super::CLOSED) != 0;
        let seen = self.queue.seen();
        let found = [after, before].into_iter().find(|model| model.seen() == seen && model.closed == closed);
        self.model = found.unwrap_or_else(|| panic!("neither before nor after: {seen:?}"));
    }
}

fn said(answer: Result<Answer, SyncError>) -> Told {
    match answer {
        Ok(Answer::Done) => Told::Done,
        Ok(Answer::Item(item)) => Told::Item(item.bytes, item.deliveries),
        Ok(Answer::End) => Told::End,
        Ok(other) => panic!("{other:?}"),
        Err(error) => Told::Failed(error),
    }
}

proptest! {
    #[test]
    fn whoever_dies_the_queue_is_what_the_model_is(acts in prop::collection::vec(act(), 1..60)) {
        let bytes_max = u64::from(BLOCKS) * 4096;
        let memory = TestMemory::new(&QueueSpec {
            deliveries_max: DELIVERIES_MAX,
            ..spec(CAPACITY, ITEM_BYTES_MAX, bytes_max)
        });
        let mut run = Run {
            queue: memory.queue(),
            memory: &memory,
            model: Model::default(),
            leases: Vec::new(),
        };
        for act in &acts {
            run.act(act);
        }
    }
}

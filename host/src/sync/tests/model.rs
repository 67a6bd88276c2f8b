//! Random sequences of operations, deaths and recoveries against a model that needs no memory.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Act {
    Acquire(u32),
    Release(u32),
    Leave(u32),
    Died(u32),
    Ended(u32),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = (1u32..5, 0u32..10).prop_map(|(who, act)| match act {
        0..4 => Act::Acquire(who),
        4..7 => Act::Release(who),
        7 => Act::Leave(who),
        8 => Act::Died(who),
        _ => Act::Ended(who),
    });
    proptest::collection::vec(act, 1..60)
}

fn depart(object: &SharedObject, gone: u32, how: Departure) {
    assert_eq!(object.recover(token(gone), 1000 + u64::from(gone), how, &|_| true), Recovery::Done);
}

/// A lock: its holder with how often it took it, and who abandoned it.
#[derive(Debug, Default)]
struct LockModel {
    nests: bool,
    held: Option<(u32, u32)>,
    abandoned_by: Option<u64>,
}

impl LockModel {
    fn acquire(&mut self, who: u32) -> Result<Answer, SyncError> {
        match &mut self.held {
            Some((holder, depth)) if *holder == who && self.nests => *depth += 1,
            Some((holder, _)) if *holder == who => return Err(SyncError::AlreadyOwned),
            Some(_) => return Err(SyncError::TimedOut),
            None => {
                self.held = Some((who, 1));
                return Ok(Answer::Acquired { abandoned_by: self.abandoned_by.take() });
            }
        }
        ACQUIRED
    }

    fn release(&mut self, who: u32) -> Result<Answer, SyncError> {
        match &mut self.held {
            Some((holder, depth)) if *holder == who && *depth > 1 => *depth -= 1,
            Some((holder, _)) if *holder == who => self.held = None,
            _ => return Err(SyncError::NotOwner),
        }
        DONE
    }

    fn depart(&mut self, who: u32, task: u64) {
        if self.held.is_some_and(|(holder, _)| holder == who) {
            self.held = None;
            self.abandoned_by = Some(task);
        }
    }
}

/// A semaphore: its free permits, and who holds how many.
#[derive(Debug)]
struct SemaphoreModel {
    bounded: bool,
    free: u64,
    held: BTreeMap<u32, u64>,
}

impl SemaphoreModel {
    fn acquire(&mut self, who: u32) -> Result<Answer, SyncError> {
        self.free = self.free.checked_sub(1).ok_or(SyncError::TimedOut)?;
        *self.held.entry(who).or_default() += 1;
        ACQUIRED
    }

    fn release(&mut self, who: u32) -> Result<Answer, SyncError> {
        let held = self.held.entry(who).or_default();
        if *held == 0 && self.bounded {
            return Err(SyncError::NotOwner);
        }
        // A signal gives back a permit of the first that holds one.
        let giver = if *held > 0 {
            Some(who)
        } else {
            self.held.iter().find(|(_, held)| **held > 0).map(|(who, _)| *who)
        };
        if let Some(held) = giver.and_then(|giver| self.held.get_mut(&giver)) {
            *held -= 1;
        }
        self.free += 1;
        DONE
    }

    fn depart(&mut self, who: u32) {
        self.free += self.held.remove(&who).unwrap_or(0);
    }
}

proptest! {
    #[test]
    fn a_lock_does_what_its_model_does(nests in any::<bool>(), acts in acts()) {
        let lock = object(if nests { Spec::RLock } else { Spec::Lock });
        let mut model = LockModel { nests, ..LockModel::default() };
        for act in acts {
            match act {
                Act::Acquire(who) => {
                    prop_assert_eq!(at_once(&lock, who, Operation::Acquire), model.acquire(who));
                }
                Act::Release(who) => {
                    prop_assert_eq!(at_once(&lock, who, Operation::Release), model.release(who));
                }
                Act::Leave(who) => {
                    prop_assert_eq!(at_once(&lock, who, Operation::Leave), DONE);
                    model.depart(who, 0);
                }
                Act::Died(who) | Act::Ended(who) => {
                    depart(&lock, who, Departure::Died);
                    model.depart(who, 1000 + u64::from(who));
                }
            }
            let blockers = match model.held {
                Some((holder, _)) if holder != 4 => Blockers::Owner(token(holder)),
                _ => Blockers::Nobody,
            };
            prop_assert_eq!(lock.blockers(token(4), WaitFor::Lock), blockers);
        }
    }

    #[test]
    fn a_semaphore_does_what_its_model_does(bounded in any::<bool>(), permits in 0u32..4, acts in acts()) {
        let semaphore = object(Spec::Semaphore { permits, bounded });
        let mut model = SemaphoreModel { bounded, free: permits.into(), held: BTreeMap::new() };
        for act in acts {
            match act {
                Act::Acquire(who) => {
                    prop_assert_eq!(at_once(&semaphore, who, Operation::Acquire), model.acquire(who));
                }
                Act::Release(who) => {
                    prop_assert_eq!(at_once(&semaphore, who, Operation::Release), model.release(who));
                }
                Act::Leave(who) => {
                    prop_assert_eq!(at_once(&semaphore, who, Operation::Leave), DONE);
                    model.depart(who);
                }
                Act::Died(who) => {
                    depart(&semaphore, who, Departure::Died);
                    model.depart(who);
                }
                Act::Ended(who) => {
                    depart(&semaphore, who, Departure::Ended);
                    model.depart(who);
                }
            }
            prop_assert_eq!(at_once(&semaphore, 1, Operation::Len), Ok(Answer::Count(model.free)));
        }
    }
}

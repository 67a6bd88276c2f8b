//! Garbage in a live object's memory: no panic, no endless loop, no memory by its say-so.

use proptest::prelude::*;

use super::*;
use crate::sync::memory::{Memory, SharedMemory};

/// Words that mean something to one kind or another, and any.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(0),
        1u32..6,
        Just(u32::MAX),
        (0u32..5, 28u32..32).prop_map(|(low, bit)| low | 1 << bit),
        any::<u32>()
    ]
}

fn operation() -> impl Strategy<Value = Operation<'static>> {
    prop_oneof![
        Just(Operation::Open),
        Just(Operation::Leave),
        Just(Operation::Acquire),
        Just(Operation::Release),
        Just(Operation::Set),
        Just(Operation::Clear),
        Just(Operation::Wait),
        Just(Operation::Notify(2)),
        Just(Operation::Reset),
        Just(Operation::Abort),
        Just(Operation::Len),
        Just(Operation::AddInteger(1)),
        Just(Operation::Read { start: 0, count: 4 }),
        Just(Operation::Write { start: 1, bytes: &[1, 2, 3, 4] }),
    ]
}

#[derive(Clone, Debug)]
enum Act {
    Scribble { at: u64, word: u32 },
    Perform { who: u32, operation: Operation<'static> },
    Recover { gone: u32, how: Departure },
    Look { who: u32, what: WaitFor },
}

fn act() -> impl Strategy<Value = Act> {
    let what = prop_oneof![
        Just(WaitFor::Lock),
        Just(WaitFor::Permit),
        Just(WaitFor::Event),
        Just(WaitFor::Notify),
        Just(WaitFor::Parties)
    ];
    let how = prop_oneof![Just(Departure::Died), Just(Departure::Ended)];
    prop_oneof![
        2 => (0u64..24, word()).prop_map(|(index, word)| Act::Scribble { at: 4 * index, word }),
        3 => (1u32..5, operation()).prop_map(|(who, operation)| Act::Perform { who, operation }),
        1 => (1u32..5, how).prop_map(|(gone, how)| Act::Recover { gone, how }),
        1 => (1u32..5, what).prop_map(|(who, what)| Act::Look { who, what }),
    ]
}

/// Asks for a moment's sleep a few times, then stops.
struct Short(u32);

impl Waits for Short {
    fn sleep_at_most(&mut self, _: WaitFor) -> Result<Duration, Stop> {
        self.0 = self.0.checked_sub(1).ok_or(Stop::Cancelled)?;
        Ok(Duration::from_nanos(1))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn garbage_never_stops_anybody(spec in 0usize..9, acts in proptest::collection::vec(act(), 1..40)) {
        let spec = contract::SPECS[spec];
        let object = object(spec);
        let file = object.file().unwrap().try_clone_to_owned().unwrap();
        let length = rustix::fs::fstat(&file).unwrap().st_size as u64;
        let memory = SharedMemory::open(file, length).unwrap();
        for act in acts {
            match act {
                Act::Scribble { at, word } => memory.store32(at, word),
                Act::Perform { who, operation } => {
                    let _ = object.perform(token(who), operation, &mut Short(2));
                }
                Act::Recover { gone, how } => {
                    object.recover(token(gone), 1, how, &|token| token.get() < 5);
                }
                Act::Look { who, what } => _ = object.blockers(token(who), what),
            }
        }
        // When everybody is gone, what is left is usable again.
        for gone in 1..5 {
            prop_assert_eq!(object.recover(token(gone), 1, Departure::Died, &|_| false), Recovery::Done);
        }
        let usable = match spec {
            Spec::Lock | Spec::RLock | Spec::Condition => {
                matches!(at_once(&object, 5, Operation::Acquire), Ok(Answer::Acquired { .. }))
            }
            Spec::Event => at_once(&object, 5, Operation::Set) == DONE,
            Spec::Barrier { .. } => at_once(&object, 5, Operation::Reset) == DONE,
            Spec::Array { .. } => at_once(&object, 5, Operation::Read { start: 0, count: 4 }).is_ok(),
            _ => at_once(&object, 5, Operation::Open) == DONE,
        };
        prop_assert!(usable);
    }
}

#[test]
fn a_scribbler_at_work_stops_neither_participants_nor_recovery() {
    for spec in contract::SPECS {
        let object = object(spec);
        let file = object.file().unwrap().try_clone_to_owned().unwrap();
        let length = rustix::fs::fstat(&file).unwrap().st_size as u64;
        let memory = SharedMemory::open(file, length).unwrap();
        let ended = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut random = 1u32;
                while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    memory.store32(u64::from(random >> 8) % 24 * 4, random >> (random % 32));
                }
            });
            for round in 0..200 {
                let who = round % 4 + 1;
                for operation in [Operation::Acquire, Operation::Wait, Operation::Set, Operation::Release] {
                    let _ = object.perform(token(who), operation, &mut Short(1));
                }
                object.recover(token(who), 1, Departure::Died, &|token| token.get() < 5);
                object.blockers(token(who), WaitFor::Lock);
            }
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}

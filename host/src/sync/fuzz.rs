//! The body of the fuzz target `recover`: the words of a live object are overwritten while participants use it and
//! the supervisor recovers it.

#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use super::{
    Deadline, Departure, ElementType, Object, Operation, QueueSpec, SharedObject, Spec, Token, WaitFor,
};

/// Participants.
const TOKENS: u32 = 4;
/// Steps of one input.
const STEPS_MAX: usize = 200;

const QUEUE: QueueSpec =
    QueueSpec { capacity: 4, item_bytes_max: 9000, bytes_max: 32_768, deliveries_max: 2 };
const SPECS: &[Spec] = &[
    Spec::Queue(QUEUE),
    Spec::Pipe(QUEUE),
    Spec::Lock,
    Spec::RLock,
    Spec::Semaphore { permits: 2, bounded: true },
    Spec::Semaphore { permits: 2, bounded: false },
    Spec::Event,
    Spec::Condition,
    Spec::Barrier { parties: 2 },
    Spec::Array { element: ElementType::I32, length: 8 },
];
const WAITS: &[WaitFor] = &[
    WaitFor::Lock,
    WaitFor::Permit,
    WaitFor::Event,
    WaitFor::Notify,
    WaitFor::Parties,
    WaitFor::Item,
    WaitFor::Room,
    WaitFor::Empty,
];

/// One input: the kind, then steps of six bytes. Returns, whatever the steps are.
pub fn fuzz_recovery(data: &[u8]) {
    let Some((kind, steps)) = data.split_first() else { return };
    let spec = SPECS[usize::from(*kind) % SPECS.len()];
    let Ok(object) = SharedObject::create(spec) else { return };
    let Some(memory) = object.file().and_then(|file| file.as_fd().try_clone_to_owned().ok()) else { return };
    let memory = std::fs::File::from(memory);
    let large = vec![7; 9000];
    for step in steps.as_chunks::<6>().0.iter().take(STEPS_MAX) {
        let [what, who, a, b, c, d] = *step;
        let Some(who) = Token::new(1 + u32::from(who) % TOKENS) else { return };
        let number = u32::from_le_bytes([a, b, c, d]);
        let view = object.as_end(a & 1);
        match what % 4 {
            0 => {
                // Near the beginning, where the words are; each of them is an aligned one.
                let at = 4 * (u64::from(u16::from_le_bytes([a, b])) % 512);
                let word = [c, d, if c & 1 == 0 { 0 } else { d }, if d & 1 == 0 { 0 } else { c }];
                // A file of fixed size: what lies behind its end is refused.
                let _ = memory.write_at(&word, at);
            }
            1 => {
                let how = if a & 2 == 0 { Departure::Died } else { Departure::Ended };
                let is_alive = |token: Token| token.get() <= TOKENS && u32::from(b) & (1 << token.get()) == 0;
                let _ = view.recover(who, 7, how, &is_alive);
            }
            2 => {
                let _ = view.blockers(who, WAITS[usize::from(a) % WAITS.len()]);
            }
            _ => {
                let operation = operation(number, &large);
                let _ = view.perform(who, operation, &mut Deadline::after(std::time::Duration::ZERO));
            }
        }
    }
}

fn operation(number: u32, large: &[u8]) -> Operation<'_> {
    let length = (number >> 8) as usize % (large.len() + 1);
    match number % 18 {
        0 => Operation::Open,
        1 => Operation::Leave,
        2 => Operation::Acquire,
        3 => Operation::Release,
        4 => Operation::Set,
        5 => Operation::Clear,
        6 => Operation::Wait,
        7 => Operation::Notify(number >> 8),
        8 => Operation::Reset,
        9 => Operation::Len,
        10 => Operation::Read { start: u64::from(number >> 8) % 9, count: u64::from(number >> 16) % 9 },
        11 => Operation::Write { start: u64::from(number >> 8) % 9, bytes: &large[..length % 36] },
        12 => Operation::Put(&large[..length]),
        13 => Operation::Get { lease: number & 256 != 0 },
        14 => Operation::Acknowledge { lease: u64::from(number >> 8) },
        15 => Operation::TakeDead,
        16 => Operation::Close,
        _ => Operation::WaitEmpty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_input_returns(data in proptest::collection::vec(any::<u8>(), 0..1200)) {
            fuzz_recovery(&data);
        }
    }
}

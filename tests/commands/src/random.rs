//! Random numbers.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use crate::raw;

/// Prints eight random bytes as a number.
pub fn random(_: &[String]) {
    raw::random(&mut []).expect("no byte is no error");
    let mut bytes = vec![0; 60_000];
    raw::random(&mut bytes[1..]).expect("random bytes at any address");
    let distinct: BTreeSet<_> = bytes.iter().collect();
    assert_eq!(distinct.len(), 256, "each byte is among so many");
    assert_eq!(bytes[0], 0, "what is outside is left alone");
    let draws: BTreeSet<_> = (0..100)
        .map(|_| {
            let mut draw = [0; 8];
            raw::random(&mut draw).expect("random bytes");
            u64::from_le_bytes(draw)
        })
        .collect();
    assert_eq!(draws.len(), 100);
    println!("{}", draws.first().expect("a hundred"));
}

//! A canary: whether anything of one instance's memory can be seen in the next.
//!
//! The one file here with unsafe code: no safe code can look at memory that it did not write.

#![cfg_attr(
    target_arch = "wasm32",
    expect(unsafe_code, reason = "the search reads memory that nobody here wrote")
)]

use std::hint::black_box;
use wasmpool_guest::task;

/// The secret is these two, combined with exclusive or. Only `set_secret` ever combines them, so that the search does
/// not find its own constants.
const HALVES: (u64, u64) = (0x9e37_79b9_7f4a_7c15, 0x5851_f42d_4c95_7f2d);
const WORDS: usize = 1024 * 1024 / size_of::<u64>();

/// Fills a mebibyte with the secret and leaves it there. Returns how many words it wrote.
#[task]
fn set_secret() -> usize {
    let secret = black_box(HALVES.0) ^ black_box(HALVES.1);
    Vec::leak(black_box(vec![secret; WORDS])).len()
}

/// How many words of this instance's whole memory are the secret: 0 in a fresh instance. Takes 32 MiB first, so that
/// memory which the engine hands out late is searched too.
#[task]
fn find_secret() -> usize {
    const TAKEN: usize = 32 * 1024 * 1024;
    let taken = black_box(Vec::<u64>::with_capacity(TAKEN / size_of::<u64>()));
    let (mask, wanted) = (black_box(HALVES.0), black_box(HALVES.1));
    let found = words().filter(|word| word ^ mask == wanted).count();
    drop(black_box(taken));
    found
}

/// Every aligned word of the linear memory but the first, whose address is null.
#[cfg(target_arch = "wasm32")]
fn words() -> impl Iterator<Item = u64> {
    const PAGE_BYTES: usize = 64 * 1024;
    let end = core::arch::wasm32::memory_size(0) * PAGE_BYTES;
    (size_of::<u64>()..end).step_by(size_of::<u64>()).map(|address| {
        let word = std::ptr::with_exposed_provenance::<u64>(address);
        // SAFETY: the address is aligned, not null and inside linear memory, all of which can be read; the read is
        // volatile, so the optimiser assumes nothing about what is there, not even that it was written.
        unsafe { word.read_volatile() }
    })
}

/// Natively there is nothing to search: tests of this task run in the host.
#[cfg(not(target_arch = "wasm32"))]
fn words() -> impl Iterator<Item = u64> {
    std::iter::empty()
}

//! Asking for memory.

#![forbid(unsafe_code)]

use std::hint::black_box;
use wasmpool_guest::task;

const MIB: usize = 1024 * 1024;

/// Takes memory until it is refused, then traps, as C programs do that do not look at what `malloc` returned.
#[task]
fn grow() -> ! {
    let mut held = Vec::new();
    while let Some(block) = take_mib() {
        held.push(block);
    }
    black_box(&held);
    crate::trap()
}

/// Takes memory until it is refused, which the standard library then reports and aborts for.
#[task]
fn grow_carelessly() -> ! {
    let mut held = Vec::new();
    loop {
        held.push(black_box(vec![1_u8; MIB]));
    }
}

/// Takes and touches that much memory at once; a refusal is an error that says how much it got.
#[task]
fn grow_mib(n: usize) -> Result<usize, String> {
    let mut held = Vec::new();
    for taken in 0..n {
        let block = take_mib().ok_or_else(|| format!("refused after {taken} MiB"))?;
        held.push(block);
    }
    Ok(black_box(&held).len())
}

/// One touched mebibyte, unless it is refused.
fn take_mib() -> Option<Vec<u8>> {
    let mut block = Vec::new();
    block.try_reserve_exact(MIB).ok()?;
    block.resize(MIB, 1);
    Some(block)
}

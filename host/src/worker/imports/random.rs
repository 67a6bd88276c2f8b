//! Random numbers for a guest, fresh for each context.
//!
//! `rand` has no fork protection: its thread-local generator repeats itself in each child of a fork
//! server that used it once, and wasmtime-wasi's default contexts are seeded from that one. So every
//! generator and the seed come from the kernel here.

#![forbid(unsafe_code)]

use rand::rngs::{StdRng, SysRng};
use rand::{Rng as _, SeedableRng as _, TryRng as _};
use wasmtime_wasi::WasiCtxBuilder;

/// Draws a number that nobody gets. The first one costs more: the system call is looked for in the C library, and the
/// generator asks the processor what it can do, which a hypervisor answers in some 30 us. And a builder seeds `rand`'s generator of the
/// thread, of which [`seed`] leaves nothing in any context. The fork server does that once for all its workers.
pub(crate) fn draw_first() {
    drop(WasiCtxBuilder::new());
    if let Ok(mut generator) = StdRng::try_from_rng(&mut SysRng) {
        let _ = generator.next_u64();
    }
}

/// The same numbers for the same seed, for a task that is to be deterministic.
pub(super) fn seed_with(builder: &mut WasiCtxBuilder, seed: u64) {
    builder
        .secure_random(StdRng::seed_from_u64(seed))
        .insecure_random(StdRng::seed_from_u64(!seed))
        .insecure_random_seed(u128::from(seed));
}

/// Seeds the secure generator, the insecure one, and the insecure seed.
pub(super) fn seed(builder: &mut WasiCtxBuilder) -> wasmtime::Result<()> {
    let mut seed = [0; 16];
    SysRng.try_fill_bytes(&mut seed)?;
    builder
        .secure_random(StdRng::try_from_rng(&mut SysRng)?)
        .insecure_random(StdRng::try_from_rng(&mut SysRng)?)
        .insecure_random_seed(u128::from_le_bytes(seed));
    Ok(())
}

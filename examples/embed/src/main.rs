//! A host program: counts primes over a pool of processes.
//!
//! `cargo run -p embed -- primes.wasm`

use wasmpool::blocking::{self, Pool};

fn main() -> anyhow::Result<()> {
    wasmpool::init();
    let path = std::env::args().nth(1).unwrap_or_else(|| "primes.wasm".to_owned());
    let count_primes = blocking::load(path.as_str())?.task("count_primes")?;
    let pool = Pool::new(wasmpool::Pool::builder())?;
    let ranges = (0..10_u64).map(|i| (i * 10_000, (i + 1) * 10_000));
    let counts: Vec<u64> = pool.starmap(&count_primes, ranges)?;
    println!("{} primes below 100000", counts.iter().sum::<u64>());
    Ok(())
}

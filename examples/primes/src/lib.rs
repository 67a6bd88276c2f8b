//! Counting primes: work that keeps a core busy, and that a pool can split.

#![forbid(unsafe_code)]

use wasmpool_guest::task;

/// How many numbers are sieved at once: a byte each, so that a wide range does not need much memory.
const BLOCK: u64 = 1 << 20;

/// How many primes there are from `lo` up to, but without, `hi`.
#[task]
fn count_primes(lo: u64, hi: u64) -> u64 {
    let small = primes_up_to(hi.isqrt());
    let mut count = 0;
    let mut begin = lo.max(2);
    while begin < hi {
        let end = begin.saturating_add(BLOCK).min(hi);
        count += count_block(begin, end, &small);
        begin = end;
    }
    count
}

/// How many primes there are in a block, given all primes up to the root of its end.
fn count_block(begin: u64, end: u64, small: &[u64]) -> u64 {
    let mut is_composite = vec![false; (end - begin) as usize];
    for &prime in small {
        let first = (prime * prime).max(begin.next_multiple_of(prime));
        for multiple in (first..end).step_by(prime as usize) {
            is_composite[(multiple - begin) as usize] = true;
        }
    }
    is_composite.iter().filter(|&&composite| !composite).count() as u64
}

/// The primes up to `max`.
fn primes_up_to(max: u64) -> Vec<u64> {
    let mut is_composite = vec![false; max as usize + 1];
    let mut primes = Vec::new();
    for n in 2..=max {
        if !is_composite[n as usize] {
            primes.push(n);
            for multiple in (n * n..=max).step_by(n as usize) {
                is_composite[multiple as usize] = true;
            }
        }
    }
    primes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_counts() {
        assert_eq!(count_primes(0, 10), 4);
        assert_eq!(count_primes(0, 1_000_000), 78_498);
        assert_eq!(count_primes(1_000_000_000, 1_000_001_000), 49);
    }

    #[test]
    fn the_end_is_not_counted() {
        assert_eq!(count_primes(2, 3), 1);
        assert_eq!(count_primes(2, 2), 0);
        assert_eq!(count_primes(3, 2), 0);
        assert_eq!(count_primes(0, 0), 0);
    }

    #[test]
    fn parts_add_up() {
        let parts: u64 = (0..30).map(|part| count_primes(part * 100_000, (part + 1) * 100_000)).sum();
        assert_eq!(parts, count_primes(0, 3_000_000));
    }
}

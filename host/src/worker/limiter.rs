//! Memory, table and instance limits of one store, over the sums of all its instances.
//!
//! The limiter remembers the first thing it denied: a guest that was refused memory ends a moment
//! later in a trap that says nothing about it.

#![forbid(unsafe_code)]

use crate::outcome::LimitKind;
use crate::protocol::worker::WorkerLimits;

/// The limiter of one store.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: WorkerLimits,
    memory_bytes: u64,
    table_elements: u64,
    /// What the last permitted growth added, to be taken back should it fail after all.
    last_growth: u64,
    denied: Option<(LimitKind, String)>,
}

impl Limiter {
    pub(crate) fn new(limits: WorkerLimits) -> Self {
        Self { limits, memory_bytes: 0, table_elements: 0, last_growth: 0, denied: None }
    }

    /// True when what was given out is within these limits.
    pub(crate) fn fits(&self, limits: &WorkerLimits) -> bool {
        self.memory_bytes <= limits.memory_bytes && self.table_elements <= limits.table_elements
    }

    /// Counts what another one gave out as its own.
    pub(crate) fn take_over(&mut self, other: &Self) {
        self.memory_bytes = other.memory_bytes;
        self.table_elements = other.table_elements;
    }

    /// The limits of the assignment.
    pub(crate) fn limits(&self) -> &WorkerLimits {
        &self.limits
    }

    /// The limit that denied something first, and what it denied.
    pub(crate) fn denied(&self) -> Option<&(LimitKind, String)> {
        self.denied.as_ref()
    }

    /// Begins a new call, which an earlier call's denial says nothing about.
    pub(crate) fn forget_denied(&mut self) {
        self.denied = None;
    }

    fn deny(&mut self, kind: LimitKind, detail: String) -> wasmtime::Result<bool> {
        self.denied.get_or_insert((kind, detail));
        Ok(false)
    }
}

fn added(current: usize, desired: usize) -> u64 {
    desired.saturating_sub(current) as u64
}

/// Whether it is a maximum of the memory's or table's own that is met, and not a limit of ours. One above the limit is never met: it
/// may be that of the memory which a worker keeps.
fn is_over_its_own(desired: usize, maximum: Option<usize>, limit: u64) -> bool {
    maximum.is_some_and(|maximum| desired > maximum && maximum as u64 <= limit)
}

impl wasmtime::ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = added(current, desired);
        let sum = self.memory_bytes.saturating_add(growth);
        let limit = self.limits.memory_bytes;
        if is_over_its_own(desired, maximum, limit) {
            return Ok(false);
        }
        if sum > limit {
            return self.deny(
                LimitKind::Memory,
                format!("{sum} bytes of linear memory were asked for, the limit is {limit}"),
            );
        }
        self.memory_bytes = sum;
        self.last_growth = growth;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes -= std::mem::take(&mut self.last_growth);
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = added(current, desired);
        let sum = self.table_elements.saturating_add(growth);
        let limit = self.limits.table_elements;
        if is_over_its_own(desired, maximum, limit) {
            return Ok(false);
        }
        if sum > limit {
            return self.deny(
                LimitKind::Table,
                format!("{sum} table elements were asked for, the limit is {limit}"),
            );
        }
        self.table_elements = sum;
        self.last_growth = growth;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements -= std::mem::take(&mut self.last_growth);
        Ok(())
    }

    fn instances(&self) -> usize {
        self.limits.instances as usize
    }

    fn memories(&self) -> usize {
        self.limits.instances as usize
    }

    fn tables(&self) -> usize {
        self.limits.instances as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::ResourceLimiter;

    fn limiter() -> Limiter {
        Limiter::new(WorkerLimits {
            fuel: None,
            cpu_time: None,
            memory_bytes: 1000,
            table_elements: 10,
            instances: 2,
            result_bytes: 0,
        })
    }

    #[test]
    fn the_sum_of_all_memories_is_limited() {
        let mut limiter = limiter();
        assert!(limiter.memory_growing(0, 600, None).unwrap());
        assert!(limiter.memory_growing(0, 400, None).unwrap());
        assert!(!limiter.memory_growing(400, 401, None).unwrap());
        assert_eq!(limiter.denied().unwrap().0, LimitKind::Memory);
    }

    #[test]
    fn a_growth_that_fails_is_taken_back() {
        let mut limiter = limiter();
        assert!(limiter.memory_growing(0, 1000, None).unwrap());
        limiter.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert!(limiter.memory_growing(0, 1000, None).unwrap());
        assert!(limiter.denied().is_none());
    }

    #[test]
    fn a_memory_s_own_maximum_is_no_denial_of_ours() {
        let mut limiter = limiter();
        assert!(!limiter.memory_growing(0, 900, Some(800)).unwrap());
        assert!(!limiter.table_growing(0, 9, Some(8)).unwrap());
        assert!(limiter.denied().is_none());
        assert!(!limiter.table_growing(0, 11, None).unwrap());
        assert_eq!(limiter.denied().unwrap().0, LimitKind::Table);
    }

    #[test]
    fn a_limit_below_a_memory_s_own_maximum_is_the_one_that_is_met() {
        let mut limiter = limiter();
        assert!(!limiter.memory_growing(0, 1002, Some(1001)).unwrap());
        assert_eq!(limiter.denied().unwrap().0, LimitKind::Memory);
        limiter.forget_denied();
        assert!(limiter.table_growing(0, 10, Some(11)).unwrap());
        assert!(!limiter.table_growing(10, 12, Some(11)).unwrap());
        assert_eq!(limiter.denied().unwrap().0, LimitKind::Table);
    }
}

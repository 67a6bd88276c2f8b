//! How many processors this process may use.

#![forbid(unsafe_code)]

/// The default number of workers: what the CPU affinity and the cgroup's quota of this process allow,
/// and at least 1. Python's `cpu_count` counts every CPU of the machine.
#[must_use]
pub fn cpu_count() -> usize {
    // The standard library looks at `sched_getaffinity` and at the quotas of cgroup v1 and v2.
    std::thread::available_parallelism().map_or(1, usize::from)
}

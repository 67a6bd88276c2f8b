//! Semaphore, event, condition and barrier, explored.

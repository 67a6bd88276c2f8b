//! A process, and one with arguments: `Process(target=worker, args=(i,))`.

use wasmpool_guest::task;

/// The worker of the first listing.
#[task]
fn worker() {
    println!("Worker");
}

/// The worker of the second: it takes an argument.
#[task]
fn worker_with_number(num: u32) {
    println!("Worker: {num}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn workers_are_functions() {
        super::worker();
        super::worker_with_number(4);
    }
}

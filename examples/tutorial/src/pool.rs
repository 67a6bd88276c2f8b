//! A pool: `Pool(processes=n, initializer=start_process, maxtasksperchild=2)` and `pool.map(do_calculation, inputs)`.

use wasmpool_guest::{context, task};

/// The initializer: says which worker it runs in.
#[task]
fn start_process() {
    println!("Starting {}", context::worker_name());
}

/// The work: doubles a number.
#[task]
fn do_calculation(data: i64) -> i64 {
    data * 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmpool_guest::testing::Host;

    #[test]
    fn map_is_pythons_builtin_map() {
        Host::new().worker_name("worker-1").run(start_process);
        let inputs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(inputs.map(do_calculation), [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
    }
}

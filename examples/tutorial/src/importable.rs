//! A target from another module. Python must be able to import it in the child without running the main program
//! again; a plugin has no main program, and a task may be in any module.

use wasmpool_guest::task;

/// The worker of the imported module.
#[task]
pub fn importable_worker() {
    println!("Worker");
}

//! `Process`, as in Python's `multiprocessing`.

use crate::support::scenario;

/// Name, pid, exit code with Python's sign rule, joins, sentinel, terminate and kill.
#[test]
fn a_process_lives_as_in_python() {
    scenario("process", &[]).run().expect(0);
}

/// A scope waits for its processes and ends its daemons; leaving it early ends all.
#[test]
fn a_scope_waits_for_processes_and_ends_daemons() {
    scenario("scopes", &[]).run().expect(0);
}

/// The blocking face serves programs without a runtime.
#[test]
fn programs_without_a_runtime_have_the_same() {
    scenario("blocking", &[]).run().expect(0);
}

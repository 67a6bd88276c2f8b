//! T6 and T13: workers die, their neighbours and their pools do not.

use crate::support::scenario;

/// T6: one of 16 workers is killed; the 15 others keep process and result; 100 more tasks succeed.
#[test]
fn one_of_sixteen_workers_dies_alone() {
    scenario("one-of-sixteen", &[]).run().expect(0);
    scenario("results-are-kept", &[]).run().expect(0);
}

/// T13: pools of 1 to 3 workers that are recycled, resized and closed while workers die.
#[test]
fn pools_lose_no_task_and_keep_their_size_while_workers_die() {
    for seed in ["1", "2", "3"] {
        scenario("churn", &[seed]).run().expect(0);
    }
}

/// T6: workers that wait for a task are killed, all at once and three times: no task is the worse for it.
#[test]
fn the_death_of_idle_workers_is_no_tasks_fault() {
    scenario("idle-ones", &[]).run().expect(0);
}

/// T1: a worker is stopped before it begins; its task runs elsewhere.
#[test]
fn a_task_whose_worker_never_begins_runs_elsewhere() {
    println!("{}", scenario("stopped-idle-one", &[]).run().expect(0).records()[0]);
}

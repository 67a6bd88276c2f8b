//! `Pool`, as in Python's `multiprocessing`.

use crate::support::{plan, scenario};

/// `apply`, `apply_async`, `map`, `map_async`, `imap`, `imap_unordered`, `starmap`, forked and spawned.
#[test]
fn every_call_of_a_pool_gives_what_it_promises() {
    scenario("calls", &[]).run().expect(0);
}

/// Higher priority first, then first come, first served; a process for each task.
#[test]
fn tasks_run_by_priority_then_in_order() {
    scenario("order", &[]).run().expect(0);
}

/// On a death inside a chunk, finished calls keep their results and the rest runs elsewhere.
#[test]
fn a_death_inside_a_chunk_is_the_death_of_one_call() {
    scenario("chunks", &[]).run().expect(0);
}

/// What an item prints, returns, fails with or takes is what it would be alone: in chunks, with an observer, in workers that
/// are used again.
#[test]
fn each_item_of_a_chunk_ends_as_if_it_ran_alone() {
    scenario("items", &[]).run().expect(0);
}

/// A reused worker keeps its process id, and its tasks see nothing of each other: 1000 of them.
#[test]
fn a_reused_worker_gives_every_task_a_fresh_instance() {
    scenario("reuse", &["1000"]).run().expect(0);
}

/// It keeps the memory of its instances where there is room for them, and neither what was written there nor how far it grew.
#[test]
fn memory_that_is_kept_is_as_new() {
    scenario("kept", &[]).run().expect(0);
}

/// Initializers run before each task; their failures are told as theirs.
#[test]
fn an_initializer_runs_in_each_fresh_instance() {
    scenario("initializers", &[]).run().expect(0);
}

/// More modules in one pool than there may be fork servers.
#[test]
fn a_pool_serves_several_modules() {
    scenario("modules", &[]).run().expect(0);
}

/// Row 22 of the guests that misbehave: random bytes and hash keys differ in each task.
#[test]
fn randomness_differs_in_every_task() {
    let said = scenario("randomness", &[]).run().expect(0).records();
    assert_eq!(said[0]["distinct"], 200);
}

/// Looked at all the time while guests print, sleep, compute and wait.
#[test]
fn a_worker_has_one_thread_from_start_to_end() {
    scenario("one-thread", &[]).run().expect(0);
}

/// An initializer is run for a task of a plan too, with its arguments.
#[test]
fn an_initializer_takes_arguments() {
    let records = plan(
        &serde_json::json!({ "initializer": ["init_if", [true]], "tasks": [{ "task": "initialized" }] }),
    );
    assert_eq!(records[0]["value"], true);
}

/// 10 000 tasks may wait; the next one waits for room. A batch that halts lets them go, with code 231.
#[test]
fn as_many_tasks_wait_as_may_wait() {
    scenario("full", &[]).run().expect(0);
}

#[test]
fn bytes_that_are_shared_reach_many_tasks_as_they_are() {
    assert_eq!(scenario("shared-bytes", &[]).run().expect(0).records()[0]["done"], true);
}

/// Workers that are used again have their next tasks at hand. Long tasks, deaths, stops and kills, on pools of 1, 2 and 16.
#[test]
fn what_a_worker_has_ahead_is_neither_held_back_nor_lost_nor_run_twice() {
    for workers in ["1", "2", "16"] {
        scenario("ahead", &[workers]).run().expect(0);
    }
}

//! T15 and T22: many inputs, many tasks, many modules, and everything flat.

use serde_json::Value;

use crate::support::scenario;

fn number(record: &Value, name: &str) -> u64 {
    record[name].as_u64().unwrap_or_else(|| panic!("{name} in {record}"))
}

/// T15: inputs are read at most 2 chunks a worker ahead of the results, and memory does not grow with them.
#[test]
fn inputs_are_read_lazily_and_memory_does_not_grow_with_them() {
    for [inputs, workers, chunksize] in [["200000", "2", "1000"], ["3000", "3", "1"]] {
        let said = scenario("inputs", &[inputs, workers, chunksize]).run().expect(0).records();
        println!("{inputs} inputs in chunks of {chunksize}: {}", said[0]);
        let bound =
            2 * workers.parse::<u64>().expect("a number") * chunksize.parse::<u64>().expect("a number");
        assert!(number(&said[0], "ahead_max") <= bound, "{}", said[0]);
        let (early, late) = (number(&said[0], "resident_early"), number(&said[0], "resident_late"));
        assert!(late < early + (8 << 20), "memory grew from {early} to {late} bytes");
    }
}

/// T15: an input without end.
#[test]
fn an_endless_input_is_taken_from_as_far_as_wanted() {
    scenario("endless", &[]).run().expect(0);
}

/// T22: 10 000 tasks, a process each, with 64 descriptors.
#[test]
fn ten_thousand_tasks_leave_descriptors_threads_and_zombies_flat() {
    let said = scenario("ten-thousand", &["10000"]).run().expect(0).records();
    println!("{}", said[0]);
    assert!(number(&said[0], "descriptors") < 40, "{}", said[0]);
    assert!(number(&said[0], "threads") <= 5, "{}", said[0]);
    assert!(number(&said[0], "zombies") <= 4, "{}", said[0]);
}

/// T22: a host that uses one module after the other keeps nothing of those it has done with.
#[test]
fn descriptors_stay_flat_over_many_modules() {
    let said = scenario("many-modules", &["60"]).run().expect(0).records();
    let descriptors: Vec<u64> =
        said[0]["descriptors"].as_array().expect("numbers").iter().filter_map(Value::as_u64).collect();
    println!("{descriptors:?}");
    assert!(descriptors[59] <= descriptors[20] + 6, "{descriptors:?}");
}

/// T11 and T22: a pool that is larger than the limit of descriptors allows ends every task all the same.
#[test]
fn a_pool_without_descriptors_for_its_workers_ends_every_task() {
    println!("{}", scenario("too-many-workers", &["64", "60"]).run().expect(0).records()[0]);
}

//! Batches as tables, and any batch at all.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const GIB: u64 = 1 << 30;

fn job() -> Job {
    Job::default()
}

/// Everything that can start now, of entries with this many tasks each.
fn starts(schedule: &mut Schedule, left: &mut [usize]) -> Vec<usize> {
    let mut started = Vec::new();
    loop {
        match schedule.next_step() {
            Next::Start(entry) if left[entry] == 0 => schedule.exhausted(entry, Next::Start(entry)),
            Next::Start(entry) => {
                left[entry] -= 1;
                started.push(entry);
            }
            _ => return started,
        }
    }
}

#[test]
fn higher_priorities_go_first_and_equal_ones_in_order() {
    let jobs = [0, 5, 0, 5].map(|priority| Job { priority, ..job() }).to_vec();
    let mut schedule = Schedule::new(jobs, &[], GIB);
    assert_eq!(starts(&mut schedule, &mut [1, 1, 2, 1]), [1, 3, 0, 2, 2]);
    assert_eq!(schedule.next_step(), Next::Done);
}

#[test]
fn an_entry_starts_when_all_of_another_has_succeeded() {
    let mut schedule = Schedule::new(vec![job(), Job { after: vec![0], ..job() }], &[], GIB);
    let mut left = [2, 1];
    assert_eq!(starts(&mut schedule, &mut left), [0, 0]);
    assert_eq!(schedule.next_step(), Next::Wait);
    schedule.ended(0, true);
    assert_eq!(schedule.next_step(), Next::Wait);
    schedule.ended(0, true);
    assert_eq!(starts(&mut schedule, &mut left), [1]);
}

#[test]
fn what_waits_for_a_failure_never_runs_and_neither_does_what_waits_for_that() {
    let jobs = vec![job(), Job { after: vec![0], ..job() }, Job { after: vec![1], ..job() }, job()];
    let mut schedule = Schedule::new(jobs, &[], GIB);
    let mut left = [2, 1, 1, 0];
    assert_eq!(starts(&mut schedule, &mut left), [0, 0]);
    schedule.ended(0, false);
    // The other task of the entry may go on: it will not make this a success.
    assert_eq!(schedule.next_step(), Next::NotRun { entry: 1, because: 0 });
    schedule.was_last(1);
    assert_eq!(schedule.next_step(), Next::NotRun { entry: 2, because: 1 });
    schedule.was_last(2);
    assert_eq!(schedule.next_step(), Next::Done);
}

#[test]
fn groups_and_own_bounds_are_overtaken() {
    let jobs = vec![
        Job { group: Some(0), ..job() },
        Job { group: Some(0), workers: Some(1), ..job() },
        Job { workers: Some(1), ..job() },
        job(),
    ];
    let mut schedule = Schedule::new(jobs, &[2], GIB);
    let mut left = [1, 2, 2, 1];
    assert_eq!(starts(&mut schedule, &mut left), [0, 1, 2, 3]);
    schedule.ended(0, true);
    // The group has a place, but the entry's own bound does not.
    assert_eq!(schedule.next_step(), Next::Wait);
    schedule.ended(1, true);
    schedule.ended(2, true);
    assert_eq!(starts(&mut schedule, &mut left), [1, 2]);
}

#[test]
fn memory_is_not_overtaken_and_what_never_fits_runs_alone() {
    let of = |memory_bytes| Job { memory_bytes, ..job() };
    let mut schedule = Schedule::new(vec![of(GIB), of(3 * GIB), of(1)], &[], 2 * GIB);
    let mut left = [1, 1, 1];
    assert_eq!(starts(&mut schedule, &mut left), [0], "the large one is next, and waits");
    schedule.ended(0, true);
    assert_eq!(starts(&mut schedule, &mut left), [1]);
    schedule.ended(1, true);
    assert_eq!(starts(&mut schedule, &mut left), [2]);
}

/// A batch: its jobs, how many tasks each has, which fail, the groups, the budget.
fn batch() -> impl Strategy<Value = (Vec<Job>, Vec<usize>, Vec<u8>, Vec<usize>, u64)> {
    let job = (
        -2..3_i32,
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        prop::option::of(0..2_usize),
        prop::option::of(1..3_usize),
        0..5_u64,
    );
    let jobs = prop::collection::vec(job, 1..8).prop_map(|jobs| {
        let make = |(at, (priority, after, group, workers, memory_bytes)): (
            usize,
            (_, Vec<prop::sample::Index>, _, _, _),
        )| {
            // Of those before it, so that there is no cycle.
            let mut after: Vec<usize> =
                after.iter().filter(|_| at > 0).map(|index| index.index(at.max(1))).collect();
            after.dedup();
            Job { priority, after, group, workers, memory_bytes, daemon: false }
        };
        jobs.into_iter().enumerate().map(make).collect::<Vec<Job>>()
    });
    let groups = prop::collection::vec(1..3_usize, 2..=2);
    (jobs, prop::collection::vec(0..6_usize, 8), prop::collection::vec(0..10_u8, 64), groups, 1..8_u64)
}

proptest! {
    #[test]
    fn every_task_is_given_out_once_within_every_bound_or_told_why_not(
        (jobs, counts, fates, groups, budget) in batch(),
        mut order in prop::collection::vec(any::<prop::sample::Index>(), 64),
    ) {
        let mut schedule = Schedule::new(jobs.clone(), &groups, budget);
        let mut left: Vec<usize> = counts[..jobs.len()].to_vec();
        let (mut started, mut not_run) = (vec![0; jobs.len()], vec![0; jobs.len()]);
        let mut failed = vec![false; jobs.len()];
        let mut running: Vec<usize> = Vec::new();
        let mut fates = fates.into_iter().cycle();
        loop {
            match schedule.next_step() {
                said @ Next::Start(entry) if left[entry] == 0 => schedule.exhausted(entry, said),
                said @ Next::NotRun { entry, .. } if left[entry] == 0 => {
                    failed[entry] = true;
                    schedule.exhausted(entry, said);
                }
                Next::Start(entry) => {
                    for before in &jobs[entry].after {
                        prop_assert!(!failed[*before] && left[*before] == 0 && !running.contains(before));
                    }
                    left[entry] -= 1;
                    started[entry] += 1;
                    running.push(entry);
                    let used: u64 = running.iter().map(|entry| jobs[*entry].memory_bytes).sum();
                    prop_assert!(used <= budget || running.len() == 1);
                    let mut of_group = BTreeMap::<usize, usize>::new();
                    for entry in &running {
                        if let Some(group) = jobs[*entry].group {
                            *of_group.entry(group).or_default() += 1;
                        }
                    }
                    prop_assert!(of_group.iter().all(|(group, count)| *count <= groups[*group]));
                    let own = running.iter().filter(|other| **other == entry).count();
                    prop_assert!(jobs[entry].workers.is_none_or(|max| own <= max));
                    prop_assert_eq!(own, schedule.running(entry));
                }
                Next::NotRun { entry, because } => {
                    prop_assert!(failed[because] && jobs[entry].after.contains(&because));
                    left[entry] -= 1;
                    not_run[entry] += 1;
                    failed[entry] = true;
                }
                Next::Wait => {
                    prop_assert!(!running.is_empty(), "it waits for nothing");
                    let at = order.pop().map_or(0, |index| index.index(running.len()));
                    let entry = running.remove(at);
                    let is_success = fates.next() != Some(0);
                    failed[entry] |= !is_success;
                    schedule.ended(entry, is_success);
                }
                Next::Done => break,
            }
        }
        for (entry, count) in counts[..jobs.len()].iter().enumerate() {
            prop_assert_eq!(started[entry] + not_run[entry], *count);
        }
        prop_assert_eq!(schedule.unfinished().count(), 0);
    }
}

//! T8 and T17: the end of the host, in every state.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use crate::support::{processes, scenario};

/// T8: the host is killed while its workers compile, start, wait, run, or are stopped.
#[test]
fn nothing_is_left_a_second_after_the_host_was_killed() {
    for state in ["compiling", "starting", "idle", "busy", "stopped", "fork-server-stopped"] {
        let mut host = scenario("wait-for-death", &[state]).start();
        let mut line = String::new();
        BufReader::new(host.stdout.take().expect("a pipe")).read_line(&mut line).expect("it says when");
        assert!(line.contains(state), "{line}");
        host.kill().expect("it lives");
        host.wait().expect("it is ours");
        let begun = Instant::now();
        processes::expect_no_orphans();
        println!("{state}: the last of its processes was gone after {:?}", begun.elapsed());
    }
}

/// T8: the same at moments that nobody chose.
#[test]
fn nothing_is_left_whenever_the_host_was_killed() {
    for round in 0..12_u64 {
        let mut host = scenario("wait-for-death", &["busy"]).start();
        let begun = Instant::now();
        let moment = Duration::from_millis(round * 37 % 250);
        processes::wait_until("the moment", Duration::from_secs(10), || begun.elapsed() >= moment);
        host.kill().expect("it lives");
        host.wait().expect("it is ours");
        processes::expect_no_orphans();
    }
}

/// T17: a program that leaves `main` while its workers run leaves none behind.
#[test]
fn nothing_is_left_after_the_host_exits() {
    scenario("exit-at-once", &[]).run().expect(0);
}

/// T8: workers follow the process, not the thread or the runtime that started them.
#[test]
fn workers_outlive_the_thread_that_started_them() {
    scenario("thread-ends", &[]).run().expect(0);
}

/// T17: pools and supervisors end in every state within the grace period, with an outcome for all.
#[test]
fn every_state_ends_within_the_grace_period_with_an_outcome_for_all() {
    for ending in ["drop", "shut_down", "terminate", "kill", "abandon"] {
        for said in scenario("ends", &[ending]).run().expect(0).records() {
            println!("{said}");
        }
    }
}

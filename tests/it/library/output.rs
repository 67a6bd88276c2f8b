//! What guests print and log, on its way to the embedding program.

use crate::support::scenario;

/// Back-pressure: a guest that prints faster than its output is read waits; nothing is lost.
#[test]
fn a_slow_reader_slows_the_guest_and_memory_stays_flat() {
    let said = scenario("slow-reader", &[]).run().expect(0).records();
    println!("{}", said[0]);
    let grown = said[0]["grown_bytes"].as_u64().expect("a number");
    assert!(grown < 16 << 20, "the host grew by {grown} bytes");
}

/// Several tasks write to one stream; each chunk says whose it is.
#[test]
fn a_shared_stream_tells_tasks_apart() {
    scenario("shared-stream", &[]).run().expect(0);
}

/// Records of `log` reach `tracing` with the task's name; those below the level are not even sent.
#[test]
fn guests_log_to_tracing_with_the_tasks_name() {
    scenario("logs", &[]).run().expect(0);
}

//! The peer: Python's `multiprocessing`, by `peers.py`.

#![forbid(unsafe_code)]

use std::process::Command;

use serde_json::Value;

use crate::measure::Measured;

/// One round.
pub fn figure(name: &str, repetitions: u64) -> Measured {
    let value = run(name, repetitions);
    match (&value["per_second"], &value["round_trips_ns"]) {
        (Value::Number(rate), _) => Measured::PerSecond(rate.as_f64().expect("a rate")),
        (_, times @ Value::Array(_)) => {
            Measured::RoundTripsNs(serde_json::from_value(times.clone()).expect("nanoseconds"))
        }
        _ => panic!("{name}: {value}"),
    }
}

/// How long each took, in nanoseconds.
pub fn times(name: &str, repetitions: u64) -> Vec<f64> {
    serde_json::from_value(run(name, repetitions)["times_ns"].clone()).expect("nanoseconds")
}

/// Nanoseconds from the SIGKILL of a lock's holder to the next acquisition; `None` for none within 2 s.
pub fn succession(kills: usize) -> Vec<Option<u64>> {
    let value = run("succession", kills as u64);
    serde_json::from_value(value["succession_ns"].clone()).expect("nanoseconds or nothing")
}

/// What the script prints.
fn run(name: &str, repetitions: u64) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/peers.py");
    let output = Command::new("python3").arg(script).arg(name).arg(repetitions.to_string()).output();
    let output = output.expect("python3 is installed");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

/// Its version, as it says it.
pub fn version() -> String {
    let output = Command::new("python3").arg("--version").output().expect("python3 is installed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

//! The tables for programs: times in nanoseconds.

#![forbid(unsafe_code)]

use serde_json::{Value, json};

use super::machine;
use crate::measure::{Row, Spread};
use crate::overhead::Overhead;
use crate::python;
use crate::sandbox::{Cost, Walls};
use crate::speed::{Fact, Goal, Line, Peer, Speed};

/// Tasks beside their peers.
pub fn speed(speed: &Speed, rounds: usize) -> Value {
    let peer = |own: &Spread, peer: &Peer| {
        let ratio = peer.time.median / own.median;
        let goal = match peer.goal {
            Goal::Faster(least) => Some(least),
            Goal::Shown => None,
        };
        let met = goal.map(|goal| ratio >= goal);
        json!({ "what": peer.what, "ns": spread(&peer.time), "ratio": ratio, "goal": goal, "met": met })
    };
    let line = |line: &Line| {
        let peers: Vec<_> = line.peers.iter().map(|other| peer(&line.own, other)).collect();
        let mut shown = json!({ "what": line.what, "ns": spread(&line.own), "beside": peers });
        if let Some(least) = line.least_each_second {
            shown["each_second"] =
                json!({ "measured": line.each_second(), "goal": least, "met": line.is_fast_enough() });
        }
        shown
    };
    let fact = |fact: &Fact| json!({ "what": fact.what, "measured": fact.shown, "goal": fact.goal, "met": fact.is_met });
    json!({
        "machine": on(),
        "python": python::version(),
        "rounds": rounds,
        "lines": speed.lines.iter().map(line).collect::<Vec<_>>(),
        "facts": speed.facts.iter().map(fact).collect::<Vec<_>>(),
    })
}

/// Shared objects beside Python's: rates each second, or nanoseconds.
pub fn synchronisation(rows: &[Row], rounds: usize, own: &[u64], peer: &[Option<u64>]) -> Value {
    let row = |row: &Row| {
        let (own, peer) = (spread(&row.own), spread(&row.peer));
        let figure = row.plan.figure.name();
        json!({ "what": row.plan.name, "figure": figure, "own": own, "python": peer, "ratio": row.ratio, "goal": row.plan.target })
    };
    json!({
        "machine": on(),
        "python": python::version(),
        "rounds": rounds,
        "lines": rows.iter().map(row).collect::<Vec<_>>(),
        "succession": { "ns": own, "python_ns": peer },
    })
}

/// What the sandbox costs.
pub fn sandbox(costs: &[Cost], rounds: usize) -> Value {
    let cost = |cost: &Cost| {
        let times = Walls::ALL.iter().zip(&cost.times);
        let times = times.map(|(walls, time)| (walls.name().to_owned(), json!(time.as_ref().map(spread))));
        json!({ "what": cost.what, "ns": Value::Object(times.collect()), "goal_percent": cost.target })
    };
    json!({ "machine": on(), "rounds": rounds, "lines": costs.iter().map(cost).collect::<Vec<_>>() })
}

/// A short command beside `wasmtime run`.
pub fn overhead(measured: &Overhead, rounds: usize) -> Value {
    json!({
        "machine": on(),
        "wasmtime": measured.version,
        "rounds": rounds,
        "runs": measured.runs,
        "ns": { "wasmtime": spread(&measured.peer), "map": spread(&measured.map), "run": spread(&measured.run) },
    })
}

pub fn spread(spread: &Spread) -> Value {
    json!({ "least": spread.least, "median": spread.median, "greatest": spread.greatest })
}

fn on() -> String {
    machine().trim_end_matches(',').to_owned()
}

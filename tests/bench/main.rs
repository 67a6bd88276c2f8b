//! The benchmark: ours and the peers in turn, in one run on one machine.
//!
//! `cargo bench --bench compare` prints the tables and writes them to `host/BENCHMARKS.md`, with the plots in `host/benchmarks/`
//! and the figures for programs in `host/benchmarks.json`; `-- speed`, `-- sync`, `-- sandbox`, `-- overhead` and `-- scale` measure
//! one part each and leave the rest as it is. `-- --quick` does fewer repetitions and writes nothing. Each figure is measured inside the processes that do the work, in
//! several rounds that alternate between the two sides; told are the median and the spread over the rounds.
//! Workers run in the sandbox, with every layer that the machine can give, unless it is what is measured.

#![deny(unsafe_code)]

mod facts;
#[expect(unsafe_code, reason = "a bare fork is what it measures")]
mod forks;
mod limits;
mod measure;
mod ours;
mod overhead;
mod page;
mod plot;
mod python;
mod report;
mod sandbox;
mod scale;
mod speed;

use std::path::Path;
use std::process::ExitCode;

use measure::{Figure, Row};
use page::Part;
use serde_json::Value;
use tokio::runtime::Runtime;

/// Rounds of each figure.
const ROUNDS: usize = 7;
const ROUNDS_QUICK: usize = 2;
/// Holders of a lock that are killed.
const KILLS: usize = 100;

fn main() -> ExitCode {
    wasmpool::init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime needs nothing that can fail here");
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [sandbox::RUN_ONE, guest, walls] => {
            runtime.block_on(sandbox::run_one(guest, walls));
            return ExitCode::SUCCESS;
        }
        [forks::FORK, n, bytes, pages] => {
            let number = |text: &str| text.parse().expect("a number");
            forks::fork(n.parse().expect("a number"), number(bytes), number(pages));
            return ExitCode::SUCCESS;
        }
        [facts::HOLD] => {
            facts::hold();
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let quick = args.iter().any(|argument| argument == "--quick");
    // `speed=echo` and `scale=bytes` take a few lines of one part, and write nothing.
    let only = |part: &str| args.iter().find_map(|argument| argument.strip_prefix(part));
    if let Some(only) = only("speed=") {
        let speed = speed::measure(ROUNDS, 1, Some(only.to_owned()));
        println!("{}", report::speed(&speed, ROUNDS));
        return ExitCode::SUCCESS;
    }
    if let Some(only) = only("scale=") {
        println!("{}", report::scale::section(&scale::measure(quick, Some(only)), PLOTS));
        return ExitCode::SUCCESS;
    }
    let asked = |part: &Part| args.iter().any(|argument| argument == part.name());
    let all = !Part::ALL.iter().any(asked);
    let mut sections = Vec::new();
    for part in Part::ALL.into_iter().filter(|part| all || asked(part)) {
        if let Some(section) = measure(part, &runtime, quick) {
            println!("{}", section.text);
            sections.push((part, section));
        }
    }
    if quick || write(&sections).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is written of one part.
struct Section {
    text: String,
    json: Value,
    /// Drawings that the text shows, each with its file's name.
    plots: Vec<(String, String)>,
}

/// Measures one part; nothing where the peer is missing.
fn measure(part: Part, runtime: &Runtime, quick: bool) -> Option<Section> {
    let rounds = if quick { ROUNDS_QUICK } else { ROUNDS };
    let without_plots = |text, json| Some(Section { text, json, plots: Vec::new() });
    match part {
        Part::Speed => {
            let speed = speed::measure(rounds, if quick { 20 } else { 1 }, None);
            without_plots(report::speed(&speed, rounds), report::json::speed(&speed, rounds))
        }
        Part::Synchronisation => {
            let (text, json) = synchronisation(runtime, rounds, if quick { 20 } else { 1 });
            without_plots(text, json)
        }
        Part::Sandbox => {
            let (rounds, divisor) = (2 * rounds, if quick { 10 } else { 1 });
            let costs = runtime.block_on(sandbox::costs(rounds, divisor));
            without_plots(report::sandbox(&costs, rounds), report::json::sandbox(&costs, rounds))
        }
        Part::Overhead => {
            let runs = if quick { overhead::RUNS / 10 } else { overhead::RUNS };
            let measured = overhead::measure(rounds, runs);
            if measured.is_none() {
                eprintln!("no wasmtime to compare with; it is installed with\n{}", overhead::INSTALL);
            }
            let measured = measured?;
            without_plots(report::overhead(&measured, rounds), report::json::overhead(&measured, rounds))
        }
        Part::Scale => {
            let series = scale::measure(quick, None);
            let (text, json) = (report::scale::section(&series, PLOTS), report::scale::json(&series));
            Some(Section { text, json, plots: report::scale::plots(&series) })
        }
    }
}

fn synchronisation(runtime: &Runtime, rounds: usize, divisor: u64) -> (String, Value) {
    let bench = runtime.block_on(ours::Bench::new());
    let mut rows = Vec::new();
    for row in ROWS {
        let (mut own, mut peer) = (Vec::new(), Vec::new());
        let n = row.repetitions / divisor;
        for round in 0..rounds {
            eprint!("\r\x1b[K{}: round {} of {rounds}", row.name, round + 1);
            own.push(runtime.block_on(bench.figure(row.own, n)));
            peer.push(python::figure(row.peer, n.min(row.repetitions / 10)));
        }
        eprint!("\r\x1b[K");
        rows.push(Row::new(row, &own, &peer));
    }
    let kills = if divisor > 1 { KILLS / 10 } else { KILLS };
    eprint!("\r\x1b[Kkilled holders");
    let own = runtime.block_on(bench.succession(kills));
    let peer = python::succession(5);
    eprint!("\r\x1b[K");
    let text = report::synchronisation(&rows, rounds, &own, &peer);
    (text, report::json::synchronisation(&rows, rounds, &own, &peer))
}

/// The folder of plots beside the page.
const PLOTS: &str = "benchmarks";

/// Replaces what was measured in the page and in the figures for programs, and the plots.
fn write(sections: &[(Part, Section)]) -> Result<(), ()> {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host");
    let read = |name: &str| std::fs::read_to_string(host.join(name)).unwrap_or_default();
    let texts: Vec<_> = sections.iter().map(|(part, section)| (*part, section.text.clone())).collect();
    let figures: Vec<_> = sections.iter().map(|(part, section)| (*part, section.json.clone())).collect();
    let before = serde_json::from_str(&read("benchmarks.json")).unwrap_or_default();
    let plots = sections.iter().flat_map(|(_, section)| &section.plots);
    let mut files: Vec<_> = plots.map(|(name, plot)| (format!("{PLOTS}/{name}"), plot.clone())).collect();
    files.push(("benchmarks.json".to_owned(), format!("{:#}\n", page::with_json(&before, &figures))));
    files.push(("BENCHMARKS.md".to_owned(), page::with(&read("BENCHMARKS.md"), &texts)));
    for (name, text) in files {
        let path = host.join(&name);
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        folder
            .and_then(|()| std::fs::write(&path, text))
            .map_err(|error| eprintln!("host/{name} cannot be written: {error}"))?;
    }
    Ok(())
}

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub struct RowPlan {
    name: &'static str,
    own: ours::Measurement,
    peer: &'static str,
    figure: Figure,
    repetitions: u64,
    /// The ratio to reach.
    target: f64,
}

const fn row(
    name: &'static str,
    own: ours::Measurement,
    peer: &'static str,
    figure: Figure,
    repetitions: u64,
    target: f64,
) -> RowPlan {
    RowPlan { name, own, peer, figure, repetitions, target }
}

use ours::Measurement::{CoreLock, HandOver, Lock, Queue};

/// What is measured. Python's lock has two faces: `with lock:` is what a guard is to a guest, and a pair of calls
/// is the least that it can cost.
const ROWS: &[RowPlan] = &[
    row(
        "lock, alone: guard in a component; `with`",
        Lock { workers: 1 },
        "lock-alone-with",
        Figure::PerSecond,
        3_000_000,
        1.0,
    ),
    row("the same; two calls", Lock { workers: 1 }, "lock-alone-calls", Figure::PerSecond, 3_000_000, 1.0),
    row(
        "lock, alone: core module; two calls",
        CoreLock { workers: 1 },
        "lock-alone-calls",
        Figure::PerSecond,
        3_000_000,
        1.0,
    ),
    row(
        "lock, 2 workers: guards in components; `with`",
        Lock { workers: 2 },
        "lock-contended-with",
        Figure::PerSecond,
        2_000_000,
        1.0,
    ),
    row(
        "the same; two calls",
        Lock { workers: 2 },
        "lock-contended-calls",
        Figure::PerSecond,
        2_000_000,
        1.0,
    ),
    row(
        "lock, 2 workers: core modules; two calls",
        CoreLock { workers: 2 },
        "lock-contended-calls",
        Figure::PerSecond,
        2_000_000,
        1.0,
    ),
    row("queue, items of 8 bytes", Queue { item_bytes: 8 }, "queue-8", Figure::PerSecond, 1_000_000, 4.0),
    row(
        "queue, items of 64 KiB",
        Queue { item_bytes: 65_536 },
        "queue-65536",
        Figure::BytesPerSecond(65_536),
        50_000,
        4.0,
    ),
    row("queue hand-over, median", HandOver, "hand-over", Figure::Median, 20_000, 1.0),
    row("queue hand-over, 99th percentile", HandOver, "hand-over", Figure::Percentile99, 20_000, 1.0),
];

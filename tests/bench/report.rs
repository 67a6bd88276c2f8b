//! The tables as markdown.

#![forbid(unsafe_code)]

use std::fmt::Write;

use crate::measure::Row;
use crate::python;

/// The whole of `BENCHMARKS.md`.
pub fn markdown(rows: &[Row], rounds: usize) -> String {
    let mut text = format!(
        "# Benchmarks\n\n\
         Written by `cargo bench -p wasmpool-tests`, which runs both sides in turn, {rounds} rounds each, on one \
         machine: {}, {} CPUs, {}, wasmtime as in `Cargo.lock`. Shown is the median over the rounds, with the least \
         and the greatest behind it. Machines differ; the ratios are what counts. Workers ran in the sandbox.\n\n\
         ## Synchronisation between workers\n\n\
         A lock pair is one `acquire` and one `release`. All figures are taken inside the guests, so that they \
         contain the call from the guest to its host. A hand-over is half a round trip of an 8-byte item through \
         two queues and two workers.\n\n\
         | what | wasmpool | Python multiprocessing | ratio | target |\n|---|---|---|---|---|\n",
        kernel(),
        wasmpool::cpu_count(),
        python::version(),
    );
    for row in rows {
        let shown = |value| row.plan.figure.shown(value);
        writeln!(
            text,
            "| {} | {} ({} - {}) | {} ({} - {}) | {:.1} | {:.0} |",
            row.plan.name,
            shown(row.own.median),
            shown(row.own.least),
            shown(row.own.greatest),
            shown(row.peer.median),
            shown(row.peer.least),
            shown(row.peer.greatest),
            row.ratio,
            row.plan.target,
        )
        .expect("a string takes everything");
    }
    text
}

/// The kernel's version.
fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let version = release.split('-').next().unwrap_or(release);
    format!("Linux {version} on {}", std::env::consts::ARCH)
}

//! The tables as markdown.

#![forbid(unsafe_code)]

use std::fmt::Write;

use crate::measure::{Row, percentile};
use crate::python;

/// The whole of `BENCHMARKS.md`.
pub fn markdown(rows: &[Row], rounds: usize, own: &[u64], peer: &[Option<u64>]) -> String {
    let mut text = format!(
        "# Benchmarks\n\n\
         Written by `cargo bench -p wasmpool-tests`, which runs both sides in turn, {rounds} rounds each, on one \
         machine: {}, {} CPUs, {}, wasmtime as in `Cargo.lock`. Shown is the median over the rounds, with the least \
         and the greatest behind it. Machines differ; the ratios are what counts. Workers ran in the sandbox.\n\n\
         ## Synchronisation between workers\n\n\
         A lock is taken and given back. All figures are taken inside the guests, so that they \
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
    text + &succession(own, peer)
}

/// How long the next one waits for a lock whose holder was killed.
fn succession(own: &[u64], peer: &[Option<u64>]) -> String {
    let ms = |ns: f64| format!("{:.1} ms", ns / 1e6);
    let lost = peer.iter().filter(|time| time.is_none()).count();
    format!(
        "\n## When the holder of a lock is killed\n\n\
         From the SIGKILL to the next acquisition, by somebody who waits for it. Over {} kills: median {}, 99th \
         percentile {}, longest {}. With Python's `Lock` the next one still had nothing after 2 s in {lost} of {} \
         trials.\n",
        own.len(),
        ms(percentile(own, 50)),
        ms(percentile(own, 99)),
        ms(percentile(own, 100)),
        peer.len(),
    )
}

/// The kernel's version.
fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let version = release.split('-').next().unwrap_or(release);
    format!("Linux {version} on {}", std::env::consts::ARCH)
}

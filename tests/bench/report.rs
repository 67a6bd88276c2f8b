//! The tables as markdown.

#![forbid(unsafe_code)]

pub mod json;
pub mod scale;

use std::fmt::Write;

use crate::measure::{Row, Spread, percentile};
use crate::overhead::Overhead;
use crate::python;
use crate::sandbox::Cost;
use crate::speed::{Fact, Goal, Line, Peer, Speed};

/// Tasks beside their peers.
pub fn speed(speed: &Speed, rounds: usize) -> String {
    let mut text = format!(
        "{} {}, {rounds} rounds. Every process of ours is in a required sandbox. A ratio is how many times the time of \
         ours the other takes.\n\n\
         | what | wasmpool | beside it | time | ratio | goal |\n|---|---|---|---|---|---|\n",
        machine(),
        python::version(),
    );
    let met = |is_met: bool| if is_met { "met" } else { "**not met**" };
    for line @ Line { what, own, peers, least_each_second } in &speed.lines {
        let mut first = format!("{what} | {}", shown_time(*own));
        if let Some(least) = least_each_second {
            let (each_second, met) = (line.each_second(), met(line.is_fast_enough()));
            writeln!(text, "| {first} | | | {each_second:.0}/s | {least:.0}/s, {met} |")
                .expect("a string takes everything");
            first = " | ".to_owned();
        }
        if peers.is_empty() && least_each_second.is_none() {
            writeln!(text, "| {first} | | | | |").expect("a string takes everything");
        }
        for Peer { what, time, goal } in peers {
            let ratio = time.median / own.median;
            let goal = match goal {
                Goal::Faster(least) => format!("{least:.2}, {}", met(ratio >= *least)),
                Goal::Shown => String::new(),
            };
            writeln!(text, "| {first} | {what} | {} | {ratio:.2} | {goal} |", shown_time(*time))
                .expect("a string takes everything");
            first = " | ".to_owned();
        }
    }
    text.push_str("\n| what | measured | goal |\n|---|---|---|\n");
    for Fact { what, shown, goal, is_met } in &speed.facts {
        writeln!(text, "| {what} | {shown} | {goal}, {} |", met(*is_met)).expect("a string takes everything");
    }
    text
}

/// Shared objects beside Python's.
pub fn synchronisation(rows: &[Row], rounds: usize, own: &[u64], peer: &[Option<u64>]) -> String {
    let mut text = format!(
        "{} {}, {rounds} rounds. Workers ran in the sandbox.\n\n\
         A lock is taken and given back. All figures are taken inside the guests, so that they \
         contain the call from the guest to its host. A hand-over is half a round trip of an 8-byte item through \
         two queues and two workers.\n\n\
         | what | wasmpool | Python multiprocessing | ratio | target |\n|---|---|---|---|---|\n",
        machine(),
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

/// What the sandbox costs.
pub fn sandbox(costs: &[Cost], rounds: usize) -> String {
    let mut text = format!(
        "{} {rounds} rounds.\n\n\
         A task that does nothing, in a process of its own: from its submission to its record, with as many under way \
         as the pool has workers. The kinds of walls take turns. The cgroup is shown alone too: it \
         is made with the pool, and entered once by each fork server or spawned worker.\n\n\
         | what | off | cgroup alone | required | the cgroup adds | the sandbox adds | target |\n\
         |---|---|---|---|---|---|---|\n",
        machine(),
    );
    for cost in costs {
        write!(text, "| {} ", cost.what).expect("a string takes everything");
        for time in &cost.times {
            let shown = time.map_or("none to be had".to_owned(), shown_time);
            write!(text, "| {shown} ").expect("a string takes everything");
        }
        let added = |time: Option<Spread>| Some((time?.median / cost.times[0]?.median - 1.0) * 100.0);
        let percent = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.0} %"));
        let (cgroup, all) = (percent(added(cost.times[1])), percent(added(cost.times[2])));
        writeln!(text, "| {cgroup} | {all} | {} |", percent(cost.target)).expect("a string takes everything");
    }
    text
}

fn shown_time(time: Spread) -> String {
    let us = |ns: f64| if ns < 1e4 { format!("{:.2} us", ns / 1e3) } else { format!("{:.0} us", ns / 1e3) };
    format!("{} ({} - {})", us(time.median), us(time.least), us(time.greatest))
}

/// How long the next one waits for a lock whose holder was killed.
fn succession(own: &[u64], peer: &[Option<u64>]) -> String {
    let ms = |ns: f64| format!("{:.1} ms", ns / 1e6);
    let lost = peer.iter().filter(|time| time.is_none()).count();
    format!(
        "\n### When the holder of a lock is killed\n\n\
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

/// A short command beside `wasmtime run`.
pub fn overhead(measured: &Overhead, rounds: usize) -> String {
    let mut text = format!(
        "{} {}, {rounds} rounds of {} runs each.\n\n\
         A command that prints one line, {} times, two at once. Every run is a process of its own, ours in a required \
         sandbox. wasmtime was given the command compiled before; we had it in the artifact cache.\n\n\
         | what | time for each run | times the time of `wasmtime run` |\n|---|---|---|\n",
        machine(),
        measured.version,
        measured.runs,
        measured.runs,
    );
    for (what, time) in [
        ("`wasmtime run --allow-precompiled`, two at once", measured.peer),
        ("`wasmpool map -j2`: all of them in one batch", measured.map),
        ("`wasmpool run`, two at once: a program and a worker for each", measured.run),
    ] {
        let ratio = time.median / measured.peer.median;
        writeln!(text, "| {what} | {} | {ratio:.2} |", shown_time(time)).expect("a string takes everything");
    }
    text
}

/// What it was measured on.
fn machine() -> String {
    format!("{}, {} CPUs,", kernel(), wasmpool::cpu_count())
}

/// The kernel's version.
fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let version = release.split('-').next().unwrap_or(release);
    format!("Linux {version} on {}", std::env::consts::ARCH)
}

//! What grows, as a section of the page and as plots.

#![forbid(unsafe_code)]

use std::fmt::Write;

use serde_json::json;

use super::machine;
use crate::plot::{Curve, Plot, Scale, Unit, svg};
use crate::scale::{Kind, Line, Point, ROUNDS, Series};

/// How much more the larger of two sizes may cost, in percent.
const GOAL_PERCENT: f64 = 20.0;
const WRITES: &str = "a string takes everything";

impl Kind {
    const fn title(self) -> &'static str {
        match self {
            Self::Tasks => "Tasks in a batch",
            Self::Modules => "Modules in a batch",
            Self::Workers => "Workers of a pool",
            Self::Bytes => "Bytes of an argument",
        }
    }

    const fn unit(self) -> Unit {
        match self {
            Self::Tasks | Self::Modules | Self::Workers => Unit::Count,
            Self::Bytes => Unit::Bytes,
        }
    }

    const fn y(self) -> (&'static str, Scale) {
        match self {
            Self::Tasks | Self::Modules | Self::Workers => ("time per task", Scale::Linear),
            Self::Bytes => ("time per call", Scale::Logarithmic),
        }
    }

    /// What is measured, and why a series ends where it does.
    const fn explained(self) -> &'static str {
        match self {
            Self::Tasks => {
                "`map` over numbers in a pool of 2, from the call to the last result. Batches of fewer than 500 are timed \
                 again and again. A batch of one has the use of one worker only, and nothing to do meanwhile. With a process for \
                 each task the series ends at 100 000, because a million would take longer than all the rest of this; \
                 100 000 processes are as many as one fork server makes before it is replaced."
            }
            Self::Modules => {
                "Modules that differ in a constant, compiled and loaded before, in a pool of 2: all tasks of one, \
                 then all of the next. No module's fork server lives when its batch begins, so that the start of one for each module \
                 is in the time: whole where each has one task, a tenth of it where each has ten."
            }
            Self::Workers => {
                "`map` over 2000 numbers (10 000 where workers are reused) in a pool of so many workers, which live already."
            }
            Self::Bytes => {
                "One call after the other in a pool of 1, a process each that is forked ahead. 256 MiB is what an argument and a result \
                 may have by default. The first call of a size in each round is not timed: where the machine is a virtual one, it may have to get memory \
                 back from its host. Below some 64 KiB the cost is that of the call, beyond 1 MiB that of \
                 the bytes: flat is what each of them costs."
            }
        }
    }

    /// What is to be flat: the time of a task, or of a byte.
    fn cost(self, point: &Point) -> f64 {
        if self == Self::Bytes { point.time.median / point.x as f64 } else { point.time.median }
    }

    const fn cost_of(self) -> &'static str {
        if matches!(self, Self::Bytes) { "a byte" } else { "a task" }
    }
}

/// The section; plots lie in `folder` beside the page.
pub fn section(all: &[Series], folder: &str) -> String {
    let mut text = format!(
        "{} {ROUNDS} rounds but where less is said, in which the points of a series take turns. Every process is in a required \
         sandbox. Beside each time stands how many times that of the line's cheapest point it is; peak memory is the largest resident \
         set of the supervisor, with the batch's arguments and results.\n\n\
         | what | from | to | each costs | goal |\n|---|---|---|---|---|\n",
        machine(),
    );
    for series in all {
        let lines = series.lines.iter();
        lines.filter_map(|line| compared(series.kind, line)).for_each(|row| text += &row);
    }
    for series in all {
        write!(
            text,
            "\n### {}\n\n{}{}\n\n![{}]({folder}/{}.svg)\n\n{}",
            series.kind.title(),
            series.kind.explained(),
            series
                .fork_servers
                .map_or(String::new(), |most| format!(" At most {most} fork servers lived at one time.")),
            description(series),
            series.kind.name(),
            table(series),
        )
        .expect(WRITES);
    }
    text
}

/// The plots, each with its file's name.
pub fn plots(all: &[Series]) -> Vec<(String, String)> {
    let plot = |series: &Series| {
        let curve = |line: &Line| Curve {
            name: line.what.to_owned(),
            points: line.points.iter().map(drawn).collect(),
        };
        let (unit, (y, scale)) = (series.kind.unit(), series.kind.y());
        svg(&Plot {
            title: format!("{}: {y}", series.kind.title()),
            description: description(series),
            x: (series.kind.name().to_owned(), unit),
            y: (y.to_owned(), scale),
            curves: series.lines.iter().map(curve).collect(),
        })
    };
    all.iter().map(|series| (format!("{}.svg", series.kind.name()), plot(series))).collect()
}

fn drawn(point: &Point) -> crate::plot::Point {
    let time = point.time;
    crate::plot::Point { x: point.x as f64, least: time.least, median: time.median, greatest: time.greatest }
}

/// The same for programs.
pub fn json(all: &[Series]) -> serde_json::Value {
    let point = |point: &Point| {
        json!({
            "x": point.x,
            "ns": super::json::spread(&point.time),
            "rounds": point.rounds,
            "supervisor_peak_bytes": point.peak_bytes,
        })
    };
    let line = |line: &Line| json!({ "what": line.what, "points": line.points.iter().map(point).collect::<Vec<_>>() });
    let series = |series: &Series| {
        json!({
            "of": series.kind.name(),
            "lines": series.lines.iter().map(line).collect::<Vec<_>>(),
            "fork_servers_max": series.fork_servers,
        })
    };
    json!({ "machine": machine().trim_end_matches(','), "series": all.iter().map(series).collect::<Vec<_>>() })
}

/// What the larger size costs beside the smaller one.
fn compared(kind: Kind, line: &Line) -> Option<String> {
    let at = |x: u64| line.points.iter().find(|point| point.x == x);
    // A short series ends before.
    let (from, to) = (at(line.compared.0)?, at(line.compared.1).or(line.points.last())?);
    if to.x <= from.x {
        return None;
    }
    let more = (kind.cost(to) / kind.cost(from) - 1.0) * 100.0;
    let met = if more <= GOAL_PERCENT { "met" } else { "**not met**" };
    let (title, unit) = (kind.title(), kind.unit());
    Some(format!(
        "| {title}, {}: {} | {} | {} | {more:+.0} % | at most {GOAL_PERCENT:.0} % more, {met} |\n",
        line.what,
        kind.cost_of(),
        unit.shown(from.x as f64),
        unit.shown(to.x as f64),
    ))
}

/// The finding in words.
fn description(series: &Series) -> String {
    let (label, unit) = (series.kind.name(), series.kind.unit());
    let at = |point: &Point| {
        let time = Unit::Nanoseconds.shown(point.time.median);
        let size = unit.shown(point.x as f64);
        match (unit, point.x) {
            // The unit of bytes is in the number.
            (Unit::Bytes, _) => format!("{time} at {size}"),
            (_, 1) => format!("{time} at 1 {}", label.trim_end_matches('s')),
            _ => format!("{time} at {size} {label}"),
        }
    };
    let of_line = |line: &Line| {
        let by_time = |one: &&Point, other: &&Point| one.time.median.total_cmp(&other.time.median);
        let (first, last) = (line.points.first()?, line.points.last()?);
        let (least, greatest) = (line.points.iter().min_by(by_time)?, line.points.iter().max_by(by_time)?);
        let mut text = format!("{}: {}, {}", line.what, at(first), at(last));
        if series.kind != Kind::Bytes {
            let ratio = greatest.time.median / least.time.median;
            write!(
                text,
                "; the dearest point, {}, is {ratio:.2} times the cheapest, {}",
                at(greatest),
                at(least)
            )
            .expect(WRITES);
        }
        Some(text)
    };
    let lines: Vec<String> = series.lines.iter().filter_map(of_line).collect();
    format!("{}, {}. {}.", series.kind.title(), series.kind.y().0, lines.join(". "))
}

fn table(series: &Series) -> String {
    let (label, unit) = (series.kind.name(), series.kind.unit());
    let is_bytes = series.kind == Kind::Bytes;
    let second = if is_bytes { "bytes a second" } else { "beside the cheapest" };
    let heads: String = series.lines.iter().map(|line| format!(" {} | {second} |", line.what)).collect();
    let rule = "---|".repeat(2 * series.lines.len());
    let mut text = format!("| {label} |{heads} peak memory |\n|---|{rule}---|\n");
    let mut sizes: Vec<u64> =
        series.lines.iter().flat_map(|line| &line.points).map(|point| point.x).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for size in sizes {
        write!(text, "| {} |", unit.shown(size as f64)).expect(WRITES);
        let mut peak_bytes = 0.0_f64;
        for line in &series.lines {
            let Some(point) = line.points.iter().find(|point| point.x == size) else {
                text += " | |";
                continue;
            };
            peak_bytes = peak_bytes.max(point.peak_bytes);
            let cheapest = line.points.iter().map(|point| point.time.median).fold(f64::MAX, f64::min);
            let beside = if is_bytes {
                format!("{}/s", Unit::Bytes.shown(size as f64 * 1e9 / point.time.median))
            } else {
                format!("{:.2}", point.time.median / cheapest)
            };
            write!(text, " {} | {beside} |", times(point)).expect(WRITES);
        }
        writeln!(text, " {} |", Unit::Bytes.shown(peak_bytes)).expect(WRITES);
    }
    text
}

fn times(point: &Point) -> String {
    let shown = |ns: f64| Unit::Nanoseconds.shown(ns);
    let (least, greatest) = (shown(point.time.least), shown(point.time.greatest));
    match point.rounds {
        1 => format!("{} (one round)", shown(point.time.median)),
        ROUNDS => format!("{} ({least} - {greatest})", shown(point.time.median)),
        rounds => format!("{} ({least} - {greatest}, {rounds} rounds)", shown(point.time.median)),
    }
}

//! `host/BENCHMARKS.md`: an introduction, and one section for each part of the benchmark, which is measured and
//! replaced by itself. `host/benchmarks.json`: a member for each part, likewise.

#![forbid(unsafe_code)]

use serde_json::{Map, Value};

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Speed,
    Synchronisation,
    Sandbox,
    Overhead,
    Scale,
}

impl Part {
    /// In the order of the page.
    pub const ALL: [Self; 5] =
        [Self::Speed, Self::Synchronisation, Self::Sandbox, Self::Overhead, Self::Scale];

    /// As it is asked for.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::Synchronisation => "sync",
            Self::Sandbox => "sandbox",
            Self::Overhead => "overhead",
            Self::Scale => "scale",
        }
    }

    const fn heading(self) -> &'static str {
        match self {
            Self::Speed => "Tasks",
            Self::Synchronisation => "Synchronisation between workers",
            Self::Sandbox => "What the sandbox costs",
            Self::Overhead => "Beside `wasmtime run`",
            Self::Scale => "From one to many",
        }
    }
}

const INTRODUCTION: &str = "# Benchmarks\n\n\
    Written by `cargo bench --bench compare`. Each section is measured in one run on one machine, in which what is \
    compared takes turns; `cargo bench --bench compare -- speed`, `sync`, `sandbox`, `overhead` and `scale` measure one section each and \
    leave the others as they are; `benchmarks.json` has the same figures for programs, times in nanoseconds. Shown is the median over the rounds, with the least and the greatest behind it. \
    Machines differ; the ratios are what counts. wasmtime is the one of `Cargo.lock`.\n";

/// The page with these sections instead of those that it had.
pub fn with(page: &str, measured: &[(Part, String)]) -> String {
    let mut text = INTRODUCTION.to_owned();
    for part in Part::ALL {
        let measured = measured.iter().find(|(other, _)| *other == part).map(|(_, body)| body.as_str());
        let body = measured.or_else(|| body(page, part)).unwrap_or("Not measured yet.");
        text += &format!("\n## {}\n\n{}\n", part.heading(), body.trim());
    }
    text
}

/// The members with these instead of those that they had. What belongs to no part is left out.
pub fn with_json(before: &Value, measured: &[(Part, Value)]) -> Value {
    let member = |part: Part| {
        let measured = measured.iter().find(|(other, _)| *other == part).map(|(_, value)| value);
        Some((part.name().to_owned(), measured.or_else(|| before.get(part.name()))?.clone()))
    };
    Value::Object(Part::ALL.into_iter().filter_map(member).collect::<Map<_, _>>())
}

/// What stands under the heading of a part.
fn body(page: &str, part: Part) -> Option<&str> {
    let (_, rest) = page.split_once(&format!("\n## {}\n", part.heading()))?;
    Some(rest.split("\n## ").next().unwrap_or(rest))
}

//! A host program that embeds the library, one scenario a behaviour. The tests run it and read what it
//! prints: one JSON value a line.
//!
//! A process of its own for each scenario makes it possible to count: when a scenario has dropped its
//! pools and supervisors, the oracles look for leftovers (see [`oracle`]). A scenario that does not hold
//! panics, and the test sees the code and the message.

#![forbid(unsafe_code)]

mod oracle;
mod plan;
mod support;

/// A scenario: its arguments are the program's.
type Scenario = fn(&[String]);

/// Every scenario by name.
const SCENARIOS: &[(&str, Scenario)] = &[("plan", plan::run)];

fn main() {
    wasmpool::init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (name, args) = args.split_first().expect("the name of a scenario");
    let Some((_, scenario)) = SCENARIOS.iter().find(|(known, _)| known == name) else {
        panic!("no scenario is called `{name}`");
    };
    let before = oracle::Before::look();
    scenario(args);
    before.expect_no_leftovers();
    support::say(&serde_json::json!({ "oracles": "hold" }));
}

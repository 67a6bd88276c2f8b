//! The listings of a Python `multiprocessing` tutorial: the host halves, a file each. The tasks they run
//! are the plugin in `examples/tutorial`.
//!
//! ```sh
//! cargo build --release --target wasm32-wasip2 --manifest-path examples/tutorial/Cargo.toml
//! cargo run -p tutorial_host -- names
//! ```

#![forbid(unsafe_code)]

mod daemon;
mod daemon_join;
mod daemon_join_timeout;
mod exit_status;
mod importable;
mod logging;
mod names;
mod pool;
mod pool_recycling;
mod simple;
mod simple_arguments;
mod terminating;

use std::borrow::Cow;

use anyhow::Context;
use wasmpool::{Module, Record, blocking};

/// Where cargo puts the plugin.
const PLUGIN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../tutorial/target/wasm32-wasip2/release/tutorial.wasm");

type Listing = fn(&Module) -> anyhow::Result<()>;

const LISTINGS: &[(&str, Listing)] = &[
    ("simple", simple::listing),
    ("simple_arguments", simple_arguments::listing),
    ("importable", importable::listing),
    ("names", names::listing),
    ("daemon", daemon::listing),
    ("daemon_join", daemon_join::listing),
    ("daemon_join_timeout", daemon_join_timeout::listing),
    ("terminating", terminating::listing),
    ("exit_status", exit_status::listing),
    ("logging", logging::listing),
    ("pool", pool::listing),
    ("pool_recycling", pool_recycling::listing),
];

fn main() -> anyhow::Result<()> {
    wasmpool::init();
    let mut args = std::env::args().skip(1);
    let (name, plugin) = (args.next().unwrap_or_default(), args.next());
    let Some((_, listing)) = LISTINGS.iter().find(|(known, _)| *known == name) else {
        let known: Vec<_> = LISTINGS.iter().map(|(known, _)| *known).collect();
        anyhow::bail!("usage: tutorial_host LISTING [PLUGIN.wasm], with a listing of {}", known.join(", "));
    };
    let plugin = blocking::load(plugin.as_deref().unwrap_or(PLUGIN));
    listing(&plugin.context("the plugin in examples/tutorial must be built first")?)
}

/// What a task printed. A task has no terminal of its own: its output is kept for its record.
fn printed(record: &Record) -> Cow<'_, str> {
    String::from_utf8_lossy(&record.stdout)
}

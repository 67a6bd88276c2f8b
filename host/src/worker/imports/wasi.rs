//! The WASI context of an instance, made when the guest first asks WASI for something: many tasks never do, and the
//! context is most of what there is to make for them.

#![forbid(unsafe_code)]

use std::sync::Arc;

use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtxBuilder, WasiView as _};

use super::{Outside, clock, net, random, stdin, stdout};
use crate::limits::{RANDOM_BYTES_MAX, RESOURCES_MAX};
use crate::protocol::worker::Stream;
use crate::worker::link::Link;

/// What a context is made of.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) stdin: stdin::Stdin,
    pub(super) outside: Outside,
    pub(super) link: Arc<Link>,
    pub(super) deterministic: Option<u64>,
}

/// A context, made or not.
pub(super) struct Wasi {
    config: Config,
    made: Option<Box<WasiP1Ctx>>,
}

impl Wasi {
    /// A context that is made now only where that may fail: with granted directories.
    pub(super) fn new(config: Config) -> wasmtime::Result<Self> {
        let made = if config.outside.dirs.is_empty() { None } else { Some(make(&config)?) };
        Ok(Self { config, made })
    }

    /// Makes this the context of another task, with the handles that the guest has: open files, streams, directories.
    pub(super) fn give_to(&mut self, config: Config) -> wasmtime::Result<()> {
        match &mut self.made {
            Some(made) => {
                *made.ctx().ctx = builder(&config)?.build();
                self.config = config;
            }
            None => *self = Self::new(config)?,
        }
        Ok(())
    }

    /// The context. It serves components too: its context and table are those of preview 2.
    pub(super) fn get(&mut self) -> &mut WasiP1Ctx {
        self.made.get_or_insert_with(|| make(&self.config).expect("only granted directories can fail"))
    }
}

fn make(config: &Config) -> wasmtime::Result<Box<WasiP1Ctx>> {
    let mut wasi = builder(config)?.build_p1();
    wasi.ctx().table.set_max_capacity(RESOURCES_MAX);
    Ok(Box::new(wasi))
}

/// Call it in the worker, after the fork: it draws random seeds. (What is initialised before has seeds of its own.)
fn builder(config: &Config) -> wasmtime::Result<WasiCtxBuilder> {
    let mut builder = WasiCtxBuilder::new();
    builder
        .args(&config.argv)
        .envs(&config.env)
        .stdin(config.stdin.clone())
        .stdout(stdout::Output::new(Stream::Stdout, config.link.clone()))
        .stderr(stdout::Output::new(Stream::Stderr, config.link.clone()))
        .allow_blocking_current_thread(true)
        .max_random_size(RANDOM_BYTES_MAX);
    match config.deterministic {
        None => random::seed(&mut builder)?,
        Some(seed) => {
            random::seed_with(&mut builder, seed);
            clock::fix(&mut builder);
        }
    }
    net::grant(&mut builder, &config.outside.nets);
    config.outside.dirs.iter().try_for_each(|dir| dir.open(&mut builder))?;
    Ok(builder)
}

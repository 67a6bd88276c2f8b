//! Log records on standard error.

#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;

use tracing_subscriber::filter::{EnvFilter, FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::prelude::*;

use crate::arguments::{CommonOptions, LogFormat};
use crate::console::Console;

/// Shows log records from now on: warnings, with `-v` more, or what RUST_LOG says.
pub fn start(common: &CommonOptions, console: &Arc<Console>) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    let (filter, wrong) = match chosen() {
        Ok(Some(filter)) => (filter, None),
        Ok(None) => (EnvFilter::new(level), None),
        Err(wrong) => (EnvFilter::new(level), Some(wrong)),
    };
    let has_colour = match common.color {
        clap::ColorChoice::Always => true,
        clap::ColorChoice::Never => false,
        clap::ColorChoice::Auto => console.terminals().stderr && std::env::var_os("NO_COLOR").is_none(),
    };
    // The span of a task carries its name, which a record of any level needs.
    let is_span = filter_fn(|metadata| metadata.is_span()).with_max_level_hint(LevelFilter::INFO);
    let filter = filter.or(is_span);
    let records = fmt::layer().with_writer(Records(Arc::clone(console))).with_ansi(has_colour);
    let subscriber = tracing_subscriber::registry();
    // Only another logger that is in place already can make this fail, and then that one is right.
    let _ = match common.log_format {
        LogFormat::Json => subscriber.with(records.json().with_filter(filter)).try_init(),
        LogFormat::Text if common.verbose < 2 => {
            subscriber.with(records.without_time().with_filter(filter)).try_init()
        }
        LogFormat::Text => subscriber.with(records.with_filter(filter)).try_init(),
    };
    if let Some(wrong) = wrong {
        tracing::warn!("{wrong}");
    }
}

/// What RUST_LOG says, if it says anything.
fn chosen() -> Result<Option<EnvFilter>, String> {
    let Some(directives) = std::env::var_os("RUST_LOG").filter(|directives| !directives.is_empty()) else {
        return Ok(None);
    };
    let ignored = |why: &str| {
        format!("RUST_LOG is ignored: {why}; write LEVEL or TARGET=LEVEL, such as wasmpool::guest=debug")
    };
    let directives = directives.to_str().ok_or_else(|| ignored("it is not UTF-8"))?;
    EnvFilter::try_new(directives).map(Some).map_err(|error| ignored(&format!("`{directives}`: {error}")))
}

/// Hands each record to the console as one piece.
struct Records(Arc<Console>);

struct Record<'a> {
    console: &'a Console,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Records {
    type Writer = Record<'a>;

    fn make_writer(&'a self) -> Record<'a> {
        Record { console: &self.0, text: Vec::new() }
    }
}

impl io::Write for Record<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.console.write_error(&self.text);
        }
    }
}

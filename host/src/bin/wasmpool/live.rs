//! What is seen of a batch while it runs: on the terminal, by `wasmpool ps`, by a signal, and as metrics.
//!
//! All of them look at one [`Live`](wasmpool::batch::live::Live), which is a watcher of the batch; none of them is told of
//! single tasks, so what they cost does not grow with the number of those.

#![forbid(unsafe_code)]

pub mod display;
pub mod folder;
pub mod leaks;
#[cfg(feature = "metrics")]
mod metrics;
pub mod screen;
mod serve;
pub mod status;
mod ticker;
mod usage;

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use wasmpool::batch::drive::Input;
use wasmpool::batch::live::Live;
use wasmpool::batch::watchers::Watchers;

use crate::arguments::BatchOptions;
use crate::console::Console;
use crate::failure::Failure;

/// What was opened for a batch before it runs: the address that the options name.
#[derive(Debug)]
pub struct Openings {
    #[cfg(feature = "metrics")]
    metrics: Option<metrics::Listening>,
}

impl Openings {
    /// Opens what can be wrong.
    ///
    /// # Errors
    ///
    /// Code 2 for an address that cannot be listened on.
    pub fn open(options: &BatchOptions) -> Result<Self, Failure> {
        #[cfg(not(feature = "metrics"))]
        let _ = options;
        Ok(Self {
            #[cfg(feature = "metrics")]
            metrics: options.metrics.map(metrics::Listening::open).transpose()?,
        })
    }

    /// Shows a batch with this many inputs, if that is known, from now until the answer is dropped.
    pub fn begin(
        self,
        options: &BatchOptions,
        total: Option<u64>,
        watchers: &mut Watchers,
        console: &Arc<Console>,
    ) -> Shown {
        let live = Arc::new(Live::new(total));
        watchers.push(Arc::<Live>::clone(&live));
        watchers.push(Arc::new(leaks::Leaks::default()));
        console.begin_progress(options.progress, &live);
        ticker::start(console);
        let serving = serve::Serving::start(&live);
        #[cfg(feature = "metrics")]
        let metrics = self.metrics.map(|listening| listening.serve(&live, console));
        Shown {
            live,
            console: Arc::clone(console),
            _serving: serving,
            #[cfg(feature = "metrics")]
            _metrics: metrics,
        }
    }
}

/// A batch that is shown.
#[derive(Debug)]
pub struct Shown {
    live: Arc<Live>,
    console: Arc<Console>,
    _serving: Option<serve::Serving>,
    #[cfg(feature = "metrics")]
    _metrics: Option<metrics::Serving>,
}

impl Shown {
    /// The inputs; those that an earlier run has finished are counted as they pass.
    pub fn counting<I: Stream<Item = Input>>(&self, inputs: I) -> impl Stream<Item = Input> + use<I> {
        let live = Arc::clone(&self.live);
        inputs.inspect(move |input| {
            if matches!(input, Input::Kept { .. }) {
                live.keep();
            }
        })
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.console.end_progress();
    }
}

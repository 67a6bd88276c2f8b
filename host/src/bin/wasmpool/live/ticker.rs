//! The thread that shows how far a batch is as time goes by, and when a signal asks.
//!
//! It lives as long as the program: the handler of a signal stays too, and somebody has to answer it.

#![forbid(unsafe_code)]

use std::io;
use std::sync::{Arc, Once};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::console::Console;

/// Between two drawings.
const DRAW_TIME: Duration = Duration::from_millis(100);

/// Starts it, if it does not run. From then on a signal that asks is answered and ends nobody.
pub fn start(console: &Arc<Console>) {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        if let Err(error) = start_thread(Arc::clone(console)) {
            tracing::warn!("no progress is shown: {error}");
        }
    });
}

fn start_thread(console: Arc<Console>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = {
        let _inside = runtime.enter();
        Signals::listen()?
    };
    let thread = std::thread::Builder::new().name("wasmpool-display".to_owned());
    thread.spawn(move || runtime.block_on(show(&console, signals))).map(drop)
}

struct Signals {
    continued: Signal,
    resized: Signal,
    asked: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            // What stands on the terminal after a stop is the shell's.
            continued: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
            resized: signal(SignalKind::window_change())?,
            asked: signal(SignalKind::user_defined1())?,
        })
    }
}

async fn show(console: &Console, mut signals: Signals) {
    let mut ticks = interval(DRAW_TIME);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = signals.continued.recv() => console.come_back(),
            _ = signals.asked.recv() => console.tell_status(),
            _ = signals.resized.recv() => console.tick(),
            _ = ticks.tick() => console.tick(),
        }
    }
}

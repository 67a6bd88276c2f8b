//! The thread that shows how far a batch is as time goes by, and when a signal asks.
//!
//! It lives as long as the program: the handler of a signal stays too, and somebody has to answer it.

#![forbid(unsafe_code)]

use std::sync::{Arc, Once};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::console::Console;

/// Between two drawings.
const DRAW_TIME: Duration = Duration::from_millis(100);

/// Starts it, if it does not run.
pub fn start(console: &Arc<Console>) {
    static STARTED: Once = Once::new();
    let console = Arc::clone(console);
    STARTED.call_once(|| {
        let thread = std::thread::Builder::new().name("wasmpool-display".to_owned());
        if let Err(error) = thread.spawn(move || run(&console)) {
            tracing::warn!("no progress is shown: there is no thread for it: {error}");
        }
    });
}

fn run(console: &Console) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ran = runtime.and_then(|runtime| runtime.block_on(show(console)));
    if let Err(error) = ran {
        tracing::warn!("no progress is shown: {error}");
    }
}

async fn show(console: &Console) -> std::io::Result<()> {
    // What stands on the terminal after a stop is the shell's.
    let mut continued = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut asked = signal(SignalKind::user_defined1())?;
    let mut ticks = interval(DRAW_TIME);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = continued.recv() => console.come_back(),
            _ = asked.recv() => console.tell_status(),
            _ = resized.recv() => console.tick(),
            _ = ticks.tick() => console.tick(),
        }
    }
}

//! Ctrl-C and SIGTERM: the first asks, the second kills, the third ends this program whatever it waits for.

#![forbid(unsafe_code)]

use std::fmt;

use tokio::signal::unix::{self, SignalKind};
use wasmpool::batch::tally::Interruption;
use wasmpool::exit_code::batch;

use crate::failure::{Failure, OrFailWith};

/// A signal that asks the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, as Ctrl-C sends it.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signal {
    /// The code that a program ends with that was ended by it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => batch::INTERRUPTED,
            Self::Terminate => batch::TERMINATED,
        }
    }

    /// What it means for a batch.
    pub fn interruption(self) -> Interruption {
        match self {
            Self::Interrupt => Interruption::Interrupted,
            Self::Terminate => Interruption::Terminated,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "interrupted",
            Self::Terminate => "terminated",
        })
    }
}

/// The signals that arrive. While it exists they do nothing by themselves.
#[derive(Debug)]
pub struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    first: Option<Signal>,
    count: u32,
}

/// What a signal asks for, by how many came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Start nothing more; running tasks may finish within the grace period.
    Finish,
    /// Kill what runs.
    Kill,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a handler.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| unix::signal(kind).or_fail_with(wasmpool::exit_code::NOT_SET_UP);
        let (interrupt, terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, first: None, count: 0 })
    }

    /// The first signal that came, which decides the exit code.
    pub fn first(&self) -> Option<Signal> {
        self.first
    }

    /// Waits for a signal.
    pub async fn next(&mut self) -> Signal {
        let signal = tokio::select! {
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            Some(()) = self.terminate.recv() => Signal::Terminate,
        };
        self.first.get_or_insert(signal);
        self.count += 1;
        signal
    }

    /// Waits for a signal and says what it asks for. The third one does not return.
    pub async fn next_wish(&mut self) -> Wish {
        let signal = self.next().await;
        match self.count {
            1 => Wish::Finish,
            2 => Wish::Kill,
            // The kernel kills the workers with us.
            _ => std::process::exit(i32::from(self.first.unwrap_or(signal).exit_code())),
        }
    }
}

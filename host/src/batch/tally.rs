//! How a batch stands: counts by exit code, whatever its length, and the code it ends with.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use crate::exit_code::{self, batch};
use crate::outcome::{CancelledBy, Outcome, StartFailure};

/// Why a batch ended before its inputs did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// `--halt`.
    Halted,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// The inputs could not be read to their end.
    InputLost,
    /// Some results could not be kept where they belong.
    ResultLost,
    /// Nobody reads the results any more.
    OutputClosed,
    /// The job log could not be written on.
    LogLost,
}

/// The counts of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    succeeded: u64,
    /// Failed tasks by exit code.
    failed: BTreeMap<u8, u64>,
    /// Inputs that an earlier run has finished, and those of them that failed.
    kept: u64,
    kept_failed: u64,
    /// Tasks that were read but not run to their end because the batch ended.
    left_out: u64,
    /// Failed tasks for which no worker could be set up.
    not_set_up: u64,
    /// Things that tasks left held.
    leaks: u64,
    interruption: Option<Interruption>,
}

impl Tally {
    /// Counts one task.
    pub fn count(&mut self, outcome: &Outcome) {
        match outcome {
            outcome if outcome.is_success() => self.succeeded += 1,
            Outcome::Cancelled(CancelledBy::Batch | CancelledBy::Shutdown) => self.left_out += 1,
            Outcome::Cancelled(CancelledBy::Caller) if self.interruption.is_some() => self.left_out += 1,
            outcome => {
                self.fail(outcome.exit_code());
                self.not_set_up += u64::from(is_not_set_up(outcome));
            }
        }
    }

    /// Counts what a task left held.
    pub fn leak(&mut self, leaks: usize) {
        self.leaks += leaks as u64;
    }

    /// Things that tasks left held: [`Record::leaks`](crate::Record::leaks).
    #[must_use]
    pub fn leaks(&self) -> u64 {
        self.leaks
    }

    /// Counts an input that an earlier run has finished.
    pub fn keep(&mut self, exit_code: u8) {
        self.kept += 1;
        self.kept_failed += u64::from(exit_code != batch::SUCCESS);
    }

    /// Inputs that an earlier run has finished.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// Those of them that failed.
    #[must_use]
    pub fn kept_failed(&self) -> u64 {
        self.kept_failed
    }

    /// Counts an input that never became a task.
    pub fn count_bad_input(&mut self) {
        self.fail(exit_code::USAGE);
    }

    fn fail(&mut self, code: u8) {
        *self.failed.entry(code).or_default() += 1;
    }

    /// Remembers why the batch ends early; the first reason but a signal stays.
    pub fn interrupt(&mut self, interruption: Interruption) {
        let is_signal = matches!(interruption, Interruption::Interrupted | Interruption::Terminated);
        let had_signal =
            matches!(self.interruption, Some(Interruption::Interrupted | Interruption::Terminated));
        if self.interruption.is_none() || (is_signal && !had_signal) {
            self.interruption = Some(interruption);
        }
    }

    /// Why the batch ended early.
    #[must_use]
    pub fn interruption(&self) -> Option<Interruption> {
        self.interruption
    }

    /// Tasks that returned a value or exited with 0.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.succeeded
    }

    /// Tasks that ended in any other way, and bad inputs.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.values().sum()
    }

    /// The failures by exit code.
    pub fn failures(&self) -> impl Iterator<Item = (u8, u64)> {
        self.failed.iter().map(|(code, count)| (*code, *count))
    }

    /// Tasks that were cut off or never started because the batch ended early.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Everything that was counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.succeeded + self.failed() + self.left_out + self.kept
    }

    /// The code that `map` ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let by_results = match self.failed() {
            0 if self.kept_failed == 0 => batch::SUCCESS,
            0 => batch::SOME_FAILED,
            failed if self.succeeded + self.kept == 0 && self.not_set_up == failed => batch::NOT_SET_UP,
            _ => batch::SOME_FAILED,
        };
        match self.interruption {
            Some(Interruption::Interrupted) => batch::INTERRUPTED,
            Some(Interruption::Terminated) => batch::TERMINATED,
            Some(
                Interruption::Halted
                | Interruption::InputLost
                | Interruption::ResultLost
                | Interruption::LogLost,
            ) => batch::INCOMPLETE,
            Some(Interruption::OutputClosed) => by_results,
            None if self.left_out > 0 => batch::INCOMPLETE,
            None => by_results,
        }
    }
}

/// True when the attempt says nothing about the task: the machine could not run any.
fn is_not_set_up(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::StartFailed(failed) => matches!(
            failed.kind,
            StartFailure::Sandbox
                | StartFailure::Worker
                | StartFailure::ForkServerLost
                | StartFailure::VersionMismatch
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::StartFailed;

    fn tally(outcomes: &[Outcome], interruption: Option<Interruption>) -> Tally {
        let mut tally = Tally::default();
        if let Some(interruption) = interruption {
            tally.interrupt(interruption);
        }
        outcomes.iter().for_each(|outcome| tally.count(outcome));
        tally
    }

    #[test]
    fn the_code_of_a_batch_follows_its_results() {
        let ok = Outcome::Exited(0);
        let bad = Outcome::Failed("no".to_owned());
        let no_sandbox =
            Outcome::StartFailed(StartFailed { kind: StartFailure::Sandbox, detail: String::new() });
        let code = |outcomes: &[Outcome]| tally(outcomes, None).exit_code();
        assert_eq!(code(&[]), 0);
        assert_eq!(code(&[ok.clone(), ok.clone()]), 0);
        assert_eq!(code(&[ok.clone(), bad.clone()]), 100);
        assert_eq!(code(&[no_sandbox.clone(), no_sandbox.clone()]), 96);
        assert_eq!(code(&[ok.clone(), no_sandbox.clone()]), 100);
        assert_eq!(code(&[bad, no_sandbox]), 100);
        let mut inputs = tally(&[ok], None);
        inputs.count_bad_input();
        assert_eq!(inputs.exit_code(), 100);
        assert_eq!(inputs.failures().collect::<Vec<_>>(), [(246, 1)]);
    }

    #[test]
    fn what_was_cut_off_is_left_out_and_not_failed() {
        let cut = Outcome::Cancelled(CancelledBy::Batch);
        let halted = tally(&[Outcome::Exited(1), cut.clone()], Some(Interruption::Halted));
        assert_eq!((halted.failed(), halted.left_out(), halted.exit_code()), (1, 1, 106));
        let interrupted = tally(&[Outcome::Cancelled(CancelledBy::Caller)], Some(Interruption::Interrupted));
        assert_eq!((interrupted.left_out(), interrupted.exit_code()), (1, 130));
        assert_eq!(tally(&[cut], None).exit_code(), 106);
    }

    #[test]
    fn a_signal_is_what_a_halted_batch_reports_and_the_first_signal_stays() {
        let mut tally = tally(&[], Some(Interruption::Halted));
        tally.interrupt(Interruption::Terminated);
        tally.interrupt(Interruption::Interrupted);
        assert_eq!(tally.exit_code(), 143);
    }

    #[test]
    fn a_closed_output_ends_quietly() {
        assert_eq!(
            tally(&[Outcome::Cancelled(CancelledBy::Shutdown)], Some(Interruption::OutputClosed)).exit_code(),
            0
        );
        assert_eq!(tally(&[Outcome::Exited(3)], Some(Interruption::OutputClosed)).exit_code(), 100);
    }
}

//! What workers say, checked before it is believed.
//!
//! Nothing received sizes an allocation before it was compared with a limit, and every frame must fit
//! what the worker was asked to do. A worker that speaks out of turn is ended: code 240.

#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Dispatcher;
use super::results::{check_json, take_value};
use crate::limits::{BACKTRACE_FRAMES_MAX, FRAMES_PER_TURN_MAX, LANE_LOOK_TIME, MESSAGE_BYTES_MAX};
use crate::os::socket::Received;
use crate::outcome::LimitKind;
use crate::protocol::frame;
use crate::protocol::worker::{Claim, FromWorker, LogLevel, Stream};
use crate::supervisor::call::Reply;
use crate::supervisor::event::{Command, Event, WorkerId};
use crate::supervisor::line::Line;
use crate::supervisor::observer::Unseen;
use crate::supervisor::output::{Output, OutputChunk, StandardStream};
use crate::supervisor::timers::Timer;
use crate::supervisor::verdict::{Intent, Said};
use crate::supervisor::worker_handle::Stage;

/// What became of a read.
enum Read {
    More,
    /// A frame after which there is rarely another one at once.
    Last,
    Nothing,
    Paused,
}

impl Dispatcher {
    pub(super) fn worker_readable(&mut self, worker: WorkerId) {
        if let Some(entry) = self.workers.get_mut(&worker) {
            entry.clock = None;
        }
        for frame in 0..FRAMES_PER_TURN_MAX {
            // Behind an item of a chunk comes another one.
            if !matches!(self.read_frame(worker, frame > 0), Read::More) {
                return;
            }
        }
        // What is left in a socket is told again, what is left in a lane is not.
        if self.workers.get(&worker).and_then(|entry| entry.line.as_ref()).is_some_and(Line::has_lane) {
            self.unread.push(worker);
        }
    }

    /// Reads what was left for the next turn, and what may have come where nobody is woken for it.
    pub(super) fn read_on(&mut self) {
        let mut left = std::mem::take(&mut self.unread);
        if self.look_at.is_some_and(|at| at <= Instant::now()) {
            self.look_at = None;
            left.append(&mut self.dozing);
        }
        for worker in left {
            self.worker_readable(worker);
        }
    }

    /// Reads everything that an ended worker left in its socket; false when its reader has no room yet.
    pub(super) fn read_last_frames(&mut self, worker: WorkerId) -> bool {
        loop {
            match self.read_frame(worker, false) {
                Read::More | Read::Last => {}
                Read::Nothing => return true,
                Read::Paused => {
                    if let Some(entry) = self.workers.get_mut(&worker) {
                        entry.ended_while_paused = true;
                        // Its end is known; it would be reported again and again.
                        if let Some(child) = &entry.child {
                            self.poller.remove(child);
                        }
                    }
                    return false;
                }
            }
        }
    }

    fn read_frame(&mut self, worker: WorkerId, is_in_flow: bool) -> Read {
        if !self.has_room(worker) {
            return Read::Paused;
        }
        let Some(entry) = self.workers.get_mut(&worker) else { return Read::Nothing };
        let has_next = !entry.ahead.is_empty();
        let dozes = is_in_flow && entry.running().is_some_and(|running| running.calls.len() > 1 || has_next);
        let Some(line) = &mut entry.line else { return Read::Nothing };
        match line.receive(&mut self.buffer, dozes) {
            Ok(Received::Packet(length, descriptors)) => {
                let said = frame::decode(&self.buffer[..length]).map_err(|error| error.to_string());
                // A lane is read to its end, or nobody would be woken for what comes next.
                let is_last = !line.has_lane()
                    && matches!(said, Ok(FromWorker::Started { .. } | FromWorker::Finished { .. }))
                    && entry.running().is_none_or(|running| running.calls.len() == 1);
                let handled = said.and_then(|message| self.worker_said(worker, message, descriptors, length));
                match handled {
                    Ok(()) if is_last => Read::Last,
                    Ok(()) => Read::More,
                    Err(intent) => {
                        self.condemn(worker, Intent::Protocol(intent));
                        self.stop_reading(worker);
                        Read::Nothing
                    }
                }
            }
            Ok(Received::Empty) => {
                if dozes && line.has_lane() {
                    self.dozing.push(worker);
                    self.look_at.get_or_insert_with(|| Instant::now() + LANE_LOOK_TIME);
                }
                Read::Nothing
            }
            Ok(Received::Truncated) => {
                self.condemn(worker, Intent::Protocol("it sent a frame over the limit".to_owned()));
                self.stop_reading(worker);
                Read::Nothing
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                self.condemn(worker, Intent::Protocol(error.to_string()));
                self.stop_reading(worker);
                Read::Nothing
            }
            // The process is ending. One that only closed its socket has no way to say anything more.
            Ok(Received::Closed) | Err(_) => {
                self.stop_reading(worker);
                self.expect_end(worker);
                Read::Nothing
            }
        }
    }

    fn stop_reading(&mut self, worker: WorkerId) {
        self.stop_hearing(worker);
        if let Some(entry) = self.workers.get_mut(&worker) {
            entry.line = None;
        }
    }

    fn expect_end(&mut self, worker: WorkerId) {
        if let Some(entry) = self.workers.get_mut(&worker)
            && entry.child.is_some()
        {
            let phase = entry.phase;
            self.timers
                .set(Instant::now() + crate::limits::EXIT_TIME_MAX, Timer::WorkerAnswer { worker, phase });
        }
    }

    /// False when the reader of the worker's output is behind: then its socket is not read.
    fn has_room(&mut self, worker: WorkerId) -> bool {
        let Some(entry) = self.workers.get_mut(&worker) else { return true };
        if entry.paused {
            return false;
        }
        let Stage::Running(running) = &entry.stage else { return true };
        if running.intent.is_some() {
            // It is being ended: what its reader has no room for is dropped.
            return true;
        }
        let Some(call) = running.call() else { return true };
        let Output::Stream(sink) = &call.output else { return true };
        let inbox = Arc::clone(&self.inbox);
        if sink.has_room_or(move || inbox.post(Event::Command(Command::OutputRoom))) {
            return true;
        }
        entry.paused = true;
        self.stop_hearing(worker);
        self.paused.push(worker);
        false
    }

    fn worker_said(
        &mut self,
        worker: WorkerId,
        message: FromWorker,
        descriptors: Vec<OwnedFd>,
        frame_bytes: usize,
    ) -> Result<(), String> {
        let Some(entry) = self.workers.get_mut(&worker) else { return Ok(()) };
        let Some(running) = entry.running() else {
            return match entry.stage {
                // What it says after its last word is of no interest.
                Stage::Ending(_) => Ok(()),
                _ => Err("it spoke while it had no task".to_owned()),
            };
        };
        match message {
            FromWorker::Started { task } => self.started(worker, task),
            _ if !running.acknowledged => Err("it spoke before it acknowledged the start".to_owned()),
            FromWorker::Finished { task, index, claim, took } => {
                if (task, index) != (running.first_task, running.index) {
                    return Err(format!("it finished call {index} of task {task}, which it does not run"));
                }
                self.finished(worker, claim, took, descriptors)
            }
            FromWorker::Output { stream, bytes } => {
                self.wrote(worker, stream, bytes);
                Ok(())
            }
            FromWorker::Log { level, target, message } => {
                if self.spend_log(worker, frame_bytes) {
                    self.logged(worker, level, &target, &message);
                }
                Ok(())
            }
            FromWorker::Left { grant, held } => {
                if self.spend_log(worker, frame_bytes) {
                    self.left(worker, grant, held)
                } else {
                    Ok(())
                }
            }
            FromWorker::Progress { done, total } => {
                if self.spend_log(worker, frame_bytes) {
                    self.progressed(worker, done, total);
                }
                Ok(())
            }
            FromWorker::Request { request, ask } => self.asked(worker, request, ask, descriptors),
            FromWorker::WaitBegan { wait, on, timed } => self.wait_began(worker, wait, on, timed),
            FromWorker::WaitEnded { wait } => {
                self.wait_is_over(worker, Some(wait));
                Ok(())
            }
            FromWorker::Wake => Ok(()),
        }
    }

    fn started(&mut self, worker: WorkerId, task: u64) -> Result<(), String> {
        let now = Instant::now();
        let Some(entry) = self.workers.get_mut(&worker) else { return Ok(()) };
        let server = entry.server;
        let cpu_before = entry.clock_before();
        let phase = entry.next_phase();
        let Some(running) = entry.running() else { return Ok(()) };
        if running.acknowledged || task != running.first_task {
            return Err(format!("it acknowledged task {task} out of turn"));
        }
        running.acknowledged = true;
        if !running.is_put_off {
            running.facts.started = now;
        }
        running.facts.cpu_before = cpu_before;
        let (stop, asked) = (running.intent.is_some(), running.asked.is_some());
        let grace = asked.then_some(running.shape.limits.grace_period);
        let since = running.facts.started;
        entry.tell_started(None);
        self.begin_time(worker, since);
        if let Some(grace) = grace {
            self.timers.set_after(now, grace, Timer::Grace { worker, phase });
        }
        if stop {
            // It was cancelled between its start frame and the acknowledgement.
            self.interrupt(worker);
        }
        if let Some(server) = self.servers.get_mut(&server) {
            server.failures = 0;
            server.idle_deaths = 0;
        }
        Ok(())
    }

    fn finished(
        &mut self,
        worker: WorkerId,
        claim: Claim,
        took: Duration,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), String> {
        let Some(running) = self.workers.get_mut(&worker).and_then(|entry| entry.running()) else {
            return Ok(());
        };
        check_claim(&claim)?;
        match claim {
            Claim::Returned { encoding, body } => {
                let value = take_value(
                    encoding,
                    body,
                    descriptors,
                    running.shape.limits.result_bytes,
                    &mut self.small_values,
                )?;
                check_json(&value)?;
                if let Some(value) = self.item_said(worker, value, took) {
                    self.call_said(worker, Said::Value(value), took, true);
                }
            }
            claim @ Claim::Failed { .. } => self.call_said(worker, Said::Else(claim), took, true),
            claim => self.call_said(worker, Said::Else(claim), took, false),
        }
        Ok(())
    }

    fn wrote(&mut self, worker: WorkerId, stream: Stream, bytes: Vec<u8>) {
        let Some(running) = self.workers.get_mut(&worker).and_then(|entry| entry.running()) else { return };
        let Some(call) = running.calls.front().filter(|call| !call.is_answered()) else { return };
        let limits = &running.shape.limits;
        let limit = match &call.output {
            Output::Discard => return,
            Output::Stream(_) => limits.streamed_output_bytes.unwrap_or(u64::MAX),
            Output::Capture => limits.output_bytes,
        };
        let room = limit.saturating_sub(running.facts.output_bytes);
        let fits = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let over = fits < bytes.len();
        running.facts.output_bytes += bytes.len() as u64;
        if let Output::Stream(sink) = &call.output {
            if running.intent.is_some() && !sink.has_room() {
                return;
            }
            let (task, name) = (call.task, Arc::clone(&call.name));
            let bytes = Bytes::from(bytes).slice(..fits);
            sink.push(OutputChunk { task, name, stream: standard_stream(stream), bytes, end: false });
        } else {
            running.facts.captured(stream).extend_from_slice(&bytes[..fits]);
        }
        if over {
            let detail = format!("more than {limit} bytes were written");
            self.condemn(worker, Intent::Limit(LimitKind::Output, detail));
        }
    }

    /// Counts a log or progress frame; false when the task has used up what it may send.
    fn spend_log(&mut self, worker: WorkerId, frame_bytes: usize) -> bool {
        let Some(running) = self.workers.get_mut(&worker).and_then(|entry| entry.running()) else {
            return false;
        };
        running.facts.log_bytes += frame_bytes as u64;
        let limit = running.shape.limits.log_bytes;
        if running.facts.log_bytes <= limit {
            return true;
        }
        let detail = format!("log records and progress reports of more than {limit} bytes");
        self.condemn(worker, Intent::Limit(LimitKind::Log, detail));
        false
    }

    fn logged(&mut self, worker: WorkerId, level: LogLevel, target: &str, message: &str) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let pid = entry.pid();
        let Some(call) = entry.running().and_then(|running| running.call()) else { return };
        let task = &*call.name;
        // A span for each task, with the guest's own target as a field: tracing's are static.
        let _span = tracing::info_span!(target: "wasmpool::guest", "task", task, attempt = call.attempt, id = call.task, pid).entered();
        match level {
            LogLevel::Trace => tracing::trace!(target: "wasmpool::guest", module = target, "{message}"),
            LogLevel::Debug => tracing::debug!(target: "wasmpool::guest", module = target, "{message}"),
            LogLevel::Info => tracing::info!(target: "wasmpool::guest", module = target, "{message}"),
            LogLevel::Warn => tracing::warn!(target: "wasmpool::guest", module = target, "{message}"),
            LogLevel::Error => tracing::error!(target: "wasmpool::guest", module = target, "{message}"),
        }
    }

    fn progressed(&mut self, worker: WorkerId, done: u64, total: Option<u64>) {
        let Some(running) = self.workers.get_mut(&worker).and_then(|entry| entry.running()) else { return };
        running.facts.progress = Some((done, total));
        if let Some(call) = running.call()
            && let Some(Reply::Handle(handle)) = &call.reply
        {
            handle.set_progress(done, total);
        }
        if let Some(call) = running.calls.front().filter(|call| !call.is_answered())
            && let Some(observer) = &call.observer
        {
            let unseen = running.facts.unseen.get_or_insert_with(|| Unseen::new(call.task, call.tag));
            observer.progressed(unseen, done, total);
        }
    }
}

fn standard_stream(stream: Stream) -> StandardStream {
    match stream {
        Stream::Stdout => StandardStream::Stdout,
        Stream::Stderr => StandardStream::Stderr,
    }
}

/// What a worker says in words stays with the record, so it is held to what a worker of ours would say.
fn check_claim(claim: &Claim) -> Result<(), String> {
    let (texts, backtrace) = match claim {
        Claim::Returned { .. } | Claim::Exited { .. } => return Ok(()),
        Claim::Failed { message: text }
        | Claim::LimitExceeded { detail: text, .. }
        | Claim::NotStarted { detail: text, .. } => ([Some(text), None, None], 0),
        Claim::Trapped { trap, denied } => {
            let panic = trap.panic.as_ref().map(|panic| &panic.message);
            ([Some(&trap.message), panic, denied.as_ref().map(|(_, detail)| detail)], trap.backtrace.len())
        }
        Claim::Interrupted { backtrace } => ([None; 3], backtrace.len()),
    };
    if texts.iter().flatten().any(|text| text.len() > MESSAGE_BYTES_MAX) {
        return Err(format!("a message of its was over the limit of {MESSAGE_BYTES_MAX} bytes"));
    }
    if backtrace > BACKTRACE_FRAMES_MAX {
        return Err(format!("its backtrace has {backtrace} frames, the limit is {BACKTRACE_FRAMES_MAX}"));
    }
    Ok(())
}

/// The lowest level of guest records that anybody listens to.
pub(super) fn log_level_max() -> Option<LogLevel> {
    use tracing::level_filters::LevelFilter;
    match LevelFilter::current() {
        LevelFilter::OFF => None,
        LevelFilter::ERROR => Some(LogLevel::Error),
        LevelFilter::WARN => Some(LogLevel::Warn),
        LevelFilter::INFO => Some(LogLevel::Info),
        LevelFilter::DEBUG => Some(LogLevel::Debug),
        _ => Some(LogLevel::Trace),
    }
}

/// The limits of a call by default, for tests of this module.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_record_keeps_more_words_than_a_worker_may_say() {
        use crate::outcome::{Panic, Trap, TrapKind, WasmFrame};
        let text = |bytes: usize| "x".repeat(bytes);
        let trap = |message: usize, frames: usize, panic: usize| {
            let frame = WasmFrame { function: String::new(), module_offset: None };
            let panic = Panic { message: text(panic), file: String::new(), line: 1, column: 1 };
            let (kind, message) = (TrapKind::Unreachable, text(message));
            Box::new(Trap {
                kind,
                message,
                backtrace: vec![frame; frames],
                panic: Some(panic),
                before_task: None,
            })
        };
        let trapped = |message, frames, panic, denied| Claim::Trapped {
            trap: trap(message, frames, panic),
            denied: Some((LimitKind::Memory, text(denied))),
        };
        let interrupted = |frames| Claim::Interrupted { backtrace: trap(0, frames, 0).backtrace.clone() };
        let (most, frames) = (MESSAGE_BYTES_MAX, BACKTRACE_FRAMES_MAX);
        for claim in
            [Claim::Failed { message: text(most) }, trapped(most, frames, most, most), interrupted(frames)]
        {
            assert_eq!(check_claim(&claim), Ok(()));
        }
        for claim in [
            Claim::Failed { message: text(most + 1) },
            Claim::LimitExceeded { kind: LimitKind::Fuel, detail: text(most + 1) },
            Claim::NotStarted { kind: crate::outcome::StartFailure::Worker, detail: text(most + 1) },
            trapped(most + 1, 0, 0, 0),
            trapped(0, frames + 1, 0, 0),
            trapped(0, 0, most + 1, 0),
            trapped(0, 0, 0, most + 1),
            interrupted(frames + 1),
        ] {
            assert!(check_claim(&claim).unwrap_err().contains("limit"));
        }
    }
}

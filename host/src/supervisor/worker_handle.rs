//! One worker as the dispatcher holds it. Dropping it kills and reaps the process.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::BytesMut;

use crate::os::child::Child;
use crate::outcome::{CancelledBy, Leak, Outcome, Record};
use crate::policy::Layers;
use crate::protocol::worker::{Stream, WaitOn};
use crate::supervisor::call::{Assignment, Call, CallShape};
use crate::supervisor::cgroup::PoolGroup;
use crate::supervisor::event::{PoolId, ProcessId, WorkerId};
use crate::supervisor::fork_client::ServerId;
use crate::supervisor::line::Line;
use crate::supervisor::observer::{AttemptEvent, Unseen};
use crate::supervisor::scheduler::Rank;
use crate::supervisor::timers::Deadline;
use crate::supervisor::verdict::{Evidence, Intent, Said, or_cpu_time, or_deadlock, verdict};
use crate::sync::{Departure, Token};

/// A worker from the request to fork it to its end.
#[derive(Debug)]
pub(super) struct WorkerHandle {
    pub(super) pool: PoolId,
    pub(super) server: ServerId,
    /// The fork server it came from; its process group outlives its workers.
    pub(super) origin: Option<ProcessId>,
    pub(super) child: Option<Child>,
    pub(super) line: Option<Line>,
    /// Its socket is watched.
    pub(super) is_heard: bool,
    /// When it will be, where that was put off.
    pub(super) hearing: Option<Deadline>,
    pub(super) layers: Layers,
    /// The cgroup it is in, which goes after it was reaped.
    pub(super) group: Option<Arc<PoolGroup>>,
    /// Its CPU clock as it was read in this turn, and how much of it was told of calls.
    pub(super) clock: Option<Duration>,
    pub(super) clock_told: Duration,
    /// Assignments it has ended.
    pub(super) assignments: usize,
    pub(super) stage: Stage,
    /// Grows with each stage and call, so that an old deadline means nothing.
    pub(super) phase: u64,
    /// Its socket is not read, because the reader of its output is behind.
    pub(super) paused: bool,
    /// It ended while paused.
    pub(super) ended_while_paused: bool,
    /// What its attempt may hold in shared memory.
    pub(super) holding: Option<Holding>,
    /// What it is to run after that, as far as it was not taken back.
    pub(super) ahead: VecDeque<Ahead>,
    /// What its guest waits for.
    pub(super) waiting: Option<Waiting>,
    /// Its guest waits, and another assignment may run in its place.
    pub(super) lent: bool,
    /// The tasks that its guest submitted and has not seen the end of.
    pub(super) nested: BTreeMap<u64, Nested>,
}

/// Who an assignment is in shared memory, and to what it was given access.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) token: Token,
    pub(super) task: u64,
    pub(super) shape: Arc<CallShape>,
    pub(super) departure: Departure,
}

/// A wait that the worker told of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) number: u64,
    pub(super) on: WaitOn,
    /// It ends by itself one day.
    pub(super) timed: bool,
    /// When it was told that it is part of a deadlock.
    pub(super) told: Option<Instant>,
}

/// A task that a guest submitted.
#[derive(Debug)]
pub(super) enum Nested {
    /// It waits or runs. The number of the request that waits for its end, and its arguments' bytes; `file`: they
    /// lie in a memory file.
    Outstanding { join: Option<u64>, bytes: u64, file: bool },
    /// It ended, and nobody has asked yet.
    Ended(Box<Record>),
    /// It ended, and there was no room yet for the answer to this request.
    Late { join: u64, record: Box<Record> },
}

/// What a worker is doing.
#[derive(Debug)]
pub(super) enum Stage {
    Starting,
    Idle,
    Running(Box<Running>),
    /// It has nothing more to do and is to end; the last call waits for the kernel's word.
    Ending(Option<Box<Ended>>),
}

/// An assignment that a worker was given.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) worker: WorkerId,
    pub(super) shape: Arc<CallShape>,
    /// Task number of the first call, which names the assignment on the wire.
    pub(super) first_task: u64,
    pub(super) rank: Rank,
    /// The running call and those after it. Those whose callers were answered already keep their places.
    pub(super) calls: VecDeque<Call>,
    /// Index of the running call.
    pub(super) index: u32,
    /// The worker's last assignment.
    pub(super) last: bool,
    pub(super) acknowledged: bool,
    /// What it says is heard late, so its time begins with the assignment.
    pub(super) is_put_off: bool,
    /// Its number in the lane, if it was given ahead: until it is taken there, it can be taken back.
    pub(super) number: Option<u32>,
    /// It has run for a while, and nothing is given to its worker ahead.
    pub(super) is_long: bool,
    pub(super) facts: Facts,
    pub(super) intent: Option<Intent>,
    /// Who asked the running call to stop by itself within its grace period.
    pub(super) asked: Option<CancelledBy>,
    /// The cycle that a wait of the running call was ended with.
    pub(super) deadlock: Option<String>,
    /// The running call is to be killed for chaos, whatever it says.
    pub(super) is_doomed: bool,
    /// It was killed as it gave its result: that it ended by itself before the kill makes no difference.
    pub(super) is_silenced: bool,
}

impl Running {
    /// An assignment that was just given.
    pub(super) fn new(
        worker: WorkerId,
        rank: Rank,
        assignment: Assignment,
        last: bool,
        now: Instant,
    ) -> Self {
        let Assignment { shape, calls } = assignment;
        Self {
            worker,
            shape,
            first_task: calls.first().map_or(0, |call| call.task),
            rank,
            calls: calls.into(),
            index: 0,
            last,
            acknowledged: false,
            is_put_off: false,
            number: None,
            is_long: false,
            facts: Facts::new(now, Duration::ZERO),
            intent: None,
            asked: None,
            deadlock: None,
            is_doomed: false,
            is_silenced: false,
        }
    }

    /// The running call, if its caller waits for it.
    pub(super) fn call(&self) -> Option<&Call> {
        self.calls.front().filter(|call| !call.is_answered())
    }

    /// The running call and those after it whose callers wait for them.
    pub(super) fn open_calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| !call.is_answered())
    }
}

/// An assignment that a worker was given before the one that runs has ended.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Its number in the lane.
    pub(super) number: u32,
    pub(super) running: Box<Running>,
    pub(super) holding: Holding,
}

/// What was seen of the running call.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) started: Instant,
    /// By the wall clock; `None` until it was acknowledged.
    pub(super) started_at: Option<SystemTime>,
    pub(super) cpu_before: Duration,
    pub(super) stdout: BytesMut,
    pub(super) stderr: BytesMut,
    pub(super) output_bytes: u64,
    pub(super) log_bytes: u64,
    pub(super) progress: Option<(u64, Option<u64>)>,
    /// The progress on its way to the observer.
    pub(super) unseen: Option<Arc<Unseen>>,
    /// What it did not give back itself.
    pub(super) leaks: Vec<Leak>,
}

impl Facts {
    pub(super) fn new(now: Instant, cpu_before: Duration) -> Self {
        Self {
            started: now,
            started_at: None,
            cpu_before,
            stdout: BytesMut::new(),
            stderr: BytesMut::new(),
            output_bytes: 0,
            log_bytes: 0,
            progress: None,
            unseen: None,
            leaks: Vec::new(),
        }
    }

    pub(super) fn captured(&mut self, stream: Stream) -> &mut BytesMut {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

/// A call that ended, before its verdict.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) worker: WorkerId,
    pub(super) call: Call,
    pub(super) shape: Arc<CallShape>,
    pub(super) said: Option<Said>,
    pub(super) intent: Option<Intent>,
    pub(super) facts: Facts,
    pub(super) wall_time: Duration,
    pub(super) deadlock: Option<String>,
    /// It was asked to stop.
    pub(super) asked: bool,
    /// It was to be killed for chaos.
    pub(super) is_doomed: bool,
}

/// What the clocks show for a call that ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    pub(super) wall_time: Duration,
    pub(super) ended_at: Instant,
    /// CPU time of the worker until then.
    pub(super) cpu_time: Duration,
}

/// The kernel's numbers for a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) evidence: Evidence,
    /// CPU time of the worker so far.
    pub(super) cpu_time: Duration,
    pub(super) peak_memory_bytes: Option<u64>,
}

impl Ended {
    /// The call with the record that its caller gets.
    pub(super) fn judge(self, pid: Option<u32>, layers: Layers, measured: Measured) -> (Call, Box<Record>) {
        let Self { worker, call, shape, said, intent, facts, wall_time, deadlock, is_doomed, .. } = self;
        let cpu_time = measured.cpu_time.saturating_sub(facts.cpu_before);
        let outcome = or_deadlock(verdict(said, intent, measured.evidence), deadlock);
        let outcome = or_cpu_time(outcome, cpu_time, shape.limits.cpu_time);
        let chaos = is_doomed && outcome == Outcome::Killed(libc::SIGKILL);
        let record = Box::new(Record {
            task: call.task,
            tag: call.tag,
            name: Arc::clone(&call.name),
            attempt: call.attempt,
            outcome,
            pid,
            worker: Some(worker),
            queued_at: call.queued_at,
            started_at: facts.started_at,
            wall_time,
            cpu_time,
            peak_memory_bytes: measured.peak_memory_bytes,
            layers,
            stdout: facts.stdout.freeze(),
            stderr: facts.stderr.freeze(),
            progress: facts.progress,
            leaks: facts.leaks,
            chaos,
        });
        (call, record)
    }
}

impl WorkerHandle {
    pub(super) fn new(pool: PoolId, server: ServerId) -> Self {
        Self {
            pool,
            server,
            origin: None,
            child: None,
            line: None,
            clock: None,
            clock_told: Duration::ZERO,
            is_heard: false,
            hearing: None,
            layers: Layers::default(),
            group: None,
            assignments: 0,
            stage: Stage::Starting,
            phase: 0,
            paused: false,
            ended_while_paused: false,
            holding: None,
            ahead: VecDeque::new(),
            waiting: None,
            lent: false,
            nested: BTreeMap::new(),
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::pid)
    }

    pub(super) fn kill(&self) {
        if let Some(child) = &self.child {
            child.kill();
        }
    }

    pub(super) fn cpu_time(&self) -> Duration {
        self.child.as_ref().and_then(Child::cpu_time).unwrap_or_default()
    }

    fn has_lane(&self) -> bool {
        self.line.as_ref().is_some_and(Line::has_lane)
    }

    /// What the CPU clock shows as an assignment begins.
    pub(super) fn clock_before(&mut self) -> Duration {
        let is_limited = self.running().is_some_and(|running| running.shape.limits.cpu_time.is_some());
        match (is_limited, self.has_lane()) {
            (false, true) => self.clock_told,
            // What a worker that was just forked has used until here is next to nothing, unless somebody is held to it.
            (false, false) if self.assignments == 0 && self.origin.is_some() => Duration::ZERO,
            _ => self.cpu_time(),
        }
    }

    /// What the clocks show for the running call, which has said that it ended.
    ///
    /// Calls that are heard of together, through a lane, are told apart by what the worker says they `took`, as far as that
    /// fits between what was seen here. Each has at most as much of the CPU time as it took.
    pub(super) fn clocks(&mut self, took: Duration, now: Instant) -> Option<Clocks> {
        let has_lane = self.has_lane();
        let running = self.running()?;
        let (started, before) = (running.facts.started, running.facts.cpu_before);
        let is_limited = running.shape.limits.cpu_time.is_some();
        // One that ends now is asked by the kernel's word on its end.
        let ends = running.last && running.calls.len() == 1;
        let until_now = now.saturating_duration_since(started);
        let wall_time = if has_lane { took.min(until_now) } else { until_now };
        let cpu_time = match has_lane && !is_limited {
            _ if ends => Duration::ZERO,
            true => {
                let clock = self.clock.unwrap_or_else(|| self.cpu_time());
                self.clock = Some(clock);
                before + clock.saturating_sub(before).min(wall_time)
            }
            false => self.cpu_time(),
        };
        self.clock_told = cpu_time;
        Some(Clocks { wall_time, ended_at: started + wall_time, cpu_time })
    }

    pub(super) fn running(&mut self) -> Option<&mut Running> {
        match &mut self.stage {
            Stage::Running(running) => Some(running),
            _ => None,
        }
    }

    /// The running call begins, at this time if it is known: whoever watches it is told.
    pub(super) fn tell_started(&mut self, at: Option<SystemTime>) {
        let pid = self.pid();
        let Some(running) = self.running() else { return };
        let at = at.unwrap_or_else(|| SystemTime::now() - running.facts.started.elapsed());
        running.facts.started_at = Some(at);
        let worker = running.worker;
        let Some(call) = running.call() else { return };
        if let Some(observer) = &call.observer {
            let (task, tag, name, attempt) = (call.task, call.tag, Arc::clone(&call.name), call.attempt);
            observer.started(AttemptEvent::Started { task, tag, name, attempt, pid, worker, at });
        }
    }

    /// A new phase: deadlines of the old one mean nothing any more.
    pub(super) fn next_phase(&mut self) -> u64 {
        self.phase += 1;
        self.phase
    }
}

//! Fork servers that fail: what was asked of them is asked again, later and later, or given up.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::Dispatcher;
use crate::limits::START_FAILURES_MAX;
use crate::os::child::{Child, ExitStatus};
use crate::outcome::{Outcome, StartFailed, StartFailure};
use crate::supervisor::event::{ProcessId, WorkerId};
use crate::supervisor::fork_client::{Purpose, Server, ServerId, Stage, StartRequest};
use crate::supervisor::timers::Timer;

/// The wait after the first failure to get a worker; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(10);

impl Dispatcher {
    pub(super) fn fork_failed(&mut self, server: ServerId, worker: WorkerId, reason: String) {
        self.request_again(server, worker);
        // Of several forks that were asked for together one counts.
        let counted = |entry: &Server| entry.retry_at.is_some_and(|at| at > Instant::now());
        if !self.servers.get(&server).is_some_and(counted) {
            self.server_failed(server, StartFailure::Worker, format!("fork failed: {reason}"));
        }
    }

    /// Puts a worker that was asked for back among what is pending.
    fn request_again(&mut self, server: ServerId, worker: WorkerId) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let pool = entry.pool;
        entry.line = None;
        self.back_to_pending(server, StartRequest { pool, worker });
    }

    /// The artifact could not be loaded or linked. It will not be another time, so its tasks fail.
    pub(super) fn load_failed(&mut self, process: ProcessId, outcome: Outcome) {
        if self.is_successor(process) {
            return self.successor_failed(process, &outcome);
        }
        let Some(server) = self.take_requests_back(process) else { return };
        self.give_up(server, &outcome);
    }

    /// A fork server (or a spawned worker before it was ready) is gone; what was asked of it is asked again.
    pub(super) fn server_lost(&mut self, process: ProcessId, kind: StartFailure, reason: String) {
        let retired = self.processes.get(&process).is_none_or(|entry| entry.stage == Stage::Retired);
        if retired {
            // Nothing is wanted of it, so whatever it says or floods us with is none of its business.
            let Some(entry) = self.processes.get(&process) else { return };
            self.poller.remove(&entry.socket);
            return entry.child.iter().for_each(Child::kill);
        }
        if self.is_successor(process) {
            return self.successor_failed(process, &reason);
        }
        let Some(server) = self.take_requests_back(process) else { return };
        self.server_failed(server, kind, reason);
    }

    fn take_requests_back(&mut self, process: ProcessId) -> Option<ServerId> {
        let entry = self.processes.get_mut(&process)?;
        let server = entry.server()?;
        let mut asked: Vec<WorkerId> = entry.asked.drain(..).collect();
        if let Purpose::Spawned { request, .. } = entry.purpose {
            asked.push(request.worker);
        }
        if let Some(child) = &entry.child {
            child.kill();
        }
        for worker in asked.into_iter().rev() {
            self.request_again(server, worker);
        }
        self.retire_fork_server(process);
        Some(server)
    }

    /// One more failure in a row to get a worker: try again later, or give up.
    pub(super) fn server_failed(&mut self, server: ServerId, kind: StartFailure, detail: String) {
        let Some(entry) = self.servers.get_mut(&server) else { return };
        entry.failures += 1;
        entry.failed_at = self.next_id;
        tracing::warn!(
            module = entry.module.name,
            failures = entry.failures,
            detail,
            "no worker could be had"
        );
        if entry.failures >= START_FAILURES_MAX {
            let detail = format!("{detail} ({START_FAILURES_MAX} failures in a row)");
            return self.give_up(server, &Outcome::StartFailed(StartFailed { kind, detail }));
        }
        let wait = FIRST_RETRY * 2_u32.pow(entry.failures - 1);
        self.retry_later(server, wait);
    }

    /// A worker died before it began its task. Of several that died together one counts: failures in a row
    /// are of workers that were asked for one after the other.
    pub(super) fn worker_never_began(&mut self, worker: WorkerId, server: ServerId, status: ExitStatus) {
        if self.servers.get(&server).is_some_and(|entry| worker > entry.failed_at) {
            let detail = format!("a worker ended before it began: {status:?}");
            self.server_failed(server, StartFailure::Worker, detail);
        }
    }

    /// A worker died while it waited for a task, so nobody is to blame and no task fails. More of them come
    /// ever more slowly, or a worker that cannot live would be forked again and again.
    pub(super) fn idle_worker_lost(&mut self, server: ServerId, status: ExitStatus) {
        let Some(entry) = self.servers.get_mut(&server) else { return };
        tracing::warn!(module = entry.module.name, ?status, "a worker ended while it waited for a task");
        let wait = FIRST_RETRY * 2_u32.pow(entry.idle_deaths);
        entry.idle_deaths = (entry.idle_deaths + 1).min(START_FAILURES_MAX);
        self.retry_later(server, wait);
    }

    fn retry_later(&mut self, server: ServerId, wait: Duration) {
        let Some(entry) = self.servers.get_mut(&server) else { return };
        let at = Instant::now() + wait;
        entry.retry_at = Some(at);
        self.timers.set(at, Timer::ServerRetry { server });
    }

    /// Everything that waits for this server ends like this. Later tasks try again.
    pub(super) fn give_up(&mut self, server: ServerId, outcome: &Outcome) {
        let Some(entry) = self.servers.get_mut(&server) else { return };
        entry.failures = 0;
        entry.retry_at = None;
        for request in std::mem::take(&mut entry.pending) {
            self.workers.remove(&request.worker);
            if let Some(pool) = self.pools.get_mut(&request.pool) {
                pool.scheduler.start_failed(server);
            }
        }
        for pool in self.pools.keys().copied().collect::<Vec<_>>() {
            if let Some(pool) = self.pools.get_mut(&pool) {
                pool.scheduler.give_up(server);
            }
            self.fail_waiting(pool, server, outcome);
            self.pump(pool);
        }
    }
}

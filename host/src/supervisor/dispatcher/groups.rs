//! Cgroups of pools: which tasks are in which, who is gone with one, and which deaths it explains.

#![forbid(unsafe_code)]

use std::sync::Arc;

use super::Dispatcher;
use crate::os::child::ExitStatus;
use crate::outcome::{LimitKind, StartFailed, StartFailure};
use crate::policy::{Layer, SandboxMode};
use crate::supervisor::cgroup::PoolGroup;
use crate::supervisor::event::PoolId;
use crate::supervisor::fork_client::{Process, ServerId};
use crate::supervisor::verdict::Intent;
use crate::supervisor::worker_handle::{Stage, WorkerHandle};

impl Dispatcher {
    /// The group for tasks of this mode.
    pub(super) fn group_of(&self, pool: PoolId, mode: SandboxMode) -> Result<Option<Arc<PoolGroup>>, String> {
        self.pools.get(&pool).map_or(Ok(None), |pool| pool.settings.enclosure.for_mode(mode))
    }

    /// The pool is gone: nobody else may use the servers in its group. They end after their last workers, and the
    /// group with them.
    pub(super) fn forget_enclosed_servers(&mut self, pool: PoolId) {
        let enclosed = self.server_ids.extract_if(|key, _| key.enclosed == Some(pool));
        let enclosed: Vec<ServerId> = enclosed.map(|(_, server)| server).collect();
        for server in enclosed {
            // It may have a successor.
            while let Some(process) = self.servers.get(&server).and_then(|server| server.process) {
                self.retire_fork_server(process);
            }
            self.servers.remove(&server);
        }
    }
}

/// What tasks are told that may not run without their pool's group.
pub(super) fn without_group(cause: &str) -> StartFailed {
    let detail = format!("the layer `{}` cannot be entered: {cause}", Layer::Cgroup.label());
    StartFailed { kind: StartFailure::Sandbox, detail }
}

/// How an exec'ed process ended, after the words "the process".
pub(super) fn how_it_ended(process: &Process) -> String {
    let killed = process.child.as_ref().and_then(|child| child.peek()).is_some_and(is_kill);
    let explained = process.group.as_ref().filter(|_| killed).and_then(|group| group.explain_kill());
    explained.map_or("it ended".to_owned(), |kill| format!("it was {kill}"))
}

/// A worker has ended. When the kernel killed it for its pool's memory, that is how its task ended.
pub(super) fn explain_death(worker: &mut WorkerHandle, status: ExitStatus) {
    let is_ours = match &worker.stage {
        Stage::Running(running) => running.intent.is_some() || running.is_doomed,
        Stage::Ending(ended) => ended.as_ref().is_none_or(|ended| ended.intent.is_some()),
        Stage::Starting | Stage::Idle => false,
    };
    if !is_kill(status) {
        return;
    }
    if is_ours {
        return worker.group.iter().for_each(|group| group.note_own_kill());
    }
    let Some(detail) = worker.group.as_ref().and_then(|group| group.explain_kill()) else { return };
    // One that never began has no task to blame; it only used up the kernel's explanation.
    if let Some(running) = worker.running().filter(|running| running.acknowledged) {
        running.intent = Some(Intent::Limit(LimitKind::PoolMemory, detail));
    }
}

fn is_kill(status: ExitStatus) -> bool {
    status == ExitStatus::Signaled(libc::SIGKILL)
}

//! Tasks that submit tasks: `wasmpool:task/pool`, and the same for core modules.
//!
//! A join that times out leaves its request with the supervisor; the next join of the same task waits for
//! the reply to that one. So a result is never given to a request that nobody waits for any more.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use wasmtime::component::{Linker, WasmList, WasmStr};

use super::waits::Patience;
use super::{HostState, Session, Store, dict};
use crate::limits::{NAME_BYTES_MAX, NESTED_TASKS_MAX};
use crate::protocol::worker::{Ask, JoinFailure, Reply, WaitOn};
use crate::sync::Stop;
use crate::worker::body;
use crate::worker::engine::{Failure, JoinError};

const INTERFACE: &str = "wasmpool:task/pool@0.1.0";

/// What became of joins that a guest began.
#[derive(Debug, Default)]
pub(super) struct Joins {
    /// Submitted tasks, with the request that asks for the end of each.
    asked: Vec<(u64, u64)>,
    /// For core modules: results that did not fit the guest's buffer.
    kept: Vec<(u64, Vec<u8>)>,
}

impl Session {
    /// Submits a task; its number, or why it was not taken.
    pub(super) fn submit(&self, task: &str, args: &[u8]) -> Result<u64, String> {
        if task.len() > NAME_BYTES_MAX {
            return Err(format!("a task's name has at most {NAME_BYTES_MAX} bytes, not {}", task.len()));
        }
        let stored = body::outgoing(args);
        let (args, file) = stored.map_err(|error| format!("the arguments could not be stored: {error}"))?;
        let files: Vec<BorrowedFd<'_>> = file.iter().map(AsFd::as_fd).collect();
        let request = self.link.request(Ask::Submit { export: task.to_owned(), args }, &files);
        match self.reply(request).map_err(|error| error.to_string())? {
            Reply::Submitted(submitted) => submitted,
            _ => Err(dict::unexpected().to_string()),
        }
    }

    /// Waits for the end of a submitted task.
    pub(super) fn join(&self, task: u64, timeout_ms: u32) -> Result<Vec<u8>, JoinError> {
        let request = self.join_request(task)?;
        // In a pool of one, what is waited for cannot begin before.
        let mut patience = Patience::for_long(self.waiter(), timeout_ms);
        let (reply, descriptors) = loop {
            if let Some(replied) = self.link.take_reply(request) {
                break replied;
            }
            let time = patience.sleep_at_most(WaitOn::Task { task }, true).map_err(stopped)?;
            self.link.sleep(time);
        };
        self.joins.borrow_mut().asked.retain(|(asked, _)| *asked != task);
        self.joined(reply, descriptors)
    }

    /// The request that asks for the end of this task: an earlier one, or a new one.
    fn join_request(&self, task: u64) -> Result<u64, JoinError> {
        let asked = &mut self.joins.borrow_mut().asked;
        if let Some((_, request)) = asked.iter().find(|(number, _)| *number == task) {
            return Ok(*request);
        }
        if asked.len() >= NESTED_TASKS_MAX {
            return Err(JoinError::Other(format!("{NESTED_TASKS_MAX} joins wait already")));
        }
        let request = self.link.request(Ask::Join { task }, &[]);
        asked.push((task, request));
        Ok(request)
    }

    fn joined(&self, reply: Reply, descriptors: Vec<OwnedFd>) -> Result<Vec<u8>, JoinError> {
        match reply {
            Reply::Joined(Ok(result)) => {
                let taken = body::incoming(result, descriptors, self.result_bytes);
                taken.map_err(|error| JoinError::Other(format!("the result could not be read: {error}")))
            }
            Reply::Joined(Err(JoinFailure::Ended { exit_code, message })) => {
                Err(JoinError::Failed(Failure { exit_code: exit_code.into(), message }))
            }
            Reply::Joined(Err(JoinFailure::NotFound)) => Err(JoinError::NotFound),
            _ => Err(JoinError::Other(dict::unexpected().to_string())),
        }
    }

    /// Keeps the result of a task for another join of it.
    pub(super) fn keep(&self, task: u64, result: Vec<u8>) {
        self.joins.borrow_mut().kept.push((task, result));
    }

    /// The result that was kept.
    pub(super) fn take_kept(&self, task: u64) -> Option<Vec<u8>> {
        let kept = &mut self.joins.borrow_mut().kept;
        let at = kept.iter().position(|(number, _)| *number == task)?;
        Some(kept.swap_remove(at).1)
    }

    /// Stops a submitted task.
    pub(super) fn cancel(&self, task: u64) {
        self.link.tell(Ask::Cancel { task });
    }
}

fn stopped(stop: Stop) -> JoinError {
    match stop {
        Stop::TimedOut => JoinError::TimedOut,
        Stop::Cancelled => JoinError::Cancelled,
        Stop::Deadlock(cycle) => JoinError::Deadlock(cycle),
        Stop::Stuck => JoinError::Other("it cannot be waited for".to_owned()),
    }
}

/// Offers components the interface.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut pool = linker.instance(INTERFACE)?;
    pool.func_wrap("submit", |store: Store<'_>, (task, args): (WasmStr, WasmList<u8>)| {
        let task = task.to_str(&store)?;
        Ok((store.data().shared.submit(&task, args.as_le_slice(&store)),))
    })?;
    pool.func_wrap("join", |store: Store<'_>, (task, timeout_ms): (u64, u32)| {
        Ok((store.data().shared.join(task, timeout_ms),))
    })?;
    pool.func_wrap("cancel", |store: Store<'_>, (task,): (u64,)| {
        store.data().shared.cancel(task);
        Ok(())
    })
}

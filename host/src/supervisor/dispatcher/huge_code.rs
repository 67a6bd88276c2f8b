//! The program's code in huge pages: made once for all fork servers, and only when it is worth its making.
//!
//! Who starts a few tasks pays nothing. Of a fork server that was asked for many forks there will be asked for more: the
//! copy is made, and another fork server started with it, on the thread that starts programs. Until that one is ready,
//! the first one goes on.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::Dispatcher;
use crate::limits::HUGE_CODE_FORKS_MIN;
use crate::os::huge_code::HugeCode;
use crate::protocol::fork_server::ToForkServer;
use crate::protocol::frame;
use crate::supervisor::event::ProcessId;
use crate::supervisor::fork_client::{Process, Purpose, ServerId, Stage};

/// The copy of the program's code, once it was asked for. `None` in it: this program, or this machine, has none.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedCode(Arc<OnceLock<Option<HugeCode>>>);

impl SharedCode {
    /// Hands it to a fork server, if it is there.
    pub(super) fn send(&self, process: &mut Process) -> io::Result<()> {
        let Some(Some(code)) = self.0.get() else { return Ok(()) };
        if !matches!(process.purpose, Purpose::ForkServer { .. }) {
            return Ok(());
        }
        let frame = frame::encode(&ToForkServer::Code { program: code.program });
        process.socket.send(&frame.map_err(io::Error::other)?, &[code.file.as_fd()])?;
        process.huge_code = true;
        Ok(())
    }

    fn is_refused(&self) -> bool {
        matches!(self.0.get(), Some(None))
    }
}

/// What is to be done before a fork server is started, on the thread that starts programs.
pub(super) struct Wanted {
    code: SharedCode,
    /// Whether there is any use in the fork server without it.
    is_needed: bool,
}

impl Wanted {
    /// Makes the copy, unless that was tried before.
    pub(super) fn make(&self, program: &Path) -> io::Result<()> {
        let made = self.code.0.get_or_init(|| {
            let made = HugeCode::of(program);
            made.inspect_err(|error| tracing::debug!(%error, "the program's code cannot be in huge pages"))
                .ok()
        });
        if made.is_none() && self.is_needed { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
    }
}

impl Dispatcher {
    /// What is to be done before the process is started.
    pub(super) fn huge_code_before(&self, purpose: &Purpose) -> Option<Wanted> {
        let Purpose::ForkServer { server } = *purpose else { return None };
        let waiting = self.pools.values().map(|pool| pool.scheduler.waiting_for(server).len() as u64);
        let entry = self.servers.get(&server)?;
        let is_needed = entry.process.is_some();
        let is_wanted = is_needed || waiting.sum::<u64>() >= HUGE_CODE_FORKS_MIN;
        is_wanted.then(|| Wanted { code: self.huge_code.clone(), is_needed })
    }

    /// Has a successor started for a fork server that is asked often; true once that one is ready, and
    /// nothing more is to be asked of the first.
    pub(super) fn is_succeeded(&mut self, server: ServerId, process: ProcessId) -> bool {
        let Some(entry) = self.processes.get(&process) else { return false };
        if entry.huge_code || entry.forks < HUGE_CODE_FORKS_MIN || self.huge_code.is_refused() {
            return false;
        }
        let Some(server_entry) = self.servers.get(&server) else { return false };
        match server_entry.successor {
            Some(successor) => {
                self.processes.get(&successor).is_some_and(|successor| successor.stage == Stage::Ready)
            }
            // What was initialised may have taken long, and is not done twice.
            None if server_entry.key.init.is_some() => false,
            None => {
                let started = self.start_process(Purpose::ForkServer { server }, "fork-server");
                if let (Ok(successor), Some(entry)) = (started, self.servers.get_mut(&server)) {
                    entry.successor = Some(successor);
                }
                false
            }
        }
    }

    /// Whether the process was started to take another one's place, which is still there.
    pub(super) fn is_successor(&self, process: ProcessId) -> bool {
        let server = self.processes.get(&process).and_then(Process::server);
        let server = server.and_then(|server| self.servers.get(&server));
        server.is_some_and(|server| server.successor == Some(process) && server.process != Some(process))
    }

    /// Without a successor its predecessor goes on, and no other is tried.
    pub(super) fn successor_failed(&mut self, process: ProcessId, reason: &impl std::fmt::Display) {
        tracing::debug!(%reason, "a fork server could not be replaced by one whose code is in huge pages");
        if let Some(child) = self.processes.get(&process).and_then(|entry| entry.child.as_ref()) {
            child.kill();
        }
        self.retire_fork_server(process);
    }

    /// The fork server forks no more: its successor takes its place, whether it is ready or not.
    pub(super) fn succeed(&mut self, server: ServerId, process: ProcessId) {
        let Some(entry) = self.servers.get_mut(&server) else { return };
        if entry.process.is_some_and(|current| current != process) {
            return;
        }
        let successor = entry.successor.filter(|successor| *successor != process);
        let lives = |successor: &ProcessId| {
            self.processes.get(successor).is_some_and(|entry| entry.stage != Stage::Retired)
        };
        entry.process = successor.filter(lives);
        if entry.process.is_none() {
            // Its memory belongs to whoever holds the module.
            entry.artifact = None;
        }
    }

    /// A successor that is ready takes over at once, if nothing is being asked of its predecessor.
    pub(super) fn hand_over(&mut self, server: ServerId) {
        let Some(process) = self.servers.get(&server).and_then(|entry| entry.process) else { return };
        let is_quiet = self.processes.get(&process).is_some_and(|entry| entry.asked.is_empty());
        if is_quiet && self.is_succeeded(server, process) {
            self.retire_fork_server(process);
        }
    }
}

//! What a fork server, or a worker that is started by itself, is told before anything else: which cgroup to go into,
//! which copy of the program's code to use, and what to load. And what is believed of its answer.

#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::sync::Arc;

use super::Dispatcher;
use super::groups::without_group;
use crate::os::child::Child;
use crate::os::socket::PacketSocket;
use crate::outcome::StartFailed;
use crate::policy::{Layer, Layers, SandboxMode};
use crate::protocol::fork_server::{Load, ToForkServer};
use crate::protocol::frame;
use crate::supervisor::event::ProcessId;
use crate::supervisor::fork_client::{Process, Purpose, Server};

impl Dispatcher {
    /// The first frames to a fork server or a spawned worker.
    pub(super) fn send_load(&mut self, process: ProcessId) -> std::io::Result<()> {
        let Some(entry) = self.processes.get_mut(&process) else { return Ok(()) };
        let Some(server) = entry.server().and_then(|server| self.servers.get(&server)) else { return Ok(()) };
        let Some(artifact) = &server.artifact else { return Ok(()) };
        send_join(entry, server)?;
        self.huge_code.send(entry)?;
        let load = ToForkServer::Load(Load {
            kind: server.kind,
            engine: server.key.engine,
            policy: server.key.policy.clone(),
            dirs: server.key.dirs.clone(),
            nets: server.key.nets.clone(),
            offset: artifact.header.code_offset(),
            length: artifact.header.code_bytes,
            init: server.key.init,
            keeps_memory: server.key.keeps_memory,
        });
        let bytes = frame::encode(&load).map_err(std::io::Error::other)?;
        let dirs = server.dirs.iter().map(AsFd::as_fd);
        let descriptors: Vec<_> = std::iter::once(artifact.file.as_fd()).chain(dirs).collect();
        entry.socket.send(&bytes, &descriptors)?;
        if let Purpose::Spawned { request, .. } = entry.purpose {
            let (ours, theirs) = PacketSocket::pair()?;
            let fork = frame::encode(&ToForkServer::Fork { worker: request.worker })
                .map_err(std::io::Error::other)?;
            entry.socket.send(&fork, &[theirs.as_fd()])?;
            self.connect(request.worker, ours);
        }
        self.expect_answer(process);
        Ok(())
    }

    /// The layers around a process that says it is ready: those that it entered, and the one that the kernel shows.
    pub(super) fn layers_in_force(
        &self,
        process: &Process,
        entered: Vec<Layer>,
    ) -> Result<Layers, StartFailed> {
        let entered = entered.into_iter().filter(|layer| *layer != Layer::Cgroup);
        let Some(group) = &process.group else { return Ok(entered.collect()) };
        if process.child.as_ref().map(Child::pid).is_some_and(|pid| group.holds(pid)) {
            return Ok(entered.chain([Layer::Cgroup]).collect());
        }
        if process.server().and_then(|server| self.servers.get(&server)).is_some_and(must_join) {
            return Err(without_group("the process is not in it"));
        }
        Ok(entered.collect())
    }
}

/// Whether nothing may run outside of the group.
fn must_join(server: &Server) -> bool {
    server.key.policy.sandbox != SandboxMode::BestEffort
}

/// Nothing of the module is there yet, so the process is ours and does as it is told.
fn send_join(process: &mut Process, server: &Server) -> std::io::Result<()> {
    let Ok(Some(group)) = &server.group else { return Ok(()) };
    let doors = group.doors()?;
    let doors: Vec<_> = doors.iter().map(AsFd::as_fd).collect();
    let join = frame::encode(&ToForkServer::Join { required: must_join(server) });
    process.group = Some(Arc::clone(group));
    process.socket.send(&join.map_err(std::io::Error::other)?, &doors)
}

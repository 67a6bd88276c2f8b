//! Fork servers that run what their module has to run once, before its first task.

#![forbid(unsafe_code)]

use super::Dispatcher;
use crate::limits::EXIT_TIME_MAX;
use crate::outcome::{Limit, LimitKind, Outcome};
use crate::protocol::fork_server::{FromForkServer, Init, Said};
use crate::supervisor::call::CallShape;
use crate::supervisor::event::ProcessId;
use crate::supervisor::fork_client::{ServerId, Stage};
use crate::supervisor::pool::StartMethod;
use crate::supervisor::verdict;

/// Within which bounds the module of these calls is initialised once for all of its workers; `None` where it has nothing
/// to run, or each worker does it for itself. What it is given of memory is part of every task's own.
pub(super) fn init_of(shape: &CallShape) -> Option<Init> {
    let is_shared = shape.start_method == StartMethod::ForkServer && shape.artifact.info.has_init();
    is_shared.then_some(Init {
        timeout: shape.limits.init_timeout,
        memory_bytes: shape.limits.memory_bytes,
        table_elements: shape.limits.table_elements,
        instances: shape.limits.instances,
        deterministic: shape.deterministic,
    })
}

impl Dispatcher {
    /// What a fork server says about initialising its module.
    pub(super) fn init_said(
        &mut self,
        process: ProcessId,
        server: ServerId,
        message: FromForkServer,
    ) -> Result<(), String> {
        let stage = self.processes.get(&process).map(|entry| entry.stage);
        match (message, stage) {
            (FromForkServer::Initializing, Some(Stage::Loading)) => self.server_initializes(process, server),
            (FromForkServer::Initialized { said }, Some(Stage::Initializing)) => {
                self.tell_said(server, &said)
            }
            (FromForkServer::InitFailed { claim, said }, Some(Stage::Initializing)) => {
                self.tell_said(server, &said);
                // It would fail another time too, so the tasks that wait for it end like it.
                self.load_failed(process, verdict::of_claim(claim));
            }
            (other, _) => return Err(format!("it said {other:?} out of turn")),
        }
        Ok(())
    }

    /// From here on it may take its time.
    fn server_initializes(&mut self, process: ProcessId, server: ServerId) {
        let init = self.servers.get(&server).and_then(|server| server.key.init);
        let Some(entry) = self.processes.get_mut(&process) else { return };
        entry.stage = Stage::Initializing;
        let time = init.map_or_else(Default::default, |init| init.timeout);
        self.expect_answer_within(process, time.saturating_add(EXIT_TIME_MAX));
    }

    /// It did not even notice that its time was over: it waits in the host, for a clock or a file.
    pub(super) fn init_timed_out(&mut self, process: ProcessId) {
        let server = self.processes.get(&process).and_then(|entry| self.servers.get(&entry.server()?));
        let timeout =
            server.and_then(|server| server.key.init).map_or_else(Default::default, |init| init.timeout);
        let detail = format!("the module was still being initialised after {timeout:?}");
        self.load_failed(
            process,
            Outcome::LimitExceeded(Limit { kind: LimitKind::Time, detail, trap: None }),
        );
    }

    /// What it wrote belongs to no task.
    fn tell_said(&self, server: ServerId, said: &Said) {
        let Some(server) = self.servers.get(&server) else { return };
        for (stream, bytes) in [("stdout", &said.stdout), ("stderr", &said.stderr)] {
            if !bytes.is_empty() {
                let text = String::from_utf8_lossy(bytes);
                tracing::info!(module = server.module.name, stream, %text, "the module wrote while it was initialised");
            }
        }
    }
}

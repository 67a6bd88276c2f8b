//! Getting artifacts: from the cache, else from a compile worker.

#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::Dispatcher;
use crate::limits::{COMPILE_WORKERS_MAX, CompileLimits};
use crate::os::child::ExitStatus;
use crate::os::memory_file::{self, SealedFile};
use crate::os::socket::PacketSocket;
use crate::outcome::{StartFailed, StartFailure};
use crate::protocol::compile::Compile;
use crate::protocol::fork_server::EngineSettings;
use crate::supervisor::artifact_store::{Artifact, ArtifactKey};
use crate::supervisor::event::{Event, ModuleSourceBytes, ProcessId};
use crate::supervisor::fork_client::{Process, Purpose};
use crate::supervisor::timers::Timer;

type LoadReply = oneshot::Sender<Result<Arc<Artifact>, StartFailed>>;

/// An artifact that is wanted, and who wants it.
#[derive(Debug)]
struct Wanted {
    module: Arc<ModuleSourceBytes>,
    replies: Vec<LoadReply>,
}

/// The artifacts that are wanted or at hand.
#[derive(Debug, Default)]
pub(super) struct Artifacts {
    wanted: HashMap<ArtifactKey, Wanted>,
    /// At hand while somebody uses them.
    ready: HashMap<ArtifactKey, std::sync::Weak<Artifact>>,
    /// To be compiled when a compile worker is free.
    queue: VecDeque<ArtifactKey>,
    compiling: usize,
}

impl Artifacts {
    fn at_hand(&self, key: ArtifactKey) -> Option<Arc<Artifact>> {
        self.ready.get(&key)?.upgrade()
    }
}

impl Dispatcher {
    pub(super) fn load(&mut self, module: Arc<ModuleSourceBytes>, reply: LoadReply) {
        let key = module.artifact_key(false);
        match self.artifacts.at_hand(key) {
            Some(artifact) => drop(reply.send(Ok(artifact))),
            None => {
                self.want(key, &module);
                if let Some(wanted) = self.artifacts.wanted.get_mut(&key) {
                    wanted.replies.push(reply);
                }
            }
        }
    }

    /// The artifact, or `None` and it will be there later: `serve_artifact` is called then.
    pub(super) fn artifact(
        &mut self,
        key: ArtifactKey,
        module: &Arc<ModuleSourceBytes>,
    ) -> Option<Arc<Artifact>> {
        let at_hand = self.artifacts.at_hand(key);
        if at_hand.is_none() {
            self.want(key, module);
        }
        at_hand
    }

    fn want(&mut self, key: ArtifactKey, module: &Arc<ModuleSourceBytes>) {
        if self.artifacts.wanted.contains_key(&key) {
            return;
        }
        let wanted = Wanted { module: Arc::clone(module), replies: Vec::new() };
        self.artifacts.wanted.insert(key, wanted);
        let (store, inbox) = (self.settings.store.clone(), Arc::clone(&self.inbox));
        crate::supervisor::background::STORE.run(move || {
            let found = store.get(key).map(Arc::new);
            inbox.post(Event::Looked { key, found });
        });
    }

    pub(super) fn artifact_looked_up(&mut self, key: ArtifactKey, found: Option<Arc<Artifact>>) {
        match found {
            Some(artifact) => self.artifact_settled(key, Ok(artifact)),
            None => {
                self.artifacts.queue.push_back(key);
                self.compile_next();
            }
        }
    }

    fn compile_next(&mut self) {
        while self.artifacts.compiling < COMPILE_WORKERS_MAX {
            let Some(key) = self.artifacts.queue.pop_front() else { return };
            self.artifacts.compiling += 1;
            if let Err(error) = self.start_compile_worker(key) {
                self.artifacts.compiling -= 1;
                let kind = StartFailure::Worker;
                self.artifact_settled(key, Err(StartFailed { kind, detail: error.to_string() }));
            }
        }
    }

    fn start_compile_worker(&mut self, key: ArtifactKey) -> std::io::Result<()> {
        let name = self.artifacts.wanted.get(&key).map_or("", |wanted| wanted.module.name.as_str());
        tracing::debug!(module = name, fuel = key.fuel, features = %key.features, "a module is compiled");
        let output = memory_file::create("wasmpool-artifact")?;
        let purpose = Purpose::Compile { key, output, verdict: None, timed_out: false };
        self.spawn_process(purpose, "compile")
    }

    fn compile_limits(&self, module: &ModuleSourceBytes) -> CompileLimits {
        let mut limits = CompileLimits::for_module(module.file.len());
        limits.cpu_time = self.settings.compile_time.unwrap_or(limits.cpu_time);
        limits.memory_bytes = self.settings.compile_memory_bytes.unwrap_or(limits.memory_bytes);
        limits
    }

    /// Tells a compile worker that was just started what to compile.
    pub(super) fn send_compile(&mut self, process: ProcessId) -> std::io::Result<()> {
        let Some(Process { purpose: Purpose::Compile { key, .. }, .. }) = self.processes.get(&process) else {
            return Ok(());
        };
        let key = *key;
        let Some(wanted) = self.artifacts.wanted.get(&key) else { return Ok(()) };
        let limits = self.compile_limits(&wanted.module);
        let frame = Compile {
            module_bytes: wanted.module.file.len(),
            engine: EngineSettings {
                fuel: key.fuel,
                features: key.features,
                stack_bytes: crate::limits::Limits::default().stack_bytes,
            },
            limits,
            sandbox: self.settings.compile_sandbox,
        };
        let process_entry = self.processes.get(&process).expect("it was there above, and nothing removed it");
        let Purpose::Compile { output, .. } = &process_entry.purpose else { return Ok(()) };
        let bytes = crate::protocol::frame::encode(&frame).map_err(std::io::Error::other)?;
        process_entry.socket.send(&bytes, &[wanted.module.file.as_fd(), output.as_fd()])?;
        let phase = process_entry.phase;
        self.timers.set_after(Instant::now(), limits.wall_time(), Timer::ProcessAnswer { process, phase });
        Ok(())
    }

    /// A compile worker has ended: its artifact is taken in, or the reason told.
    pub(super) fn compile_ended(&mut self, mut process: Process, status: ExitStatus) {
        self.artifacts.compiling -= 1;
        let socket = &process.socket;
        let unread = read_last_word(socket, &mut self.buffer);
        let Purpose::Compile { key, output, verdict, timed_out } = &mut process.purpose else { return };
        let (key, verdict, timed_out) = (*key, verdict.take().or(unread), *timed_out);
        let settled = match verdict {
            Some(Ok(())) => output
                .try_clone()
                .and_then(|file| SealedFile::seal(file.into()))
                .map_err(|e| e.to_string())
                .and_then(Artifact::open)
                .map(Arc::new)
                .map_err(|reason| StartFailed {
                    kind: StartFailure::Compilation,
                    detail: format!("the compile worker wrote no artifact: {reason}"),
                }),
            Some(Err(refused)) => Err(refused),
            None => Err(self.compile_death(key, status, timed_out)),
        };
        if let Ok(artifact) = &settled {
            let (store, artifact) = (self.settings.store.clone(), Arc::clone(artifact));
            crate::supervisor::background::STORE.run(move || store.put(key, &artifact));
        }
        self.artifact_settled(key, settled);
        self.compile_next();
    }

    fn compile_death(&self, key: ArtifactKey, status: ExitStatus, timed_out: bool) -> StartFailed {
        let limits = self.artifacts.wanted.get(&key).map(|wanted| self.compile_limits(&wanted.module));
        let detail = match limits {
            Some(limits) if timed_out => outlasted(&limits),
            limits => cause_of_death(status, limits),
        };
        StartFailed { kind: StartFailure::Compilation, detail }
    }

    fn artifact_settled(&mut self, key: ArtifactKey, settled: Result<Arc<Artifact>, StartFailed>) {
        if let Ok(artifact) = &settled {
            self.artifacts.ready.retain(|_, artifact| artifact.strong_count() > 0);
            self.artifacts.ready.insert(key, Arc::downgrade(artifact));
        }
        if let Some(wanted) = self.artifacts.wanted.remove(&key) {
            for reply in wanted.replies {
                let _ = reply.send(settled.clone());
            }
        }
        self.serve_artifact(key, settled);
    }
}

/// What is said of a compile worker that was ended for its wall-clock time.
fn outlasted(limits: &CompileLimits) -> String {
    let (all, time) = (limits.wall_time().as_secs(), limits.cpu_time);
    format!(
        "the compile worker had not ended after {all} s (limit: {time:?} of CPU time, --compile-time raises both)"
    )
}

/// What a compile worker died of, and what raises the limit that it met.
fn cause_of_death(status: ExitStatus, limits: Option<CompileLimits>) -> String {
    let limits = limits.map(|limits| (limits.cpu_time.as_secs(), limits.memory_bytes >> 20));
    let time = limits.map(|(time, _)| format!("{time} s of CPU time, --compile-time raises it"));
    let memory = limits.map(|(_, memory)| format!("{memory} MiB of memory, --compile-memory raises it"));
    let (how, limit) = match status {
        ExitStatus::Signaled(libc::SIGXCPU) => ("used up its CPU time".to_owned(), time),
        // Rust ends a program so that gets no memory.
        ExitStatus::Signaled(libc::SIGABRT) => ("ran out of memory and aborted".to_owned(), memory),
        other => {
            let how = match other {
                ExitStatus::Signaled(signal) => format!("was ended by signal {signal}"),
                ExitStatus::Exited(code) => format!("ended with code {code} and without an answer"),
                ExitStatus::Unknown => "ended in an unknown way".to_owned(),
            };
            (how, time.zip(memory).map(|(time, memory)| format!("{time}; {memory}")))
        }
    };
    let limit = limit.map_or(String::new(), |limit| format!(" (limit: {limit})"));
    format!("the compile worker {how}{limit}")
}

/// The answer that a compile worker sent just before it ended.
fn read_last_word(socket: &PacketSocket, buffer: &mut [u8]) -> Option<Result<(), StartFailed>> {
    use crate::os::socket::Received;
    match socket.try_receive(buffer) {
        Ok(Received::Packet(length, _)) => super::processes::compile_answer(&buffer[..length]).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_a_compile_worker_met_is_named_with_what_raises_it() {
        let limits = Some(CompileLimits::for_module(1));
        let said = |status| cause_of_death(status, limits);
        for (status, named, unnamed) in [
            (ExitStatus::Signaled(libc::SIGABRT), "memory", "time"),
            (ExitStatus::Signaled(libc::SIGXCPU), "time", "memory"),
        ] {
            let said = said(status);
            assert!(said.contains(&format!("--compile-{named}")), "{said}");
            assert!(!said.contains(&format!("--compile-{unnamed}")) && !said.contains("signal"), "{said}");
        }
        assert_eq!(
            said(ExitStatus::Signaled(libc::SIGSEGV)),
            "the compile worker was ended by signal 11 (limit: 32 s of CPU time, --compile-time raises it; \
             1056 MiB of memory, --compile-memory raises it)"
        );
        assert!(!cause_of_death(ExitStatus::Unknown, None).contains("limit"));
    }
}

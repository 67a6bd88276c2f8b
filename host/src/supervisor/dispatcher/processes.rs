//! Exec'ed processes: started, watched, heard, ended.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::groups::how_it_ended;
use super::{Dispatcher, PROCESS_END, PROCESS_SOCKET, token};
use crate::limits::{FORK_SERVER_ANSWER_TIME_MAX, FRAMES_PER_TURN_MAX};
use crate::os::child::Child;
use crate::os::socket::{PacketSocket, Received};
use crate::outcome::{StartFailed, StartFailure};
use crate::protocol::compile::Compiled;
use crate::protocol::fork_server::{FromForkServer, Probed};
use crate::protocol::frame;
use crate::supervisor::event::{DoctorReply, Event, ProcessId};
use crate::supervisor::fork_client::{Process, Purpose, Stage};
use crate::supervisor::timers::Timer;

impl Dispatcher {
    /// Has the spawn thread start a program in this role; `process_spawned` is called then.
    pub(super) fn spawn_process(&mut self, purpose: Purpose, role: &'static str) -> std::io::Result<()> {
        self.start_process(purpose, role).map(drop)
    }

    pub(super) fn start_process(
        &mut self,
        purpose: Purpose,
        role: &'static str,
    ) -> std::io::Result<ProcessId> {
        let (ours, theirs) = PacketSocket::pair()?;
        let process = self.new_id();
        self.poller.add(&ours, token(PROCESS_SOCKET, process))?;
        self.spawning += 1;
        let (program, inbox) = (self.settings.program.clone(), Arc::clone(&self.inbox));
        let code = self.huge_code_before(&purpose);
        self.processes.insert(process, Process::new(purpose, ours));
        crate::supervisor::background::SPAWN.run(move || {
            let program_file = &program.program;
            let prepared = code.map_or(Ok(()), |code| code.make(program_file));
            let result =
                prepared.and_then(|()| Child::spawn(program_file, role, theirs, program.fault.as_deref()));
            inbox.post(Event::Spawned { process, result });
        });
        Ok(process)
    }

    pub(super) fn process_spawned(&mut self, process: ProcessId, result: std::io::Result<Child>) {
        self.spawning -= 1;
        let child = match result {
            Ok(child) => child,
            Err(error) => {
                let reason = format!("cannot be started: {error}");
                return self.process_failed(process, StartFailure::Worker, reason);
            }
        };
        let told = self.poller.add(&child, token(PROCESS_END, process)).and_then(|()| {
            if let Some(entry) = self.processes.get_mut(&process) {
                entry.child = Some(child);
            }
            self.tell(process)
        });
        // One that has ended already cannot be told anything.
        if let Err(error) = told {
            let reason = format!("cannot be told what to load: {error}");
            self.process_failed(process, StartFailure::ForkServerLost, reason);
        }
    }

    /// The first frame to a process that was just started.
    fn tell(&mut self, process: ProcessId) -> std::io::Result<()> {
        let Some(entry) = self.processes.get_mut(&process) else { return Ok(()) };
        entry.stage = Stage::Loading;
        match entry.purpose {
            Purpose::Compile { .. } => self.send_compile(process),
            Purpose::ForkServer { .. } | Purpose::Spawned { .. } => self.send_load(process),
            Purpose::Doctor => Ok(()),
        }
    }

    /// The process must answer within this time.
    pub(super) fn expect_answer(&mut self, process: ProcessId) {
        self.expect_answer_within(process, FORK_SERVER_ANSWER_TIME_MAX);
    }

    pub(super) fn expect_answer_within(&mut self, process: ProcessId, time: Duration) {
        if let Some(entry) = self.processes.get_mut(&process) {
            entry.phase += 1;
            let phase = entry.phase;
            self.timers.set_after(Instant::now(), time, Timer::ProcessAnswer { process, phase });
        }
    }

    /// No deadline holds for the process.
    pub(super) fn answered(&mut self, process: ProcessId) {
        if let Some(entry) = self.processes.get_mut(&process) {
            entry.phase += 1;
        }
    }

    pub(super) fn process_timed_out(&mut self, process: ProcessId, phase: u64) {
        if let Some(entry) = self.processes.get_mut(&process)
            && entry.phase == phase
            && let Some(child) = &entry.child
        {
            if entry.stage == Stage::Initializing {
                return self.init_timed_out(process);
            }
            child.kill();
            if let Purpose::Compile { timed_out, .. } = &mut entry.purpose {
                *timed_out = true;
            }
        }
    }

    pub(super) fn process_readable(&mut self, process: ProcessId) {
        for _ in 0..FRAMES_PER_TURN_MAX {
            let Some(entry) = self.processes.get_mut(&process) else { return };
            match entry.socket.try_receive(&mut self.buffer) {
                Ok(Received::Packet(length, descriptors)) => {
                    if let Err(reason) = self.process_said(process, length, descriptors) {
                        self.process_failed(process, StartFailure::ForkServerLost, reason);
                        return;
                    }
                }
                Ok(Received::Empty) => return,
                Ok(Received::Truncated) => {
                    let reason = "it sent a frame over the limit".to_owned();
                    self.process_failed(process, StartFailure::ForkServerLost, reason);
                    return;
                }
                // Its end follows; a process that only closed its socket is ended.
                Ok(Received::Closed) | Err(_) => {
                    self.poller.remove(&entry.socket);
                    if let Some(child) = &entry.child {
                        child.kill();
                    }
                    return;
                }
            }
        }
    }

    fn process_said(
        &mut self,
        process: ProcessId,
        length: usize,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), String> {
        let Some(entry) = self.processes.get_mut(&process) else { return Ok(()) };
        let bytes = &self.buffer[..length];
        match &mut entry.purpose {
            Purpose::Compile { verdict, .. } => {
                *verdict = Some(compile_answer(bytes).map_err(|error| error.to_string())?);
                Ok(())
            }
            Purpose::Doctor => {
                let Probed { layers } = frame::decode(bytes).map_err(|error| error.to_string())?;
                if let Some(reply) = self.doctors.remove(&process) {
                    let _ = reply.send(Ok(layers));
                }
                Ok(())
            }
            Purpose::ForkServer { .. } | Purpose::Spawned { .. } => {
                let message: FromForkServer = frame::decode(bytes).map_err(|error| error.to_string())?;
                self.server_said(process, message, descriptors)
            }
        }
    }

    pub(super) fn process_ended(&mut self, process: ProcessId) {
        let Some(entry) = self.processes.get_mut(&process) else { return };
        if let Purpose::Compile { .. } | Purpose::Doctor = entry.purpose {
            let ended = entry.child.as_mut().and_then(Child::try_wait);
            let Some((status, _)) = ended else { return };
            let Some(entry) = self.forget_process(process) else { return };
            match entry.purpose {
                Purpose::Compile { .. } => self.compile_ended(entry, status),
                _ => self.doctor_ended(process),
            }
        } else {
            // What it said last still counts. It is reaped later, with its process group.
            self.process_readable(process);
            if let Some(entry) = self.processes.get(&process) {
                if let Some(child) = &entry.child {
                    self.poller.remove(child);
                }
                let reason = how_it_ended(entry);
                self.process_failed(process, StartFailure::ForkServerLost, reason);
            }
        }
    }

    /// The process is of no use any more.
    pub(super) fn process_failed(&mut self, process: ProcessId, kind: StartFailure, reason: String) {
        let Some(entry) = self.processes.get(&process) else { return };
        match entry.purpose {
            Purpose::Compile { .. } => {
                let status = crate::os::child::ExitStatus::Unknown;
                if let Some(mut entry) = self.forget_process(process) {
                    if let Purpose::Compile { verdict, .. } = &mut entry.purpose {
                        // A worker that cannot even be started says nothing of the module.
                        let kind = match kind {
                            StartFailure::ForkServerLost => StartFailure::Compilation,
                            other => other,
                        };
                        let detail = format!("the compile worker {reason}");
                        *verdict = Some(Err(StartFailed { kind, detail }));
                    }
                    self.compile_ended(entry, status);
                }
            }
            Purpose::Doctor => {
                self.forget_process(process);
                self.doctor_ended(process);
            }
            Purpose::ForkServer { .. } | Purpose::Spawned { .. } => self.server_lost(process, kind, reason),
        }
    }

    /// Takes the process out of every table.
    pub(super) fn forget_process(&mut self, process: ProcessId) -> Option<Process> {
        let entry = self.processes.remove(&process)?;
        self.poller.remove(&entry.socket);
        if let Some(child) = &entry.child {
            self.poller.remove(child.as_fd());
        }
        Some(entry)
    }

    pub(super) fn examine(&mut self, reply: DoctorReply) {
        match self.start_process(Purpose::Doctor, "doctor") {
            Ok(process) => {
                self.doctors.insert(process, reply);
                self.expect_answer(process);
            }
            Err(error) => {
                let failed = StartFailed { kind: StartFailure::Worker, detail: error.to_string() };
                let _ = reply.send(Err(failed));
            }
        }
    }

    fn doctor_ended(&mut self, process: ProcessId) {
        if let Some(reply) = self.doctors.remove(&process) {
            let detail = "the process that tries the layers ended without an answer".to_owned();
            let _ = reply.send(Err(StartFailed { kind: StartFailure::Worker, detail }));
        }
    }
}

/// What a compile worker answered.
pub(super) fn compile_answer(bytes: &[u8]) -> Result<Result<(), StartFailed>, frame::FrameError> {
    Ok(match frame::decode(bytes)? {
        Compiled::Done => Ok(()),
        Compiled::Refused { kind, detail } => Err(StartFailed { kind, detail }),
    })
}

//! Starts processes of ours, speaks to them as the supervisor does, and collects what they say.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use crate::directory::GrantedDir;
use crate::limits::{CompileLimits, FRAME_BYTES_MAX, Limits};
use crate::module_info::ModuleInfo;
use crate::net::GrantedNet;
use crate::os::memory_file::{self, SealedFile};
use crate::os::socket::{PacketSocket, Received};
use crate::outcome::Encoding;
use crate::policy::{Layer, Policy, SandboxMode};
use crate::protocol::compile::{ArtifactHeader, Compile, Compiled, decode_info};
use crate::protocol::fork_server::{EngineSettings, FromForkServer, Load, Probed, ToForkServer};
use crate::protocol::frame;
use crate::protocol::worker::{
    Body, Claim, Entry, FromWorker, Inputs, Start, Stream, ToWorker, WorkerLimits,
};

pub(super) const ENGINE: EngineSettings =
    EngineSettings { fuel: false, features: crate::feature::Features::NONE, stack_bytes: 512 * 1024 };
pub(super) const WITH_FUEL: EngineSettings = EngineSettings { fuel: true, ..ENGINE };

/// Whose process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    /// The user of the tests.
    Ours,
    /// Somebody who is not root; the user of the tests, if that is not root.
    Ordinary,
}

/// The user and group of [`User::Ordinary`].
pub(super) const ORDINARY: u32 = 65_533;

/// A child process with its control socket; killed on drop.
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) socket: PacketSocket,
}

impl Process {
    pub(super) fn start(role: &str, fault: Option<&str>) -> Self {
        Self::start_as(User::Ours, role, fault)
    }

    pub(super) fn start_as(user: User, role: &str, fault: Option<&str>) -> Self {
        let (ours, theirs) = PacketSocket::pair().unwrap();
        let mut command = Command::new("/proc/self/exe");
        command
            .env_clear()
            .env("WASMPOOL_CHILD", role)
            .stdin(Stdio::from(theirs.into_fd()))
            .stdout(Stdio::null());
        if let Some(fault) = fault {
            command.env("WASMPOOL_FAULT", fault);
        }
        if user == User::Ordinary && rustix::process::geteuid().is_root() {
            command.uid(ORDINARY).gid(ORDINARY);
        }
        Self { child: command.spawn().unwrap(), socket: ours }
    }
}

impl Process {
    /// Closes our end of the control socket.
    pub(super) fn hang_up(&mut self) {
        self.socket = PacketSocket::pair().unwrap().0;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn send<T: serde::Serialize>(socket: &PacketSocket, message: &T, descriptors: &[&dyn AsFd]) {
    let descriptors: Vec<_> = descriptors.iter().map(|fd| fd.as_fd()).collect();
    socket.send(&frame::encode(message).unwrap(), &descriptors).unwrap();
}

/// The next frame; `None` when the other side is gone.
pub(super) fn receive<T: serde::de::DeserializeOwned>(socket: &PacketSocket) -> Option<(T, Vec<OwnedFd>)> {
    let mut buffer = vec![0; FRAME_BYTES_MAX];
    match socket.receive(&mut buffer).unwrap() {
        Received::Packet(length, descriptors) => {
            Some((frame::decode(&buffer[..length]).unwrap(), descriptors))
        }
        _ => None,
    }
}

pub(super) struct Artifact {
    pub(super) file: SealedFile,
    pub(super) header: ArtifactHeader,
    pub(super) info: ModuleInfo,
}

pub(super) fn try_compile(
    module: &[u8],
    engine: EngineSettings,
    limits: CompileLimits,
) -> Result<Artifact, (Option<Compiled>, std::process::ExitStatus)> {
    let mut process = Process::start("compile", None);
    let file = SealedFile::from_bytes("module", module).unwrap();
    let artifact = memory_file::create("artifact").unwrap();
    let request =
        Compile { module_bytes: module.len() as u64, engine, limits, sandbox: SandboxMode::Required };
    send(&process.socket, &request, &[&file, &artifact]);
    match receive::<Compiled>(&process.socket).map(|(message, _)| message) {
        Some(Compiled::Done) => {}
        other => return Err((other, process.child.wait().unwrap())),
    }
    assert!(process.child.wait().unwrap().success());
    let file = SealedFile::seal(artifact.into()).unwrap();
    let mut header = [0; ArtifactHeader::BYTES];
    file.read_exact_at(&mut header, 0).unwrap();
    let header = ArtifactHeader::read(&header, file.len()).unwrap();
    let mut info = vec![0; usize::try_from(header.info_bytes).unwrap()];
    file.read_exact_at(&mut info, header.info_offset()).unwrap();
    Ok(Artifact { file, header, info: decode_info(&info).unwrap() })
}

pub(super) fn compile(module: &str) -> Artifact {
    compile_with(module.as_bytes(), ENGINE)
}

pub(super) fn compile_with(module: &[u8], engine: EngineSettings) -> Artifact {
    try_compile(module, engine, CompileLimits::for_module(module.len() as u64)).expect("it compiles")
}

pub(super) fn load_message(artifact: &Artifact, engine: EngineSettings) -> ToForkServer {
    ToForkServer::Load(Load {
        kind: artifact.info.kind,
        engine,
        policy: Policy { sandbox: SandboxMode::Required },
        dirs: Vec::new(),
        nets: Vec::new(),
        offset: artifact.header.code_offset(),
        length: artifact.header.code_bytes,
        init: None,
        keeps_memory: false,
    })
}

/// A fork server that is ready.
pub(super) fn serve(artifact: &Artifact, engine: EngineSettings, fault: Option<&str>) -> Process {
    let server = Process::start("fork-server", fault);
    send(&server.socket, &load_message(artifact, engine), &[&artifact.file]);
    assert_eq!(ready(&server), Ok(available(User::Ours)));
    server
}

/// A fork server for these directories, and what it answers to its first frame.
pub(super) fn serve_dirs(
    user: User,
    artifact: &Artifact,
    dirs: &[GrantedDir],
    fault: Option<&str>,
) -> (Process, Result<Vec<Layer>, String>) {
    serve_granted(user, artifact, (dirs, &[]), fault)
}

/// The same for directories and addresses.
pub(super) fn serve_granted(
    user: User,
    artifact: &Artifact,
    (dirs, nets): (&[GrantedDir], &[GrantedNet]),
    fault: Option<&str>,
) -> (Process, Result<Vec<Layer>, String>) {
    let server = Process::start_as(user, "fork-server", fault);
    let ToForkServer::Load(mut load) = load_message(artifact, ENGINE) else { panic!("it is a load") };
    load.nets = nets.iter().map(|net| net.rule().clone()).collect();
    load.dirs = dirs.iter().map(|dir| dir.rule().clone()).collect();
    let mut descriptors: Vec<&dyn AsFd> = vec![&artifact.file];
    descriptors.extend(dirs.iter().map(|dir| dir as &dyn AsFd));
    send(&server.socket, &ToForkServer::Load(load), &descriptors);
    let answer = ready(&server);
    (server, answer)
}

fn ready(server: &Process) -> Result<Vec<Layer>, String> {
    match receive::<FromForkServer>(&server.socket).expect("an answer").0 {
        FromForkServer::Ready { layers } => Ok(layers),
        FromForkServer::LoadFailed { detail, .. } => Err(detail),
        other => panic!("{other:?}"),
    }
}

/// What the doctor says of each layer.
pub(super) fn examine(user: User) -> Vec<(Layer, Option<String>)> {
    receive::<Probed>(&Process::start_as(user, "doctor", None).socket).expect("an answer").0.layers
}

/// The layers that this machine can give this user.
pub(super) fn available(user: User) -> Vec<Layer> {
    let layers = examine(user).into_iter().filter(|(_, cause)| cause.is_none());
    layers.map(|(layer, _)| layer).collect()
}

/// A worker: our end of its task socket, and its pidfd.
pub(super) struct Worker {
    pub(super) socket: PacketSocket,
    pub(super) pidfd: OwnedFd,
}

pub(super) fn fork(server: &Process) -> Worker {
    let (ours, theirs) = PacketSocket::pair().unwrap();
    send(&server.socket, &ToForkServer::Fork { worker: 7 }, &[&theirs]);
    drop(theirs);
    let (answer, mut descriptors) = receive::<FromForkServer>(&server.socket).expect("an answer");
    assert_eq!(answer, FromForkServer::Forked { worker: 7 });
    Worker { socket: ours, pidfd: descriptors.remove(0) }
}

/// What a worker said until it ended, how it ended, and the files that came along.
pub(super) struct Story {
    pub(super) said: Vec<FromWorker>,
    pub(super) files: Vec<OwnedFd>,
    pub(super) status: rustix::process::WaitIdStatus,
}

impl Story {
    pub(super) fn claims(&self) -> Vec<&Claim> {
        claims(&self.said)
    }

    pub(super) fn claim(&self) -> &Claim {
        self.claims().first().expect("a claim")
    }

    pub(super) fn stdout(&self) -> String {
        let bytes = self.said.iter().filter_map(|message| match message {
            FromWorker::Output { stream: Stream::Stdout, bytes } => Some(bytes.as_slice()),
            _ => None,
        });
        String::from_utf8(bytes.collect::<Vec<_>>().concat()).unwrap()
    }
}

impl Worker {
    pub(super) fn start(&self, start: Start, descriptors: &[&dyn AsFd]) {
        send(&self.socket, &ToWorker::Start(Box::new(start)), descriptors);
    }

    pub(super) fn story(self) -> Story {
        let (mut said, mut files) = (Vec::new(), Vec::new());
        while let Some((message, descriptors)) = receive::<FromWorker>(&self.socket) {
            said.push(message);
            files.extend(descriptors);
        }
        Story { said, files, status: wait(&self.pidfd) }
    }

    /// Its process id, by the kernel's word about the pidfd.
    pub(super) fn pid(&self) -> u32 {
        let path = format!("/proc/self/fdinfo/{}", std::os::fd::AsRawFd::as_raw_fd(&self.pidfd));
        let info = std::fs::read_to_string(path).unwrap();
        info.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap().trim().parse().unwrap()
    }

    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::pidfd_send_signal(&self.pidfd, signal).unwrap();
    }
}

/// How a worker ended. Works only because it is a child of *this* process.
pub(super) fn wait(pidfd: &OwnedFd) -> rustix::process::WaitIdStatus {
    let options = rustix::process::WaitIdOptions::EXITED;
    rustix::process::waitid(rustix::process::WaitId::PidFd(pidfd.as_fd()), options).unwrap().unwrap()
}

/// Gives a worker without descriptors one assignment; everything that it says until it ends.
pub(super) fn assign(socket: &PacketSocket, start: Start) -> Vec<FromWorker> {
    send(socket, &ToWorker::Start(Box::new(start)), &[]);
    std::iter::from_fn(|| receive::<FromWorker>(socket)).map(|(message, _)| message).collect()
}

/// What native code of a test has logged: what about, and what.
pub(super) fn logged(said: &[FromWorker]) -> Vec<(&str, &str)> {
    said.iter()
        .filter_map(|message| match message {
            FromWorker::Log { target, message, .. } => Some((target.as_str(), message.as_str())),
            _ => None,
        })
        .collect()
}

/// The claims among messages.
pub(super) fn claims(said: &[FromWorker]) -> Vec<&Claim> {
    said.iter()
        .filter_map(|message| match message {
            FromWorker::Finished { claim, .. } => Some(claim),
            _ => None,
        })
        .collect()
}

pub(super) fn limits() -> WorkerLimits {
    let limits = Limits::default();
    WorkerLimits {
        fuel: None,
        cpu_time: None,
        memory_bytes: limits.memory_bytes,
        table_elements: limits.table_elements,
        instances: limits.instances,
        result_bytes: limits.result_bytes,
    }
}

pub(super) fn start(entry: Entry) -> Start {
    Start {
        task: 42,
        attempt: 1,
        name: "task".to_owned(),
        worker_name: "worker-1".to_owned(),
        entry,
        initializer: None,
        inputs: Inputs { lengths: vec![0], body: Body::Inline(Vec::new()) },
        limits: limits(),
        argv: vec!["program".to_owned()],
        env: Vec::new(),
        stdin: false,
        token: 1,
        grants: Vec::new(),
        log_level: None,
        last: true,
        lane: false,
        quiet: false,
        goes_through: true,
        ahead: None,
        deterministic: None,
    }
}

/// Runs one assignment of one module, from source to end.
pub(super) fn run(module: &str, start: Start) -> Story {
    let artifact = compile(module);
    let server = serve(&artifact, ENGINE, None);
    let worker = fork(&server);
    worker.start(start, &[]);
    worker.story()
}

pub(super) fn run_command(module: &str) -> Story {
    run(module, start(Entry::Command))
}

/// A component with one task made from a core function body, which gets (pointer, length) and returns
/// a pointer to `{ u8 is_err, u32, ... }`.
pub(super) fn task_component(core: &str) -> String {
    format!(
        r#"(component
            (type $error' (variant (case "failed" string) (case "invalid-arguments" string) (case "other" string)))
            (import "wasmpool:task/types@0.1.0" (instance $types (export "task-error" (type (eq $error')))))
            (alias export $types "task-error" (type $error))
            (core module $m
                (memory (export "memory") 2)
                (global $next (mut i32) (i32.const 4096))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (global.get $next))
                    (global.set $next (i32.add (global.get $next) (local.get 3)))
                    (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
                        (then (if (i32.eq (i32.const -1) (memory.grow (i32.add (i32.const 1)
                            (i32.div_u (local.get 3) (i32.const 65536))))) (then (unreachable)))))
                    (local.get $at))
                {core})
            (core instance $i (instantiate $m))
            (func (export "work") (param "args" (list u8)) (result (result (list u8) (error $error)))
                (canon lift (core func $i "work") (memory $i "memory") (realloc (func $i "realloc")))))"#
    )
}

/// Returns its argument.
pub(super) fn echo() -> String {
    task_component(
        r#"(func (export "work") (param i32 i32) (result i32)
            (i32.store8 (i32.const 16) (i32.const 0))
            (i32.store (i32.const 20) (local.get 0))
            (i32.store (i32.const 24) (local.get 1))
            (i32.const 16))"#,
    )
}

pub(super) fn task() -> Entry {
    Entry::Task { export: "work".to_owned(), result: Encoding::Raw }
}

pub(super) fn inputs(inputs: &[&[u8]]) -> Inputs {
    let lengths = inputs.iter().map(|input| input.len() as u64).collect();
    Inputs { lengths, body: Body::Inline(inputs.concat()) }
}

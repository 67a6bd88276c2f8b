//! Runs one guest in a process of its own that dies when it starts a thread.
//!
//! libtest runs each test on a thread beside its main thread, so the test that wants such a process
//! starts this very program again with the name of a test that does the work, and the guest's artifact
//! in a file: a process that compiles has threads already.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use wasmtime::Engine;

use crate::limits::FRAME_BYTES_MAX;
use crate::os::memory_file::{Mapping, SealedFile};
use crate::os::socket::{PacketSocket, Received};
use crate::protocol::fork_server::EngineSettings;
use crate::protocol::frame;
use crate::protocol::worker::{FromWorker, Stream, WorkerLimits};
use crate::sync::Token;
use crate::worker::engine::{Purpose, engine};
use crate::worker::imports::{Grants, HostConfig, Outside, Shared};
use crate::worker::limiter::Limiter;
use crate::worker::link::Link;

const ARTIFACT: &str = "WASMPOOL_TEST_ARTIFACT";

pub(super) fn settings() -> EngineSettings {
    EngineSettings { fuel: false, features: crate::feature::Features::NONE, stack_bytes: 512 * 1024 }
}

pub(in crate::worker::imports) fn compiling_engine() -> Engine {
    engine(settings(), Purpose::Compile).unwrap()
}

/// A configuration that grants nothing, and the supervisor's end of its link.
pub(in crate::worker::imports) fn config() -> (HostConfig, PacketSocket) {
    let (ours, theirs) = PacketSocket::pair().unwrap();
    let limits = WorkerLimits {
        fuel: None,
        cpu_time: None,
        memory_bytes: 4 << 30,
        table_elements: 1000,
        instances: 100,
        result_bytes: 1 << 20,
    };
    let config = HostConfig {
        task: 7,
        attempt: 2,
        name: "a name".to_owned(),
        worker_name: "worker-3".to_owned(),
        argv: vec!["guest".to_owned()],
        env: Vec::new(),
        stdin: None,
        outside: Outside::default(),
        log_level: None,
        shared: Shared { who: Token::new(9).unwrap(), grants: Grants::default() },
        link: Arc::new(Link::new(theirs)),
        limiter: Limiter::new(limits),
        deterministic: None,
    };
    (config, ours)
}

/// A pipe that holds `bytes` and whose writing end stays open.
pub(super) fn pipe_with(bytes: &[u8]) -> (OwnedFd, OwnedFd) {
    let (read, write) = rustix::pipe::pipe().unwrap();
    rustix::io::write(&write, bytes).unwrap();
    (read, write)
}

/// The frames that have arrived.
pub(super) fn frames(socket: &PacketSocket) -> Vec<FromWorker> {
    let mut buffer = vec![0; FRAME_BYTES_MAX];
    let mut frames = Vec::new();
    while let Received::Packet(length, _) = socket.try_receive(&mut buffer).unwrap() {
        frames.push(frame::decode(&buffer[..length]).unwrap());
    }
    frames
}

/// What has arrived on one stream.
pub(super) fn output(frames: &[FromWorker], wanted: Stream) -> String {
    let pieces = frames.iter().filter_map(|frame| match frame {
        FromWorker::Output { stream, bytes } if *stream == wanted => Some(&bytes[..]),
        _ => None,
    });
    String::from_utf8(pieces.collect::<Vec<_>>().concat()).unwrap()
}

/// Runs the test `child` in a process of its own, with this artifact, and demands that it passes.
pub(super) fn passes_alone(child: &str, artifact: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("artifact");
    std::fs::write(&path, artifact).unwrap();
    let output = Command::new("/proc/self/exe")
        .args([&format!("worker::imports::tests::{child}"), "--exact", "--nocapture"])
        .env(ARTIFACT, &path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{}\n{text}\n{errors}", output.status);
}

/// The artifact, in a process that was started for it.
pub(super) fn artifact() -> Option<Mapping> {
    let bytes = std::fs::read(std::env::var_os(ARTIFACT)?).unwrap();
    Some(SealedFile::from_bytes("artifact", &bytes).unwrap().map().unwrap())
}

/// From here on this thread cannot start a thread or a process: the kernel kills the whole process.
pub(super) fn forbid_threads() {
    let calls = [libc::SYS_clone, libc::SYS_clone3, libc::SYS_fork, libc::SYS_vfork];
    let rules: BTreeMap<_, _> = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::KillProcess, TargetArch::x86_64);
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
}

/// The threads of this process.
pub(super) fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let mut threads: Vec<_> = tasks.map(|task| task.unwrap().file_name().into_string().unwrap()).collect();
    threads.sort();
    threads
}

/// The most memory that this process ever had, in bytes.
pub(super) fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Compiles a guest of this folder for preview 2 with the toolchain's own target.
pub(super) fn built(source: &str, name: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (input, wasm) = (dir.path().join(name), dir.path().join("guest.wasm"));
    std::fs::write(&input, source).unwrap();
    compiled(&input, &wasm);
    std::fs::read(wasm).unwrap()
}

fn compiled(input: &Path, wasm: &Path) {
    let status = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "--crate-name", "guest", "-O", "--target", "wasm32-wasip2", "-o"])
        .args([wasm, input])
        .status()
        .unwrap();
    assert!(status.success(), "rustc failed on {}", input.display());
}

//! Loading and compiling: what is refused and how, limits of the compiler, the start method `spawn`.

#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use super::harness::*;
use crate::limits::CompileLimits;
use crate::os::huge_code::HugeCode;
use crate::os::memory_file::SealedFile;
use crate::os::socket::PacketSocket;
use crate::outcome::StartFailure;
use crate::policy::Layer;
use crate::protocol::compile::Compiled;
use crate::protocol::fork_server::{FromForkServer, Probed, ToForkServer};
use crate::protocol::worker::{Claim, Entry};

fn refusal(module: &[u8]) -> (StartFailure, String) {
    match try_compile(module, ENGINE, CompileLimits::for_module(1)) {
        Err((Some(Compiled::Refused { kind, detail }), _)) => (kind, detail),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was compiled"),
    }
}

#[test]
fn what_is_no_module_is_named() {
    for (bytes, part) in [
        (&b""[..], "empty"),
        (b"\x7fELF\x02\x01\x01\0", "ELF"),
        (b"just text\n", "text file"),
        (b"\0asm\x01\0\0\0\x01\xff", "cut off"),
        (b"\xde\xad\xbe\xef", "de, ad, be, ef"),
    ] {
        let (kind, detail) = refusal(bytes);
        assert_eq!(kind, StartFailure::InvalidModule);
        assert!(detail.contains(part), "{detail}");
    }
}

#[test]
fn missing_imports_and_wrong_signatures_are_all_listed() {
    let core = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func (param i64)))
        (import "env" "one" (func)) (import "env" "two" (func (param i32)))
        (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
        (import "env" "memory" (memory 1)))"#;
    let component = r#"(component
        (import "acme:host/api@1.0.0" (instance (export "f" (func (param "a" u32)))))
        (import "acme:host/other" (instance (export "g" (func))))
        (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result string)))))
        (import "wasi:random/insecure@0.2.3"
            (instance (export "get-insecure-random-u64" (func (result u64))))))"#;
    // Its first interface passes on a resource of the host's.
    let passing = r#"(component
        (import "wasi:io/streams@0.2.0" (instance $io (export "input-stream" (type (sub resource)))))
        (alias export $io "input-stream" (type $in))
        (import "acme:web/types" (instance
            (alias outer 1 $in (type $outer))
            (export "input-stream" (type $stream (eq $outer)))
            (export "f" (func (result (own $stream))))))
        (import "acme:web/handler" (instance (export "g" (func)))))"#;
    for (module, listed, known) in [
        (passing, &["acme:web/types", "acme:web/handler"][..], "streams"),
        (core, &["env.one", "env.two", "env.memory"], "sched_yield"),
        (component, &["acme:host/api@1.0.0", "acme:host/other", "wasi:random/random@0.2.0"], "insecure"),
    ] {
        let artifact = compile(module);
        let server = Process::start("fork-server", None);
        send(&server.socket, &load_message(&artifact, ENGINE), &[&artifact.file]);
        let answer = receive::<FromForkServer>(&server.socket).unwrap().0;
        let FromForkServer::LoadFailed { kind: StartFailure::MissingImports, detail } = answer else {
            panic!("{answer:?}")
        };
        for name in listed {
            assert!(detail.contains(name), "{name}: {detail}");
            let import = artifact.info.imports.iter().find(|import| import.name == *name).unwrap();
            assert!(!import.known, "{name}");
        }
        assert!(!detail.contains(known), "{detail}");
    }
}

#[test]
fn a_tampered_artifact_or_one_of_other_settings_is_not_loaded() {
    let artifact = compile("(module (func (export \"_start\")))");
    let offset = usize::try_from(artifact.header.code_offset()).unwrap();
    let mut bytes = artifact.file.map().unwrap().to_vec();
    bytes[offset] ^= 1;
    let tampered = SealedFile::from_bytes("artifact", &bytes).unwrap();
    for (file, engine) in [(&tampered, ENGINE), (&artifact.file, WITH_FUEL)] {
        let server = Process::start("fork-server", None);
        send(&server.socket, &load_message(&artifact, engine), &[file]);
        let answer = receive::<FromForkServer>(&server.socket).unwrap().0;
        assert!(
            matches!(answer, FromForkServer::LoadFailed { kind: StartFailure::VersionMismatch, .. }),
            "{answer:?}"
        );
    }
}

/// Many locals alive through many nested loops: what a compiler is slowest at.
fn bomb(locals: usize, loops: usize) -> String {
    let mut text = String::from("(module (func (export \"f\") (param i64)");
    for _ in 0..locals {
        text.push_str("(local i64)");
    }
    for index in 1..=locals {
        let _ = write!(text, "(local.set {index} (i64.add (local.get 0) (i64.const {index})))");
    }
    for _ in 0..loops {
        text.push_str("(loop ");
    }
    for index in 1..=locals {
        let _ = write!(text, "(local.set {index} (i64.add (local.get {index}) (local.get 0)))");
    }
    text.push_str(&")".repeat(loops));
    text + "))"
}

#[test]
fn a_compile_bomb_meets_its_limits() {
    let bomb = bomb(4000, 400);
    let time = CompileLimits { cpu_time: Duration::from_secs(1), memory_bytes: 4 << 30 };
    let memory = CompileLimits { cpu_time: Duration::from_secs(60), memory_bytes: 256 << 20 };
    for (limits, signal) in [(time, libc::SIGXCPU), (memory, libc::SIGABRT)] {
        match try_compile(bomb.as_bytes(), ENGINE, limits) {
            // Killed, without an answer.
            Err((None, status)) => assert_eq!(status.signal(), Some(signal), "{status:?}"),
            Err((answer, status)) => panic!("{answer:?} {status:?}"),
            Ok(_) => panic!("it was compiled within {limits:?}"),
        }
    }
}

/// Every layer that a process enters by itself.
fn own_layers() -> Vec<Layer> {
    Layer::ALL.iter().copied().filter(|layer| *layer != Layer::Cgroup).collect()
}

#[test]
fn a_spawned_worker_becomes_one() {
    let artifact = compile("(module (func (export \"_start\")))");
    let mut process = Process::start("worker", None);
    send(&process.socket, &load_message(&artifact, ENGINE), &[&artifact.file]);
    let ready = receive::<FromForkServer>(&process.socket).unwrap().0;
    assert_eq!(ready, FromForkServer::Ready { layers: own_layers() });
    let (socket, theirs) = PacketSocket::pair().unwrap();
    send(&process.socket, &ToForkServer::Fork { worker: 1 }, &[&theirs]);
    drop(theirs);
    let said = assign(&socket, start(Entry::Command));
    assert!(matches!(claims(&said)[..], [Claim::Exited { code: 0 }]), "{said:?}");
    assert!(process.child.wait().unwrap().success());
}

#[test]
fn a_cgroup_that_cannot_be_entered_is_named_where_it_is_required() {
    let artifact = compile("(module (func (export \"_start\")))");
    for required in [true, false] {
        let process = Process::start("fork-server", None);
        // It is not open for writing.
        let door = std::fs::File::open("/dev/null").unwrap();
        send(&process.socket, &ToForkServer::Join { required }, &[&door]);
        send(&process.socket, &load_message(&artifact, ENGINE), &[&artifact.file]);
        match receive::<FromForkServer>(&process.socket).unwrap().0 {
            FromForkServer::LoadFailed { kind: StartFailure::Sandbox, detail } => {
                assert!(required && detail.starts_with("the layer `cgroup` cannot be entered"), "{detail}");
            }
            FromForkServer::Ready { layers } => assert!(!required && !layers.contains(&Layer::Cgroup)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_doctor_tries_every_layer() {
    let process = Process::start("doctor", None);
    let probed = receive::<Probed>(&process.socket).unwrap().0;
    assert_eq!(probed.layers.iter().map(|(layer, _)| *layer).collect::<Vec<_>>(), own_layers());
    assert!(probed.layers.iter().all(|(_, missing)| missing.is_none()), "{probed:?}");
}

/// Whether the fork server's executable code is in the memory file that it was handed.
fn has_copy(server: &Process) -> bool {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", server.child.id())).unwrap();
    maps.lines().any(|line| line.contains(" r-xp ") && line.contains("/memfd:wasmpool-code"))
}

#[test]
fn a_fork_server_takes_the_copy_of_its_own_code_and_no_other_and_works_in_either_case() {
    let artifact = compile("(module (func (export \"_start\") unreachable))");
    let code = HugeCode::of(Path::new("/proc/self/exe")).unwrap();
    let length = usize::try_from(code.file.len()).unwrap();
    let zeros = SealedFile::from_bytes("wasmpool-code", &vec![0; length]).unwrap();
    let short = SealedFile::from_bytes("wasmpool-code", &code.file.map().unwrap()[4096..]).unwrap();
    let open = tempfile::tempfile().unwrap();
    let another = { code.program.map(|number| number + 1) };
    for (file, program, is_taken) in [
        (code.file.as_fd(), code.program, true),
        (code.file.as_fd(), another, false),
        (zeros.as_fd(), code.program, false),
        (short.as_fd(), code.program, false),
        (open.as_fd(), code.program, false),
    ] {
        let server = Process::start("fork-server", None);
        send(&server.socket, &ToForkServer::Code { program }, &[&file]);
        send(&server.socket, &load_message(&artifact, ENGINE), &[&artifact.file]);
        let answer = receive::<FromForkServer>(&server.socket).unwrap().0;
        assert!(matches!(answer, FromForkServer::Ready { .. }), "{answer:?}");
        assert_eq!(has_copy(&server), is_taken);
        for _ in 0..3 {
            let worker = fork(&server);
            worker.start(start(Entry::Command), &[]);
            let story = worker.story();
            let Claim::Trapped { trap, .. } = story.claim() else { panic!("{:?}", story.said) };
            assert!(!trap.backtrace.is_empty());
        }
    }
}

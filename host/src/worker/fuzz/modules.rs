//! The body of the fuzz target `modules`: bytes that may be a module, on the whole way from a file to an outcome.
//!
//! They are identified, validated, compiled and described as the compile worker does it, and linked and run as a worker
//! does it, with fuel and small limits: as a command if there is one, and the first exports with numbers as arguments.

#![forbid(unsafe_code)]

use std::sync::{Arc, OnceLock};

use wasmtime::Engine;

use super::{FUEL, LIMITS, supervisor};
use crate::feature::Features;
use crate::module_info::ModuleInfo;
use crate::outcome::StartFailure;
use crate::protocol::compile::{decode_info, encode_info};
use crate::protocol::worker::{Body, Entry, FromWorker, Inputs, LogLevel, Start, WorkerLimits};
use crate::worker::instance::Loaded;
use crate::worker::{compile, run};

const TASK: u64 = 7;
/// Exports that are called.
const CALLS_MAX: usize = 3;

struct Machine {
    engine: Engine,
    runtime: tokio::runtime::Runtime,
}

fn machine() -> &'static Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    MACHINE.get_or_init(|| Machine { engine: super::engine(true), runtime: super::runtime() })
}

/// One input: bytes, and whether they are a valid module of the features that are on. Returns, whatever they are.
pub fn fuzz_module(bytes: &[u8], is_valid: bool) {
    let engine = &machine().engine;
    let (info, program) = match compile::program(engine, Features::NONE, bytes) {
        Ok(compiled) => compiled,
        Err(refusal) => {
            let (kind, detail) = refusal.told();
            assert!(
                matches!(kind, StartFailure::InvalidModule | StartFailure::Compilation),
                "{kind:?}: {detail}"
            );
            assert!(!detail.is_empty() && !detail.contains('\n'), "not one line: {detail:?}");
            assert!(!is_valid || kind == StartFailure::Compilation, "a valid module was refused: {detail}");
            return;
        }
    };
    let encoded = encode_info(&info).expect("a description can be written");
    assert_eq!(decode_info(&encoded).as_ref(), Ok(&info));
    program.serialize().expect("what was compiled can be written");
    match Loaded::of_program(engine, &program) {
        Ok(loaded) => entries(&info).into_iter().for_each(|(entry, input)| run(&loaded, entry, &input)),
        Err(error) => assert_eq!(error.kind, StartFailure::MissingImports, "{}", error.detail),
    }
}

/// What is called, and with what JSON.
fn entries(info: &ModuleInfo) -> Vec<(Entry, Vec<u8>)> {
    let command = info.is_command.then(|| (Entry::Command, Vec::new()));
    let exports = info.exports.iter().take(CALLS_MAX).map(|export| {
        let count = parameters(&export.signature);
        let arguments = (0..count).map(|at| (at * 37).to_string()).collect::<Vec<_>>().join(",");
        (Entry::Export { name: export.name.clone() }, format!("[{arguments}]").into_bytes())
    });
    command.into_iter().chain(exports).collect()
}

/// How many parameters a core function's signature has: `func (i32, i32) -> i32`.
fn parameters(signature: &str) -> usize {
    let inside = signature.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inside.map_or(0, |(list, _)| list.split(',').filter(|ty| !ty.trim().is_empty()).count())
}

/// One assignment, from its start frame to its claim.
fn run(loaded: &Loaded, entry: Entry, input: &[u8]) {
    let limits = WorkerLimits { fuel: Some(FUEL), ..LIMITS };
    let start = Start {
        task: TASK,
        attempt: 1,
        name: "a name".to_owned(),
        worker_name: "worker-1".to_owned(),
        entry,
        initializer: None,
        inputs: Inputs { lengths: vec![input.len() as u64], body: Body::Inline(input.to_vec()) },
        limits,
        argv: vec!["guest".to_owned()],
        env: Vec::new(),
        stdin: false,
        token: 9,
        grants: Vec::new(),
        log_level: Some(LogLevel::Trace),
        // The last assignment ends the process.
        last: false,
        lane: false,
        quiet: false,
        goes_through: true,
        ahead: None,
        deterministic: None,
    };
    let ((), said) = supervisor::supervised(TASK, 2, |link| {
        let assigned = run::assigned(Arc::clone(&link), start, loaded);
        machine().runtime.block_on(assigned.expect("the parts of the start frame fit together"));
    });
    match said.as_slice() {
        [FromWorker::Started { task: TASK }, FromWorker::Finished { task: TASK, index: 0, claim, .. }] => {
            super::assert_allowed(claim);
        }
        other => panic!("one start and one claim: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_end_is_allowed() {
        for wat in [
            "(module)",
            r#"(module (func (export "_start") unreachable))"#,
            r#"(module (func (export "_start") (loop br 0)))"#,
            r#"(module (memory 1000))"#,
            r#"(module (memory 1) (data (i32.const 65536) "x") (func (export "f")))"#,
            r#"(module (func (export "f") (param i32 f64 funcref) (result i64) i64.const 1))"#,
            r#"(module (import "nobody" "knows" (func)))"#,
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $e (param i32))) (memory (export "memory") 1)
                (func (export "_start") (call $e (i32.const 300))))"#,
        ] {
            fuzz_module(wat.as_bytes(), true);
        }
        fuzz_module(b"(component)", true);
        fuzz_module(b"(module (func (result i32)))", false);
        fuzz_module(b"\x7fELF", false);
    }

    #[test]
    #[should_panic(expected = "a valid module was refused")]
    fn a_valid_module_that_is_refused_is_a_finding() {
        fuzz_module(b"(module (memory i64 1))", true);
    }

    #[test]
    fn parameters_are_counted() {
        assert_eq!(parameters("func () -> i32"), 0);
        assert_eq!(parameters("func (i32)"), 1);
        assert_eq!(parameters("func (i32, f64) -> (i32, i32)"), 2);
    }
}

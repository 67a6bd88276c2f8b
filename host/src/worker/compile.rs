//! The compile worker: one module in, one artifact file out.
//!
//! Parsing and compiling are the most complicated code that an untrusted module meets before it runs,
//! and a small module can cost a compiler minutes and gigabytes. So it happens in a process of its own,
//! in the sandbox, under limits of CPU time and address space: meeting one of them is its death, which
//! the supervisor sees. Threads are allowed here, for the parallel compiler.

#![forbid(unsafe_code)]

mod describe;
mod features;
mod identify;
mod records;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use crate::feature::Features;
use crate::limits::MODULE_INFO_BYTES_MAX;
use crate::module_info::{ModuleInfo, ModuleKind};
use crate::os::hardening;
use crate::os::memory_file::SealedFile;
use crate::os::socket::PacketSocket;
use crate::outcome::StartFailure;
use crate::protocol::compile::{ArtifactHeader, Compile, Compiled, encode_info};
use crate::worker::child::{stay_with_parent, take_descriptor};
use crate::worker::control::Control;
use crate::worker::engine::{self, Purpose};
use crate::worker::sandbox::{self, Profile};
use crate::worker::{fault, trap};

/// Threads of the compiler at most: each needs memory of its own, which is limited.
const THREADS_MAX: usize = 8;

/// What was compiled.
pub(super) enum Program {
    Component(Component),
    Core(Module),
}

impl Program {
    /// The artifact's code.
    pub(super) fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        match self {
            Self::Component(component) => component.serialize(),
            Self::Core(module) => module.serialize(),
        }
    }
}

/// Why there is no artifact.
#[derive(Debug)]
pub(super) struct Refusal {
    kind: StartFailure,
    detail: String,
}

impl Refusal {
    fn invalid(detail: impl Into<String>) -> Self {
        Self { kind: StartFailure::InvalidModule, detail: detail.into() }
    }

    fn compilation(detail: impl Into<String>) -> Self {
        Self { kind: StartFailure::Compilation, detail: detail.into() }
    }

    /// As the supervisor is told.
    pub(super) fn told(self) -> (StartFailure, String) {
        (self.kind, trap::message(self.detail))
    }
}

/// Compiles the one module that the supervisor sends.
pub(crate) fn run(socket: PacketSocket) -> io::Result<()> {
    let mut control = Control::new(socket);
    let Some((request, descriptors)) = control.receive::<Compile>()? else { return Ok(()) };
    let mut descriptors = descriptors.into_iter();
    let module = SealedFile::seal(take_descriptor(&mut descriptors)?)?;
    let artifact = File::from(take_descriptor(&mut descriptors)?);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    // The C library would reserve 64 MiB of the limited address space for each thread.
    hardening::limit_malloc_arenas(2);
    hardening::set_environment("RAYON_NUM_THREADS", &threads.to_string());
    let answer = match compile(&control, &request, &module, &artifact) {
        Ok(()) => Compiled::Done,
        Err(refusal) => {
            let (kind, detail) = refusal.told();
            Compiled::Refused { kind, detail }
        }
    };
    fault::point("compile-before-done", |bytes| control.send_garbage(bytes));
    control.send(&answer, &[])
}

fn compile(
    control: &Control,
    request: &Compile,
    module: &SealedFile,
    artifact: &File,
) -> Result<(), Refusal> {
    sandbox::enter(request.sandbox, &Profile::Compile(request.limits))
        .map_err(|error| Refusal { kind: StartFailure::Sandbox, detail: error.to_string() })?;
    stay_with_parent(control);
    let here = |error: &dyn ToString| Refusal::compilation(error.to_string());
    let bytes = module.map().map_err(|error| here(&error))?;
    let engine = engine::engine(request.engine, Purpose::Compile).map_err(|error| unexplained(&error))?;
    let (info, program) = program(&engine, request.engine.features, &bytes)?;
    let code = program.serialize().map_err(|error| unexplained(&error))?;
    drop(program);
    let info = encode_info(&info).map_err(|error| here(&error))?;
    if info.len() as u64 > MODULE_INFO_BYTES_MAX {
        let limit = format!("the limit is {MODULE_INFO_BYTES_MAX}");
        return Err(Refusal::compilation(format!(
            "the module's description has {} bytes, {limit}",
            info.len()
        )));
    }
    write(artifact, &info, &code).map_err(|error| here(&format!("the artifact cannot be written: {error}")))
}

/// Compiles and describes the module in these bytes. `features` are those that the engine has on because they were asked for.
pub(super) fn program(
    engine: &Engine,
    features: Features,
    bytes: &[u8],
) -> Result<(ModuleInfo, Program), Refusal> {
    let (kind, wasm) = identify::module(bytes).map_err(Refusal::invalid)?;
    match kind {
        ModuleKind::Component => {
            let component =
                Component::from_binary(engine, &wasm).map_err(|error| refused(features, &wasm, &error))?;
            let tasks = records::read(&wasm).map_err(Refusal::invalid)?;
            let is_composed = records::is_composed(&wasm);
            drop(wasm);
            let info =
                describe::component(&component, tasks, is_composed).map_err(|error| unexplained(&error))?;
            Ok((info, Program::Component(component)))
        }
        ModuleKind::CoreModule => {
            let module =
                Module::from_binary(engine, &wasm).map_err(|error| refused(features, &wasm, &error))?;
            drop(wasm);
            let info = describe::module(&module).map_err(|error| unexplained(&error))?;
            Ok((info, Program::Core(module)))
        }
    }
}

fn unexplained(error: &wasmtime::Error) -> Refusal {
    Refusal::compilation(trap::describe(error))
}

/// Whether the module is to blame, which validation says, or the compiler.
fn refused(on: Features, wasm: &[u8], error: &wasmtime::Error) -> Refusal {
    if let Some(detail) = identify::damage(wasm) {
        return Refusal::invalid(detail);
    }
    let detail = trap::describe(error);
    let valid = detail.contains("Implementation limit exceeded") || detail.contains("Compilation error");
    if valid {
        return Refusal::compilation(detail);
    }
    let hint = features::hint(wasm, on).map_or(String::new(), |hint| format!("; {hint}"));
    Refusal::invalid(format!("invalid module: {detail}{hint}"))
}

/// Writes an artifact file: header, description, and the code from a page's border on.
fn write(artifact: &File, info: &[u8], code: &[u8]) -> io::Result<()> {
    let header = ArtifactHeader { info_bytes: info.len() as u64, code_bytes: code.len() as u64 };
    artifact.set_len(0)?;
    artifact.write_all_at(&header.to_bytes(), 0)?;
    artifact.write_all_at(info, header.info_offset())?;
    artifact.write_all_at(code, header.code_offset())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CompileLimits;
    use crate::policy::SandboxMode;
    use crate::protocol::compile::decode_info;
    use crate::protocol::fork_server::EngineSettings;

    fn request(module_bytes: u64) -> Compile {
        Compile {
            module_bytes,
            engine: EngineSettings { fuel: false, features: Features::NONE, stack_bytes: 512 * 1024 },
            limits: CompileLimits::for_module(module_bytes),
            sandbox: SandboxMode::Off,
        }
    }
    // Nothing here calls `compile` as a whole: it limits the whole process.

    fn compiled(wat: &str) -> Result<ModuleInfo, Refusal> {
        let engine = engine::engine(request(0).engine, Purpose::Compile).unwrap();
        let (info, program) = program(&engine, Features::NONE, wat.as_bytes())?;
        let code = program.serialize().unwrap();
        let artifact = tempfile::tempfile().unwrap();
        let encoded = encode_info(&info).unwrap();
        write(&artifact, &encoded, &code).unwrap();
        let length = artifact.metadata().unwrap().len();
        let mut header = [0; ArtifactHeader::BYTES];
        artifact.read_exact_at(&mut header, 0).unwrap();
        let header = ArtifactHeader::read(&header, length).unwrap();
        let mut bytes = vec![0; usize::try_from(header.info_bytes).unwrap()];
        artifact.read_exact_at(&mut bytes, header.info_offset()).unwrap();
        assert_eq!(decode_info(&bytes).unwrap(), info);
        Ok(info)
    }

    #[test]
    fn a_core_command_is_described() {
        let info = compiled(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
                (import "env" "nothing" (func (param i32 i64) (result f32)))
                (func (export "_start")) (func (export "add") (param i32 i32) (result i32) (i32.const 0)))"#,
        )
        .unwrap();
        assert_eq!(info.kind, ModuleKind::CoreModule);
        assert!(info.is_command && !info.is_reactor);
        let exports: Vec<_> = info.exports.iter().map(|e| (e.name.as_str(), e.signature.as_str())).collect();
        assert_eq!(exports, [("_start", "func ()"), ("add", "func (i32, i32) -> i32")]);
        let imports: Vec<_> = info.imports.iter().map(|i| (i.name.as_str(), i.known)).collect();
        assert_eq!(imports, [("wasi_snapshot_preview1.proc_exit", true), ("env.nothing", false)]);
        assert_eq!(info.imports[1].signature, "func (i32, i64) -> f32");
    }

    #[test]
    fn what_nobody_offers_is_described_as_unknown() {
        let info = compiled(
            r#"(component (import "wasi:cli/environment@0.2.6" (instance))
                (import "nobody:has/this" (instance (export "f" (func)) (export "m" (core module))))
                (import "module" (core module (export "f" (func)))))"#,
        )
        .unwrap();
        let imports: Vec<_> = info.imports.iter().map(|i| (i.name.as_str(), i.known)).collect();
        assert_eq!(imports[..2], [("wasi:cli/environment@0.2.6", true), ("nobody:has/this", false)]);
        let info = compiled(r#"(component (import "module" (core module (export "f" (func)))))"#).unwrap();
        assert_eq!((info.imports[0].name.as_str(), info.imports[0].known), ("module", false));
    }

    #[test]
    fn an_invalid_module_is_refused_in_one_line() {
        for (wat, part) in [
            ("(module (func (result i32)))", "type mismatch"),
            ("(module (memory i64 1))", "memory64"),
            ("(module (func (export \"a\")", "line 1, column"),
            ("(module (import \"a\" \"b\" (memory 1 2 shared)))", "threads"),
        ] {
            let refusal = compiled(wat).unwrap_err();
            assert_eq!(refusal.kind, StartFailure::InvalidModule, "{wat}: {}", refusal.detail);
            assert!(refusal.detail.contains(part), "{wat}: {}", refusal.detail);
            assert!(!refusal.detail.contains('\n'), "{wat}: {}", refusal.detail);
        }
    }

    #[test]
    fn a_component_s_functions_have_wit_signatures() {
        let info = compiled(
            r#"(component
                (import "acme:host/api@1.0.0" (instance (export "f" (func (param "a" u32)))))
                (type $point' (record (field "x" s8) (field "y" (option string))))
                (import "point" (type $point (eq $point')))
                (core module $m
                    (memory (export "memory") 1)
                    (func (export "f") (param i32 i32 i32 i32 i32) (result i32) (i32.const 1))
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
                (core instance $i (instantiate $m))
                (func (export "work") (param "p" $point) (param "t" (tuple u64 bool)) (result (result u32))
                    (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc")))))"#,
        );
        // The core function has another number of parameters: components are validated too.
        assert_eq!(info.unwrap_err().kind, StartFailure::InvalidModule);
        let info = compiled(
            r#"(component
                (core module $m
                    (memory (export "memory") 1)
                    (func (export "f") (param i32 i32 i64 i32) (result i32) (i32.const 1))
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0)))
                (core instance $i (instantiate $m))
                (func $work (param "s" string) (param "t" (tuple u64 bool)) (result (result u32))
                    (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc"))))
                (export "work" (func $work))
                (instance $more (export "again" (func $work)))
                (export "acme:more/more" (instance $more)))"#,
        )
        .unwrap();
        let signature = "func(s: string, t: tuple<u64, bool>) -> result<u32>";
        let exports: Vec<_> = info.exports.iter().map(|e| (e.name.as_str(), e.signature.as_str())).collect();
        assert_eq!(exports, [("work", signature), ("acme:more/more#again", signature)]);
        assert!(info.kind == ModuleKind::Component && !info.is_command && info.imports.is_empty());
    }
}

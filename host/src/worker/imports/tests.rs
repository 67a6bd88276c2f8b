//! Guests of both previews under the imports, in this process or alone in one of their own.

#![forbid(unsafe_code)]

use wasmtime::component::{Component, Linker, ResourceTableError};
use wasmtime::{Module, Store};

use super::*;
use crate::policy::DirAccess;
use crate::protocol::worker::Stream;
use crate::protocol::worker::{FromWorker, ToWorker};
use crate::worker::engine::{self, Purpose, engine};

pub(super) mod harness;

use harness::{
    artifact, built, compiling_engine, config, forbid_threads, frames, output, passes_alone,
    peak_memory_bytes, pipe_with, settings, threads,
};

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn store(engine: &wasmtime::Engine, config: HostConfig) -> Store<HostState> {
    let mut store = Store::new(engine, HostState::new(config).unwrap());
    store.set_epoch_deadline(1);
    store
}

/// What both guests print, given "input" on a standard input that stays open.
const PRINTED_BEFORE_POLLS: &str = "printed\ninput\nhello world\nworld\n";

#[test]
fn a_preview_1_guest_prints_sleeps_reads_writes_and_polls_without_a_thread() {
    let artifact = compiling_engine().precompile_module(&wat(include_str!("tests/guests/preview_1.wat")));
    passes_alone("preview_1_child", &artifact.unwrap());
}

#[test]
fn preview_1_child() {
    let Some(artifact) = artifact() else { return };
    without_threads("31", async |engine, mut store| {
        let module = engine::load_module(engine, artifact)?;
        let mut linker = wasmtime::Linker::new(engine);
        link_core(&mut linker)?;
        let instance = linker.instantiate_async(&mut store, &module).await?;
        instance.get_typed_func::<(), ()>(&mut store, "_start")?.call_async(&mut store, ()).await
    });
}

#[test]
fn a_preview_2_guest_prints_sleeps_reads_writes_and_polls_without_a_thread() {
    let guest = built(include_str!("tests/guests/preview_2.guest"), "preview_2.rs");
    let artifact = compiling_engine().precompile_component(&guest);
    passes_alone("preview_2_child", &artifact.unwrap());
}

#[test]
fn preview_2_child() {
    let Some(artifact) = artifact() else { return };
    without_threads("20", async |engine, store| {
        let component = engine::load_component(engine, artifact)?;
        run_command(&component, store).await.1
    });
}

/// Runs a guest under a filter that kills the process when a thread is started, and looks at the files,
/// the output and the threads that it leaves behind.
fn without_threads(
    polls: &str,
    run: impl AsyncFnOnce(&wasmtime::Engine, Store<HostState>) -> wasmtime::Result<()>,
) {
    let engine = engine(settings(), Purpose::Run).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (mut config, socket) = config();
    let (stdin, _open) = pipe_with(b"input\n");
    config.stdin = Some(stdin);
    config.outside.dirs = [GrantedDir::at(dir.path(), "/d", DirAccess::ReadWrite)].into();
    let before = threads();
    // libtest's main thread, which waits, and this one.
    assert_eq!(before.len(), 2);
    forbid_threads();
    let store = store(&engine, config);
    runtime().block_on(run(&engine, store)).unwrap();
    assert_eq!(threads(), before);
    let frames = frames(&socket);
    assert_eq!(output(&frames, Stream::Stdout), format!("{PRINTED_BEFORE_POLLS}{polls}"));
    assert_eq!(output(&frames, Stream::Stderr), "slept\n");
    assert_eq!(std::fs::read(dir.path().join("file.txt")).unwrap(), b"hello world\n");
}

/// Runs a component's `wasi:cli/run`.
async fn run_command(
    component: &Component,
    mut store: Store<HostState>,
) -> (Store<HostState>, wasmtime::Result<()>) {
    let mut linker = Linker::new(component.engine());
    link_component(&mut linker).unwrap();
    let command =
        wasmtime_wasi::p2::bindings::Command::instantiate_async(&mut store, component, &linker).await;
    let result = match command {
        Ok(command) => command.wasi_cli_run().call_run(&mut store).await,
        Err(error) => Err(error),
    };
    let result = result.map(|result| result.expect("the guest's main returns"));
    (store, result)
}

/// What each function of the guest returns, or that it traps.
const BOUNDS: [(&str, Option<i32>); 9] = [
    ("a_gibibyte_of_random_numbers", None),
    ("a_million_subscriptions", Some(48)),
    ("iovecs_to_write", Some(48)),
    ("iovecs_to_read", Some(48)),
    ("a_gibibyte_of_input", Some(48)),
    ("subscriptions_out_of_bounds", None),
    ("events_out_of_bounds", None),
    ("no_subscription", Some(28)),
    ("an_unknown_descriptor", Some(8)),
];

#[test]
fn a_greedy_guest_gets_an_error_and_host_memory_stays_flat() {
    let artifact = compiling_engine().precompile_module(&wat(include_str!("tests/guests/bounds.wat")));
    passes_alone("bounds_child", &artifact.unwrap());
}

#[test]
fn bounds_child() {
    let Some(artifact) = artifact() else { return };
    let engine = engine(settings(), Purpose::Run).unwrap();
    let module = engine::load_module(&engine, artifact).unwrap();
    let mut linker = wasmtime::Linker::new(&engine);
    link_core(&mut linker).unwrap();
    let runtime = runtime();
    let before = peak_memory_bytes();
    for (name, expected) in BOUNDS {
        let (mut config, _socket) = config();
        let (stdin, _open) = pipe_with(b"input");
        config.stdin = Some(stdin);
        let mut store = store(&engine, config);
        let returned = runtime.block_on(async {
            let instance = linker.instantiate_async(&mut store, &module).await?;
            let function = instance.get_typed_func::<(), i32>(&mut store, name)?;
            function.call_async(&mut store, ()).await
        });
        assert_eq!(returned.as_ref().ok().copied(), expected, "{name}: {returned:?}");
    }
    // Half of what the smallest of these wishes would take. The code that runs here for the first time
    // counts too: some machines map 8 MiB of it.
    let grown = peak_memory_bytes() - before;
    assert!(grown < 24 << 20, "{grown} bytes more than before");
}

#[test]
fn a_guest_that_hoards_handles_is_ended() {
    let engine = compiling_engine();
    let component = Component::new(&engine, wat(include_str!("tests/guests/pollables.wat"))).unwrap();
    let mut linker = Linker::new(&engine);
    link_component(&mut linker).unwrap();
    let (config, _socket) = config();
    let mut store = store(&engine, config);
    let error = runtime()
        .block_on(async {
            let instance = linker.instantiate_async(&mut store, &component).await?;
            instance.get_typed_func::<(), ()>(&mut store, "run")?.call_async(&mut store, ()).await
        })
        .unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(ResourceTableError::Full)), "{error:?}");
    assert!(is_out_of_handles(&error));
}

#[test]
fn a_task_asks_and_tells_everything_that_the_interface_has() {
    let world = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk/wit/guest.component-type");
    let source = include_str!("tests/guests/task.guest").replace("env!(\"WORLD\")", &format!("{world:?}"));
    let component = Component::new(&compiling_engine(), built(&source, "task.rs")).unwrap();
    let (mut config, socket) = config();
    config.log_level = Some(LogLevel::Warn);
    let cancel = crate::protocol::frame::encode(&ToWorker::Cancel { task: 7 }).unwrap();
    let store = store(component.engine(), config);
    socket.send(&cancel, &[]).unwrap();
    let (mut store, result) = runtime().block_on(run_command(&component, store));
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&Exit(300)));
    let panic = store.data_mut().take_panic().unwrap();
    assert_eq!((&*panic.message, &*panic.file, panic.line, panic.column), ("oh no", "src/lib.rs", 3, 14));
    assert_eq!(store.data_mut().take_panic(), None);
    let frames = frames(&socket);
    assert_eq!(output(&frames, Stream::Stdout), "7 2 a name worker-3\n[1, 3]\n0 0 0\n1\n");
    let told: Vec<_> =
        frames.into_iter().filter(|frame| !matches!(frame, FromWorker::Output { .. })).collect();
    let log = |level| FromWorker::Log { level, target: "target".to_owned(), message: "m".repeat(8191) };
    assert_eq!(
        told,
        [
            FromWorker::Progress { done: 3, total: None },
            FromWorker::Progress { done: 4, total: Some(10) },
            log(LogLevel::Warn),
            log(LogLevel::Error),
        ]
    );
}

/// Calls the `_start` of a core module, and takes what it sent.
fn started(module: &str, config: HostConfig) -> wasmtime::Result<()> {
    let engine = compiling_engine();
    let module = Module::new(&engine, wat(module)).unwrap();
    let mut linker = wasmtime::Linker::new(&engine);
    link_core(&mut linker).unwrap();
    let mut store = store(&engine, config);
    runtime().block_on(async {
        let instance = linker.instantiate_async(&mut store, &module).await?;
        instance.get_typed_func::<(), ()>(&mut store, "_start")?.call_async(&mut store, ()).await
    })
}

#[test]
fn a_core_module_exits_with_any_code_in_both_previews() {
    for (module, code) in [(PREVIEW_1, 0), (PREVIEW_1, 300), (PREVIEW_0, 126), (PREVIEW_0, u32::MAX)] {
        let (config, _socket) = config();
        let guest = format!(
            r#"(module (import "{module}" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
                (func (export "_start") (call $exit (i32.const {}))))"#,
            code.cast_signed()
        );
        assert_eq!(started(&guest, config).unwrap_err().downcast_ref(), Some(&Exit(code)));
    }
}

#[test]
fn a_preview_0_guest_polls_with_its_own_layout() {
    let (mut config, socket) = config();
    let (stdin, _open) = pipe_with(b"input");
    config.stdin = Some(stdin);
    // An hour of the monotonic clock, then standard input; prints the one event's user data.
    let guest = r#"(module
        (import "wasi_unstable" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "wasi_unstable" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\00\02\00\00\08\00\00\00")
        (func (export "_start")
            (i64.store (i32.const 64) (i64.const 0x6d69745f656e6f20))
            (i32.store (i32.const 88) (i32.const 1))
            (i64.store (i32.const 96) (i64.const 3600000000000))
            (i64.store (i32.const 120) (i64.const 0x6e696474735f6e6f))
            (i32.store8 (i32.const 128) (i32.const 1))
            (if (call $poll (i32.const 64) (i32.const 512) (i32.const 2) (i32.const 8)) (then unreachable))
            (if (i32.ne (i32.load (i32.const 8)) (i32.const 1)) (then unreachable))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
    started(guest, config).unwrap();
    assert_eq!(output(&frames(&socket), Stream::Stdout), "on_stdin");
}

#[test]
fn a_read_only_directory_and_a_missing_standard_input_are_just_that() {
    let dir = tempfile::tempdir().unwrap();
    let (mut config, _socket) = config();
    config.outside.dirs = [GrantedDir::at(dir.path(), "/d", DirAccess::ReadOnly)].into();
    let guest = r#"(module
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\00\02\00\00\08\00\00\00file")
        (func (export "_start")
            ;; EPERM for a new file, no byte from standard input.
            (if (i32.ne (i32.const 63) (call $open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 4)
                (i32.const 1) (i64.const 66) (i64.const 66) (i32.const 0) (i32.const 16))) (then unreachable))
            (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)) (then unreachable))
            (if (i32.load (i32.const 16)) (then unreachable))))"#;
    started(guest, config).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn two_contexts_never_draw_the_same_random_numbers() {
    use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

    let draw = || {
        let (config, _socket) = config();
        let mut state = HostState::new(config).unwrap();
        let random = state.ctx().ctx.random();
        [
            random::Host::get_random_u64(random).unwrap(),
            insecure::Host::get_insecure_random_u64(random).unwrap(),
            insecure_seed::Host::insecure_seed(random).unwrap().0,
        ]
    };
    let drawn = std::collections::BTreeSet::from_iter((0..100).flat_map(|_| draw()));
    assert_eq!(drawn.len(), 300);
}

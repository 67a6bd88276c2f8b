//! What a run costs beside `wasmtime run`: the same short command, many times, two at once.
//!
//! wasmtime gets the command compiled before, as we have it in the artifact cache. Every run is a process of its own on
//! either side; ours is in the sandbox, with every layer that the machine can give.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::measure::Spread;

/// The wasmtime program, with its version; nothing where there is none.
pub fn wasmtime() -> Option<(PathBuf, String)> {
    let program = PathBuf::from(std::env::var_os(VARIABLE).unwrap_or_else(|| "wasmtime".into()));
    let version = Command::new(&program).arg("--version").output().ok()?;
    Some((program, String::from_utf8_lossy(&version.stdout).trim().to_owned()))
}

/// Compiles the short command for wasmtime.
pub fn compile_hello(program: &Path, folder: &Path) -> (PathBuf, PathBuf) {
    let module = folder.join("hello.wasm");
    let bytes = wat::parse_file(Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/hello.wat"));
    std::fs::write(&module, bytes.expect("it is valid")).expect("a file");
    let compiled = folder.join("hello.cwasm");
    expect(Command::new(program).arg("compile").arg(&module).arg("-o").arg(&compiled), 0);
    (module, compiled)
}

/// Runs the compiled command that often, two at once.
pub fn run_wasmtime(program: &Path, compiled: &Path, runs: usize) {
    let one = || {
        let mut command = Command::new(program);
        expect(command.args(["run", "--allow-precompiled"]).arg(compiled).arg("x"), 1);
    };
    two_at_once(runs, one);
}

/// Names the wasmtime program, where it is not on the path.
const VARIABLE: &str = "WASMPOOL_BENCH_WASMTIME";
/// How it is had.
pub const INSTALL: &str = "cargo install wasmtime-cli --version 48.0.8 --locked --no-default-features --features run,compile,cranelift,\
     component-model,parallel-compilation,pooling-allocator,threads,gc,gc-drc,backtrace,addr2line,demangle,cache";
/// Of one round.
pub const RUNS: usize = 200;
const AT_ONCE: usize = 2;

/// What was measured: nanoseconds for each run, over the rounds.
#[derive(Debug)]
pub struct Overhead {
    /// As the peer says it.
    pub version: String,
    pub runs: usize,
    /// One `wasmpool map` with two workers.
    pub map: Spread,
    /// `wasmtime run`, two at once.
    pub peer: Spread,
    /// `wasmpool run`, two at once: a supervisor and a worker for each.
    pub run: Spread,
}

/// Everything in this many rounds; nothing where there is no wasmtime.
pub fn measure(rounds: usize, runs: usize) -> Option<Overhead> {
    let (peer, version) = wasmtime()?;
    let own = build_program();
    let folder = tempfile::tempdir().expect("a folder");
    let (module, compiled) = compile_hello(&peer, folder.path());
    let cache = folder.path().join("cache");
    let inputs = folder.path().join("inputs");
    std::fs::write(&inputs, "x\n".repeat(runs)).expect("a file");

    let own = || {
        let mut command = Command::new(&own);
        command.env("XDG_CACHE_HOME", &cache);
        command
    };
    let map = || {
        let mut map = own();
        map.args(["map", "-q", "-j", &AT_ONCE.to_string()]).arg(&module).arg("--from").arg(&inputs);
        expect(map.args(["--", "{}"]), runs);
    };
    let run = || two_at_once(runs, || expect(own().args(["run", "-q"]).arg(&module).arg("x"), 1));
    let peer = || run_wasmtime(&peer, &compiled, runs);
    let sides: [&dyn Fn(); 3] = [&map, &peer, &run];
    let mut times = [const { Vec::new() }; 3];
    for round in 0..=rounds {
        eprint!("\r\x1b[Kbeside wasmtime run: round {round} of {rounds}");
        for (side, times) in sides.iter().zip(&mut times) {
            let begun = Instant::now();
            side();
            // The first round fills caches.
            if round > 0 {
                times.push(begun.elapsed().as_nanos() as f64 / runs as f64);
            }
        }
    }
    eprint!("\r\x1b[K");
    let [map, peer, run] = times.map(Spread::of);
    Some(Overhead { version, runs, map, peer, run })
}

fn two_at_once(runs: usize, one: impl Fn() + Sync) {
    let left = AtomicUsize::new(runs);
    let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while take() {
                    one();
                }
            });
        }
    });
}

/// Runs it to its end: it succeeds and says hello that often.
fn expect(command: &mut Command, hellos: usize) {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).matches("hello\n").count();
    assert_eq!(said, hellos, "{command:?}");
}

/// The program, built as the README says.
fn build_program() -> PathBuf {
    let own = std::env::current_exe().expect("a program knows its own file");
    // target/release/deps/compare-...
    let target = own.ancestors().nth(3).expect("benches lie three folders deep");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    build.args(["build", "--release", "--workspace", "--bin", "wasmpool", "--target-dir"]).arg(target);
    assert!(build.status().expect("cargo can be started").success(), "wasmpool is built");
    target.join("release/wasmpool")
}

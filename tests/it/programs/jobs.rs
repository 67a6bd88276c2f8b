//! What the programs are asked to do. Nothing here depends on the time, on randomness, or on the order of a hash table.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::real_programs;

/// One job.
pub struct Job {
    name: &'static str,
    program: &'static str,
    /// After the program's own name.
    args: &'static [&'static str],
    /// A file of `tests/programs`.
    stdin: Option<&'static str>,
    /// Whether it may write below `/out`.
    writes: bool,
}

const fn job(program: &'static str, name: &'static str, args: &'static [&'static str]) -> Job {
    Job { name, program, args, stdin: None, writes: false }
}

impl Job {
    const fn reads(self, file: &'static str) -> Self {
        Self { stdin: Some(file), ..self }
    }

    const fn writes(self) -> Self {
        Self { writes: true, ..self }
    }
}

/// Every job. Programs take turns, so that a pool has different ones side by side.
pub const JOBS: [Job; 25] = [
    job(
        "esbuild",
        "bundle",
        &[
            "main.tsx",
            "--bundle",
            "--format=esm",
            "--splitting",
            "--sourcemap",
            "--outdir=/out",
            "--log-level=warning",
        ],
    )
    .writes(),
    job("python", "words", &["/scripts/words.py", "é"]).reads("scripts/words.txt"),
    job("sqlite", "mandelbrot", &[]).reads("scripts/mandelbrot.sql"),
    job("esbuild", "iife", &["table.ts", "--bundle", "--minify", "--global-name=lib", "--target=es2017"]),
    job("python", "library", &["/scripts/library.py"]),
    job("sqlite", "people", &[":memory:", ".read /scripts/people.sql"]),
    job("esbuild", "css", &["page.css", "--bundle", "--minify"]),
    job("python", "fails", &["/scripts/fails.py"]),
    job("sqlite", "bank", &[":memory:"]).reads("scripts/bank.sql"),
    job("esbuild", "transform", &["--loader=ts", "--minify"]).reads("project/table.ts"),
    job("python", "files", &["/scripts/files.py"]).writes(),
    job("sqlite", "version", &["-version"]),
    job("esbuild", "jsx", &["--loader=tsx", "--target=es2018"]).reads("project/main.tsx"),
    job("python", "exits", &["-c", "import sys; print('half'); sys.exit(7)"]),
    job("sqlite", "option", &["-nonsense"]),
    job("esbuild", "unresolved", &["unresolved.ts", "--bundle"]),
    job("python", "exits with a text", &["-c", "import sys; sys.exit('ünd Schluß')"]),
    job(
        "sqlite",
        "html",
        &["-html", "-header", ":memory:", "SELECT 'a<b' AS x, 1/3.0 UNION SELECT '&', NULL"],
    ),
    job("esbuild", "broken", &["broken.ts", "--bundle"]),
    job("python", "syntax", &["-c", "print('never')\nif:"]),
    job(
        "esbuild",
        "metafile",
        &["lazy.ts", "--bundle", "--outdir=/out", "--metafile=/out/meta.json", "--log-level=warning"],
    )
    .writes(),
    job("python", "module", &["-m", "json.tool", "--sort-keys"]).reads("project/names.json"),
    job(
        "python",
        "bytes",
        &[
            "-c",
            "import sys; b = bytes(range(256)) * 999; sys.stdout.buffer.write(b); sys.stderr.buffer.write(b[:99])",
        ],
    ),
    job("python", "end of input", &["-c", "while True: print(len(input()))"]).reads("scripts/words.txt"),
    job("python", "missing", &["/scripts/nowhere.py"]),
];

/// Jobs for a compiler that is itself a large program.
pub const LARGE: [Job; 3] = [
    job(
        "llvm",
        "compile",
        &["-cc1", "-triple", "wasm32-wasip1", "-O2", "-S", "-o", "-", "-x", "c", "/scripts/sum.c"],
    ),
    job("llvm", "errors", &["-cc1", "-triple", "wasm32-wasip1", "-fsyntax-only", "-x", "c++", "-"])
        .reads("scripts/sum.c"),
    job(
        "llvm",
        "object",
        &[
            "-cc1",
            "-triple",
            "wasm32-wasip1",
            "-O0",
            "-emit-obj",
            "-o",
            "/out/sum.o",
            "-x",
            "c",
            "/scripts/sum.c",
        ],
    )
    .writes(),
];

/// The jobs as a plan has them; the library is Python's own.
pub fn plan(jobs: &[Job], library: &Path) -> Vec<Value> {
    let folder = real_programs::source();
    let dirs = |program: &str| match program {
        // It reads every folder up to the root, which therefore must be there.
        "esbuild" => json!([[folder.join("project"), "/"]]),
        "python" => json!([[library, "/usr"], [folder.join("scripts"), "/scripts"]]),
        _ => json!([[folder.join("scripts"), "/scripts"]]),
    };
    let plan = |job: &Job| {
        // The large one has many names, of which it takes one for its own.
        let name = if job.program == "llvm" { "clang" } else { job.program };
        let argv: Vec<&str> = std::iter::once(name).chain(job.args.iter().copied()).collect();
        json!({
            "name": job.name, "program": job.program, "argv": argv, "stdin": job.stdin.map(|file| folder.join(file)),
            // One at least: node:wasi gives `wasi_unstable` programs an error for none.
            "env": { "LANG": "C.UTF-8", "PWD": "/" }, "dirs": dirs(job.program), "writes": job.writes,
        })
    };
    jobs.iter().map(plan).collect()
}

//! Programs that others wrote, many jobs of them mixed through one pool.
//!
//! The plan is the file that `tests/programs/expect.mjs` reads too:
//!
//! ```json
//! { "actual": "/folder", "copies": 4, "workers": 2,
//!   "programs": { "esbuild": { "module": "/esbuild.wasm" } },
//!   "jobs": [ { "name": "bundle", "program": "esbuild", "argv": [], "env": {}, "stdin": "/file" or null,
//!     "dirs": [["/host/path", "/guest/path"]], "writes": true } ] }
//! ```
//!
//! For copy N of a job it leaves `stdout`, `stderr` and `code` in the folder `N/name`, and in `out` there what the job
//! wrote. A line tells how long all of them took.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use wasmpool::{DirAccess, GrantedDir, Record, Stdin, Supervisor, Target, Task};

use crate::support;

/// Argument: the path of the plan.
pub fn run(args: &[String]) {
    let plan = std::fs::read(&args[0]).expect("the plan is there");
    let plan: Value = serde_json::from_slice(&plan).expect("a plan");
    let supervisor = support::supervisor();
    support::block_on(async {
        let begun = Instant::now();
        let programs = load(&supervisor, &plan).await;
        let loaded = begun.elapsed();
        let workers = plan["workers"].as_u64().and_then(|workers| usize::try_from(workers).ok());
        let pool = support::pool(&supervisor, workers.expect("workers")).build().expect("a pool");
        let mut running = Vec::new();
        for copy in 0..plan["copies"].as_u64().expect("copies") {
            for job in plan["jobs"].as_array().expect("jobs") {
                let folder = Path::new(text(&plan["actual"])).join(copy.to_string()).join(text(&job["name"]));
                std::fs::create_dir_all(folder.join("out")).expect("a folder");
                let task = task(&programs[text(&job["program"])], job, &folder);
                running.push((folder, pool.submit(task).await.expect("the pool is open")));
            }
        }
        let jobs = running.len();
        for (folder, handle) in running {
            keep(&folder, &handle.await);
        }
        let ran = begun.elapsed() - loaded;
        support::say(&json!({ "jobs": jobs, "load_ms": support::ms(loaded), "run_ms": support::ms(ran) }));
    });
}

async fn load(supervisor: &Supervisor, plan: &Value) -> BTreeMap<String, Target> {
    let programs = plan["programs"].as_object().expect("programs");
    let load = |(name, program): (&String, &Value)| {
        let (name, path) = (name.clone(), text(&program["module"]).to_owned());
        async move {
            let module = supervisor.load(path.as_str()).await;
            let module = module.unwrap_or_else(|error| panic!("{name} does not load: {error}"));
            (name, module.command().expect("a WASI command"))
        }
    };
    futures_util::future::join_all(programs.iter().map(load)).await.into_iter().collect()
}

fn task(target: &Target, job: &Value, folder: &Path) -> Task {
    let texts =
        |value: &Value| value.as_array().expect("texts").iter().map(|one| text(one).to_owned()).collect();
    let env = job["env"].as_object().expect("variables");
    let mut task = Task::new(target)
        .name(text(&job["name"]))
        .argv(texts(&job["argv"]))
        .env(env.iter().map(|(name, value)| (name.clone(), text(value).to_owned())).collect());
    if let Some(path) = job["stdin"].as_str() {
        task = task.stdin(Stdin::File(Arc::new(File::open(path).expect("a file"))));
    }
    for dir in job["dirs"].as_array().expect("directories") {
        task = task.dir(open(text(&dir[0]).into(), text(&dir[1]), DirAccess::ReadOnly));
    }
    if job["writes"] == true {
        task = task.dir(open(folder.join("out"), "/out", DirAccess::ReadWrite));
    }
    task
}

fn open(path: PathBuf, guest: &str, access: DirAccess) -> GrantedDir {
    GrantedDir::open(path, guest, access).expect("a directory")
}

fn keep(folder: &Path, record: &Record) {
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect("a file");
    write("stdout", &record.stdout);
    write("stderr", &record.stderr);
    write("code", record.outcome.exit_code().to_string().as_bytes());
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

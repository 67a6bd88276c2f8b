//! The scenario that a test describes as data: a supervisor, a pool, tasks, and what is done to them.
//!
//! ```json
//! { "fault": "after-started:kill", "cache": false, "program": "/missing", "servers": 2,
//!   "workers": 2, "per_worker": 1, "spawn": false, "initializer": ["init_if", [true]],
//!   "tasks": [ { "module": "tests/wat/spin.wat", "wat": "(module)", "feature": "memory64", "task": "add", "args": [1, "$i"],
//!     "lock": true, "queue": 4, "command": true, "invoke": "add(1)", "count": 2, "name": "n", "priority": 1, "retries": 0,
//!     "limits": { "timeout_ms": 100 }, "argv": [], "env": { "A": "1" }, "stdin": "text",
//!     "dirs": [["/host/path", "/guest/path", "ro"]], "files": [["/host/file", "/guest/file", "rw"]],
//!     "nets": [["connect" | "listen" | "udp", "127.0.0.1", 80]],
//!     "signal": 9, "stop": "cancel" | "terminate" | "kill" } ] }
//! ```
//!
//! `"$i"` in arguments is the number of the task among its `count`. A new lock, or a new queue for that many
//! items, is the argument before the others. A signal is sent, and a stop made,
//! once the guest has told progress. What it prints: one record a task, in order.

#![forbid(unsafe_code)]

use std::any::Any;
use std::time::Duration;

use serde_json::{Value, json};
use wasmpool::sync::{Lock, Queue};
use wasmpool::{
    Args, DirAccess, GrantedDir, GrantedFile, Limits, LoadError, Module, ModuleSource, Pool, StartMethod,
    Stdin, Supervisor, Target, Task, TaskHandle,
};

use crate::support::{self, Ends};

/// Objects that this program holds on to: nobody is stuck while it could still act on them.
pub type Held = Vec<Box<dyn Any>>;

/// Runs the plan in the first argument.
pub fn run(args: &[String]) {
    let plan: Value = serde_json::from_str(&args[0]).expect("a plan");
    let supervisor = supervisor(&plan);
    support::block_on(async {
        let pool = match pool(&supervisor, &plan).await {
            Ok(pool) => pool,
            Err(error) => return support::say(&refused(&error)),
        };
        let mut ends = Ends::default();
        let (mut handles, mut held) = (Vec::new(), Held::new());
        for spec in plan["tasks"].as_array().expect("tasks") {
            match tasks(&supervisor, spec, &mut held).await {
                Ok(tasks) => {
                    for task in tasks {
                        let handle = pool.submit(task).await.expect("the pool is open");
                        ends.watch(&handle);
                        handles.push((spec.clone(), handle));
                    }
                }
                Err(refusal) => support::say(&refusal),
            }
        }
        for (spec, handle) in &handles {
            interfere(spec, handle).await;
        }
        for (_, handle) in &handles {
            let record = support::patiently("a task ends", async { handle.await }).await;
            support::say(&support::record(&record));
        }
        pool.close();
        support::patiently("the pool is joined", pool.join()).await;
        ends.expect_one_each().await;
    });
}

fn supervisor(plan: &Value) -> Supervisor {
    let mut builder = Supervisor::builder();
    if let Some(fault) = plan["fault"].as_str() {
        builder = builder.fault(fault);
    }
    if plan["cache"] == false {
        builder = builder.no_cache();
    }
    if let Some(program) = plan["program"].as_str() {
        builder = builder.program(program);
    }
    if let Some(servers) = number(&plan["servers"]) {
        builder = builder.fork_servers_max(servers);
    }
    if let Some(ms) = plan["compile_ms"].as_u64() {
        builder = builder.compile_time(Duration::from_millis(ms));
    }
    builder.build().expect("a supervisor")
}

async fn pool(supervisor: &Supervisor, plan: &Value) -> Result<Pool, LoadError> {
    let workers = number(&plan["workers"]).unwrap_or(2);
    let mut builder = support::pool(supervisor, workers);
    builder = builder.max_tasks_per_worker(number(&plan["per_worker"]).unwrap_or(1));
    if plan["spawn"] == true {
        builder = builder.start_method(StartMethod::Spawn);
    }
    if let Some(name) = plan["initializer"][0].as_str() {
        let guests = support::guests(supervisor).await;
        let args = Args::of(&plan["initializer"][1]).expect("arguments");
        builder = builder.initializer(Task::new(&support::target(&guests, name)).args(args));
    }
    Ok(builder.build().expect("a pool"))
}

fn number(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|number| usize::try_from(number).ok())
}

/// What is printed instead of a record when a module cannot be loaded.
pub fn refused(error: &LoadError) -> Value {
    let cause = error.cause();
    json!({ "outcome": "not_loaded", "code": cause.kind.exit_code(), "text": error.to_string() })
}

/// The tasks of one row, or what is printed instead.
pub async fn tasks(supervisor: &Supervisor, spec: &Value, held: &mut Held) -> Result<Vec<Task>, Value> {
    let module = module(supervisor, spec).await.map_err(|error| refused(&error))?;
    let target = find(&module, spec)
        .map_err(|(code, text)| json!({ "outcome": "not_found", "code": code, "text": text }))?;
    let count = spec["count"].as_u64().unwrap_or(1);
    Ok((0..count).map(|index| task(&target, spec, index, held)).collect())
}

async fn module(supervisor: &Supervisor, spec: &Value) -> Result<Module, LoadError> {
    if let Some(text) = spec["wat"].as_str() {
        let source = ModuleSource::wat(text);
        return supervisor
            .load(match spec["feature"].as_str() {
                Some(feature) => source.feature(feature.parse().expect("a feature")),
                None => source,
            })
            .await;
    }
    match spec["module"].as_str() {
        Some(path) => supervisor.load(path).await,
        None => Ok(support::guests(supervisor).await),
    }
}

fn find(module: &Module, spec: &Value) -> Result<Target, (u8, String)> {
    let found = if spec["command"] == true {
        module.command()
    } else if let Some(expression) = spec["invoke"].as_str() {
        module.invoke(expression)
    } else {
        module.task(spec["task"].as_str().expect("a task"))
    };
    found.map_err(|error| (error.exit_code(), error.to_string()))
}

fn task(target: &Target, spec: &Value, index: u64, held: &mut Held) -> Task {
    let mut task = Task::new(target).limits(limits(&spec["limits"]));
    if let Some(args) = spec["args"].as_array() {
        let fill = |arg: &Value| if arg == "$i" { json!(index) } else { arg.clone() };
        task = task.args(Args::positional(args.iter().map(fill).collect()));
    }
    if let Some(args) = objects(spec, held) {
        task = task.args(args);
    }
    if let Some(bytes) = spec["raw_bytes"].as_u64() {
        task = task.args(Args::raw(vec![b'x'; usize::try_from(bytes).expect("a length")]));
    }
    if let Some(name) = spec["name"].as_str() {
        task = task.name(name);
    }
    if let Some(argv) = spec["argv"].as_array() {
        task = task.argv(argv.iter().filter_map(|arg| Some(arg.as_str()?.to_owned())).collect());
    }
    if let Some(env) = spec["env"].as_object() {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        task = task.env(env.iter().map(|(name, value)| (name.clone(), text(value))).collect());
    }
    for dir in spec["dirs"].as_array().into_iter().flatten() {
        task = task.dir(granted(dir));
    }
    for file in spec["files"].as_array().into_iter().flatten() {
        let text = |at: usize| file[at].as_str().expect("a text");
        task = task.file(GrantedFile::open(text(0), text(1), access(text(2))).expect("a file"));
    }
    for net in spec["nets"].as_array().into_iter().flatten() {
        task = task.net(support::granted_net(net));
    }
    if let Some(text) = spec["stdin"].as_str() {
        task = task.stdin(Stdin::Bytes(text.to_owned().into()));
    }
    let retries = spec["retries"].as_u64().and_then(|number| u32::try_from(number).ok());
    task.retries(retries.unwrap_or(0))
}

/// Arguments with a new object in front.
fn objects(spec: &Value, held: &mut Held) -> Option<Args> {
    let args = if spec["lock"] == true {
        let lock = Lock::new().expect("a lock");
        let args = Args::of(&(&lock,));
        held.push(Box::new(lock));
        args
    } else {
        let capacity = u32::try_from(spec["queue"].as_u64()?).expect("a number of items");
        let queue = Queue::builder().capacity(capacity).build::<String>().expect("a queue");
        let args = match &spec["args"][0] {
            Value::Null => Args::of(&(&queue,)),
            first => Args::of(&(&queue, first)),
        };
        held.push(Box::new(queue));
        args
    };
    Some(args.expect("arguments"))
}

/// A directory: its path here, its path for the guest, and its mode.
fn granted(dir: &Value) -> GrantedDir {
    let text = |at: usize| dir[at].as_str().expect("a text");
    GrantedDir::open(text(0), text(1), access(text(2))).expect("a directory")
}

fn access(mode: &str) -> DirAccess {
    if mode == "ro" { DirAccess::ReadOnly } else { DirAccess::ReadWrite }
}

fn limits(spec: &Value) -> Limits {
    let mut limits = Limits::default();
    let ms = |name: &str| spec[name].as_u64().map(Duration::from_millis);
    limits.timeout = ms("timeout_ms");
    limits.cpu_time = ms("cpu_time_ms");
    limits.grace_period = ms("grace_ms").unwrap_or(limits.grace_period);
    limits.fuel = spec["fuel"].as_u64();
    limits.stack_bytes = number(&spec["stack"]).map_or(limits.stack_bytes, |bytes| bytes as u32);
    for (name, limit) in [
        ("memory", &mut limits.memory_bytes),
        ("table", &mut limits.table_elements),
        ("output", &mut limits.output_bytes),
        ("argument", &mut limits.argument_bytes),
        ("result", &mut limits.result_bytes),
        ("log", &mut limits.log_bytes),
    ] {
        *limit = spec[name].as_u64().unwrap_or(*limit);
    }
    limits
}

/// Signals the task's worker, or stops the task, once its guest runs.
async fn interfere(spec: &Value, handle: &TaskHandle) {
    if let Some(number) = spec["signal"].as_i64() {
        let pid = support::until_running(handle).await;
        support::signal(pid, i32::try_from(number).expect("a signal"));
    }
    if let Some(stop) = spec["stop"].as_str() {
        support::until_running(handle).await;
        match stop {
            "cancel" => handle.cancel(),
            "terminate" => handle.terminate(),
            "kill" => handle.kill(),
            other => panic!("a task cannot be stopped by `{other}`"),
        }
    }
}

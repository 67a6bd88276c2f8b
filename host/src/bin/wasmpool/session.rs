//! What the commands that touch modules have in common: a runtime, a supervisor, a loaded module.

#![forbid(unsafe_code)]

use std::future::Future;
use std::num::NonZeroU32;

use wasmpool::batch::manifest::settings::Bounds;
use wasmpool::batch::watchers::Watchers;
use wasmpool::report::terminal;
use wasmpool::{
    Backoff, Limits, LoadError, Module, ModuleSource, Policy, Pool, RetryPolicy, SandboxMode, StartMethod,
    Supervisor, exit_code,
};

use crate::arguments::{BatchOptions, CompileOptions, Sandbox, StartMethodName, TaskOptions};
use crate::failure::{Failure, OrFailWith};
use crate::interrupt::Signals;
use crate::module_path::ModulePath;

/// Runs a command to its end on this thread.
pub fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.or_fail_with(exit_code::NOT_SET_UP)?.block_on(command)
}

/// A supervisor with the user's limits for compiling.
pub fn supervisor(compile: &CompileOptions) -> Result<Supervisor, Failure> {
    let mode = compile.sandbox.map(sandbox_mode).unwrap_or_default();
    if mode == SandboxMode::Off {
        warn_of_no_sandbox("`--sandbox off`");
    }
    let mut builder = Supervisor::builder().compile_sandbox(mode);
    if let Some(time) = compile.compile_time {
        builder = builder.compile_time(time);
    }
    if let Some(bytes) = compile.compile_memory {
        builder = builder.compile_memory(bytes);
    }
    if let Some(bytes) = compile.cache_size {
        builder = builder.cache_bytes(bytes);
    }
    builder.build().or_fail_with(exit_code::NOT_SET_UP)
}

/// Says what it means that there is no sandbox.
pub fn warn_of_no_sandbox(what: &str) {
    tracing::warn!("{what} is not a sandbox: a guest that breaks out of WebAssembly can do what you can");
}

/// Loads a module; a signal ends the wait, and with the supervisor the compiler.
pub async fn load(
    supervisor: &Supervisor,
    compile: &CompileOptions,
    path: &ModulePath,
    signals: &mut Signals,
) -> Result<Module, Failure> {
    tokio::select! {
        module = supervisor.load(source(path, compile)) => module.map_err(|error| load_failure(path, &error)),
        signal = signals.next() => {
            Err(Failure::new(signal.exit_code(), format!("{signal} while `{}` was compiled", path.typed)))
        }
    }
}

/// A module with the features of the language that the options turn on.
pub fn source(path: &ModulePath, compile: &CompileOptions) -> ModuleSource {
    let source = ModuleSource::from(path.file.as_path());
    compile.wasm_features.iter().fold(source, |source, feature| source.feature(*feature))
}

/// The library names a module by its file's stem; the user typed something longer.
fn load_failure(path: &ModulePath, error: &LoadError) -> Failure {
    let cause = error.cause();
    let message = format!("`{}`: {}: {}", path.typed, cause.kind.label(), terminal::printable(&cause.detail));
    Failure::new(error.exit_code(), message)
}

/// The limits that the options ask for; everything else by default.
pub fn limits(options: &TaskOptions) -> Limits {
    let default = Limits::default();
    Limits {
        timeout: options.timeout,
        cpu_time: options.cpu_time,
        fuel: options.fuel,
        memory_bytes: options.max_memory.unwrap_or(default.memory_bytes),
        stack_bytes: options.max_stack.unwrap_or(default.stack_bytes),
        init_timeout: options.init_timeout.unwrap_or(default.init_timeout),
        output_bytes: options.max_output.unwrap_or(default.output_bytes),
        streamed_output_bytes: options.max_output,
        ..default
    }
}

/// Whether and when the options want a task tried again.
pub fn retry(bounds: &Bounds) -> RetryPolicy {
    let default = RetryPolicy::default();
    let backoff = match bounds.retry_delay {
        None => default.backoff,
        Some(delay) if delay.is_zero() => Backoff::NONE,
        Some(base) => Backoff { base, max: default.backoff.max.max(base), ..default.backoff },
    };
    RetryPolicy {
        retries: bounds.retries.unwrap_or(default.retries),
        on: bounds.retry_on.unwrap_or(default.on),
        backoff,
        deaths_max: bounds.quarantine_after.unwrap_or(default.deaths_max),
    }
}

/// The limits and retries that the options ask for.
pub fn bounds(task: &TaskOptions, batch: &BatchOptions) -> Bounds {
    Bounds {
        timeout: task.timeout,
        cpu_time: task.cpu_time,
        fuel: task.fuel,
        max_memory: task.max_memory,
        max_output: task.max_output,
        grace_period: None,
        init_timeout: task.init_timeout,
        retries: batch.retries,
        retry_on: batch.retry_on,
        retry_delay: batch.retry_delay,
        quarantine_after: batch.quarantine_after.map(NonZeroU32::get),
        sandbox: task.compile.sandbox.map(sandbox_mode),
    }
}

/// The policy that the options ask for.
pub fn policy(options: &TaskOptions) -> Policy {
    Policy { sandbox: options.compile.sandbox.map(sandbox_mode).unwrap_or_default() }
}

fn sandbox_mode(option: Sandbox) -> SandboxMode {
    match option {
        Sandbox::Required => SandboxMode::Required,
        Sandbox::BestEffort => SandboxMode::BestEffort,
        Sandbox::Off => SandboxMode::Off,
    }
}

/// The start method that the options ask for, if they ask for one.
pub fn start_method(options: &TaskOptions) -> Option<StartMethod> {
    options.start_method.map(|method| match method {
        StartMethodName::Forkserver => StartMethod::ForkServer,
        StartMethodName::Spawn => StartMethod::Spawn,
    })
}

/// A pool with the options of a batch.
///
/// # Errors
///
/// Code 96 when there can be none.
pub fn pool(
    batch: &BatchOptions,
    task: &TaskOptions,
    workers: Option<usize>,
    supervisor: &Supervisor,
    watchers: &Watchers,
) -> Result<Pool, Failure> {
    let method = start_method(task).unwrap_or_default();
    let mut builder = Pool::builder().supervisor(supervisor).start_method(method);
    if let Some(workers) = workers {
        builder = builder.workers(workers);
    }
    if let Some(tasks) = batch.max_tasks_per_worker {
        builder = builder.max_tasks_per_worker(tasks.get());
    }
    if let Some(calls) = batch.chunksize {
        builder = builder.chunksize(calls.get());
    }
    if let Some(bytes) = batch.pool_memory {
        builder = builder.memory_bytes_max(bytes);
    }
    if let Some(cpus) = batch.pool_cpus {
        builder = builder.cpus_max(cpus);
    }
    if let Some(chaos) = batch.chaos {
        builder = builder.chaos(chaos);
    }
    if !watchers.is_empty() {
        let watchers = watchers.clone();
        builder = builder.on_attempt(move |event| watchers.attempt(event));
    }
    builder.build().or_fail_with(exit_code::batch::NOT_SET_UP)
}

/// The exit codes of single tasks do not belong to a batch, but those of signals do.
pub fn not_set_up(failure: Failure) -> Failure {
    use exit_code::batch;
    let code = match failure.code {
        code @ (batch::INTERRUPTED | batch::TERMINATED) => code,
        _ => batch::NOT_SET_UP,
    };
    Failure { code, ..failure }
}

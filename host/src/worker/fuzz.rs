//! The bodies of the fuzz targets that need the engine: imports, modules, and calls as a person types them.
//!
//! Everything runs in this process, with the linker, the state and the limits of a real worker. A thread plays the
//! supervisor at the other end of the link: it reads everything, holds that each message is one of ours, answers
//! requests, and ends waits that would take long. What a guest does to the machine is another test's question; this
//! one is whether any guest makes the worker's own code panic, speak nonsense, or not come back.

#![forbid(unsafe_code)]

mod calls;
mod guest;
mod imports;
mod modules;
mod supervisor;

#[cfg(fuzzing)]
pub use self::{
    calls::fuzz_calls as calls, imports::fuzz_imports as imports, modules::fuzz_module as module,
};

use wasmtime::Engine;

use crate::feature::Features;
use crate::protocol::fork_server::EngineSettings;
use crate::protocol::worker::{Claim, WorkerLimits};
use crate::worker::engine::{self, Purpose};

/// Fuel of one call, where the engine counts it.
const FUEL: u64 = 200_000;

/// The limits of every guest here: small, so that they are met.
const LIMITS: WorkerLimits = WorkerLimits {
    fuel: None,
    cpu_time: None,
    memory_bytes: 16 << 20,
    table_elements: 10_000,
    instances: 10,
    result_bytes: 64 << 10,
};

/// An engine with a compiler, which signals interrupt.
fn engine(fuel: bool) -> Engine {
    let settings = EngineSettings { fuel, features: Features::NONE, stack_bytes: 512 * 1024 };
    let engine = engine::engine(settings, Purpose::Compile).expect("the settings are those of every worker");
    if cfg!(fuzzing) {
        engine::make_interruptible(&engine);
        crate::os::signals::on_interrupt(engine::interrupt).expect("a handler can be installed");
    }
    engine
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without input and output needs nothing that can fail")
}

/// Holds that a call ended in a way that a guest may end in.
fn assert_allowed(claim: &Claim) {
    use crate::outcome::StartFailure;
    let allowed = match claim {
        Claim::Returned { .. }
        | Claim::Failed { .. }
        | Claim::Exited { .. }
        | Claim::Trapped { .. }
        | Claim::LimitExceeded { .. }
        | Claim::Interrupted { .. } => true,
        Claim::NotStarted { kind, .. } => {
            matches!(
                kind,
                StartFailure::Instantiation | StartFailure::MissingImports | StartFailure::NotFound
            )
        }
    };
    assert!(allowed, "no guest ends like this: {claim:?}");
}

/// Every seed and every input that once was a finding, in the folder of the target.
#[cfg(test)]
fn seeds(target: &str) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

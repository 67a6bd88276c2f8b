//! The walls of the operating system around a process that loads or compiles a guest's code.
//!
//! Entered once, before the first byte of a module or an artifact is looked at, and inherited by every
//! worker: a fork costs nothing for it. What cannot be inherited is in `fork_server`: the parent-death
//! signal, which a fork clears.
//!
//! Order matters: `no_new_privs` allows the next two; Landlock needs three system calls that the
//! filter denies, so the filter is last.

#![forbid(unsafe_code)]

mod landlock;
pub(crate) mod probe;
mod rules;
mod seccomp;

use std::io;

use rustix::process::Resource;

use crate::limits::{ARTIFACT_BYTES_MAX, CompileLimits, PROCESS_DESCRIPTORS_MAX};
use crate::os::fork::ForkKey;
use crate::os::hardening;
use crate::policy::{Layer, SandboxMode};

pub(crate) use seccomp::freeze_code;

/// What a process must still be able to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Profile<'a> {
    /// Fork workers, with this key, and run artifacts in them.
    ForkServer(&'a ForkKey),
    /// Run an artifact.
    Worker,
    /// Compile, with threads, within these limits.
    Compile(CompileLimits),
}

/// The layers that stand since the process began, whatever the mode.
const FROM_THE_BEGINNING: [Layer; 4] =
    [Layer::Environment, Layer::Descriptors, Layer::Session, Layer::ParentDeath];

/// A layer that could not be entered.
#[derive(Debug, thiserror::Error)]
#[error("the layer `{}` cannot be entered: {cause}", layer.label())]
pub(crate) struct SandboxError {
    layer: Layer,
    cause: String,
}

/// Enters every layer that `mode` asks for; the layers that stand afterwards.
///
/// # Errors
///
/// In [`SandboxMode::Required`], the first layer that cannot be entered.
pub(crate) fn enter(mode: SandboxMode, profile: &Profile<'_>) -> Result<Vec<Layer>, SandboxError> {
    let mut layers = FROM_THE_BEGINNING.to_vec();
    // The compiler's limits are limits of the task, not a wall: they stand in every mode.
    if let Profile::Compile(limits) = profile {
        limit_compiler(limits).map_err(|error| failed(Layer::ResourceLimits, &error))?;
    }
    if mode == SandboxMode::Off {
        return Ok(layers);
    }
    let own = Layer::ALL.iter().copied().filter(|layer| layer.is_of_one_process());
    for layer in own.filter(|layer| !FROM_THE_BEGINNING.contains(layer)) {
        match enter_layer(layer, profile) {
            Ok(()) => layers.push(layer),
            Err(_) if mode == SandboxMode::BestEffort => {}
            Err(cause) => return Err(SandboxError { layer, cause }),
        }
    }
    Ok(layers)
}

/// Enters one layer.
fn enter_layer(layer: Layer, profile: &Profile<'_>) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    match layer {
        Layer::Environment | Layer::Descriptors | Layer::Session | Layer::ParentDeath => Ok(()),
        Layer::Cgroup => Err("a process cannot enter it by itself".to_owned()),
        Layer::NotDumpable => hardening::forbid_dumps().map_err(text),
        Layer::ResourceLimits => limit_resources().map_err(text),
        Layer::NoNewPrivileges => hardening::forbid_new_privileges().map_err(text),
        Layer::Landlock => landlock::deny_all(),
        Layer::Seccomp => seccomp::enter(profile),
    }
}

fn limit_resources() -> io::Result<()> {
    hardening::limit(Resource::Core, 0)?;
    hardening::limit(Resource::Nofile, PROCESS_DESCRIPTORS_MAX)?;
    hardening::limit(Resource::Memlock, 0)?;
    hardening::limit(Resource::Msgqueue, 0)?;
    hardening::limit(Resource::Rtprio, 0)?;
    // The largest file any of them writes: an artifact, in a memory file.
    hardening::limit(Resource::Fsize, ARTIFACT_BYTES_MAX)
}

/// Address space and CPU time of the compiler: the kernel ends it, and the supervisor sees how.
fn limit_compiler(limits: &CompileLimits) -> io::Result<()> {
    hardening::limit(Resource::As, limits.memory_bytes)?;
    let seconds = limits.cpu_time.as_secs().max(1);
    // SIGXCPU first, which says why; SIGKILL a second later.
    hardening::limit_to(Resource::Cpu, seconds, seconds + 1)
}

fn failed(layer: Layer, error: &io::Error) -> SandboxError {
    SandboxError { layer, cause: error.to_string() }
}

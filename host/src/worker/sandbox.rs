//! The walls of the operating system around a process that loads or compiles a guest's code.
//!
//! Entered once, before the first byte of a module or an artifact is looked at, and inherited by every
//! worker: a fork costs nothing for it. What cannot be inherited is in `fork_server`: the parent-death
//! signal, which a fork clears.
//!
//! Order matters: where the process stands comes first, because it needs powers that are given up there;
//! `no_new_privs` allows the next two; Landlock forbids to mount and needs three system calls that the filter
//! denies, so the filter is last.

#![forbid(unsafe_code)]

mod judge;
mod landlock;
mod net_rules;
mod place;
pub(crate) mod probe;
mod root;
mod rules;
mod seccomp;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::process::Resource;

use crate::limits::{ARTIFACT_BYTES_MAX, CompileLimits, KEPT_DESCRIPTORS, PROCESS_DESCRIPTORS_MAX};
use crate::os::fork::ForkKey;
use crate::os::hardening;
use crate::policy::{DirAccess, DirRule, Layer, NetAccess, NetRule, SandboxMode};
use crate::worker::fault;

pub(crate) use judge::SandboxError;
pub(crate) use seccomp::freeze_code;

/// What a process must still be able to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Profile<'a> {
    /// Run artifacts that use what was granted; with a key, fork workers that do.
    Run(Option<&'a ForkKey>, Granted<'a>),
    /// Compile, with threads, within these limits.
    Compile(CompileLimits),
}

/// What must be left within reach.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Granted<'a> {
    pub(crate) dirs: &'a [DirRule],
    /// A descriptor of each directory, that the host opened.
    pub(crate) descriptors: &'a [OwnedFd],
    pub(crate) nets: &'a [NetRule],
}

/// How a granted directory is reached from inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// By this path, in the empty root.
    Path(PathBuf),
    /// By the host's descriptor.
    Descriptor,
}

/// The walls that stand.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) layers: Vec<Layer>,
    /// For each granted directory.
    pub(crate) reach: Vec<Reach>,
}

/// Why a layer is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// This machine, or what was granted, does not allow it.
    Missing(String),
    /// It may work another time.
    Failed(String),
}

/// One layer, and how it went.
type Tried = (Layer, Result<(), Cause>);

/// The layers that stand since the process began, whatever the mode.
const FROM_THE_BEGINNING: [Layer; 4] =
    [Layer::Environment, Layer::Descriptors, Layer::Session, Layer::ParentDeath];

impl Cause {
    fn text(&self) -> &str {
        match self {
            Self::Missing(text) | Self::Failed(text) => text,
        }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        let passing = [Errno::NOMEM, Errno::AGAIN, Errno::MFILE, Errno::NFILE, Errno::NOSPC, Errno::INTR];
        match Errno::from_io_error(&error) {
            Some(errno) if passing.contains(&errno) => Self::Failed(error.to_string()),
            _ => Self::Missing(error.to_string()),
        }
    }
}

impl From<Errno> for Cause {
    fn from(error: Errno) -> Self {
        io::Error::from(error).into()
    }
}

impl Profile<'_> {
    fn granted(&self) -> Granted<'_> {
        match self {
            Self::Run(_, granted) => *granted,
            Self::Compile(_) => Granted::default(),
        }
    }
}

impl Granted<'_> {
    /// The widest access to any of the directories.
    fn dir_access(&self) -> Option<DirAccess> {
        self.dirs.iter().map(|rule| rule.access).max()
    }

    /// Whether there is an address for this.
    fn has_net(&self, access: NetAccess) -> bool {
        self.nets.iter().any(|rule| rule.access == access)
    }
}

/// Enters every layer that `mode` asks for. Call it while the process has one thread.
///
/// # Errors
///
/// In [`SandboxMode::Required`], the first layer that must stand and does not.
pub(crate) fn enter(mode: SandboxMode, profile: &Profile<'_>) -> Result<Entered, SandboxError> {
    // The compiler's limits are limits of the task, not a wall: they stand in every mode.
    if let Profile::Compile(limits) = profile {
        limit_compiler(limits)
            .map_err(|error| SandboxError::new(Layer::ResourceLimits, error.to_string()))?;
    }
    let layers = match mode {
        SandboxMode::Off => FROM_THE_BEGINNING.to_vec(),
        SandboxMode::BestEffort | SandboxMode::Required => judge::judge(mode, &try_all(profile, |_| Ok(())))?,
    };
    let rules = profile.granted().dirs;
    let has_root = layers.contains(&Layer::EmptyRoot);
    if let Some(file) = rules.iter().find(|rule| rule.file.is_some() && !has_root) {
        let path = file.host.display();
        let cause = format!(
            "without it the file `{path}` cannot be granted alone; put it into a folder of its own and grant that"
        );
        return Err(SandboxError::new(Layer::EmptyRoot, cause));
    }
    let reach = |index| match has_root {
        true => Reach::Path(root::place(DirRule::begins_at(rules, index))),
        false => Reach::Descriptor,
    };
    let reach = (0..rules.len()).map(reach).collect();
    Ok(Entered { layers, reach })
}

/// Enters every layer, and asks `proof` whether each that was entered holds.
fn try_all(profile: &Profile<'_>, proof: fn(Layer) -> Result<(), String>) -> Vec<Tried> {
    let proven = |(layer, entered): Tried| {
        let holds = || proof(layer).map_err(Cause::Failed);
        (layer, fault::layer(layer).map_err(Cause::Missing).and(entered).and_then(|()| holds()))
    };
    let mut tried: Vec<Tried> = FROM_THE_BEGINNING.map(|layer| proven((layer, Ok(())))).into();
    tried.extend(place::enter(profile.granted()).layers.map(proven));
    for layer in
        [Layer::NotDumpable, Layer::ResourceLimits, Layer::NoNewPrivileges, Layer::Landlock, Layer::Seccomp]
    {
        // A layer that a test wants missing is not entered.
        let has_root = tried.iter().any(|(layer, entered)| *layer == Layer::EmptyRoot && entered.is_ok());
        let wanted = fault::layer(layer).map_err(Cause::Missing);
        let entered = wanted.and_then(|()| enter_layer(layer, profile, has_root));
        tried.push(proven((layer, entered)));
    }
    tried
}

fn enter_layer(layer: Layer, profile: &Profile<'_>, has_root: bool) -> Result<(), Cause> {
    match layer {
        Layer::NotDumpable => Ok(hardening::forbid_dumps()?),
        Layer::ResourceLimits => Ok(limit_resources()?),
        Layer::NoNewPrivileges => Ok(hardening::forbid_new_privileges()?),
        Layer::Landlock => landlock::enter(profile.granted()).map_err(Cause::Missing),
        Layer::Seccomp => seccomp::enter(profile, has_root).map_err(Cause::Missing),
        // They stand already: `place` entered them, or the start of the process.
        _ => Ok(()),
    }
}

fn limit_resources() -> io::Result<()> {
    hardening::limit(Resource::Core, 0)?;
    hardening::limit_descriptors(PROCESS_DESCRIPTORS_MAX, KEPT_DESCRIPTORS)?;
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

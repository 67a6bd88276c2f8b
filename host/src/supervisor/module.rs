//! Modules, and the functions in them that can be called.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::feature::{Feature, Features};
use crate::limits::MODULE_BYTES_MAX;
use crate::module_info::{ExportInfo, INIT_EXPORT, ModuleInfo, TaskInfo};
use crate::os::memory_file::SealedFile;
use crate::outcome::{Encoding, StartFailed, StartFailure};
use crate::protocol::worker::Entry;
use crate::supervisor::artifact_store::{Artifact, Digest};
use crate::supervisor::event::ModuleSourceBytes;
use crate::supervisor::{Supervisor, SupervisorError};

/// Where a module comes from.
#[derive(Clone, Debug)]
pub enum ModuleSource {
    /// A file: a component, a core module, or their text format.
    Path(PathBuf),
    /// Bytes, with a name for messages.
    Bytes {
        /// What messages call it.
        name: String,
        /// The module: binary, or text format.
        bytes: Vec<u8>,
    },
    /// Another source, whose module may use features that are off unless asked for.
    Featured {
        /// The other one.
        source: Box<Self>,
        /// Those features.
        features: Features,
    },
}

impl From<PathBuf> for ModuleSource {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Path> for ModuleSource {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<&str> for ModuleSource {
    fn from(path: &str) -> Self {
        Self::Path(path.into())
    }
}

impl ModuleSource {
    /// A module in the text format.
    #[must_use]
    pub fn wat(text: &str) -> Self {
        Self::Bytes { name: "text".to_owned(), bytes: text.as_bytes().to_vec() }
    }

    /// Turns on a feature that is off unless asked for. May be repeated.
    ///
    /// ```no_run
    /// use wasmpool::{Feature, Module, ModuleSource};
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let source = ModuleSource::from("large.wasm").feature(Feature::Memory64);
    /// let module = Module::load(source).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn feature(self, feature: Feature) -> Self {
        match self {
            Self::Featured { source, features } => {
                Self::Featured { source, features: features.with(feature) }
            }
            other => Self::Featured { source: Box::new(other), features: Features::NONE.with(feature) },
        }
    }

    pub(super) fn read(self) -> Result<Arc<ModuleSourceBytes>, LoadError> {
        self.read_with(Features::NONE)
    }

    fn read_with(self, features: Features) -> Result<Arc<ModuleSourceBytes>, LoadError> {
        let (name, bytes) = match self {
            Self::Featured { source, features: more } => {
                return source.read_with(features.iter().chain(more.iter()).collect());
            }
            Self::Bytes { name, bytes } => (name, bytes),
            Self::Path(path) => {
                let bytes = read_file(&path)?;
                let stem = path.file_stem().unwrap_or(path.as_os_str());
                (stem.to_string_lossy().into_owned(), bytes)
            }
        };
        let length = bytes.len() as u64;
        if length > MODULE_BYTES_MAX {
            let reason = format!("it has {length} bytes, more than {MODULE_BYTES_MAX}");
            return Err(LoadError::new(&name, StartFailure::InvalidModule, reason));
        }
        let digest = Digest::of(&bytes);
        let file = SealedFile::from_bytes("wasmpool-module", &bytes)
            .map_err(|error| LoadError::new(&name, StartFailure::Worker, error.to_string()))?;
        Ok(Arc::new(ModuleSourceBytes { name, digest, features, file }))
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, LoadError> {
    let name = path.display().to_string();
    let refuse = |kind, detail: String| LoadError::new(&name, kind, detail);
    let metadata =
        std::fs::metadata(path).map_err(|error| refuse(StartFailure::NotFound, error.to_string()))?;
    if metadata.is_dir() {
        return Err(refuse(StartFailure::InvalidModule, "it is a directory, not a module".to_owned()));
    }
    if metadata.len() > MODULE_BYTES_MAX {
        let detail = format!("it has {} bytes, more than {MODULE_BYTES_MAX}", metadata.len());
        return Err(refuse(StartFailure::InvalidModule, detail));
    }
    std::fs::read(path).map_err(|error| refuse(StartFailure::NotFound, error.to_string()))
}

/// Why a module could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}`: {}: {}", .cause.kind.label(), .cause.detail)]
pub struct LoadError {
    name: String,
    cause: StartFailed,
}

impl LoadError {
    pub(super) fn new(name: &str, kind: StartFailure, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), cause: StartFailed { kind, detail: detail.into() } }
    }

    pub(super) fn of(name: &str, cause: StartFailed) -> Self {
        Self { name: name.to_owned(), cause }
    }

    /// What went wrong, as data.
    #[must_use]
    pub fn cause(&self) -> &StartFailed {
        &self.cause
    }

    /// Its code in the exit-code table.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.cause.kind.exit_code()
    }
}

/// A module that was compiled and described. Cloning is cheap.
///
/// The artifact is named by the content of the module: the same bytes are compiled once, and kept in
/// the cache for other processes and later runs.
#[derive(Clone, Debug)]
pub struct Module {
    source: Arc<ModuleSourceBytes>,
    artifact: Arc<Artifact>,
}

impl Module {
    pub(super) fn new(source: Arc<ModuleSourceBytes>, artifact: Arc<Artifact>) -> Self {
        Self { source, artifact }
    }

    /// Loads a module with the global supervisor.
    ///
    /// # Errors
    ///
    /// When there is no supervisor, no such file, or the module is invalid or too costly to compile.
    pub async fn load(source: impl Into<ModuleSource>) -> Result<Self, LoadError> {
        let supervisor = Supervisor::global().map_err(|error| unsupervised(&error))?;
        supervisor.load(source).await
    }

    /// The module's name: its file's, without the extension.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// The SHA-256 digest of its bytes, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        self.source.digest.to_hex()
    }

    /// What it is and offers.
    #[must_use]
    pub fn info(&self) -> &ModuleInfo {
        &self.artifact.info
    }

    /// A function by name: one that was marked as a task, or any other export. [`ModuleInfo::export`] says how a
    /// function of an exported interface is called.
    ///
    /// # Errors
    ///
    /// When there is none of that name; the error lists those that exist.
    pub fn task(&self, name: &str) -> Result<Target, TargetError> {
        let tasks = &self.info().tasks;
        if let Some(task) = tasks.iter().find(|task| task.name == name || task.export == name) {
            return Ok(self.sdk_target(task));
        }
        let export = self.callable(name)?;
        Ok(self.target(&export.name, Entry::Export { name: export.name.clone() }, None))
    }

    /// The only function that was marked as a task, if there is exactly one.
    #[must_use]
    pub fn only_task(&self) -> Option<Target> {
        match self.info().tasks.as_slice() {
            [task] => Some(self.sdk_target(task)),
            _ => None,
        }
    }

    /// The module's own entry: `_start` or `wasi:cli/run`.
    ///
    /// # Errors
    ///
    /// When it has none; the error lists what it has.
    pub fn command(&self) -> Result<Target, TargetError> {
        if self.info().is_command {
            Ok(self.target(self.name(), Entry::Command, None))
        } else {
            Err(self.not_found("_start"))
        }
    }

    /// A call as text: `add(1, 2)`, in WAVE syntax for components, with numbers for core modules. The result is what the
    /// function returned, as JSON; the error of a function that returns a `result` is the task's failure.
    ///
    /// ```no_run
    /// use wasmpool::blocking;
    /// use wasmpool::{Outcome, Process, Task};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # wasmpool::init();
    /// let shapes = blocking::load("shapes.wasm")?;
    /// let area = shapes.invoke("acme:shapes/plane.area({x: 2, y: 3.5}, some(\"cm\"))")?;
    /// let record = blocking::join(&Process::new(Task::new(&area)).start()?);
    /// if let Outcome::Succeeded(value) = &record.outcome {
    ///     println!("{}", value.to::<f64>()?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the module has no export of that name.
    pub fn invoke(&self, expression: &str) -> Result<Target, TargetError> {
        let (name, arguments) = expression.split_at(expression.find('(').unwrap_or(expression.len()));
        let name = name.trim();
        let export = self.callable(name)?;
        // The worker is told the whole name.
        let expression = format!("{}{arguments}", export.name);
        Ok(self.target(&export.name, Entry::Invoke { expression }, None))
    }

    fn sdk_target(&self, task: &TaskInfo) -> Target {
        let entry = Entry::Task { export: task.export.clone(), result: task.result };
        self.target(&task.name, entry, Some(task.clone()))
    }

    fn target(&self, name: &str, entry: Entry, info: Option<TaskInfo>) -> Target {
        let (name, info) = (Arc::from(name), info.map(Arc::new));
        Target { module: self.clone(), name, entry, info }
    }

    fn callable(&self, name: &str) -> Result<&ExportInfo, TargetError> {
        match self.info().export(name) {
            Some(export) if export.name == INIT_EXPORT => {
                Err(TargetError { cause: Cause::RunsFirst, ..self.not_found(name) })
            }
            export => export.ok_or_else(|| self.not_found(name)),
        }
    }

    fn not_found(&self, name: &str) -> TargetError {
        let tasks: Vec<String> = self.info().tasks.iter().map(TaskInfo::signature).collect();
        let marked = |export: &&ExportInfo| !self.info().tasks.iter().any(|task| task.export == export.name);
        let shown = |export: &ExportInfo| format!("{}: {}", export.name, export.signature);
        let exports = self.info().callable_exports().filter(marked).map(shown).collect();
        let several: Vec<String> = self.info().exports_called(name).into_iter().map(shown).collect();
        let cause = if several.is_empty() { Cause::Missing } else { Cause::Several(several) };
        let (module, name) = (self.name().to_owned(), name.to_owned());
        TargetError { module, name, cause, tasks, exports }
    }

    pub(super) fn artifact(&self) -> &Arc<Artifact> {
        &self.artifact
    }

    pub(super) fn source(&self) -> &Arc<ModuleSourceBytes> {
        &self.source
    }
}

fn unsupervised(error: &SupervisorError) -> LoadError {
    LoadError::new("module", StartFailure::Worker, error.to_string())
}

/// No function of that name that can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError {
    module: String,
    name: String,
    cause: Cause,
    tasks: Vec<String>,
    exports: Vec<String>,
}

/// Why a name is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cause {
    /// Nothing is called so.
    Missing,
    /// It could mean each of these.
    Several(Vec<String>),
    /// It is there, and runs once before the first task.
    RunsFirst,
}

impl TargetError {
    /// Its code in the exit-code table.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.cause {
            Cause::RunsFirst => crate::exit_code::USAGE,
            Cause::Missing | Cause::Several(_) => crate::exit_code::NOT_FOUND,
        }
    }
}

impl std::error::Error for TargetError {}

impl std::fmt::Display for TargetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { module, name, .. } = self;
        match &self.cause {
            Cause::Several(several) => {
                let several = several.join("; ");
                return write!(f, "`{module}` has several exports that `{name}` could mean: {several}");
            }
            Cause::Missing => write!(f, "`{module}` has no task or export `{name}`")?,
            Cause::RunsFirst => {
                write!(f, "`{name}` of `{module}` runs once before the first task and cannot be called")?;
            }
        }
        match (self.tasks.as_slice(), self.exports.as_slice()) {
            ([], []) => f.write_str("; it exports no function"),
            ([], exports) => write!(f, "; its exports are {}", exports.join("; ")),
            (tasks, []) => write!(f, "; its tasks are {}", tasks.join("; ")),
            (tasks, exports) => {
                write!(
                    f,
                    "; its tasks are {}; its other exports are {}",
                    tasks.join("; "),
                    exports.join("; ")
                )
            }
        }
    }
}

/// A function of a module: what Python calls the target. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Target {
    module: Module,
    name: Arc<str>,
    entry: Entry,
    info: Option<Arc<TaskInfo>>,
}

impl Target {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its description, when it was marked as a task.
    #[must_use]
    pub fn info(&self) -> Option<&TaskInfo> {
        self.info.as_deref()
    }

    /// The module it belongs to.
    #[must_use]
    pub fn module(&self) -> &Module {
        &self.module
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// How it takes its arguments; `None` when it takes none from us.
    pub(super) fn args_encoding(&self) -> Option<Encoding> {
        match (&self.entry, &self.info) {
            (_, Some(info)) => Some(info.args),
            (Entry::Export { .. } | Entry::Task { .. }, None) => Some(Encoding::Json),
            (Entry::Command | Entry::Invoke { .. }, None) => None,
        }
    }
}

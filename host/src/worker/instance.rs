//! A loaded module, and one live instance of it: making it, and calling what it exports.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io;

use wasmtime::component::{self, Component};
use wasmtime::{AsContextMut, Engine, Module, Store};

use crate::module_info::{INIT_EXPORT, ModuleKind};
use crate::os::memory_file::Mapping;
use crate::outcome::{Encoding, StartFailure};
use crate::protocol::worker::{Body, Entry, WorkerLimits};
use crate::worker::dynamic::{self, Call};
use crate::worker::engine::{self, Argument, CALL_BYTES, Returned, TaskError};
use crate::worker::imports::{self, HostState};
use crate::worker::missing::{self, Missing};
use crate::worker::trap;

/// A module with everything that it imports, ready to be instantiated.
pub(crate) enum Loaded {
    Component(component::InstancePre<HostState>),
    Core(wasmtime::InstancePre<HostState>),
}

/// Why a module cannot be loaded.
#[derive(Debug)]
pub(crate) struct LoadError {
    pub(crate) kind: StartFailure,
    pub(crate) detail: String,
}

impl Loaded {
    /// Loads an artifact and links it.
    pub(crate) fn new(engine: &Engine, kind: ModuleKind, code: Mapping) -> Result<Self, LoadError> {
        match kind {
            ModuleKind::Component => {
                let component = engine::load_component(engine, code).map_err(|error| not_loaded(&error))?;
                Self::component(engine, &component)
            }
            ModuleKind::CoreModule => {
                let module = engine::load_module(engine, code).map_err(|error| not_loaded(&error))?;
                Self::core(&module)
            }
        }
    }

    /// Links what this process has compiled itself.
    #[cfg(any(test, fuzzing))]
    pub(super) fn of_program(engine: &Engine, program: &super::compile::Program) -> Result<Self, LoadError> {
        match program {
            super::compile::Program::Component(component) => Self::component(engine, component),
            super::compile::Program::Core(module) => Self::core(module),
        }
    }

    fn component(engine: &Engine, component: &Component) -> Result<Self, LoadError> {
        let linker = component_linker(engine).map_err(|error| not_linked(&error))?;
        // What memories begin with is made here, once, instead of by each worker for itself.
        component.initialize_copy_on_write_image().map_err(|error| not_linked(&error))?;
        let pre = linker.instantiate_pre(component);
        pre.map(Self::Component).map_err(|error| {
            unsatisfied(missing::in_component(&linker, component).unwrap_or_default(), &error)
        })
    }

    fn core(module: &Module) -> Result<Self, LoadError> {
        let linker = core_linker(module).map_err(|error| not_linked(&error))?;
        // As for a component.
        module.initialize_copy_on_write_image().map_err(|error| not_linked(&error))?;
        let pre = linker.instantiate_pre(module);
        pre.map(Self::Core).map_err(|error| {
            let mut error = unsatisfied(missing::in_module(&linker, module).unwrap_or_default(), &error);
            // No core module imports from an interface, but what is made for being wrapped into a component does.
            if module.imports().any(|import| import.module().contains([':', '$'])) {
                error.detail +=
                    "; it is the inside of a component: `wasm-tools component new` makes the component of it";
            }
            error
        })
    }

    /// The engine it was loaded into.
    pub(crate) fn engine(&self) -> &Engine {
        match self {
            Self::Component(pre) => pre.engine(),
            Self::Core(pre) => pre.module().engine(),
        }
    }

    /// A fresh instance. Runs the guest's start functions.
    pub(crate) async fn instantiate(&self, store: &mut Store<HostState>) -> wasmtime::Result<Live> {
        match self {
            Self::Component(pre) => Ok(Live::Component(pre.instantiate_async(store).await?)),
            Self::Core(pre) => Ok(Live::Core(pre.instantiate_async(store).await?)),
        }
    }
}

/// A linker with everything that a component may import.
pub(crate) fn component_linker(engine: &Engine) -> wasmtime::Result<component::Linker<HostState>> {
    let mut linker = component::Linker::new(engine);
    imports::link_component(&mut linker)?;
    Ok(linker)
}

/// A linker with everything that this core module may import.
pub(crate) fn core_linker(module: &Module) -> wasmtime::Result<wasmtime::Linker<HostState>> {
    let mut linker = wasmtime::Linker::new(module.engine());
    imports::link_core_for(&mut linker, module)?;
    Ok(linker)
}

fn not_loaded(error: &wasmtime::Error) -> LoadError {
    LoadError {
        kind: StartFailure::VersionMismatch,
        detail: format!("the compiled module cannot be loaded: {}", trap::describe(error)),
    }
}

fn not_linked(error: &wasmtime::Error) -> LoadError {
    LoadError { kind: StartFailure::HostImport, detail: trap::describe(error) }
}

fn unsatisfied(missing: Vec<Missing>, first: &wasmtime::Error) -> LoadError {
    let detail = if missing.is_empty() { trap::describe(first) } else { missing::list(&missing) };
    LoadError { kind: StartFailure::MissingImports, detail }
}

/// How a call ended, other than by an error of the engine.
#[derive(Debug)]
pub(crate) enum Ended {
    Returned {
        encoding: Encoding,
        bytes: Vec<u8>,
    },
    /// The same, with what it returned stored already for its way to the supervisor.
    Stored {
        encoding: Encoding,
        body: Body,
        file: Option<File>,
    },
    Failed(String),
    /// The result is over its limit: both numbers.
    TooLarge(String),
    Exited(u32),
    NotStarted(StartFailure, String),
}

impl Ended {
    /// What a task returned.
    pub(crate) fn of_task(returned: Result<Returned, TaskError>, encoding: Encoding, bytes_max: u64) -> Self {
        match returned {
            Ok(Returned::Stored { stored: Ok((body, file)), .. }) => Self::Stored { encoding, body, file },
            Ok(Returned::Stored { length, stored: Err(error) }) => Self::not_stored(length, &error),
            Ok(Returned::TooLarge { length }) => Self::too_large(length, bytes_max),
            Err(TaskError::Failed(text) | TaskError::InvalidArguments(text) | TaskError::Other(text)) => {
                Self::Failed(text)
            }
        }
    }

    /// A result that was not copied out of the guest: it has this many bytes.
    pub(crate) fn too_large(length: usize, bytes_max: u64) -> Self {
        Self::TooLarge(format!("the result has {length} bytes, the limit is {bytes_max}"))
    }

    /// A result of this many bytes that could not be stored.
    pub(crate) fn not_stored(length: usize, error: &io::Error) -> Self {
        let detail = format!("a result of {length} bytes could not be stored: {error}");
        Self::NotStarted(StartFailure::Worker, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::NotStarted(StartFailure::NotFound, detail.into())
    }
}

/// One live instance.
pub(crate) enum Live {
    Component(component::Instance),
    Core(wasmtime::Instance),
}

impl Live {
    /// Calls what a module has for it: `_initialize` of a core module, which a reactor demands before anything else, then
    /// [`INIT_EXPORT`].
    pub(crate) async fn initialize(&self, store: &mut Store<HostState>) -> wasmtime::Result<Ended> {
        let has_init = match self {
            Self::Component(instance) => instance.get_func(&mut *store, INIT_EXPORT).is_some(),
            Self::Core(instance) => {
                if let Ok(first) = instance.get_typed_func::<(), ()>(&mut *store, "_initialize") {
                    first.call_async(&mut *store, ()).await?;
                }
                instance.get_func(&mut *store, INIT_EXPORT).is_some()
            }
        };
        if !has_init {
            return Ok(Ended::Returned { encoding: Encoding::Json, bytes: b"null".to_vec() });
        }
        let is_task = match self {
            Self::Component(instance) => is_task(store, *instance, INIT_EXPORT),
            Self::Core(_) => false,
        };
        if is_task {
            return self.call_task(store, INIT_EXPORT, Encoding::Json, b"[]").await;
        }
        self.call_export(store, Call::Json { name: INIT_EXPORT, input: b"[]" }).await
    }

    /// Looks up what `entry` names, for all calls of an assignment.
    pub(crate) fn callee<'a>(&self, store: &mut Store<HostState>, entry: &'a Entry) -> Callee<'a> {
        match entry {
            Entry::Command => Callee::Command,
            Entry::Task { export, result } => self.task(store, export, *result),
            Entry::Export { name } => Callee::Export(name),
            Entry::Invoke { expression } => Callee::Invoke(expression),
        }
    }

    /// A function of the shape that `#[task]` emits.
    fn task<'a>(&self, store: &mut Store<HostState>, export: &str, encoding: Encoding) -> Callee<'a> {
        let Self::Component(instance) = self else {
            return Callee::Missing(format!("a core module has no tasks, so no task `{export}`"));
        };
        let Some(function) = instance.get_func(&mut *store, export) else {
            return Callee::Missing(format!("the module has no task `{export}`"));
        };
        match function.typed(&*store) {
            Ok(function) => Callee::Task { function, encoding },
            Err(error) => {
                Callee::Missing(format!("export `{export}` is no task: {}", trap::describe(&error)))
            }
        }
    }

    /// Calls it.
    pub(crate) async fn call<'a>(
        &self,
        store: &mut Store<HostState>,
        callee: &Callee<'a>,
        input: &'a [u8],
    ) -> wasmtime::Result<Ended> {
        match (self, callee) {
            (_, Callee::Task { function, encoding }) => call_task(store, function, *encoding, input).await,
            (Self::Component(instance), Callee::Command) => run_component_command(store, *instance).await,
            (Self::Core(instance), Callee::Command) => run_core_command(store, *instance).await,
            (_, Callee::Export(name)) => self.call_export(store, Call::Json { name, input }).await,
            (_, Callee::Invoke(expression)) => self.call_export(store, Call::Expression(expression)).await,
            (_, Callee::Missing(detail)) => Ok(Ended::not_found(detail)),
        }
    }

    async fn call_export(&self, store: &mut Store<HostState>, call: Call<'_>) -> wasmtime::Result<Ended> {
        let bytes_max = store.data().limiter.limits().result_bytes;
        match self {
            Self::Component(instance) => dynamic::component(store, *instance, call, bytes_max).await,
            Self::Core(instance) => dynamic::core(store, *instance, call).await,
        }
    }

    /// Looks up a function of the shape that `#[task]` emits, and calls it.
    pub(crate) async fn call_task(
        &self,
        store: &mut Store<HostState>,
        export: &str,
        encoding: Encoding,
        input: &[u8],
    ) -> wasmtime::Result<Ended> {
        let callee = self.task(store, export, encoding);
        self.call(store, &callee, input).await
    }
}

/// What is called, as it was looked up.
pub(crate) enum Callee<'a> {
    /// `wasi:cli/run`, or `_start`.
    Command,
    Task {
        function: TaskFunction<'a>,
        encoding: Encoding,
    },
    Export(&'a str),
    Invoke(&'a str),
    /// There is no such task: why.
    Missing(String),
}

/// A function of the shape that `#[task]` emits.
type TaskFunction<'a> = component::TypedFunc<(Argument<'a>,), TaskReturned>;

/// What it returns.
type TaskReturned = (Result<Returned, TaskError>,);

async fn call_task<'a>(
    store: &mut Store<HostState>,
    function: &TaskFunction<'a>,
    encoding: Encoding,
    input: &'a [u8],
) -> wasmtime::Result<Ended> {
    let (returned,) = function.call_async(&mut *store, (Argument(input),)).await?;
    Ok(Ended::of_task(returned, encoding, store.data().limiter.limits().result_bytes))
}

/// Whether an export has that shape.
fn is_task(store: &mut Store<HostState>, instance: component::Instance, export: &str) -> bool {
    instance
        .get_func(&mut *store, export)
        .is_some_and(|function| function.typed::<(Argument<'_>,), TaskReturned>(&*store).is_ok())
}

/// `wasi:cli/run`, in whichever version the component exports it.
async fn run_component_command(
    store: &mut Store<HostState>,
    instance: component::Instance,
) -> wasmtime::Result<Ended> {
    let component = instance.instance_pre(&*store).component().clone();
    let Some(run) = component_run_export(&component)
        .and_then(|interface| instance.get_export_index(&mut *store, None, &interface))
        .and_then(|interface| instance.get_export_index(&mut *store, Some(&interface), "run"))
    else {
        return Ok(Ended::not_found("the component is no command: it does not export wasi:cli/run"));
    };
    let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut *store, run)?;
    let (result,) = run.call_async(store, ()).await?;
    Ok(Ended::Exited(u32::from(result.is_err())))
}

/// The name under which a component exports `wasi:cli/run`.
pub(crate) fn component_run_export(component: &Component) -> Option<String> {
    let ty = component.component_type();
    ty.exports(component.engine())
        .map(|(name, _)| name)
        .find(|name| is_run_interface(name))
        .map(str::to_owned)
}

fn is_run_interface(name: &str) -> bool {
    name == "wasi:cli/run" || name.starts_with("wasi:cli/run@0.2.")
}

/// The name of a core command's entry.
pub(crate) const CORE_ENTRY: &str = "_start";

async fn run_core_command(
    store: &mut Store<HostState>,
    instance: wasmtime::Instance,
) -> wasmtime::Result<Ended> {
    let Some(function) = instance.get_func(&mut *store, CORE_ENTRY) else {
        return Ok(Ended::not_found("the module is no command: it does not export `_start`"));
    };
    let Ok(start) = function.typed::<(), ()>(&*store) else {
        return Ok(Ended::not_found("the module is no command: its `_start` has parameters or results"));
    };
    start.call_async(store, ()).await?;
    Ok(Ended::Exited(0))
}

/// Makes a store for one assignment: limits and epoch set, nothing instantiated.
pub(crate) fn store(
    engine: &Engine,
    host: HostState,
    limits: &WorkerLimits,
) -> wasmtime::Result<Store<HostState>> {
    let mut store = Store::try_new(engine, host)?;
    begin(&mut store, limits)?;
    Ok(store)
}

/// Sets the limits and the epoch of an assignment that begins.
pub(crate) fn begin(store: &mut Store<HostState>, limits: &WorkerLimits) -> wasmtime::Result<()> {
    store.limiter(|host| &mut host.limiter);
    store.set_epoch_deadline(1);
    store.data().forget_interrupts();
    // Bounds what one call may copy between guest and host, results among it.
    let result_bytes = usize::try_from(limits.result_bytes).unwrap_or(usize::MAX);
    store.set_hostcall_fuel(result_bytes.saturating_add(CALL_BYTES));
    allow_fuel(store, limits)
}

/// Gives the next call its whole allowance of fuel.
pub(crate) fn allow_fuel(
    mut store: impl AsContextMut<Data = HostState>,
    limits: &WorkerLimits,
) -> wasmtime::Result<()> {
    match limits.fuel {
        Some(fuel) => store.as_context_mut().set_fuel(fuel),
        None => Ok(()),
    }
}

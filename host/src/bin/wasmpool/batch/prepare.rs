//! From a plan to tasks that lack nothing but their arguments: directories are opened, variables looked up, queues and
//! locks made. What cannot be had is a mistake with its place in the manifest, like any other.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmpool::batch::manifest::mistake::{At, Mistake, Mistakes};
use wasmpool::batch::manifest::settings::Dir;
use wasmpool::batch::plan::{Call, Entry, Plan};
use wasmpool::exit_code::batch;
use wasmpool::report::plan::{DirShown, Grants};
use wasmpool::{
    DirAccess, DirGrantError, GrantedDir, GrantedFile, GrantedNet, Limits, Module, Policy, SandboxMode,
    Target, Task,
};

use super::objects::Objects;
use super::world::World;
use crate::arguments::grants::{EnvOption, NetOption};
use crate::arguments::{self, Batch};
use crate::shared::Shared;
use crate::{grants, session};

/// Tasks without arguments, one for each entry of the plan.
#[derive(Debug)]
pub struct Prepared {
    pub prototypes: Vec<Task>,
    grants: Vec<Grants>,
}

impl Prepared {
    /// Prepares every entry.
    ///
    /// # Errors
    ///
    /// Everything that cannot be had.
    pub fn new(args: &Batch, plan: &Arc<Plan>, world: &World) -> Result<Self, Mistakes> {
        let mut mistakes = Vec::new();
        let objects = Objects::make(&plan.objects, &mut mistakes);
        let shared = match Shared::make(&args.shared, batch::USAGE) {
            Ok(shared) => shared,
            Err(failure) => return Err(Mistakes(vec![Mistake::at(&(0..0), failure.to_string())])),
        };
        let is_off = |entry: &&Arc<Entry>| entry.bounds.sandbox == Some(SandboxMode::Off);
        // What was typed was warned of when the compiler was started.
        if args.task_options.compile.sandbox.is_none()
            && let Some(entry) = plan.entries.iter().find(is_off)
        {
            session::warn_of_no_sandbox(&format!("`sandbox = \"off\"` of `{}`", entry.name));
        }
        let mut prepared = Self { prototypes: Vec::new(), grants: Vec::new() };
        for entry in &plan.entries {
            let task = shared.clone().grant_all(prepared.prototype(args, entry, world));
            let task = objects.grant(&entry.grants.shared, task);
            let mut shown = Grants::default();
            let opened = open(&entry.grants.dirs, world, &mut shown.dirs, GrantedDir::open, &mut mistakes);
            let files = open(&entry.grants.files, world, &mut shown.files, GrantedFile::open, &mut mistakes);
            let nets = nets(&entry.grants.nets, &mut mistakes);
            shown.nets = entry.grants.nets.iter().map(|net| net.value.clone()).collect();
            let task = environment(args, entry, world, task, &mut shown, &mut mistakes);
            let task = opened.into_iter().fold(task, Task::dir);
            let task = files.into_iter().fold(task, Task::file);
            let task = nets.into_iter().fold(task, Task::net);
            if let Err(error) = task.check() {
                mistakes.push(Mistake::at(&entry.span, format!("`{}`: {error}", entry.name)));
            }
            shown.objects = entry.grants.shared.iter().map(|name| name.value.clone()).collect();
            prepared.prototypes.push(task);
            prepared.grants.push(shown);
        }
        // The same place may be told by every task that has it from [defaults].
        let mut told: Vec<Mistake> = Vec::new();
        for mistake in mistakes {
            if !told.contains(&mistake) {
                told.push(mistake);
            }
        }
        if told.is_empty() { Ok(prepared) } else { Err(Mistakes(told)) }
    }

    /// What the tasks of an entry may use.
    pub fn limits(&self, entry: &Entry) -> Limits {
        let (default, bounds) = (Limits::default(), &entry.bounds);
        Limits {
            timeout: bounds.timeout,
            cpu_time: bounds.cpu_time,
            fuel: bounds.fuel,
            memory_bytes: entry.memory_bytes(),
            output_bytes: bounds.max_output.unwrap_or(default.output_bytes),
            streamed_output_bytes: bounds.max_output,
            grace_period: bounds.grace_period.unwrap_or(default.grace_period),
            init_timeout: bounds.init_timeout.unwrap_or(default.init_timeout),
            ..default
        }
    }

    /// What the tasks of the entry at this place may touch.
    pub fn grants(&self, entry: usize) -> &Grants {
        &self.grants[entry]
    }

    fn prototype(&self, args: &Batch, entry: &Entry, world: &World) -> Task {
        let target = target(world.loaded(&entry.module.value), &entry.call);
        let task = Task::new(&target)
            .limits(Limits {
                stack_bytes: args.task_options.max_stack.unwrap_or(Limits::default().stack_bytes),
                ..self.limits(entry)
            })
            .policy(Policy { sandbox: entry.bounds.sandbox.unwrap_or_default() })
            .priority(entry.priority)
            .retry(session::retry(&entry.bounds));
        match args.task_options.deterministic {
            Some(seed) => task.deterministic(seed),
            None => task,
        }
    }
}

fn target(module: &Module, call: &Call) -> Target {
    let target = match call {
        Call::Task { name, .. } => module.task(name),
        Call::Command { .. } => module.command(),
        Call::Invoke { expression, .. } => module.invoke(expression),
    };
    target.expect("the plan has looked at what the module offers")
}

fn open<T>(
    paths: &[At<Dir>],
    world: &World,
    shown: &mut Vec<DirShown>,
    open: impl Fn(PathBuf, String, DirAccess) -> Result<T, DirGrantError>,
    mistakes: &mut Vec<Mistake>,
) -> Vec<T> {
    let mut opened = Vec::new();
    for At { value: path, span } in paths {
        let host = world.path(&path.host);
        match open(host.clone(), path.guest.clone(), path.access) {
            Ok(granted) => opened.push(granted),
            Err(error) => mistakes.push(Mistake::at(span, error.to_string())),
        }
        shown.push(as_shown(&host, &path.guest, path.access));
    }
    opened
}

fn as_shown(host: &Path, guest: &str, access: DirAccess) -> DirShown {
    let whole = host.canonicalize().unwrap_or_else(|_| host.to_owned());
    let is_read_only = access == DirAccess::ReadOnly;
    DirShown { host: whole.display().to_string(), guest: guest.to_owned(), is_read_only }
}

/// What may be reached by the network, as `--net` takes it.
fn nets(texts: &[At<String>], mistakes: &mut Vec<Mistake>) -> Vec<GrantedNet> {
    let mut granted = Vec::new();
    for text in texts {
        let net = arguments::grants::network(&text.value).and_then(|net| {
            GrantedNet::open(net.access, &net.host, net.port).map_err(|error| error.to_string())
        });
        match net {
            Ok(net) => granted.push(net),
            Err(reason) => mistakes.push(Mistake::at(&text.span, format!("`{}`: {reason}", text.value))),
        }
    }
    granted
}

/// The manifest's environment, then what was typed.
fn environment(
    args: &Batch,
    entry: &Entry,
    world: &World,
    task: Task,
    shown: &mut Grants,
    mistakes: &mut Vec<Mistake>,
) -> Task {
    let mut options = args.grants.clone();
    options.inherit_env |= entry.grants.inherit_env;
    let files = entry.grants.env_files.iter().map(|file| world.path(&file.value));
    options.env_files = files.chain(options.env_files).collect();
    let mut env = Vec::new();
    for (name, value) in &entry.grants.env {
        if value.is_none() && std::env::var_os(&name.value).is_none() {
            let message =
                format!("there is no variable `{0}` here: give it a value, {0} = \"...\"", name.value);
            mistakes.push(Mistake::at(&name.span, message));
            continue;
        }
        env.push(EnvOption { name: name.value.clone(), value: value.clone() });
    }
    options.env = env.into_iter().chain(options.env).collect();
    let shown_value = |option: &EnvOption| match &option.value {
        Some(value) => format!("{}={value}", option.name),
        None => option.name.clone(),
    };
    shown.env = options.env.iter().map(shown_value).collect();
    shown.env_files = options.env_files.iter().map(|file| file.display().to_string()).collect();
    shown.inherit_env = options.inherit_env;
    for dir in &options.dirs {
        shown.dirs.push(as_shown(&dir.host, &dir.guest, dir.access));
    }
    for file in &options.files {
        shown.files.push(as_shown(&file.host, &file.guest, file.access));
    }
    let net = |net: &NetOption| format!("{:?} {}:{}", net.access, net.host, net.port);
    shown.nets.extend(options.nets.iter().map(net));
    match grants::grant_all(&options, task.clone(), batch::USAGE) {
        Ok(task) => task,
        Err(failure) => {
            mistakes.push(Mistake::at(&entry.span, format!("`{}`: {failure}", entry.name)));
            task
        }
    }
}

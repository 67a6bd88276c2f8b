//! The files and modules that a manifest names, from its folder on.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use futures_util::future::join_all;
use wasmpool::batch::manifest::Manifest;
use wasmpool::batch::manifest::mistake::Mistake;
use wasmpool::batch::plan::instances::{Source, source};
use wasmpool::batch::plan::{self};
use wasmpool::module_info::ModuleInfo;
use wasmpool::report::terminal;
use wasmpool::{Limits, Module, Supervisor};

use crate::arguments::Batch;
use crate::failure::Failure;
use crate::interrupt::Signals;
use crate::module_path::{self, ModulePath};
use crate::session;

/// The machine, as a manifest sees it.
#[derive(Debug)]
pub struct World {
    folder: PathBuf,
    modules: HashMap<String, Module>,
}

impl World {
    /// Nothing is loaded yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, modules: HashMap::new() }
    }

    /// A path of the manifest as one of this program.
    pub fn path(&self, path: &str) -> PathBuf {
        // `./batch.toml` and `batch.toml` make the same paths.
        if self.folder.as_os_str() == "." { PathBuf::from(path) } else { self.folder.join(path) }
    }

    /// Builds and loads every module, each once; what cannot be loaded is a mistake.
    ///
    /// # Errors
    ///
    /// When a signal ends the wait.
    pub async fn load(
        &mut self,
        manifest: &Manifest,
        supervisor: &Supervisor,
        args: &Batch,
        signals: &mut Signals,
    ) -> Result<Vec<Mistake>, Failure> {
        let mut mistakes = Vec::new();
        let mut paths: Vec<(&str, ModulePath)> = Vec::new();
        for task in &manifest.tasks {
            let module = &task.module;
            if paths.iter().any(|(known, _)| *known == module.value) {
                continue;
            }
            match module_path::find(&self.path(&module.value), args.common.quiet) {
                Ok(path) => paths.push((&module.value, path)),
                Err(failure) => mistakes.push(Mistake::at(&module.span, failure.to_string())),
            }
        }
        let compile = &args.task_options.compile;
        let load = |path: &ModulePath| supervisor.load(session::source(path, compile));
        let loading = join_all(paths.iter().map(|(_, path)| load(path)));
        let loaded = tokio::select! {
            loaded = loading => loaded,
            signal = signals.next() => {
                return Err(Failure::new(signal.exit_code(), format!("{signal} while modules were compiled")));
            }
        };
        for ((name, _), module) in paths.into_iter().zip(loaded) {
            match module {
                Ok(module) => drop(self.modules.insert(name.to_owned(), module)),
                Err(error) => {
                    let task = manifest.tasks.iter().find(|task| task.module.value == name);
                    let span = task.map_or(0..0, |task| task.module.span.clone());
                    let cause = error.cause();
                    let detail = terminal::printable(&cause.detail);
                    mistakes.push(Mistake::at(&span, format!("`{name}`: {}: {detail}", cause.kind.label())));
                }
            }
        }
        Ok(mistakes)
    }

    /// A module that was loaded.
    pub fn loaded(&self, path: &str) -> &Module {
        self.modules.get(path).expect("a plan has only modules that were loaded")
    }

    /// The digest of a module that was loaded.
    pub fn digest(&self, path: &str) -> String {
        self.loaded(path).digest()
    }

    /// Opens a file of lines.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open_lines(&self, path: &str) -> io::Result<Source> {
        let bytes_max = usize::try_from(Limits::default().argument_bytes).unwrap_or(usize::MAX);
        Ok(source(File::open(self.path(path))?, bytes_max))
    }
}

impl plan::World for World {
    fn module(&self, path: &str) -> Option<&ModuleInfo> {
        self.modules.get(path).map(Module::info)
    }

    fn files(&self, pattern: &str) -> Result<Vec<String>, String> {
        let is_absolute = pattern.starts_with('/');
        let folder = self.path("");
        let folder = folder.to_str().ok_or("the manifest's folder is not UTF-8, as patterns must be")?;
        let prefix = if is_absolute || folder.is_empty() {
            String::new()
        } else {
            format!("{}/", folder.trim_end_matches('/'))
        };
        let found = glob::glob(&format!("{}{pattern}", glob::Pattern::escape(&prefix)))
            .map_err(|error| format!("it is no pattern: {} at character {}", error.msg, error.pos))?;
        let mut files = Vec::new();
        for path in found {
            let path = path.map_err(|error| format!("cannot look there: {error}"))?;
            if path.is_dir() {
                continue;
            }
            let name = path
                .to_str()
                .ok_or_else(|| format!("the name {path:?} is not UTF-8, as arguments must be"))?;
            files.push(name.strip_prefix(&prefix).unwrap_or(name).to_owned());
            if files.len() > wasmpool::limits::GLOB_FILES_MAX {
                break;
            }
        }
        Ok(files)
    }

    fn file(&self, path: &str) -> Result<(), String> {
        let path = self.path(path);
        let metadata = path.metadata().map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err("it is no file".to_owned());
        }
        File::open(path).map(drop).map_err(|error| error.to_string())
    }
}

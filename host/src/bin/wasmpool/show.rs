//! `wasmpool inspect` and `wasmpool compile`: what a module is, read by the compile worker and not run.

#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::Arc;

use wasmpool::report::human::Written;
use wasmpool::report::inspect::{self, Inspected};
use wasmpool::{Module, exit_code};

use crate::arguments::{Compile, CompileOptions, Inspect, TextOrJson};
use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt::Signals;
use crate::{module_path, session};

/// Shows what a module is.
pub fn inspect(arguments: &Inspect, console: &Arc<Console>) -> Result<u8, Failure> {
    let module = load(&arguments.module, arguments.common.quiet, &arguments.compile)?;
    let name = arguments.module.display().to_string();
    let digest = module.digest();
    let inspected = Inspected { name: &name, digest: &digest, info: module.info() };
    console.print(match arguments.format {
        TextOrJson::Text => inspect::text(inspected),
        TextOrJson::Json => format!("{}\n", inspect::json(inspected)),
    })
}

/// Compiles a module into the cache and prints its digest.
pub fn compile(arguments: &Compile, console: &Arc<Console>) -> Result<u8, Failure> {
    let module = load(&arguments.module, arguments.common.quiet, &arguments.compile)?;
    console.print(format!("{}\n", module.digest()))
}

fn load(typed: &Path, quiet: bool, compile: &CompileOptions) -> Result<Module, Failure> {
    let path = module_path::find(typed, quiet)?;
    session::block_on(async {
        let mut signals = Signals::listen()?;
        let supervisor = session::supervisor(compile)?;
        session::load(&supervisor, compile, &path, &mut signals).await
    })
}

impl Console {
    /// Writes the text that a command is there for.
    pub fn print(&self, text: String) -> Result<u8, Failure> {
        let written = Written { stdout: text.into_bytes(), stderr: Vec::new() };
        match self.write(&written) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::new(exit_code::NOT_SET_UP, format!("cannot write to standard output: {error}")))
            }
            _ => Ok(exit_code::SUCCESS),
        }
    }
}

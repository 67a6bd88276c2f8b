//! From what was typed as MODULE to a file that can be loaded: a folder is built first.

#![forbid(unsafe_code)]

use std::io;
use std::path::{Path, PathBuf};

use wasmpool::exit_code;

use crate::failure::Failure;
use crate::folder;

/// A module file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModulePath {
    /// The file.
    pub file: PathBuf,
    /// What the user called it.
    pub typed: String,
}

impl ModulePath {
    /// The name of the file, which a command sees as its own.
    pub fn file_name(&self) -> String {
        self.file.file_name().unwrap_or(self.file.as_os_str()).to_string_lossy().into_owned()
    }

    /// The name of the file without its ending, for the names of tasks.
    pub fn stem(&self) -> String {
        self.file.file_stem().unwrap_or(self.file.as_os_str()).to_string_lossy().into_owned()
    }
}

/// Finds the module; a folder with a `Cargo.toml` is built first, which talks on standard error.
///
/// # Errors
///
/// Code 127 when there is nothing by that name, 126 when it cannot be a module or could not be built.
pub fn find(typed: &Path, quiet: bool) -> Result<ModulePath, Failure> {
    let shown = typed.display().to_string();
    let metadata = match typed.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!(
                "there is no `{shown}`: MODULE is a .wasm or .wat file, or a folder with a Cargo.toml"
            );
            return Err(Failure::new(exit_code::NOT_FOUND, message));
        }
        Err(error) => {
            return Err(Failure::new(exit_code::CANNOT_RUN, format!("cannot read `{shown}`: {error}")));
        }
    };
    if !metadata.is_dir() {
        return Ok(ModulePath { file: typed.to_owned(), typed: shown });
    }
    if !typed.join("Cargo.toml").is_file() {
        let message =
            format!("`{shown}` is a folder without a Cargo.toml: give a module file, or a crate to build");
        return Err(Failure::new(exit_code::CANNOT_RUN, message));
    }
    Ok(ModulePath { file: folder::build(typed, quiet)?, typed: shown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_and_what_cannot_be_built_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let code = |path: &Path| find(path, true).map_err(|failure| failure.code);
        assert_eq!(code(&folder.path().join("none.wasm")), Err(127));
        assert_eq!(code(folder.path()), Err(126));
        let file = folder.path().join("tool.v2.wasm");
        std::fs::write(&file, "").unwrap();
        let module = code(&file).unwrap();
        assert_eq!((module.file_name().as_str(), module.stem().as_str()), ("tool.v2.wasm", "tool.v2"));
    }
}

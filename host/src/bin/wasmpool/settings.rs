//! Options that stand elsewhere than on the command line: in variables `WASMPOOL_*` and in a config file.
//!
//! They become words, put in front of those that were typed, so that there is one grammar and one way to read a value. Each is
//! tried alone before, so that what is wrong is told with its variable or its place in the file. What was typed counts more
//! than a variable, and that more than the file.

#![forbid(unsafe_code)]

mod environment;
mod file;
mod option;

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::arguments::{self, Typed};
use crate::console::Console;
use crate::failure::Failure;
pub use option::Options;

/// A command line with what stands elsewhere.
#[derive(Debug, Default)]
pub struct Completed {
    /// The whole line.
    pub line: Vec<OsString>,
    /// Of `batch`: a line with what the file says and the manifest may say too.
    pub below: Option<Vec<OsString>>,
    /// What was added.
    added: Vec<Setting>,
    /// Variables that are nearly those of options.
    unknown: Vec<String>,
}

/// An option from elsewhere.
#[derive(Clone, Debug)]
struct Setting {
    /// The option's id.
    id: String,
    /// What would have been typed; nothing for a flag that is off.
    words: Vec<OsString>,
    /// The variable, or the file with the line.
    place: String,
    is_of_file: bool,
}

/// Options without which another one means nothing, so that it may stand elsewhere all the same.
const NEEDS: &[(&str, &str)] = &[
    ("resume", "joblog"),
    ("retry_failed", "resume"),
    ("joblog_format", "joblog"),
    ("joblog_sync", "joblog"),
];

/// What a manifest may say too: there the file counts less than the manifest.
const OF_MANIFESTS: &[&str] = &[
    "timeout",
    "cpu_time",
    "fuel",
    "max_memory",
    "max_output",
    "retries",
    "retry_on",
    "retry_delay",
    "quarantine_after",
    "sandbox",
    "workers",
    "halt",
    "max_fail",
    "memory_budget",
];

/// Options by which a task is let out of its box, wherever they stand.
const GRANTS: &[&str] = &["dirs", "files", "nets", "env", "env_files", "inherit_env"];

/// Completes a line from the environment and the config file of this program's user.
///
/// # Errors
///
/// The code for a wrong command line, for a wrong value of a variable and for everything that is wrong with the file.
pub fn complete(line: &[OsString]) -> Result<Completed, Failure> {
    let variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    if is_alone(line, &variables) {
        return Ok(Completed { line: line.to_vec(), ..Completed::default() });
    }
    let fail = |message: String| Failure::new(arguments::usage_code(line), message);
    let Some(typed) = arguments::typed(line) else {
        return Ok(Completed { line: line.to_vec(), ..Completed::default() });
    };
    let options = Options::of(&arguments::grammar());
    let Some(of_command) = options.of_command(&typed.command) else {
        return Ok(Completed { line: line.to_vec(), ..Completed::default() });
    };
    let from_environment = environment::read(of_command, &variables).map_err(fail)?;
    let path = path(&typed, &variables);
    let from_file = match &path {
        Some((path, is_named)) => file::read(path, *is_named, &options, &typed.command).map_err(fail)?,
        None => Vec::new(),
    };
    let unknown = environment::unknown(&options, &variables);
    Ok(put_together(line, &typed, of_command, from_environment, from_file).with_unknown(unknown))
}

/// Whether nothing can stand elsewhere: no variable is ours, and nobody has named a file or has the usual one. To make
/// all options of all commands for that takes longer than to start a task.
fn is_alone(line: &[OsString], variables: &[(OsString, OsString)]) -> bool {
    let is_ours = |name: &OsString| name.as_bytes().starts_with(b"WASMPOOL_");
    let names_file = |word: &OsString| word.as_bytes().starts_with(b"--config");
    if variables.iter().any(|(name, _)| is_ours(name)) || line.iter().any(names_file) {
        return false;
    }
    let path = path(&Typed::default(), variables);
    let is_missing = |path: &Path| {
        std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    };
    path.is_none_or(|(path, _)| is_missing(&path))
}

/// Where the config file is, and whether somebody named it.
fn path(typed: &Typed, variables: &[(OsString, OsString)]) -> Option<(PathBuf, bool)> {
    let variable =
        |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| PathBuf::from(value));
    if let Some(path) = typed.config.clone().or_else(|| variable("WASMPOOL_CONFIG")) {
        return (!path.as_os_str().is_empty()).then_some((path, true));
    }
    // A relative path would be one of the current folder, whose files are perhaps somebody else's.
    let folder = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let folder =
        folder.or_else(|| Some(variable("HOME").filter(|path| path.is_absolute())?.join(".config")))?;
    Some((folder.join("wasmpool/config.toml"), false))
}

fn put_together(
    line: &[OsString],
    typed: &Typed,
    options: &option::OfCommand,
    from_environment: Vec<Setting>,
    from_file: Vec<Setting>,
) -> Completed {
    let is_alone = typed.ids.iter().any(|id| options.is_exclusive(id));
    let mut completed = Completed { line: line[..2].to_vec(), ..Completed::default() };
    let mut decided: HashSet<String> = typed.ids.clone();
    for settings in [from_environment, from_file] {
        let counts = |setting: &Setting| {
            !is_alone
                && !decided.contains(&setting.id)
                && !decided.iter().any(|id| options.conflict(&setting.id, id))
        };
        let settings: Vec<Setting> = settings.into_iter().filter(counts).collect();
        decided.extend(settings.iter().map(|setting| setting.id.clone()));
        completed.added.extend(settings);
    }
    // Twice, because what is needed may need something itself.
    for _ in 0..2 {
        let there: HashSet<String> = typed
            .ids
            .iter()
            .cloned()
            .chain(completed.added.iter().filter(|one| !one.words.is_empty()).map(|one| one.id.clone()))
            .collect();
        let is_of_use =
            |setting: &Setting| NEEDS.iter().all(|(id, needed)| *id != setting.id || there.contains(*needed));
        completed.added.retain(is_of_use);
    }
    completed.added.retain(|setting| !setting.words.is_empty());
    let is_below = |setting: &&Setting| {
        typed.command == "batch" && setting.is_of_file && OF_MANIFESTS.contains(&setting.id.as_str())
    };
    let (below, above): (Vec<&Setting>, Vec<&Setting>) = completed.added.iter().partition(is_below);
    completed.line.extend(above.iter().flat_map(|setting| setting.words.clone()));
    completed.line.extend_from_slice(&line[2..]);
    if !below.is_empty() {
        // The manifest that the grammar asks for; nobody looks at it.
        let manifest = OsString::from("-");
        let options = below.iter().flat_map(|setting| setting.words.clone());
        completed.below = Some(line[..2].iter().cloned().chain(options).chain([manifest]).collect());
    }
    completed
}

impl Completed {
    fn with_unknown(self, unknown: Vec<String>) -> Self {
        Self { unknown, ..self }
    }

    /// Says what came from elsewhere: with `-v` all of it, what lets a task touch something in any case.
    pub fn say(&self, verbose: u8, console: &Console) {
        self.unknown.iter().for_each(|message| console.say(message));
        for Setting { id, words, place, .. } in &self.added {
            if verbose > 0 || GRANTS.contains(&id.as_str()) {
                let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
                console.say(&format!("{} ({place})", words.join(" ")));
            }
        }
    }

    /// What to add to an error of the whole line, when what was typed alone may be right.
    pub fn hint(&self) -> Option<String> {
        let places: Vec<&str> = self.added.iter().map(|setting| setting.place.as_str()).collect();
        (!places.is_empty()).then(|| format!("options came from {} too", places.join(", ")))
    }
}

#[cfg(test)]
mod tests;

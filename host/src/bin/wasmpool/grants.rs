//! What `--dir`, `--file`, `--net` and `--env` grant: directories and files that are opened, names that are looked up,
//! variables that have values.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;

use wasmpool::{DirGrantError, GrantedDir, GrantedFile, GrantedNet, Task};

use crate::arguments::GrantOptions;
use crate::arguments::grants::{self, DirOption, EnvOption};
use crate::failure::{Failure, OrFailWith};

/// The task with everything granted. A relative directory is one of the current directory.
///
/// # Errors
///
/// Code `usage` for what is no directory, for a host that has no address, for a variable that is not there, and for what does not fit together.
pub fn grant_all(options: &GrantOptions, task: Task, usage: u8) -> Result<Task, Failure> {
    let dirs = options.dirs.iter().map(open).collect::<Result<Vec<_>, _>>();
    let dirs = dirs.map_err(|error| Failure::new(usage, format!("--dir: {error}")))?;
    let files = options.files.iter().map(open_file).collect::<Result<Vec<_>, _>>();
    let files = files.map_err(|error| Failure::new(usage, format!("--file: {error}")))?;
    let nets = options.nets.iter().map(|net| GrantedNet::open(net.access, &net.host, net.port));
    let nets = nets.collect::<Result<Vec<_>, _>>();
    let nets = nets.map_err(|error| Failure::new(usage, format!("--net: {error}")))?;
    let env = environment(options).map_err(|error| Failure::new(usage, error))?;
    let task = dirs.into_iter().fold(task.env(env), Task::dir);
    let task = nets.into_iter().fold(task, Task::net);
    let task = files.into_iter().fold(task, Task::file);
    task.check().or_fail_with(usage)?;
    Ok(task)
}

/// What is inherited, then the files, then what is named: the last one of a name counts.
fn environment(options: &GrantOptions) -> Result<Vec<(String, String)>, String> {
    let here = |name: &str| std::env::var_os(name);
    let mut env = if options.inherit_env { inherited(std::env::vars_os()) } else { Vec::new() };
    for path in &options.env_files {
        let told = |error: &dyn std::fmt::Display| format!("--env-file {}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| told(&error))?;
        for (index, line) in text.lines().enumerate().filter(|(_, line)| is_variable(line)) {
            let in_line = |error: String| told(&format!("line {}: {error}", index + 1));
            let option = grants::variable(line).map_err(in_line)?;
            env.push(look_up(&option, here).map_err(in_line)?);
        }
    }
    for option in &options.env {
        env.push(look_up(option, here).map_err(|error| format!("--env {error}"))?);
    }
    Ok(env)
}

/// Variables by their names: with the values that options give them, else with those from here.
///
/// # Errors
///
/// When one of them is nowhere, or an option names another one.
pub fn again(names: &[String], options: &[EnvOption]) -> Result<Vec<(String, String)>, String> {
    let here = |name: &str| std::env::var_os(name);
    if let Some(other) = options.iter().find(|option| !names.contains(&option.name)) {
        return Err(format!("--env {}: the task had no such variable", other.name));
    }
    let variable = |name: &String| {
        let given = options.iter().rfind(|option| option.name == *name);
        let option = given.cloned().unwrap_or_else(|| EnvOption { name: name.clone(), value: None });
        look_up(&option, here).map_err(|error| format!("--env {error}"))
    };
    names.iter().map(variable).collect()
}

fn is_variable(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with('#')
}

/// The variables that WASI can pass on: those that are UTF-8.
fn inherited(here: impl Iterator<Item = (OsString, OsString)>) -> Vec<(String, String)> {
    let mut env = Vec::new();
    for (name, value) in here {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => env.push((name, value)),
            (Ok(name), Err(_)) => {
                tracing::warn!("the variable {name} is not passed on: its value is not UTF-8")
            }
            (Err(name), _) => tracing::warn!("a variable is not passed on: {name:?} is not UTF-8"),
        }
    }
    env
}

fn open(option: &DirOption) -> Result<GrantedDir, String> {
    GrantedDir::open(&option.host, &option.guest, option.access)
        .map_err(|error| told(option, &error, Metadata::is_file, "; --file grants a single file"))
}

fn open_file(option: &DirOption) -> Result<GrantedFile, String> {
    GrantedFile::open(&option.host, &option.guest, option.access)
        .map_err(|error| told(option, &error, Metadata::is_dir, "; --dir grants a directory"))
}

/// What is wrong, and what would be right for something that is there and of the `other` kind.
fn told(option: &DirOption, error: &DirGrantError, is_other: fn(&Metadata) -> bool, other: &str) -> String {
    let is_unopened = matches!(error, DirGrantError::NotOpened { .. } | DirGrantError::FileNotOpened { .. });
    // `photos:/photos`, as other programs write it, is the name of one directory here.
    let has_colon = option.host.as_os_str().as_bytes().contains(&b':');
    let hint = match option.host.metadata() {
        Ok(host) if is_unopened && is_other(&host) => other,
        Err(_) if is_unopened && has_colon => "; HOST and GUEST have two colons between them",
        _ => "",
    };
    format!("{error}{hint}")
}

fn look_up(option: &EnvOption, here: impl Fn(&str) -> Option<OsString>) -> Result<(String, String), String> {
    let EnvOption { name, value } = option;
    let value = match value {
        Some(value) => value.clone(),
        None => here(name)
            .ok_or_else(|| {
                format!("{name}: there is no such variable here; write {name}=VALUE to give it one")
            })?
            .into_string()
            .map_err(|_| format!("{name}: its value here is not UTF-8, as WASI asks for"))?,
    };
    Ok((name.clone(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn what_is_not_utf_8_is_not_inherited() {
        let here = [("A", vec![b'1']), ("B", vec![0xff])];
        let here = here.map(|(name, value)| (OsString::from(name), OsString::from_vec(value)));
        assert_eq!(inherited(here.into_iter()), [("A".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn a_variable_without_a_value_has_the_one_from_here() {
        let here = |name: &str| match name {
            "HERE" => Some(OsString::from("yes")),
            "BYTES" => Some(OsString::from_vec(vec![0xff])),
            _ => None,
        };
        let look = |name: &str, value: Option<&str>| {
            look_up(&EnvOption { name: name.to_owned(), value: value.map(str::to_owned) }, here)
        };
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(look("HERE", None), pair("HERE", "yes"));
        assert_eq!(look("HERE", Some("no")), pair("HERE", "no"));
        assert_eq!(look("GONE", Some("")), pair("GONE", ""));
        let error = look("GONE", None).unwrap_err();
        assert_eq!(error, "GONE: there is no such variable here; write GONE=VALUE to give it one");
        assert!(look("BYTES", None).unwrap_err().contains("BYTES: its value here is not UTF-8"));
    }
}

//! What `--dir` and `--env` grant: directories that are opened, variables that have values.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use wasmpool::{DirGrantError, GrantedDir, Task};

use crate::arguments::GrantOptions;
use crate::arguments::grants::{DirOption, EnvOption};
use crate::failure::{Failure, OrFailWith};

/// The task with everything granted. A relative directory is one of the current directory.
///
/// # Errors
///
/// Code `usage` for what is no directory, for a variable that is not there, and for what does not fit together.
pub fn grant_all(options: &GrantOptions, task: Task, usage: u8) -> Result<Task, Failure> {
    let dirs = options.dirs.iter().map(open).collect::<Result<Vec<_>, _>>();
    let dirs = dirs.map_err(|error| Failure::new(usage, format!("--dir: {error}")))?;
    let here = |name: &str| std::env::var_os(name);
    let env = options.env.iter().map(|option| look_up(option, here)).collect::<Result<Vec<_>, _>>();
    let env = env.map_err(|error| Failure::new(usage, format!("--env {error}")))?;
    let task = dirs.into_iter().fold(task.env(env), Task::dir);
    task.check().or_fail_with(usage)?;
    Ok(task)
}

fn open(option: &DirOption) -> Result<GrantedDir, String> {
    GrantedDir::open(&option.host, &option.guest, option.access).map_err(|error| {
        let is_missing = matches!(error, DirGrantError::NotOpened { .. });
        // `photos:/photos`, as other programs write it, is the name of one directory here.
        let has_colon = option.host.as_os_str().as_bytes().contains(&b':');
        let hint = if is_missing && has_colon { "; HOST and GUEST have two colons between them" } else { "" };
        format!("{error}{hint}")
    })
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

//! Variables `WASMPOOL_*`: `--max-memory 64MiB` is `WASMPOOL_MAX_MEMORY=64MiB`. One that is empty says nothing.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use wasmpool::batch::manifest::mistake::did_you_mean;

use super::Setting;
use super::option::{Kind, OfCommand, One, Options};

/// What stands between the values of an option that may be repeated.
const BETWEEN: u8 = b';';

/// How often a counted option is worth saying.
const COUNT_MAX: u8 = 9;

/// What the variables say for a command.
pub fn read(options: &OfCommand, variables: &[(OsString, OsString)]) -> Result<Vec<Setting>, String> {
    let mut settings = Vec::new();
    for option in &options.options {
        let name = option.variable();
        let found = variables.iter().find(|(known, value)| known == name.as_str() && !value.is_empty());
        let Some((_, value)) = found else { continue };
        let words = words(option, value).map_err(|reason| {
            format!("the variable {name} is `{}`: {reason}", value.to_string_lossy().escape_debug())
        })?;
        settings.push(Setting { id: option.id.clone(), words, place: name, is_of_file: false });
    }
    Ok(settings)
}

fn words(option: &One, value: &OsString) -> Result<Vec<OsString>, String> {
    let is_on = match value.to_str() {
        Some("1" | "true") => Some(true),
        Some("0" | "false") => Some(false),
        _ => None,
    };
    let times = |times: u8| vec![option.word(); usize::from(times)];
    match option.kind {
        Kind::Flag => {
            let is_on = is_on.ok_or("write 1 or true to turn it on, 0 or false to leave it off")?;
            Ok(times(u8::from(is_on)))
        }
        Kind::Count => {
            let typed = value.to_str().and_then(|text| text.parse().ok()).filter(|count| *count <= COUNT_MAX);
            let count = typed.or(is_on.map(u8::from)).ok_or("write how often, from 0 to 9")?;
            Ok(times(count))
        }
        Kind::Value => Ok(vec![option.word_with(value)?]),
        Kind::List => {
            let values = value.as_bytes().split(|byte| *byte == BETWEEN).filter(|value| !value.is_empty());
            values.map(|value| option.word_with(&OsString::from_vec(value.to_vec()))).collect()
        }
    }
}

/// Says which variables are nearly those of options.
pub fn unknown(options: &Options, variables: &[(OsString, OsString)]) -> Vec<String> {
    let mut known: Vec<String> = options.all().map(|option| option.key.to_uppercase()).collect();
    known.push("CONFIG".to_owned());
    let mut said = Vec::new();
    for name in variables.iter().filter_map(|(name, _)| name.to_str()?.strip_prefix("WASMPOOL_")) {
        if known.iter().any(|known| known == name) {
            continue;
        }
        let hint = did_you_mean(name, known.iter().map(String::as_str));
        if let Some((_, hint)) = hint.split_once('`') {
            said.push(format!(
                "the variable WASMPOOL_{name} belongs to no option, did you mean `WASMPOOL_{hint}"
            ));
        }
    }
    said
}

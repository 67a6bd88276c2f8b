//! What of a command line was typed, as far as it can be read: what stands elsewhere may complete it.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory};

use super::{RunWithEntry, definition, is_entry, readable, with_entry};

/// What was typed.
#[derive(Clone, Debug, Default)]
pub struct Typed {
    /// The command's name.
    pub command: String,
    /// The options and arguments, by their ids.
    pub ids: HashSet<String>,
    /// `--config`.
    pub config: Option<PathBuf>,
}

/// Reads what was typed; `None` without a command, and where help is asked for.
pub fn typed(line: &[OsString]) -> Option<Typed> {
    let matches = definition().ignore_errors(true).try_get_matches_from(readable(line)).ok()?;
    let (command, of_command) = matches.subcommand()?;
    let mut typed = Typed { command: command.to_owned(), ..Typed::default() };
    typed.add(of_command);
    if command == "run" {
        let words: Vec<OsString> = of_command
            .try_get_many::<OsString>("words")
            .ok()
            .flatten()
            .map_or_else(Vec::new, |words| words.cloned().collect());
        if words.get(1).is_some_and(|word| is_entry(word)) {
            let again = RunWithEntry::command().ignore_errors(true);
            typed.add(&again.try_get_matches_from(with_entry(line, &words)).ok()?);
        }
    }
    Some(typed)
}

impl Typed {
    fn add(&mut self, matches: &ArgMatches) {
        let is_typed = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        self.ids.extend(matches.ids().filter(is_typed).map(|id| id.as_str().to_owned()));
        if self.ids.contains("config") {
            self.config = matches.try_get_one("config").ok().flatten().cloned();
        }
    }
}

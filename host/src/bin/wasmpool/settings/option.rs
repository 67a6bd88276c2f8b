//! The options of every command that may stand elsewhere, taken from the grammar.

#![forbid(unsafe_code)]

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command, Id};

/// Commands that read no options from elsewhere.
const WITHOUT: &[&str] = &["completions", "man", "help"];

/// What belongs to one command line only: what is called, where options are read from, and who asks about the program.
const NOT_ELSEWHERE: &[&str] = &["task", "invoke", "config", "schema", "help", "version"];

/// Options that a command takes only to say where they belong.
const MISPLACED: &[(&str, &str)] = &[("batch", "stdin"), ("batch", "argv0")];

/// The options of every command.
#[derive(Debug)]
pub struct Options(Vec<OfCommand>);

/// The options of one command.
#[derive(Debug)]
pub struct OfCommand {
    pub command: String,
    grammar: Command,
    pub options: Vec<One>,
}

/// One option.
#[derive(Debug)]
pub struct One {
    pub id: String,
    /// Its name in a config file.
    pub key: String,
    pub kind: Kind,
    long: String,
    arg: Arg,
}

/// How often and with what an option is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Without a value.
    Flag,
    /// Without a value, more than once.
    Count,
    /// With one value.
    Value,
    /// With one value, more than once.
    List,
}

impl Options {
    /// Those of a grammar.
    pub fn of(grammar: &Command) -> Self {
        let is_meant = |command: &&Command| !WITHOUT.contains(&command.get_name());
        Self(grammar.get_subcommands().filter(is_meant).map(OfCommand::new).collect())
    }

    pub fn of_command(&self, name: &str) -> Option<&OfCommand> {
        self.0.iter().find(|of| of.command == name)
    }

    pub fn commands(&self) -> impl Iterator<Item = &OfCommand> {
        self.0.iter()
    }

    /// Every option, those that several commands have once for each.
    pub fn all(&self) -> impl Iterator<Item = &One> {
        self.0.iter().flat_map(|of| &of.options)
    }
}

impl OfCommand {
    fn new(grammar: &Command) -> Self {
        let command = grammar.get_name().to_owned();
        let is_meant = |arg: &&Arg| {
            let id = arg.get_id().as_str();
            !NOT_ELSEWHERE.contains(&id) && !MISPLACED.contains(&(command.as_str(), id))
        };
        let options = grammar.get_arguments().filter(is_meant).filter_map(One::new).collect();
        Self { command, grammar: grammar.clone(), options }
    }

    /// Whether it goes with no other option.
    pub fn is_exclusive(&self, id: &str) -> bool {
        self.arg(id).is_some_and(Arg::is_exclusive_set)
    }

    /// Whether two options, or an option and an argument, do not go together.
    pub fn conflict(&self, one: &str, other: &str) -> bool {
        let excludes = |one: &str, other: &str| {
            let arg = self.arg(one);
            arg.is_some_and(|arg| {
                self.grammar.get_arg_conflicts_with(arg).iter().any(|arg| arg.get_id() == other)
            })
        };
        excludes(one, other) || excludes(other, one)
    }

    fn arg(&self, id: &str) -> Option<&Arg> {
        self.grammar.get_arguments().find(|arg| arg.get_id() == id)
    }
}

impl One {
    fn new(arg: &Arg) -> Option<Self> {
        let long = arg.get_long()?;
        let kind = match arg.get_action() {
            ArgAction::SetTrue => Kind::Flag,
            ArgAction::Count => Kind::Count,
            ArgAction::Append => Kind::List,
            _ => Kind::Value,
        };
        let (id, key) = (arg.get_id().as_str().to_owned(), long.replace('-', "_"));
        Some(Self { id, key, kind, long: long.to_owned(), arg: arg.clone() })
    }

    /// The name of its variable.
    pub fn variable(&self) -> String {
        format!("WASMPOOL_{}", self.key.to_uppercase())
    }

    /// The option as a word, without a value.
    pub fn word(&self) -> OsString {
        OsString::from(format!("--{}", self.long))
    }

    /// The option with this value as a word.
    ///
    /// # Errors
    ///
    /// Why it is none, in words for which the option's name is no news.
    pub fn word_with(&self, value: &OsString) -> Result<OsString, String> {
        let mut word = self.word();
        word.push("=");
        word.push(value);
        let nothing = || Resettable::<Id>::Reset;
        let alone = self.arg.clone().requires(nothing()).conflicts_with(nothing()).exclusive(false);
        let grammar = Command::new("option").no_binary_name(true).disable_help_flag(true).arg(alone);
        match grammar.try_get_matches_from([&word]) {
            Ok(_) => Ok(word),
            Err(error) => Err(reason(&error)),
        }
    }
}

/// What is wrong with a value, without the option that the command line would name.
fn reason(error: &clap::Error) -> String {
    if let Some(source) = std::error::Error::source(error) {
        return source.to_string();
    }
    if let Some(ContextValue::Strings(known)) = error.get(ContextKind::ValidValue) {
        return format!("write one of {}", known.join(", "));
    }
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}

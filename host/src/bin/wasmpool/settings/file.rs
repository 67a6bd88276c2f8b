//! The config file: TOML with the options of all commands at its top, and those of one command in its section.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wasmpool::batch::manifest::mistake::{Mistake, Mistakes, did_you_mean};
use wasmpool::limits::MANIFEST_BYTES_MAX;

use super::Setting;
use super::option::{Kind, One, Options};

/// What a file says for a command; everything else in it is checked too. One that nobody named need not be there.
pub fn read(path: &Path, is_named: bool, options: &Options, command: &str) -> Result<Vec<Setting>, String> {
    let text = match text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => return Ok(Vec::new()),
        Err(error) => return Err(format!("cannot read the config file `{}`: {error}", path.display())),
    };
    let shown = path.display().to_string();
    parse(&text, &shown, options, command)
        .map_err(|mistakes| mistakes.render(&shown, &text).trim_end().to_owned())
}

fn text(path: &Path) -> io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let limit = MANIFEST_BYTES_MAX as u64;
    if std::fs::File::open(path)?.take(limit + 1).read_to_string(&mut text)? as u64 > limit {
        return Err(io::Error::other(format!("it has more than {limit} bytes")));
    }
    Ok(text)
}

/// What the text says for a command.
pub fn parse(text: &str, file: &str, options: &Options, command: &str) -> Result<Vec<Setting>, Mistakes> {
    let document = DeTable::parse(text).map_err(|error| {
        let message = error.message().lines().next().unwrap_or("unexpected text").to_owned();
        Mistakes(vec![Mistake::at(&error.span().unwrap_or(0..0), format!("not TOML: {message}"))])
    })?;
    let mut reader = Reader { text, file, mistakes: Vec::new() };
    let mut of_section = Vec::new();
    let mut of_all = Vec::new();
    for (key, node) in document.get_ref().iter() {
        let (name, span) = (key.get_ref().as_ref(), key.span());
        if let Some(section) = options.of_command(name) {
            let Some(table) = node.get_ref().as_table() else {
                reader.wrong(&span, format!("`{name}` is a command, whose options stand in [{name}]"));
                continue;
            };
            for (key, node) in table.iter() {
                let (key, span) = (key.get_ref().as_ref(), key.span());
                let Some(option) = section.options.iter().find(|option| option.key == key) else {
                    let known = section.options.iter().map(|option| option.key.as_str());
                    reader.unknown(&span, key, known, &format!("`wasmpool {name}` has no such option"));
                    continue;
                };
                let setting = reader.setting(option, &span, node);
                of_section.extend(setting.filter(|_| name == command));
            }
            continue;
        }
        // Commands may read an option of one name differently, so each that has it looks at its value.
        let meant: Vec<(&str, &One)> = options
            .commands()
            .flat_map(|of| of.options.iter().map(move |option| (of.command.as_str(), option)))
            .filter(|(_, option)| option.key == name)
            .collect();
        let own = meant.iter().find(|(of, _)| *of == command).or(meant.first());
        let Some((of, option)) = own else {
            let known = options.all().map(|option| option.key.as_str());
            let known = known.chain(options.commands().map(|of| of.command.as_str()));
            reader.unknown(&span, name, known, "no command has such an option");
            continue;
        };
        let setting = reader.setting(option, &span, node);
        of_all.extend(setting.filter(|_| *of == command));
    }
    if !reader.mistakes.is_empty() {
        return Err(Mistakes(reader.mistakes));
    }
    of_all.retain(|setting: &Setting| of_section.iter().all(|own: &Setting| own.id != setting.id));
    Ok(of_section.into_iter().chain(of_all).collect())
}

struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn wrong(&mut self, span: &Range<usize>, message: String) {
        self.mistakes.push(Mistake::at(span, message));
    }

    fn unknown<'k>(
        &mut self,
        span: &Range<usize>,
        key: &str,
        known: impl Iterator<Item = &'k str>,
        said: &str,
    ) {
        let hint = match did_you_mean(key, known) {
            nothing if nothing.is_empty() => {
                format!(": {said}; `wasmpool help config` says what stands here")
            }
            hint => hint,
        };
        self.wrong(span, format!("unknown key `{key}`{hint}"));
    }

    /// An option with its value; `None` for a mistake.
    fn setting(&mut self, option: &One, key: &Range<usize>, node: &Spanned<DeValue<'_>>) -> Option<Setting> {
        let (line, _) = Mistake::at(key, "").place(self.text);
        let place = format!("{}:{line}", self.file);
        let words = match (option.kind, node.get_ref()) {
            (Kind::Flag, DeValue::Boolean(is_on)) => vec![option.word(); usize::from(*is_on)],
            (Kind::Count, DeValue::Integer(number)) => {
                vec![option.word(); number.as_str().parse().unwrap_or(usize::MAX).min(9)]
            }
            (Kind::List, DeValue::Array(list)) => {
                let words: Vec<OsString> = list.iter().filter_map(|node| self.word(option, node)).collect();
                if words.len() < list.len() {
                    return None;
                }
                words
            }
            (Kind::Value, DeValue::Array(_) | DeValue::Table(_))
            | (Kind::Flag | Kind::Count | Kind::List, _) => {
                let expected = match option.kind {
                    Kind::Flag => "true or false".to_owned(),
                    Kind::Count => "a whole number".to_owned(),
                    Kind::Value => "one value".to_owned(),
                    Kind::List => format!("a list such as {} = [\"...\"]", option.key),
                };
                self.wrong(&node.span(), format!("`{}` takes {expected}", option.key));
                return None;
            }
            (Kind::Value, _) => vec![self.word(option, node)?],
        };
        Some(Setting { id: option.id.clone(), words, place, is_of_file: true })
    }

    fn word(&mut self, option: &One, node: &Spanned<DeValue<'_>>) -> Option<OsString> {
        let text = match node.get_ref() {
            DeValue::String(text) => text.as_ref().to_owned(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Boolean(value) => value.to_string(),
            _ => {
                self.wrong(&node.span(), format!("`{}` takes a text in quotes or a number", option.key));
                return None;
            }
        };
        match option.word_with(&OsString::from(&text)) {
            Ok(word) => Some(word),
            Err(reason) => {
                self.wrong(&node.span(), format!("`{}` is `{text}`: {reason}", option.key));
                None
            }
        }
    }
}

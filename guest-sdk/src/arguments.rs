//! From the bytes that a caller sent to the values of a task's parameters.
//!
//! A caller sends JSON: an array of arguments in order, or an object `{"args": [...], "kwargs": {"name": value}}`
//! with either key, as in Python. Which argument belongs to which parameter is settled before any is read, so that a
//! misspelt name is reported as that and not as whatever it makes missing. Every refusal names the parameter, what
//! was wrong and what would be right.

#![forbid(unsafe_code)]

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

use crate::error::TaskError;

/// A parameter, for messages: how it is called and how its type is written.
#[derive(Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Its type as the author wrote it.
    pub shown: &'static str,
}

/// The arguments of one call, each at the place of its parameter.
#[derive(Debug)]
pub struct Arguments<'a> {
    task: &'static str,
    params: &'static [Param],
    slots: Vec<Option<&'a RawValue>>,
}

impl<'a> Arguments<'a> {
    /// Finds the argument for each of the task's parameters.
    pub fn read(input: &'a [u8], task: &'static str, params: &'static [Param]) -> Result<Self, TaskError> {
        let mut arguments = Self { task, params, slots: vec![None; params.len()] };
        // The short form is read as it is placed.
        if input.trim_ascii_start().starts_with(b"[") {
            let given =
                positions(input, &mut arguments.slots).map_err(|problem| arguments.wrong(&problem))?;
            arguments.check_count(given)?;
        } else {
            let sent = Sent::read(input).map_err(|problem| arguments.wrong(&problem))?;
            arguments.place(sent)?;
        }
        Ok(arguments)
    }

    /// The value of parameter `index`, which must have an argument.
    pub fn required<T: DeserializeOwned>(&self, index: usize) -> Result<T, TaskError> {
        match self.slots[index] {
            Some(json) => self.parse(index, json.get()),
            None => {
                let Param { name, shown } = &self.params[index];
                Err(self.wrong(&format!("`{name}` ({shown}) is missing")))
            }
        }
    }

    /// The value of parameter `index`; without an argument, what `null` reads as.
    pub fn or_null<T: DeserializeOwned>(&self, index: usize) -> Result<T, TaskError> {
        self.parse(index, self.slots[index].map_or("null", RawValue::get))
    }

    /// The value of parameter `index`; without an argument, the default.
    pub fn or_else<T: DeserializeOwned>(
        &self,
        index: usize,
        default: impl FnOnce() -> T,
    ) -> Result<T, TaskError> {
        match self.slots[index] {
            Some(json) => self.parse(index, json.get()),
            None => Ok(default()),
        }
    }

    fn parse<T: DeserializeOwned>(&self, index: usize, json: &str) -> Result<T, TaskError> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            self.mistyped(index, json, &path, error.inner())
        })
    }

    /// The refusal of an argument of the wrong type. Not generic, so that each type does not bring a copy of it.
    fn mistyped(&self, index: usize, json: &str, path: &str, error: &serde_json::Error) -> TaskError {
        let Param { name, shown } = &self.params[index];
        let place = if path == "." { String::new() } else { format!(" at `{path}`") };
        // The position is one inside this argument's text, which is not what the caller typed.
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
        self.wrong(&format!("`{name}` must be {shown}, but is {}: {reason}{place}", shortened(json)))
    }

    fn check_count(&self, given: usize) -> Result<(), TaskError> {
        let taken = self.params.len();
        if given > taken {
            return Err(self.wrong(&format!("too many arguments: {given} given, at most {taken} taken")));
        }
        Ok(())
    }

    fn place(&mut self, sent: Sent<'a>) -> Result<(), TaskError> {
        self.check_count(sent.args.len())?;
        for (slot, json) in self.slots.iter_mut().zip(&sent.args) {
            *slot = Some(json);
        }
        for (name, json) in sent.kwargs {
            let Some(index) = self.params.iter().position(|param| param.name == name) else {
                return Err(self.wrong(&format!("there is no parameter `{name}`")));
            };
            if self.slots[index].replace(json).is_some() {
                let how = if index < sent.args.len() { "by position and by name" } else { "by name" };
                return Err(self.wrong(&format!("`{name}` is given twice, {how}")));
            }
        }
        Ok(())
    }

    /// The refusal for `problem`, with what would be right.
    fn wrong(&self, problem: &str) -> TaskError {
        let params: Vec<String> =
            self.params.iter().map(|param| format!("{}: {}", param.name, param.shown)).collect();
        let signature = format!("{}({})", self.task, params.join(", "));
        TaskError::InvalidArguments(format!("{problem}; the task is {signature}"))
    }
}

/// The start of a long JSON text.
fn shortened(json: &str) -> String {
    const CHARS_MAX: usize = 40;
    match json.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}...", &json[..end]),
        None => json.to_owned(),
    }
}

fn not_json(error: serde_json::Error) -> String {
    format!("the arguments are not JSON: {error}")
}

/// Puts the elements of a JSON array into the slots, as far as there are any; how many there are.
fn positions<'a>(input: &'a [u8], slots: &mut [Option<&'a RawValue>]) -> Result<usize, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(input);
    let given = deserializer.deserialize_seq(Positions(slots)).map_err(not_json)?;
    deserializer.end().map_err(not_json)?;
    Ok(given)
}

struct Positions<'s, 'a>(&'s mut [Option<&'a RawValue>]);

impl<'de> Visitor<'de> for Positions<'_, 'de> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<usize, A::Error> {
        let mut given = 0;
        while let Some(json) = sequence.next_element()? {
            if let Some(slot) = self.0.get_mut(given) {
                *slot = Some(json);
            }
            given += 1;
        }
        Ok(given)
    }
}

/// What a caller sent in the long form, still unread JSON.
#[derive(Default)]
struct Sent<'a> {
    args: Vec<&'a RawValue>,
    kwargs: Vec<(String, &'a RawValue)>,
}

impl<'a> Sent<'a> {
    fn read(input: &'a [u8]) -> Result<Self, String> {
        let whole: &RawValue = serde_json::from_slice(input).map_err(not_json)?;
        if whole.get().starts_with('{') {
            return Self::read_object(whole);
        }
        let shown = shortened(whole.get());
        Err(format!("the arguments must be an array or an object with `args` and `kwargs`, but are {shown}"))
    }

    fn read_object(whole: &'a RawValue) -> Result<Self, String> {
        let Pairs(keys) = serde_json::from_str(whole.get()).map_err(|error| error.to_string())?;
        let mut sent = Self::default();
        for (key, json) in keys {
            match key.as_str() {
                "args" => {
                    sent.args = serde_json::from_str(json.get())
                        .map_err(|_| format!("`args` must be an array, but is {}", shortened(json.get())))?;
                }
                "kwargs" => {
                    let Pairs(kwargs) = serde_json::from_str(json.get()).map_err(|_| {
                        format!("`kwargs` must be an object, but is {}", shortened(json.get()))
                    })?;
                    sent.kwargs = kwargs;
                }
                other => {
                    return Err(format!("the object of arguments has `args` and `kwargs`, not `{other}`"));
                }
            }
        }
        Ok(sent)
    }
}

/// The members of a JSON object in order, with those of the same name.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests;

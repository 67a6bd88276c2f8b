//! Which argument belongs to which parameter.
//!
//! Settled before any argument is read, so that a misspelt name is reported as that, and not as whatever
//! it makes missing.

#![forbid(unsafe_code)]

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use wasmtime::component::{Type, Val};

use super::describe::listed;
use super::from_json;
use crate::limits::CONVERTED_VALUES_MAX;

/// Reads the arguments of one call: a JSON array, or an object with `args`, `kwargs` or both. Arguments of
/// an option type may be left out.
pub(crate) fn json_to_vals<'a>(
    json: &[u8],
    params: impl Iterator<Item = (&'a str, Type)>,
) -> Result<Vec<Val>, String> {
    let (names, types): (Vec<_>, Vec<_>) = params.unzip();
    let slots = slots(json, &names)?;
    let mut values_left = CONVERTED_VALUES_MAX;
    let parameters = names.iter().zip(&types).zip(slots);
    parameters
        .map(|((name, ty), slot)| match slot {
            Some(raw) => from_json::value(raw.get(), ty, &mut values_left)
                .map_err(|error| format!("parameter `{name}`{error}")),
            None if matches!(ty, Type::Option(_)) => Ok(Val::Option(None)),
            None => Err(format!("parameter `{name}` is missing: {}", super::describe::wanted(ty))),
        })
        .collect()
}

/// The text of the argument of each parameter, in their order.
pub(super) fn slots<'a>(json: &'a [u8], names: &[&str]) -> Result<Vec<Option<&'a RawValue>>, String> {
    let mut slots = Slots { names, found: vec![None; names.len()], positional: 0, problem: None };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = (&mut deserializer).deserialize_any(Outer(&mut slots)).and_then(|()| deserializer.end());
    match (slots.problem, read) {
        (Some(problem), _) => Err(problem),
        (None, Err(error)) => Err(format!("the arguments are not JSON: {error}")),
        (None, Ok(())) if slots.positional > names.len() => Err(format!(
            "{} were given, and {} taken{}",
            counted(slots.positional),
            counted(names.len()),
            in_words(names)
        )),
        (None, Ok(())) => Ok(slots.found),
    }
}

fn counted(number: usize) -> String {
    format!("{number} argument{}", if number == 1 { "" } else { "s" })
}

fn in_words(names: &[&str]) -> String {
    if names.is_empty() { String::new() } else { format!(": {}", listed(names)) }
}

struct Slots<'a, 'n> {
    names: &'n [&'n str],
    found: Vec<Option<&'a RawValue>>,
    /// How many arguments were given by position.
    positional: usize,
    /// What is wrong with them, in our words; serde's would come with a line and a column.
    problem: Option<String>,
}

impl<'a> Slots<'a, '_> {
    fn refuse<E: serde::de::Error>(&mut self, problem: String) -> E {
        let error = E::custom(&problem);
        self.problem = Some(problem);
        error
    }

    fn put<E: serde::de::Error>(&mut self, index: usize, argument: &'a RawValue) -> Result<(), E> {
        match self.found.get_mut(index) {
            Some(slot @ None) => *slot = Some(argument),
            Some(Some(_)) => {
                let name = self.names[index];
                return Err(self.refuse(format!("parameter `{name}` was given twice")));
            }
            // Counted, and refused at the end with their number.
            None => {}
        }
        Ok(())
    }
}

const SHAPE: &str = "an array of arguments, or an object with `args`, `kwargs` or both";

/// The whole text.
struct Outer<'s, 'a, 'n>(&'s mut Slots<'a, 'n>);

impl<'a> Visitor<'a> for Outer<'_, 'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHAPE)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, sequence: A) -> Result<(), A::Error> {
        Positional(self.0).visit_seq(sequence)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "args" => map.next_value_seed(Positional(self.0))?,
                "kwargs" => map.next_value_seed(Named(self.0))?,
                _ => {
                    return Err(self.0.refuse(format!("the arguments have a `{key}`, and want {SHAPE}")));
                }
            }
        }
        Ok(())
    }
}

/// Arguments by position.
struct Positional<'s, 'a, 'n>(&'s mut Slots<'a, 'n>);

impl<'a> DeserializeSeed<'a> for Positional<'_, 'a, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for Positional<'_, 'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of arguments")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut sequence: A) -> Result<(), A::Error> {
        while self.0.positional < self.0.names.len() {
            let Some(argument) = sequence.next_element::<&RawValue>()? else { return Ok(()) };
            self.0.put(self.0.positional, argument)?;
            self.0.positional += 1;
        }
        while sequence.next_element::<IgnoredAny>()?.is_some() {
            self.0.positional += 1;
        }
        Ok(())
    }
}

/// Arguments by name.
struct Named<'s, 'a, 'n>(&'s mut Slots<'a, 'n>);

impl<'a> DeserializeSeed<'a> for Named<'_, 'a, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Named<'_, 'a, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of arguments by name")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let Some(index) = self.0.names.iter().position(|known| *known == name) else {
                let known = match self.0.names {
                    [] => "there are none".to_owned(),
                    names => format!("there is {}", listed(names)),
                };
                return Err(self.0.refuse(format!("there is no parameter `{name}`; {known}")));
            };
            let argument = map.next_value::<&RawValue>()?;
            self.0.put::<A::Error>(index, argument)?;
        }
        Ok(())
    }
}

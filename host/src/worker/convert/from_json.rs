//! One JSON text to one value of a type.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use wasmtime::component::{Type, Val};

use super::describe::{listed, quoted, wanted};

/// Reads a value. `values_left` is how many more there may be. The error begins with the place inside the
/// value, or with a colon.
pub(super) fn value(json: &str, ty: &Type, values_left: &mut usize) -> Result<Val, String> {
    let reading = Reading {
        place: RefCell::default(),
        problem: RefCell::default(),
        values_left: Cell::new(*values_left),
    };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let read = Typed { ty, reading: &reading }.deserialize(&mut deserializer);
    *values_left = reading.values_left.get();
    read.map_err(|error| reading.problem.into_inner().unwrap_or_else(|| format!(": {error}")))
}

/// A step on the way into a value.
enum Step {
    Name(String),
    Index(usize),
}

/// What is known of the way so far.
struct Reading {
    place: RefCell<Vec<Step>>,
    /// The refusal, in our words; serde's would come with a line and a column.
    problem: RefCell<Option<String>>,
    values_left: Cell<usize>,
}

impl Reading {
    fn refuse<E: Error>(&self, text: &str) -> E {
        let mut problem = String::new();
        for step in &*self.place.borrow() {
            // Writing to a string never fails.
            let _ = match step {
                Step::Name(name) => write!(problem, ".{name}"),
                Step::Index(index) => write!(problem, "[{index}]"),
            };
        }
        let _ = write!(problem, ": {text}");
        let error = E::custom(&problem);
        self.problem.borrow_mut().get_or_insert(problem);
        error
    }

    fn count<E: Error>(&self, values: usize) -> Result<(), E> {
        match self.values_left.get().checked_sub(values) {
            Some(left) => {
                self.values_left.set(left);
                Ok(())
            }
            None => Err(self.refuse("there are more values than one call may have")),
        }
    }

    fn at<T>(&self, step: Step, read: impl FnOnce() -> T) -> T {
        self.place.borrow_mut().push(step);
        let result = read();
        self.place.borrow_mut().pop();
        result
    }
}

/// Reads a value of a type.
#[derive(Clone, Copy)]
struct Typed<'t> {
    ty: &'t Type,
    reading: &'t Reading,
}

impl<'t> Typed<'t> {
    fn of(self, ty: &'t Type) -> Self {
        Self { ty, reading: self.reading }
    }

    fn mismatch<E: Error>(self, given: impl fmt::Display) -> E {
        self.reading.refuse(&format!("{given} was given, and it takes {}", wanted(self.ty)))
    }

    fn whole<E: Error>(self, number: i128) -> Result<Val, E> {
        let value = match self.ty {
            Type::S8 => number.try_into().map(Val::S8),
            Type::U8 => number.try_into().map(Val::U8),
            Type::S16 => number.try_into().map(Val::S16),
            Type::U16 => number.try_into().map(Val::U16),
            Type::S32 => number.try_into().map(Val::S32),
            Type::U32 => number.try_into().map(Val::U32),
            Type::S64 => number.try_into().map(Val::S64),
            Type::U64 => number.try_into().map(Val::U64),
            _ => return Err(self.mismatch(number)),
        };
        value.map_err(|_| self.mismatch(number))
    }

    /// From the number's own text: serde_json's way to a float may miss the nearest one.
    fn float<E: Error>(self, raw: &str) -> Result<Val, E> {
        let is_number = raw.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        let value = match self.ty {
            Type::Float32 => raw.parse().ok().filter(|value: &f32| value.is_finite()).map(Val::Float32),
            _ => raw.parse().ok().filter(|value: &f64| value.is_finite()).map(Val::Float64),
        };
        value.filter(|_| is_number).ok_or_else(|| self.mismatch(quoted_raw(raw)))
    }

    fn text<E: Error>(self, text: Cow<'_, str>) -> Result<Val, E> {
        match self.ty {
            Type::String => Ok(Val::String(text.into_owned())),
            Type::Char => {
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(only), None) => Ok(Val::Char(only)),
                    _ => Err(self.mismatch(quoted(&text))),
                }
            }
            Type::List(list) if list.ty() == Type::U8 => {
                self.reading.count(text.len())?;
                Ok(Val::List(text.bytes().map(Val::U8).collect()))
            }
            Type::Enum(names) if names.names().any(|name| name == text) => Ok(Val::Enum(text.into_owned())),
            Type::Variant(variant) if variant.cases().any(|case| case.name == text && case.ty.is_none()) => {
                Ok(Val::Variant(text.into_owned(), None))
            }
            Type::Result(result) if text == "ok" && result.ok().is_none() => Ok(Val::Result(Ok(None))),
            Type::Result(result) if text == "err" && result.err().is_none() => Ok(Val::Result(Err(None))),
            _ => Err(self.mismatch(quoted(&text))),
        }
    }
}

fn quoted_raw(raw: &str) -> String {
    match raw.chars().next() {
        Some('"') => quoted(raw.trim_matches('"')),
        Some('[') => "an array".to_owned(),
        Some('{') => "an object".to_owned(),
        _ => raw.to_owned(),
    }
}

impl<'de> DeserializeSeed<'de> for Typed<'_> {
    type Value = Val;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Val, D::Error> {
        self.reading.count(1)?;
        match self.ty {
            Type::Float32 | Type::Float64 => {
                self.float(serde::Deserialize::deserialize(deserializer).map(RawValue::get)?)
            }
            Type::Option(_) => deserializer.deserialize_option(self),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Typed<'_> {
    type Value = Val;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&wanted(self.ty))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Val, E> {
        match self.ty {
            Type::Bool => Ok(Val::Bool(value)),
            _ => Err(self.mismatch(value)),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Val, E> {
        self.whole(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Val, E> {
        self.whole(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Val, E> {
        Err(self.mismatch(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Val, E> {
        self.text(text.into())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Val, E> {
        self.text(text.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Val, E> {
        Err(self.mismatch("null"))
    }

    fn visit_none<E: Error>(self) -> Result<Val, E> {
        Ok(Val::Option(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Val, D::Error> {
        let Type::Option(option) = self.ty else { return Err(self.mismatch("a value")) };
        let value = self.of(&option.ty()).deserialize(deserializer)?;
        Ok(Val::Option(Some(Box::new(value))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Val, A::Error> {
        match self.ty {
            Type::List(list) => Ok(Val::List(self.elements(sequence, &[list.ty()], None)?)),
            Type::FixedLengthList(list) => {
                let length = list.len() as usize;
                Ok(Val::FixedLengthList(self.elements(sequence, &[list.ty()], Some(length))?))
            }
            Type::Tuple(tuple) => {
                let types: Vec<_> = tuple.types().collect();
                Ok(Val::Tuple(self.elements(sequence, &types, Some(types.len()))?))
            }
            Type::Flags(flags) => self.flags(sequence, flags),
            _ => Err(self.mismatch("an array")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Val, A::Error> {
        match self.ty {
            Type::Record(record) => self.record(map, record),
            Type::Variant(variant) => {
                let cases: Vec<_> = variant.cases().map(|case| (case.name.to_owned(), case.ty)).collect();
                let (name, payload) = self.case(map, &cases)?;
                Ok(Val::Variant(name, payload))
            }
            Type::Result(result) => {
                let cases = [("ok".to_owned(), result.ok()), ("err".to_owned(), result.err())];
                let (name, payload) = self.case(map, &cases)?;
                Ok(Val::Result(if name == "ok" { Ok(payload) } else { Err(payload) }))
            }
            _ => Err(self.mismatch("an object")),
        }
    }
}

impl Typed<'_> {
    /// The elements of an array, of the types in turn; the last type is also that of all further ones.
    fn elements<'de, A: SeqAccess<'de>>(
        self,
        mut sequence: A,
        types: &[Type],
        length: Option<usize>,
    ) -> Result<Vec<Val>, A::Error> {
        let mut values = Vec::new();
        loop {
            if length == Some(values.len()) {
                if sequence.next_element::<serde::de::IgnoredAny>()?.is_some() {
                    return Err(self.mismatch(format!("an array of more than {} values", values.len())));
                }
                return Ok(values);
            }
            let ty = types.get(values.len()).or(types.last()).expect("an array that ends at once has ended");
            let step = Step::Index(values.len());
            match self.reading.at(step, || sequence.next_element_seed(self.of(ty)))? {
                Some(value) => values.push(value),
                None if length.is_some() => {
                    return Err(self.mismatch(format!("an array of {} values", values.len())));
                }
                None => return Ok(values),
            }
        }
    }

    /// Flags in the order of the type, so that equal sets are equal values.
    fn flags<'de, A: SeqAccess<'de>>(
        self,
        mut sequence: A,
        flags: &wasmtime::component::types::Flags,
    ) -> Result<Val, A::Error> {
        let mut set = vec![false; flags.names().len()];
        while let Some(name) = sequence.next_element::<Cow<'_, str>>()? {
            match flags.names().position(|known| known == name) {
                Some(index) => set[index] = true,
                None => return Err(self.mismatch(quoted(&name))),
            }
        }
        let names = flags.names().zip(set).filter(|(_, is_set)| *is_set);
        Ok(Val::Flags(names.map(|(name, _)| name.to_owned()).collect()))
    }

    fn record<'de, A: MapAccess<'de>>(
        self,
        mut map: A,
        record: &wasmtime::component::types::Record,
    ) -> Result<Val, A::Error> {
        let fields: Vec<_> = record.fields().map(|field| (field.name, field.ty)).collect();
        let mut values: Vec<Option<Val>> = fields.iter().map(|_| None).collect();
        while let Some(name) = map.next_key::<String>()? {
            let Some(index) = fields.iter().position(|(known, _)| *known == name) else {
                let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
                let known = listed(&names);
                return Err(self.reading.refuse(&format!("there is no field `{name}`; there is {known}")));
            };
            if values[index].is_some() {
                return Err(self.reading.refuse(&format!("field `{name}` was given twice")));
            }
            let ty = self.of(&fields[index].1);
            values[index] = Some(self.reading.at(Step::Name(name), || map.next_value_seed(ty))?);
        }
        let fields = fields.iter().zip(values).map(|((name, ty), value)| match value {
            Some(value) => Ok(((*name).to_owned(), value)),
            None if matches!(ty, Type::Option(_)) => Ok(((*name).to_owned(), Val::Option(None))),
            None => Err(self.reading.refuse(&format!("field `{name}` is missing: {}", wanted(ty)))),
        });
        Ok(Val::Record(fields.collect::<Result<_, _>>()?))
    }

    /// The one case of an object, and its payload.
    fn case<'de, A: MapAccess<'de>>(
        self,
        mut map: A,
        cases: &[(String, Option<Type>)],
    ) -> Result<(String, Option<Box<Val>>), A::Error> {
        let Some(name) = map.next_key::<String>()? else {
            return Err(self.mismatch("an empty object"));
        };
        let Some((_, ty)) = cases.iter().find(|(known, _)| *known == name) else {
            return Err(self.mismatch(format!("the case {}", quoted(&name))));
        };
        let payload = match ty {
            Some(ty) => {
                let step = Step::Name(name.clone());
                Some(Box::new(self.reading.at(step, || map.next_value_seed(self.of(ty)))?))
            }
            None => {
                if map.next_value::<Option<serde::de::IgnoredAny>>()?.is_some() {
                    return Err(self.mismatch(format!("a value for {}", quoted(&name))));
                }
                None
            }
        };
        if map.next_key::<serde::de::IgnoredAny>()?.is_some() {
            return Err(self.mismatch("an object with more than one case"));
        }
        Ok((name, payload))
    }
}

//! Reads the tables of a manifest key by key: what is not asked for is an unknown key.
//!
//! A reader collects mistakes instead of ending with the first, so that a manifest is put right in one go.

#![forbid(unsafe_code)]

use std::ops::Range;
use std::time::Duration;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::mistake::{At, Mistake, did_you_mean};
use crate::batch::units;

/// A value of the text, with its place.
pub(super) type Node<'i> = Spanned<DeValue<'i>>;

/// One table that is being read.
pub(super) struct Reader<'a, 'i> {
    table: &'a DeTable<'i>,
    /// Where the table stands, for what is missing in it.
    span: Range<usize>,
    /// The keys that were asked for.
    known: Vec<&'static str>,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a, 'i> Reader<'a, 'i> {
    pub(super) fn new(table: &'a DeTable<'i>, span: Range<usize>, mistakes: &'a mut Vec<Mistake>) -> Self {
        Self { table, span, known: Vec::new(), mistakes }
    }

    /// Where the table stands.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Remembers a mistake.
    pub(super) fn wrong(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.mistakes.push(Mistake::at(span, message));
    }

    /// The mistakes so far, for the reading of a table inside.
    pub(super) fn mistakes(&mut self) -> &mut Vec<Mistake> {
        self.mistakes
    }

    /// The value of a key, if it is there.
    pub(super) fn node(&mut self, key: &'static str) -> Option<&'a Node<'i>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// Every key of the table that nobody asked for is a mistake. `hint` is what to say of a key, if anything better is
    /// known than what it resembles.
    pub(super) fn finish(self, hint: impl Fn(&str) -> Option<String>) {
        for (key, _) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let said = hint(name).unwrap_or_else(|| match did_you_mean(name, self.known.iter().copied()) {
                nothing if nothing.is_empty() => {
                    let mut known = self.known.clone();
                    known.sort_unstable();
                    known.dedup();
                    format!("; the keys here are {}", known.join(", "))
                }
                hint => hint,
            });
            let message = format!("unknown key `{name}`{said}");
            self.mistakes.push(Mistake::at(&key.span(), message));
        }
    }

    /// A value of the kind that `take` finds in it; anything else is a mistake: `expected` says what would be right.
    fn typed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        take: impl FnOnce(&'a DeValue<'i>) -> Option<T>,
    ) -> Option<At<T>> {
        let node = self.node(key)?;
        let value = take(node.get_ref());
        if value.is_none() {
            let found = described(node.get_ref());
            self.wrong(&node.span(), format!("`{key}` is {found}, where {expected} was expected"));
        }
        Some(At::new(value?, node.span()))
    }

    pub(super) fn string(&mut self, key: &'static str) -> Option<At<String>> {
        self.typed(key, "a text in quotes", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn boolean(&mut self, key: &'static str) -> Option<At<bool>> {
        self.typed(key, "true or false", DeValue::as_bool)
    }

    /// A whole number in this range.
    pub(super) fn number(&mut self, key: &'static str, min: i64, max: i64) -> Option<At<i64>> {
        let number = self.typed(key, "a whole number", |value| value.as_integer().and_then(integer))?;
        if (min..=max).contains(&number.value) {
            return Some(number);
        }
        let message = if max == i64::MAX {
            format!("`{key}` is {}, where a number from {min} on was expected", number.value)
        } else {
            format!("`{key}` is {}, where a number from {min} to {max} was expected", number.value)
        };
        self.wrong(&number.span, message);
        None
    }

    /// A time as the command line takes it.
    pub(super) fn time(&mut self, key: &'static str) -> Option<At<Duration>> {
        let text =
            self.typed(key, "a time in quotes such as \"2s\"", |value| value.as_str().map(str::to_owned))?;
        self.read(key, text, units::time)
    }

    /// A time, or "0" for none.
    pub(super) fn time_or_none(&mut self, key: &'static str) -> Option<At<Duration>> {
        let expected = "a time in quotes such as \"2s\", or \"0\" for none";
        let text = self.typed(key, expected, |value| value.as_str().map(str::to_owned))?;
        self.read(key, text, units::time_or_none)
    }

    /// A number of bytes: as the command line takes it, or a plain number.
    pub(super) fn size(&mut self, key: &'static str) -> Option<At<u64>> {
        let expected = "a number of bytes such as \"64MiB\" or 65536";
        let text = self.typed(key, expected, |value| match value {
            DeValue::String(text) => Some(text.as_ref().to_owned()),
            DeValue::Integer(number) => integer(number).map(|number| number.to_string()),
            _ => None,
        })?;
        self.read(key, text, units::size)
    }

    /// A text that `read` makes something of.
    fn read<T>(
        &mut self,
        key: &'static str,
        text: At<String>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        match read(&text.value) {
            Ok(value) => Some(At::new(value, text.span)),
            Err(reason) => {
                self.wrong(&text.span, format!("`{key}` is `{}`: {reason}", text.value));
                None
            }
        }
    }

    /// A list of texts; a text alone is not one, which is a common mistake.
    pub(super) fn strings(&mut self, key: &'static str) -> Vec<At<String>> {
        let expected = format!("a list of texts such as {key} = [\"a\", \"b\"]");
        let Some(list) = self.typed(key, &expected, DeValue::as_array) else { return Vec::new() };
        let mut strings = Vec::new();
        for node in list.value.iter() {
            match node.get_ref().as_str() {
                Some(text) => strings.push(At::new(text.to_owned(), node.span())),
                None => {
                    let found = described(node.get_ref());
                    self.wrong(
                        &node.span(),
                        format!("{found} stands in `{key}`, where {expected} was expected"),
                    );
                }
            }
        }
        strings
    }

    /// A list of any values.
    pub(super) fn list(&mut self, key: &'static str) -> Option<At<&'a [Node<'i>]>> {
        let expected = format!("a list such as {key} = [1, \"two\"]");
        self.typed(key, &expected, |value| value.as_array().map(|list| list.as_ref()))
    }

    /// A table, or nothing.
    pub(super) fn table(&mut self, key: &'static str, example: &str) -> Option<At<&'a DeTable<'i>>> {
        self.typed(key, &format!("a table such as {example}"), DeValue::as_table)
    }
}

/// The entries of a table in the order in which they were written.
pub(super) fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<(At<&'a str>, &'a Node<'i>)> {
    let mut entries: Vec<_> =
        table.iter().map(|(key, node)| (At::new(key.get_ref().as_ref(), key.span()), node)).collect();
    entries.sort_by_key(|(key, _)| key.span.start);
    entries
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A value's type for messages.
pub(super) fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A value as a task gets it. Dates are texts. Numbers keep what was written, as far as JSON has it.
///
/// # Errors
///
/// For `inf` and `nan`, and for numbers that no program could read.
pub(super) fn json(node: &Node<'_>) -> Result<Value, Mistake> {
    Ok(match node.get_ref() {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => match integer(number) {
            Some(number) => Value::from(number),
            None => {
                return Err(Mistake::at(
                    &node.span(),
                    "the number has more than 64 bits; write it as a text",
                ));
            }
        },
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            Value::Number(number.ok_or_else(|| Mistake::at(&node.span(), "JSON has no such number"))?)
        }
        DeValue::Boolean(value) => Value::from(*value),
        DeValue::Datetime(date) => Value::from(date.to_string()),
        DeValue::Array(list) => Value::Array(list.iter().map(json).collect::<Result<_, _>>()?),
        DeValue::Table(table) => {
            let entry = |(key, node): (At<&str>, &Node<'_>)| Ok((key.value.to_owned(), json(node)?));
            Value::Object(in_order(table).into_iter().map(entry).collect::<Result<_, _>>()?)
        }
    })
}

//! Texts of a manifest with places for the values of a matrix or of a line: `out/{file/.}-{size}.png`.
//!
//! A place is an axis's name and the part that is wanted, as in [`template`](crate::batch::template); a text that is
//! nothing but one whole place becomes the value itself. `{{name}}` is the text `{name}`. Any other brace is itself.

#![forbid(unsafe_code)]

use serde_json::Value;

use crate::batch::manifest::mistake::did_you_mean;
use crate::batch::template;

/// The values for one task.
#[derive(Clone, Debug)]
pub struct Given {
    /// The task's number, from 1.
    pub number: u64,
    /// The values by the names of their axes. A line has the empty name.
    pub values: Vec<(String, Value)>,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Place {
        /// The axis's name; empty for the only one.
        axis: &'a str,
        /// As in [`template::PLACES`], without the braces.
        part: &'a str,
    },
}

impl Given {
    /// The value of a place. The place without a name is the only axis, or the line.
    fn value(&self, axis: &str) -> Option<&Value> {
        match self.values.as_slice() {
            [(_, only)] if axis.is_empty() => Some(only),
            values => values.iter().find(|(name, _)| name == axis).map(|(_, value)| value),
        }
    }

    /// The text with everything filled in.
    #[must_use]
    pub fn fill(&self, text: &str) -> String {
        pieces(text).into_iter().map(|piece| self.piece(&piece)).collect()
    }

    /// The value with everything filled in, in the texts that it holds. Names of fields stay as they are.
    #[must_use]
    pub fn fill_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => match pieces(text).as_slice() {
                [Piece::Place { axis, part: "" }] => {
                    self.value(axis).cloned().unwrap_or_else(|| Value::from(text.as_str()))
                }
                _ => Value::from(self.fill(text)),
            },
            Value::Array(list) => list.iter().map(|value| self.fill_value(value)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), self.fill_value(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// The call with everything filled in, as [`Template::call`](template::Template::call) does it: between quotes a
    /// value is text, anywhere else it stands as it is, and is never more than one.
    ///
    /// # Errors
    ///
    /// What is no single value.
    pub fn fill_call(&self, call: &str) -> Result<String, template::NoValue> {
        let mut filled = template::CallText::default();
        for piece in pieces(call) {
            match piece {
                Piece::Text(text) => filled.text(text),
                Piece::Place { .. } => filled.value(&self.piece(&piece))?,
            }
        }
        Ok(filled.finish())
    }

    fn piece(&self, piece: &Piece<'_>) -> String {
        let (axis, part) = match piece {
            Piece::Text(text) => return (*text).to_owned(),
            Piece::Place { axis, part } => (axis, part),
        };
        let input = self.value(axis).map(text_of).unwrap_or_default();
        template::value(&format!("{{{part}}}"), &input, self.number)
    }
}

/// A value as a text: a text itself, anything else as JSON.
#[must_use]
pub fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether every place of the text has a value; else what is wrong.
///
/// # Errors
///
/// The first place that has none.
pub fn check(text: &str, axes: &[&str]) -> Result<(), String> {
    for piece in pieces(text) {
        let Piece::Place { axis, part } = piece else { continue };
        let has_value = part == "#" || axes.contains(&axis) || (axis.is_empty() && axes.len() == 1);
        if has_value {
            continue;
        }
        if axis.is_empty() {
            let names: Vec<String> = axes.iter().map(|axis| format!("`{{{axis}}}`")).collect();
            return Err(format!("`{{{part}}}` does not say which axis is meant: {}", names.join(", ")));
        }
        let hint = match did_you_mean(axis, axes.iter().copied()) {
            nothing if nothing.is_empty() => format!("; the text itself would be `{{{{{axis}{part}}}}}`"),
            hint => hint,
        };
        return Err(format!("there is no axis `{axis}` for `{{{axis}{part}}}`{hint}"));
    }
    Ok(())
}

/// The same for every text in a value.
///
/// # Errors
///
/// As [`check`].
pub fn check_value(value: &Value, axes: &[&str]) -> Result<(), String> {
    match value {
        Value::String(text) => check(text, axes),
        Value::Array(list) => list.iter().try_for_each(|value| check_value(value, axes)),
        Value::Object(fields) => fields.values().try_for_each(|value| check_value(value, axes)),
        _ => Ok(()),
    }
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut start, mut at) = (Vec::new(), 0, 0);
    while let Some(brace) = text[at..].find('{').map(|brace| at + brace) {
        let is_doubled = text[brace + 1..].starts_with('{');
        let inside = brace + 1 + usize::from(is_doubled);
        let Some((axis, part)) = place(&text[inside..]) else {
            at = inside;
            continue;
        };
        let end = inside + axis.len() + part.len() + 1;
        if is_doubled && !text[end..].starts_with('}') {
            // `{{name}` is a brace and a place.
            at = brace + 1;
            continue;
        }
        if is_doubled {
            pieces.push(Piece::Text(&text[start..=brace]));
            pieces.push(Piece::Text(&text[inside..end]));
            (start, at) = (end + 1, end + 1);
            continue;
        }
        pieces.push(Piece::Text(&text[start..brace]));
        pieces.push(Piece::Place { axis, part });
        (start, at) = (end, end);
    }
    pieces.push(Piece::Text(&text[start..]));
    pieces.retain(|piece| *piece != Piece::Text(""));
    pieces
}

/// A place that begins after a brace: the axis's name and the part.
fn place(text: &str) -> Option<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let axis = &text[..text.find(|c| !is_name(c)).unwrap_or(text.len())];
    let rest = &text[axis.len()..];
    let part = &rest[..rest.find('}')?];
    let known = template::PLACES.iter().any(|(place, _)| place.trim_matches(['{', '}']) == part);
    // A number belongs to no axis.
    (known && (part != "#" || axis.is_empty())).then_some((axis, part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given() -> Given {
        let values = vec![("file".to_owned(), json!("in/a.txt")), ("size".to_owned(), json!(3))];
        Given { number: 7, values }
    }

    #[test]
    fn places_get_parts_of_their_values() {
        let given = given();
        for (text, filled) in [
            ("{file}", "in/a.txt"),
            ("out/{file/.}-{size}.png", "out/a-3.png"),
            ("{file//}/{file/} {file.} {#}", "in/a.txt in/a 7"),
            ("{{file}} {{size} {{{file/.}", "{file} {3 {{a"),
            ("{\"a\": {size}} { } {", "{\"a\": 3} { } {"),
            ("", ""),
        ] {
            assert_eq!(given.fill(text), filled, "{text}");
        }
    }

    #[test]
    fn a_whole_place_is_the_value_itself() {
        let given = given();
        assert_eq!(
            given.fill_value(&json!(["{size}", {"{size}": "x{size}"}, 1])),
            json!([3, {"{size}": "x3"}, 1])
        );
        let only = Given { number: 1, values: vec![("n".to_owned(), json!(5))] };
        assert_eq!(only.fill_value(&json!(["{}", "{n}"])), json!([5, 5]));
    }

    #[test]
    fn a_value_in_a_call_is_one_value_or_the_text_between_quotes() {
        let given = given();
        let filled = |call: &str| given.fill_call(call).map_err(|error| error.to_string());
        assert_eq!(filled("f({size}, \"{file/.}\", {{size}, {#})").unwrap(), "f(3, \"a\", {3, 7)");
        assert!(filled("f({file})").unwrap_err().contains("`in/a.txt` is no single value"));
    }

    #[test]
    fn a_place_without_a_value_is_a_mistake() {
        assert_eq!(check("{file} {size} {#} {{x}}", &["file", "size"]), Ok(()));
        assert!(check("{fiel}", &["file", "size"]).unwrap_err().contains("did you mean `file`"));
        assert!(check("{}", &["file", "size"]).unwrap_err().contains("which axis"));
        assert!(check("{x}", &["file"]).unwrap_err().contains("`{{x}}`"));
    }

    proptest::proptest! {
        #[test]
        fn a_text_without_a_place_stays_as_it_is(text in "[a{ }b\"é]*") {
            let given = Given { number: 1, values: vec![("file".to_owned(), json!("x"))] };
            if !text.contains("{}") && !text.contains("{a}") && !text.contains("{b}") && !text.contains("{ab")
                && !text.contains("{ba") && !text.contains("{aa") && !text.contains("{bb")
            {
                proptest::prop_assert_eq!(given.fill(&text), text);
            }
        }
    }
}

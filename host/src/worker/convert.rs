//! JSON and WAVE text to the values that an export takes, and what it returned back to JSON.
//!
//! An export that is no `#[task]` is called by its own WebAssembly types, so the types lead: each part of
//! the text is read as what the parameter wants, without a tree in between, and every refusal names the
//! parameter, what was given and what would be right. The number of values is limited, because a
//! value takes some forty bytes where its text takes two; their depth is that of the type.
//!
//! | type | JSON |
//! |---|---|
//! | integers, floats | numbers; a float that is no number comes back as `null` |
//! | bool, string | the same; a char is a string of one character |
//! | list, tuple | arrays; a list of bytes may be a string, whose UTF-8 it then is |
//! | record | an object; fields of an option type may be left out |
//! | variant | `"case"`, or `{"case": payload}` |
//! | enum, flags | a name, an array of names |
//! | option | `null`, or the value |
//! | result | `{"ok": value}` or `{"err": value}` |

#![forbid(unsafe_code)]

mod arguments;
mod describe;
mod from_json;
mod invoke;
mod numbers;
mod to_json;

#[cfg(test)]
mod tests;

use wasmtime::component::Val;

pub(crate) use arguments::json_to_vals;
pub(crate) use invoke::{CallError, component_call, core_call};
pub(crate) use numbers::{json_to_numbers, numbers_to_json};

/// What a call of an export means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The value, as JSON; `null` for none.
    Value(String),
    /// The export returned the error of its `result` type: its text.
    Failed(String),
}

/// Why returned values have no JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerError {
    /// The JSON would be longer than this many bytes.
    #[error("the result has more than {0} bytes as JSON")]
    TooLarge(usize),
    /// It is of a type that exists only inside an instance.
    #[error("the result contains a {0}, which has no meaning outside its instance")]
    Handle(&'static str),
}

/// What a component's function returned, as JSON of at most `bytes_max` bytes. The error of an outermost
/// `result` is the failure of the task.
pub(crate) fn vals_to_json(results: &[Val], bytes_max: usize) -> Result<Answer, AnswerError> {
    let json = |value: &Val| to_json::text(value, bytes_max);
    let payload = |value: &Option<Box<Val>>| value.as_deref().map_or_else(|| Ok("null".to_owned()), json);
    Ok(match results {
        [] => Answer::Value("null".to_owned()),
        [Val::Result(Ok(value))] => Answer::Value(payload(value)?),
        [Val::Result(Err(None))] => Answer::Failed("the export returned an error without a value".to_owned()),
        [Val::Result(Err(Some(error)))] => Answer::Failed(match &**error {
            Val::String(text) => text.clone(),
            Val::Enum(name) | Val::Variant(name, None) => name.clone(),
            other => json(other)?,
        }),
        [value] => Answer::Value(json(value)?),
        values => Answer::Value(json(&Val::Tuple(values.to_vec()))?),
    })
}

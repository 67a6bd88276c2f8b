//! JSON numbers to what a core function takes, and back.

#![forbid(unsafe_code)]

use wasmtime::{Val, ValType};

use super::{Answer, arguments};

/// Reads the arguments of one call of a core function, whose parameters have numbers for names.
pub(crate) fn json_to_numbers(
    json: &[u8],
    params: impl Iterator<Item = ValType>,
) -> Result<Vec<Val>, String> {
    let types: Vec<_> = params.collect();
    let names: Vec<_> = (1..=types.len()).map(|number| number.to_string()).collect();
    let slots = arguments::slots(json, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let arguments = slots.into_iter().zip(&types).zip(&names);
    arguments
        .map(|((slot, ty), name)| match slot {
            Some(raw) => number(raw.get(), ty).map_err(|error| format!("parameter {name}: {error}")),
            None => Err(format!("parameter {name} is missing: {}", wanted(ty))),
        })
        .collect()
}

/// One number of a type. Integers may be given signed or unsigned.
pub(super) fn number(text: &str, ty: &ValType) -> Result<Val, String> {
    let text = text.trim();
    let signed_or_not = || text.parse::<i128>().ok();
    // `inf` and `nan` are numbers to Rust, not to JSON.
    let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let value = match ty {
        ValType::I32 => signed_or_not().and_then(|value| {
            i32::try_from(value).or_else(|_| u32::try_from(value).map(u32::cast_signed)).map(Val::I32).ok()
        }),
        ValType::I64 => signed_or_not().and_then(|value| {
            i64::try_from(value).or_else(|_| u64::try_from(value).map(u64::cast_signed)).map(Val::I64).ok()
        }),
        ValType::F32 => {
            text.parse().ok().filter(|value: &f32| value.is_finite()).map(|value| Val::F32(value.to_bits()))
        }
        ValType::F64 => {
            text.parse().ok().filter(|value: &f64| value.is_finite()).map(|value| Val::F64(value.to_bits()))
        }
        ValType::V128 | ValType::Ref(_) => None,
    };
    value
        .filter(|_| is_number)
        .ok_or_else(|| format!("{} was given, and it takes {}", super::describe::quoted(text), wanted(ty)))
}

fn wanted(ty: &ValType) -> String {
    match ty {
        ValType::I32 => format!("a whole number from {} to {} (i32)", i32::MIN, u32::MAX),
        ValType::I64 => format!("a whole number from {} to {} (i64)", i64::MIN, u64::MAX),
        ValType::F32 => "a number (f32)".to_owned(),
        ValType::F64 => "a number (f64)".to_owned(),
        ValType::V128 | ValType::Ref(_) => format!("a {ty}, which cannot be written as a number"),
    }
}

/// What a core function returned: nothing is `null`, one number itself, more an array. Integers are signed.
pub(crate) fn numbers_to_json(results: &[Val]) -> Result<Answer, super::AnswerError> {
    let json = |value: &Val| match value {
        Val::I32(value) => Ok(value.to_string()),
        Val::I64(value) => Ok(value.to_string()),
        Val::F32(bits) => Ok(float(f32::from_bits(*bits))),
        Val::F64(bits) => Ok(float(f64::from_bits(*bits))),
        Val::V128(_) => Err(super::AnswerError::Handle("vector")),
        _ => Err(super::AnswerError::Handle("reference")),
    };
    Ok(Answer::Value(match results {
        [] => "null".to_owned(),
        [value] => json(value)?,
        values => format!("[{}]", values.iter().map(json).collect::<Result<Vec<_>, _>>()?.join(",")),
    }))
}

fn float(value: impl serde::Serialize) -> String {
    serde_json::to_string(&value).expect("every float has JSON, `null` if need be")
}

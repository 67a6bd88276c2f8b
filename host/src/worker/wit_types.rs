//! Types of components in WIT's words.
//!
//! The engine forgets the names of records and variants, so their parts are written out.

#![forbid(unsafe_code)]

use std::fmt::Write as _;

use wasmtime::component::types::{ComponentFunc, Type};

use crate::worker::trap::cut;

/// Bytes of one signature; a deep type is cut.
const SIGNATURE_BYTES_MAX: usize = 4096;

/// `func(a: u32, b: list<string>) -> result<u8, string>`.
pub(crate) fn function(function: &ComponentFunc) -> String {
    let params = function.params().map(|(name, ty)| format!("{name}: {}", type_name(&ty)));
    let mut text = format!("func({})", params.collect::<Vec<_>>().join(", "));
    if let Some(result) = function.results().next() {
        let _ = write!(text, " -> {}", type_name(&result));
    }
    cut(text, SIGNATURE_BYTES_MAX)
}

/// The name of a type, cut when it is very long: types can be nested deeply.
pub(crate) fn type_name(ty: &Type) -> String {
    let mut text = String::new();
    write_type(&mut text, ty);
    text
}

fn write_type(text: &mut String, ty: &Type) {
    if text.len() > SIGNATURE_BYTES_MAX {
        return;
    }
    match ty {
        Type::Bool => text.push_str("bool"),
        Type::S8 => text.push_str("s8"),
        Type::U8 => text.push_str("u8"),
        Type::S16 => text.push_str("s16"),
        Type::U16 => text.push_str("u16"),
        Type::S32 => text.push_str("s32"),
        Type::U32 => text.push_str("u32"),
        Type::S64 => text.push_str("s64"),
        Type::U64 => text.push_str("u64"),
        Type::Float32 => text.push_str("f32"),
        Type::Float64 => text.push_str("f64"),
        Type::Char => text.push_str("char"),
        Type::String => text.push_str("string"),
        Type::List(list) => write_generic(text, "list", [Some(list.ty())]),
        Type::Option(option) => write_generic(text, "option", [Some(option.ty())]),
        Type::Result(result) if result.ok().is_none() && result.err().is_none() => text.push_str("result"),
        Type::Result(result) if result.err().is_none() => write_generic(text, "result", [result.ok()]),
        Type::Result(result) => write_generic(text, "result", [result.ok(), result.err()]),
        Type::Tuple(tuple) => write_generic(text, "tuple", tuple.types().map(Some)),
        Type::Record(record) => {
            write_parts(text, "record", record.fields().map(|field| (field.name, Some(field.ty))));
        }
        Type::Variant(variant) => {
            write_parts(text, "variant", variant.cases().map(|case| (case.name, case.ty)));
        }
        Type::Enum(cases) => write_parts(text, "enum", cases.names().map(|name| (name, None))),
        Type::Flags(flags) => write_parts(text, "flags", flags.names().map(|name| (name, None))),
        Type::Own(_) => text.push_str("resource"),
        Type::Borrow(_) => text.push_str("borrow<resource>"),
        // Types of proposals that are off.
        _ => text.push_str("unsupported"),
    }
}

fn write_generic(text: &mut String, name: &str, types: impl IntoIterator<Item = Option<Type>>) {
    text.push_str(name);
    for (index, ty) in types.into_iter().enumerate() {
        text.push_str(if index == 0 { "<" } else { ", " });
        match ty {
            Some(ty) => write_type(text, &ty),
            None => text.push('_'),
        }
    }
    text.push('>');
}

fn write_parts<'a>(text: &mut String, word: &str, parts: impl Iterator<Item = (&'a str, Option<Type>)>) {
    text.push_str(word);
    for (index, (name, ty)) in parts.enumerate() {
        text.push_str(if index == 0 { " { " } else { ", " });
        text.push_str(name);
        if let Some(ty) = ty {
            text.push_str(": ");
            write_type(text, &ty);
        }
    }
    text.push_str(" }");
}

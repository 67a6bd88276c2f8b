//! Types and what was given instead, in words.

#![forbid(unsafe_code)]

use wasmtime::component::Type;

/// Characters of a given text that a message repeats at most.
const GIVEN_CHARS_MAX: usize = 40;

/// What a parameter of this type takes, as JSON.
pub(super) fn wanted(ty: &Type) -> String {
    match ty {
        Type::Bool => "true or false (bool)".to_owned(),
        Type::S8 => whole(i8::MIN, i8::MAX, "s8"),
        Type::U8 => whole(u8::MIN, u8::MAX, "u8"),
        Type::S16 => whole(i16::MIN, i16::MAX, "s16"),
        Type::U16 => whole(u16::MIN, u16::MAX, "u16"),
        Type::S32 => whole(i32::MIN, i32::MAX, "s32"),
        Type::U32 => whole(u32::MIN, u32::MAX, "u32"),
        Type::S64 => whole(i64::MIN, i64::MAX, "s64"),
        Type::U64 => whole(u64::MIN, u64::MAX, "u64"),
        Type::Float32 => "a number (f32)".to_owned(),
        Type::Float64 => "a number (f64)".to_owned(),
        Type::Char => "a string of one character (char)".to_owned(),
        Type::String => "a string".to_owned(),
        Type::List(list) if list.ty() == Type::U8 => "an array or a string (list of u8)".to_owned(),
        Type::List(list) => format!("an array of {}", short(&list.ty())),
        Type::FixedLengthList(list) => format!("an array of {} {}", list.len(), short(&list.ty())),
        Type::Record(record) => {
            let fields: Vec<_> = record.fields().map(|field| field.name.to_owned()).collect();
            format!("an object with {}", listed(&fields))
        }
        Type::Tuple(tuple) => {
            let types: Vec<_> = tuple.types().map(|ty| short(&ty)).collect();
            format!("an array of {} values: {}", types.len(), types.join(", "))
        }
        Type::Variant(variant) => {
            let case = |case: wasmtime::component::types::Case<'_>| match case.ty {
                Some(ty) => format!("{{\"{}\": {}}}", case.name, short(&ty)),
                None => format!("\"{}\"", case.name),
            };
            any_of(&variant.cases().map(case).collect::<Vec<_>>())
        }
        Type::Enum(names) => any_of(&names.names().map(|name| format!("\"{name}\"")).collect::<Vec<_>>()),
        Type::Option(option) => format!("null or {}", wanted(&option.ty())),
        Type::Result(result) => {
            let side = |name, ty: Option<Type>| {
                format!("{{\"{name}\": {}}}", ty.map_or_else(|| "null".to_owned(), |ty| short(&ty)))
            };
            format!("{} or {}", side("ok", result.ok()), side("err", result.err()))
        }
        Type::Flags(flags) => format!("an array of {}", any_of(&flags.names().collect::<Vec<_>>())),
        Type::Map(_)
        | Type::Own(_)
        | Type::Borrow(_)
        | Type::Future(_)
        | Type::Stream(_)
        | Type::ErrorContext => {
            format!("a {}, which cannot be written as JSON", short(ty))
        }
    }
}

/// The type's name, or its kind.
fn short(ty: &Type) -> String {
    match ty {
        Type::Bool => "bool",
        Type::S8 => "s8",
        Type::U8 => "u8",
        Type::S16 => "s16",
        Type::U16 => "u16",
        Type::S32 => "s32",
        Type::U32 => "u32",
        Type::S64 => "s64",
        Type::U64 => "u64",
        Type::Float32 => "f32",
        Type::Float64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::List(_) | Type::FixedLengthList(_) => "list",
        Type::Map(_) => "map",
        Type::Record(_) => "record",
        Type::Tuple(_) => "tuple",
        Type::Variant(_) => "variant",
        Type::Enum(_) => "enum",
        Type::Option(_) => "option",
        Type::Result(_) => "result",
        Type::Flags(_) => "flags",
        Type::Own(_) | Type::Borrow(_) => "resource",
        Type::Future(_) => "future",
        Type::Stream(_) => "stream",
        Type::ErrorContext => "error-context",
    }
    .to_owned()
}

fn whole(least: impl std::fmt::Display, most: impl std::fmt::Display, name: &str) -> String {
    format!("a whole number from {least} to {most} ({name})")
}

/// Names between backticks.
pub(super) fn listed(names: &[impl AsRef<str>]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

fn any_of(names: &[impl AsRef<str>]) -> String {
    names.iter().map(|name| name.as_ref().to_owned()).collect::<Vec<_>>().join(" or ")
}

/// A given text as a message repeats it.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(GIVEN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

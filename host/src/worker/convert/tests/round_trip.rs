//! Any value of any type survives the way through JSON, and no text makes a reader panic.

#![forbid(unsafe_code)]

use proptest::prelude::*;
use wasmtime::ValType;
use wasmtime::component::{Type, Val};

use super::{compiler, function};
use crate::worker::convert::{component_call, core_call, from_json, json_to_numbers, json_to_vals, to_json};

/// The shape of a type.
#[derive(Clone, Debug)]
enum Shape {
    Leaf(&'static str),
    List(Box<Shape>),
    Tuple(Vec<Shape>),
    Record(Vec<Shape>),
    Variant(Vec<Option<Shape>>),
    Enum(usize),
    Flags(usize),
    Option(Box<Shape>),
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
}

const LEAVES: [&str; 13] =
    ["bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string"];

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        8 => proptest::sample::select(&LEAVES[..]).prop_map(Shape::Leaf),
        1 => (1_usize..5).prop_map(Shape::Enum),
        1 => (1_usize..9).prop_map(Shape::Flags),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let some = || proptest::option::of(inner.clone().prop_map(Box::new));
        let several = || proptest::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            boxed.prop_map(Shape::List),
            several().prop_map(Shape::Tuple),
            several().prop_map(Shape::Record),
            proptest::collection::vec(proptest::option::of(inner.clone()), 1..4).prop_map(Shape::Variant),
            // An option of an option has one `null` for two values.
            inner
                .clone()
                .prop_filter("no option of an option", |inner| !matches!(inner, Shape::Option(_)))
                .prop_map(|inner| Shape::Option(Box::new(inner))),
            (some(), some()).prop_map(|(ok, err)| Shape::Result(ok, err)),
        ]
    })
}

impl Shape {
    /// The type's name in the text format; what it is made of is added to `types`.
    fn define(&self, types: &mut Vec<String>) -> String {
        let definition = match self {
            Self::Leaf(name) => return (*name).to_owned(),
            Self::List(inner) => format!("(list {})", inner.define(types)),
            Self::Option(inner) => format!("(option {})", inner.define(types)),
            Self::Tuple(inner) => {
                let inner: Vec<_> = inner.iter().map(|inner| inner.define(types)).collect();
                format!("(tuple {})", inner.join(" "))
            }
            Self::Record(inner) => {
                let field =
                    |(index, inner): (usize, &Self)| format!("(field \"f{index}\" {})", inner.define(types));
                format!("(record {})", inner.iter().enumerate().map(field).collect::<String>())
            }
            Self::Variant(cases) => {
                let case = |(index, inner): (usize, &Option<Self>)| {
                    let payload = inner.as_ref().map_or_else(String::new, |inner| inner.define(types));
                    format!("(case \"c{index}\" {payload})")
                };
                format!("(variant {})", cases.iter().enumerate().map(case).collect::<String>())
            }
            Self::Enum(count) => format!("(enum {})", names(*count).join(" ")),
            Self::Flags(count) => format!("(flags {})", names(*count).join(" ")),
            Self::Result(ok, err) => {
                let ok = ok.as_ref().map_or_else(String::new, |ok| ok.define(types));
                let err =
                    err.as_ref().map_or_else(String::new, |err| format!("(error {})", err.define(types)));
                format!("(result {ok} {err})")
            }
        };
        types.push(definition);
        format!("$t{}", types.len() - 1)
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("\"n{index}\"")).collect()
}

/// Any value of a type.
fn value(ty: &Type) -> BoxedStrategy<Val> {
    let maybe = |ty: Option<Type>| match ty {
        Some(ty) => value(&ty).prop_map(|value| Some(Box::new(value))).boxed(),
        None => Just(None).boxed(),
    };
    match ty {
        Type::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        Type::S8 => any::<i8>().prop_map(Val::S8).boxed(),
        Type::U8 => any::<u8>().prop_map(Val::U8).boxed(),
        Type::S16 => any::<i16>().prop_map(Val::S16).boxed(),
        Type::U16 => any::<u16>().prop_map(Val::U16).boxed(),
        Type::S32 => any::<i32>().prop_map(Val::S32).boxed(),
        Type::U32 => any::<u32>().prop_map(Val::U32).boxed(),
        Type::S64 => any::<i64>().prop_map(Val::S64).boxed(),
        Type::U64 => any::<u64>().prop_map(Val::U64).boxed(),
        Type::Float32 => any::<f32>().prop_map(Val::Float32).boxed(),
        Type::Float64 => any::<f64>().prop_map(Val::Float64).boxed(),
        Type::Char => any::<char>().prop_map(Val::Char).boxed(),
        Type::String => any::<String>().prop_map(Val::String).boxed(),
        Type::List(list) => proptest::collection::vec(value(&list.ty()), 0..4).prop_map(Val::List).boxed(),
        Type::Tuple(tuple) => {
            tuple.types().map(|ty| value(&ty)).collect::<Vec<_>>().prop_map(Val::Tuple).boxed()
        }
        Type::Record(record) => {
            let field = |field: wasmtime::component::types::Field<'_>| {
                (Just(field.name.to_owned()), value(&field.ty))
            };
            record.fields().map(field).collect::<Vec<_>>().prop_map(Val::Record).boxed()
        }
        Type::Variant(variant) => {
            let case = |case: wasmtime::component::types::Case<'_>| {
                let name = case.name.to_owned();
                maybe(case.ty).prop_map(move |value| Val::Variant(name.clone(), value)).boxed()
            };
            proptest::strategy::Union::new(variant.cases().map(case)).boxed()
        }
        Type::Enum(names) => {
            let names: Vec<_> = names.names().map(str::to_owned).collect();
            proptest::sample::select(names).prop_map(Val::Enum).boxed()
        }
        Type::Flags(flags) => {
            let names: Vec<_> = flags.names().map(str::to_owned).collect();
            proptest::sample::subsequence(names.clone(), 0..=names.len()).prop_map(Val::Flags).boxed()
        }
        Type::Option(option) => {
            proptest::option::of(value(&option.ty()).prop_map(Box::new)).prop_map(Val::Option).boxed()
        }
        Type::Result(result) => prop_oneof![
            maybe(result.ok()).prop_map(|value| Val::Result(Ok(value))),
            maybe(result.err()).prop_map(|value| Val::Result(Err(value))),
        ]
        .boxed(),
        other => panic!("no shape has the type {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_value_of_every_type_comes_back_from_json((ty, value) in typed_value()) {
        let json = to_json::text(&value, 1 << 20).unwrap();
        let read = from_json::value(&json, &ty, &mut (1 << 20)).unwrap();
        prop_assert_eq!(&read, &value, "{}", json);
        prop_assert_eq!(to_json::text(&read, 1 << 20).unwrap(), json);
    }

    #[test]
    fn no_text_makes_the_readers_panic(text: String, (ty, _) in typed_value()) {
        let _ = from_json::value(&text, &ty, &mut 1000);
        let _ = json_to_vals(text.as_bytes(), std::iter::once(("p", ty)));
        let _ = json_to_numbers(text.as_bytes(), std::iter::once(ValType::I32));
        let _ = component_call(&text, |_| None);
        let _ = core_call(&text, |_| None);
    }
}

fn typed_value() -> impl Strategy<Value = (Type, Val)> {
    let engine = compiler();
    shape().prop_flat_map(move |shape| {
        let mut types = Vec::new();
        let name = shape.define(&mut types);
        let function = function(&engine, &types, &format!("(param \"p\" {name})"));
        let (_, ty) = function.params().next().expect("the function has one parameter");
        (Just(ty.clone()), value(&ty))
    })
}

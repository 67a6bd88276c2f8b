//! The body of the fuzz target `calls`: texts as the arguments of functions with parameters of every type, as
//! `--invoke` takes them and as JSON.
//!
//! What is read is written as JSON and read from it as the same.

#![forbid(unsafe_code)]

use std::sync::OnceLock;

use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Val};
use wasmtime::{Engine, FuncType, ValType};

use crate::worker::convert::{self, Answer};

/// The types of the functions `a`, `b` and so on.
const FUNCTIONS: &[(&[&str], &str)] = &[
    (&[], "(param \"a\" u8) (param \"b\" s8) (param \"c\" u16) (param \"d\" s16)"),
    (&[], "(param \"a\" u32) (param \"b\" s32) (param \"c\" u64) (param \"d\" s64)"),
    (&[], "(param \"a\" f32) (param \"b\" f64) (param \"c\" bool) (param \"d\" char)"),
    (&[], "(param \"a\" string) (param \"b\" (list u8)) (param \"c\" (list (list string)))"),
    (
        &["(record (field \"x\" u32) (field \"y\" (option string)))"],
        "(param \"p\" $t0) (param \"q\" (list $t0))",
    ),
    (&["(variant (case \"none\") (case \"some\" (tuple u8 string)))"], "(param \"v\" (list $t0))"),
    (
        &["(enum \"red\" \"green\")", "(flags \"read\" \"write\" \"x-1\")"],
        "(param \"e\" $t0) (param \"f\" $t1)",
    ),
    (&[], "(param \"o\" (option u8)) (param \"r\" (result u8 (error string))) (param \"s\" (result))"),
];
const LETTERS: &str = "abcdefgh";

struct Machine {
    functions: Vec<ComponentFunc>,
    core: FuncType,
}

fn machine() -> &'static Machine {
    static MACHINE: OnceLock<Machine> = OnceLock::new();
    MACHINE.get_or_init(|| {
        let engine = super::engine(false);
        let functions = FUNCTIONS.iter().map(|(types, params)| function(&engine, types, params)).collect();
        let params = [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::V128];
        Machine { functions, core: FuncType::new(&engine, params, []) }
    })
}

/// A function of these parameters, as the engine describes an import.
fn function(engine: &Engine, types: &[&str], params: &str) -> ComponentFunc {
    let types: String = types
        .iter()
        .enumerate()
        .map(|(at, ty)| format!("(type $d{at} {ty}) (export \"t{at}\" (type $t{at} (eq $d{at})))"))
        .collect();
    let text = format!(r#"(component (import "i" (instance {types} (export "f" (func {params})))))"#);
    let bytes = wat::parse_str(text).expect("the types above are well written");
    let component = Component::new(engine, bytes).expect("the types above are valid");
    let ty = component.component_type();
    let Some(ComponentItem::ComponentInstance(instance)) = ty.get_import(engine, "i").map(|import| import.ty)
    else {
        unreachable!("the import is an instance")
    };
    match instance.get_export(engine, "f").map(|export| export.ty) {
        Some(ComponentItem::ComponentFunc(function)) => function,
        _ => unreachable!("the instance has one function"),
    }
}

/// One input: what it is read as, then the text. Returns, whatever it is.
pub fn fuzz_calls(data: &[u8]) {
    let Some((how, text)) = data.split_first() else { return };
    let machine = machine();
    let function = &machine.functions[usize::from(how >> 2) % machine.functions.len()];
    match how & 3 {
        0 => expression(machine, text),
        1 => {
            if let Ok(text) = std::str::from_utf8(text) {
                let _ = convert::core_call(text, |_| Some(machine.core.clone()));
            }
        }
        2 => {
            let _ = convert::json_to_numbers(text, machine.core.params());
        }
        _ => {
            if let Ok(values) = convert::json_to_vals(text, function.params()) {
                assert_comes_back(function, &values);
            }
        }
    }
}

fn expression(machine: &Machine, text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let find = |name: &str| machine.functions.get(LETTERS.find(name).filter(|_| name.len() == 1)?).cloned();
    if let Ok((name, values)) = convert::component_call(text, find) {
        let function = find(&name).expect("it was found when the call was read");
        assert_comes_back(&function, &values);
    }
}

/// Values as JSON are read as the same values; a float that is no number has no JSON.
fn assert_comes_back(function: &ComponentFunc, values: &[Val]) {
    if values.iter().any(|value| {
        matches!(value, Val::Float32(f) if !f.is_finite())
            || matches!(value, Val::Float64(f) if !f.is_finite())
    }) {
        return;
    }
    let json = match convert::vals_to_json(&[Val::Tuple(values.to_vec())], 1 << 20) {
        Ok(Answer::Value(json)) => json,
        other => panic!("values without handles have JSON: {other:?}"),
    };
    let back = convert::json_to_vals(json.as_bytes(), function.params());
    assert_eq!(back.as_deref(), Ok(values), "{json}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_returns() {
        for (path, seed) in super::super::seeds("calls") {
            println!("{}", path.display());
            fuzz_calls(&seed);
        }
    }
}

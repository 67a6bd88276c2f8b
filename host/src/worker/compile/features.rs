//! Which features a refused module would need, and whether they can be turned on.

#![forbid(unsafe_code)]

use wasmparser::{Validator, WasmFeatures as Wasm};

use crate::feature::{Feature, Features};

/// Bytes of a module beyond which it is not looked at again: each look costs as much as validating it once.
const LOOKED_AT_BYTES_MAX: usize = 16 << 20;

/// What every module may use, as `engine.rs` has it.
const ON: Wasm = Wasm::MUTABLE_GLOBAL
    .union(Wasm::SATURATING_FLOAT_TO_INT)
    .union(Wasm::SIGN_EXTENSION)
    .union(Wasm::REFERENCE_TYPES)
    .union(Wasm::MULTI_VALUE)
    .union(Wasm::BULK_MEMORY)
    .union(Wasm::SIMD)
    .union(Wasm::RELAXED_SIMD)
    .union(Wasm::TAIL_CALL)
    .union(Wasm::FLOATS)
    .union(Wasm::MULTI_MEMORY)
    .union(Wasm::EXCEPTIONS)
    .union(Wasm::EXTENDED_CONST)
    .union(Wasm::COMPONENT_MODEL)
    .union(Wasm::FUNCTION_REFERENCES)
    .union(Wasm::GC)
    .union(Wasm::GC_TYPES);

/// What nobody can turn on here, in words.
const NOT_HERE: &[(Wasm, &str)] = &[
    (Wasm::THREADS, "threads (shared memory and atomics)"),
    (Wasm::SHARED_EVERYTHING_THREADS, "shared-everything threads"),
    (Wasm::STACK_SWITCHING, "stack switching"),
    (Wasm::LEGACY_EXCEPTIONS, "exceptions of the old kind (build it for the ones with `try_table`)"),
    (Wasm::CUSTOM_DESCRIPTORS, "custom descriptors"),
    (Wasm::CM_ASYNC, "the component model's async"),
    (Wasm::CM_ASYNC_STACKFUL, "the component model's stackful async"),
    (Wasm::CM_MORE_ASYNC_BUILTINS, "the component model's async"),
    (Wasm::CM_THREADING, "the component model's threads"),
    (Wasm::CM_ERROR_CONTEXT, "the component model's error contexts"),
    (Wasm::CM_FIXED_LENGTH_LISTS, "the component model's fixed-length lists"),
    (Wasm::CM_MAP, "the component model's maps"),
    (Wasm::CM_GC, "collected values in the component model"),
    (Wasm::CM64, "64-bit memories in the component model"),
    (Wasm::CM_IMPLEMENTS, "the component model's implementations"),
];

fn flag(feature: Feature) -> Wasm {
    match feature {
        Feature::Memory64 => Wasm::MEMORY64,
        Feature::CustomPageSizes => Wasm::CUSTOM_PAGE_SIZES,
        Feature::WideArithmetic => Wasm::WIDE_ARITHMETIC,
    }
}

/// What would make a module valid that was refused with these features on; `None` when nothing would.
pub(super) fn hint(wasm: &[u8], on: Features) -> Option<String> {
    if wasm.len() > LOOKED_AT_BYTES_MAX {
        return None;
    }
    let off = || Feature::ALL.iter().copied().filter(|feature| !on.contains(*feature));
    let on = on.iter().fold(ON, |on, feature| on | flag(feature));
    let offered = off().fold(on, |all, feature| all | flag(feature));
    let all = NOT_HERE.iter().fold(offered, |all, (flag, _)| all | *flag);
    if !is_valid(wasm, all) {
        return None;
    }
    let is_needed = |flag: Wasm| !is_valid(wasm, all - flag);
    let absent: Vec<&str> =
        NOT_HERE.iter().filter(|(flag, _)| is_needed(*flag)).map(|(_, words)| *words).collect();
    if !absent.is_empty() {
        return Some(format!("it uses {}, which wasmpool does not have", absent.join(", ")));
    }
    let options: Vec<String> = off()
        .filter(|feature| is_needed(flag(*feature)))
        .map(|feature| format!("--wasm-feature {feature}"))
        .collect();
    let options = options.join(" ");
    (!options.is_empty()).then(|| format!("`{options}` allows it (in a program, `ModuleSource::feature`)"))
}

fn is_valid(wasm: &[u8], features: Wasm) -> bool {
    Validator::new_with_features(features).validate_all(wasm).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint_of(text: &str, on: Features) -> Option<String> {
        hint(&wat::parse_str(text).unwrap(), on)
    }

    #[test]
    fn what_can_be_turned_on_is_named_and_what_cannot_too() {
        let none = Features::NONE;
        let memory = hint_of("(module (memory i64 1))", none).unwrap();
        assert!(memory.contains("`--wasm-feature memory64`"), "{memory}");
        let both = "(module (memory i64 1 (pagesize 1)))";
        let said = hint_of(both, none).unwrap();
        assert!(said.contains("`--wasm-feature memory64 --wasm-feature custom-page-sizes`"), "{said}");
        let rest = hint_of(both, none.with(Feature::Memory64)).unwrap();
        assert!(rest.contains("`--wasm-feature custom-page-sizes`"), "{rest}");
        let shared = hint_of("(module (memory 1 2 shared))", none).unwrap();
        assert!(
            shared.contains("threads (shared memory and atomics), which wasmpool does not have"),
            "{shared}"
        );
        assert_eq!(hint_of("(module (func (result i32)))", none), None);
    }
}

//! Calls as a person types them: `add(1, 2)`, in WAVE syntax for components and with numbers for core
//! modules.

#![forbid(unsafe_code)]

use wasmtime::FuncType;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::wasm_wave::untyped::UntypedFuncCall;
use wasmtime::component::{Type, Val};

use super::describe::{quoted, wanted};
use super::numbers;
use crate::limits::EXPRESSION_BYTES_MAX;

/// Why a text is no call of this module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// The module exports no function of this name.
    #[error("the module exports no function `{0}`")]
    NotFound(String),
    /// The text, or an argument in it.
    #[error("{0}")]
    Invalid(String),
}

/// Reads a call of a component's function; `lookup` finds its type by its name. Parameters of an option
/// type may be left out at the end.
pub(crate) fn component_call(
    expression: &str,
    lookup: impl FnOnce(&str) -> Option<ComponentFunc>,
) -> Result<(String, Vec<Val>), CallError> {
    bounded(expression)?;
    let call = UntypedFuncCall::parse(expression).map_err(|error| invalid(expression, &error))?;
    let name = call.name().to_owned();
    let function = lookup(&name).ok_or_else(|| CallError::NotFound(name.clone()))?;
    let types: Vec<Type> = function.params().map(|(_, ty)| ty).collect();
    let values = call.to_wasm_params(&types).map_err(|error| {
        let takes = function.params().map(|(name, ty)| format!("{name}: {}", wanted(&ty)));
        let takes = takes.collect::<Vec<_>>().join(", ");
        CallError::Invalid(format!("{}; `{name}` takes ({takes})", invalid(expression, &error)))
    })?;
    Ok((name, values))
}

fn invalid(expression: &str, error: &wasmtime::component::wasm_wave::parser::ParserError) -> CallError {
    let place = expression.get(error.span()).filter(|place| !place.is_empty());
    let place = place.map_or_else(|| "the end".to_owned(), quoted);
    let detail = error.detail().map_or_else(String::new, |detail| format!(" ({detail})"));
    CallError::Invalid(format!("{} at {place}{detail}", error.kind()))
}

/// Reads a call of a core function; `lookup` finds its type by its name.
pub(crate) fn core_call(
    expression: &str,
    lookup: impl FnOnce(&str) -> Option<FuncType>,
) -> Result<(String, Vec<wasmtime::Val>), CallError> {
    bounded(expression)?;
    let parts = expression.trim().strip_suffix(')').and_then(|call| call.rsplit_once('('));
    let Some((name, arguments)) = parts.map(|(name, arguments)| (name.trim(), arguments.trim())) else {
        return Err(CallError::Invalid(format!("{} is no call like `add(1, 2)`", quoted(expression))));
    };
    let function = lookup(name).ok_or_else(|| CallError::NotFound(name.to_owned()))?;
    let given: Vec<_> =
        if arguments.is_empty() { Vec::new() } else { arguments.split(',').map(str::trim).collect() };
    let types: Vec<_> = function.params().collect();
    if given.len() != types.len() {
        return Err(CallError::Invalid(format!(
            "`{name}` takes {} arguments, and {} were given",
            types.len(),
            given.len()
        )));
    }
    let values = given.iter().zip(&types).enumerate().map(|(index, (text, ty))| {
        numbers::number(text, ty)
            .map_err(|error| CallError::Invalid(format!("parameter {}: {error}", index + 1)))
    });
    Ok((name.to_owned(), values.collect::<Result<_, _>>()?))
}

fn bounded(expression: &str) -> Result<(), CallError> {
    if expression.len() > EXPRESSION_BYTES_MAX {
        let text = format!("the call has {} bytes, the limit is {EXPRESSION_BYTES_MAX}", expression.len());
        return Err(CallError::Invalid(text));
    }
    Ok(())
}

//! Calls as a person types them: `add(1, 2)`, in WAVE syntax for components and with numbers for core
//! modules.

#![forbid(unsafe_code)]

use wasmtime::FuncType;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::wasm_wave::ast::Node;
use wasmtime::component::wasm_wave::parser::ParserError;
use wasmtime::component::wasm_wave::untyped::UntypedFuncCall;
use wasmtime::component::{Type, Val};

use super::describe::quoted;
use super::numbers;
use crate::limits::EXPRESSION_BYTES_MAX;
use crate::worker::wit_types;

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
    let Some((name, arguments)) = expression.split_once('(') else {
        return Err(CallError::Invalid(format!("{} is no call like `add(1, 2)`", quoted(expression))));
    };
    let name = name.trim();
    let function = lookup(name).ok_or_else(|| CallError::NotFound(name.to_owned()))?;
    // WAVE knows no names such as `acme:math/ops#add`.
    let call = format!("f({arguments}");
    let wrong = |problem: String| {
        CallError::Invalid(format!("{problem}; `{name}` is {}", wit_types::function(&function)))
    };
    let parsed = UntypedFuncCall::parse(&call).map_err(|error| wrong(invalid(&call, call.len(), &error)))?;
    let nodes: Vec<&Node> = match parsed.params_node() {
        Some(params) => {
            params.as_tuple().map_err(|error| wrong(invalid(&call, call.len(), &error)))?.collect()
        }
        None => Vec::new(),
    };
    let params: Vec<(&str, Type)> = function.params().collect();
    if nodes.len() > params.len() {
        return Err(wrong(format!("{} arguments are given, and {} taken", nodes.len(), params.len())));
    }
    let mut nodes = nodes.into_iter();
    let value = |(param, ty): &(&str, Type)| match nodes.next() {
        Some(node) => node.to_wasm_value(ty, &call).map_err(|error| {
            let problem = invalid(&call, node.span().end, &error);
            wrong(format!("parameter `{param}` takes {}: {problem}", wit_types::type_name(ty)))
        }),
        None if matches!(ty, Type::Option(_)) => Ok(Val::Option(None)),
        None => Err(wrong(format!("parameter `{param}` ({}) is missing", wit_types::type_name(ty)))),
    };
    let values = params.iter().map(value).collect::<Result<_, _>>()?;
    Ok((name.to_owned(), values))
}

/// What is wrong, and where: the text that it is about, as far as `end`.
fn invalid(call: &str, end: usize, error: &ParserError) -> String {
    let span = error.span();
    let place = call.get(span.start..span.end.min(end).max(span.start)).filter(|place| !place.is_empty());
    let place = place.map_or_else(|| "the end".to_owned(), quoted);
    // What a value cannot become is in the cause.
    let cause = || std::error::Error::source(error).map(ToString::to_string);
    let detail = error.detail().map(ToString::to_string).or_else(cause);
    let detail = detail.map_or_else(String::new, |detail| format!(" ({detail})"));
    format!("{} at {place}{detail}", error.kind())
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

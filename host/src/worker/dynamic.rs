//! Calls of exports that are no tasks, by their own WebAssembly types.

#![forbid(unsafe_code)]

use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{self, Component, Val};
use wasmtime::{Func, Store};

use crate::outcome::Encoding;
use crate::worker::convert::{self, Answer, AnswerError, CallError};
use crate::worker::imports::HostState;
use crate::worker::instance::Ended;

/// Which export is called, and with what.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'a> {
    /// An export by its name, with JSON arguments.
    Json { name: &'a str, input: &'a [u8] },
    /// A call as a person types it.
    Expression(&'a str),
}

/// Calls a function that a component exports. The answer has at most `bytes_max` bytes.
pub(crate) async fn component(
    store: &mut Store<HostState>,
    instance: component::Instance,
    call: Call<'_>,
    bytes_max: u64,
) -> wasmtime::Result<Ended> {
    let component = instance.instance_pre(&*store).component().clone();
    let (place, arguments) = match component_arguments(&component, call) {
        Ok(found) => found,
        Err(ended) => return Ok(ended),
    };
    let interface = match &place.interface {
        Some(name) => instance.get_export_index(&mut *store, None, name),
        None => None,
    };
    let index = instance.get_export_index(&mut *store, interface.as_ref(), &place.function);
    let Some(function) = index.and_then(|index| instance.get_func(&mut *store, index)) else {
        return Ok(no_export(&place.function));
    };
    let mut results = vec![Val::Bool(false); function.ty(&*store).results().len()];
    function.call_async(&mut *store, &arguments, &mut results).await?;
    Ok(ended(convert::vals_to_json(&results, usize::try_from(bytes_max).unwrap_or(usize::MAX))))
}

/// Calls a function that a core module exports.
pub(crate) async fn core(
    store: &mut Store<HostState>,
    instance: wasmtime::Instance,
    call: Call<'_>,
) -> wasmtime::Result<Ended> {
    let (function, arguments) = match core_arguments(store, instance, call) {
        Ok(found) => found,
        Err(ended) => return Ok(ended),
    };
    let mut results = vec![wasmtime::Val::I32(0); function.ty(&*store).results().len()];
    function.call_async(&mut *store, &arguments, &mut results).await?;
    Ok(ended(convert::numbers_to_json(&results)))
}

/// Where in a component a function is.
struct Place {
    interface: Option<String>,
    function: String,
}

fn component_arguments(component: &Component, call: Call<'_>) -> Result<(Place, Vec<Val>), Ended> {
    match call {
        Call::Json { name, input } => {
            let (place, ty) = find(component, name).ok_or_else(|| no_export(name))?;
            Ok((place, convert::json_to_vals(input, ty.params()).map_err(Ended::Failed)?))
        }
        Call::Expression(text) => {
            let mut place = None;
            let (_, arguments) = convert::component_call(text, |name| {
                let (found, ty) = find(component, name)?;
                place = Some(found);
                Some(ty)
            })
            .map_err(refused)?;
            place.map(|place| (place, arguments)).ok_or_else(|| no_export(text))
        }
    }
}

/// Finds `function` or `interface#function`: the supervisor knows which one a shorter name means.
fn find(component: &Component, name: &str) -> Option<(Place, ComponentFunc)> {
    let engine = component.engine();
    let ty = component.component_type();
    if let Some(ComponentItem::ComponentFunc(ty)) = ty.get_export(engine, name).map(|item| item.ty) {
        return Some((Place { interface: None, function: name.to_owned() }, ty));
    }
    let (interface, function) = name.split_once('#')?;
    let ComponentItem::ComponentInstance(exports) = ty.get_export(engine, interface)?.ty else { return None };
    let ComponentItem::ComponentFunc(ty) = exports.get_export(engine, function)?.ty else { return None };
    Some((Place { interface: Some(interface.to_owned()), function: function.to_owned() }, ty))
}

fn core_arguments(
    store: &mut Store<HostState>,
    instance: wasmtime::Instance,
    call: Call<'_>,
) -> Result<(Func, Vec<wasmtime::Val>), Ended> {
    match call {
        Call::Json { name, input } => {
            let function = instance.get_func(&mut *store, name).ok_or_else(|| no_export(name))?;
            let arguments = convert::json_to_numbers(input, function.ty(&*store).params());
            Ok((function, arguments.map_err(Ended::Failed)?))
        }
        Call::Expression(text) => {
            let lookup = |name: &str| Some(instance.get_func(&mut *store, name)?.ty(&*store));
            let (name, arguments) = convert::core_call(text, lookup).map_err(refused)?;
            let function = instance.get_func(&mut *store, &name).ok_or_else(|| no_export(&name))?;
            Ok((function, arguments))
        }
    }
}

fn no_export(name: &str) -> Ended {
    Ended::not_found(format!("the module exports no function `{name}`"))
}

fn refused(error: CallError) -> Ended {
    match error {
        CallError::NotFound(_) => Ended::not_found(error.to_string()),
        CallError::Invalid(text) => Ended::Failed(text),
    }
}

fn ended(answer: Result<Answer, AnswerError>) -> Ended {
    match answer {
        Ok(Answer::Value(json)) => Ended::Returned { encoding: Encoding::Json, bytes: json.into_bytes() },
        Ok(Answer::Failed(text)) => Ended::Failed(text),
        Err(error @ AnswerError::TooLarge(_)) => Ended::TooLarge(error.to_string()),
        Err(error @ AnswerError::Handle(_)) => Ended::Failed(error.to_string()),
    }
}

//! Which of a module's imports the host does not offer: all of them, not only the first.
//!
//! wasmtime stops at the first import that does not fit. Here each one that does not is replaced by a
//! stub in a copy of the linker, until the rest links.

#![forbid(unsafe_code)]

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{self, Component, ResourceType};
use wasmtime::{ExternType, Module};
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, Network, TcpSocket, UdpSocket};

use crate::worker::imports::HostState;
use crate::worker::trap;

/// Imports that are listed at most; more say nothing more.
const LISTED_MAX: usize = 100;

/// One import that cannot be satisfied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Its name as in [`crate::module_info::ImportInfo`].
    pub(crate) name: String,
    /// What does not fit.
    pub(crate) cause: String,
}

/// One line that lists them all.
pub(crate) fn list(missing: &[Missing]) -> String {
    let line = |import: &Missing| format!("{} ({})", import.name, import.cause);
    trap::message(missing.iter().map(line).collect::<Vec<_>>().join("; "))
}

/// The imports of a component that `linker` does not satisfy.
pub(crate) fn in_component(
    linker: &component::Linker<HostState>,
    component: &Component,
) -> wasmtime::Result<Vec<Missing>> {
    let mut missing: Vec<Missing> = Vec::new();
    let mut linker = linker.clone();
    linker.allow_shadowing(true);
    while let Err(error) = linker.instantiate_pre(component) {
        let Some(name) = quoted(&error.to_string()).map(str::to_owned) else { return Err(error) };
        if missing.iter().any(|known| known.name == name) {
            // It has no stub, such as a core module, and hides what comes after it.
            break;
        }
        let cause = error.chain().skip(1).map(|cause| cause.to_string()).collect::<Vec<_>>().join(": ");
        stub_component_import(&mut linker, component, &name)?;
        missing.push(Missing { name, cause });
        if missing.len() == LISTED_MAX {
            break;
        }
    }
    // A resource of a stubbed interface is another one than the host's, which is not the module's fault.
    if missing.iter().any(|import| !import.cause.contains(FOREIGN_RESOURCE)) {
        missing.retain(|import| !import.cause.contains(FOREIGN_RESOURCE));
    }
    Ok(missing)
}

/// wasmtime's words for a resource type that two interfaces do not share.
const FOREIGN_RESOURCE: &str = "mismatched resource types";

/// The host type of stubbed resources.
struct Stub;

fn stub_component_import(
    linker: &mut component::Linker<HostState>,
    component: &Component,
    name: &str,
) -> wasmtime::Result<()> {
    let engine = component.engine().clone();
    let ty = component.component_type();
    match ty.get_import(&engine, name).map(|import| import.ty) {
        Some(ComponentItem::ComponentInstance(instance)) => {
            let mut stubs = linker.instance(name)?;
            for (export, item) in instance.exports(&engine) {
                stub_item(&mut stubs, export, &item.ty)?;
            }
            Ok(())
        }
        Some(item) => stub_item(&mut linker.root(), name, &item),
        None => Ok(()),
    }
}

fn stub_item(
    linker: &mut component::LinkerInstance<'_, HostState>,
    name: &str,
    item: &ComponentItem,
) -> wasmtime::Result<()> {
    match item {
        ComponentItem::ComponentFunc(_) => {
            linker.func_new(name, |_, _, _, _| Err(wasmtime::Error::msg("a stub was called")))
        }
        ComponentItem::Resource(_) => linker.resource(name, resource_type(name), |_, _| Ok(())),
        _ => Ok(()),
    }
}

/// An interface that the host does not have may pass on a resource of one that it has. Were that a stub, it would not be
/// the host's, and the interface would hide what else is missing.
fn resource_type(name: &str) -> ResourceType {
    match name {
        "input-stream" => ResourceType::host::<DynInputStream>(),
        "output-stream" => ResourceType::host::<DynOutputStream>(),
        "pollable" => ResourceType::host::<DynPollable>(),
        "error" => ResourceType::host::<wasmtime::Error>(),
        "descriptor" => ResourceType::host::<Descriptor>(),
        "network" => ResourceType::host::<Network>(),
        "tcp-socket" => ResourceType::host::<TcpSocket>(),
        "udp-socket" => ResourceType::host::<UdpSocket>(),
        _ => ResourceType::host::<Stub>(),
    }
}

/// The imports of a core module that `linker` does not satisfy.
pub(crate) fn in_module(
    linker: &wasmtime::Linker<HostState>,
    module: &Module,
) -> wasmtime::Result<Vec<Missing>> {
    let mut missing: Vec<Missing> = Vec::new();
    let mut linker = linker.clone();
    linker.allow_shadowing(false);
    for import in module.imports() {
        let name = format!("{}.{}", import.module(), import.name());
        let absent = match import.ty() {
            // Only a name that is free can be defined.
            ExternType::Func(ty) => {
                linker.func_new(import.module(), import.name(), ty, |_, _, _| Ok(())).is_ok()
            }
            _ => true,
        };
        if absent && missing.len() < LISTED_MAX && missing.iter().all(|known| known.name != name) {
            missing.push(Missing { name, cause: format!("the host has no such {}", word(&import.ty())) });
        }
    }
    linker.allow_shadowing(true);
    while let Err(error) = linker.instantiate_pre(module) {
        // Something that is no function is missing, and listed already.
        let Some(import) = module.imports().find(|import| {
            quoted(&error.to_string()) == Some(&format!("{}::{}", import.module(), import.name()))
        }) else {
            break;
        };
        let name = format!("{}.{}", import.module(), import.name());
        let ExternType::Func(ty) = import.ty() else { break };
        if missing.iter().any(|known| known.name == name) || missing.len() == LISTED_MAX {
            break;
        }
        missing.push(Missing { name, cause: "the host's function has another signature".to_owned() });
        linker.func_new(import.module(), import.name(), ty, |_, _, _| Ok(()))?;
    }
    Ok(missing)
}

/// What kind of thing an import is.
pub(crate) fn word(ty: &ExternType) -> &'static str {
    match ty {
        ExternType::Func(_) => "function",
        ExternType::Global(_) => "global",
        ExternType::Table(_) => "table",
        ExternType::Memory(_) => "memory",
        ExternType::Tag(_) => "tag",
    }
}

/// What stands between the first two backticks.
fn quoted(text: &str) -> Option<&str> {
    text.split('`').nth(1)
}

//! A compiled module's description: what it exports and imports, and whether the host offers that.

#![forbid(unsafe_code)]

use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;
use wasmtime::{ExternType, FuncType, Module};

use crate::module_info::{ExportInfo, ImportInfo, ModuleInfo, ModuleKind, TaskInfo, Want};
use crate::worker::instance;
use crate::worker::missing::{self, Missing};
use crate::worker::wit_types;

/// Describes a component. `tasks` are the records that were found in it, and it was found whether it `is_composed`.
pub(super) fn component(
    component: &Component,
    tasks: Vec<TaskInfo>,
    is_composed: bool,
) -> wasmtime::Result<ModuleInfo> {
    let engine = component.engine();
    let missing = missing::in_component(&instance::component_linker(engine)?, component)?;
    let ty = component.component_type();
    let mut exports = Vec::new();
    for (name, item) in ty.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(function) => {
                exports.push(ExportInfo { name: name.to_owned(), signature: wit_types::function(&function) });
            }
            ComponentItem::ComponentInstance(interface) => {
                exports.extend(interface.exports(engine).filter_map(|(function, item)| match item.ty {
                    ComponentItem::ComponentFunc(ty) => Some(ExportInfo {
                        name: format!("{name}#{function}"),
                        signature: wit_types::function(&ty),
                    }),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    let imports = ty.imports(engine).map(|(name, item)| {
        let signature = match item.ty {
            ComponentItem::ComponentFunc(function) => wit_types::function(&function),
            ComponentItem::ComponentInstance(_) => "interface".to_owned(),
            ComponentItem::Module(_) => "core module".to_owned(),
            ComponentItem::Component(_) => "component".to_owned(),
            _ => "type".to_owned(),
        };
        import(name.to_owned(), signature, &missing)
    });
    Ok(ModuleInfo {
        kind: ModuleKind::Component,
        is_command: instance::component_run_export(component).is_some(),
        is_reactor: false,
        is_composed,
        tasks,
        exports,
        imports: imports.collect(),
    })
}

/// Describes a core module, which has no tasks.
pub(super) fn module(module: &Module) -> wasmtime::Result<ModuleInfo> {
    let missing = missing::in_module(&instance::core_linker(module)?, module)?;
    let exports = module.exports().filter_map(|export| match export.ty() {
        ExternType::Func(ty) => {
            Some(ExportInfo { name: export.name().to_owned(), signature: core_function(&ty) })
        }
        _ => None,
    });
    let imports = module.imports().map(|item| {
        let signature = match item.ty() {
            ExternType::Func(ty) => core_function(&ty),
            other => missing::word(&other).to_owned(),
        };
        import(format!("{}.{}", item.module(), item.name()), signature, &missing)
    });
    Ok(ModuleInfo {
        kind: ModuleKind::CoreModule,
        is_command: is_entry(module.get_export(instance::CORE_ENTRY)),
        is_reactor: module.get_export("_initialize").is_some(),
        is_composed: false,
        tasks: Vec::new(),
        exports: exports.collect(),
        imports: imports.collect(),
    })
}

/// True for a function without parameters and results.
fn is_entry(export: Option<ExternType>) -> bool {
    export
        .as_ref()
        .and_then(ExternType::func)
        .is_some_and(|ty| ty.params().len() == 0 && ty.results().len() == 0)
}

fn import(name: String, signature: String, missing: &[Missing]) -> ImportInfo {
    let known = missing.iter().all(|missing| missing.name != name);
    let option = Want::of_import(&name).and_then(Want::option);
    ImportInfo { name, signature, needs_grant: option.map(str::to_owned), known }
}

/// `func (i32, i64) -> f32`.
fn core_function(ty: &FuncType) -> String {
    let list = |types: Vec<String>| types.join(", ");
    let params = list(ty.params().map(|ty| ty.to_string()).collect());
    let results: Vec<String> = ty.results().map(|ty| ty.to_string()).collect();
    match results.len() {
        0 => format!("func ({params})"),
        1 => format!("func ({params}) -> {}", results[0]),
        _ => format!("func ({params}) -> ({})", list(results)),
    }
}

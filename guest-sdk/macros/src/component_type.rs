//! The component type of one exported task, as the linker wants to find it in the module.
//!
//! `wasm-component-ld` turns a core module into a component by the types in its custom sections whose names
//! begin with `component-type`; it unites the worlds of all of them. Each task brings a world of its own with
//! one export, so tasks need no list of each other. The WIT that is encoded here:
//!
//! ```wit
//! package wasmpool:export-count-primes;
//! world task {
//!     use wasmpool:task/types@0.1.0.{task-error};
//!     export count-primes: func(args: list<u8>) -> result<list<u8>, task-error>;
//! }
//! ```
//!
//! It is written directly, not by `wit-component` from that text, because every plugin's build would have to
//! compile that crate first; a test compares both.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use wasm_encoder::{
    Alias, ComponentBuilder, ComponentExportKind, ComponentType, ComponentTypeRef, ComponentValType,
    CustomSection, InstanceType, PrimitiveValType, TypeBounds,
};

/// Version 4 of the format, UTF-8 strings: what `wit-component` asks of a `component-type` section.
const ENCODING: &[u8] = &[4, 0];

/// The name of the section for the task exported as `export`. The linker joins sections of one name, and two
/// component types joined are neither: each task has a name of its own.
pub fn section_name(export: &str) -> String {
    format!("component-type:wasmpool:{export}")
}

/// The content of that section.
pub fn section(export: &str) -> Vec<u8> {
    let mut package = ComponentType::new();
    package.ty().component(&world(export));
    package.export(format!("wasmpool:export-{export}/task"), ComponentTypeRef::Component(0));

    let mut component = ComponentBuilder::default();
    component.custom_section(&CustomSection {
        name: "wit-component-encoding".into(),
        data: Cow::Borrowed(ENCODING),
    });
    let index = component.type_component(None, &package);
    component.export("task", ComponentExportKind::Type, index, None);
    component.finish()
}

/// The world of one task. The numbers are type indices, in the order of the definitions.
fn world(export: &str) -> ComponentType {
    const TYPES: u32 = 0;
    const ALIASED: u32 = 1;
    const TASK_ERROR: ComponentValType = ComponentValType::Type(2);
    const BYTES: ComponentValType = ComponentValType::Type(3);
    const RESULT: ComponentValType = ComponentValType::Type(4);
    const FUNCTION: u32 = 5;

    let mut world = ComponentType::new();
    world.ty().instance(&types_interface());
    world.import("wasmpool:task/types@0.1.0", ComponentTypeRef::Instance(TYPES));
    world.alias(Alias::InstanceExport { instance: 0, kind: ComponentExportKind::Type, name: "task-error" });
    world.import("task-error", ComponentTypeRef::Type(TypeBounds::Eq(ALIASED)));
    world.ty().defined_type().list(PrimitiveValType::U8);
    world.ty().defined_type().result(Some(BYTES), Some(TASK_ERROR));
    world.ty().function().params([("args", BYTES)]).result(Some(RESULT));
    world.export(export, ComponentTypeRef::Func(FUNCTION));
    world
}

/// The interface `types` of `task.wit`.
fn types_interface() -> InstanceType {
    let text = Some(ComponentValType::Primitive(PrimitiveValType::String));
    let mut types = InstanceType::new();
    types.ty().defined_type().variant([("failed", text), ("invalid-arguments", text), ("other", text)]);
    types.export("task-error", ComponentTypeRef::Type(TypeBounds::Eq(0)));
    types
}

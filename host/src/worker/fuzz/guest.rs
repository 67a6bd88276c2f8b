//! A guest that passes calls on: it exports every function that core modules may import, under its number.

#![forbid(unsafe_code)]

use std::fmt::Write as _;

use wasmtime::{Engine, ExternType, FuncType, InstancePre, Linker, Module, Store, ValType};

use crate::worker::imports::{self, HostState};

/// Bytes of its memory.
pub(super) const MEMORY_BYTES: u32 = 65_536;

/// Every import, ready to be instantiated as a guest.
pub(super) struct Guest {
    pub(super) pre: InstancePre<HostState>,
    pub(super) functions: Vec<Function>,
}

/// One import.
pub(super) struct Function {
    pub(super) module: String,
    pub(super) name: String,
    pub(super) ty: FuncType,
}

impl Guest {
    /// `store` is needed to look at what the linker has.
    pub(super) fn new(engine: &Engine, store: &mut Store<HostState>) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(engine);
        imports::link_core(&mut linker)?;
        let offered: Vec<_> =
            linker.iter(&mut *store).map(|(m, n, e)| (m.to_owned(), n.to_owned(), e)).collect();
        let mut functions: Vec<_> = offered
            .into_iter()
            .filter_map(|(module, name, item)| match item.ty(&*store) {
                ExternType::Func(ty) => Some(Function { module, name, ty }),
                _ => None,
            })
            .collect();
        functions.sort_by(|a, b| (&a.module, &a.name).cmp(&(&b.module, &b.name)));
        let module = Module::new(engine, wat::parse_str(text(&functions))?)?;
        Ok(Self { pre: linker.instantiate_pre(&module)?, functions })
    }
}

fn text(functions: &[Function]) -> String {
    let mut imports = String::new();
    let mut exports = String::new();
    for (number, Function { module, name, ty }) in functions.iter().enumerate() {
        let ty_text = signature(ty);
        let arguments: String = (0..ty.params().len()).map(|index| format!(" (local.get {index})")).collect();
        let write = "a string takes everything";
        writeln!(imports, r#"(import "{module}" "{name}" (func $i{number} {ty_text}))"#).expect(write);
        writeln!(exports, r#"(func (export "{number}") {ty_text} (call $i{number}{arguments}))"#)
            .expect(write);
    }
    format!("(module\n{imports}(memory (export \"memory\") 1 1)\n{exports})")
}

fn signature(ty: &FuncType) -> String {
    let list = |types: Vec<ValType>| types.iter().map(|ty| format!(" {ty}")).collect::<String>();
    format!("(param{}) (result{})", list(ty.params().collect()), list(ty.results().collect()))
}

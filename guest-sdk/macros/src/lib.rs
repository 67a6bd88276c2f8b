//! The attributes `#[task]` and `#[init]` of `wasmpool-guest`, which documents them.
//!
//! One task's way through this crate: [`signature`] reads the function and refuses what cannot be a task, at
//! the token that is wrong; [`emit`] writes the function back unchanged, a decoder that calls it, and, for
//! WebAssembly only, the export with its two custom sections: the [`component_type`], which the component
//! linker consumes, and the [`record`], which `wasmpool inspect` reads. Nothing here knows how arguments are
//! decoded: that is ordinary code in `wasmpool-guest`.

#![forbid(unsafe_code)]

mod component_type;
mod emit;
mod record;
mod signature;
mod text;

#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;

/// Makes a function a task: an export of the component that `wasmpool` can run.
///
/// See the documentation of `wasmpool_guest::task`.
#[proc_macro_attribute]
pub fn task(attribute: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    expand(attribute.into(), item.into()).into()
}

/// Makes a function the one that runs once before the first task of its module.
///
/// See the documentation of `wasmpool_guest::init`.
#[proc_macro_attribute]
pub fn init(attribute: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let (attribute, item) = (attribute.into(), TokenStream::from(item));
    emitted(signature::read_init(attribute, item.clone()), item).into()
}

/// The whole expansion of a task.
fn expand(attribute: TokenStream, item: TokenStream) -> TokenStream {
    emitted(signature::read(attribute, item.clone()), item)
}

/// An error is emitted beside the function itself, so that one mistake does not make every use of the function an error
/// too.
fn emitted(read: syn::Result<signature::Task>, item: TokenStream) -> TokenStream {
    match read {
        Ok(task) => emit::task(&task),
        Err(error) => {
            let mut tokens = error.to_compile_error();
            tokens.extend(signature::without_parameter_attributes(item));
            tokens
        }
    }
}

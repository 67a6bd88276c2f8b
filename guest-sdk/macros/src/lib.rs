//! The `#[task]` attribute of `wasmpool-guest`, which documents it.
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

/// The whole expansion. An error is emitted beside the function itself, so that one mistake does not make
/// every use of the function an error too.
fn expand(attribute: TokenStream, item: TokenStream) -> TokenStream {
    match signature::read(attribute, item.clone()) {
        Ok(task) => emit::task(&task),
        Err(error) => {
            let mut tokens = error.to_compile_error();
            tokens.extend(signature::without_parameter_attributes(item));
            tokens
        }
    }
}

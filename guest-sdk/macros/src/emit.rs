//! The code that stands for a task.
//!
//! For `fn square(n: i64) -> i64` it is the function itself; `__wasmpool_task_square`, which reads the
//! arguments, calls it and writes the result; and for WebAssembly the exported function, which hands the
//! host's pointers to `wasmpool_guest`, with the custom sections. The second is compiled natively too, so that
//! a parameter that serde cannot read is an error in the author's editor and not only in the plugin's build.
//!
//! The export's symbol is `cm32p2||square`, the standard naming of components, not just `square`: symbols
//! share one namespace with the C library, and a task named `read` or `sleep` would replace its function.

#![forbid(unsafe_code)]

use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, ReturnType};

use crate::signature::{Missing, Pass, Task};
use crate::{component_type, record};

/// The expansion of `task`.
pub fn task(task: &Task) -> TokenStream {
    let mut tokens = task.function.to_token_stream();
    let caller = format_ident!("__wasmpool_task_{}", task.name);
    tokens.extend(call(task, &caller));
    tokens.extend(export(task, &caller));
    tokens
}

/// The function from argument bytes to result bytes.
fn call(task: &Task, caller: &Ident) -> TokenStream {
    // Names of ours are invisible to the author's expressions, and the other way round.
    let here = Span::mixed_site();
    let (visibility, function) = (&task.function.vis, &task.function.sig.ident);
    let (values, decode) = decode(task);
    let arguments = values.iter().zip(&task.params).map(|(value, param)| match param.pass {
        Pass::Value => quote_spanned!(here=> #value),
        Pass::Reference => quote_spanned!(here=> &#value),
    });
    let call = quote_spanned!(here=> #function(#(#arguments),*));
    let encode = if task.never_returns {
        call
    } else {
        let returned = match &task.function.sig.output {
            ReturnType::Default => here,
            ReturnType::Type(_, declared) => declared.span().resolved_at(here),
        };
        let encoding = if task.raw_result { "raw" } else { "json" };
        let encoding = Ident::new(encoding, returned);
        let wrapped = quote_spanned!(here=> ::wasmpool_guest::__private::Returned(#call));
        quote_spanned!(returned=> #wrapped.#encoding())
    };
    let doc = format!("The task `{}` from argument bytes to result bytes.", task.name);
    quote_spanned! {here=>
        #[doc = #doc]
        #[doc(hidden)]
        #[allow(dead_code)]
        #visibility fn #caller(
            input: ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<::std::vec::Vec<u8>, ::wasmpool_guest::__private::TaskError> {
            #[allow(unused_imports)]
            use ::wasmpool_guest::__private::ReturnedPlain as _;
            #decode
            #encode
        }
    }
}

/// The names of the values that were read, and the statements that read them and let the input go.
fn decode(task: &Task) -> (Vec<Ident>, TokenStream) {
    let here = Span::mixed_site();
    if task.raw_argument {
        let value = Ident::new("input", here);
        let decode = quote_spanned! {here=>
            let input = ::wasmpool_guest::Bytes::from(input);
        };
        return (vec![value], decode);
    }
    let values: Vec<Ident> =
        (0..task.params.len()).map(|i| format_ident!("value_{i}", span = here)).collect();
    let name = &task.name;
    let names = task.params.iter().map(|param| &param.name);
    let types = task.params.iter().map(|param| &param.shown);
    let reads = task.params.iter().enumerate().map(|(i, param)| {
        let owned = &param.owned;
        let at = owned.span().resolved_at(here);
        match &param.missing {
            Missing::Error => quote_spanned!(at=> arguments.required::<#owned>(#i)?),
            Missing::Null => quote_spanned!(at=> arguments.or_null::<#owned>(#i)?),
            Missing::Default { value, .. } => {
                quote_spanned!(at=> arguments.or_else::<#owned>(#i, || #value)?)
            }
        }
    });
    // Without parameters there is nothing to bind, but still something to refuse: arguments.
    let binding =
        if values.is_empty() { TokenStream::new() } else { quote_spanned!(here=> let (#(#values,)*) =) };
    let tuple = if values.is_empty() { TokenStream::new() } else { quote_spanned!(here=> (#(#reads,)*)) };
    let decode = quote_spanned! {here=>
        #binding {
            const PARAMS: &[::wasmpool_guest::__private::Param] =
                &[#(::wasmpool_guest::__private::Param { name: #names, shown: #types }),*];
            #[allow(unused_variables)]
            let arguments = ::wasmpool_guest::__private::Arguments::read(&input, #name, PARAMS)?;
            #tuple
        };
        // A large input need not stay in memory while the task works with what was read from it.
        ::core::mem::drop(input);
    };
    (values, decode)
}

/// The export and its custom sections.
fn export(task: &Task, caller: &Ident) -> TokenStream {
    let here = Span::mixed_site();
    let entry = format!("cm32p2||{}", task.export);
    let post_return = format!("{entry}_post");
    let (type_section, type_bytes) =
        (component_type::section_name(&task.export), component_type::section(&task.export));
    let type_length = type_bytes.len();
    let type_bytes = Literal::byte_string(&type_bytes);
    let record = record_static(task);
    // The author's name for the function is where the compiler points when two tasks export the same name.
    let at = task.function.sig.ident.span().resolved_at(here);
    let entry_name = Ident::new("entry", at);
    quote_spanned! {here=>
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[unsafe(export_name = #entry)]
            unsafe extern "C" fn #entry_name(
                pointer: *mut u8,
                length: usize,
            ) -> *mut ::wasmpool_guest::__private::Returning {
                // SAFETY: the host calls an export of this type only as the canonical ABI says, so the pointer
                // and the length are an allocation that it made with `cabi_realloc` and gives away.
                unsafe { ::wasmpool_guest::__private::enter(pointer, length, #caller) }
            }

            #[unsafe(export_name = #post_return)]
            unsafe extern "C" fn post_return(returning: *mut ::wasmpool_guest::__private::Returning) {
                // SAFETY: the host passes the pointer that `entry` returned, once, when it has read the result.
                unsafe { ::wasmpool_guest::__private::leave(returning) }
            }

            #[used]
            #[unsafe(link_section = #type_section)]
            static COMPONENT_TYPE: [u8; #type_length] = *#type_bytes;

            #record
        };
    }
}

/// The record, which tells callers of a task.
fn record_static(task: &Task) -> TokenStream {
    if task.is_init {
        return TokenStream::new();
    }
    let (section, bytes) = (record::SECTION, record::line(task).into_bytes());
    let (length, bytes) = (bytes.len(), Literal::byte_string(&bytes));
    quote_spanned! {Span::mixed_site()=>
        #[used]
        #[unsafe(link_section = #section)]
        static RECORD: [u8; #length] = *#bytes;
    }
}

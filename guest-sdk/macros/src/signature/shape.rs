//! The shapes of function that cannot be tasks.

#![forbid(unsafe_code)]

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Error, ItemFn, Result, Safety, Type, TypeImplTrait, TypeReference};

/// Refuses everything about the function but its parameters and its return type.
pub fn check(function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    if let Some(token) = &signature.asyncness {
        return refuse(token, "a task cannot be `async`: it runs alone in its process and may block");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        return refuse(token, "a task cannot be `unsafe`: its caller is a host that only sends bytes");
    }
    if let Some(token) = &signature.abi {
        return refuse(
            token,
            "a task cannot be `extern`: `#[task]` writes the exported function, this one stays a Rust function",
        );
    }
    if !signature.generics.params.is_empty() {
        return refuse(
            &signature.generics.params,
            "a task cannot be generic: its parameters must have the types that arguments are read as",
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        return refuse(clause, "a task cannot have a `where` clause: it is not generic");
    }
    if let Some(variadic) = &signature.variadic {
        return refuse(variadic, "a task has a fixed number of parameters; take a `Vec<T>` for a list");
    }
    let is_task = |path: &syn::Path| path.segments.last().is_some_and(|last| last.ident == "task");
    if let Some(again) = function.attrs.iter().find(|attribute| is_task(attribute.path())) {
        return refuse(again, "`#[task]` is written twice on this function");
    }
    Ok(())
}

/// Refuses a return type that has no name, or that borrows.
pub fn check_returned(declared: &Type) -> Result<()> {
    if let Some(found) = Find::in_type(declared).impl_trait {
        return refuse(
            found,
            "a task returns a type with a name, so that its callers can be told what they get",
        );
    }
    Ok(())
}

/// An error that covers `tokens`.
pub fn refuse<T>(tokens: impl ToTokens, message: &str) -> Result<T> {
    Err(Error::new_spanned(tokens, message))
}

/// The first reference and the first `impl Trait` anywhere in a type.
#[derive(Default)]
pub struct Find<'a> {
    pub reference: Option<&'a TypeReference>,
    pub impl_trait: Option<&'a TypeImplTrait>,
}

impl<'a> Find<'a> {
    /// Searches `declared`, the type itself included.
    pub fn in_type(declared: &'a Type) -> Self {
        let mut found = Self::default();
        found.visit_type(declared);
        found
    }
}

impl<'a> Visit<'a> for Find<'a> {
    fn visit_type_reference(&mut self, reference: &'a TypeReference) {
        self.reference.get_or_insert(reference);
        visit::visit_type_reference(self, reference);
    }

    fn visit_type_impl_trait(&mut self, found: &'a TypeImplTrait) {
        self.impl_trait.get_or_insert(found);
        visit::visit_type_impl_trait(self, found);
    }
}

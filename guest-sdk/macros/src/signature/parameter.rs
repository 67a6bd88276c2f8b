//! The parameters of a task: what each is read as, how it reaches the function, and what happens without it.

#![forbid(unsafe_code)]

use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, FnArg, Meta, Pat, PatType, Result, Signature, Token, Type, parse_quote_spanned,
};

use super::generic_types;
use super::shape::{Find, refuse};
use crate::text;

/// One parameter.
pub struct Param {
    /// Its name, by which it can be passed.
    pub name: String,
    /// Its type as written, for people.
    pub shown: String,
    /// The type that the argument is read as: `String` for `&str`.
    pub owned: Type,
    /// How the function takes it.
    pub pass: Pass,
    /// What happens when there is no argument for it.
    pub missing: Missing,
}

/// How a function takes a parameter that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// As it is.
    Value,
    /// By shared reference.
    Reference,
}

/// What happens when there is no argument for a parameter.
pub enum Missing {
    /// The caller is told.
    Error,
    /// It is read as if it were `null`: `None` for an `Option`.
    Null,
    /// It is the value of the expression, which is also kept as text.
    Default { value: Box<Expr>, text: String },
}

/// Reads the parameters and removes their attributes from the function.
pub fn take_all(signature: &mut Signature) -> Result<Vec<Param>> {
    let params = signature.inputs.iter().map(read).collect::<Result<_>>()?;
    strip_attributes(signature);
    Ok(params)
}

/// Removes `#[default]` from all parameters.
pub fn strip_attributes(signature: &mut Signature) {
    for input in &mut signature.inputs {
        if let FnArg::Typed(typed) = input {
            typed.attrs.retain(|attribute| !is_default(attribute));
        }
    }
}

/// Refuses what makes no sense for the only parameter when it is the raw argument.
pub fn check_raw(param: &Param) -> Result<()> {
    match &param.missing {
        Missing::Default { value, .. } => refuse(
            value,
            "the only parameter, of type `Bytes`, is the task's whole input: it is never missing, so it has no default",
        ),
        Missing::Error | Missing::Null => Ok(()),
    }
}

fn read(input: &FnArg) -> Result<Param> {
    let typed = match input {
        FnArg::Receiver(receiver) => {
            return refuse(
                receiver,
                "a task is a plain function, not a method: take the data as a parameter",
            );
        }
        FnArg::Typed(typed) => typed,
    };
    let name = name(typed)?;
    let (owned, pass) = owned_type(&typed.ty)?;
    let missing = match default(&typed.attrs)? {
        Some((value, text)) => Missing::Default { value: Box::new(value), text },
        None if generic_types(&owned, "Option").is_some() => Missing::Null,
        None => Missing::Error,
    };
    Ok(Param { name, shown: text::of(&typed.ty), owned, pass, missing })
}

fn name(typed: &PatType) -> Result<String> {
    match &*typed.pat {
        Pat::Ident(plain) if plain.by_ref.is_none() && plain.subpat.is_none() => {
            Ok(plain.ident.unraw().to_string())
        }
        pattern => refuse(
            pattern,
            "a task's parameter needs a name of its own, by which callers can pass it; take the pattern apart in the body",
        ),
    }
}

/// The type that an argument for `declared` is read as. A reference can only be to something that was read.
fn owned_type(declared: &Type) -> Result<(Type, Pass)> {
    if let Some(found) = Find::in_type(declared).impl_trait {
        return refuse(
            found,
            "a task cannot be generic: `impl Trait` is; name the type that the argument is read as",
        );
    }
    let Type::Reference(reference) = declared else {
        return match Find::in_type(declared).reference {
            Some(inner) => refuse(
                inner,
                "a task's parameter cannot contain a reference: arguments come from another process; use the owned type (`String`, `Vec<T>`)",
            ),
            None => Ok((declared.clone(), Pass::Value)),
        };
    };
    if let Some(token) = &reference.mutability {
        return refuse(
            token,
            "a task cannot take `&mut`: nobody would see the change; take the value, return the new one",
        );
    }
    if let Some(lifetime) = reference.lifetime.as_ref().filter(|lifetime| lifetime.ident != "_") {
        return refuse(lifetime, "a task's argument lives as long as the call, no longer: write `&T` or `T`");
    }
    if let Some(inner) = Find::in_type(&reference.elem).reference {
        return refuse(
            inner,
            "a task's parameter can be a reference, but not contain one: use the owned type inside",
        );
    }
    let span = reference.elem.span();
    let owned = match &*reference.elem {
        Type::Path(path) if path.path.is_ident("str") => parse_quote_spanned!(span=> ::std::string::String),
        Type::Slice(slice) => {
            let element = &slice.elem;
            parse_quote_spanned!(span=> ::std::vec::Vec<#element>)
        }
        Type::TraitObject(object) => {
            return refuse(
                object,
                "a task's argument must be of a type that it can be read as, not of a trait",
            );
        }
        other => other.clone(),
    };
    Ok((owned, Pass::Reference))
}

/// The value of `#[default(value)]` and its text.
fn default(attributes: &[Attribute]) -> Result<Option<(Expr, String)>> {
    let mut found: Option<(Expr, String)> = None;
    for attribute in attributes.iter().filter(|attribute| is_default(attribute)) {
        if found.is_some() {
            return refuse(attribute, "this parameter has two defaults");
        }
        let wrong =
            || Error::new_spanned(attribute, "a default is written `#[default(value)]`, with one value");
        let Meta::List(list) = &attribute.meta else { return Err(wrong()) };
        let values = list.parse_args_with(Punctuated::<Expr, Token![,]>::parse_terminated)?;
        if values.len() != 1 {
            return Err(wrong());
        }
        let value = values.into_iter().next().ok_or_else(wrong)?;
        // The source as the author wrote it, where the compiler still has it.
        let source = list.delimiter.span().join().source_text();
        let text = source
            .as_deref()
            .and_then(|source| source.strip_prefix(['(', '[', '{'])?.strip_suffix([')', ']', '}']))
            .map_or_else(|| text::of(&value), |source| source.trim().to_owned());
        found = Some((value, text));
    }
    Ok(found)
}

fn is_default(attribute: &Attribute) -> bool {
    attribute.path().is_ident("default")
}

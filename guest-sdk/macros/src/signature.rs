//! What a task's function says about the task, and what it must not say.
//!
//! Everything that a plugin author can get wrong in the attribute or the signature is refused here, at the
//! token that is wrong, with what to write instead. What only the type checker can know (a parameter that
//! serde cannot read) is left to it: [`crate::emit`] gives those expressions the spans of the types.

#![forbid(unsafe_code)]

mod parameter;
mod shape;

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::{Attribute, Error, Expr, ItemFn, Lit, Meta, Result, ReturnType, Type};

use crate::text;
pub use parameter::{Missing, Param, Pass};

/// A function that can be a task.
pub struct Task {
    /// The function as it stays in the crate: without the attributes of its parameters.
    pub function: ItemFn,
    /// The function's name.
    pub name: String,
    /// The component's export: the name in kebab case.
    pub export: String,
    /// The doc comment, without the space that begins each line.
    pub doc: String,
    /// The parameters in order.
    pub params: Vec<Param>,
    /// The whole argument is the bytes of the only parameter, not JSON.
    pub raw_argument: bool,
    /// The type of a success as text: `T` where the function returns `Result<T, E>`.
    pub returns: String,
    /// `E` as text where the function returns `Result<T, E>`.
    pub error: Option<String>,
    /// A success is [`Bytes`](is_bytes), returned as they are, not JSON.
    pub raw_result: bool,
    /// The function returns `!`.
    pub never_returns: bool,
    /// It is no task: it runs once before the first one.
    pub is_init: bool,
}

/// The export that an `#[init]` function is. A module has one.
const INIT_EXPORT: &str = "wasmpool-init";

/// Reads the function below the attribute.
pub fn read(attribute: TokenStream, item: TokenStream) -> Result<Task> {
    let mut function: ItemFn = syn::parse2(item.clone()).map_err(|error| not_a_function(item, error))?;
    if !attribute.is_empty() {
        return Err(Error::new_spanned(
            attribute,
            "`#[task]` takes no arguments; a parameter's default is written before it: `#[default(10)] n: u32`",
        ));
    }
    shape::check(&function)?;
    let name = function.sig.ident.unraw().to_string();
    let export = export_name(&name, function.sig.ident.span())?;
    let params = parameter::take_all(&mut function.sig)?;
    let raw_argument = matches!(params.as_slice(), [only] if is_bytes(&only.owned));
    if raw_argument {
        parameter::check_raw(&params[0])?;
    }
    let returned = Returned::read(&function.sig.output)?;
    Ok(Task {
        doc: doc(&function.attrs),
        name,
        export,
        params,
        raw_argument,
        returns: returned.success,
        error: returned.error,
        raw_result: returned.raw,
        never_returns: returned.never,
        is_init: false,
        function,
    })
}

/// Reads the function below `#[init]`.
pub fn read_init(attribute: TokenStream, item: TokenStream) -> Result<Task> {
    if !attribute.is_empty() {
        return Err(Error::new_spanned(attribute, "`#[init]` takes no arguments"));
    }
    let function: ItemFn = syn::parse2(item.clone()).map_err(|error| not_a_function(item.clone(), error))?;
    if !function.sig.inputs.is_empty() {
        return Err(Error::new_spanned(
            &function.sig.inputs,
            "an `#[init]` function takes no parameters: it runs before there is a task whose arguments it could have",
        ));
    }
    let task = read(TokenStream::new(), item)?;
    if task.returns != "()" || task.never_returns {
        return Err(Error::new_spanned(
            &function.sig.output,
            "an `#[init]` function returns nothing or a `Result<(), E>`: keep what it makes in a `static`, in a `OnceLock` for example",
        ));
    }
    Ok(Task { export: INIT_EXPORT.to_owned(), is_init: true, ..task })
}

/// The item with the attributes of a function's parameters removed, for the expansion of a refused task: the
/// compiler would complain about each of them a second time.
pub fn without_parameter_attributes(item: TokenStream) -> TokenStream {
    let Ok(mut function) = syn::parse2::<ItemFn>(item.clone()) else {
        return item;
    };
    parameter::strip_attributes(&mut function.sig);
    quote::quote!(#function)
}

/// A syntax error inside a function stays where the parser saw it; anything else is not a function.
fn not_a_function(item: TokenStream, error: Error) -> Error {
    let looks_like_one = item.clone().into_iter().any(|token| token.to_string() == "fn");
    if looks_like_one && syn::parse2::<syn::Item>(item.clone()).is_err() {
        return error;
    }
    Error::new_spanned(
        item,
        "`#[task]` goes on a function: a struct, a module or an `impl` block cannot be run",
    )
}

/// The function's name in kebab case, which is how components name their exports.
fn export_name(name: &str, span: Span) -> Result<String> {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    if !name.split('_').all(is_word) {
        return Err(Error::new(
            span,
            format!(
                "`{name}` cannot be the name of a task: it becomes an export of the component, so it must be words of `a`-`z` and `0`-`9` with one `_` between them, each beginning with a letter"
            ),
        ));
    }
    Ok(name.replace('_', "-"))
}

/// The text of the doc comments.
fn doc(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) => Some(&pair.value),
            Meta::Path(_) | Meta::List(_) => None,
        })
        .filter_map(|value| match value {
            Expr::Lit(literal) => Some(&literal.lit),
            _ => None,
        })
        .filter_map(|literal| match literal {
            Lit::Str(line) => Some(line.value()),
            _ => None,
        })
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned())
        .collect();
    lines.join("\n").trim().to_owned()
}

/// What the return type says.
struct Returned {
    success: String,
    error: Option<String>,
    raw: bool,
    never: bool,
}

impl Returned {
    fn read(output: &ReturnType) -> Result<Self> {
        let ReturnType::Type(_, declared) = output else {
            return Ok(Self { success: "()".to_owned(), error: None, raw: false, never: false });
        };
        shape::check_returned(declared)?;
        let (success, error) = match result_types(declared) {
            Some((success, error)) => (success, Some(error)),
            None => (&**declared, None),
        };
        Ok(Self {
            success: text::of(success),
            // An alias such as `io::Result<T>` does not name its error.
            error: error.map(|error| error.map_or_else(|| "error".to_owned(), text::of)),
            raw: is_bytes(success),
            never: matches!(**declared, Type::Never(_)),
        })
    }
}

/// `T` and, where it is written, `E` of a type that is called `Result`.
fn result_types(declared: &Type) -> Option<(&Type, Option<&Type>)> {
    let mut types = generic_types(declared, "Result")?;
    let success = types.next()?;
    Some((success, types.next()))
}

/// True for `Bytes` by whatever path, and a reference to it.
fn is_bytes(declared: &Type) -> bool {
    matches!(declared, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Bytes" && last.arguments.is_none()))
}

/// The type arguments of a type whose last path segment is `name`.
fn generic_types<'a>(declared: &'a Type, name: &str) -> Option<impl Iterator<Item = &'a Type>> {
    let Type::Path(path) = declared else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let syn::PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    Some(arguments.args.iter().filter_map(|argument| match argument {
        syn::GenericArgument::Type(declared) => Some(declared),
        _ => None,
    }))
}

//! Each wrong use of the attribute is an error that says what to do, at the token that is wrong.

#![forbid(unsafe_code)]

use super::tokens;
use crate::{expand, signature};
use proc_macro2::{LineColumn, TokenStream};

/// Asserts that `source`, which is on one line, is refused with a message that contains `message`, pointing at
/// exactly the text that stands between `«` and `»`.
#[track_caller]
fn refused(marked: &str, message: &str) {
    refused_with("", marked, message);
}

#[track_caller]
fn refused_with(attribute: &str, marked: &str, message: &str) {
    let (before, rest) = marked.split_once('«').unwrap();
    let (wrong, after) = rest.split_once('»').unwrap();
    let source = format!("{before}{wrong}{after}");
    let item = tokens(&source);
    let Err(error) = signature::read(tokens(attribute), item.clone()) else {
        panic!("{source} was accepted");
    };
    assert!(error.to_string().contains(message), "{error}\ndoes not say\n{message}");

    let at = |place: LineColumn| source.char_indices().nth(place.column).map_or(source.len(), |(at, _)| at);
    let span = error.span();
    assert_eq!((span.start().line, span.end().line), (1, 1), "{source}: {error}");
    assert_eq!(&source[at(span.start())..at(span.end())], wrong, "{error}");

    let expansion = expand(tokens(attribute), item).to_string();
    assert!(expansion.contains("compile_error"), "{expansion}");
}

#[test]
fn not_a_function() {
    refused("«struct S { n: u8 }»", "`#[task]` goes on a function");
    refused("«mod m { fn f() {} }»", "`#[task]` goes on a function");
    refused("«impl S { fn f(&self) {} }»", "`#[task]` goes on a function");
}

#[test]
fn async_function() {
    refused("pub «async» fn f() {}", "a task cannot be `async`");
}

#[test]
fn unsafe_function() {
    refused("«unsafe» fn f() {}", "a task cannot be `unsafe`");
}

#[test]
fn extern_function() {
    refused("«extern \"C\"» fn f() {}", "a task cannot be `extern`");
}

#[test]
fn generic_function() {
    refused("fn f<«T»>(value: T) {}", "a task cannot be generic");
    refused("fn f<«'a»>(value: &'a str) {}", "a task cannot be generic");
    refused("fn f<«const N: usize»>(value: [u8; N]) {}", "a task cannot be generic");
}

#[test]
fn where_clause() {
    refused("fn f(value: u8) «where u8: Copy» {}", "a task cannot have a `where` clause");
}

#[test]
fn variadic_function() {
    refused("fn f(«...») {}", "a task has a fixed number of parameters");
}

#[test]
fn method() {
    refused("fn f(«&self», value: u8) {}", "a task is a plain function, not a method");
    refused("fn f(«self: Box<Self>») {}", "a task is a plain function, not a method");
}

#[test]
fn impl_trait() {
    refused("fn f(value: «impl Into<u8>») {}", "a task cannot be generic");
    refused("fn f(values: Vec<«impl Into<u8>»>) {}", "a task cannot be generic");
    refused("fn f() -> «impl Iterator<Item = u8>» {}", "a task returns a type with a name");
}

#[test]
fn pattern_parameter() {
    refused("fn f(«(a, b)»: (u8, u8)) {}", "needs a name of its own");
    refused("fn f(«_»: u8) {}", "needs a name of its own");
    refused("fn f(«ref a»: u8) {}", "needs a name of its own");
    refused("fn f(«a @ 1..»: u8) {}", "needs a name of its own");
}

#[test]
fn reference_that_no_argument_can_be() {
    refused("fn f(value: &«mut» Vec<u8>) {}", "a task cannot take `&mut`");
    refused("fn f(value: &«'static» str) {}", "lives as long as the call");
    refused("fn f(value: Option<«&str»>) {}", "cannot contain a reference");
    refused("fn f(value: &[«&str»]) {}", "but not contain one");
    refused("fn f(value: &«dyn Display») {}", "not of a trait");
}

#[test]
fn name_that_no_export_can_have() {
    for marked in [
        "fn «Square»() {}",
        "fn «two__words»() {}",
        "fn «_hidden»() {}",
        "fn «trailing_»() {}",
        "fn «step_2»() {}",
        "fn «größe»() {}",
    ] {
        refused(marked, "cannot be the name of a task");
    }
}

#[test]
fn wrong_default() {
    refused("fn f(«#[default]» n: u8) {}", "a default is written `#[default(value)]`");
    refused("fn f(«#[default = 1]» n: u8) {}", "a default is written `#[default(value)]`");
    refused("fn f(«#[default()]» n: u8) {}", "with one value");
    refused("fn f(«#[default(1, 2)]» n: u8) {}", "with one value");
    refused("fn f(#[default(1)] «#[default(2)]» n: u8) {}", "two defaults");
    refused("fn f(#[default(1 «2»)] n: u8) {}", "expected `,`");
    refused("fn f(#[default(«x»)] data: Bytes) {}", "it is never missing");
}

#[test]
fn arguments_of_the_attribute() {
    // The arguments are text of their own, which begins at its own first column: that of `name` is that of `fn f`.
    refused_with("name", "«fn f»() {}", "`#[task]` takes no arguments");
}

#[test]
fn the_attribute_twice() {
    refused("«#[wasmpool_guest::task]» fn f() {}", "written twice");
}

#[test]
fn a_syntax_error_stays_where_it_is() {
    let error = signature::read(TokenStream::new(), tokens("fn f(a u8) {}")).map(|_| ()).unwrap_err();
    assert_eq!(error.span().start().column, 7, "{error}");
}

#[test]
fn a_refused_function_is_still_there_for_its_callers() {
    let expansion = expand(TokenStream::new(), tokens("async fn f(#[default(1)] a: u8) {}")).to_string();
    assert!(expansion.ends_with(&tokens("async fn f(a: u8) {}").to_string()), "{expansion}");
}

/// As `refused`, for `#[init]`.
#[track_caller]
fn refused_init(attribute: &str, source: &str, message: &str) {
    let Err(error) = signature::read_init(tokens(attribute), tokens(source)) else {
        panic!("{source} was accepted");
    };
    assert!(error.to_string().contains(message), "{error}\ndoes not say\n{message}");
}

#[test]
fn what_runs_before_the_first_task_takes_and_returns_nothing() {
    refused_init("", "fn f(n: u8) {}", "takes no parameters");
    refused_init("", "fn f() -> u8 { 0 }", "returns nothing or a `Result<(), E>`");
    refused_init("", "fn f() -> ! { loop {} }", "returns nothing or a `Result<(), E>`");
    refused_init("1", "fn f() {}", "`#[init]` takes no arguments");
    refused_init("", "struct S;", "goes on a function");
    for source in ["fn f() {}", "fn f() -> Result<(), String> { Ok(()) }"] {
        let read = signature::read_init(TokenStream::new(), tokens(source)).ok().unwrap();
        assert_eq!(read.export, "wasmpool-init");
        let expansion = crate::emit::task(&read).to_string();
        assert!(expansion.contains("cm32p2||wasmpool-init") && !expansion.contains("RECORD"), "{expansion}");
    }
}

//! Types and expressions as a person would write them, for the record that `inspect` shows.
//!
//! A token stream has no layout, and its own `to_string` puts a space around every token.

#![forbid(unsafe_code)]

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// The source text of `tokens` on one line, spaced as rustfmt would for types and simple expressions.
pub fn of(tokens: &impl ToTokens) -> String {
    let mut out = String::new();
    write(tokens.to_token_stream(), &mut out);
    out
}

fn write(tokens: TokenStream, out: &mut String) {
    let mut previous: Option<TokenTree> = None;
    for token in tokens {
        if previous.as_ref().is_some_and(|before| spaced(before, &token)) {
            out.push(' ');
        }
        match &token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{ ", " }"),
                    Delimiter::None => ("", ""),
                };
                out.push_str(open);
                write(group.stream(), out);
                out.push_str(close);
            }
            other => out.push_str(&other.to_string()),
        }
        previous = Some(token);
    }
}

/// Whether a space belongs between two neighbours.
fn spaced(before: &TokenTree, after: &TokenTree) -> bool {
    match (before, after) {
        (TokenTree::Punct(left), TokenTree::Punct(right)) => {
            left.spacing() == Spacing::Alone
                && (matches!(left.as_char(), ',' | ';' | '=') || is_operator(right.as_char()))
        }
        (TokenTree::Punct(left), _) => is_operator(left.as_char()) || matches!(left.as_char(), ',' | ';'),
        (_, TokenTree::Punct(right)) => is_operator(right.as_char()),
        (TokenTree::Group(_), _) | (_, TokenTree::Group(_)) => false,
        _ => true,
    }
}

/// Operators that stand between spaces. `-`, `*` and `&` are not among them: they are prefixes as often.
fn is_operator(punctuation: char) -> bool {
    matches!(punctuation, '+' | '=' | '|' | '/')
}

//! What the attribute accepts, what it refuses and where it points, without a compiler: functions as text in, an
//! error with its place or an expansion out.

#![forbid(unsafe_code)]

mod accepted;
mod encoded;
mod refused;

use crate::signature::{self, Task};
use proc_macro2::TokenStream;

/// The tokens of a piece of source.
fn tokens(source: &str) -> TokenStream {
    source.parse().expect("the tests' sources are made of tokens")
}

/// Reads `source`, which must be a task.
fn task(source: &str) -> Task {
    signature::read(TokenStream::new(), tokens(source))
        .unwrap_or_else(|error| panic!("{source} was refused: {error}"))
}

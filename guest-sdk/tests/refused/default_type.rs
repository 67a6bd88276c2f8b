//! A default of another type than its parameter.

use wasmpool_guest::task;

#[task]
fn greet(#[default("Hello")] greeting: String) -> String {
    greeting
}

fn main() {}

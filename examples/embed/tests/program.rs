//! Has cargo build the program together with all tests: the integration tests run it.

#![forbid(unsafe_code)]

use std::process::Command;

#[test]
fn a_module_that_is_not_there_is_named() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_embed")).arg("no/such.wasm").output().expect("the program runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("no/such.wasm"), "{text}");
}
